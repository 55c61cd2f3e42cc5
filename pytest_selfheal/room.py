"""Room for a heal in this process, where `ulimit -v` or `ulimit -d` bounds what it may map.

Where memory runs out in the middle of starting a thread or of loading a library, nobody can
catch it: CPython's `Thread.start` waits for ever, the C library aborts. So there is room for
all that a heal maps, or none is begun.
"""

from __future__ import annotations

import contextlib
import mmap
from pathlib import Path

MIB = 2**20
HEAL_BYTES = 128 * MIB
"""What libraries, code and texts were seen to map, and a third more; threads not counted."""
RUN_BYTES = 64 * MIB
"""For the tests that run before it."""
THREADS_BESIDE = 8
"""Threads of a heal beside those of its jobs, each of which may have two."""
USUAL_STACK_BYTES = 8 * MIB

_STATM = Path("/proc/self/statm")
_M_ARENA_MAX = -8  # glibc's malloc.h


def room_problem(jobs: int, *, is_before_tests: bool) -> str | None:
    """Why a heal of so many jobs would not fit into this process, in one line; None if it does."""
    try:
        import resource

        used = dict(zip(("v", "d"), _mapped(), strict=True))
        limits = {"v": resource.RLIMIT_AS, "d": resource.RLIMIT_DATA}
        stack, _ = resource.getrlimit(resource.RLIMIT_STACK)
        bounds = {letter: resource.getrlimit(limit)[0] for letter, limit in limits.items()}
    except (ImportError, AttributeError, OSError, ValueError):
        return None  # no such limits here, or nothing says what is used of them
    if stack == resource.RLIM_INFINITY:
        stack = USUAL_STACK_BYTES
    needed = HEAL_BYTES + (2 * jobs + THREADS_BESIDE) * stack + is_before_tests * RUN_BYTES
    for letter, bound in bounds.items():
        if bound != resource.RLIM_INFINITY and bound - used[letter] < needed:
            enough = (used[letter] + needed) // (16 * MIB) * 16 + 32
            return (
                f"`ulimit -{letter} {bound // 1024}` leaves too little memory for a heal with "
                f"--selfheal-jobs={jobs}: raise it to {enough * 1024}, or heal with fewer jobs"
            )
    return None


def spare_room() -> None:
    """Where room is bounded, keep threads from reserving 64 MiB each for what they allocate.

    To be called before they are started; glibc alone does that.
    """
    with contextlib.suppress(ImportError, AttributeError, OSError):
        import resource

        if resource.getrlimit(resource.RLIMIT_AS)[0] != resource.RLIM_INFINITY:
            import ctypes

            ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 1)


def _mapped() -> tuple[int, int]:
    """The bytes that this process has mapped, and those of them that are its data."""
    pages = _STATM.read_text(encoding="ascii").split()
    return int(pages[0]) * mmap.PAGESIZE, int(pages[5]) * mmap.PAGESIZE
