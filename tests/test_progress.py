"""The live lines while healing, seen on a terminal that is made of lists."""

from __future__ import annotations

import io
import os
import re
import threading
from collections.abc import Iterator

import pytest

from pytest_selfheal.records import ModelUsage, Status
from pytest_selfheal.report import progress as progress_module
from pytest_selfheal.report._text import cells
from pytest_selfheal.report.live_lines import Budget, Counts, spending
from pytest_selfheal.report.progress import Progress


class Screen(io.StringIO):
    """A terminal: knows new line, return, cursor up, erasing a line, colours."""

    def __init__(self, columns: int = 80, rows: int = 24) -> None:
        super().__init__()
        self.size = os.terminal_size((columns, rows))
        self.cells: list[list[str]] = [[]]
        """Each row's columns; a wide character is followed by an empty one."""
        self.row = self.column = 0
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
            for token in re.findall(r"\x1b\[\d*[A-Za-z]|[^\x1b]", text):
                self._take(token)
        finally:
            self.guard.release()
        return len(text)

    def _take(self, token: str) -> None:
        if token == "\n":
            self.row, self.column = self.row + 1, 0
            if self.row == len(self.cells):
                self.cells.append([])
        elif token == "\r":
            self.column = 0
        elif token == "\x1b[2K":
            self.cells[self.row].clear()
        elif token.endswith("A") and token.startswith("\x1b"):
            self.row -= int(token[2:-1])
            assert self.row >= 0
        elif token.startswith("\x1b"):
            assert token.endswith("m"), token
        elif cells(token):
            written = [token, ""][: cells(token)]
            self.cells[self.row][self.column : self.column + len(written)] = written
            self.column += len(written)

    def narrow(self, columns: int) -> None:
        """Make it narrower: what has no room in a row goes on in the next one."""
        rows: list[list[str]] = []
        above = self.row
        for number, row in enumerate(self.cells):
            if number == above:
                self.row, self.column = len(rows) + self.column // columns, self.column % columns
            rows += [row[at : at + columns] for at in range(0, max(1, len(row)), columns)]
        self.cells = rows
        self.size = os.terminal_size((columns, self.size.lines))

    @property
    def shown(self) -> list[str]:
        lines = ["".join(row).rstrip() for row in self.cells]
        assert not any(lines[self.row + 1 :])  # the cursor stands at the end
        while lines and not lines[-1]:
            lines.pop()
        return lines


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
    progress.count(Counts(stubs=3, tests=7, green_tests=2))
    progress.stage("a.py::f", 1, 5, "asking")
    clock.now += 3.4
    progress.stage("b.py::g", 2, 5, "verifying", tests=(1, 2))
    assert screen.shown == [
        "| a.py::f  attempt 1 of 5  asking                         3s",
        "| b.py::g  attempt 2 of 5  verifying  1 of 2 tests green  0s",
        "selfheal: 0 of 3 stubs green  2 of 7 tests green  3s",
    ]
    progress.stage("a.py::f", 0, 0, "tracing", "5 tests")
    assert screen.shown[0] == "| a.py::f                  tracing 5 tests                      0s"
    progress.count(Counts(stubs=3, green_stubs=1, given_up=1))
    assert screen.shown[-1] == "selfheal: 1 of 3 stubs green, 1 given up  3s"


def test_what_is_done_stays_above(progress: Progress, screen: Screen) -> None:
    progress.count(Counts(stubs=2))
    progress.stage("a.py::f", 1, 5, "asking")
    progress.stage("b.py::g", 1, 5, "asking")
    progress.done("a.py::f", "healed", "1 attempt")
    progress.note("the budget\nis used up")
    assert screen.shown == [
        "healed    a.py::f  1 attempt",
        "the budget is used up",
        "| b.py::g  attempt 1 of 5  asking  0s",
        "selfheal: 0 of 2 stubs green  0s",
    ]
    progress.done("b.py::g", "unhealed")
    assert screen.shown[2:] == ["unhealed  b.py::g"]


def test_nothing_is_left_where_the_terminal_gets_narrower(
    progress: Progress, screen: Screen, clock: Clock
) -> None:
    screen.write("test_a.py F\n")
    progress.count(Counts(stubs=2))
    progress.stage("src/a.py::a_function_語", 1, 5, "asking", tests=(0, 3))
    progress.stage("src/a.py::another_function", 1, 5, "verifying", tests=(0, 3))
    for columns in (70, 41, 20, 12):
        screen.narrow(columns)
        clock.now += 1
        progress.count(Counts(stubs=2))
        assert screen.shown[0] == "test_a.py F"
        assert len(screen.shown) == 4
        assert columns < 40 or screen.shown[1].startswith("| ")
        assert all(cells(line) < columns for line in screen.shown)
    progress.close()
    assert screen.shown == ["test_a.py F"]


