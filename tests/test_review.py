"""Review mode: what is shown of each green stub, what may be answered, and what is then written."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from pytest_selfheal.errors import SelfHealError
from pytest_selfheal.records import Attempt, Piece, Reply
from pytest_selfheal.report.editor import edit_text, editor_of
from pytest_selfheal.report.highlight import coloured_diff
from pytest_selfheal.report.review import HINT, QUESTION, Shown, Tried, review
from pytest_selfheal.source.candidate import read_candidate
from pytest_selfheal.source.find import find_in_source
from pytest_selfheal.source.piece_text import piece_text
from tests.harness import Project, Run, code, python, require
from tests.scripted_server import ScriptedServer
from tests.terminal import CTRL_C, CTRL_D, converse
from tests.test_modes import FILES, REPLIES

QUESTIONS = ("[q]uit: ", "back to the question): ")
EDITOR = """
    import pathlib, sys

    here = pathlib.Path(__file__).parent
    file = pathlib.Path(sys.argv[-1])
    turn = min(here.glob("turn*"))
    (here / f"opened-{turn.name}").write_text(file.read_text())
    file.write_text(turn.read_text())
    turn.unlink()
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    require("landlock")
    return Project(tmp_path / "project", FILES)


def run_review(
    project: Project, answers: Sequence[str], *arguments: str, server: ScriptedServer, **more: Any
) -> Run:
    return converse(
        project,
        server,
        "--selfheal-sandbox=landlock",
        "--selfheal-mode=review",
        *arguments,
        questions=QUESTIONS,
        answers=answers,
        **more,
    )


def test_what_is_accepted_is_written_and_nothing_else(project: Project) -> None:
    with ScriptedServer(REPLIES) as server:
        run = run_review(project, ["y", "maybe", "N", "yes", "q"], server=server)
    assert run.status == 1, run.output
    assert run.statuses() == {
        "src/calc.py::add": "healed",
        "src/calc.py::sub": "skipped",
        "src/calc.py::mul": "healed",
        "src/more.py::neg": "skipped",
    }
    assert run.output.count(QUESTION) == 5
    assert "+    return a - b" in run.output, "the diff was not shown"
    assert "attempt 1 passed (" in run.output
    assert "held by 1 test, all green in the sandbox:\n  test_calc.py::test_add\n" in run.output
    assert "e  change the code in your editor" in run.output, "no help after an odd answer"
    assert list(run.changed) == ["src/calc.py"]
    text = run.text("src/calc.py")
    assert "return a + b" in text
    assert "return a * b" in text
    assert "# selfheal\ndef sub(a: int, b: int) -> int:\n    ...\n" in text
    assert run.stubs["src/calc.py::sub"]["reason"] == "the reviewer said no"
    assert "nobody answered for it" in run.stubs["src/more.py::neg"]["reason"]
    assert run.report is not None
    assert run.report["tests"]["still_failing"] == [
        "test_calc.py::test_sub",
        "test_calc.py::test_neg",
    ]


