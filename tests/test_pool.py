"""The pool: sandboxes are used once, bounded, and never left behind."""

from __future__ import annotations

import threading
import time

import pytest

from pytest_selfheal.errors import SandboxFailed
from pytest_selfheal.records import Job, RunOutcome
from pytest_selfheal.sandbox.pool import (
    MAX_PARKED,
    PARKED_BYTES,
    Pool,
    available_memory,
    most_parked,
)
from pytest_selfheal.threads import DaemonExecutor

JOB = Job(nodes=("t.py::a",))


class ScriptedLauncher:
    """A launcher of nothing, which counts; its sandboxes give the outcomes in turn."""

    name = "scripted"

    def __init__(self, *outcomes: str, failing_starts: int = 0) -> None:
        self.outcomes = list(outcomes)
        self.failing_starts = failing_starts
        self.lock = threading.Lock()
        self.launched = 0
        self.closed = 0
        self.at_once = 0
        self.most_at_once = 0
        self.is_closed = False

    def launch(self) -> ScriptedSandbox:
        with self.lock:
            if self.failing_starts:
                self.failing_starts -= 1
                raise SandboxFailed("did not come up")
            self.launched += 1
        return ScriptedSandbox(self)

    def close(self) -> None:
        self.is_closed = True


class ScriptedSandbox:
    def __init__(self, launcher: ScriptedLauncher) -> None:
        self.launcher = launcher
        self.runs = 0

    def run(self, job: Job) -> RunOutcome:
        assert self.runs == 0, "used twice"
        self.runs += 1
        with self.launcher.lock:
            self.launcher.at_once += 1
            self.launcher.most_at_once = max(self.launcher.at_once, self.launcher.most_at_once)
            ending = self.launcher.outcomes.pop(0) if self.launcher.outcomes else "completed"
        time.sleep(0.01)
        with self.launcher.lock:
            self.launcher.at_once -= 1
        return RunOutcome(ending=ending)  # type: ignore[arg-type]

    def close(self) -> None:
        with self.launcher.lock:
            self.launcher.closed += 1


def test_each_job_has_a_sandbox_of_its_own_and_all_are_closed() -> None:
    launcher = ScriptedLauncher()
    with Pool(launcher, processors=2) as pool:
        pool.prepare(3)
        pool.run(JOB, ahead=0)
        for _ in range(4):
            assert pool.run(JOB).ending == "completed"
        assert pool.verifications == 5
    assert launcher.launched >= 5
    assert launcher.closed == launcher.launched
    assert launcher.is_closed


def test_no_more_jobs_at_once_than_processors() -> None:
    launcher = ScriptedLauncher()
    with Pool(launcher, processors=2) as pool:
        executor = DaemonExecutor(16, "t")
        for each in [executor.submit(pool.run, JOB) for _ in range(16)]:
            each.result(10)
        executor.shutdown()
    assert launcher.most_at_once == 2


def test_what_is_parked_has_a_bound() -> None:
    launcher = ScriptedLauncher()
    with Pool(launcher, processors=2) as pool:
        pool.prepare(1000)
    assert launcher.launched <= MAX_PARKED
    assert launcher.closed == launcher.launched


def test_a_lost_sandbox_is_replaced_once() -> None:
    launcher = ScriptedLauncher("sandbox-failed", "completed")
    with Pool(launcher) as pool:
        assert pool.run(JOB).ending == "completed"
    launcher = ScriptedLauncher("sandbox-failed", "sandbox-failed", "completed")
    with Pool(launcher) as pool:
        assert pool.run(JOB).ending == "crashed"


def test_a_start_that_fails_is_tried_again_once() -> None:
    with Pool(ScriptedLauncher(failing_starts=1)) as pool:
        assert pool.run(JOB).ending == "completed"
    with (
        Pool(ScriptedLauncher(failing_starts=2)) as pool,
        pytest.raises(SandboxFailed, match="did not come up"),
    ):
        pool.run(JOB)


def test_after_closing_nothing_starts() -> None:
    launcher = ScriptedLauncher()
    pool = Pool(launcher)
    pool.close()
    pool.prepare(3)
    with pytest.raises(SandboxFailed, match="ending"):
        pool.run(JOB)
    assert launcher.launched == 0


class TestDaemonExecutor:
    def test_results_errors_and_bound(self) -> None:
        executor = DaemonExecutor(2, "t")
        barrier = threading.Barrier(2, timeout=5)
        both = [executor.submit(barrier.wait) for _ in range(2)]
        assert sorted(each.result(5) for each in both) == [0, 1]
        failing = executor.submit(int, "x")
        with pytest.raises(ValueError, match="invalid literal"):
            failing.result(5)
        executor.shutdown()
        with pytest.raises(RuntimeError, match="shut down"):
            executor.submit(int)

    def test_its_threads_do_not_keep_the_interpreter(self) -> None:
        executor = DaemonExecutor(1, "t")
        started = threading.Event()
        release = threading.Event()

        def block() -> None:
            started.set()
            release.wait(10)

        executor.submit(block)
        assert started.wait(5)
        assert all(t.daemon for t in threading.enumerate() if t.name.startswith("t-"))
        release.set()
        executor.shutdown()


def test_what_is_parked_takes_no_more_than_half_of_the_memory_that_is_left() -> None:
    assert most_parked(None) == MAX_PARKED
    assert most_parked(0) == 2
    assert most_parked(10 * PARKED_BYTES) == 5
    assert most_parked(10_000 * PARKED_BYTES) == MAX_PARKED


def test_what_the_system_says_of_its_memory_is_believed(monkeypatch) -> None:
    available = available_memory()
    assert available is None or available > 2**20
    monkeypatch.setattr("pytest_selfheal.sandbox.pool.available_memory", lambda: 6 * PARKED_BYTES)
    launcher = ScriptedLauncher()
    with Pool(launcher) as pool:
        pool.prepare(8)
        assert len(pool._parked) == 3
    assert launcher.launched == launcher.closed


def test_an_idle_pool_gives_back_all_but_one_and_goes_on_working() -> None:
    launcher = ScriptedLauncher()
    with Pool(launcher, idle_seconds=0.05) as pool:
        pool.prepare(4)
        limit = time.monotonic() + 20
        while launcher.closed < 3:
            assert time.monotonic() < limit, "nothing was given back"
            time.sleep(0.01)
        assert len(pool._parked) == 1
        assert pool.run(JOB, ahead=0).ending == "completed"
    assert launcher.launched == launcher.closed
