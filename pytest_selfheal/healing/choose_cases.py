"""Which cases of a test are kept from the model: a pure and steady choice."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence

from pytest_selfheal.source.cases import Asserts, Case

FEWEST = 4
"""Of fewer cases, none is held out: they hardly say what is wanted as it is."""


def choose(
    cases: Sequence[Case], share: float, path: str, judged: Collection[int] | None = None
) -> frozenset[int]:
    """Choose cases to hold out.

    The choice depends on the file's name and on what the cases say, so that each request
    of each run, for whatever stubs, holds the same ones out.

    Args:
        cases: All cases of a test.
        share: How much of them, 0 to 1.
        path: The file that they stand in.
        judged: The positions of those that are run at all; None for all.

    Returns:
        Positions: at least one, never all, and never the only case of its kind; none
        where there are fewer than four cases, or no two of a kind.
    """
    there = [each for each in cases if judged is None or each.position in judged]
    offered = [each for each in there if each.may_be_held]
    offered.sort(key=lambda each: hashlib.sha256(f"{path}\0{each.text}".encode()).digest())
    return _taken(there, offered, share)


def choose_asserts(asserts: Asserts, share: float) -> frozenset[int]:
    """Choose asserts of a test to hold out: the last ones, so that those shown come first.

    What stays must still make sense: an assert on something that the test has made is
    held out only together with all that follows it.
    """

    def is_free(case: Case, held: Collection[int]) -> bool:
        later = range(case.position + 1, len(asserts.cases))
        if case.position in asserts.alone:
            return True
        return case.position in asserts.at_end and all(each in held for each in later)

    # The first one stays: it is where a stub's test stops.
    offered = [each for each in reversed(asserts.cases[1:]) if each.may_be_held]
    return _taken(asserts.cases, offered, share, is_free)


def _taken(
    cases: Sequence[Case],
    offered: Iterable[Case],
    share: float,
    is_free: Callable[[Case, Collection[int]], bool] = lambda *_: True,
) -> frozenset[int]:
    count = len(cases)
    if share <= 0 or count < FEWEST:
        return frozenset()
    wanted = min(max(1, int(count * share)), count - 1)
    offered = list(offered)
    for level in (0, 1):  # where no two are of one fine kind, those of one coarse kind do
        shown = Counter(each.kinds[level] for each in cases)
        held: set[int] = set()
        for each in offered:
            kind = each.kinds[level]
            if len(held) < wanted and shown[kind] > 1 and is_free(each, held):
                held.add(each.position)
                shown[kind] -= 1
        if held:
            return frozenset(held)
    return frozenset()