def test_edits_and_retries_are_verified_before_they_are_written(
    project: Project, tmp_path: Path
) -> None:
    editor = tmp_path / "an editor" / "edit.py"
    editor.parent.mkdir()
    editor.write_text(code(EDITOR))
    wrong = "def add(a: int, b: int) -> int:\n    return a - b - 7\n"
    (editor.parent / "turn1").write_text(wrong)
    right = "def add(a: int, b: int) -> int:\n    total = a + b\n    return total\n"
    (editor.parent / "turn2").write_text(right)
    other = python(
        "def sub(a: int, b: int) -> int:\n    difference = a - b\n    return difference\n"
    )
    replies = {**REPLIES, "src/calc.py::sub": [*REPLIES["src/calc.py::sub"], other]}
    answers = ["e", "e", "y", "r", "name the difference", "y", "r", "", CTRL_C]
    with ScriptedServer(replies) as server:
        run = run_review(
            project,
            answers,
            "--color=yes",
            *("-k", "add or sub or neg"),
            server=server,
            env={"EDITOR": f"{sys.executable} {shlex.quote(str(editor))}", "TERM": "xterm"},
        )
    assert run.status == 2, run.output
    plain = re.sub(r"\x1b\[[\d;]*[A-Za-z]", "", run.output)
    assert "\x1b[32m+\x1b[0m" in run.output, "the diff has no colours"
    assert re.search("^E .*assert -8 == 3$", plain, re.M), plain
    assert "not taken: 1 of 1 tests red: test_calc.py::test_add: " in plain
    assert (editor.parent / "opened-turn1").read_text().endswith("    return a + b\n")
    assert (editor.parent / "opened-turn2").read_text() == wrong, "the first edit was lost"
    assert "your edit 2 passed (" in plain

    assert run.statuses() == {
        "src/calc.py::add": "healed",
        "src/calc.py::sub": "healed",
        "src/calc.py::mul": "unreached",
        "src/more.py::neg": "skipped",
    }
    text = run.text("src/calc.py")
    assert "    total = a + b\n    return total\n" in text
    assert "    difference = a - b\n    return difference\n" in text
    assert "interrupted: what was green is written" in plain
    attempts = run.stubs["src/calc.py::add"]["attempts"]
    assert [each["by"] for each in attempts] == ["model", "reviewer"]
    assert run.verdicts("src/calc.py::sub") == ["passed", "passed"]

    assert len(server.requests) == 4, "an edit, or an empty hint, was asked for"
    sent = server.requests[-1].prompt
    assert server.requests[-1].targets == ("src/calc.py::sub",)
    assert "its reviewer wants it otherwise: name the difference" in sent
    assert "    return a - b\n" in sent, "the code that was not wanted is not in the prompt"
    assert "assert calc.sub(3, 2) == 1" in sent


@pytest.mark.parametrize(
    ("answers", "arguments", "status", "changed"),
    [
        (["y", "Y", "y", "y"], ["-n2"], 0, ["src/calc.py", "src/more.py"]),
        (["y", CTRL_D], ["-s"], 1, ["src/calc.py"]),
    ],
    ids=["all-beside-xdist", "end-of-input-uncaptured"],
)
def test_to_the_end_or_to_the_end_of_input(
    project: Project,
    answers: Sequence[str],
    arguments: Sequence[str],
    status: int,
    changed: Sequence[str],
) -> None:
    with ScriptedServer(REPLIES) as server:
        run = run_review(project, answers, *arguments, server=server)
    assert run.status == status, run.output
    assert list(run.changed) == changed


# --- the conversation by itself --------------------------------------------------------


class Terminal:
    """As much of pytest's reporter as is used."""

    hasmarkup = False

    def __init__(self) -> None:
        self.lines: list[str] = []

    def write_sep(self, sep: str, title: str) -> None:
        self.lines.append(f"{sep} {title}")

    def write_line(self, line: str, **markup: bool) -> None:
        self.lines.append(line)


class Stubs:
    """Stubs of which each `n` takes along what `needs` says, and each edit comes to `edits`."""

    def __init__(self, keys: Sequence[str], **more: Any) -> None:
        self.left = list(keys)
        self.needs: dict[str, list[str]] = more.pop("needs", {})
        self.edits: list[Tried] = more.pop("edits", [])
        self.hints: list[str] = []
        self.more: dict[str, Any] = more

    def shown(self, key: str) -> Shown | None:
        values = {"diff": "+x", "code": "x", "tests": ["t"], "attempts": [], **self.more}
        return Shown(target=key, **values) if key in self.left else None

    def edit(self, key: str) -> Tried:
        return self.edits.pop(0)

    def retry(self, key: str, hint: str) -> Tried:
        self.hints.append(hint)
        return Tried()

    def leave_out(self, key: str) -> Sequence[str]:
        lost = self.needs.get(key, [])
        self.left = [each for each in self.left if each not in (key, *lost)]
        return lost


