"""The live lines while healing, seen on a terminal that is made of lists."""

from __future__ import annotations

import io
import os
import re
import threading
from collections.abc import Iterator

import pytest

from pytest_selfheal.records import Status
from pytest_selfheal.report import progress as progress_module
from pytest_selfheal.report._text import cells
from pytest_selfheal.report.progress import Progress


class Screen(io.StringIO):
    """A terminal: knows new line, return, cursor up, clear below and colours, no more."""

    def __init__(self, columns: int = 80, rows: int = 24) -> None:
        super().__init__()
        self.size = os.terminal_size((columns, rows))
        self.lines = [""]
        self.row = 0
        self.at_start = True
        self.writes = 0
        self.guard = threading.Lock()

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        super().write("")  # raises where the stream is closed
        # Two writers at once would be a race on the real terminal too.
        assert self.guard.acquire(blocking=False)
        try:
            self.writes += 1
            for token in re.findall(r"\x1b\[\d*[A-Za-z]|\n|\r|[^\x1b\n\r]+", text):
                self._take(token)
        finally:
            self.guard.release()
        return len(text)

    def _take(self, token: str) -> None:
        if token == "\n":
            self.row += 1
            if self.row == len(self.lines):
                self.lines.append("")
        elif token == "\x1b[J":
            self.lines[self.row :] = [""]
        elif token.endswith("A"):
            self.row -= int(token[2:-1])
            assert self.row >= 0
        elif token.startswith("\x1b"):
            assert token.endswith("m"), token
        elif token != "\r":
            assert not self.at_start or self.lines[self.row] == "", "written over something"
            self.lines[self.row] += token
        self.at_start = token in ("\n", "\r") or (self.at_start and token.startswith("\x1b"))

    @property
    def shown(self) -> list[str]:
        assert self.lines[-1] == ""
        return self.lines[:-1]


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(autouse=True)
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(
        progress_module, "_size", lambda stream: (stream.size.columns, stream.size.lines)
    )


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def screen() -> Screen:
    return Screen()


@pytest.fixture
def progress(screen: Screen, clock: Clock) -> Iterator[Progress]:
    with Progress(screen, color=False, refresh_seconds=None, clock=clock) as progress:
        yield progress


def test_a_line_for_each_stub_in_work(progress: Progress, screen: Screen, clock: Clock) -> None:
    progress.start(3)
    progress.stage("a.py::f", 1, 5, "asking")
    clock.now += 3.4
    progress.stage("b.py::g", 2, 5, "verifying", "2 tests")
    assert screen.shown == [
        "selfheal: 0 of 3 done  3s",
        "| a.py::f  attempt 1 of 5  asking  3s",
        "| b.py::g  attempt 2 of 5  verifying 2 tests  0s",
    ]
    progress.stage("a.py::f", 0, 0, "waiting")
    assert screen.shown[1] == "| a.py::f  waiting  0s"


def test_what_is_done_stays_above(progress: Progress, screen: Screen) -> None:
    progress.start(2)
    progress.stage("a.py::f", 1, 5, "asking")
    progress.stage("b.py::g", 1, 5, "asking")
    progress.done("a.py::f", "healed", "1 attempt")
    progress.note("the budget\nis used up")
    assert screen.shown == [
        "healed    a.py::f  1 attempt",
        "the budget is used up",
        "selfheal: 1 of 2 done  0s",
        "| b.py::g  attempt 1 of 5  asking  0s",
    ]
    progress.done("b.py::g", "unhealed")
    assert screen.shown[2:] == ["unhealed  b.py::g"]
    assert progress.finished == 2


def test_a_groups_line_can_go(progress: Progress, screen: Screen) -> None:
    progress.start(2)
    progress.stage("a.py::f, b.py::g", 1, 5, "asking")
    progress.drop("a.py::f, b.py::g")
    assert screen.shown == ["selfheal: 0 of 2 done  0s"]


def test_closing_leaves_only_what_stays(progress: Progress, screen: Screen) -> None:
    progress.start(2)
    progress.stage("a.py::f", 1, 5, "asking")
    progress.note("stays")
    progress.close()
    progress.close()
    progress.stage("b.py::g", 1, 5, "asking")
    progress.note("too late")
    progress.start(9)
    assert screen.shown == ["stays"]


def test_pausing_clears_the_lines_for_a_question(progress: Progress, screen: Screen) -> None:
    progress.start(1)
    progress.stage("a.py::f", 1, 5, "asking")
    with progress.paused():
        assert screen.shown == []
        progress.stage("a.py::f", 2, 5, "asking")
        screen.write("write it? [y/n] y\n")
    assert screen.shown == [
        "write it? [y/n] y",
        "selfheal: 0 of 1 done  0s",
        "| a.py::f  attempt 2 of 5  asking  0s",
    ]


