"""What a process that a test started needs, to tell which watched functions it enters.

Its text stands at the top of each module with watched functions that a Python child of the
tests imports. It runs on the standard library alone, and nothing in it may fail a child.
"""

from __future__ import annotations

import builtins
import importlib
import mmap
import os
from typing import Any

NAME = "__selfheal_entered__"
NOTED = "__selfheal_noted__"
STUB = "__selfheal_stub__"
"""What the compiled-in calls ask `builtins` for."""


class Marks:
    """One byte for each watched function, mapped from a file: not 0 where it was entered."""

    def __init__(self, path: str) -> None:
        self.noted: set[int] = set()
        self._bytes: Any = bytearray(0)
        self._stubs: dict[tuple[str, int], int] = {}
        try:
            fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
            try:
                self._bytes = mmap.mmap(fd, 0)
            finally:
                os.close(fd)
        except (OSError, ValueError):
            pass  # it is noted nowhere, then

    def entered(self, number: int) -> None:
        """A watched function was entered."""
        self.noted.add(number)
        if number < len(self._bytes):
            self._bytes[number] = 1

    def stub_entered(self, number: int, module: str, name: str, path: str, line: int) -> None:
        """An `@heal` stub was entered, which has the body of its stand-in."""
        self.entered(number)
        marker: Any = importlib.import_module("pytest_selfheal.marker")
        raise marker.StubCalled(f"{module}.{name}", path, line)

    def watch_stubs(self, stubs: dict[tuple[str, int], int]) -> None:
        """Have the stand-ins of `@heal` stubs tell: their bodies stay as they are."""
        self._stubs.update(stubs)
        try:
            marker: Any = importlib.import_module("pytest_selfheal.marker")
        except ImportError:
            return
        if marker.entered is None:
            marker.entered = self._stub_called

    def _stub_called(self, code: Any) -> None:
        place = os.path.realpath(code.co_filename), code.co_firstlineno
        if place in self._stubs:
            self.entered(self._stubs[place])


def install(path: str, stubs: dict[tuple[str, int], int]) -> None:
    """Make ready for a module whose functions are watched, before it defines any."""
    entered: Any = getattr(builtins, NAME, None)
    if entered is None:
        made = Marks(path)
        entered = made.entered
        setattr(builtins, NOTED, made.noted)
        setattr(builtins, STUB, made.stub_entered)
        setattr(builtins, NAME, entered)
    marks = getattr(entered, "__self__", None)
    if stubs and isinstance(marks, Marks):
        marks.watch_stubs(stubs)
