"""When attempts go round in circles, and how to ask then. Pure.

Two attempts that fail alike will be followed by a third: the model reads its own mistake and
makes it again. So the way of asking changes, each time to the next of these: a fresh sample
that is told of the last failure alone, more context, the second model.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from pytest_selfheal.healing.judge import last_error_line
from pytest_selfheal.model.varying import without_varying
from pytest_selfheal.records import Attempt, Strategy, TestResult

Fingerprint = frozenset[tuple[str, str, str]]
"""A failure's tests, each with its exception's type and a message that does not vary."""

_LINE_NUMBER = re.compile(r"(?<=\.py)(?::|\", line )\d+")
_PATH = re.compile(r"(?:[\w.~+-]*[/\\])+[\w.~+-]*")
_ID = re.compile(
    r"\b(?=[0-9a-f]*\d)(?=[0-9a-f]*[a-f])[0-9a-f]{12,64}\b"
    r"|\b(?:id|pid|port|fd|thread)(?:\s?[=:]\s?|\s)\d+\b",
    re.IGNORECASE,
)
_TIME = re.compile(r"\b\d+(?:\.\d+)?\s?(?:ns|us|µs|ms|s|sec|seconds?)\b")


@dataclass(frozen=True, slots=True, kw_only=True)
class Approach:
    """How the next request is to be made."""

    strategy: Strategy
    told_from: int = 0
    """It tells of the attempts from this one on."""
    is_second: bool = False
    """The second model is asked."""


FIRST = Approach(strategy="first")


def plan(
    attempts: Sequence[Attempt],
    *,
    may_change: bool = True,
    escalate_after: int | None = None,
) -> Approach:
    """Say how to ask after these attempts, all of which failed.

    Args:
        attempts: Oldest first; of those that were asked for at once, the best last.
        may_change: Whether being stuck changes anything.
        escalate_after: Failed attempts after which the second model is asked at the latest;
            None where there is none.
    """
    if not attempts:
        return FIRST
    told_from = _conversation(attempts)
    used = [attempt.strategy for attempt in _one_a_turn(attempts)]
    is_second = "second-model" in used
    if escalate_after is not None and not is_second and len(attempts) >= escalate_after:
        return Approach(strategy="second-model", told_from=told_from, is_second=True)
    if not may_change or not is_stuck(attempts):
        return Approach(strategy="retry", told_from=told_from, is_second=is_second)
    ways: list[Strategy] = ["fresh", "more-context"]
    if escalate_after is not None and not is_second:
        ways.append("second-model")
    way = min(ways, key=used.count)  # the first of those that were tried least
    return Approach(
        strategy=way,
        told_from=len(attempts) - 1 if way == "fresh" else told_from,
        is_second=is_second or way == "second-model",
    )


def is_stuck(attempts: Sequence[Attempt]) -> bool:
    """Whether the last attempt failed as an earlier one did that it was not asked for with."""
    last = attempts[-1]
    found = fingerprint(last)
    return any(
        fingerprint(each) == found
        for each in attempts[:-1]
        if each.verdict != "passed" and (not each.turn or each.turn != last.turn)
    )


def fingerprint(attempt: Attempt) -> Fingerprint:
    """What tells an attempt's failure from others: the same for the same mistake made again."""
    if attempt.red:
        return frozenset(map(_of_result, attempt.red))
    return frozenset({("", attempt.verdict, steady(attempt.why or ""))})


def steady(message: str) -> str:
    """Give a message without its addresses, ids, times, and the numbers in its paths."""
    message = without_varying(message)
    message = _LINE_NUMBER.sub(":*", message)
    message = _PATH.sub(_steady_path, message)
    message = _ID.sub("*", message)
    return _TIME.sub("*", message)


def _of_result(result: TestResult) -> tuple[str, str, str]:
    kind = result.exception or result.outcome
    return result.nodeid, kind, steady(last_error_line(result.longrepr))


def _steady_path(found: re.Match[str]) -> str:
    text = found[0]
    # A quotient is no path.
    return re.sub(r"\d+", "*", text) if any(map(str.isalpha, text)) else text


def _one_a_turn(attempts: Sequence[Attempt]) -> list[Attempt]:
    return [
        each
        for place, each in enumerate(attempts)
        if not place or not each.turn or attempts[place - 1].turn != each.turn
    ]


def _conversation(attempts: Sequence[Attempt]) -> int:
    """Where the last conversation began: with the first attempt, or with a fresh sample."""
    for place in range(len(attempts) - 1, -1, -1):
        each = attempts[place]
        if each.strategy == "fresh":
            while place and each.turn and attempts[place - 1].turn == each.turn:
                place -= 1
            return place
    return 0


def described(approach: Approach, second: str | None = None, count: int = 1) -> str:
    """How a request is made, in a few words for the progress; nothing where it is as ever."""
    ways = {"fresh": "a fresh sample", "more-context": "with more context"}
    parts = [ways.get(approach.strategy, "")]
    if approach.is_second and second:
        parts.append(f"of {second}")
    if count > 1:
        parts.append(f"{count} at once")
    return ", ".join(filter(None, parts))
