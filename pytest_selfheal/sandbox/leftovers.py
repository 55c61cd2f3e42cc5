"""What sandboxes on this machine leave, named so that it can be cleared away.

A run that ends in order clears up by itself. Of one that was killed, a janitor that
outlives it ends the processes and removes the folders; what even it could not do, the
next run does.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

_PREFIX = "pytest-selfheal-"

# Runs on its own, so that it needs nothing of ours: waits until its standard input ends.
_JANITOR = """\
import os, shutil, sys
folder = sys.argv[1]
sys.stdin.buffer.read()
mark = bytes(1) + b"TMPDIR=" + os.fsencode(folder) + b"/"
for name in os.listdir("/proc"):
    if name.isdigit():
        try:
            with open("/proc/" + name + "/environ", "rb") as file:
                if mark in bytes(1) + file.read():
                    os.kill(int(name), 9)
        except OSError:
            pass
shutil.rmtree(folder, ignore_errors=True)
"""


class Premises:
    """A folder for all sandboxes of one launcher, and who clears it when its owner dies."""

    def __init__(self) -> None:
        """Make the folder, start the janitor, and clear away what dead runs left."""
        remove_leftovers()
        self.folder = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-"))
        self.folder.chmod(0o711)  # whom the code runs as must get to its own part
        self._janitor = subprocess.Popen(  # noqa: S603 - a list, without a shell
            [sys.executable, "-I", "-S", "-c", _JANITOR, str(self.folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is not meant for it
        )

    def make_room(self) -> Path:
        """A fresh folder for one sandbox."""
        room = Path(tempfile.mkdtemp(dir=self.folder))
        room.chmod(0o711)
        return room

    def close(self) -> None:
        """Clear all away, now."""
        assert self._janitor.stdin is not None
        with contextlib.suppress(OSError):
            self._janitor.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._janitor.wait(10)


def remove_leftovers() -> None:
    """End the processes and remove the folders of owners that have gone."""
    for path in leftover_folders():
        _end_processes_in(path)
        shutil.rmtree(path, ignore_errors=True)


def leftover_folders() -> list[Path]:
    """The folders of owners that have gone."""
    found = Path(tempfile.gettempdir()).glob(f"{_PREFIX}*-*")
    return [path for path in found if is_of_the_dead(path.name)]


def is_of_the_dead(name: str) -> bool:
    """Whether a name made here holds the number of a process that is no more."""
    pid = name.removeprefix(_PREFIX).partition("-")[0]
    return pid.isdigit() and not Path(f"/proc/{pid}").exists()


def _end_processes_in(folder: Path) -> None:
    mark = bytes(1) + b"TMPDIR=" + os.fsencode(folder) + b"/"
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            with contextlib.suppress(OSError):
                if mark in bytes(1) + (process / "environ").read_bytes():
                    os.kill(int(process.name), signal.SIGKILL)
