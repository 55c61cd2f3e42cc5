"""Whose fault red tests are: the candidate's, other code's, or nobody's yet. Pure.

And when that is settled whatever the other tests say, so that a sandbox may leave them out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict

from pytest_selfheal.healing.flaky import Doubts
from pytest_selfheal.healing.groups import Group
from pytest_selfheal.healing.judge import MAX_TRACEBACKS, Judgement
from pytest_selfheal.healing.snapshot import Snapshot
from pytest_selfheal.records import EarlyEnd, Stub, TestResult
from pytest_selfheal.sandbox.inside_early import Failing

ATTEMPTS_BEFORE_BLAMING_OTHERS = 2
ATTEMPTS_BEFORE_BLAMING_WEAK_ONES = 3


class Blame:
    """What the red tests of one group's attempts are held against."""

    def __init__(
        self, group: Group, snapshot: Snapshot, stubs: Mapping[str, Stub], limit: int
    ) -> None:
        """Take the group, what it was told, all stubs, and how many attempts there may be."""
        self._group = group
        self._snapshot = snapshot
        self._stubs = stubs
        self._limit = limit
        self._are_living = all(stubs[key].is_living for key in group.keys)
        self._entered = {each.nodeid: frozenset(each.entered) for each in snapshot.results}

    def gets_further(self, result: TestResult) -> bool:
        """Whether a red test stopped at something that nobody has been asked for yet.

        A living function is that only where living functions are asked for: elsewhere it
        is more likely right than the code that calls it.
        """
        elsewhere = [key for key in result.entered if key in self._stubs and self._is_bare(key)]
        if any(not self._stubs[key].is_living for key in elsewhere):
            return True
        if not self._are_living:
            return False
        return not self._entered.get(result.nodeid, frozenset()).issuperset(elsewhere)

    def is_on_others(self, judgement: Judgement) -> bool:
        """Whether tests of their own clear the group's stubs, and the red ones enter doubtful code.

        Then it is kept, and the code that nothing speaks for is asked for again.
        """
        if judgement.verdict != "failed":
            return False
        doubtful = {key for key in self._snapshot.unproven if key in self._snapshot.code}
        red = all(not doubtful.isdisjoint(each.entered) for each in judgement.red)
        green: set[str] = set()
        for each in judgement.results:
            if each.outcome == "passed" and not each.is_check:
                green.update(each.entered)
        return red and green.issuperset(self._group.keys)

    def others(self, judgement: Judgement, number: int) -> tuple[str, ...]:
        """Other stubs whose code every red test of an attempt entered, and that may be wrong.

        At first that is code which no green test has entered, later also such that few
        have. Of a group that was blamed itself, and whose next reply did not help, it is
        all the code that its tests enter.
        """
        snapshot = self._snapshot
        doubtful = snapshot.code.keys() if self._group.earlier_code else snapshot.unproven
        if not judgement.red or self._is_early(number):
            return ()
        entered = [doubtful & set(result.entered) for result in judgement.red]
        if all(entered):
            return tuple(sorted(frozenset().union(*entered)))
        if not self._may_be_weak(number):
            return ()
        common = snapshot.weak.intersection(*(result.entered for result in judgement.red))
        return tuple(sorted(common))

    def early_end(self, number: int, doubts: Doubts, unseen: frozenset[str]) -> EarlyEnd:
        """Which red tests of an attempt leave nothing to be decided by its others.

        That is what is asked of the red tests here, by `judge.innocent`, and by the doubts.

        Args:
            number: The attempt's, from 1.
            doubts: Which tests may be flaky.
            unseen: Tests that the model may not be told of.
        """
        group, snapshot = self._group, self._snapshot
        doubtful = set(snapshot.code) if group.earlier_code else set(snapshot.unproven)
        if self._is_early(number):
            doubtful.intersection_update(snapshot.code)
        return EarlyEnd(
            keys=frozenset(group.keys),
            elsewhere=frozenset(
                key
                for key, stub in self._stubs.items()
                if self._is_bare(key) and (self._are_living or not stub.is_living)
            ),
            doubtful=frozenset(doubtful),
            weak=snapshot.weak if self._may_be_weak(number) else frozenset(),
            uncounted=frozenset(doubts.flaky),
            unseen=unseen,
            fewest=doubts.fewest_steady(is_last=number >= self._limit),
            shown=MAX_TRACEBACKS,
        )

    def _is_bare(self, key: str) -> bool:
        """Whether it is no part of this group, and has no code yet."""
        return key not in self._group.keys and self._snapshot.code.find(key) is None

    def _is_early(self, number: int) -> bool:
        """Whether an attempt's red tests blame no other stub yet."""
        before = min(ATTEMPTS_BEFORE_BLAMING_OTHERS, self._limit)
        return number < before and not self._group.earlier_code

    def _may_be_weak(self, number: int) -> bool:
        return ATTEMPTS_BEFORE_BLAMING_WEAK_ONES <= number < self._limit


def is_decisive(red: Sequence[TestResult], early_end: EarlyEnd | None) -> bool:
    """Whether red tests leave nothing to be decided by others."""
    if early_end is None:
        return False
    failing = Failing(**asdict(early_end))
    for each in red:
        if not each.is_check:
            failing.add(each.nodeid, each.entered)
    return failing.is_decisive
