"""Review mode on the terminal: show each green stub, and ask what is to become of it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from pytest_selfheal.records import Attempt
from pytest_selfheal.report._text import count, one_line, unseen, visible
from pytest_selfheal.report.highlight import coloured_diff

Answer = Literal["y", "n", "e", "r", "q"]

QUESTION = "write it? [y]es, [n]o, [e]dit, [r]etry, [q]uit: "
HINT = "a hint for the model (nothing: back to the question): "
_HELP = (
    "y  write this code",
    "n  leave the stub as it is",
    "e  change the code in your editor; it is verified again",
    "r  ask the model once more, with a hint of yours",
    "q  ask no more; what you took is written",
)
_MAX_TESTS = 10
_MAX_LINES = 60
"""Of a traceback; more than that is cut out of its middle."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A stub as it is shown for review."""

    target: str
    diff: str
    code: str
    """What the diff puts in, as it is."""
    tests: Sequence[str]
    attempts: Sequence[Attempt]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """What came of other code for a stub."""

    problem: str | None = None
    """Why the code from before stays, in one line; None where the other one is in place."""
    traceback: str = ""


class Reviewed(Protocol):
    """What is reviewed. The first three may take a while, and raise `KeyboardInterrupt`."""

    def edit(self, key: str) -> Tried:
        """Let the user change a stub's code, and verify it."""

    def retry(self, key: str, hint: str) -> Tried:
        """Ask the model again."""

    def leave_out(self, key: str) -> Sequence[str]:
        """Leave a stub as it is; give the targets of the others that this takes along."""

    def shown(self, key: str) -> Shown | None:
        """A stub as it stands now; None where it is not to be written any more."""


def review(
    reporter: Any,
    keys: Sequence[str],
    reviewed: Reviewed,
    *,
    ask: Callable[[str], str] = input,
) -> list[str]:
    """Ask for each stub what is to become of it.

    Args:
        reporter: pytest's terminal reporter.
        keys: The stubs, in the order in which they are asked for.
        reviewed: What does the work.
        ask: Prompts for a line, as `input` does.

    Returns:
        The stubs that nobody answered for: after `q`, at the end of input, after an
        interrupt, and where the terminal went away.
    """
    open_ones = list(keys)
    while open_ones:
        place = f"{len(keys) - len(open_ones) + 1} of {len(keys)}"
        try:
            goes_on = _ask_for(reporter, open_ones[0], place, reviewed, ask)
        except (EOFError, KeyboardInterrupt, OSError):
            with contextlib.suppress(OSError):  # the terminal may be gone
                reporter.write_line("")
            goes_on = False
        if not goes_on:
            return open_ones
        open_ones.pop(0)
    return []


def _ask_for(
    reporter: Any, key: str, place: str, reviewed: Reviewed, ask: Callable[[str], str]
) -> bool:
    """Ask for one stub until it is answered for; False where no more is to be asked."""
    is_changed = True
    while True:
        shown = reviewed.shown(key)
        if shown is None:
            return True
        if is_changed:
            _show(reporter, shown, place)
        is_changed = False
        answer = _answer(reporter, ask)
        if answer == "y":
            return True
        if answer == "q":
            return False
        if answer == "n":
            for other in reviewed.leave_out(key):
                reporter.write_line(f"left out with it, its tests need it: {one_line(other)}")
            return True
        tried = _tried(answer, key, reviewed, ask)
        if tried is not None:
            _tell(reporter, tried)
            is_changed = tried.problem is None


def _tried(answer: Answer, key: str, reviewed: Reviewed, ask: Callable[[str], str]) -> Tried | None:
    if answer == "e":
        return reviewed.edit(key)
    try:
        hint = one_line(ask(HINT))
    except EOFError:  # that ends the hint, and not the review
        return None
    return reviewed.retry(key, hint) if hint else None


def _answer(reporter: Any, ask: Callable[[str], str]) -> Answer:
    answers: dict[str, Answer] = {"y": "y", "n": "n", "e": "e", "r": "r", "q": "q"}
    while True:
        answer = answers.get(ask(QUESTION).strip().lower()[:1])
        if answer is not None:
            return answer
        for line in _HELP:
            reporter.write_line(line)


def _show(reporter: Any, shown: Shown, place: str) -> None:
    reporter.write_sep("-", f"{one_line(shown.target)} ({place})")
    diff = visible(shown.diff).rstrip("\n")
    lines = diff.split("\n")
    if reporter.hasmarkup:
        lines = coloured_diff(diff, syntax=reporter._tw.code_highlight)
    for line in lines:
        reporter.write_line(line)
    names = unseen(shown.code)
    if names:
        reporter.write_line(f"careful: the code holds what cannot be shown: {names}", red=True)
    for number, attempt in enumerate(shown.attempts, 1):
        why = f": {one_line(attempt.why)}" if attempt.why else ""
        who = "your edit" if attempt.is_reviewers else "attempt"
        reporter.write_line(f"{who} {number} {attempt.verdict} ({attempt.seconds:.2f}s){why}")
    reporter.write_line(f"held by {count(len(shown.tests), 'test')}, all green in the sandbox:")
    for test in shown.tests[:_MAX_TESTS]:
        reporter.write_line(f"  {one_line(test)}")
    if len(shown.tests) > _MAX_TESTS:
        reporter.write_line(f"  and {len(shown.tests) - _MAX_TESTS} more")


def _tell(reporter: Any, tried: Tried) -> None:
    if tried.problem is None:
        return
    for line in _folded(visible(tried.traceback).rstrip("\n").split("\n")):
        reporter.write_line(line, red=line.startswith("E  "))
    reporter.write_line(f"not taken: {one_line(tried.problem)}", red=True)
    reporter.write_line("yes would write the code that is shown above")


def _folded(lines: Sequence[str]) -> Iterable[str]:
    if len(lines) <= _MAX_LINES:
        return lines if lines != [""] else ()
    head = _MAX_LINES // 3
    tail = _MAX_LINES - head
    cut = f"[... {len(lines) - _MAX_LINES} lines left out ...]"
    return [*lines[:head], cut, *lines[-tail:]]
