"""Several replies at once: who wins, who goes on, and that nothing is asked or run too often."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event
from typing import cast

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from pytest_selfheal.errors import BudgetExhausted, ModelUnavailable
from pytest_selfheal.healing.code import Code
from pytest_selfheal.healing.group_loop import heal_group
from pytest_selfheal.healing.groups import Group, GroupEnd
from pytest_selfheal.healing.kit import Inquiry, Kit
from pytest_selfheal.healing.snapshot import Snapshot
from pytest_selfheal.records import Attempt, Candidate, Piece, Reply, RunOutcome, TestResult
from tests.simulated import World, make_stubs

KEY = "m0.py::f"
TESTS = ("t.py::a", "t.py::b", "t.py::c")


class Answers(World):
    """Answers each request with a number from a script: how many of the tests pass with it.

    Others of the script: `x` is no code at all, `-` a fault of the service, `c` is green but
    for its own checks, `C` the same code with checks that hold, `?` gives up.
    """

    script: str = ""
    gate: Callable[[int], None] = staticmethod(lambda number: None)
    numbers: list[int]
    shown: tuple[tuple[object, ...], ...] = ()
    """What the progress was told."""

    def stage(self, *what: object) -> None:
        self.shown += (what[1:],)

    def ask(self, inquiry: Inquiry) -> Reply:
        number = inquiry.number
        with self.lock:
            self.numbers.append(number)
            self.approaches.append(inquiry.approach)
        self.gate(number)
        what = self.script[min(number, len(self.script)) - 1]
        if what == "-":
            raise ModelUnavailable("the service is away")
        if what == "$":
            raise BudgetExhausted("the budget is used up")
        if what == "?":
            return Reply(text="", gave_up="it cannot be done")
        if what == "x":
            return Reply(text="")
        checks = {"c": ("assert False",), "C": ("assert True",)}.get(what, ())
        value = "c" if what in "cC" else what
        return Reply(text="", blocks=(f"# {number}\nf = {value!r}",), checks=checks, model="m")

    def candidate(self, group: Group, reply: Reply) -> Candidate:
        from pytest_selfheal.errors import Unusable

        if not reply.blocks:
            raise Unusable("no block")
        value = reply.blocks[0][-2]
        piece = Piece(stub=self.stubs[KEY], definition=value)
        return Candidate(pieces=(piece,), checks="\n".join(reply.checks))

    def verify(self, tests, pieces, *, checks=None, **_):  # type: ignore[no-untyped-def]
        value = pieces[KEY].definition
        with self.lock:
            self.verified.append((value,))
        passed = len(TESTS) if value == "c" else int(value)
        results = [
            TestResult(
                nodeid=test,
                outcome="passed" if place < passed else "failed",
                longrepr="" if place < passed else f"E   assert {value}",
                entered=(KEY,),
            )
            for place, test in enumerate(tests)
        ]
        if "False" in "".join((checks or {}).values()):
            results.append(TestResult(nodeid="checks", outcome="failed", is_check=True))
        return RunOutcome(ending="completed", results=tuple(results))


def heal(
    script: str, candidates: int = 3, attempts: int = 9, workers: int = 8, **more: object
) -> tuple[Answers, GroupEnd]:
    """One group's end, with some replies at once."""
    world = Answers(stubs=make_stubs("f"), tests={})
    world.script, world.numbers = script, []
    world.more_settings = {
        "candidates": candidates,
        **cast("dict[str, object]", more.pop("set", {})),
    }
    for name, value in more.items():
        setattr(world, name, value)
    group = Group(keys=(KEY,), tests=TESTS, left=attempts)
    with ThreadPoolExecutor(workers) as executor:
        world.executor = executor
        end = heal_group(cast(Kit, world), group, Snapshot(results=(), code=Code()))
    return world, end


def numbers(attempts: Sequence[Attempt]) -> list[int]:
    return [each.number for each in attempts]


def in_turns(*orders: Sequence[int]) -> Callable[[int], None]:
    """A gate through which requests come in an order: each after the one before it."""
    place = {number: (order, index) for order in orders for index, number in enumerate(order)}
    passed = {number: Event() for order in orders for number in order}

    def gate(number: int) -> None:
        order, index = place.get(number, ((), 0))
        if index:
            assert passed[order[index - 1]].wait(20)
            time.sleep(0.05)
        if number in passed:
            passed[number].set()

    return gate


# --- who wins --------------------------------------------------------------------------


@pytest.mark.parametrize("order", [(1, 2, 3), (3, 2, 1), (2, 3, 1)])
def test_a_green_one_wins_whenever_it_comes(order: tuple[int, ...]) -> None:
    _, end = heal("031", gate=in_turns(order))
    assert end.pieces[KEY].definition == "3"
    assert end.attempts[-1].verdict == "passed"
    assert end.attempts[-1].number == 2
    assert end.reason is None


def test_they_are_asked_for_at_the_same_time() -> None:
    barrier = Barrier(3)
    world, _ = heal("333", gate=lambda number: cast(None, barrier.wait(20)))
    assert sorted(world.numbers) == [1, 2, 3]