def test_a_line_leaves_nothing_of_a_longer_one(progress: Progress, screen: Screen) -> None:
    progress.stage("語語語.py::a_long_name", 1, 5, "verifying")
    progress.stage("a.py::f", 1, 5, "asking")
    progress.drop("語語語.py::a_long_name")
    assert screen.shown == ["| a.py::f  attempt 1 of 5  asking  0s"]


def test_a_terminal_of_few_rows(clock: Clock) -> None:
    screen = Screen(rows=3)
    progress = Progress(screen, refresh_seconds=None, clock=clock)
    progress.count(Counts(stubs=9))
    for number in range(9):
        progress.stage(f"a.py::f{number}", 1, 5, "asking")
        progress.waiting(30, f"reason {number}")
    assert screen.shown == ["| waiting 30 s: reason 8", "selfheal: 0 of 9 stubs green  0s"]


@pytest.mark.parametrize(
    ("columns", "lines"),
    [
        (
            76,
            [
                "| a.py::語               attempt 1 of 5  asking     0 of 3 tests green   3s",
                "| …h/and/module.py::Cls  attempt 2 of 5  verifying  2 of 12 tests green  0s",
            ],
        ),
        (
            61,
            [
                "| a.py::語                             1/5 asking    0/3  3s",
                "| …ge/of/some/depth/and/module.py::Cls 2/5 verifying 2/12 0s",
            ],
        ),
        (
            40,
            ["| a.py::語        1/5 asking    0/3  3s", "| …module.py::Cls 2/5 verifying 2/12 0s"],
        ),
    ],
)
def test_columns(columns: int, lines: list[str], clock: Clock) -> None:
    screen = Screen(columns)
    progress = Progress(screen, refresh_seconds=None, clock=clock)
    progress.stage("a.py::語", 1, 5, "asking", tests=(0, 3))
    clock.now += 3
    progress.stage("a/package/of/some/depth/and/module.py::Cls", 2, 5, "verifying", tests=(2, 12))
    assert screen.shown == lines


def test_what_stays_keeps_to_one_row(clock: Clock) -> None:
    screen = Screen(30)
    progress = Progress(screen, color=False, refresh_seconds=None, clock=clock)
    progress.done("src/a.py::語", "unhealed", "the budget of requests is used up")
    assert screen.shown == ["unhealed  src/a.py::語  the …"]


def test_a_groups_line_can_go(progress: Progress, screen: Screen) -> None:
    progress.count(Counts(stubs=2))
    progress.stage("a.py::f, b.py::g", 1, 5, "asking")
    progress.drop("a.py::f, b.py::g")
    assert screen.shown == []


def test_closing_leaves_only_what_stays(progress: Progress, screen: Screen) -> None:
    progress.count(Counts(stubs=2))
    progress.stage("a.py::f", 1, 5, "asking")
    progress.note("stays")
    progress.close()
    progress.close()
    progress.stage("b.py::g", 1, 5, "asking")
    progress.note("too late")
    progress.count(Counts(stubs=9))
    assert screen.shown == ["stays"]


def test_pausing_clears_the_lines_for_a_question(progress: Progress, screen: Screen) -> None:
    progress.count(Counts(stubs=1))
    progress.stage("a.py::f", 1, 5, "asking")
    with progress.paused():
        assert screen.shown == []
        progress.stage("a.py::f", 2, 5, "asking")
        screen.write("write it? [y/n] y\n")
    assert screen.shown == [
        "write it? [y/n] y",
        "| a.py::f  attempt 2 of 5  asking  0s",
        "selfheal: 0 of 1 stub green  0s",
    ]


def test_lines_keep_to_the_terminals_size(clock: Clock) -> None:
    screen = Screen(columns=20, rows=10)
    progress = Progress(screen, refresh_seconds=None, clock=clock)
    progress.count(Counts(stubs=9))
    for number in range(9):
        progress.stage(f"src/語/long_{number}.py::f", 1, 5, "asking")
    progress.waiting(30, "--selfheal-rpm=6")
    assert screen.shown == [
        "| …:f 1/5 asking 0s",
        "| …:f 1/5 asking 0s",
        "| …:f 1/5 asking 0s",
        "  and 6 more",
        "| waiting 30 s: --…",
        "selfheal: 0/9 gree…",
    ]
    assert all(cells(line) <= 19 for line in screen.shown)


