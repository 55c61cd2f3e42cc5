"""How the supervisor watches the process that runs the tests. Sent as text like `inside`."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import time
from typing import Any, Protocol

MAX_RESULT_BYTES = 32 * 2**20
TAIL_BYTES = 16 * 2**10
DRAIN_SECONDS = 1.0
"""How long past its deadline what the process wrote is still read."""
END_SECONDS = 2.0
"""How long is waited for what was killed to be gone."""
MAX_DEPTH = 3
"""How deep the records of the forked process are nested: a deeper one is none of ours."""
MAX_STRETCH = 2
"""How many times its own time a process may get on top, for what it waited for a processor."""


class Host(Protocol):
    """What is to be known of the way to the host."""

    def host_has_gone(self) -> bool:
        """Whether nobody waits for an answer any more."""


class Watched:
    """A forked process, with its pipes drained up to a bound and its end awaited."""

    def __init__(
        self, pid: int, result_fd: int, output_fd: int, nonce: str, *, has_all: bool = False
    ) -> None:
        """Watch a process that writes records and output into pipes.

        Args:
            pid: The process.
            result_fd: Where its records come from.
            output_fd: Where its output comes from.
            nonce: What each record begins with.
            has_all: Every other child of this process is the tests', and ends with them.
        """
        self.exit: int | None = None
        self.signal: int | None = None
        self.timed_out = False
        self.flooded = False
        self.lines: list[Any] = []
        self.honest = True
        self.output = ""
        self.marked: list[str] = []
        """What was entered since the last test began."""
        self._pid = pid
        self._has_all = has_all
        self._nonce = nonce
        self._deadline = 0.0
        self._result_fd = result_fd
        self._output_fd = output_fd
        self._data = {result_fd: bytearray(), output_fd: bytearray()}
        self._open = set(self._data)
        for fd in self._data:
            os.set_blocking(fd, False)

    def wait(self, host: Host, deadline: float) -> None:
        """Wait for the end of the process, or end it at the deadline; then read what it said."""
        pause = 0.001
        self._deadline = deadline
        allowed = deadline - time.monotonic()
        while not self._reap():
            if host.host_has_gone():
                self._kill()
                os._exit(0)
            late = time.monotonic() - deadline
            if self.flooded or (
                late > 0 and late > min(waited_seconds(self._pid), MAX_STRETCH * allowed)
            ):
                self._kill()
                os.waitpid(self._pid, 0)
                self.timed_out = not self.flooded
                break
            self._deadline = max(deadline, time.monotonic())
            self._drain(pause)
            pause = min(pause * 2, 0.02)
        self._kill()  # what it left running must not go on writing
        if self._has_all:
            end_the_rest()
        self._drain(0)
        self.lines, self.honest = checked_lines(bytes(self._data[self._result_fd]), self._nonce)
        self.output = self._data[self._output_fd].decode("utf-8", "replace")
        for fd in self._data:
            os.close(fd)

    def _reap(self) -> bool:
        whom = -1 if self._has_all else self._pid
        pid, status = os.waitpid(whom, os.WNOHANG)
        while pid not in (0, self._pid):  # an orphan that came to this process
            pid, status = os.waitpid(whom, os.WNOHANG)
        if pid == 0:
            return False
        if os.WIFSIGNALED(status):
            self.signal = os.WTERMSIG(status)
        else:
            self.exit = os.WEXITSTATUS(status)
        return True

    def _kill(self) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._pid, signal.SIGKILL)

    def _drain(self, timeout: float) -> None:
        if not self._open:
            time.sleep(timeout)
            return
        readable, _, _ = select.select(list(self._open), [], [], timeout)
        while readable and time.monotonic() < self._deadline + DRAIN_SECONDS:
            for fd in readable:
                self._read(fd)
            readable, _, _ = select.select(list(self._open), [], [], 0)
            if self.flooded:
                return

    def _read(self, fd: int) -> None:
        try:
            part = os.read(fd, 2**16)
        except BlockingIOError:
            return
        if not part:
            self._open.discard(fd)
            return
        data = self._data[fd]
        data += part
        if fd == self._result_fd:
            self.flooded = len(data) > MAX_RESULT_BYTES
        elif len(data) > TAIL_BYTES:  # of what it printed, the end is what explains
            del data[: len(data) - TAIL_BYTES]


def end_the_rest() -> None:
    """End every process that tests left, in whatever session it is, and reap it.

    As the first process of a namespace this one may signal all others at once. Elsewhere
    orphans come to it (`inside_confine.adopt_orphans`), and theirs once they have ended.
    """
    deadline = time.monotonic() + END_SECONDS
    while time.monotonic() < deadline:
        try:
            if os.waitpid(-1, os.WNOHANG)[0]:
                continue
        except ChildProcessError:
            return
        if os.getpid() == 1:
            with contextlib.suppress(ProcessLookupError):
                os.kill(-1, signal.SIGKILL)
        else:
            for pid in children():
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL)
        time.sleep(0.001)


def children() -> list[int]:
    """The processes whose parent this one is; it has one thread alone."""
    own = os.getpid()
    with contextlib.suppress(OSError), open(f"/proc/self/task/{own}/children") as file:
        return [int(pid) for pid in file.read().split()]
    return []  # a kernel that does not list them: what holds the sandbox ends them with it


def waited_seconds(pid: int) -> float:
    """How long a process was ready to run and had no processor; 0 where nobody says.

    On a busy machine that is no fault of the code in it. A process that sleeps, or that
    computes, is not waiting in this sense.
    """
    try:
        with open(f"/proc/{pid}/schedstat") as file:
            return int(file.read().split()[1]) / 1e9
    except (OSError, ValueError, IndexError):
        return 0.0


def checked_lines(data: bytes, nonce: str) -> tuple[list[Any], bool]:
    """The records of the forked process; False if anything else was in the pipe."""
    records: list[Any] = []
    lines = data.split(b"\n")
    if lines and lines[-1]:
        lines = lines[:-1]  # cut off by the process's end, which is told of by its status
    for number, line in enumerate(line for line in lines if line):
        given, _, rest = line.partition(b" ")
        counted, _, text = rest.partition(b" ")
        try:
            if given.decode() != nonce or int(counted) != number:
                return records, False
            record = json.loads(text)
        except (ValueError, RecursionError):
            return records, False
        if not isinstance(record, dict) or is_deeper(record, MAX_DEPTH):
            return records, False
        records.append(record)
    return records, True


def is_deeper(value: Any, depth: int) -> bool:
    """Whether lists and dictionaries are nested in each other more than so many deep."""
    if not isinstance(value, (dict, list)):
        return False
    inner = value.values() if isinstance(value, dict) else value
    return depth == 0 or any(is_deeper(each, depth - 1) for each in inner)
