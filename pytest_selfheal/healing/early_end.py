"""When a group's verification may leave tests out: what the host tells the sandbox of it. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict

from pytest_selfheal.healing.board import Group
from pytest_selfheal.healing.code import Code
from pytest_selfheal.healing.judge import MAX_TRACEBACKS
from pytest_selfheal.records import EarlyEnd, Stub, TestResult
from pytest_selfheal.sandbox.inside_early import Failing


def early_end(
    group: Group,
    stubs: Mapping[str, Stub],
    code: Code,
    *,
    unproven: Collection[str],
    weak: frozenset[str],
    is_early: bool,
    uncounted: Collection[str],
    unseen: frozenset[str],
    fewest: int,
) -> EarlyEnd:
    """Which red tests leave nothing to be decided by the others.

    That is what the loop asks of the red tests of an attempt: whether they clear a stub of
    the group, stopped at another one, blame others, or may be flaky.

    Args:
        group: What is asked for.
        stubs: All stubs, by key.
        code: What is in place for others.
        unproven: Stubs with code that no green test has entered.
        weak: Those that few green tests have entered, where they may be blamed.
        is_early: No other stub is blamed yet.
        uncounted: Tests that say nothing.
        unseen: Tests that the model may not be told of.
        fewest: How many red tests it takes until none of them is held to be flaky.
    """
    are_living = all(stubs[key].is_living for key in group.keys)
    doubtful = set(code) if group.earlier_code else set(unproven)
    if is_early:
        doubtful.intersection_update(code)
    return EarlyEnd(
        keys=frozenset(group.keys),
        elsewhere=frozenset(
            key
            for key, stub in stubs.items()
            if key not in group.keys
            and code.find(key) is None
            and (are_living or not stub.is_living)
        ),
        doubtful=frozenset(doubtful),
        weak=weak,
        uncounted=frozenset(uncounted),
        unseen=unseen,
        fewest=fewest,
        shown=MAX_TRACEBACKS,
    )


def is_decisive(red: Sequence[TestResult], early_end: EarlyEnd | None) -> bool:
    """Whether red tests leave nothing to be decided by others."""
    if early_end is None:
        return False
    failing = Failing(**asdict(early_end))
    for each in red:
        if not each.is_check:
            failing.add(each.nodeid, each.entered)
    return failing.is_decisive
