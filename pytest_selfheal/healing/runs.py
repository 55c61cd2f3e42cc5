"""Many tests in few sandboxes: one that ends its process is put aside, and the rest go on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from pytest_selfheal.errors import SandboxFailed
from pytest_selfheal.healing.judge import is_green, spread
from pytest_selfheal.healing.kit import Kit
from pytest_selfheal.records import Piece, RunOutcome, TestResult

MAX_ROUNDS = 8
"""How many tests that end their process are put aside before the rest is given up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """What some tests came to."""

    results: tuple[TestResult, ...]
    """A test that ended or hung its process is a failed one that says so."""
    asked: frozenset[str]
    cut: Mapping[str, RunOutcome]
    """Those tests, and how the run that each of them was in ended."""
    broken: RunOutcome | None = None
    """A run that did not end in order through no test that could be named."""
    seconds: float = 0.0

    @property
    def red(self) -> tuple[TestResult, ...]:
        """The results that are not green.

        Of a file that was asked for as a whole, tests that do not run are none of them.
        """
        return tuple(each for each in self.results if not is_green(each, self.asked))


def run_tests(
    kit: Kit,
    tests: Sequence[str],
    pieces: Mapping[str, Piece],
    *,
    timeout_seconds: float,
    shuffle_seed: int | None = None,
    is_last: bool = False,
) -> Ran:
    """Run tests in one sandbox, or in a few where a test ends its process.

    Raises:
        SandboxFailed: None could be started, or it was lost twice.
        Unusable: The pieces do not go together.
        EditConflict: A file cannot take them.
    """
    left = list(tests)
    results: dict[str, TestResult] = {}
    cut: dict[str, RunOutcome] = {}
    broken: RunOutcome | None = None
    seconds = 0.0
    for _ in range(MAX_ROUNDS):
        outcome = kit.verify(
            left,
            pieces,
            timeout_seconds=timeout_seconds,
            shuffle_seed=shuffle_seed,
            is_last=is_last,
        )
        if outcome.ending == "sandbox-failed":
            raise SandboxFailed(outcome.why)
        seconds += outcome.seconds
        results.update((each.nodeid, each) for each in outcome.results)
        if outcome.ending == "completed":
            break
        unfinished = [each for each in outcome.results if each.outcome == "unfinished"]
        if not unfinished or none_started(outcome) or outcome.ending == "untrusted":
            broken = outcome
            break
        culprit = unfinished[0]
        text = "\n".join(part for part in (outcome.why, outcome.output.strip()) if part)
        results[culprit.nodeid] = replace(culprit, outcome="failed", longrepr=text)
        cut[culprit.nodeid] = outcome
        left = [each.nodeid for each in unfinished[1:]]
        if not left:
            break
    asked = set(tests)
    spread_out = (
        each
        for each in spread(results.values(), tests)
        # A file that cannot be collected stands for its tests only where these are not known.
        if "::" in each.nodeid or each.nodeid in asked
    )
    return Ran(
        results=tuple(spread_out),
        asked=frozenset(asked),
        cut=cut,
        broken=broken,
        seconds=seconds,
    )


def none_started(outcome: RunOutcome) -> bool:
    """Whether the process ended before any test of its was begun."""
    return outcome.ending == "crashed" and all(
        each.outcome == "unfinished" and each.phase == "collect" for each in outcome.results
    )
