"""Memory that runs out: a limit on the process, one on its group, an allocation that fails."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_selfheal.records import Limits
from pytest_selfheal.sandbox.cgroups import ControlGroup, make_group
from pytest_selfheal.threads import DaemonExecutor
from tests.faults.kill_points import Count
from tests.faults.soak import look_for_leftovers
from tests.faults.whole_runs import HEALED, answer, project
from tests.harness import TIMEOUT_SECONDS, Project, Run, require
from tests.scripted_server import ScriptedServer

SANDBOX = "--selfheal-sandbox=bubblewrap"
ONE = "test_both.py::test_f"
MIB = 2**20


@pytest.fixture
def heals(tmp_path: Path) -> Project:
    require("bubblewrap")
    return project(tmp_path / "project")


def assert_nothing_left(heals: Project) -> None:
    count = Count()
    look_for_leftovers(count, heals, [])
    assert count.examples == []


def healed_within(
    heals: Project, before: str, server: ScriptedServer, env: dict[str, str] | None = None
) -> Run:
    """A run of a shell that does something first."""
    command = ["sh", "-c", f'{before}; exec "$@"', "sh"]
    done = subprocess.run(
        [*command, *heals.command(SANDBOX, ONE, "--tb=no", server=server)],
        cwd=heals.root,
        env=heals.environment(server, env),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=TIMEOUT_SECONDS,
        check=False,
    )
    return heals.outcome(done.returncode, done.stdout, {})


# --- limits --------------------------------------------------------------------------------

TAKES_ROOM = """
import mmap
import os

if "TAKES" in os.environ:
    taken = []

    def pytest_runtest_setup():
        taken.append(mmap.mmap(-1, 300 * 2**20))
"""


def test_a_limit_on_what_is_mapped(heals: Project) -> None:
    """There is room for all of a heal, as long as the tests do not take it, or none is begun."""
    heals.write({"conftest.py": TAKES_ROOM})
    with ScriptedServer(answer) as server:
        little = healed_within(heals, "ulimit -v 250000", server)
        assert little.status == 4
        said = re.search(r"ERROR: `ulimit -v 250000` leaves.*: raise it to (\d+),", little.output)
        assert said, little.output
        enough = int(said[1])
        taken = healed_within(heals, f"ulimit -v {enough}", server, {"TAKES": "1"})
        assert taken.status == 1
        assert f"`ulimit -v {enough}` leaves too little memory" in taken.output
        assert server.requests == []
        assert_nothing_left(heals)
        assert healed_within(heals, f"ulimit -v {enough}", server).status == 0
    assert_nothing_left(heals)
    assert (heals.root / "mod.py").read_text() == HEALED.format(name="f", number=1)


@pytest.mark.parametrize("letter", ["v", "d"])
def test_room_that_is_just_enough(letter: str) -> None:
    """What is said to be enough is, and a little less than what is there is not."""
    code = (
        "from pytest_selfheal.room import room_problem\n"
        "print(room_problem(8, is_before_tests=True), room_problem(0, is_before_tests=False))"
    )

    def said(limit: int) -> str:
        command = ["sh", "-c", f'ulimit -{letter} {limit}; exec "$@"', "sh"]
        command += [sys.executable, "-c", code]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    little = said(150_000)
    enough = re.findall(r"raise it to (\d+)", little)
    assert len(enough) == 2, little
    assert said(int(enough[0])) == "None None\n"
    assert said(int(enough[0]) - 40 * 1024).endswith(" None\n")


HUNGRY = """
import os

if "HUNGRY" in os.environ:
    eaten = []

    def pytest_selfheal_attempt(targets, attempt):
        for _ in range(1024):
            eaten.append(b"x" * 2**20)
"""


@pytest.fixture
def group() -> Iterator[ControlGroup]:
    """A control group with 256 MiB; skips where none can be made."""
    limits = Limits(memory_bytes=256 * MIB, processes=500, cpus=4)
    made = make_group(f"pytest-selfheal-{os.getpid()}-test", limits)
    if made is None:
        pytest.skip("no control group can be made here")
    yield made
    made.remove()


def test_the_kernel_ends_a_heal_for_its_memory(heals: Project, group: ControlGroup) -> None:
    heals.write({"conftest.py": HUNGRY})
    before = heals.files()
    join = "; ".join(f"echo $$ > {file}" for file in group.proc_files)
    with ScriptedServer(answer) as server:
        run = healed_within(heals, join, server, {"HUNGRY": "1"})
        assert run.status == -signal.SIGKILL
        assert group.oom_kills() >= 1
        assert heals.files() == before
        assert_nothing_left(heals)
        assert heals.heal(SANDBOX, ONE, server=server).status == 0
    assert_nothing_left(heals)


# --- allocations ---------------------------------------------------------------------------

OUT_OF_MEMORY = """
import os

if "RUNS_OUT" in os.environ:
    from pytest_selfheal import delivery

    def write_edits(*_, **__):
        raise MemoryError

    delivery.write_edits = write_edits
"""


def test_memory_that_runs_out_in_the_middle(heals: Project) -> None:
    heals.write({"conftest.py": OUT_OF_MEMORY})
    with ScriptedServer(answer) as server:
        run = heals.heal(SANDBOX, ONE, server=server, env={"RUNS_OUT": "1"})
        assert run.status == 1
        assert run.changed == {}
        assert "there is not enough memory" in run.output
        assert "internal error" not in run.output
    assert_nothing_left(heals)


@pytest.mark.parametrize("threads_had", [0, 1])
def test_threads_that_cannot_be_started(monkeypatch: pytest.MonkeyPatch, threads_had: int) -> None:
    """Those that there are do the work; where there is none, it is said and nothing hangs."""
    executor = DaemonExecutor(4, "few")
    hold = threading.Event()
    done = [executor.submit(hold.wait) for _ in range(threads_had)]

    def start(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", start)
        if threads_had:
            done += [executor.submit(hold.wait) for _ in range(3)]
        else:
            with pytest.raises(RuntimeError, match="can't start new thread"):
                executor.submit(hold.wait)
    hold.set()
    executor.shutdown(wait=True)
    assert [each.result(0) for each in done] == [True] * len(done)
