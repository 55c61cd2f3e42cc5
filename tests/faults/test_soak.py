"""The short form of `make faults`: a few runs at once, and a run that is killed as it writes."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

from tests.faults.kill_points import Count
from tests.faults.soak import look_for_leftovers
from tests.faults.whole_runs import SOURCES, answer, project
from tests.harness import require
from tests.scripted_server import ScriptedServer


def test_a_few_runs_at_once_and_a_person_who_saves() -> None:
    require("landlock")
    require("bubblewrap")
    sizes = ["--processes=3", "--rounds=1", "--stubs=1", "--sandboxes=bubblewrap,landlock"]
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults.soak", *sizes],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    counts = json.loads(done.stdout)
    runs = counts.pop("runs")
    assert counts == {
        "torn files": 0, "lost edits": 0, "leftovers": 0, "unfinished": 0, "hung": 0,
        "failed runs": 0, "examples": [],
    }, done.stderr  # fmt: skip
    assert runs["saves"] > 0
    assert runs["looks"] > 9


# The second file's turn: one is new, one is old.
DIES_IN_BETWEEN = """
import os
import signal
from pathlib import Path

if "DIES" in os.environ:
    from pytest_selfheal.source import replacing

    plain, done = replacing.exchange, []

    def exchange(one: Path, other: Path) -> bool:
        if done:
            os.kill(os.getpid(), signal.SIGKILL)
        done.append(other)
        return plain(one, other)

    replacing.exchange = exchange
"""


def test_a_run_that_is_killed_between_its_files(tmp_path: Path) -> None:
    require("bubblewrap")
    heals = project(tmp_path / "project")
    heals.write({"conftest.py": DIES_IN_BETWEEN})
    sandbox = "--selfheal-sandbox=bubblewrap"
    with ScriptedServer(answer) as server:
        cut_off = heals.heal(sandbox, server=server, env={"DIES": "1"})
        assert cut_off.status == -signal.SIGKILL
        assert len({*cut_off.changed} & {*SOURCES}) == 1
        run = heals.heal(sandbox, server=server)
    assert run.status == 0, run.output
    assert "a heal was cut off in the middle; it is complete now: " in run.output
    count = Count()
    look_for_leftovers(count, heals, [])
    assert count.examples == []
