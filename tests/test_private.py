"""What never gets into a prompt or a report, and showing prompts without sending them."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_selfheal.model.detectors import _DETECTORS, known_forms
from pytest_selfheal.model.redact import redact
from pytest_selfheal.model.redact_report import redact_report
from pytest_selfheal.records import Attempt, HealReport, ModelUsage, SourceWarning, StubReport
from pytest_selfheal.source.private import Private
from tests.harness import Project, require
from tests.scripted_server import ScriptedServer

LANDLOCK = "--selfheal-sandbox=landlock"


def git(root: Path, *arguments: str) -> None:
    subprocess.run(["git", *arguments], cwd=root, check=True, capture_output=True)


# --- secrets ---------------------------------------------------------------------------


@pytest.mark.parametrize("form", known_forms(), ids=lambda form: form.pattern[:40])
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_what_the_detector_knows_is_cut_out(form: re.Pattern[str], data: st.DataObject) -> None:
    secret = data.draw(st.from_regex(form, fullmatch=True))
    said = redact(f"KEY = '{secret}'\n")
    assert form.search(said) is None
    assert "[redacted]" in said


def test_the_detectors_forms_are_there() -> None:
    """Each of the rules that are named was found in the version that is installed."""
    assert len(known_forms()) >= len(_DETECTORS)
    for name in ("mailchimp", "discord", "twilio"):  # those that ours do not cover
        assert name in _DETECTORS


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('customer_id = "AB 12"', 'customer_id = "[redacted]"'),
        ("customer_id: str = 'x'", "customer_id: str = '[redacted]'"),
        ('{"customer_id": "AB 12", "b": "c"}', '{"customer_id": "[redacted]", "b": "c"}'),
        ("f(customer_id='a', b='c')", "f(customer_id='[redacted]', b='c')"),
        ("customer_id = rb'a\\'b'", "customer_id = rb'[redacted]'"),
        ("other_customer_id = 'a'", "other_customer_id = 'a'"),
        ("customer_id == 'a'", "customer_id == 'a'"),
        ("customer_id = find('a')", "customer_id = find('a')"),
        ("customer_id = ''", "customer_id = ''"),
    ],
)
def test_what_is_assigned_to_a_name_is_cut_out(text: str, expected: str) -> None:
    assert redact(text, ["customer_id"]) == expected
    assert redact(text) == text


def test_the_value_of_a_named_variable_is_cut_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LICENCE", "plain words")
    assert redact("it is plain words") == "it is plain words"
    assert redact("it is plain words", ["LICENCE"]) == "it is [redacted]"


# --- files -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
    [
        ("*.csv", "a.csv", True),
        ("*.csv", "deep/er/a.csv", True),
        ("*.csv", "a.csv.txt", False),
        ("private", "data/private/a.txt", True),
        ("private/", "private/a.txt", True),
        ("data/private", "data/private/deep/a.txt", True),
        ("data/private/*", "data/private/deep/a.txt", True),
        ("data/private", "other/data/private/a.txt", False),
        ("data/*.txt", "data/a.txt", True),
        ("rivate", "private/a.txt", False),
        ("A.txt", "a.txt", False),
    ],
)
def test_what_a_pattern_names(tmp_path: Path, pattern: str, path: str, expected: bool) -> None:
    assert (path in Private(tmp_path, [pattern])) is expected


def test_what_git_ignores_is_private_unless_it_is_tracked(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    for name in ("kept.txt", "made/a.txt", "secret.ini", "odd\nname.txt", "-dash.txt", "ü.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    (tmp_path / ".gitignore").write_text("made/\n*.ini\nodd*\n-dash*\n\u00fc*\ntracked.txt\n")
    (tmp_path / "tracked.txt").write_text("x")
    git(tmp_path, "add", "-f", "tracked.txt")
    private = Private(tmp_path)
    paths = ["kept.txt", "made/a.txt", "secret.ini", "odd\nname.txt", "-dash.txt", "ü.txt"]
    assert private.without([*paths, "tracked.txt"]) == ["kept.txt", "tracked.txt"]
    assert "made/b.txt" in private
    assert "other.txt" not in private


def test_without_git_nothing_is_ignored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert Private(tmp_path).without(["a.txt"]) == ["a.txt"]  # no repository
    monkeypatch.setenv("PATH", str(tmp_path))
    assert Private(tmp_path).without(["a.txt"]) == ["a.txt"]  # no git


FILES = {
    ".gitignore": "made.csv\nlocal_helper.py\n",
    ".env": "NAME=dotenv-canary\n",
    "pytest.ini": "[pytest]\nselfheal_exclude =\n    named.csv\n    closed/\n"
    "selfheal_redact = customer_number\n",
    "calc.py": """
        customer_number = "plain-canary"


        # selfheal
        def add(a, b):
            "The sum."
            ...


        # selfheal
        def count(path):
            "The rows."
            ...
    """,
    "closed/__init__.py": "",
    "closed/code.py": "# selfheal\ndef closed():\n    ...\n",
    "conftest.py": "from local_helper import *\n",
    "local_helper.py": "import pytest\n\n\n@pytest.fixture\ndef made():\n    return 'made.csv'\n",
    "open.csv": "open-canary\n",
    "made.csv": "ignored-canary\n",
    "named.csv": "excluded-canary\n",
    "test_calc.py": """
        import pytest

        import calc
        from closed.code import closed


        def test_add():
            assert calc.add(1, 1) == 2


        @pytest.mark.parametrize("name", ["open.csv", "made.csv", "named.csv", ".env"])
        def test_count(name):
            open(name).close()
            assert calc.count(name) == 1


        def test_closed():
            assert closed() == 1
    """,
}


def test_prompts_are_shown_and_not_sent_and_hold_nothing_private(tmp_path: Path) -> None:
    require("landlock")
    project = Project(tmp_path / "project", FILES)
    git(project.root, "init", "-q")
    with ScriptedServer({}) as server:
        run = project.heal(LANDLOCK, "--selfheal-show-prompt", server=server)
    assert run.status == 1, run.output
    assert server.requests == []
    assert run.changed == {}
    assert " selfheal: prompts, none of them sent ==" in run.output
    shown = run.output[run.output.index("prompts, none of them sent") :]
    assert re.findall(r"^Target: (.*)", shown, re.MULTILINE) == ["calc.py::add", "calc.py::count"]
    assert re.search(r"^the prompt: \d+ characters, at most about \d+ tokens$", shown, re.MULTILINE)
    assert "open-canary" in shown
    for canary in ("ignored", "excluded", "dotenv", "plain"):
        assert f"{canary}-canary" not in shown
    assert 'customer_number = "[redacted]"' in shown


# --- reports ---------------------------------------------------------------------------


def test_reports_hold_no_secret_that_models_and_tests_wrote(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DB_PASSWORD", "correct horse")
    monkeypatch.setenv("CITY", "Atlantis")
    token = "ghp_" + "x7Kd92LmQp0RtVw4Yz6Bc8NfHjSa1GuEoIqT"
    text = f"+found {token}, correct horse and Atlantis"
    attempt = Attempt(verdict="failed", why=text, code=text, traceback=text)
    target = f"a.py::{token}"
    stub = StubReport(target=target, status="unhealed", reason=text, diff=text, attempts=(attempt,))
    report = HealReport(
        mode="apply",
        exit_status=1,
        seconds=1.0,
        model=ModelUsage(),
        backend=None,
        verifications=1,
        stubs=(stub, StubReport(target="a.py::g", status="unreached")),
        still_failing=(target,),
        warnings=(SourceWarning(path="a.py", line=1, message=text),),
        notes=(text,),
    )
    clean = redact_report(report, names={"CITY"})
    expected = "+found [redacted], [redacted] and [redacted]"
    told = clean.stubs[0]
    (tried,) = told.attempts
    texts = (told.reason, told.diff, tried.why, tried.code, tried.traceback, *clean.notes)
    assert set(texts) == {clean.warnings[0].message} == {expected}
    assert (told.target, clean.still_failing) == (target, (target,))  # they name things
    assert clean.stubs[1] == report.stubs[1]
