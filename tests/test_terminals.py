"""A heal on terminals of all kinds, and on none."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pytest_selfheal.report._text import cells
from tests.harness import Project, require
from tests.scripted_server import ScriptedServer
from tests.terminal import CTRL_C, converse
from tests.test_modes import FILES, REPLIES

HEAL_ONE = ("--selfheal-sandbox=landlock", "-k", "neg")
NEG = {"src/more.py::neg": REPLIES["src/more.py::neg"]}


@pytest.fixture
def project(tmp_path: Path) -> Project:
    require("landlock")
    return Project(tmp_path / "project", FILES)


@pytest.mark.parametrize("color", ["yes", "no"])
def test_a_narrow_terminal(project: Project, color: str) -> None:
    with ScriptedServer(NEG, latency_seconds=0.5) as server:
        run = converse(
            project, server, *HEAL_ONE, f"--color={color}", env={"TERM": "xterm"}, columns=40
        )
    assert run.status == 0, run.output
    assert ("\x1b[3" in run.output) == (color == "yes")
    drawn = [x for x in re.split(r"\x1b\[\d[AK]|\r|\n", run.output) if "1/5" in x]
    assert any("src/more.py::neg 1/5 asking 0/1 0s" in line for line in drawn), run.output
    assert any("src/more.py::neg 1/5 verifying 0/1 0s" in line for line in drawn), run.output
    assert all(cells(line) < 40 for line in drawn)
    assert "selfheal: 0/1 green" in run.output
    # What was drawn is gone from the screen: each drawing erases as many lines.
    erased = re.findall(r"\r\x1b\[2K((?:\x1b\[1A\x1b\[2K)*)", run.output)
    assert erased
    assert max(map(len, erased)) <= len("\x1b[1A\x1b[2K")


def test_a_dumb_terminal(project: Project) -> None:
    with ScriptedServer(NEG) as server:
        run = converse(project, server, *HEAL_ONE, "--selfheal-rpm=60", env={"TERM": "dumb"})
    assert run.status == 0, run.output
    assert "\x1b[" not in run.output
    assert "healed    src/more.py::neg" in run.output


def test_no_terminal_reporter_at_all(project: Project) -> None:
    with ScriptedServer(NEG) as server:
        run = project.heal(*HEAL_ONE, "-p", "no:terminal", server=server)
    assert (run.status, run.output) == (0, "")
    assert list(run.changed) == ["src/more.py"]


def test_what_is_told_under_xdist_begins_on_a_line_of_its_own(project: Project) -> None:
    with ScriptedServer(NEG) as server:
        run = converse(project, server, *HEAL_ONE, "-n1", "--color=no", env={"TERM": "xterm"})
    assert run.status == 0, run.output
    assert re.search(r"F +\[100%\]\n", run.output), run.output


def test_an_interrupt_is_answered_at_once(project: Project) -> None:
    with ScriptedServer(NEG, latency_seconds=60) as server:
        run = converse(
            project,
            server,
            *HEAL_ONE,
            "--color=no",
            env={"TERM": "xterm"},
            questions=["asking"],
            answers=[CTRL_C],
        )
    assert run.status == 2, run.output
    drawn, answer, rest = run.output.partition(
        "selfheal: interrupted: nothing is green yet, so the"
    )
    assert "asking" in drawn
    assert answer
    assert "asking" not in rest
    assert "note: interrupted: nothing was written; run again for the rest\n" in rest
