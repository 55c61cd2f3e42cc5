"""Stubs that are asked for together, and what came of asking."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pytest_selfheal.healing.code import Code
from pytest_selfheal.records import Attempt, Piece, Stub, TestResult

MAX_GROUP = 6
"""The most stubs that are asked for in one request."""


def key_of(stub: Stub) -> str:
    """What a stub is called in the bookkeeping: its target, told from its namesakes."""
    return f"{stub.target}#{stub.index}" if stub.index else stub.target


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Stubs that are asked for together, with the tests that judge them."""

    keys: tuple[str, ...]
    tests: tuple[str, ...]
    attempts: tuple[Attempt, ...] = ()
    """Those made before, where a later test showed that they were not good enough."""
    left: int = 1
    """How many replies may be tried."""
    earlier_code: Mapping[str, Piece] = field(default_factory=dict)
    """The code that was taken back, to be shown."""
    proven: frozenset[str] = frozenset()
    """Those of its stubs whose earlier code had green tests: good for something."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupEnd:
    """What came of a group."""

    group: Group
    attempts: tuple[Attempt, ...]
    pieces: Mapping[str, Piece] = field(default_factory=dict)
    """The code to be kept: of all its stubs where its tests are green or get further, of
    some where the tests tell them from the rest."""
    results: tuple[TestResult, ...] = ()
    """How its tests stood at the end."""
    seen_with: Code = field(default_factory=Code)
    """The code that they were seen with."""
    reason: str | None = None
    """Why there is no code, in one line; None where the rest is to be asked for again."""
    joint_with: tuple[str, ...] = ()
    """Provisional stubs that may be to blame as much as these."""
    flaky: frozenset[str] = frozenset()
    """Tests that were red and green with the same code."""
    untrusted: bool = False

    @property
    def last_pieces(self) -> dict[str, Piece]:
        """The code that its results were seen with, kept or not."""
        return {key: self.seen_with[key] for key in self.group.keys if key in self.seen_with}


def last_why(attempts: Sequence[Attempt]) -> str:
    """Why nothing came of some attempts, in a line."""
    number = "1 attempt" if len(attempts) == 1 else f"{len(attempts)} attempts"
    last = f"; the last: {attempts[-1].why}" if attempts and attempts[-1].why else ""
    return f"no green code in {number}{last}"
