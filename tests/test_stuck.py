"""When a conversation goes round in circles, and how to ask then."""

from __future__ import annotations

import re
import string
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_selfheal.healing.stuck import (
    Approach,
    described,
    fingerprint,
    is_stuck,
    plan,
    steady,
)
from pytest_selfheal.records import Attempt, Strategy, TestResult


def failed(message: str = "assert 1 == 2", test: str = "t.py::a", **more: object) -> Attempt:
    result = TestResult(
        nodeid=test, outcome="failed", exception="AssertionError", longrepr=f"E   {message}"
    )
    return Attempt(verdict="failed", why=message, red=(result,), **more)  # type: ignore[arg-type]


def story(
    messages: str, *, after: int | None = None, may_change: bool = True, at_once: int = 1
) -> list[Approach]:
    """How each of some replies is asked for that fail with these letters, and the one after."""
    attempts: list[Attempt] = []
    asked = []
    for letter in messages:
        if len(attempts) % at_once == 0:
            asked.append(plan(attempts, may_change=may_change, escalate_after=after))
        number = len(attempts) + 1
        attempts.append(
            failed(f"assert {letter}", number=number, turn=len(asked), strategy=asked[-1].strategy)
        )
    return [*asked, plan(attempts, may_change=may_change, escalate_after=after)]


def strategies(messages: str, **more: object) -> list[Strategy]:
    return [each.strategy for each in story(messages, **more)]  # type: ignore[arg-type]


# --- what two failures have in common --------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("<C object at 0x7f3a5b2c1d90>", "<C object at 0x55e1aa00bb10>"),
        ("no file /tmp/pytest-of-me/pytest-12/t0/a", "no file /tmp/pytest-of-me/pytest-9/t1/a"),
        ("job 8c0f1d3e-5c3c-4b7e-9d1a-0d5a3a3a3a3a", "job 9c0f1d3e-5c3c-4b7e-9d1a-0d5a3a3a3a3b"),
        ("key d41d8cd98f00b204e9800998ecf8427e", "key 0cc175b9c0f1b6a831c399e269772661"),
        ("took 0.31s", "took 12.5s"),
        ("took 3 seconds", "took 4 seconds"),
        ("at 2026-01-02 10:11:12", "at 2026-01-02 10:11:13.5"),
        ('File "a.py", line 12, in f', 'File "a.py", line 14, in f'),
        ("a.py:12: KeyError", "a.py:14: KeyError"),
        ("process pid=120 ended", "process pid=121 ended"),
        ("assert {'a', 'b', 'c'} == {'d', 'e'}", "assert {'c', 'a', 'b'} == {'e', 'd'}"),
    ],
)  # fmt: skip
def test_what_varies_is_no_other_failure(one: str, other: str) -> None:
    assert steady(one) == steady(other)
    assert fingerprint(failed(one)) == fingerprint(failed(other))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("assert 1 == 2", "assert 3 == 2"),
        ("assert 1/2 == 1", "assert 1/3 == 1"),
        ("KeyError: 'a'", "KeyError: 'b'"),
        ("assert 'sum 10' == ''", "assert 'sum 11' == ''"),
        ("no file /a/b.txt", "no file /a/c.txt"),
        ("assert 'deadbeef' == 'feed'", "assert 'cafe' == 'feed'"),
    ],
)
def test_another_mistake_is_another_failure(one: str, other: str) -> None:
    assert fingerprint(failed(one)) != fingerprint(failed(other))


def test_the_test_the_type_and_the_verdict_count() -> None:
    one = failed()
    assert fingerprint(one) != fingerprint(failed(test="t.py::b"))
    other = replace(one.red[0], exception="ValueError")
    assert fingerprint(one) != fingerprint(replace(one, red=(other,)))
    assert fingerprint(one) != fingerprint(replace(one, red=(*one.red, other)))
    assert fingerprint(one) == fingerprint(replace(one, code="x", why="y", traceback="z"))
    unusable = Attempt(verdict="unusable", why="no block")
    assert fingerprint(unusable) != fingerprint(replace(unusable, verdict="refused"))
    assert fingerprint(unusable) != fingerprint(replace(unusable, why="a syntax error"))


@given(st.text(), st.text())
def test_what_is_steady_stays_so(before: str, after: str) -> None:
    text = f"{before} {after}"
    assert "0x7f3a5b2c1d90" not in steady(f"{before} <0x7f3a5b2c1d90> {after}")
    assert len(steady(text)) <= len(text) + text.count(".py")


