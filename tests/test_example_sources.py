"""The example project as it stands in the repository, before anything is healed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from pytest_selfheal.model.recording import ReplayModel
from pytest_selfheal.records import Stub
from pytest_selfheal.source.find import find_in_project
from tests.sandboxes import WITHOUT_PLUGINS

ROOT = Path(__file__).resolve().parent.parent
EXAMPLE = ROOT / "example_project"
INVOICES = ("kiosk.pdf", "kontor.pdf", "marsh.pdf")
STUBS = find_in_project(EXAMPLE).stubs
TARGETS = tuple(stub.target for stub in STUBS)
TEST_OF_COMMENTED = {
    "encode_reference": "test_there_and_back",
    "decode_reference": "test_mistyped",
    "parse_kiosk": "test_kiosk_lines",
}


def run_python(*arguments: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    environment.pop("PYTEST_ADDOPTS", None)
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=cwd,
        env=environment,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )


# --- what is marked --------------------------------------------------------------------


def test_every_mark_can_be_followed() -> None:
    found = find_in_project(EXAMPLE)
    assert found.warnings == ()
    assert len(found.stubs) >= 6
    assert not any(stub.is_living for stub in found.stubs)


def test_every_form_of_marking_is_shown() -> None:
    forms = Counter(stub.marker for stub in STUBS)
    assert forms.keys() == {"decorator", "comment", "class"}
    assert any(stub.options.hint for stub in STUBS)


# --- the recording ---------------------------------------------------------------------


def test_recording_is_what_its_script_makes(tmp_path: Path) -> None:
    made = tmp_path / "recording.jsonl"
    result = run_python(EXAMPLE / "tools" / "make_recording.py", made, cwd=tmp_path)
    assert result.stderr == ""
    assert made.read_bytes() == (EXAMPLE / "recording.jsonl").read_bytes()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("A reply.\n", r"'b.md' must begin with '---', target, attempts", id="no head"),
        pytest.param(
            "---\ntarget: a.py::f\nattempts: 2\n---\nAgain.\n",
            r"'b.md' answers \('a.py::f', 2\), which has an answer already",
            id="answered twice",
        ),
    ],
)
def test_reply_that_cannot_be_recorded(tmp_path: Path, text: str, message: str) -> None:
    replies = tmp_path / "tools" / "replies"
    replies.mkdir(parents=True)
    script = Path(shutil.copy(EXAMPLE / "tools" / "make_recording.py", replies.parent))
    (replies / "a.md").write_text("---\ntarget: a.py::f\nattempts: 1-3\n---\nA reply.\n")
    (replies / "b.md").write_text(text)
    result = run_python(script, cwd=tmp_path)
    assert result.returncode == 1
    assert re.search(message, result.stderr)
    assert not (tmp_path / "recording.jsonl").exists()


@pytest.mark.parametrize("target", TARGETS)
def test_target_is_answered_at_each_attempt(target: str) -> None:
    model = ReplayModel(EXAMPLE / "recording.jsonl")
    for attempt in range(1, 6):
        reply = model.ask("", targets=[target], attempt=attempt)
        assert len(reply.blocks) == 1
        assert f"def {target.rpartition('::')[2].rpartition('.')[2]}(" in reply.blocks[0]
        assert reply.gave_up is None


def test_several_stubs_are_answered_wrongly_at_first() -> None:
    model = ReplayModel(EXAMPLE / "recording.jsonl")
    corrected = [
        target
        for target in TARGETS
        if model.ask("", targets=[target], attempt=1).text
        != model.ask("", targets=[target], attempt=5).text
    ]
    assert len(corrected) >= 4


# --- the invoices ----------------------------------------------------------------------


def test_invoices_are_what_their_script_draws(tmp_path: Path) -> None:
    """What is drawn is compared, since reportlab writes its own name about it in each version."""
    pytest.importorskip("reportlab")
    pypdf = pytest.importorskip("pypdf")
    result = run_python(EXAMPLE / "tools" / "make_invoices.py", tmp_path, cwd=tmp_path)
    assert result.stderr == ""
    assert sorted(file.name for file in tmp_path.iterdir()) == list(INVOICES)
    for name in INVOICES:
        made, kept = (
            [page.get_contents().get_data() for page in pypdf.PdfReader(folder / name).pages]
            for folder in (tmp_path, EXAMPLE / "invoices")
        )
        assert made == kept
        assert len(made) == 1


def test_invoices_are_drawn_with_the_same_bytes_each_time(tmp_path: Path) -> None:
    pytest.importorskip("reportlab")
    for folder in ("one", "two"):
        run_python(EXAMPLE / "tools" / "make_invoices.py", tmp_path / folder, cwd=tmp_path)
    for name in INVOICES:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


# --- without the plugin ----------------------------------------------------------------


@pytest.fixture(scope="module")
def plain_run(tmp_path_factory: pytest.TempPathFactory) -> subprocess.CompletedProcess[str]:
    """pytest over a copy of the example, with the plugin switched off."""
    pytest.importorskip("pypdf")
    copy = tmp_path_factory.mktemp("example") / "project"
    shutil.copytree(EXAMPLE, copy, ignore=shutil.ignore_patterns("__pycache__", ".pytest_cache"))
    arguments = ("-m", "pytest", "-p", "no:selfheal", "-p", "no:cacheprovider", "-q", "--tb=line")
    # Warnings are errors in the example, and this environment has plugins that it does not know.
    arguments += tuple(WITHOUT_PLUGINS.split())
    return run_python(*arguments, cwd=copy)


def test_stubs_fail_and_the_rest_passes(plain_run: subprocess.CompletedProcess[str]) -> None:
    assert plain_run.returncode == 1
    counted = re.search(r"(\d+) failed, (\d+) passed in", plain_run.stdout)
    assert counted is not None, plain_run.stdout
    readme = (EXAMPLE / "README.md").read_text(encoding="utf-8")
    assert f"{counted[1]} tests fail, each of them in a stub, and {counted[2]} pass" in readme


@pytest.mark.parametrize("stub", STUBS, ids=TARGETS)
def test_stub_has_failing_tests(stub: Stub, plain_run: subprocess.CompletedProcess[str]) -> None:
    if stub.marker == "comment":  # nothing stands in for it, so that it cannot say its name
        assert re.search(rf"FAILED \S+::{TEST_OF_COMMENTED[stub.qualname]}\b", plain_run.stdout)
    else:
        assert re.search(rf"StubCalled: ledger\.\w+\.{stub.qualname} \(", plain_run.stdout)
