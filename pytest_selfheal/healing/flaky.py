"""Tests whose outcome changes while the code stays: named, and not held against any code.

A test that was red once and green once with the same code is no evidence of either. It
takes two green runs in fresh sandboxes, in whatever hash seeds these have, before a red
one is put down to the test, so that code which is right by luck half of the time seldom
gets through by it; and there must be green tests left that do speak for the code. All the
group's tests are run again, not the red ones alone: code that keeps something from one
call to the next is wrong, and looks right in a test that is run by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from pytest_selfheal.healing.judge import Judgement
from pytest_selfheal.records import RunOutcome

MAX_SUSPECTS = 3
"""More red tests than these are not taken for flaky."""
GREEN_RERUNS = 2
"""How often a red test must be green with the same code to be called flaky."""


@dataclass(slots=True)
class Doubts:
    """What is known of the tests of one group."""

    flaky: set[str] = field(default_factory=set)
    _steady: set[str] = field(default_factory=set)
    """Tests that were red twice with the same code: they need no third run."""
    _tree: str | None = None
    _outcomes: dict[str, bool] = field(default_factory=dict)
    _red_before: set[str] = field(default_factory=set)

    def compare(self, tree: str, outcome: RunOutcome) -> None:
        """Where a reply repeats the code of the one before, hold the two runs together."""
        if outcome.ending != "completed":
            return
        passed = {
            each.nodeid: each.outcome == "passed"
            for each in outcome.results
            if each.nodeid not in outcome.not_run
        }
        if tree == self._tree:
            for nodeid, is_passed in passed.items():
                before = self._outcomes.get(nodeid, is_passed)
                if before != is_passed:
                    self.flaky.add(nodeid)
                elif not is_passed:
                    self._steady.add(nodeid)
        self._tree, self._outcomes = tree, passed

    def fewest_steady(self, *, is_last: bool) -> int:
        """How many red tests it takes for `is_worth_a_rerun` to be out of the question."""
        return MAX_SUSPECTS + 1 if self._red_before or is_last else 1

    def is_worth_a_rerun(self, judgement: Judgement, keys: Sequence[str], *, is_last: bool) -> bool:
        """Whether an attempt's red tests may be flaky: few, among more green ones.

        Code that is wrong fails like this as well, and a run more for every failed
        attempt would cost more than it saves. So it waits until a second code fails the
        same tests, or there is no further attempt.
        """
        red = {each.nodeid for each in judgement.red}
        is_stuck = red <= self._red_before
        self._red_before |= red | judgement.not_run  # which may have been red
        wanted = set(keys)
        green = sum(
            each.outcome == "passed" and not wanted.isdisjoint(each.entered)
            for each in judgement.results
        )
        return (
            (is_stuck or is_last)
            and 0 < len(red) <= MAX_SUSPECTS
            and green > len(red)
            # The model's own checks are not the project's to be flaky.
            and not any(each.is_check or each.outcome != "failed" for each in judgement.red)
            and red.isdisjoint(self._steady)
        )

    def settle(self, judgement: Judgement, run: Callable[[], RunOutcome]) -> None:
        """Run the same tests with the same code again, and see which stay red."""
        red = {each.nodeid for each in judgement.red}
        for _ in range(GREEN_RERUNS):
            outcome = run()
            passed = {each.nodeid for each in outcome.results if each.outcome == "passed"}
            if outcome.ending != "completed" or not red <= passed:
                self._steady |= red - passed
                return
        self.flaky |= red

    def are_all_there_is(self, judgement: Judgement, keys: Sequence[str]) -> bool:
        """Whether no steady green test is left that entered these stubs, and flaky ones are."""
        wanted = set(keys)
        entering = [each for each in judgement.results if wanted.intersection(each.entered)]
        steady = [each for each in entering if each.nodeid not in self.flaky and not each.is_check]
        return bool(self.flaky) and bool(entering) and not steady
