"""The lowest lines of a terminal, drawn anew by rich's `Live`, and what is printed above them."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from typing import IO, TextIO, cast

from rich.console import Console, ConsoleDimensions, ConsoleOptions, Group, RenderResult
from rich.control import Control
from rich.live import Live
from rich.measure import Measurement
from rich.segment import ControlType, Segment
from rich.table import Table
from rich.text import Text

from pytest_selfheal.report._text import cells, one_line
from pytest_selfheal.report.live_lines import NARROW, Work, facts


class LiveArea:
    """Shows lines below all others of a terminal, until they are taken away.

    Whatever the terminal raises (it went away, it is closed) goes through.

    Args:
        stream: The terminal.
        color: Whether styles are shown.
        size: Gives a terminal's columns and rows.
    """

    def __init__(
        self, stream: TextIO, *, color: bool, size: Callable[[TextIO], tuple[int, int]]
    ) -> None:
        self._stream = stream
        self._size = size
        self._console = _Terminal(
            file=cast("IO[str]", _Replacing(stream)),
            color_system="standard" if color else None,
            no_color=not color,
            force_terminal=True,
            force_interactive=True,
            force_jupyter=False,
            legacy_windows=False,
            highlight=False,
            markup=False,
            emoji=False,
        )
        self._live: Live | None = None

    def room(self) -> tuple[int, int]:
        """Columns and rows that there are for lines."""
        columns, rows = self._size(self._stream)
        # The last column is left free: some terminals wrap as soon as it is written. What
        # is scrolled away cannot be written over any more.
        return max(1, columns - 1), max(1, rows - 1)

    def draw(
        self, works: Mapping[str, Work], below: Sequence[str], *, now: float, spinner: str
    ) -> None:
        """Show stubs and groups at work in columns, and lines below them, for what is shown."""
        self._fit()
        texts = [Text(line, no_wrap=True, overflow="ellipsis") for line in below]
        shown = Group(_table(works, now, spinner, self._console.width), *texts)
        if self._live is None:
            self._live = Live(
                console=self._console,
                auto_refresh=False,
                transient=True,
                redirect_stdout=False,
                redirect_stderr=False,
                vertical_overflow="crop",
            )
            self._live.start()
        self._live.update(shown, refresh=True)

    def print_above(self, line: str, style: str, styled: int) -> None:
        """Show a line that stays, cut to one row; so many of its characters have the style."""
        self._fit()
        text = Text(line)
        text.stylize(style, 0, styled)
        self._console.print(text, no_wrap=True, overflow="ellipsis")

    def clear(self) -> None:
        """Take away what is shown."""
        if self._live is not None:
            self._fit()
            live, self._live = self._live, None
            live.stop()

    def _fit(self) -> None:
        """Go by the terminal's present size.

        Where it has become narrower, a line goes on below itself, which `Live` does not
        know: those rows are erased here, so that it finds as many as it has drawn.
        """
        size = ConsoleDimensions(*self.room())
        if self._live is not None and size.width < self._console.width:
            drawn = self._console.render_lines(self._live.renderable, pad=False)
            columns = size.width + 1
            more = sum(max(0, Segment.get_line_length(line) - 1) // columns for line in drawn)
            erase = ((ControlType.ERASE_IN_LINE, 2), (ControlType.CURSOR_UP, 1))
            self._console.control(Control(ControlType.CARRIAGE_RETURN, *erase * more))
        self._console.size = size


class _Terminal(Console):
    def show_cursor(self, show: bool = True) -> bool:
        # A process that is killed cannot bring back what it has hidden.
        return False

    def on_broken_pipe(self) -> None:
        # Nobody who looks on is no reason to end the process.
        raise BrokenPipeError("the terminal is gone")


class _Replacing(io.TextIOBase):
    """Hands text on to a stream; what its encoding does not have becomes question marks."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._encoding = getattr(stream, "encoding", None) or "utf-8"

    def write(self, text: str) -> int:
        self._stream.write(text.encode(self._encoding, "replace").decode(self._encoding))
        return len(text)

    def flush(self) -> None:
        self._stream.flush()


def _table(works: Mapping[str, Work], now: float, spinner: str, width: int) -> Table:
    """What there is to tell of each in columns; where there is little room, names give way."""
    is_narrow = width < NARROW
    rows = [facts(work, now, is_narrow=is_narrow) for work in works.values()]
    used = [number for number, column in enumerate(zip(*rows, strict=True)) if any(column)]
    table = Table.grid(padding=(0, 1 if is_narrow else 2, 0, 0))
    table.add_column()
    for _ in used:
        table.add_column(no_wrap=True, overflow="ellipsis")
    for name, row in zip(works, rows, strict=True):
        table.add_row(_Name(spinner, one_line(name)), *(Text(row[number]) for number in used))
    return table


class _Name:
    """A name that is cut at its front, since its end tells most."""

    def __init__(self, spinner: str, name: str) -> None:
        self._spinner = spinner
        self._name = name

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        return Measurement(1, 2 + cells(self._name)).with_maximum(options.max_width)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        name, room = self._name, options.max_width - 2
        if cells(name) > room:
            while name and cells(name) > room - 1:
                name = name[1:]
            name = f"…{name}"
        yield Text(f"{self._spinner} {name}", no_wrap=True, overflow="crop", end="")
