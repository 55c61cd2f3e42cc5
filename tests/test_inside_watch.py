"""How the supervisor decides that a process has had its time."""

from __future__ import annotations

import os
import time

import pytest

from pytest_selfheal.sandbox import inside_watch
from pytest_selfheal.sandbox.inside_watch import Watched, waited_seconds

NONCE = "n"


class Patient:
    def host_has_gone(self) -> bool:
        return False


@pytest.fixture
def sleeper() -> Watched:
    """A process that sleeps for a moment and says a word."""
    result_read, result_write = os.pipe()
    output_read, output_write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.setsid()
        time.sleep(0.6)
        os.write(result_write, b'n 0 {"kind": "end"}\n')
        os._exit(0)
    os.close(result_write)
    os.close(output_write)
    return Watched(pid, result_read, output_read, NONCE)


def test_a_process_is_ended_at_its_deadline(sleeper: Watched) -> None:
    sleeper.wait(Patient(), time.monotonic() + 0.2)
    assert sleeper.timed_out
    assert sleeper.lines == []


def test_waiting_for_a_processor_is_not_held_against_it(sleeper, monkeypatch) -> None:
    monkeypatch.setattr(inside_watch, "waited_seconds", lambda pid: 60.0)
    sleeper.wait(Patient(), time.monotonic() + 0.4)
    assert not sleeper.timed_out
    assert sleeper.lines == [{"kind": "end"}]


def test_what_it_waited_is_allowed_up_to_a_bound(sleeper, monkeypatch) -> None:
    monkeypatch.setattr(inside_watch, "waited_seconds", lambda pid: 60.0)
    sleeper.wait(Patient(), time.monotonic() + 0.05)
    assert sleeper.timed_out


def test_a_process_that_nobody_knows_has_waited_for_nothing() -> None:
    assert waited_seconds(2**22 + 1) == 0.0
    assert waited_seconds(os.getpid()) >= 0.0
