"""The channel of a confined process on this machine: two pipes, and an eye on its use."""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import threading
import time
from pathlib import Path

from pytest_selfheal.records import Limits

_LOOK_SECONDS = 0.1
MAX_FILES = 65536
"""How many files and folders a sandbox may make, where a file system does not limit them."""


class PipeChannel:
    """The pipes of a confined process; a launcher's own says how to end it.

    What a launcher cannot limit by itself is looked at while an answer is awaited: the
    first thing over its limit ends the process and is what `explain_death` tells.
    """

    def __init__(self, stdin_fd: int, stdout_fd: int, folder: Path, limits: Limits) -> None:
        """Take over the pipes and the process's folder, which is removed at the end."""
        self._in = stdin_fd
        self._out = stdout_fd
        self._folder = folder
        self._limits = limits
        self._lock = threading.Lock()
        self._destroyed = False
        self._verdict: tuple[str, str] | None = None
        os.set_blocking(self._in, False)
        os.set_blocking(self._out, False)

    def send(self, data: bytes, deadline: float) -> None:
        view = memoryview(data)
        while view:
            left = max(0.0, deadline - time.monotonic())
            _, writable, _ = select.select([], [self._in], [], left)
            if not writable:
                raise TimeoutError
            view = view[os.write(self._in, view) :]

    def receive(self, size: int, deadline: float) -> bytes:
        while True:
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError
            readable, _, _ = select.select([self._out], [], [], min(left, _LOOK_SECONDS))
            if readable:
                part = os.read(self._out, size)
                if not part:
                    raise EOFError
                return part
            if self._verdict is None:
                self._verdict = self.over_limit()
                if self._verdict is not None:
                    self.kill()

    def destroy(self) -> None:
        with self._lock:
            if self._destroyed:
                return
            self._destroyed = True
        with contextlib.suppress(Exception):
            self.kill()
        with contextlib.suppress(Exception):
            self.reap()
        shutil.rmtree(self._folder, ignore_errors=True)

    def explain_death(self) -> tuple[str, str]:
        if self._verdict is not None:
            return self._verdict
        if self._destroyed:
            return "sandbox-failed", "the confined process was ended"
        return "crashed", self.last_words() or "the code ended its sandbox's supervisor"

    def over_limit(self) -> tuple[str, str] | None:
        """The ending and why, if something of the process is over its limit now."""
        size, files = size_of(self._folder)
        if size > self._limits.disk_bytes:
            return "crashed", f"more than {self._limits.disk_bytes // 2**20} MiB written to disk"
        if files > MAX_FILES:
            return "crashed", f"more than {MAX_FILES} files written to disk"
        return None

    def last_words(self) -> str:
        """What the process itself said last, in a line."""
        return ""

    def kill(self) -> None:
        """End the process and all it started, at once."""
        raise NotImplementedError

    def reap(self) -> None:
        """Wait for its end and let go of the pipes."""
        raise NotImplementedError


def size_of(folder: Path) -> tuple[int, int]:
    """What the files below a folder take up on the disk, in bytes, and how many they are."""
    total = number = 0
    for parent, folders, files in os.walk(folder):
        number += len(folders) + len(files)
        if number > MAX_FILES:
            break
        for name in files:
            with contextlib.suppress(OSError):
                total += Path(parent, name).lstat().st_blocks * 512
    return total, number
