"""What was tried for each stub."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from pytest_selfheal.healing.groups import GroupEnd
from pytest_selfheal.healing.judge import last_error_line, tracebacks
from pytest_selfheal.records import Attempt, TestResult


class History(dict[str, tuple[Attempt, ...]]):
    """Every attempt on a stub, alone or with others, by its key; oldest first."""

    def take(self, key: str, end: GroupEnd) -> None:
        """Add what a group tried for one of its stubs."""
        known = self.get(key, ())
        attempts = end.attempts
        if key in end.pieces and attempts and attempts[-1].verdict != "passed":
            # Some tests were red, but none of them through this stub.
            passed = replace(attempts[-1], verdict="passed", why=None, traceback="", red=())
            attempts = (*attempts[:-1], passed)
        self[key] = (*known[: len(known) - len(end.group.attempts)], *attempts)

    def replace_last(self, key: str, attempt: Attempt) -> None:
        """Put an attempt in the place of the last one."""
        self[key] = (*self.get(key, ())[:-1], attempt)

    def refute_last(self, key: str, red: Sequence[TestResult]) -> None:
        """Turn the last attempt, green on its own, into one that fails these tests."""
        known = self.get(key, ())
        if known and known[-1].verdict == "passed" and red:
            failed = replace(
                known[-1],
                verdict="failed",
                why=f"{red[0].nodeid} is red with it: {last_error_line(red[0].longrepr)}"[:300],
                traceback=tracebacks(red),
                red=tuple(red),
            )
            self.replace_last(key, failed)
