"""The live lines as text: one for each stub at work, the totals below, cut to the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pytest_selfheal.records import ModelUsage
from pytest_selfheal.report._text import cells, count, cut, one_line

NARROW = 70
"""Terminals of fewer columns get short words."""
_LEAST_NAME = 12
"""A name gives way to the rest of its line until so much of it is left."""


@dataclass(slots=True)
class Work:
    """Where one stub or group is."""

    attempt: int
    of_attempts: int
    what: str
    detail: str
    since: float
    tests: tuple[int, int] | None = None
    """How many of its tests were green the last time that they were run, and of how many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """How far a heal is, as far as is known: more stubs may turn up behind others."""

    stubs: int = 0
    green_stubs: int = 0
    given_up: int = 0
    tests: int = 0
    green_tests: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What a run may spend; None for as much as it likes."""

    requests: int | None = None
    tokens: int | None = None
    cost: float | None = None


def work_lines(works: Mapping[str, Work], now: float, spinner: str, width: int) -> list[str]:
    """Tell of stubs and groups in columns; where there is little room, names give way first."""
    is_narrow = width < NARROW
    gap = " " if is_narrow else "  "
    rows = [(one_line(name), *_facts(work, now, is_narrow)) for name, work in works.items()]
    widths = [max(map(cells, column)) for column in zip(*rows, strict=True)]
    rest = sum(len(gap) + each for each in widths[1:] if each)
    room = max(width - 2 - rest, min(_LEAST_NAME, width - 2))
    widths[:1] = [min(widths[0], room)] if widths else []
    return [
        cut(f"{spinner} {gap.join(_padded((cut_front(name, room), *facts), widths))}", width)
        for name, *facts in rows
    ]


def _facts(work: Work, now: float, is_narrow: bool) -> tuple[str, str, str, str]:
    """Attempt, stage, tests and seconds; empty for what there is none of."""
    seconds = f"{now - work.since:.0f}s"
    if is_narrow:
        attempt = f"{work.attempt}/{work.of_attempts}" if work.attempt else ""
        green = f"{work.tests[0]}/{work.tests[1]}" if work.tests else ""
        return attempt, one_line(work.what), green, seconds
    attempt = f"attempt {work.attempt} of {work.of_attempts}" if work.attempt else ""
    green = _green(*work.tests, "test") if work.tests else ""
    return attempt, one_line(f"{work.what} {work.detail}"), green, seconds


def _padded(row: Sequence[str], widths: Sequence[int]) -> list[str]:
    """The cells of a row in their columns' widths; a column that is empty throughout goes."""
    return [
        cell + " " * (width - cells(cell)) for cell, width in zip(row, widths, strict=True) if width
    ]


def totals_line(
    counts: Counts, spent: Sequence[str], seconds: float, width: int, *, gap: str = "  "
) -> str:
    """Tell of the whole; what does not fit any more is left out from the end."""
    is_narrow = width < NARROW
    stubs = _green(counts.green_stubs, counts.stubs, "stub")
    if is_narrow:
        stubs = f"{counts.green_stubs}/{counts.stubs} green"
    if counts.given_up:
        stubs += f", {counts.given_up} given up"
    parts = [f"selfheal: {stubs}", f"{seconds:.0f}s"]
    if counts.tests and not is_narrow:
        parts.insert(1, _green(counts.green_tests, counts.tests, "test"))
    line = gap.join(parts)
    for part in spent:
        longer = f"{line}{gap}{part}"
        if cells(longer) > width:
            break
        line = longer
    return cut(line, width)


def cut_front(text: str, width: int) -> str:
    """Give at most `width` columns of a name, the end of which tells most."""
    if cells(text) <= width:
        return text
    while text and cells(text) > width - 1:
        text = text[1:]
    return f"…{text}"


def spending(usage: ModelUsage, budget: Budget) -> list[str]:
    """Tell what was asked of the model so far, and what is left of the budgets."""
    tokens = usage.input_tokens + usage.output_tokens
    parts = [
        count(usage.requests, "request") + _left(budget.requests, usage.requests),
        f"{tokens} tokens" + _left(budget.tokens, tokens),
    ]
    if usage.cost is not None:
        left = "" if budget.cost is None else f" (${max(0.0, budget.cost - usage.cost):.2f} left)"
        parts.append(f"${usage.cost:.4f}{left}")
    return parts


def _green(number: int, total: int, noun: str) -> str:
    return f"{number} of {count(total, noun)} green"


def _left(bound: int | None, used: int) -> str:
    return "" if bound is None else f" ({max(0, bound - used)} left)"
