"""What a heal would do about one stub: found out as a heal does, up to the first request."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from pytest_selfheal.errors import PromptTooLong
from pytest_selfheal.healing.groups import Group
from pytest_selfheal.healing.kit import Inquiry
from pytest_selfheal.healing.run import Heal


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """A stub's first request, or why there is none."""

    tests: tuple[str, ...] = ()
    """Node ids of the red tests that enter it."""
    targets: tuple[str, ...] = ()
    """What would be asked for in one request, itself among it; empty where there is none."""
    judges: tuple[str, ...] = ()
    """The tests that would judge the reply."""
    prompt: str = ""
    attempts: int = 0
    """How many replies would be tried."""
    before: int = 0
    """How many requests are planned before this one."""
    reason: str = ""
    """Why nothing would be asked for."""


def explain(heal: Heal, keys: Collection[str]) -> Explanation:
    """Trace the failing tests, and plan until the turn of one of these stubs comes.

    Raises:
        SandboxFailed: No sandbox came up.
    """
    if not heal.record.failing:
        return Explanation(reason="no test fails, so nothing is asked for")
    heal.trace()
    tests = tuple(dict.fromkeys(n for key in keys for n in heal.board.tests_reaching(key)))
    before = 0
    while (group := heal.next_group()) is not None:
        if not set(keys).isdisjoint(group.keys):
            targets, prompt = _first_prompt(heal, group)
            return Explanation(
                tests=tests,
                targets=targets,
                judges=group.tests,
                prompt=prompt,
                attempts=group.left,
                before=before,
            )
        before += 1
    return Explanation(tests=tests, reason=_reason(heal, keys, tests))


def first_prompts(heal: Heal) -> Iterator[Explanation]:
    """Trace the failing tests, and give the request of each group that is planned first.

    Raises:
        SandboxFailed: No sandbox came up.
    """
    if not heal.record.failing:
        return
    heal.trace()
    while (group := heal.next_group()) is not None:
        targets = tuple(dict.fromkeys(heal.kit.stubs[key].target for key in group.keys))
        try:
            targets, prompt = _first_prompt(heal, group)
        except PromptTooLong as error:
            yield Explanation(targets=targets, reason=str(error))
        else:
            yield Explanation(targets=targets, prompt=prompt)


def _first_prompt(heal: Heal, group: Group) -> tuple[tuple[str, ...], str]:
    snapshot = heal.snapshot(group)
    held = heal.kit.holdout(group, snapshot.results)
    held = held.for_attempt((), is_last=group.left == 1)
    targets, prompt = heal.kit.prompt(
        Inquiry(group=group, results=snapshot.results, provisional=snapshot.code, holdout=held)
    )
    return tuple(targets), prompt


def _reason(heal: Heal, keys: Collection[str], tests: tuple[str, ...]) -> str:
    is_living = all(heal.kit.stubs[key].is_living for key in keys)
    if tests and is_living:
        return "what reaches it waits for stubs first, or passes with its present body"
    if tests:
        return "the tests that reach it wait for other stubs first"
    if is_living:
        return "no failing test reaches it, and a body that tests pass with is left alone"
    return (
        "no failing test reaches it as things stand: there is no test for it, the tests stop "
        "earlier, at another stub or an error of their own, or they pass"
    )
