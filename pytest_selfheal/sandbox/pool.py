"""Sandboxes that are started ahead, used once, and thrown away.

Starting one is work for a processor, so no more start at once than there are
processors; running a job likewise. Closing happens in the background. How many are parked
is bounded by the memory that the machine has left, and while nothing is verified for a
while, all but one are given back.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import threading
import time
from collections import deque
from concurrent.futures import Future, wait
from pathlib import Path

from pytest_selfheal.errors import SandboxFailed
from pytest_selfheal.protocols import Launcher, Sandbox
from pytest_selfheal.records import Job, RunOutcome
from pytest_selfheal.threads import DaemonExecutor

MAX_PARKED = 16
PARKED_BYTES = 128 * 2**20
"""What a parked sandbox is reckoned at: two to four times what Python, pytest and a usual
project's imports were seen to take."""
IDLE_SECONDS = 60.0
"""How long after the last verification what is parked is given back."""
STARTS_TRIED = 2
_MEMORY = Path("/proc/meminfo")


def usable_processors() -> int:
    """How many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def available_memory() -> int | None:
    """The bytes that can be had without swapping, None where the system does not say."""
    with contextlib.suppress(OSError, ValueError), _MEMORY.open(encoding="ascii") as file:
        for line in file:
            name, _, amount = line.partition(":")
            if name == "MemAvailable":
                return int(amount.split()[0]) * 1024
    return None


def most_parked(available_bytes: int | None) -> int:
    """How many sandboxes may be parked: they take no more than half of what is left.

    Two are always allowed, since one is of no use to a job that follows another.
    """
    if available_bytes is None:
        return MAX_PARKED
    return max(2, min(MAX_PARKED, available_bytes // 2 // PARKED_BYTES))


class Pool:
    """Wraps a launcher; a context manager that leaves no sandbox behind."""

    def __init__(
        self,
        launcher: Launcher,
        *,
        processors: int | None = None,
        idle_seconds: float = IDLE_SECONDS,
    ) -> None:
        self._launcher = launcher
        self._idle_seconds = idle_seconds
        self._last_used = time.monotonic()
        self._closing = threading.Event()
        self._keeper: threading.Thread | None = None
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

    @property
    def notes(self) -> tuple[str, ...]:
        """What the launcher has to say of its sandboxes, a line each."""
        return tuple(getattr(self._launcher, "notes", ()))

    def prepare(self, count: int) -> None:
        """See to it that this many sandboxes are parked or on their way, if memory allows."""
        count = min(count, most_parked(available_memory())) if count else 0
        with self._lock:
            self._last_used = time.monotonic()
            while not self._closed and len(self._parked) < count:
                self._parked.append(self._start())
            if self._parked and self._keeper is None and not self._closed:
                self._keeper = threading.Thread(
                    target=self._keep_small, name="selfheal-pool", daemon=True
                )
                self._keeper.start()

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
        self._closing.set()
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

    def _keep_small(self) -> None:
        """Give back all but one of what is parked, whenever it was not used for a while."""
        while not self._closing.wait(self._idle_seconds / 4):
            spare: list[Future[Sandbox]] = []
            with self._lock:
                if time.monotonic() - self._last_used >= self._idle_seconds:
                    # The oldest are taken first, so the youngest go.
                    while len(self._parked) > 1 and self._parked[-1].done():
                        spare.append(self._parked.pop())
            for each in spare:
                if each.exception() is None:
                    self._discard(each.result())

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
                self._last_used = time.monotonic()
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
