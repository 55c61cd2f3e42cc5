"""Ctrl-C, and what else asks a heal to end: once in order, a second time at once.

Python raises `KeyboardInterrupt` between any two steps. A heal whose bookkeeping was cut in
half could not write what is green, so the first interrupt is raised only where the main
thread waits; a second one anywhere.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any, TextIO

_ENDING = ("SIGINT", "SIGTERM", "SIGHUP")


class Interrupts:
    """A context manager around a heal and its end. Without it, all is as Python does it."""

    def __init__(self) -> None:
        self.received: list[int] = []
        """The signals so far, oldest first."""
        self.is_urgent = False
        """There was a second one: nothing is begun any more."""
        self._may_raise = False
        self._is_pending = False
        self._former: dict[int, Any] = {}

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is threading.main_thread():
            for number in (getattr(signal, name, None) for name in _ENDING):
                if number is None:
                    continue
                # A handler of somebody else's, or one that was switched off (`nohup`), stays.
                if signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
                    self._former[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        while self._former:
            number, former = self._former.popitem()
            signal.signal(number, former)

    @contextlib.contextmanager
    def allowed(self) -> Iterator[None]:
        """Let an interrupt be raised within, or now if there was one.

        In another thread than the main one, which gets no signals, this does nothing.
        """
        if not self._former or threading.current_thread() is not threading.main_thread():
            yield
            return
        self._may_raise = True
        try:
            if self._is_pending:
                self._raise()
            yield
        finally:
            self._may_raise = False

    def _handle(self, number: int, _: FrameType | None) -> None:
        self.is_urgent = number in self.received or (
            number == signal.SIGINT and bool(self.received)
        )
        self.received.append(number)
        if self.is_urgent or self._may_raise:
            self._raise()
        self._is_pending = True

    def _raise(self) -> None:
        self._may_raise = self._is_pending = False
        raise KeyboardInterrupt


def outlive(stream: TextIO) -> None:
    """Where nobody reads a stream any more, let it lead nowhere.

    A reader that went away (`| head`) or a closed terminal would turn each further line
    into an error, and the exit status into a lie about the files.
    """
    if not hasattr(select, "poll"):
        return
    with contextlib.suppress(OSError, ValueError):
        descriptor = stream.fileno()
        poll = select.poll()
        poll.register(descriptor, 0)  # what went wrong is told in any case
        if any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0)):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            try:
                os.dup2(nowhere, descriptor)
            finally:
                os.close(nowhere)