@given(st.text(alphabet=string.ascii_letters + " =!'", max_size=60))
def test_plain_words_are_left_alone(text: str) -> None:
    assert steady(text) == text


@given(
    st.integers(0, 10**6),
    st.integers(0, 10**6),
    st.sampled_from(["/t{}/x", "./a{}.txt", "C:\\t{}"]),
)
def test_numbers_in_paths_do_not_count(one: int, other: int, path: str) -> None:
    assert steady(path.format(one)) == steady(path.format(other))
    assert not re.search(r"\d", steady(path.format(one)))


# --- what follows from it --------------------------------------------------------------


def test_a_conversation_goes_on_while_it_gets_anywhere() -> None:
    assert strategies("abcd") == ["first", "retry", "retry", "retry", "retry"]


def test_two_equal_failures_change_the_way_of_asking() -> None:
    assert strategies("aaaaa") == [
        "first",
        "retry",
        "fresh",
        "more-context",
        "fresh",
        "more-context",
    ]
    assert strategies("aaaaa", after=9) == [
        *("first", "retry", "fresh", "more-context", "second-model", "fresh"),
    ]  # fmt: skip


def test_going_back_to_an_earlier_mistake_is_being_stuck_too() -> None:
    assert strategies("aba") == ["first", "retry", "retry", "fresh"]


def test_a_fresh_sample_begins_a_conversation_of_its_own() -> None:
    asked = story("aabc")
    assert [each.strategy for each in asked] == ["first", "retry", "fresh", "retry", "retry"]
    assert [each.told_from for each in asked] == [0, 0, 1, 2, 2]


def test_the_second_model_comes_at_the_latest_after_so_many_attempts_and_stays() -> None:
    asked = story("abcdd", after=2)
    assert [each.strategy for each in asked] == [
        *("first", "retry", "second-model", "retry", "retry", "fresh"),
    ]  # fmt: skip
    assert [each.is_second for each in asked] == [False, False, True, True, True, True]


def test_where_nothing_may_change_the_conversation_is_repeated() -> None:
    assert strategies("aaaa", may_change=False) == ["first", "retry", "retry", "retry", "retry"]
    assert strategies("aaa", may_change=False, after=3)[-1] == "second-model"


def test_samples_that_fail_alike_at_once_repeat_nothing() -> None:
    assert strategies("aaa", at_once=3) == ["first", "retry"]
    assert strategies("aaabba", at_once=3) == ["first", "retry", "fresh"]
    asked = story("aaaaaabbbccc", at_once=3)
    assert [each.told_from for each in asked] == [0, 0, 5, 6, 6]


@given(
    st.lists(st.sampled_from("abc"), max_size=30).map("".join),
    st.none() | st.integers(1, 10),
    st.integers(1, 3),
    st.booleans(),
)
def test_any_story(messages: str, after: int | None, at_once: int, may_change: bool) -> None:
    messages = messages[: len(messages) // at_once * at_once]
    asked = story(messages, after=after, at_once=at_once, may_change=may_change)
    assert asked[0].strategy == "first"
    assert all(each.strategy != "first" for each in asked[1:])
    # Nobody goes back to the first model, and the second one is asked in time.
    seconds = [each.is_second for each in asked]
    assert seconds == sorted(seconds)
    if after is None:
        assert not any(seconds)
    elif len(messages) >= after:
        assert seconds[-1]
    for number, each in enumerate(asked):
        told = number * at_once - each.told_from
        # Each is told of the attempt before, and a fresh sample of nothing else.
        least = {"first": 0, "fresh": 1}.get(each.strategy, at_once)
        assert told == least if each.strategy in ("first", "fresh") else told >= least
    if not may_change:
        assert {"fresh", "more-context"}.isdisjoint(each.strategy for each in asked)


def test_what_passed_once_is_no_failure_to_compare_with() -> None:
    assert not is_stuck([replace(failed(), verdict="passed"), failed()])
    assert is_stuck([failed(), failed()])


def test_it_is_described_in_a_few_words() -> None:
    assert described(plan([])) == ""
    assert described(Approach(strategy="fresh"), None, 3) == "a fresh sample, 3 at once"
    second = Approach(strategy="second-model", is_second=True)
    assert described(second, "large") == "of large"
