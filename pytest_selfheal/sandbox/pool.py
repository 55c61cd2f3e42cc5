"""Sandboxes that are started ahead, used once, and thrown away.

Starting one is work for a processor, so no more start at once than there are
processors; running a job likewise. Closing happens in the background.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import threading
from collections import deque
from concurrent.futures import Future, wait

from pytest_selfheal.errors import SandboxFailed
from pytest_selfheal.protocols import Launcher, Sandbox
from pytest_selfheal.records import Job, RunOutcome
from pytest_selfheal.threads import DaemonExecutor

MAX_PARKED = 16
STARTS_TRIED = 2


def usable_processors() -> int:
    """How many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class Pool:
    """Wraps a launcher; a context manager that leaves no sandbox behind."""

    def __init__(self, launcher: Launcher, *, processors: int | None = None) -> None:
        self._launcher = launcher
        count = max(2, processors or usable_processors())
        self._starters = DaemonExecutor(count, "selfheal-start")
        self._closers = DaemonExecutor(2, "selfheal-close")
        self._slots = threading.BoundedSemaphore(count)
        self._lock = threading.Lock()
        self._parked: deque[Future[Sandbox]] = deque()
        self._alive: set[Sandbox] = set()
        self._starting: set[Future[Sandbox]] = set()
        self._closed = False
        self.verifications = 0

    @property
    def backend(self) -> str:
        """The launcher's name, for reports."""
        return self._launcher.name

    def prepare(self, count: int) -> None:
        """See to it that this many sandboxes are parked or on their way."""
        with self._lock:
            while not self._closed and len(self._parked) < min(count, MAX_PARKED):
                self._parked.append(self._start())

    def run(self, job: Job, *, ahead: int = 1) -> RunOutcome:
        """Run a job in a fresh sandbox.

        A sandbox that was lost by no doing of the code in it is replaced once.

        Args:
            job: What to run.
            ahead: How many sandboxes to have parked meanwhile for the jobs that follow.

        Raises:
            SandboxFailed: None could be started.
        """
        with self._slots:
            for _ in range(STARTS_TRIED):
                sandbox = self._take()
                self.prepare(ahead)
                try:
                    outcome = sandbox.run(job)
                finally:
                    self._discard(sandbox)
                if outcome.ending != "sandbox-failed":
                    break
            else:
                # One may be lost by chance. Two in a row on the same job, where others
                # start as ever, are lost through what the job does.
                outcome = dataclasses.replace(outcome, ending="crashed")
        with self._lock:
            self.verifications += 1
        return outcome

    def close(self) -> None:
        """End all sandboxes, those at work included, and let go of the launcher."""
        with self._lock:
            self._closed = True
            alive = list(self._alive)
            starting = list(self._starting)
        self._starters.shutdown(wait=False, cancel_futures=True)
        for sandbox in alive:
            with contextlib.suppress(Exception):
                sandbox.close()
        wait([each for each in starting if each.running()], timeout=30)
        self._closers.shutdown(wait=True)
        self._launcher.close()

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _start(self) -> Future[Sandbox]:
        future = self._starters.submit(self._launch)
        self._starting.add(future)
        future.add_done_callback(self._starting.discard)
        return future

    def _launch(self) -> Sandbox:
        sandbox = self._launcher.launch()
        with self._lock:
            if not self._closed:
                self._alive.add(sandbox)
                return sandbox
        sandbox.close()
        raise SandboxFailed("the run is ending")

    def _take(self) -> Sandbox:
        error: SandboxFailed | None = None
        for _ in range(STARTS_TRIED):
            with self._lock:
                if self._closed:
                    raise SandboxFailed("the run is ending")
                future = self._parked.popleft() if self._parked else self._start()
            try:
                return future.result()
            except SandboxFailed as failed:
                error = failed
        assert error is not None
        raise error

    def _discard(self, sandbox: Sandbox) -> None:
        with self._lock:
            self._alive.discard(sandbox)
            closed = self._closed
        if closed:
            sandbox.close()
        else:
            self._closers.submit(sandbox.close)
