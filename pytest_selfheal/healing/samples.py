"""Several requests for the same code at once: the first green reply ends the rest."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future
from typing import Generic, TypeVar

from pytest_selfheal.model.wanted import Unwanted, only_while

T = TypeVar("T")


class Samples(Generic[T]):
    """What comes of a call for each of some numbers, as it comes.

    Without an executor the calls are made one after another, in this thread and in order;
    what is not wanted any more by then is not made at all.
    """

    def __init__(
        self, numbers: Sequence[int], call: Callable[[int], T], executor: Executor | None
    ) -> None:
        """Note what to do; nothing begins before `come`.

        Args:
            numbers: What to call for.
            call: Called once for each number, in other threads where there is an executor.
            executor: Bounds how many calls of the whole run are made at once.
        """
        self._numbers = numbers
        self._call = call
        self._executor = executor
        self._over = threading.Event()

    @property
    def are_wanted(self) -> bool:
        """Whether nobody has said yet that it is enough."""
        return not self._over.is_set()

    def enough(self) -> None:
        """Begin no more calls; requests that still wait for their turn are not sent."""
        self._over.set()

    def come(self) -> Iterator[T | Exception]:
        """Give what each call gave or raised, in order of completion."""
        if self._executor is None:
            for number in self._numbers:
                if self.are_wanted:
                    yield self._outcome(number)
            return
        done: queue.SimpleQueue[tuple[T | Exception, threading.Event]] = queue.SimpleQueue()
        looked_at = [threading.Event() for _ in self._numbers]
        futures: list[Future[None]] = []
        try:
            submit = self._executor.submit
            for number, event in zip(self._numbers, looked_at, strict=True):
                futures.append(submit(self._put, done, number, event))
            for _ in self._numbers:
                if not self.are_wanted:
                    return
                outcome, event = done.get()
                yield outcome
                event.set()
        finally:
            self.enough()
            for future in futures:
                future.cancel()
            for event in looked_at:
                event.set()

    def _put(
        self,
        done: queue.SimpleQueue[tuple[T | Exception, threading.Event]],
        number: int,
        looked_at: threading.Event,
    ) -> None:
        done.put((self._outcome(number), looked_at))
        # A thread that went on to the next call could begin one that is not wanted.
        looked_at.wait()

    def _outcome(self, number: int) -> T | Exception:
        if not self.are_wanted:
            return Unwanted()
        try:
            if len(self._numbers) == 1:
                return self._call(number)
            with only_while(lambda: self.are_wanted):
                return self._call(number)
        except Exception as error:  # noqa: BLE001 - it is raised where it is waited for
            return error
