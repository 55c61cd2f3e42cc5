"""What keeps the process that runs the tests from its supervisor. Sent as text like `inside`.

In a namespace of its own the supervisor is the first process, which the kernel spares
every signal that it has no handler for. Elsewhere, and on top, the tests run in a Landlock
domain whose processes signal and trace nobody outside it, and under a filter of system
calls (`inside_syscalls`).
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
from typing import Any

PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_SET_CHILD_SUBREAPER = 36
PR_SET_NO_NEW_PRIVS = 38
LANDLOCK_CREATE_RULESET = 444  # the same numbers on every architecture
LANDLOCK_RESTRICT_SELF = 446
LANDLOCK_SCOPE_SIGNAL = 1 << 1

_handlers: dict[int, Any] = {}


class FilterRefused(RuntimeError):
    """The kernel did not take the filter, and nothing else filters system calls here."""


def prctl(option: int, value: int) -> bool:
    """Set a property of this process; whether the kernel did."""
    try:
        return bool(ctypes.CDLL(None).prctl(option, value, 0, 0, 0) == 0)
    except (OSError, AttributeError):
        return False


def set_readable(value: bool) -> None:
    """Whether others of the same user may read this process's memory, files and variables."""
    prctl(PR_SET_DUMPABLE, int(value))


def adopt_orphans() -> None:
    """Become the parent of whatever descends from this process and loses its own."""
    prctl(PR_SET_CHILD_SUBREAPER, 1)


def put_handlers_aside() -> None:
    """Leave every signal that Python handles to the kernel, until `confine` takes it back.

    The first process of a namespace gets from those in it only the signals that it handles.
    """
    for number in signal.valid_signals():
        handler = signal.getsignal(number)
        if callable(handler) and not isinstance(handler, signal.Handlers):
            _handlers[number] = handler
            signal.signal(number, signal.SIG_DFL)


def confine(setup: dict[str, Any], output_fd: int, syscalls: Any) -> None:
    """Make the forked process one that cannot flood, outlive or touch its supervisor.

    Args:
        setup: What the host said when it started the sandbox.
        output_fd: Where its standard output and error go.
        syscalls: The module `inside_syscalls`.

    Raises:
        FilterRefused: The kernel takes no filter, and there must be one.
    """
    supervisor = os.getppid()
    os.setsid()
    set_readable(True)  # the process that runs the tests is as any other
    prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL))  # it dies with its supervisor
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.dup2(output_fd, 1)
    os.dup2(output_fd, 2)
    os.close(output_fd)
    os.close(null)
    for number, handler in _handlers.items():
        signal.signal(number, handler)
    limits = setup["limits"]
    for name, value in (
        (resource.RLIMIT_FSIZE, limits["file_bytes"]),
        (resource.RLIMIT_NOFILE, limits["open_files"]),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_DATA, limits["data_bytes"]),
    ):
        if value is None:
            continue
        _, hard = resource.getrlimit(name)
        if hard != resource.RLIM_INFINITY:
            value = min(value, hard)
        resource.setrlimit(name, (value, value))
    # When memory runs out the kernel is to take this process, never the supervisor.
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
        file.write("1000")
    prctl(PR_SET_NO_NEW_PRIVS, 1)
    enter_domain()
    if not syscalls.install(supervisor) and setup["must_filter"]:
        raise FilterRefused("the kernel takes no filter of system calls")


def enter_domain() -> bool:
    """Enter a Landlock domain from which nobody outside is signalled; whether there is one.

    It forbids nothing else but tracing, and reading the memory of, processes outside it.
    """
    rules = (ctypes.c_uint64 * 3)(0, 0, LANDLOCK_SCOPE_SIGNAL)  # files, network, scopes
    try:
        libc = ctypes.CDLL(None)
        fd = libc.syscall(LANDLOCK_CREATE_RULESET, ctypes.byref(rules), ctypes.sizeof(rules), 0)
        if fd < 0:
            return False  # a kernel before 6.12
        try:
            return bool(libc.syscall(LANDLOCK_RESTRICT_SELF, fd, 0) == 0)
        finally:
            os.close(fd)
    except (OSError, AttributeError):
        return False
