"""`--selfheal-explain`: what it tells is what a heal then does."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from pytest_selfheal.errors import UsageError
from pytest_selfheal.explain import find_target
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


def test_a_target_as_seen_from_where_pytest_was_started(project: Project) -> None:
    marked = "# selfheal\ndef f(): ...\n"
    project.write({"pkg/deep.py": marked, "calc.py": marked, "test_calc.py": "def test(): pass\n"})
    root, here = project.root, project.root / "pkg"

    def found(given: str) -> list[str]:
        return [stub.target for stub in find_target(root, here, given)]

    assert found("deep.py::f") == found("./deep.py::f") == ["pkg/deep.py::f"]
    assert found(f"{here}/deep.py::f") == found("pkg/deep.py::f") == ["pkg/deep.py::f"]
    assert found("../calc.py::f") == found("calc.py::f") == ["calc.py::f"]
    with pytest.raises(UsageError, match=r"'/calc.py::f' is not marked: give one such as calc.py"):
        found("/calc.py::f")


def test_a_property_and_its_setter_are_one_target(project: Project) -> None:
    source = """
        class Box:
            # selfheal
            @property
            def size(self): ...

            # selfheal
            @size.setter
            def size(self, value): ...
    """
    tests = """
        from calc import Box


        def test_setter():
            box = Box()
            box.size = 3
            assert vars(box)
    """
    files = {"calc.py": source, "test_calc.py": tests}
    output = explained(project, "calc.py::Box.size", files=files)
    assert "reached by 1 failing test\n  test_calc.py::test_setter\n" in output
    assert "Target: calc.py::Box.size" in output


def test_a_living_function_whose_tests_pass(project: Project) -> None:
    project.write({"alive.py": "# selfheal\ndef alive(a):\n    return a\n"})
    output = explained(project, "alive.py::alive", "-k", "outer")
    assert "nothing would be asked for it: no failing test reaches it, and a body that" in output


@pytest.mark.parametrize("flag", ["--selfheal-explain=calc.py::add", "--selfheal-show-prompt"])
def test_where_no_test_is_run(project: Project, flag: str) -> None:
    run = project.heal(LANDLOCK, flag, "--collect-only")
    name = flag.partition("=")[0]
    assert (run.status, run.output.strip()) == (
        4,
        f"ERROR: {name} needs tests that fail: leave --collect-only out",
    )


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("calc.py::ad", "'calc.py::ad' is not marked: give one such as calc.py::add"),
        ("twice", "'twice' names more than one: give one of a.py::twice, b.py::twice"),
        ("c.py::late", "'c.py::late' is not marked (line 1: `# selfheal` at the end of a line "
         "marks nothing: put it on a line of its own above): give one such as "),
    ],
)  # fmt: skip
def test_a_target_that_is_none(project: Project, target: str, message: str) -> None:
    stub = "# selfheal\ndef twice(): ...\n"
    project.write({"a.py": stub, "b.py": stub, "c.py": "def late(): ...  # selfheal\n"})
    run = project.heal(LANDLOCK, f"--selfheal-explain={target}")
    assert run.status == 4
    assert run.output.startswith(f"ERROR: --selfheal-explain: {message}")
    assert "test session starts" not in run.output


def test_nothing_is_marked(tmp_path: Path) -> None:
    run = Project(tmp_path / "project", {"test_a.py": "def test(): pass\n"}).heal(
        "--selfheal-explain=x"
    )
    assert run.status == 4
    assert "--selfheal-explain: 'x' is not marked, and nothing else is below '" in run.output
