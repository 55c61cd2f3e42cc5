"""What is going on while healing: a few lines redrawn in place, on a terminal alone.

Nothing here raises: a terminal that went away, or cannot show a character, must not end
a run that costs money.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import TextIO

from pytest_selfheal.records import Status
from pytest_selfheal.report._text import cut, one_line

_SPINNER = "|/-\\"
_COLOURS: dict[Status, int] = {
    "healed": 32,
    "unhealed": 31,
    "rejected": 31,
    "unreached": 33,
    "skipped": 33,
}
_REFRESH_SECONDS = 0.125


@dataclass(slots=True)
class _Work:
    """Where one stub or group is."""

    attempt: int
    of_attempts: int
    what: str
    detail: str
    since: float


class Progress:
    """Shows what is being worked on. All methods may be called from any thread.

    It draws only where the stream is a terminal that can move its cursor, and never at
    `-q`; it counts all the same elsewhere.

    Args:
        stream: Where pytest's terminal reporter writes.
        verbosity: pytest's; below 0 nothing is shown.
        color: Whether finished stubs are shown in colours.
        refresh_seconds: How often the seconds move on; None for no thread, so that
            lines change only when something is told.
        clock: Gives seconds.
    """

    def __init__(
        self,
        stream: TextIO,
        *,
        verbosity: int = 0,
        color: bool = True,
        refresh_seconds: float | None = _REFRESH_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stream = stream
        self._color = color
        self._refresh_seconds = refresh_seconds
        self._clock = clock
        self._draws = verbosity >= 0 and _can_redraw(stream)
        self._lock = threading.RLock()
        self._work: dict[str, _Work] = {}
        self._total = 0
        self._finished = 0
        self._started = clock()
        self._drawn = 0
        self._frame = 0
        self._paused = 0
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def finished(self) -> int:
        """How many stubs are done, in whatever way."""
        return self._finished

    def start(self, total: int) -> None:
        """Begin: so many stubs are to be healed. May be called again when more turn up."""
        with self._lock:
            self._total = total
            if self._thread is None and not self._stopped.is_set():
                self._started = self._clock()
                self._start_thread()
            self._redraw()

    def stage(
        self, target: str, attempt: int, of_attempts: int, what: str, detail: str = ""
    ) -> None:
        """Tell what is done for a stub or group now: asking, verifying, confirming, waiting.

        An attempt of 0 is not shown.
        """
        with self._lock:
            self._work[target] = _Work(attempt, of_attempts, what, detail, self._clock())
            self._redraw()

    def done(self, target: str, status: Status, detail: str = "") -> None:
        """Tell how a stub ended; the line stays on the terminal."""
        with self._lock:
            self._work.pop(target, None)
            self._finished += 1
            code = _COLOURS.get(status, 0)
            word = f"\x1b[{code}m{status:<9}\x1b[0m" if self._color and code else f"{status:<9}"
            line = f"{word} {one_line(target)}"
            self._print_above(f"{line}  {one_line(detail)}" if detail else line)

    def drop(self, target: str) -> None:
        """Take away the line of a group that goes on under its stubs' own names."""
        with self._lock:
            self._work.pop(target, None)
            self._redraw()

    def note(self, text: str) -> None:
        """Tell something in one line that stays on the terminal."""
        with self._lock:
            self._print_above(one_line(text))

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Leave the terminal to somebody else (a question to the reviewer) meanwhile."""
        with self._lock:
            self._erase()
            self._paused += 1
        try:
            yield
        finally:
            with self._lock:
                self._paused -= 1
                self._redraw()

    def close(self) -> None:
        """Take the lines away and draw no more; may be called twice."""
        self._stopped.set()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout=2)
        with self._lock:
            self._erase()
            self._draws = False

    # --- drawing: all below is called with the lock held -------------------------------

    def _start_thread(self) -> None:
        if not self._draws or self._refresh_seconds is None:
            return
        thread = threading.Thread(target=self._refresh, name="selfheal-progress", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # no thread to be had: the lines then change less often
            return
        self._thread = thread

    def _refresh(self) -> None:
        while not self._stopped.wait(self._refresh_seconds):
            with self._lock:
                self._frame += 1
                self._redraw()

    def _redraw(self) -> None:
        if self._draws and not self._paused and not self._stopped.is_set():
            lines = self._lines()
            self._write(self._up() + "".join(f"{line}\n" for line in lines))
            self._drawn = len(lines)

    def _print_above(self, line: str) -> None:
        if self._draws:
            self._write(f"{self._up()}{line}\n")
            self._drawn = 0
            self._redraw()

    def _erase(self) -> None:
        if self._draws and self._drawn:
            self._write(self._up())
            self._drawn = 0

    def _up(self) -> str:
        """Back to the first of the drawn lines, with all below it cleared."""
        return f"\x1b[{self._drawn}A\r\x1b[J" if self._drawn else ""

    def _lines(self) -> list[str]:
        if not self._work and self._finished >= self._total:
            return []
        columns, rows = _size(self._stream)
        room = max(1, rows // 2 - 1)
        now = self._clock()
        spinner = _SPINNER[self._frame % len(_SPINNER)]
        head = f"selfheal: {self._finished} of {self._total} done  {now - self._started:.0f}s"
        shown = [self._line(name, work, now, spinner) for name, work in self._work.items()]
        if len(shown) > room:
            shown = [*shown[: room - 1], f"  and {len(shown) - room + 1} more"]
        # The last column is left free: some terminals wrap as soon as it is written.
        return [cut(line, columns - 1) for line in (head, *shown)]

    def _line(self, target: str, work: _Work, now: float, spinner: str) -> str:
        parts = [f"{spinner} {one_line(target)}"]
        if work.attempt:
            parts.append(f"attempt {work.attempt} of {work.of_attempts}")
        parts.append(one_line(f"{work.what} {work.detail}"))
        parts.append(f"{now - work.since:.0f}s")
        return "  ".join(parts)

    def _write(self, text: str) -> None:
        try:
            encoding = getattr(self._stream, "encoding", None) or "utf-8"
            self._stream.write(text.encode(encoding, "replace").decode(encoding))
            self._stream.flush()
        except (OSError, ValueError, LookupError):  # closed, gone, or not a terminal after all
            self._draws = False


def _can_redraw(stream: TextIO) -> bool:
    if os.environ.get("TERM", "") == "dumb":
        return False
    try:
        return stream.isatty()
    except (OSError, ValueError, AttributeError):
        return False


def _size(stream: TextIO) -> tuple[int, int]:
    """Columns and rows; what cannot be found out is 80 and 24."""
    try:
        size = os.get_terminal_size(stream.fileno())
    except (OSError, ValueError, AttributeError):
        return 80, 24
    return size.columns or 80, size.lines or 24
