"""The last word before anything is written: everything together, in a fresh sandbox.

Every selected test that passed before, and every test that turned green, must pass with
all the code in place, in another order and under another hash seed.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pytest_selfheal.errors import SandboxFailed
from pytest_selfheal.healing.kit import Kit
from pytest_selfheal.records import Piece, RunOutcome, TestResult


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmation:
    """What the confirming run gave."""

    outcome: RunOutcome
    red: tuple[TestResult, ...] = ()
    """Results that are held against the code."""
    sandbox_only: tuple[str, ...] = ()
    """Tests that are red in there without the code too."""


def confirm(
    kit: Kit,
    pieces: Mapping[str, Piece],
    *,
    green: Sequence[str],
    passed_before: Sequence[str],
    excused: Sequence[str],
    timeout_seconds: float,
) -> Confirmation:
    """Run all tests with all code in place.

    Args:
        kit: The tools of the run.
        pieces: The code to be confirmed.
        green: Tests that turned green with it.
        passed_before: Tests that passed in the user's own run.
        excused: Those of them known to be red in the sandbox without the code.
        timeout_seconds: For the whole run.

    Raises:
        SandboxFailed: No sandbox could be started, or it was lost twice.
    """
    tests = list(dict.fromkeys([*green, *(t for t in passed_before if t not in set(excused))]))
    seed = secrets.randbelow(2**31)
    outcome = _run(kit, tests, pieces, seed, timeout_seconds)
    red = _red(outcome)
    if outcome.ending == "completed" and not red:
        return Confirmation(outcome=outcome)
    before = set(passed_before)
    suspects = [each.nodeid for each in red if each.nodeid in before]
    excused_now: set[str] = set()
    if suspects:
        # The same tests in the same order without the code: what is red there as well
        # is the sandbox's doing, or the order's.
        baseline = _run(kit, [t for t in tests if t in before], {}, seed, timeout_seconds)
        excused_now = {each.nodeid for each in _red(baseline)} & set(suspects)
    held = tuple(each for each in red if each.nodeid not in excused_now)
    return Confirmation(outcome=outcome, red=held, sandbox_only=tuple(sorted(excused_now)))


def _run(
    kit: Kit,
    tests: Sequence[str],
    pieces: Mapping[str, Piece],
    seed: int,
    timeout_seconds: float,
) -> RunOutcome:
    outcome = kit.verify(
        tests, pieces, shuffle_seed=seed, timeout_seconds=timeout_seconds, is_last=True
    )
    if outcome.ending == "sandbox-failed":
        raise SandboxFailed(outcome.why)
    return outcome


def _red(outcome: RunOutcome) -> tuple[TestResult, ...]:
    return tuple(each for each in outcome.results if each.outcome != "passed")
