"""What a group is told of the board when it begins."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_selfheal.healing.code import Code
from pytest_selfheal.records import TestResult


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The board as a group found it; what other groups do meanwhile is not its concern."""

    results: tuple[TestResult, ...]
    """How the group's tests stand."""
    code: Code
    """Code in place for other stubs."""
    unproven: frozenset[str] = frozenset()
    """Those of them that no green test has entered."""
    weak: frozenset[str] = frozenset()
    """Those of them that few green tests have entered."""
    suite_seconds: float | None = None
    """The time that the whole selection is given."""
