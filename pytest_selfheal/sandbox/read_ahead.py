"""Puts what Python reads while a sandbox starts into one file, for those that start later."""

from __future__ import annotations

import contextlib
import marshal
import os
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

MAX_BYTES = 96 * 2**20
MAX_FILES = 20_000
_KINDS = ("files", "folders", "stats")


class ReadAhead:
    """The file, and how it comes to be; may be used by several threads at once."""

    def __init__(self, path: Path, readable: Sequence[str]) -> None:
        """Note where to put it.

        Args:
            path: The file to make, in a folder that sandboxes may read.
            readable: The folders that they may read; nothing else is put into it.
        """
        self._path = path
        self._readable = tuple(os.path.realpath(each) + os.sep for each in readable)
        self._lock = threading.Lock()
        self._is_tried = False
        self.file: str | None = None
        """The finished file's path; None before that, and where it could not be made."""

    def learn(self, noted: Mapping[str, Any] | None) -> None:
        """Make the file, once, of what a sandbox says that it read: `files` and `folders`."""
        with self._lock:
            if self._is_tried or not noted:
                return
            self._is_tried = True
            # Without it a start is slower and no other.
            with contextlib.suppress(OSError, TypeError, KeyError, ValueError):
                self._write({kind: self._names(noted[kind]) for kind in _KINDS})

    def _names(self, given: Any) -> list[str]:
        names = [name for name in given if isinstance(name, str) and Path(name).is_absolute()]
        return [
            each for each in names if (os.path.realpath(each) + os.sep).startswith(self._readable)
        ]

    def _write(self, names: Mapping[str, Sequence[str]]) -> None:
        files: dict[str, bytes | None] = {}
        total = 0
        for name in names["files"][:MAX_FILES]:
            files[name] = data = _content(name)
            total += len(data or b"")
            if total > MAX_BYTES:
                return
        folders = {name: _names_in(name) for name in names["folders"] if Path(name).is_dir()}
        stats = {name: _stat(name) for name in names["stats"]}
        with self._path.open("xb") as out:
            marshal.dump((files, folders, stats), out)
        self._path.chmod(0o444)
        self.file = str(self._path)


def _names_in(name: str) -> list[str]:
    return [each.name for each in Path(name).iterdir()]


def _content(name: str) -> bytes | None:
    try:
        return Path(name).read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None


def _stat(name: str) -> tuple[float, ...] | None:
    try:
        found = Path(name).stat()
        return (*found, found.st_atime, found.st_mtime, found.st_ctime)
    except (FileNotFoundError, NotADirectoryError):
        return None
