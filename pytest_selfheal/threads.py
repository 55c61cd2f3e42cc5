"""An executor whose threads never keep the interpreter alive.

`concurrent.futures` joins its threads at exit, so one blocked on a model that does not
answer would hold up Ctrl-C for as long as its request may take.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class DaemonExecutor(Executor):
    """At most `workers` calls at once, in daemon threads started on demand."""

    def __init__(self, workers: int, name: str) -> None:
        self._workers = workers
        self._name = name
        self._calls: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._idle = threading.Semaphore(0)
        self._lock = threading.Lock()
        self._closed = False

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Queue a call.

        Raises:
            RuntimeError: The executor was shut down, or the system starts not one thread.
        """
        future: Future[T] = Future()

        def call() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                future.set_result(fn(*args, **kwargs))
            except BaseException as error:  # noqa: BLE001 - it travels to whoever waits
                future.set_exception(error)

        with self._lock:
            if self._closed:
                raise RuntimeError("the executor is shut down")
            if not self._idle.acquire(blocking=False) and len(self._threads) < self._workers:
                self._start_thread()
            self._calls.put(call)
        return future

    def _start_thread(self) -> None:
        name = f"{self._name}-{len(self._threads)}"
        thread = threading.Thread(target=self._work, name=name, daemon=True)
        try:
            thread.start()
        except RuntimeError:  # no room for its stack; those that there are do for all calls
            if not self._threads:
                raise
        else:
            self._threads.append(thread)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more calls; with `cancel_futures`, drop those that have not begun."""
        with self._lock:
            self._closed = True
            if cancel_futures:
                self._drop_queued()
            for _ in self._threads:
                self._calls.put(None)
        if wait:
            for thread in self._threads:
                thread.join()

    def _drop_queued(self) -> None:
        while True:
            try:
                self._calls.get_nowait()
            except queue.Empty:
                return

    def _work(self) -> None:
        while True:
            call: Any = self._calls.get()
            if call is None:
                return
            call()
            self._idle.release()
