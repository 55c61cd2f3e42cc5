"""Folders of a sandbox on this machine, named so that the next run can clear them away."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

_PREFIX = "pytest-selfheal-"


def make_folder() -> Path:
    """A fresh folder of this process."""
    return Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-"))


def remove_leftovers() -> None:
    """Remove the folders of processes that have gone."""
    for path in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*-*"):
        if is_of_the_dead(path.name):
            shutil.rmtree(path, ignore_errors=True)


def is_of_the_dead(name: str) -> bool:
    """Whether a name made here holds the number of a process that is no more."""
    pid = name.removeprefix(_PREFIX).partition("-")[0]
    return pid.isdigit() and not Path(f"/proc/{pid}").exists()