@pytest.mark.parametrize(
    ("columns", "line", "totals"),
    [
        (
            40,
            "| …module.py::Class.f 2/5 asking 1/3 0s",
            "selfheal: 1/9 green, 2 given up  0s",
        ),
        (
            80,
            "| …package/a_module.py::Class.f  attempt 2 of 5  asking  1 of 3 tests green  0s",
            "selfheal: 1 of 9 stubs green, 2 given up  4 of 8 tests green  0s  3 requests",
        ),
        (
            140,
            "| src/package/a_module.py::Class.f  attempt 2 of 5  asking  1 of 3 tests green  0s",
            "selfheal: 1 of 9 stubs green, 2 given up  4 of 8 tests green  0s  3 requests  "
            "90 tokens (10 left)",
        ),
    ],
)
def test_the_most_that_a_width_has_room_for(
    columns: int, line: str, totals: str, clock: Clock
) -> None:
    screen = Screen(columns=columns)
    spent = ["3 requests", "90 tokens (10 left)"]
    progress = Progress(screen, refresh_seconds=None, clock=clock, spent=lambda: spent)
    progress.count(Counts(stubs=9, green_stubs=1, given_up=2, tests=8, green_tests=4))
    progress.stage("src/package/a_module.py::Class.f", 2, 5, "asking", tests=(1, 3))
    assert screen.shown == [line, totals]


def test_a_wait_goes_when_it_is_over(progress: Progress, screen: Screen, clock: Clock) -> None:
    progress.stage("a.py::f", 1, 5, "asking")
    progress.waiting(12, "--selfheal-rpm=6")
    progress.waiting(2, "--selfheal-rpm=6")
    progress.waiting(0, "another process asks the same")
    clock.now += 5
    progress.stage("a.py::f", 1, 5, "asking")
    assert screen.shown == [
        "| a.py::f  attempt 1 of 5  asking  0s",
        "| waiting 7 s: --selfheal-rpm=6",
        "| waiting: another process asks the same",
    ]
    clock.now += 8
    progress.stage("a.py::f", 1, 5, "asking")
    assert screen.shown == ["| a.py::f  attempt 1 of 5  asking  0s"]


def test_a_model_of_somebody_elses_that_cannot_count(screen: Screen, clock: Clock) -> None:
    def spent() -> list[str]:
        raise RuntimeError("no")

    progress = Progress(screen, refresh_seconds=None, clock=clock, spent=spent)
    progress.count(Counts(stubs=1))
    progress.stage("a.py::f", 1, 5, "asking")
    assert screen.shown[-1] == "selfheal: 0 of 1 stub green  0s"


def test_counting_is_not_wanted_all_the_time(progress: Progress, clock: Clock) -> None:
    progress.count(Counts())
    assert not progress.wants_counts()
    clock.now += 1
    assert progress.wants_counts()
    progress.close()
    assert not progress.wants_counts()


def test_what_was_spent_and_what_is_left() -> None:
    usage = ModelUsage(requests=3, input_tokens=1000, output_tokens=200, cost=0.25)
    assert spending(usage, Budget()) == ["3 requests", "1200 tokens", "$0.2500"]
    assert spending(usage, Budget(requests=4, tokens=1000, cost=1)) == [
        "3 requests (1 left)",
        "1200 tokens (0 left)",
        "$0.2500 ($0.75 left)",
    ]
    # A price of nothing is one; without one nothing can be said.
    assert spending(ModelUsage(cost=0.0), Budget()) == ["0 requests", "0 tokens", "$0.0000"]
    assert spending(ModelUsage(), Budget()) == ["0 requests", "0 tokens"]


def test_text_from_elsewhere_is_cleaned(progress: Progress, screen: Screen) -> None:
    progress.count(Counts(stubs=2))
    progress.stage("a\x1b[2J.py::f\n", 1, 5, "asking", "\x1b]0;x\x07\r\nnow\x00")
    progress.done("b\x1b[9A.py::g", "rejected", "a\ncheat")
    assert screen.shown[0] == "rejected  b.py::g  a cheat"
    assert screen.shown[1] == "| a.py::f  attempt 1 of 5  asking now  0s"


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
    assert f"\x1b[{code}m{status}\x1b[0m{'':{10 - len(status)}}a.py::f\n" in stream.getvalue()


