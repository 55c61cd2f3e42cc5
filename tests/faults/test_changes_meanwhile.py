"""Files that change while they are healed: nobody's edit is lost, and no old text comes back.

The server's answers are where time passes in a run, so each change is made in one.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.harness import Project, Run, python, require
from tests.scripted_server import ScriptedServer

FILES = {
    "mod.py": """
        RATE = 2


        # selfheal
        def double(a: int) -> int:
            ...


        def other() -> str:
            return "old"
    """,
    "extra.py": """
        def factor() -> int:
            return 2
    """,
    "test_mod.py": """
        import extra
        import mod


        def test_double():
            assert mod.double(3) == 3 * extra.factor()


        def test_other():
            assert mod.other() in ("old", "new")
    """,
}
DOUBLE = "mod.py::double"
GOOD = python("def double(a: int) -> int:\n    return a * RATE\n")
HEALED = "def double(a: int) -> int:\n    return a * RATE\n"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    require("landlock")
    return Project(tmp_path / "project", FILES)


def heal_during(project: Project, change: Callable[[], object], *arguments: str) -> Run:
    """Heal, with a change at the moment at which the model is asked for the first time."""

    def answer(prompt: str, targets: tuple[str, ...], number: int) -> str:
        if number == 1:
            change()
        return GOOD

    with ScriptedServer(answer) as server:
        return project.heal("--selfheal-sandbox=landlock", *arguments, server=server)


def edited(project: Project, path: str, old: str, new: str) -> Callable[[], object]:
    """Somebody's edit of a file."""

    def edit() -> None:
        file = project.root / path
        text = file.read_text()
        assert old in text
        file.write_text(text.replace(old, new))

    return edit


def kept_patch(project: Project) -> str:
    (patch,) = (project.root / ".pytest_cache" / "selfheal" / "kept").iterdir()
    return patch.read_text()


def test_an_edit_of_a_neighbour_is_kept_and_verified_with(project: Project) -> None:
    run = heal_during(project, edited(project, "mod.py", '"old"', '"new"'))
    assert run.status == 0, run.output
    assert run.statuses() == {DOUBLE: "healed"}
    assert "changed meanwhile: mod.py; verifying again" in run.output
    assert HEALED in run.text("mod.py")
    assert 'return "new"' in run.text("mod.py")
    assert run.report is not None
    assert '"old"' not in run.stubs[DOUBLE]["diff"]


def test_lines_that_moved_are_no_hindrance(project: Project) -> None:
    run = heal_during(project, edited(project, "mod.py", "RATE = 2\n", '"""New."""\n\nRATE = 2\n'))
    assert run.status == 0, run.output
    assert run.text("mod.py").startswith('"""New."""\n\nRATE = 2\n')
    assert HEALED in run.text("mod.py")


def test_what_breaks_with_the_edit_is_not_written(project: Project) -> None:
    run = heal_during(project, edited(project, "mod.py", "RATE = 2", "RATE = 3"))
    assert run.status == 1
    assert run.statuses() == {DOUBLE: "skipped"}
    reason = run.stubs[DOUBLE]["reason"]
    assert reason.startswith("not seen green after 'mod.py' changed meanwhile; its code is kept in")
    assert "RATE = 3" in run.text("mod.py")
    assert "def double(a: int) -> int:\n    ..." in run.text("mod.py")
    assert "+    return a * RATE" in kept_patch(project)


def test_another_file_that_the_tests_reach(project: Project) -> None:
    require("bubblewrap")  # Landlock looks at the tree itself, and has seen it already
    change = edited(project, "extra.py", "return 2", "return 5")
    run = heal_during(project, change, "--selfheal-sandbox=bubblewrap")
    assert run.status == 1
    assert run.statuses() == {DOUBLE: "skipped"}
    assert run.changed.keys() == {"extra.py"}
    assert "not seen green after 'extra.py' changed meanwhile" in run.stubs[DOUBLE]["reason"]


