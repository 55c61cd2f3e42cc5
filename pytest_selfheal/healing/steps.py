"""What came of single replies: tried, judged, and told apart by how near to green they are."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from threading import Lock

from pytest_selfheal.healing.judge import Judgement
from pytest_selfheal.records import Attempt, Piece, Reply, RunOutcome, Verdict
from pytest_selfheal.source.parsing import parse_text

_NEARNESS: Mapping[Verdict, int] = {
    "passed": 5,
    "failed": 4,
    "timeout": 3,
    "out-of-memory": 3,
    "crashed": 3,
    "refused": 2,
    "unusable": 1,
    "untrusted": 0,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """A reply, and what a sandbox said of it, if it got there."""

    reply: Reply
    attempt: Attempt
    """Without what only a judgement tells."""
    pieces: Mapping[str, Piece] = field(default_factory=dict)
    checks: Mapping[str, str] = field(default_factory=dict)
    outcome: RunOutcome | None = None
    same_as: int | None = None
    """The request that was answered with the same code at the same time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A reply that was judged."""

    attempt: Attempt
    pieces: Mapping[str, Piece] = field(default_factory=dict)
    judgement: Judgement | None = None
    gave_up: str | None = None
    """Why the model thinks that it cannot be done."""

    @property
    def merit(self) -> tuple[int, ...]:
        """Larger for what is nearer to green; of equals, for what was asked for first."""
        rank = -1 if self.gave_up is not None else _NEARNESS[self.attempt.verdict]
        results = self.judgement.results if self.judgement is not None else ()
        passed = sum(each.outcome == "passed" and not each.is_check for each in results)
        checks = sum(each.is_check for each in self.attempt.red)
        return rank, passed, -checks, -self.attempt.number

    @property
    def failed_its_own_checks_alone(self) -> bool:
        """Whether no test of the project speaks against it."""
        return bool(self.attempt.red) and all(each.is_check for each in self.attempt.red)

    def repeated_by(self, tried: Tried) -> Step:
        """The same for a reply with the same code: it needs no run of its own."""
        why = f"the same code as attempt {self.attempt.number}"
        if self.attempt.why:
            why = f"{why}: {self.attempt.why}"[:300]
        attempt = replace(
            tried.attempt,
            verdict=self.attempt.verdict,
            why=None if self.attempt.verdict == "passed" else why,
            traceback=self.attempt.traceback,
            red=self.attempt.red,
            printed=self.attempt.printed,
        )
        return replace(self, attempt=attempt)


class SeenCode:
    """The code that was replied in one turn. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._numbers: dict[str, int] = {}

    def first_with(self, blocks: Sequence[str], number: int) -> int | None:
        """The request that was answered with the same code before, None for the first."""
        tree = tree_of("\n\n".join(blocks))
        with self._lock:
            first = self._numbers.setdefault(tree, number)
        return None if first == number else first


def tree_of(code: str) -> str:
    """What a reply's code means: the same for the same code, however it is laid out."""
    try:
        return ast.dump(parse_text(code))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return code