def talk(stubs: Stubs, answers: Sequence[str]) -> tuple[list[str], Terminal]:
    terminal, given = Terminal(), list(answers)

    def ask(prompt: str) -> str:
        terminal.lines.append(prompt)
        answer = given.pop(0)
        if answer == GONE:
            raise OSError(5, "Input/output error")
        if answer in (CTRL_C, CTRL_D):
            raise KeyboardInterrupt if answer == CTRL_C else EOFError
        return answer

    unanswered = review(terminal, list(stubs.left), stubs, ask=ask)
    assert not given, "answers that nobody asked for"
    return unanswered, terminal


def test_what_goes_with_a_refused_stub_is_not_asked_for() -> None:
    stubs = Stubs(["a", "b", "c"], needs={"a": ["b"]})
    unanswered, terminal = talk(stubs, ["n", "y"])
    assert unanswered == []
    assert "left out with it, its tests need it: b" in terminal.lines
    assert [line for line in terminal.lines if line.startswith("- ")] == [
        "- a (1 of 3)",
        "- c (3 of 3)",
    ]


GONE = "\x00"


@pytest.mark.parametrize(
    "answer", ["q", CTRL_C, CTRL_D, GONE], ids=["q", "ctrl-c", "ctrl-d", "terminal-gone"]
)
def test_quitting_leaves_the_rest_unanswered(answer: str) -> None:
    unanswered, _ = talk(Stubs(["a", "b", "c"]), ["y", answer])
    assert unanswered == ["b", "c"]


def test_a_red_edit_is_told_and_may_be_edited_again() -> None:
    long = "\n".join(["def f():", *(f"line {number}" for number in range(90)), "E   assert 0"])
    tried = [Tried(problem="red\x1b[2J", traceback=long), Tried(problem="odd"), Tried()]
    stubs = Stubs(["a"], edits=tried)
    unanswered, terminal = talk(stubs, ["e", "e", "e", "y"])
    assert unanswered == []
    assert "E   assert 0" in terminal.lines
    assert "[... 32 lines left out ...]" in terminal.lines
    assert "not taken: red" in terminal.lines
    assert terminal.lines.count("- a (1 of 1)") == 2, "shown at first, and after it changed"


@pytest.mark.parametrize(
    ("answers", "hints"),
    [(["r", "  round\tup ", "y"], ["round up"]), (["r", "", "r", CTRL_D, "y"], [])],
    ids=["given", "none"],
)
def test_hints(answers: Sequence[str], hints: Sequence[str]) -> None:
    stubs = Stubs(["a"])
    _, terminal = talk(stubs, answers)
    assert stubs.hints == hints
    assert HINT in terminal.lines


def test_attempts_and_many_tests_are_told() -> None:
    attempts = [
        Attempt(verdict="failed", why="1 of 1 tests\nred", seconds=0.5),
        Attempt(verdict="passed", seconds=0.25),
    ]
    tests = [f"t.py::t[{number}]" for number in range(13)]
    _, terminal = talk(Stubs(["a"], attempts=attempts, tests=tests), ["y"])
    assert "attempt 1 failed (0.50s): 1 of 1 tests red" in terminal.lines
    assert "attempt 2 passed (0.25s)" in terminal.lines
    assert "  t.py::t[9]" in terminal.lines
    assert "  and 3 more" in terminal.lines


def test_characters_that_are_not_shown_are_told_of() -> None:
    _, terminal = talk(Stubs(["a"], code="x = '\u202eevil\x1b'\n"), ["n"])
    told = [line for line in terminal.lines if line.startswith("careful: ")]
    assert told == ["careful: the code holds what cannot be shown: '\\x1b', '\\u202e'"]


# --- colours ---------------------------------------------------------------------------

