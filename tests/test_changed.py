"""Tests that expect something else: how they are made, and what passes them all the same."""

from __future__ import annotations

import ast
import builtins
import textwrap
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_selfheal.sandbox import inside_changed
from tests.test_controls import verified


def changed(text: str) -> str:
    function = ast.parse(textwrap.dedent(text)).body[0]
    return ast.unparse(function) if inside_changed.change(function) else ""


PLAIN = st.recursive(
    st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(st.text(), inner),
    max_leaves=6,
)


@given(PLAIN)
def test_another_value_is_of_the_type_and_unequal(value: Any) -> None:
    try:
        made = inside_changed.other(value)
    except inside_changed.Unchangeable:
        assert value in ([], (), {}, float("inf"), float("-inf")) or isinstance(
            value, (list, tuple, dict, float)
        )
        return
    assert type(made) is type(value)
    assert made != value


@given(st.text(min_size=1))
def test_no_text_ends_as_the_other_one_does(text: str) -> None:
    made = inside_changed.other(text)
    assert not text.endswith(made)
    assert not text.startswith(made)


@pytest.mark.parametrize("value", [None, Decimal(1), object(), len, float("inf")])
def test_of_other_types_there_is_no_other_value(value: Any) -> None:
    with pytest.raises(inside_changed.Unchangeable):
        inside_changed.other(value)


CHANGED = {
    "a constant": ("assert f(2) == 7", "assert __selfheal_judged__(f(2)) == 8"),
    "first": ("assert 7 == f(2)", "assert 8 == __selfheal_judged__(f(2))"),
    "negative": ("assert f(2) == -7", "assert __selfheal_judged__(f(2)) == -8"),
    "a list": ("assert f(2) == ['a', 1]", "assert __selfheal_judged__(f(2)) == ['b', 2]"),
    "a table": ("assert f(2) == {'k': 1}", "assert __selfheal_judged__(f(2)) == {'k': 2}"),
    "approx": ("assert f(2) == approx(1.0)", "assert __selfheal_judged__(f(2)) == approx(2.5)"),
    "near": ("assert abs(f(2) - 1) < 0.1", "assert abs(__selfheal_judged__(f(2)) - 2) < 0.1"),
    "a method": ("assert f(2).endswith('ab')", "assert __selfheal_judged__(f(2)).endswith('ac')"),
    "anything else": (
        "assert f(2) == g(3)",
        "assert __selfheal_judged__(f(2)) == __selfheal_other__(g(3))",
    ),
    "unittest": (
        "self.assertEqual(f(2), 7)",
        "self.assertEqual(__selfheal_judged__(f(2)), 8)",
    ),
    "and": (
        "assert f(2) == 7 and f(3)",
        "assert __selfheal_judged__(f(2)) == 8 and f(3)",
    ),
}


@pytest.mark.parametrize(("plain", "made"), CHANGED.values(), ids=CHANGED)
def test_what_is_expected_is_changed(plain: str, made: str) -> None:
    assert made in changed(f"def test_a(self):\n    {plain}\n").splitlines()[1]


@pytest.mark.parametrize(
    "plain",
    ["assert f(2)", "assert f(2) in (7, 8)", "assert f(2) < 7", "assert f(2) != 7", "f(2)"],
)
def test_what_may_hold_for_two_values_is_left_alone(plain: str) -> None:
    assert changed(f"def test_a():\n    {plain}\n") == ""


def test_a_name_for_what_is_expected_is_changed_where_it_is_bound() -> None:
    text = """
        def test_a(more):
            for given, expected in ((2, 7), (5, 16)):
                assert f(given) == expected, expected
            assert g(1) == [more]
    """
    made = changed(text)
    assert "        expected = __selfheal_other__(expected)" in made
    assert "    more = __selfheal_other__(more)" in made
    assert "given = " not in made


def test_a_name_that_is_given_to_the_code_as_well_is_not() -> None:
    made = changed("def test_a(text):\n    assert decode(encode(text)) == text\n")
    assert "text = " not in made
    assert "== __selfheal_other__(text)" in made


def test_what_may_not_be_judged_passes_nothing(monkeypatch) -> None:
    for name in (inside_changed.OTHER, inside_changed.JUDGED):
        monkeypatch.setattr(builtins, name, None, raising=False)
    inside_changed.install(lambda value: value == 1)
    judged = getattr(builtins, inside_changed.JUDGED)
    assert judged(1) == 1
    with pytest.raises(inside_changed.Unchangeable):
        judged(2)


CASES = """
    import pytest
    from mod import f


    @pytest.mark.parametrize(("n", "expected"), [(2, 7), (5, 16)])
    def test_a(n, expected):
        assert f(n) == expected
"""
IN_CLASS = """
    import unittest
    from mod import f


    class TestF(unittest.TestCase):
        def test_a(self):
            self.assertEqual(f(2), 7)
            self.assertEqual(f(5), 16)
"""
RANGE = """
    class Span:
        def __init__(self, low, high):
            self.low, self.high = low, high

        def __eq__(self, other):
            return self.low <= other <= self.high


    def f(n):
        return Span(0, 100)
"""


@pytest.mark.parametrize("tests", [CASES, IN_CLASS], ids=["cases", "unittest"])
def test_a_range_is_no_value(tmp_path, tests: str) -> None:
    outcome = verified(tmp_path, RANGE, tests)
    assert outcome.ending == "untrusted"
    assert "passes when it expects something else" in outcome.why


HONEST = {
    "a value of its own": (
        """
        class Number:
            def __init__(self, v):
                self.v = v

            def __eq__(self, other):
                return abs(self.v - other) < 0.01


        def f(n):
            return Number(3 * n + 1)
        """,
        CASES,
    ),
    "a wildcard of the tests' own": (
        "def f(n):\n    return n\n",
        """
        from mod import f


        class Any:
            def __eq__(self, other):
                return True


        def test_a():
            assert f(Any()) == 7
        """,
    ),
    "a round trip": (
        "def f(n):\n    return n\n",
        "import pytest\nfrom mod import f\n\n\n"
        "@pytest.mark.parametrize('text', ['a', 'b'])\n"
        "def test_a(text):\n    assert f(text) == text\n",
    ),
    "what is caught": (
        "def f(n):\n    return n\n",
        "import pytest\nfrom mod import f\n\n\n"
        "def test_a():\n    with pytest.raises(AssertionError):\n        assert f(1) == 2\n",
    ),
}


@pytest.mark.parametrize(("code", "tests"), HONEST.values(), ids=HONEST)
def test_what_is_honest_is_let_be(tmp_path, code: str, tests: str) -> None:
    outcome = verified(tmp_path, code, tests)
    assert outcome.ending == "completed", outcome.why
    assert {each.outcome for each in outcome.results} == {"passed"}
