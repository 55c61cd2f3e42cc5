"""What is going on while healing: a few lines drawn anew in place; elsewhere one now and then.

Nothing here raises: a terminal that went away, or cannot show a character, must not end
a run that costs money.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from types import TracebackType
from typing import TYPE_CHECKING, TextIO

from pytest_selfheal.records import Status
from pytest_selfheal.report._text import one_line
from pytest_selfheal.report.live_lines import Counts, Work, totals_line

if TYPE_CHECKING:
    from pytest_selfheal.report.live_area import LiveArea

_SPINNER = "|/-\\"
_COLOURS: dict[Status, str] = {
    "healed": "green",
    "unhealed": "red",
    "rejected": "red",
    "unreached": "yellow",
    "skipped": "yellow",
}
_GONE = (OSError, ValueError, LookupError, AttributeError)
"""What a stream raises that is closed, or no terminal after all."""
_REFRESH_SECONDS = 0.125
_COUNT_SECONDS = 0.25
"""Counting goes through all tests, so it is not done for every step."""
_PLAIN_WIDTH = 200
_UNKNOWN_SECONDS = 10.0
"""How long a wait is shown of which nobody knows how long it takes."""
_PLAIN_SECONDS = 15.0
"""How often a line tells that the run goes on, where nothing can be redrawn."""


class Progress:
    """Shows what is being worked on. All methods may be called from any thread.

    It draws where the stream is a terminal that can move its cursor. Elsewhere it writes a
    plain line for what a reader of a log must know: a wait, a stub that was given up, and
    now and then how far it is. At `-q` it writes nothing at all.

    Args:
        stream: Where pytest's terminal reporter writes.
        verbosity: pytest's; below 0 nothing is shown.
        color: Whether finished stubs are shown in colours.
        refresh_seconds: How often the seconds move on; None for no thread, so that
            lines change only when something is told.
        clock: Gives seconds.
        spent: Gives what was asked of the model so far, in a few words each.
    """

    def __init__(
        self,
        stream: TextIO,
        *,
        verbosity: int = 0,
        color: bool = True,
        refresh_seconds: float | None = _REFRESH_SECONDS,
        clock: Callable[[], float] = time.monotonic,
        spent: Callable[[], Sequence[str]] = tuple,
    ) -> None:
        self._stream = stream
        self._color = color
        self._refresh_seconds = refresh_seconds
        self._clock = clock
        self._spent = spent
        self._draws = verbosity >= 0 and _can_redraw(stream)
        self._tells = verbosity >= 0 and not self._draws
        self._lock = threading.RLock()
        self._work: dict[str, Work] = {}
        self._waits: dict[str, tuple[float, float]] = {}
        """Until when each reason holds requests back, and how long that was to be."""
        self._quiet_until: dict[str, float] = {}
        """Until when no plain line tells of a reason again."""
        self._counts = Counts()
        self._counted = self._told = self._started = clock()
        self._is_counted = False
        self._area: LiveArea | None = None
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

    def wants_counts(self) -> bool:
        """Whether it is time to count again."""
        is_shown = self._draws or self._tells
        return is_shown and self._clock() - self._counted >= _COUNT_SECONDS

    def count(self, counts: Counts) -> None:
        """Tell how far the heal is."""
        with self._lock:
            self._counts = counts
            self._counted = self._clock()
            if not self._is_counted:
                self._is_counted = True
                self._started = self._told = self._counted
            self._start_thread()
            self._redraw()

    def stage(
        self,
        target: str,
        attempt: int,
        of_attempts: int,
        what: str,
        detail: str = "",
        tests: tuple[int, int] | None = None,
    ) -> None:
        """Tell what is done for a stub or group now: asking, verifying, confirming.

        Args:
            target: Its name.
            attempt: Which reply this is about; 0 where it is about none.
            of_attempts: How many there may be.
            what: What is done.
            detail: More on that.
            tests: How many of its tests were green the last time, and of how many.
        """
        with self._lock:
            now = self._clock()
            self._work[target] = Work(attempt, of_attempts, what, detail, now, tests)
            self._start_thread()
            self._redraw()

    def waiting(self, seconds: float, reason: str) -> None:
        """Tell that requests are held back so long (0 for nobody knows), and why.

        A plain line says it once for a wait, however many requests are in it.
        """
        with self._lock:
            now = self._clock()
            until = now + (seconds or _UNKNOWN_SECONDS)
            self._waits[reason] = (max(until, self._waits.get(reason, (0.0, 0.0))[0]), seconds)
            if self._tells and self._quiet_until.get(reason, now) <= now:
                self._quiet_until[reason] = max(until, now + _UNKNOWN_SECONDS)
                length = f" {seconds:.0f} s" if seconds >= 1 else ""
                self._tell(f"waiting{length}: {reason}")
            self._redraw()

    def done(self, target: str, status: Status, detail: str = "") -> None:
        """Tell how a stub ended; the line stays on the terminal, as much as one row has room for.

        The summary has the rest of it.
        """
        with self._lock:
            self._work.pop(target, None)
            line = f"{status:<9} {one_line(target)}"
            if detail:
                line += f"  {one_line(detail)}"
            self._print_above(line, _COLOURS[status], len(status))

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
            self._draws = self._tells = False

    # --- drawing: all below is called with the lock held -------------------------------

    def _start_thread(self) -> None:
        is_shown = self._draws or self._tells
        if self._thread is not None or not is_shown or self._refresh_seconds is None:
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
                if self._tells and self._clock() - self._told >= _PLAIN_SECONDS:
                    self._tell(self._state())

    def _state(self) -> str:
        """How far it is, in one plain line."""
        if self._is_counted:
            return self._totals(_PLAIN_WIDTH, "; ").removeprefix("selfheal: ")
        now = self._clock()
        return "; ".join(
            f"{work.what} {name}, {now - work.since:.0f}s" for name, work in self._work.items()
        )

    def _tell(self, line: str) -> None:
        self._told = self._clock()
        self._write(f"selfheal: {one_line(line)}\n")

    def _redraw(self) -> None:
        if self._draws and not self._paused:
            self._on_terminal(self._draw)

    def _print_above(self, line: str, style: str = "", styled: int = 0) -> None:
        if self._draws:
            self._redraw()
            self._on_terminal(lambda area: area.print_above(line, style, styled))
        elif self._tells:
            self._write(f"selfheal: {line}\n")

    def _erase(self) -> None:
        if self._area is not None:
            self._on_terminal(lambda area: area.clear())

    def _on_terminal(self, do: Callable[[LiveArea], None]) -> None:
        if self._area is None:
            # It takes a moment, and is of no use where there is no terminal.
            from pytest_selfheal.report.live_area import LiveArea

            self._area = LiveArea(self._stream, color=self._color, size=_size)
        try:
            do(self._area)
        except _GONE:
            self._area = None
            self._draws = self._tells = False

    def _draw(self, area: LiveArea) -> None:
        """Show each stub at work, the waits and the totals, as far as there is room for them."""
        now = self._clock()
        self._waits = {reason: wait for reason, wait in self._waits.items() if wait[0] > now}
        if not self._work and not self._waits:
            area.clear()
            return
        width, rows = area.room()
        spinner = _SPINNER[self._frame % len(_SPINNER)]
        below = []
        for reason, (until, seconds) in self._waits.items():
            left = f" {until - now:.0f} s" if seconds >= 1 else ""
            below.append(f"{spinner} waiting{left}: {one_line(reason)}")
        if self._is_counted:
            below.append(self._totals(width))
        below = below[-rows:]
        # Half of the terminal is left for what stays above.
        room = min(max(1, (rows - 1) // 2), rows - len(below))
        told, number = self._work, len(self._work)
        if number > room:
            told = dict(islice(told.items(), max(0, room - 1)))
            below[:0] = [f"  and {number - len(told)} more"][:room]
        area.draw(told, below, now=now, spinner=spinner)

    def _totals(self, width: int, gap: str = "  ") -> str:
        try:
            spent = self._spent()
        except Exception:  # noqa: BLE001 - another's model, asked for a mere line
            spent = ()
        return totals_line(self._counts, spent, self._clock() - self._started, width, gap=gap)

    def _write(self, text: str) -> None:
        try:
            encoding = getattr(self._stream, "encoding", None) or "utf-8"
            self._stream.write(text.encode(encoding, "replace").decode(encoding))
            self._stream.flush()
        except _GONE:
            self._draws = self._tells = False


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