# --- where nothing is shown ------------------------------------------------------------


class Pipe(io.StringIO):
    size = os.terminal_size((80, 24))


def use(progress: Progress) -> None:
    """Call everything once."""
    with progress:
        progress.count(Counts(stubs=2))
        progress.stage("a.py::f", 1, 5, "asking")
        progress.note("a note")
        with progress.paused():
            progress.drop("x")
        progress.done("a.py::f", "healed")


PLAIN = [
    "selfheal: waiting 30 s: --selfheal-rpm=6",
    "selfheal: waiting: another process asks the same",
    "selfheal: unhealed  a.py::f  why",
]


def plain_lines(stream: io.StringIO, clock: Clock, verbosity: int = 0) -> list[str]:
    progress = Progress(stream, verbosity=verbosity, color=False, refresh_seconds=None, clock=clock)
    progress.count(Counts(stubs=2))
    progress.stage("a.py::f", 1, 5, "asking")
    for _ in range(9):  # as many requests, one wait
        progress.waiting(30, "--selfheal-rpm=6")
        clock.now += 1
    progress.waiting(0, "another process asks the same")
    progress.done("a.py::f", "unhealed", "why")
    with progress.paused():
        progress.drop("x")
    progress.close()
    return stream.getvalue().splitlines()


def test_plain_lines_where_the_stream_is_no_terminal(clock: Clock) -> None:
    assert plain_lines(Pipe(), clock) == PLAIN


def test_plain_lines_on_a_dumb_terminal(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    class Dumb(Pipe):
        def isatty(self) -> bool:
            return True

    monkeypatch.setenv("TERM", "dumb")
    assert plain_lines(Dumb(), clock) == PLAIN


def test_nothing_at_q(screen: Screen, clock: Clock) -> None:
    assert plain_lines(Pipe(), clock, verbosity=-1) == []
    use(Progress(screen, verbosity=-1, refresh_seconds=None))
    assert screen.writes == 0


def test_a_short_wait_is_told_now_and_then(clock: Clock) -> None:
    stream = Pipe()
    progress = Progress(stream, refresh_seconds=None, clock=clock)
    for _ in range(50):
        progress.waiting(0.4, "--selfheal-tpm=9")
        clock.now += 0.5
    assert stream.getvalue() == "selfheal: waiting: --selfheal-tpm=9\n" * 3


@pytest.mark.parametrize(
    ("counts", "line"),
    [
        (None, "selfheal: tracing 9 failing tests, 16s\n"),
        (
            Counts(stubs=2, green_stubs=1, tests=3),
            "selfheal: 1 of 2 stubs green; 0 of 3 tests green; 16s; 2 requests\n",
        ),
    ],
    ids=["tracing", "asking"],
)
def test_a_long_run_says_that_it_goes_on(counts: Counts | None, line: str, clock: Clock) -> None:
    written = threading.Event()

    class Watched(Pipe):
        def write(self, text: str) -> int:
            written.set()
            return super().write(text)

    stream = Watched()
    with Progress(stream, refresh_seconds=0.001, clock=clock, spent=lambda: ["2 requests"]) as told:
        told.stage("9 failing tests", 0, 0, "tracing")
        if counts is not None:
            told.count(counts)
        clock.now += 16
        assert written.wait(30)
    assert stream.getvalue() == line


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
    progress.count(Counts(stubs=1))
    progress.stage("größe.py::f", 1, 5, "asking")
    assert screen.shown[0] == "| gr??e.py::f  attempt 1 of 5  asking  0s"


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
    progress.stage("9 failing tests", 0, 0, "tracing")  # before anything could be counted
    clock.now += 7
    assert drawn.wait(30)
    progress.close()
    assert screen.shown == []
    assert not [thread for thread in threading.enumerate() if thread.name == "selfheal-progress"]


def test_many_threads_at_once(screen: Screen) -> None:
    progress = Progress(screen, color=False, refresh_seconds=0.001)
    progress.count(Counts(stubs=40))

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
    assert len(screen.shown) == 40 * 6
    assert sorted(set(screen.shown)) == sorted(
        {f"note {n}.py::f" for n in range(40)} | {f"healed    {n}.py::f" for n in range(40)}
    )
