"""Single stories of planning and confirming, over made-up projects (see `simulated`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

import pytest

from pytest_selfheal.healing.groups import MAX_GROUP
from pytest_selfheal.healing.guilt import guilty
from pytest_selfheal.healing.run import Heal
from pytest_selfheal.records import EarlyEnd, Piece, RunOutcome, TestResult
from tests.simulated import RIGHT, WRONG, Reach, World, make_stubs

LETTERS = "abcdefghijklmnopqrstuvwxyz"


def keys(names: str) -> list[str]:
    return [f"m{LETTERS.index(name) // 10}.py::{name}" for name in names]


def reach(names: str, tells: str | None = None, stops: str = "", **more: object) -> Reach:
    return Reach(
        stubs=tuple(keys(names)),
        tells=frozenset(keys(names if tells is None else tells)),
        stops=frozenset(keys(stops)),
        **more,  # type: ignore[arg-type]
    )


def world(
    tests: Mapping[str, Reach],
    *,
    replies: Mapping[str, str] | None = None,
    returning: str = "",
    living: str = "",
    right: str = "",
    **more: object,
) -> World:
    """A project; `replies` has a letter for each reply: `r` right, `w` wrong."""
    return World(
        stubs=make_stubs(LETTERS, living=living),
        tests={f"t.py::{name}": each for name, each in tests.items()},
        replies={
            keys(name)[0]: [each == "r" for each in script]
            for name, script in (replies or {}).items()
        },
        returning=frozenset(keys(returning)),
        was_right=frozenset(keys(right)),
        most_verifications=500,
        **more,  # type: ignore[arg-type]
    )


def names(some: Sequence[str] | Mapping[str, Piece]) -> str:
    return "".join(sorted(key[-1] for key in some))


def asked(of: World) -> list[str]:
    return [names(each) for each in of.requests]


def whys(heal: Heal, name: str) -> list[str]:
    return [each.why or "" for each in heal.board.history[keys(name)[0]]]


class TestGroups:
    def test_one_test_that_enters_forty_is_asked_for_in_parts(self) -> None:
        many = LETTERS[:20]
        of = world({"one": reach(many)}, returning=many)
        heal = of.healed()
        assert names(heal.confirmed) == many
        assert all(len(each) <= MAX_GROUP for each in of.requests)
        # In order of first entry.
        assert asked(of) == ["abcdef", "ghijkl", "mnopqr", "st"]

    def test_what_a_test_of_its_own_judges_is_asked_for_alone_first(self) -> None:
        many = LETTERS[:9]
        of = world({"all": reach(many), "d": reach("d"), "gh": reach("gh")}, returning=many, jobs=1)
        assert names(of.healed().confirmed) == many
        assert asked(of) == ["d", "gh", "abcefi"]

    def test_those_that_end_together_are_taken_as_they_began(self) -> None:
        of = world({name: reach(name) for name in LETTERS[:20]}, jobs=20)
        heal = of.healed()  # in this thread, so that all have ended before one is waited for
        assert list(heal.board.history) == [key for group in of.requests for key in group]

    @pytest.mark.parametrize("wrong", ["a", "h", "m"])
    def test_a_wrong_one_among_many_is_found_in_whatever_part_it_is(self, wrong: str) -> None:
        many = LETTERS[:14]
        of = world({"one": reach(many)}, returning=many, replies={wrong: "wr"})
        heal = of.healed()
        assert names(heal.confirmed) == many
        assert all(piece.definition == RIGHT for piece in heal.confirmed.values())

    def test_what_is_right_in_a_reply_is_not_lost_with_the_rest(self) -> None:
        of = world(
            {"ab": reach("ab"), "bc": reach("bc"), "cd": reach("cd")},
            returning="abcd",
            replies={"d": "wwr"},
        )
        heal = of.healed()
        assert names(heal.confirmed) == "abcd"
        # `cd` is red with it: of the two, no green test clears the last.
        assert asked(of) == ["abcd", "d", "d"]
        assert [each.verdict for each in heal.board.history[keys("a")[0]]] == ["passed"]
        assert len(heal.board.history[keys("d")[0]]) == 3


class TestProvisional:
    def test_wrong_code_that_only_shows_later_is_asked_for_again_with_the_evidence(self) -> None:
        of = world({"b": reach("b"), "ab": reach("ab")}, replies={"a": "wr"})
        heal = of.healed()
        assert names(heal.confirmed) == "ab"
        assert whys(heal, "a") == ["t.py::ab is red with it: assert m0.py::a is right", ""]
        assert of.asked[keys("b")[0]] == 1, "its own test clears it"

    def test_tests_that_were_green_with_the_old_code_are_run_again(self) -> None:
        of = world({"a": reach("a", tells=""), "ab": reach("ab")}, replies={"a": "wr"})
        heal = of.healed()
        assert names(heal.confirmed) == "ab"
        last = [tests for tests in of.verified if "t.py::a" in tests]
        assert len(last) >= 3  # traced and judged, judged again, confirmed

    def test_a_hopeless_neighbour_does_not_hold_up_those_that_do_not_need_it(self) -> None:
        of = world(
            {"a": reach("a"), "b": reach("b"), "ac": reach("ac"), "d": reach("bd")},
            replies={"c": "w"},
        )
        heal = of.healed()
        assert names(heal.confirmed) == "bd"
        assert names(heal.board.failed) == "c"
        assert len(of.requests) == 3 + 5

    def test_a_weakly_proven_neighbour_is_suspected_before_all_attempts_are_used(self) -> None:
        """One test sees `a` alone and not that it is wrong; `b` is innocent."""
        of = world({"a": reach("a", tells=""), "ab": reach("ab")}, replies={"a": "wr"})
        heal = of.healed()
        assert names(heal.confirmed) == "ab"
        assert of.asked == {keys("a")[0]: 2, keys("b")[0]: 4}

    def test_who_was_suspected_beside_a_hopeless_one_keeps_its_code(self) -> None:
        of = world(
            {"a": reach("a"), "ab": reach("ab"), "x": reach("x"), "ax": reach("ax")},
            replies={"b": "w"},
        )
        heal = of.healed()
        assert keys("a")[0] in heal.board.code, "it has a green test"
        assert names(heal.board.failed) == "b"
        assert of.asked[keys("b")[0]] == 5

    def test_code_that_does_not_go_together_is_asked_for_again(self) -> None:
        """Two at work at once bring different things of one name; each was green by itself."""
        clash = set(keys("ab"))
        seen: list[frozenset[str]] = []

        def conflict(code: Mapping[str, Piece]) -> str | None:
            both = clash <= code.keys() and sum(map(len, seen)) < 4
            if both:
                seen.append(frozenset(clash))
            return "'_helper' is defined twice" if both else None

        of = world({"a": reach("a"), "b": reach("b"), "c": reach("c")}, conflict=conflict)
        heal = of.healed()
        assert names(heal.confirmed) == "abc"
        assert "'_helper' is defined twice" in [*whys(heal, "a"), *whys(heal, "b")]
        assert whys(heal, "c") == [""]

    def test_code_that_comes_to_be_in_the_way_later_is_taken_back_alone(self) -> None:
        """Two that went together when they were taken, and do not with all the rest."""
        a, b, _ = keys("abc")
        clash: list[Piece] = []

        def conflict(code: Mapping[str, Piece]) -> str | None:
            if len(of.verified) < 4 or a not in code or b not in code:
                return None  # while they are traced and judged
            clash.extend([code[a], code[b]] if not clash else [])
            is_clash = code[a] is clash[0] and code[b] is clash[1]
            return "'_helper' is defined twice" if is_clash else None

        of = world({"a": reach("a"), "b": reach("b"), "c": reach("c")}, conflict=conflict, jobs=1)
        heal = of.healed()
        assert names(heal.confirmed) == "abc"
        assert len(of.requests) == 4
        assert of.asked[keys("c")[0]] == 1


class Hasty(World):
    """Its sandboxes say of every run that may end early that red tests had decided it."""

    def verify(self, *arguments: Any, early_end: EarlyEnd | None = None, **more: Any) -> RunOutcome:
        outcome = super().verify(*arguments, **more)
        return replace(outcome, ended_early=early_end is not None)


def test_a_run_that_nothing_had_decided_is_run_again_whole() -> None:
    """The host goes by the results: green ones are green in a run that is a whole one."""
    plain = world({"a": reach("a")}, replies={"a": "wr"})
    hasty = Hasty(**{each.name: getattr(plain, each.name) for each in fields(plain)})
    heal = hasty.healed()
    assert names(heal.confirmed) == "a"
    assert whys(heal, "a") == ["1 of 1 tests red: t.py::a: assert m0.py::a is right", ""]
    # Traced, judged once for the wrong reply and twice for the right one, confirmed.
    assert len(hasty.verified) == 5


class TestLiving:
    def test_code_that_breaks_what_passes_is_a_failed_attempt_at_once(self) -> None:
        of = world(
            {"new": reach("a"), "old": reach("a", tells="")},
            living="a",
            replies={"a": "wr"},
        )
        heal = of.healed()
        assert names(heal.confirmed) == "a"
        # The first reply is judged by both tests, in one verification.
        assert ("t.py::new", "t.py::old") in of.verified
        assert whys(heal, "a")[0].startswith("1 of 2 tests red: t.py::new")

    def test_one_that_is_right_is_left_alone(self) -> None:
        of = world({"ab": reach("ab"), "a": reach("a"), "b": reach("b")}, living="ab", right="a")
        heal = of.healed()
        assert names(heal.confirmed) == "b"
        assert asked(of) == ["b"]


class TestConfirming:
    def test_only_the_guilty_one_of_what_a_test_enters_is_asked_for_again(self) -> None:
        of = world(
            {
                **{name: reach(name) for name in "bcd"},
                "a": reach("a", tells="", wants=frozenset(keys("a"))),
                "before": reach("abcd", tells="", minds=frozenset(keys("a"))),
            },
            returning="abcd",
            replies={"a": "wr"},
        )
        heal = of.healed()
        assert names(heal.confirmed) == "abcd"
        assert whys(heal, "a")[0] == "breaks t.py::before: assert m0.py::a is right"
        assert of.asked == {key: 1 + key.endswith("a") for key in keys("abcd")}

    def test_code_that_breaks_a_test_which_enters_none_of_it_is_found(self) -> None:
        of = world({name: reach(name, tells="") for name in LETTERS[:20]}, replies={"h": "wr"})
        of.tests["t.py::before"] = reach("")
        breaks = keys("h")[0]
        plain = of.result

        def result(test: str, code: Mapping[str, Piece]) -> TestResult:
            if test == "t.py::before" and breaks in code and code[breaks].definition == WRONG:
                return TestResult(nodeid=test, outcome="failed", longrepr="E   assert False")
            return plain(test, code)

        of.result = result  # type: ignore[method-assign]
        heal = of.healed()
        assert names(heal.confirmed) == LETTERS[:20]
        assert of.asked == {key: 1 + (key == breaks) for key in keys(LETTERS[:20])}

    def test_what_is_red_in_that_order_without_the_code_too_is_not_held_against_it(self) -> None:
        of = world({"a": reach("a"), "before": reach("")})
        of.tests["t.py::before"] = reach("", flaky=(True, False))
        heal = of.heal()
        of.runs = {"t.py::before": 1}
        of.run(heal)
        assert names(heal.confirmed) == "a"
        assert (heal.sandbox_only, list(heal.board.flaky)) == (("t.py::before",), [])

    def test_a_flaky_test_that_passed_before_is_named_and_held_against_none(self) -> None:
        of = world(
            {
                "a": reach("a"),
                "before": reach("", flaky=(False, True)),
            }
        )
        of.tests["t.py::before"] = reach("", flaky=(True, False, True))
        heal = of.heal()
        of.runs = {"t.py::before": 1}  # it passed in the user's own run
        of.run(heal)
        assert names(heal.confirmed) == "a"
        assert of.asked == {keys("a")[0]: 1}
        assert list(heal.board.flaky) == ["t.py::before"]
        assert heal.notes() == [
            "t.py::before is flaky: red and green with the same code; "
            "it counts for and against none"
        ]
        assert heal.tests_now() == (["t.py::a"], [])

    def test_a_flaky_test_that_is_red_at_the_end_is_still_failing(self) -> None:
        of = world({"a": reach("a"), "own": reach("a", flaky=(False, True, False))})
        heal = of.healed()
        assert names(heal.confirmed) == "a"
        assert heal.tests_now() == (["t.py::a"], ["t.py::own"])
        assert list(heal.board.flaky) == ["t.py::own"]

    def test_a_crash_names_its_test_and_only_its_code_is_taken_back(self) -> None:
        of = world(
            {
                "a": reach("a", tells="", wants=frozenset(keys("a"))),
                **{name: reach(name) for name in "bcdefgh"},
                "before": reach("ab", tells="", crashes_with=frozenset(keys("a"))),
                "other": reach("b", tells=""),
            },
            returning="ab",
            replies={"a": "wr"},
        )
        heal = of.healed()
        assert names(heal.confirmed) == "abcdefgh"
        first = heal.board.history[keys("a")[0]][0]
        assert first.verdict == "crashed"
        assert first.why == "breaks t.py::before: killed by SIGSEGV in t.py::before"
        assert of.asked == {key: 1 + key.endswith("a") for key in keys("abcdefgh")}

    def test_a_run_that_does_not_start_costs_only_the_guilty_one(self) -> None:
        bad = keys("c")[0]

        def broken_by(code: Mapping[str, Piece]) -> bool:
            # Only together with others, so that nothing is seen of it alone.
            return len(code) > 1 and bad in code and code[bad].definition == WRONG

        tests = {name: reach(name, tells="") for name in "abcdef"}
        of = world(tests, replies={"c": "wr"}, broken_by=broken_by)
        heal = of.healed()
        assert names(heal.confirmed) == "abcdef"
        assert of.asked[bad] == 2
        assert sum(of.asked.values()) <= 8

    def test_a_run_that_does_not_end_with_or_without_the_code_is_held_against_none(self) -> None:
        of = world({name: reach(name) for name in "abc"})
        # From the confirming run on: one trace and three groups come before it.
        of.broken_by = lambda _: len(of.verified) > 4
        heal = of.heal()
        of.run(heal)
        assert heal.problem is not None
        assert "whatever the code: killed by SIGSEGV" in heal.problem
        assert (heal.confirmed, len(of.requests)) == ({}, 3)


class TestFlakyTestsOfItsOwn:
    def test_it_uses_up_one_attempt_at_most_and_is_no_evidence(self) -> None:
        of = world(
            {
                "one": reach("a"),
                "two": reach("a"),
                "own": reach("a", flaky=(False, True)),
            }
        )
        heal = of.healed()
        assert names(heal.confirmed) == "a"
        assert of.asked[keys("a")[0]] == 2
        assert list(heal.board.flaky) == ["t.py::own"]

    def test_a_second_code_that_fails_the_same_test_is_looked_at_once_more(self) -> None:
        of = world(
            {
                "one": reach("a"),
                "two": reach("a", tells=""),
                "own": reach("a", flaky=(False, True)),
            },
            replies={"a": "wr"},
        )
        of.tests["t.py::one"] = reach("a", tells="")
        heal = of.healed()
        assert names(heal.confirmed) == "a"
        assert of.asked[keys("a")[0]] == 2
        assert list(heal.board.flaky) == ["t.py::own"]

    def test_code_is_not_written_on_the_word_of_flaky_tests_alone(self) -> None:
        of = world({"own": reach("a", flaky=(False, True))})
        heal = of.healed()
        assert heal.confirmed == {}
        assert heal.tests_now() == ([], ["t.py::own"])

    def test_wrong_code_is_not_taken_for_a_flaky_test(self) -> None:
        of = world(
            {"one": reach("a", tells=""), "two": reach("a", tells=""), "own": reach("a")},
            replies={"a": "w"},
        )
        heal = of.healed()
        assert heal.confirmed == {}
        assert list(heal.board.flaky) == []
        assert of.asked[keys("a")[0]] == 5


class TestGuilt:
    @pytest.mark.parametrize(
        "bad", [{3}, {0}, {99}, {2, 3}, {0, 99}, {10, 60}], ids=lambda bad: str(sorted(bad))
    )
    def test_few_are_left_of_many(self, bad: set[int]) -> None:
        trials: list[int] = []

        def breaks(some: Sequence[str]) -> bool:
            trials.append(len(some))
            return {str(each) for each in bad} <= set(some)

        found = guilty([str(number) for number in range(100)], breaks)
        assert {str(each) for each in bad} <= set(found)
        assert len(found) <= (1 if len(bad) == 1 else 10)
        assert len(trials) <= (26 if len(bad) == 1 else 66)


def test_what_a_stub_costs_does_not_grow_with_the_number_of_others() -> None:
    """How often a test is looked at, for a stub of a small project and of one ten times larger."""

    def touched(size: int) -> float:
        stubs = make_stubs([f"s{number}" for number in range(size)])
        order = list(stubs)
        tests = {
            f"t{number // 50}.py::test_{number}": Reach(
                stubs=tuple(dict.fromkeys(order[(number * step) % size] for step in range(1, 8))),
                tells=frozenset(),
            )
            for number in range(5 * size)
        }
        of = World(stubs=stubs, tests=tests)
        heal = of.healed()
        assert heal.confirmed.keys() == of.expected()
        return heal.board.relation.touched / size

    assert touched(300) < 1.5 * touched(30)
