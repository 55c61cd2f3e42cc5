"""What the live lines say: of each stub at work, and of the whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pytest_selfheal.records import ModelUsage
from pytest_selfheal.report._text import cells, count, cut, one_line

NARROW = 70
"""Terminals of fewer columns get short words."""


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


def facts(work: Work, now: float, *, is_narrow: bool) -> tuple[str, str, str, str]:
    """What a line says beside the name: attempt, stage, tests, seconds; some may be empty."""
    seconds = f"{now - work.since:.0f}s"
    if is_narrow:
        attempt = f"{work.attempt}/{work.of_attempts}" if work.attempt else ""
        green = f"{work.tests[0]}/{work.tests[1]}" if work.tests else ""
        return attempt, one_line(work.what), green, seconds
    attempt = f"attempt {work.attempt} of {work.of_attempts}" if work.attempt else ""
    green = _green(*work.tests, "test") if work.tests else ""
    return attempt, one_line(f"{work.what} {work.detail}"), green, seconds


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
