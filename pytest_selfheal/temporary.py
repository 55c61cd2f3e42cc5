"""A temporary file beside the one that it is to replace, and those that killed processes left."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


def temporary_beside(target: Path) -> Path:
    """Where this process writes what then replaces a file; its predecessors' are removed."""
    start, end = f".{target.name}.", ".tmp"
    with contextlib.suppress(OSError):
        for beside in target.parent.iterdir():
            if beside.name.startswith(start) and beside.name.endswith(end):
                pid = beside.name[len(start) : -len(end)]
                if pid.isdecimal() and is_gone(int(pid)):
                    beside.unlink()
    return target.with_name(f"{start}{os.getpid()}{end}")


def is_gone(pid: int) -> bool:
    """Whether a process has ended; False where that cannot be told."""
    if os.name != "posix" or not 0 < pid < 2**31:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False
