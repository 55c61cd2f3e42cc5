"""The bookkeeping of a heal: what is asked for next, who is to blame, what may be written."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from pytest_selfheal.healing.board import MAX_GROUP, Board, Group, GroupEnd, key_of
from pytest_selfheal.healing.code import Code
from pytest_selfheal.records import Attempt, Outcome, Piece, Stub, TestResult


def stub(name: str, *, is_living: bool = False) -> Stub:
    return Stub(
        path="m.py",
        qualname=name,
        first_line=1,
        def_line=1,
        end_line=2,
        marker="comment",
        is_living=is_living,
    )


def board(names: str, *, living: str = "", attempts: int = 5) -> Board:
    stubs = [stub(name, is_living=name in living) for name in names]
    return Board({key_of(each): each for each in stubs}, attempts)


def keys(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(f"m.py::{name}" for name in names)


def result(test: str, entered: str, outcome: Outcome = "failed") -> TestResult:
    return TestResult(nodeid=f"t.py::{test}", outcome=outcome, entered=keys(entered))


def taken(of: Board) -> list[Group]:
    """All groups that can be asked for now; they are at work from here on."""
    groups = []
    while (group := of.next_group()) is not None:
        groups.append(group)
    return groups


def named(groups: list[Group]) -> list[tuple[str, list[str]]]:
    """Each group as its stubs' names and its tests' names."""
    return [
        ("".join(key[-1] for key in group.keys), [test[6:] for test in group.tests])
        for group in groups
    ]


def planned(of: Board) -> list[tuple[str, list[str]]]:
    return named(taken(of))


def green(of: Board, group: Group, results: list[TestResult], within: Code | None = None) -> None:
    pieces = {key: Piece(stub=of.stubs[key], definition="def f(): pass") for key in group.keys}
    end = GroupEnd(
        group=group,
        attempts=(*group.attempts, Attempt(verdict="passed")),
        pieces=pieces,
        results=tuple(results),
        seen_with=(of.code if within is None else within).including(pieces),
    )
    of.take(end)


def given_up(of: Board, group: Group, reason: str = "no") -> None:
    of.take(GroupEnd(group=group, attempts=(), reason=reason))


class TestPlan:
    @pytest.mark.parametrize(
        ("reached", "groups"),
        [
            pytest.param({"1": "a", "2": "b"}, ["a", "b"], id="what-shares-nothing-goes-apart"),
            pytest.param({"1": "ab"}, ["ab"], id="what-no-test-separates-goes-together"),
            pytest.param({"1": "a", "2": "ab"}, ["a"], id="the-smaller-set-first"),
            pytest.param({"1": "ab", "2": "bc"}, ["abc"], id="sets-that-overlap-are-joined"),
            pytest.param({"1": ""}, [], id="a-test-that-reaches-none-asks-for-none"),
            pytest.param(
                {str(n): pair for n, pair in enumerate(["ab", "bc", "cd", "de", "ef", "fg"])},
                ["abcdef"],
                id="a-group-has-a-bound",
            ),
        ],
    )
    def test_groups(self, reached: dict[str, str], groups: list[str]) -> None:
        of = board("abcdefg")
        of.record([result(test, entered) for test, entered in reached.items()], Code())
        assert [names for names, _ in planned(of)] == groups

    def test_only_tests_that_wait_for_nothing_else_judge_a_group(self) -> None:
        of = board("ab")
        of.record([result("one", "a"), result("both", "ab")], Code())
        assert planned(of) == [("a", ["one"])]

    def test_a_stub_at_work_is_not_planned_again(self) -> None:
        of = board("ab")
        of.record([result("1", "a"), result("2", "b"), result("3", "ab")], Code())
        assert [names for names, _ in planned(of)] == ["a", "b"]
        assert planned(of) == []

    def test_green_and_unreached_stubs_cost_nothing(self) -> None:
        of = board("ab")
        of.record([result("1", "a", "passed")], Code())
        assert planned(of) == []

    def test_a_living_function_waits_behind_stubs(self) -> None:
        of = board("al", living="l")
        of.record([result("1", "al"), result("2", "l")], Code())
        assert [names for names, _ in planned(of)] == ["a", "l"]

    def test_the_next_stub_is_planned_once_a_test_gets_further(self) -> None:
        of = board("ab")
        of.record([result("1", "a")], Code())
        (group,) = taken(of)
        green(of, group, [result("1", "ab")])
        assert planned(of) == [("b", ["1"])]

    def test_namesakes_are_told_apart(self) -> None:
        getter, setter = (
            stub("x"),
            Stub(
                path="m.py",
                qualname="x",
                index=1,
                first_line=5,
                def_line=5,
                end_line=6,
                marker="comment",
            ),
        )
        assert key_of(getter) != key_of(setter)


class TestGivingUp:
    def test_others_go_on_and_dependents_do_not(self) -> None:
        of = board("abc")
        of.record([result("1", "a"), result("2", "b"), result("3", "ac")], Code())
        first, second = taken(of)
        given_up(of, first, "the model gave up")
        assert of.failed == {"m.py::a": "the model gave up"}
        assert second.tests == ("t.py::2",)
        green(of, second, [result("2", "b", "passed")])
        assert planned(of) == []
        assert set(of.writable()) == {"m.py::b"}

    def test_code_whose_tests_also_need_it_is_not_written(self) -> None:
        of = board("ab")
        of.record([result("1", "a"), result("2", "ab")], Code())
        (group,) = taken(of)
        green(of, group, [result("1", "a", "passed")])
        (group,) = taken(of)
        given_up(of, group)
        assert of.writable() == {}

    def test_code_of_its_own_tests_is_written(self) -> None:
        of = board("ab")
        of.record([result("1", "a"), result("2", "b")], Code())
        first, second = taken(of)
        green(of, first, [result("1", "a", "passed")])
        given_up(of, second)
        assert set(of.writable()) == {"m.py::a"}


class TestStaleResults:
    def pair(self) -> Board:
        """Each of two stubs got its tests further, on its own, to the other."""
        of = board("ab")
        of.record([result("1", "a"), result("2", "b")], Code())
        first, second = taken(of)
        green(of, first, [result("1", "ab")])
        green(of, second, [result("2", "ba")], Code())
        return of

    def test_tests_are_run_again_when_all_they_reach_has_code(self) -> None:
        of = self.pair()
        assert planned(of) == []
        assert of.stale() == ["t.py::1", "t.py::2"]
        of.record([result("1", "ab", "passed"), result("2", "ba", "passed")], of.code)
        assert of.stale() == []
        assert set(of.writable()) == set(keys("ab"))

    def test_a_green_result_does_not_outlive_its_code(self) -> None:
        of = board("a")
        of.record([result("1", "a")], Code())
        (group,) = taken(of)
        green(of, group, [result("1", "a", "passed")])
        of.refute(keys("a"), result("other", "a"), Attempt(verdict="failed", why="breaks other"))
        assert not of.is_green(of.tests["t.py::1"])
        (group,) = taken(of)
        assert sorted(group.tests) == ["t.py::1", "t.py::other"]
        assert [each.verdict for each in group.attempts] == ["failed"]


class TestBlame:
    def stuck(self, *results: TestResult, names: str = "ab", attempts: int = 5) -> Board:
        """All stubs have code, and these are the results with it."""
        of = board(names, attempts=attempts)
        of.record([result(each.nodeid[6:], names) for each in results], Code())
        (group,) = taken(of)
        green(of, group, list(results))
        for key in of.stubs:
            of.history[key] = (Attempt(verdict="passed", code=key),)
        return of

    def blamed(self, of: Board) -> list[str]:
        of.blame()
        return [names for names, _ in planned(of)]

    def test_the_one_that_green_tests_do_not_clear(self) -> None:
        of = self.stuck(result("1", "a", "passed"), result("2", "a", "passed"), result("3", "ab"))
        assert self.blamed(of) == ["b"]

    def test_those_that_no_test_tells_apart_together(self) -> None:
        of = self.stuck(result("1", "ab"), result("2", "ab"))
        assert self.blamed(of) == ["ab"]

    def test_the_evidence_goes_with_it(self) -> None:
        of = self.stuck(result("1", "a", "passed"), result("2", "ab"))
        assert of.blame()
        (group,) = taken(of)
        assert [each.verdict for each in group.attempts] == ["failed"]
        assert "t.py::2 is red with it" in (group.attempts[0].why or "")
        assert set(group.earlier_code) == {"m.py::b"}

    def test_nobody_who_has_no_attempts_left(self) -> None:
        of = self.stuck(result("1", "a", "passed"), result("2", "ab"), attempts=1)
        assert self.blamed(of) == []
        assert "t.py::2 stays red" in of.failed["m.py::b"]

    def test_replies_in_other_company_count(self) -> None:
        of = self.stuck(result("1", "ab"))
        assert of.blame()
        (group,) = taken(of)
        assert (group.left, group.attempts) == (4, ())

    def test_nobody_a_second_time(self) -> None:
        of = self.stuck(result("1", "ab"))
        assert self.blamed(of) == ["ab"]
        group = Group(keys=keys("ab"), tests=("t.py::1",))
        green(of, group, [result("1", "ab")])
        assert self.blamed(of) == []
        assert set(of.failed) == set(keys("ab"))


def test_a_file_that_is_collected_at_last_stands_for_its_tests_no_more() -> None:
    of = board("a")
    of.record([TestResult(nodeid="t.py", outcome="failed", entered=keys("a"))], Code())
    (group,) = taken(of)
    assert group.tests == ("t.py",)
    green(of, group, [result("1", "a", "passed"), result("2", "", "passed")])
    assert set(of.tests) == {"t.py::1", "t.py::2"}
    assert set(of.writable()) == {"m.py::a"}


def test_the_models_own_checks_are_no_tests() -> None:
    of = board("a")
    of.record([TestResult(nodeid="t.py::selfheal_checks", outcome="failed", is_check=True)], Code())
    assert of.tests == {}


def test_the_bound_is_small_enough_for_one_prompt() -> None:
    assert 2 <= MAX_GROUP <= 12


def test_the_tests_of_a_stub_are_told_in_the_order_in_which_they_were_first_seen() -> None:
    """Whatever order they are run in later, and whenever they enter it for the first time."""
    of = board("ab")
    of.record([result("one", "a"), result("two", "a"), result("three", "a")], Code())
    of.record([result("three", "ab"), result("one", "ab"), result("two", "ab")], Code())
    assert of.tests_reaching(*keys("b")) == ["t.py::one", "t.py::two", "t.py::three"]
