"""Terminals that close, readers that go, clocks that jump.

The scripted server's first answer is the moment at which each of it happens.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import signal
import subprocess
import termios
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pytest_selfheal.interrupts import outlive
from pytest_selfheal.source.locks import project_lock
from tests.faults.kill_points import Count
from tests.faults.soak import look_for_leftovers
from tests.faults.whole_runs import HEALED, answer, project
from tests.harness import Project, Run, eventually, require
from tests.scripted_server import ScriptedServer

SANDBOX = "--selfheal-sandbox=bubblewrap"
ONE = "test_both.py::test_f"
HEALED_ONE = HEALED.format(name="f", number=1)
END_SECONDS = 120
"""Generous: nothing here waits, but the machine may be busy."""


@pytest.fixture
def heals(tmp_path: Path) -> Project:
    require("bubblewrap")
    return project(tmp_path / "project")


@contextlib.contextmanager
def started(
    heals: Project, at_first: Callable[[subprocess.Popen[bytes]], object], **how: Any
) -> Iterator[subprocess.Popen[bytes]]:
    """A run, to which something happens when the model is asked for the first time."""
    processes: list[subprocess.Popen[bytes]] = []
    lock = threading.Lock()

    def answers(prompt: str, targets: tuple[str, ...], number: int) -> str:
        with lock:  # nobody is answered before it has happened
            if processes:
                at_first(processes.pop())
        return answer(prompt, targets, number)

    with ScriptedServer(answers) as server:
        command = heals.command(SANDBOX, ONE, server=server)
        given = {"stdin": subprocess.DEVNULL, "stderr": subprocess.STDOUT} | how
        env = heals.environment(server, given.pop("more", {}))
        with lock:
            process = subprocess.Popen(command, cwd=heals.root, env=env, **given)
            processes.append(process)
        try:
            yield process
            process.wait(END_SECONDS)
        finally:
            process.kill()
            process.wait()


def assert_healed(heals: Project) -> None:
    assert (heals.root / "mod.py").read_text() == HEALED_ONE
    count = Count()
    look_for_leftovers(count, heals, [])
    assert count.examples == []


def outcome(heals: Project, process: subprocess.Popen[bytes]) -> Run:
    return heals.outcome(process.returncode, b"", heals.files())


SLEPT = """
import os
import time

if "SLEEPS" in os.environ:  # what the machine's clock says after an hour's sleep
    plain = time.time
    slept = []
    time.time = lambda: plain() + 3600 * len(slept)

    def pytest_selfheal_attempt(targets, attempt):
        slept.append(targets)
"""

# --- terminals and readers -------------------------------------------------------------


def test_a_reader_that_goes_away(heals: Project) -> None:
    """As `| head` does: the heal goes on, and the exit status tells of the files."""
    reading, writing = os.pipe()
    with started(heals, lambda _: os.close(reading), stdout=writing) as process:
        os.close(writing)
    assert process.returncode == 0
    assert_healed(heals)
    assert outcome(heals, process).report is not None


@pytest.mark.parametrize("is_hung_up", [True, False])
def test_a_terminal_that_closes(heals: Project, is_hung_up: bool) -> None:
    """With SIGHUP as an interrupt; where that is ignored (`nohup`) the heal goes on.

    There the machine sleeps as well: the process stands still for a while, and its clock
    has gone on by an hour.
    """
    heals.write({"conftest.py": SLEPT})
    ours, theirs = pty.openpty()

    def take_terminal() -> None:
        fcntl.ioctl(theirs, termios.TIOCSCTTY, 0)
        signal.signal(signal.SIGHUP, signal.SIG_DFL if is_hung_up else signal.SIG_IGN)

    drained = threading.Event()

    def drain() -> None:
        with contextlib.suppress(OSError):
            while not drained.is_set():
                os.read(ours, 4096)

    def close(process: subprocess.Popen[bytes]) -> None:
        # A descriptor that a thread reads from stays open: the thread takes what is left.
        drained.set()
        os.write(ours, b"x")
        os.close(ours)
        if not is_hung_up:
            process.send_signal(signal.SIGSTOP)
            threading.Timer(3, process.send_signal, [signal.SIGCONT]).start()

    with started(
        heals,
        close,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        preexec_fn=take_terminal,
        more={"TERM": "xterm"} | ({} if is_hung_up else {"SLEEPS": "1"}),
    ) as process:
        os.close(theirs)
        threading.Thread(target=drain, daemon=True).start()
    run = outcome(heals, process)
    if is_hung_up:
        assert process.returncode == 2
        statuses = set(run.statuses().values())
        assert statuses <= {"unhealed", "healed"}
    else:
        assert process.returncode == 0
        assert_healed(heals)


def test_a_full_pipe_that_nobody_reads_for_a_while(heals: Project) -> None:
    """The files are written, and no lock is held, while the lines wait for their reader."""
    reading, writing = os.pipe()

    def fill(_: subprocess.Popen[bytes]) -> None:
        # Opened anew: whether writing waits is a matter of the opened file.
        own = os.open(f"/proc/self/fd/{writing}", os.O_WRONLY | os.O_NONBLOCK)
        with contextlib.suppress(BlockingIOError):
            while True:
                os.write(own, b"x" * 1024)
        os.close(own)

    def is_healed() -> bool:
        return (heals.root / "mod.py").read_text() == HEALED_ONE

    with started(heals, fill, stdout=writing) as process:
        assert eventually(END_SECONDS, is_healed)
        with project_lock(heals.root / ".pytest_cache" / "selfheal", 20, lambda _: None):
            assert process.poll() is None
        os.close(writing)
        with os.fdopen(reading, "rb") as pipe:
            output = pipe.read()
    assert process.returncode == 0
    assert b"1 healed" in output
    assert_healed(heals)


def test_a_device_that_takes_nothing(heals: Project) -> None:
    """pytest itself ends at its first line then: nothing is healed, and no word of ours."""
    with open("/dev/full", "wb") as full, ScriptedServer(answer) as server:
        done = subprocess.run(
            heals.command(SANDBOX, server=server),
            cwd=heals.root,
            env=heals.environment(server),
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
        )
    assert done.returncode not in (0, 5)
    assert b"pytest_selfheal" not in done.stderr
    assert server.requests == []


def test_a_stream_that_is_read_is_left_alone() -> None:
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as reader, os.fdopen(writing, "w") as stream:
        outlive(stream)
        stream.write("told\n")
        stream.flush()
        assert reader.readline() == b"told\n"
        reader.close()
        with pytest.raises(BrokenPipeError):
            os.write(stream.fileno(), b"x")
        outlive(stream)
        os.write(stream.fileno(), b"to nobody\n")
