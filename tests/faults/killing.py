"""Kills a process (signal 9) at a chosen one of its steps on files.

A step is a call of one of the `os` functions below, or of `exchange`, with the folder in its
path, or with a descriptor that such a call gave. Each step has a moment before it and one
after it, and a write has one in its middle, with half of the bytes written.
"""

from __future__ import annotations

import functools
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pytest_selfheal.source import replacing

WITH_PATHS = (
    "open",
    "replace",
    "rename",
    "unlink",
    "remove",
    "mkdir",
    "rmdir",
    "chmod",
    "chown",
    "link",
    "symlink",
    "truncate",
    "setxattr",
    "removexattr",
    "utime",
)
WITH_DESCRIPTORS = ("write", "fsync", "ftruncate", "fchmod", "fchown")

_plain_write = os.write


class Steps:
    """Counts the moments of this process, and ends it at one of them."""

    def __init__(self, folders: list[Path], kill_at: int = 0) -> None:
        """Begin to count.

        Args:
            folders: Which paths count.
            kill_at: The number of the moment, from 1; 0 for none.
        """
        self.moments = 0
        self.names: list[str] = []
        """What each step was: the function, and the file."""
        self.calls: list[tuple[str, tuple[str, ...]]] = []
        """Each call with the paths that it concerns."""
        self._folders = [os.path.realpath(folder) for folder in folders]
        self._kill_at = kill_at
        self._descriptors: dict[int, str] = {}
        for name in (*WITH_PATHS, *WITH_DESCRIPTORS):
            if hasattr(os, name):
                setattr(os, name, self._counted(name, getattr(os, name)))
        ours: Any = replacing
        ours.exchange = self._counted("exchange", ours.exchange)

    def _counted(self, name: str, plain: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(plain)
        def counted(*arguments: Any, **named: Any) -> Any:
            paths = self._paths(name, arguments)
            if not paths:
                return plain(*arguments, **named)
            self.calls.append((name, paths))
            self._moment(f"before {name} {Path(paths[0]).name}")
            if name == "write" and len(arguments[1]) > 1:
                half = len(arguments[1]) // 2
                if self._kill_at == self.moments + 1:
                    plain(arguments[0], arguments[1][:half])
                self._moment(f"in the middle of write {Path(paths[0]).name}")
            result = plain(*arguments, **named)
            if name == "open":
                self._descriptors[result] = paths[0]
            self._moment(f"after {name} {Path(paths[0]).name}")
            return result

        return counted

    def _paths(self, name: str, arguments: tuple[Any, ...]) -> tuple[str, ...]:
        if name in WITH_DESCRIPTORS:
            known = self._descriptors.get(arguments[0])
            return (known,) if known is not None else ()
        names = [
            os.path.abspath(os.fsdecode(each))
            for each in arguments[:2]
            if isinstance(each, (str, bytes, os.PathLike))
        ]
        return tuple(each for each in names if self._counts(each))

    def _counts(self, path: str) -> bool:
        return any(path == each or path.startswith(each + os.sep) for each in self._folders)

    def _moment(self, name: str) -> None:
        self.moments += 1
        self.names.append(name)
        if self.moments == self._kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