def test_lines_keep_to_the_terminals_size(clock: Clock) -> None:
    screen = Screen(columns=20, rows=10)
    progress = Progress(screen, refresh_seconds=None, clock=clock)
    progress.start(9)
    for number in range(9):
        progress.stage(f"src/語/long_{number}.py::f", 1, 5, "asking")
    assert len(screen.shown) == 5
    assert screen.shown[-1] == "  and 6 more"
    assert screen.shown[1] == "| src/語/long_0.py…"
    assert all(cells(line) <= 19 for line in screen.shown)


def test_text_from_elsewhere_is_cleaned(progress: Progress, screen: Screen) -> None:
    progress.start(2)
    progress.stage("a\x1b[2J.py::f\n", 1, 5, "asking", "\x1b]0;x\x07\r\nnow\x00")
    progress.done("b\x1b[9A.py::g", "rejected", "a\ncheat")
    assert screen.shown[0] == "rejected  b.py::g  a cheat"
    assert screen.shown[2] == "| a.py::f  attempt 1 of 5  asking now  0s"


@pytest.mark.parametrize(
    ("status", "code"), [("healed", 32), ("unhealed", 31), ("skipped", 33)], ids=str
)
def test_colours(status: Status, code: int) -> None:
    class Raw(io.StringIO):
        def isatty(self) -> bool:
            return True

        size = os.terminal_size((80, 24))

    stream = Raw()
    Progress(stream, refresh_seconds=None).done("a.py::f", status)
    assert stream.getvalue().startswith(f"\x1b[{code}m{status:<9}\x1b[0m a.py::f\n")


# --- where nothing is shown ------------------------------------------------------------


class Pipe(io.StringIO):
    size = os.terminal_size((80, 24))


def use(progress: Progress) -> None:
    """Call everything once."""
    with progress:
        progress.start(2)
        progress.stage("a.py::f", 1, 5, "asking")
        progress.note("a note")
        with progress.paused():
            progress.drop("x")
        progress.done("a.py::f", "healed")


def test_quiet_where_the_stream_is_no_terminal() -> None:
    stream = Pipe()
    progress = Progress(stream)
    use(progress)
    assert stream.getvalue() == ""
    assert progress.finished == 1


def test_quiet_on_a_dumb_terminal(monkeypatch: pytest.MonkeyPatch, screen: Screen) -> None:
    monkeypatch.setenv("TERM", "dumb")
    use(Progress(screen))
    assert screen.writes == 0


@pytest.mark.parametrize(("verbosity", "writes"), [(-1, False), (0, True), (1, True)], ids=str)
def test_quiet_at_q(screen: Screen, verbosity: int, writes: bool) -> None:
    use(Progress(screen, verbosity=verbosity, refresh_seconds=None))
    assert (screen.writes > 0) == writes


# --- it never raises -------------------------------------------------------------------


class Gone(Screen):
    """A terminal that was closed."""

    def write(self, text: str) -> int:
        self.writes += 1
        raise BrokenPipeError(32, "Broken pipe")


def test_a_terminal_that_went_away_is_left_alone() -> None:
    screen = Gone()
    use(Progress(screen, refresh_seconds=None))
    assert screen.writes == 1


def test_a_closed_stream() -> None:
    screen = Screen()
    screen.close()
    use(Progress(screen, refresh_seconds=None))
    stream = io.StringIO()
    stream.close()
    use(Progress(stream))


def test_a_stream_that_is_hardly_one() -> None:
    use(Progress(object()))  # type: ignore[arg-type]


def test_characters_that_the_terminal_cannot_show() -> None:
    class Ascii(Screen):
        encoding = "ascii"

    screen = Ascii()
    progress = Progress(screen, refresh_seconds=None)
    progress.start(1)
    progress.stage("größe.py::f", 1, 5, "asking")
    assert screen.shown[1] == "| gr??e.py::f  attempt 1 of 5  asking  0s"


# --- threads ---------------------------------------------------------------------------


def test_the_thread_moves_the_seconds_on_and_ends(clock: Clock) -> None:
    drawn = threading.Event()

    class Watched(Screen):
        def write(self, text: str) -> int:
            written = super().write(text)
            if "7s" in text:
                drawn.set()
            return written

    screen = Watched()
    progress = Progress(screen, color=False, refresh_seconds=0.001, clock=clock)
    progress.start(1)
    progress.stage("a.py::f", 1, 5, "asking")
    clock.now += 7
    assert drawn.wait(30)
    progress.close()
    assert screen.shown == []
    assert not [thread for thread in threading.enumerate() if thread.name == "selfheal-progress"]


def test_many_threads_at_once(screen: Screen) -> None:
    progress = Progress(screen, color=False, refresh_seconds=0.001)
    progress.start(40)

    def work(name: str) -> None:
        for attempt in range(5):
            progress.stage(name, attempt, 5, "asking")
            progress.note(f"note {name}")
        progress.done(name, "healed")

    threads = [threading.Thread(target=work, args=(f"{n}.py::f",)) for n in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    progress.close()
    assert progress.finished == 40
    assert len(screen.shown) == 40 * 6
    assert sorted(set(screen.shown)) == sorted(
        {f"note {n}.py::f" for n in range(40)} | {f"healed    {n}.py::f" for n in range(40)}
    )
