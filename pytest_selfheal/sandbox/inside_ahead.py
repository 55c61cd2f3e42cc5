"""Reads from one file what the sandboxes before have read while they started.

Sent as text, before `inside`. Where each look at a file asks a supervisor, these looks cost
more than all else that a start does. It may import nothing that costs one.
"""

from __future__ import annotations

import marshal
import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any


class Ahead:
    """What was read ahead, and what had to be read all the same.

    Modules are still looked for and checked against their sources by Python itself: what it
    is given is the content of files, the names in a folder and what `os.stat` says, and
    only within a `with` block.
    """

    def __init__(self, path: str | None) -> None:
        """Read the file that the host made; without one, only note what is read."""
        self._files: dict[str, bytes | None] = {}
        self._folders: dict[str, list[str]] = {}
        self._stats: dict[str, tuple[float, ...] | None] = {}
        self._noted: dict[str, dict[str, None]] = {"files": {}, "folders": {}, "stats": {}}
        external: Any = sys.modules["_frozen_importlib_external"]
        self._loader, self._system = external.FileLoader, external._os
        self._get_data = self._loader.get_data
        self._listdir, self._stat = self._system.listdir, self._system.stat
        if path is not None:
            with open(path, "rb") as file:
                self._files, self._folders, self._stats = marshal.load(file)  # noqa: S302 - the host's

    def __enter__(self) -> None:
        """Have imports read by way of this."""

        def get_data(loader: Any, path: str) -> bytes:
            self._noted["files"][path] = None
            data = self._files.get(path)
            return self._get_data(loader, path) if data is None else data

        self._loader.get_data = get_data
        self._system.listdir, self._system.stat = self._names_in, self._stat_of

    def __exit__(self, *_: object) -> None:
        self._loader.get_data = self._get_data
        self._system.listdir, self._system.stat = self._listdir, self._stat

    def knows(self, folder: str, name: str) -> bool:
        """Whether it is known what a file of a package's metadata holds, or that there is none."""
        path = os.path.join(folder, name)
        self._noted["files"][path] = None
        return path in self._files

    def text(self, folder: str, name: str) -> str | None:
        """That text, None where there is no such file."""
        data = self._files[os.path.join(folder, name)]
        return None if data is None else data.decode()

    def forget(self) -> None:
        """Let go of what was read ahead, once nothing more is looked for."""
        for held in (self._files, self._folders, self._stats):
            held.clear()

    def noted(self) -> dict[str, list[str]]:
        """What was asked for until now, for the host to read ahead."""
        return {kind: list(names) for kind, names in self._noted.items()}

    def _names_in(self, path: str) -> list[str]:
        self._noted["folders"][path] = None
        names = self._folders.get(path)
        return self._listdir(path) if names is None else names

    def _stat_of(self, path: Any, **given: Any) -> os.stat_result:
        if given or not isinstance(path, str):
            return self._stat(path, **given)  # type: ignore[no-any-return]
        self._noted["stats"][path] = None
        if path not in self._stats:
            return self._stat(path)  # type: ignore[no-any-return]
        found = self._stats[path]
        if found is None:
            raise FileNotFoundError(path)
        return os.stat_result(found)