def test_data_that_the_tests_open(project: Project) -> None:
    require("bubblewrap")
    test = """
        import pathlib
        import mod


        def test_double():
            number = int(pathlib.Path(__file__).with_name("number.txt").read_text())
            assert mod.double(number) == 6
    """
    project.write({"test_mod.py": test, "number.txt": "3"})
    change = edited(project, "number.txt", "3", "4")
    run = heal_during(project, change, "--selfheal-sandbox=bubblewrap")
    assert run.status == 1, run.output
    assert "changed meanwhile: number.txt; verifying again" in run.output
    reason = run.stubs[DOUBLE]["reason"]
    assert reason.startswith("not seen green after 'number.txt' changed meanwhile")
    assert "+    return a * RATE" in kept_patch(project)


def test_data_that_never_rests(project: Project) -> None:
    """A log, say: it is caught up with once."""
    test = """
        import pathlib
        import mod


        def test_double():
            with pathlib.Path(__file__).with_name("a.log").open("a") as log:
                log.write("called")
            assert mod.double(3) == 6
    """
    project.write({"test_mod.py": test, "a.log": "begun"})
    done = threading.Event()

    def write_on() -> None:
        while not done.wait(0.2):
            with (project.root / "a.log").open("a") as log:
                log.write("served")

    thread = threading.Thread(target=write_on)
    try:
        run = heal_during(project, thread.start)
    finally:
        done.set()
        thread.join()
    assert run.status == 0, run.output
    assert run.output.count("verifying again") == 1


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("    ...", "    return a + a", "somebody else has written 'double' in 'mod.py' meanwhile"),
        ("    ...", "    pass", "'double' in 'mod.py' changed meanwhile"),
        ("(a: int)", "(a: int, b: int = 0)", "'double' in 'mod.py' changed meanwhile"),
        ("# selfheal\n", "", "'double' in 'mod.py' changed meanwhile"),
        ("# selfheal\n", "# selfheal: keep\n", "'double' in 'mod.py' changed meanwhile"),
    ],
    ids=["written", "other-body", "signature", "unmarked", "other-options"],
)
def test_a_stub_that_changed_itself(project: Project, old: str, new: str, reason: str) -> None:
    run = heal_during(project, edited(project, "mod.py", old, new))
    assert run.status == 1
    said = run.stubs.get(DOUBLE, {}).get("reason", "")
    assert said.startswith(f"{reason}; its code is kept in .pytest_cache/selfheal/kept/"), said
    assert run.text("mod.py") == project.files()["mod.py"].decode()
    assert new in run.text("mod.py") or not new
    assert "a * RATE" not in run.text("mod.py")
    assert "+    return a * RATE" in kept_patch(project)


@pytest.mark.parametrize(
    ("is_a_folder", "reason"), [(False, "gone"), (True, "no file that can be read any more")]
)
def test_a_file_that_is_gone(project: Project, is_a_folder: bool, reason: str) -> None:
    def change() -> None:
        (project.root / "mod.py").unlink()
        if is_a_folder:
            (project.root / "mod.py").mkdir()

    require("bubblewrap")  # Landlock looks at the tree itself
    run = heal_during(project, change, "--selfheal-sandbox=bubblewrap")
    assert run.status == 1
    assert run.stubs[DOUBLE]["reason"].startswith(f"'mod.py' is {reason}; its code is kept in")
    assert run.changed == {"mod.py": None}


def test_a_proposal_is_for_the_text_that_is_there(project: Project) -> None:
    change = edited(project, "mod.py", '"old"', '"new"')
    run = heal_during(project, change, "--selfheal-mode=propose")
    assert run.status == 1
    project.git("init", "-q")
    project.git("apply", "selfheal.patch")
    text = (project.root / "mod.py").read_text()
    assert HEALED in text
    assert 'return "new"' in text


def test_a_file_that_was_only_touched(project: Project) -> None:
    run = heal_during(project, (project.root / "mod.py").touch)
    assert run.status == 0, run.output
    assert "changed meanwhile" not in run.output