DIFF = """\
--- a/m.py
+++ b/m.py
@@ -1,3 +1,4 @@
 import os
-def f(): ...
+def f():
+    return '''a
+b'''
\\ No newline at end of file
@@ -9 +9 @@
-x = 1
+x = 2
"""


@pytest.mark.parametrize("syntax", [True, False], ids=["syntax", "diff-alone"])
def test_a_diff_keeps_its_text_under_its_colours(syntax: bool) -> None:
    shown = coloured_diff(DIFF, syntax=syntax)
    assert "\n".join(re.sub(r"\x1b\[[\d;]*m", "", line) for line in shown) + "\n" == DIFF
    assert shown[4] == "\x1b[31m-def f(): ...\x1b[0m"
    assert shown[5].startswith("\x1b[32m+\x1b[0m")
    assert (shown[5] != "\x1b[32m+\x1b[0mdef f():") == syntax


# --- the editor ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("environ", "command"),
    [
        ({"VISUAL": "code --wait", "EDITOR": "vi"}, ["code", "--wait"]),
        ({"VISUAL": " ", "EDITOR": "'my editor' -x"}, ["my editor", "-x"]),
    ],
)
def test_the_editor_is_the_users(environ: dict[str, str], command: list[str]) -> None:
    assert editor_of(environ) == command


@pytest.mark.parametrize(
    ("editor", "message"),
    [
        ("'", 'EDITOR="\'" is no command line: No closing quotation'),
        ("/nowhere/editor", "the editor '/nowhere/editor' cannot be started: No such file"),
        ("false", "the editor 'false' ended with status 1"),
        ("rm", "the edited file cannot be read: "),
        ("sh -c 'printf \"\\377\" > $0'", "the edited file cannot be read: "),
    ],
)
def test_editors_that_give_no_text(editor: str, message: str) -> None:
    with pytest.raises(SelfHealError, match=re.escape(message)):
        edit_text("x", "A.f", {"EDITOR": editor})


def test_a_file_named_after_the_stub_is_edited() -> None:
    editor = "sh -c 'basename $0 >> $0'"
    assert edit_text("ä\n", "A.f", {"EDITOR": editor}) == "ä\nA_f.py\n"


# --- code given back -------------------------------------------------------------------

MODULE = code('''
    class Outer:
        class Inner:
            # selfheal
            def f(self, x):
                """Docs."""
                ...

        @property
        def p(self):
            return 1

        @p.setter
        # selfheal
        def p(self, value):
            ...


    # selfheal
    async def g(x):
        ...
''').replace("    @p.setter\n    # selfheal\n", "    # selfheal\n    @p.setter\n")
GIVEN = {
    "Outer.Inner.f": code('''
        import re
        from math import pi

        LIMIT = 3


        def helper(x):
            return LIMIT * x + pi


        class Outer:
            class Inner:
                RATE = 2

                @staticmethod
                def other(x):
                    return """
            kept
        as it is""" + str(x)

                def f(self, x):
                    # why
                    text = """
          also
        kept"""
                    return re.sub("a", self.other(helper(x)), text) * self.RATE
    '''),
    "Outer.p": "@p.setter\ndef p(self, value):\n    self.x = value\n",
    "g": "async def g(x):\n    return [y async for y in x]\n",
}


@pytest.mark.parametrize("qualname", GIVEN)
def test_code_that_is_given_back_reads_as_the_same(qualname: str) -> None:
    source = MODULE.encode()
    stub = next(x for x in find_in_source(source, "m.py").stubs if x.qualname == qualname)

    def read(text: str) -> Piece:
        return read_candidate(Reply(text=text, blocks=(text,)), [stub], {"m.py": source}).pieces[0]

    piece = read(GIVEN[qualname])
    again = read(piece_text(piece))
    assert (again.definition, again.imports, again.helpers, again.members) == (
        piece.definition,
        piece.imports,
        piece.helpers,
        piece.members,
    )