def test_no_request_is_begun_once_one_is_green() -> None:
    """Of six, two may be under way: the third waits for a thread, and is not wanted then."""
    told = Event()
    world, end = heal(
        "333333",
        candidates=6,
        workers=2,
        gate=lambda number: None if number == 1 else cast(None, told.wait(0.5)),
    )
    assert end.pieces
    assert world.numbers in ([1, 2], [1], [2, 1])
    assert numbers(end.attempts) == [1]


def test_the_one_that_passes_most_goes_on_and_is_told_of_last() -> None:
    _, end = heal("0213")
    assert numbers(end.attempts) == [1, 3, 2, 4]
    assert end.attempts[-2].why is not None
    assert end.attempts[-2].why.startswith("1 of 3 tests red")
    # Three in the first turn, of the second as many as there are, the green one alone counts.
    assert [each.turn for each in end.attempts] == [1, 1, 1, 4]
    assert [each.strategy for each in end.attempts] == ["first"] * 3 + ["retry"]


@pytest.mark.parametrize("order", [(1, 2, 3), (3, 2, 1)])
def test_of_equals_the_first_goes_on_whichever_comes_first(order: tuple[int, ...]) -> None:
    _, end = heal("101", attempts=3, gate=in_turns(order))
    assert end.attempts[-1].number == 1


def test_the_same_code_is_verified_once() -> None:
    world, end = heal("111", attempts=3)
    assert world.verified == [("1",)]
    assert len(end.attempts) == 3
    whys = [each.why or "" for each in end.attempts]
    assert sum(why.startswith("the same code as attempt") for why in whys) == 2
    assert len(world.told) == 3


def test_the_same_code_with_other_checks_may_yet_be_right() -> None:
    world, end = heal("cC", candidates=2, attempts=2, workers=1)
    assert world.verified == [("c",), ("c",)]
    assert end.attempts[-1].verdict == "passed"
    assert end.pieces


def test_attempts_are_never_more_than_allowed() -> None:
    world, end = heal("0", candidates=3, attempts=5)
    assert len(end.attempts) == len(world.numbers) == 5
    assert numbers(sorted(end.attempts, key=lambda each: each.number)) == [1, 2, 3, 4, 5]


def test_the_progress_says_how_it_is_asked_for() -> None:
    world, _ = heal("0001113", candidates=3, attempts=7)
    asked = [each[:4] for each in world.shown if each[2] == "asking"]
    assert asked == [
        (1, 7, "asking", "3 at once"),
        (4, 7, "asking", "3 at once"),
        (7, 7, "asking", ""),
    ]
    world, _ = heal("003", candidates=1)
    assert (3, 9, "asking", "a fresh sample") in [each[:4] for each in world.shown]


# --- what goes wrong -------------------------------------------------------------------


def test_faults_are_no_attempts_and_the_others_go_on() -> None:
    _, end = heal("-1-3", attempts=4)
    assert numbers(end.attempts) == [2, 4]
    assert end.pieces


def test_where_all_fail_the_stub_ends_with_the_reason() -> None:
    _, end = heal("---")
    assert end.reason == "the service is away"
    assert end.attempts == ()


def test_a_budget_that_allows_one_gives_one_candidate() -> None:
    _, end = heal("$3$", attempts=3)
    assert end.pieces
    _, end = heal("$1$$$$", attempts=9)
    assert numbers(end.attempts) == [2]
    assert end.reason == "the budget is used up"


def test_giving_up_ends_a_stub_where_all_do() -> None:
    _, end = heal("?1?3")
    assert end.pieces
    _, end = heal("???")
    assert end.reason == "it cannot be done"


def test_what_cannot_be_used_ranks_below_what_runs() -> None:
    _, end = heal("x0x", attempts=3)
    assert end.attempts[-1].verdict == "failed"


def test_a_replay_asks_in_order_and_comes_to_the_same_end() -> None:
    from pathlib import Path

    ends = [heal("133", set={"replay": Path("r.jsonl")}) for _ in range(3)]
    assert all(world.numbers == [1, 2] for world, _ in ends)
    assert all(end.pieces[KEY].definition == "3" for _, end in ends)


@hypothesis_settings(max_examples=60, deadline=None)
@given(st.text(alphabet="0123x-?cC", min_size=1, max_size=8), st.integers(1, 4), st.integers(1, 6))
def test_any_replies(script: str, candidates: int, attempts: int) -> None:
    world, end = heal(script, candidates, attempts)
    asked = len(world.numbers)
    # Only what brought no reply may be asked for once more under its number.
    faults = sum(script[min(each, len(script)) - 1] == "-" for each in world.numbers)
    assert len(world.numbers) - len(set(world.numbers)) <= faults
    assert len(end.attempts) <= min(asked, attempts)
    assert len(set(numbers(end.attempts))) == len(end.attempts)
    if end.pieces:
        assert end.attempts[-1].verdict == "passed"
        assert [each.verdict for each in end.attempts[:-1]].count("passed") == 0
    else:
        assert end.reason
    assert len(world.told) == len(end.attempts)
