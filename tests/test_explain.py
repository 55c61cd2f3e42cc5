"""`--selfheal-explain`: what it tells is what a heal then does."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.harness import Project, python, require
from tests.scripted_server import ScriptedServer

LANDLOCK = "--selfheal-sandbox=landlock"
FILES = {
    "calc.py": """
        # selfheal: attempts=3
        def add(a, b):
            "The sum."
            ...


        # selfheal
        def outer(a):
            ...


        # selfheal
        def nobody(a):
            ...


        def use(a):
            return add(outer(a), 1)
    """,
    "test_calc.py": """
        import pytest

        import calc


        @pytest.mark.parametrize("a", [1, 2])
        def test_add(a):
            assert calc.add(a, 1) == a + 1


        def test_outer():
            assert calc.outer(1) == 2
    """,
}


@pytest.fixture
def project(tmp_path: Path) -> Project:
    require("landlock")
    return Project(tmp_path / "project", FILES)


def without_addresses(text: str) -> str:
    return re.sub("0x[0-9a-f]+", "0x", text)


def explained(project: Project, target: str, *more: str, files: Mapping[str, str] = {}) -> str:
    project.write(files)
    # No server, no key: nobody is asked.
    run = project.heal(LANDLOCK, f"--selfheal-explain={target}", *more)
    assert run.status == 1, run.output
    assert run.changed == {}
    assert run.report is None
    assert f" selfheal: {target} ==" in run.output
    return run.output


def test_the_prompt_is_the_one_that_a_heal_sends(project: Project) -> None:
    output = explained(project, "calc.py::add", "-k", "add")
    assert "reached by 2 failing tests\n  test_calc.py::test_add[1]\n" in output
    assert "asked for in one request, with up to 3 attempts:\n  calc.py::add\n" in output
    assert "judged by 2 tests:\n" in output

    reply = python("def add(a, b):\n    return a + b\n")
    with ScriptedServer({"calc.py::add": [reply]}) as server:
        run = project.heal(LANDLOCK, "-k", "add", server=server)
    assert run.status == 0, run.output
    assert len(server.requests) == 1
    sent = server.requests[0].prompt
    assert without_addresses(sent).rstrip("\n") in without_addresses(output)
    assert f"the prompt: {len(sent)} characters" in output


def test_a_stub_behind_another_waits_for_it(project: Project) -> None:
    tests = "import calc\n\n\ndef test_use():\n    assert calc.use(1) == 3\n"
    output = explained(project, "calc.py::add", files={"test_calc.py": tests})
    assert "reached by " in output
    first = explained(project, "calc.py::outer", files={"test_calc.py": tests})
    assert "  test_calc.py::test_use\n" in first
    assert "Target: calc.py::outer" in first


def test_a_stub_that_nothing_reaches(project: Project) -> None:
    output = explained(project, "calc.py::nobody")
    assert "reached by 0 failing tests\n" in output
    assert "nothing would be asked for it: no failing test reaches it as things stand" in output


@pytest.mark.parametrize("more", [(), ("-p", "no:terminal"), ("-q",)], ids=str)
def test_a_run_that_is_green(project: Project, more: tuple[str, ...]) -> None:
    project.write({"test_calc.py": "def test_green():\n    pass\n"})
    run = project.heal(LANDLOCK, "--selfheal-explain=nobody", *more)
    assert run.status == 0, run.output
    assert "nothing would be asked for it: no test fails" in run.output


def test_neither_a_recording_is_begun_nor_a_patch_taken_away(
    project: Project, tmp_path: Path
) -> None:
    kept = tmp_path / "kept.jsonl"
    project.write({"selfheal.patch": "mine"})
    explained(project, "calc.py::add", f"--selfheal-record={kept}", "--selfheal-mode=propose")
    assert not kept.exists()


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("calc.py::ad", "'calc.py::ad' is not marked: give one such as calc.py::add"),
        ("twice", "'twice' names more than one: give one of a.py::twice, b.py::twice"),
    ],
)
def test_a_target_that_is_none(project: Project, target: str, message: str) -> None:
    stub = "# selfheal\ndef twice(): ...\n"
    project.write({"a.py": stub, "b.py": stub})
    run = project.heal(LANDLOCK, f"--selfheal-explain={target}")
    assert run.status == 4
    assert run.output.startswith(f"ERROR: --selfheal-explain: {message}")
    assert "test session starts" not in run.output


def test_nothing_is_marked(tmp_path: Path) -> None:
    run = Project(tmp_path / "project", {"test_a.py": "def test(): pass\n"}).heal(
        "--selfheal-explain=x"
    )
    assert run.status == 4
    assert "--selfheal-explain: 'x' is not marked, and nothing is below '" in run.output
