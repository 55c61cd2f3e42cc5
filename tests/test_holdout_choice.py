"""What is chosen to be held out, and how it is cut out of a test file."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pytest_selfheal.healing.choose_cases import FEWEST, choose
from pytest_selfheal.healing.holdout import Holdout, hold_out
from pytest_selfheal.records import Attempt, TestResult
from pytest_selfheal.source.case_kinds import kind_of
from pytest_selfheal.source.cases import Case, assert_lists, case_lists
from pytest_selfheal.source.cut_cases import without_cases

CASES = st.builds(
    lambda texts, kinds, kept: [
        Case(position=n, text=text, kinds=(fine, fine[:1]), may_be_held=n not in kept)
        for n, (text, fine) in enumerate(zip(sorted(texts), kinds, strict=False))
    ],
    st.sets(st.text(min_size=1, max_size=3), min_size=0, max_size=12),
    st.lists(st.sampled_from(["aa", "ab", "ba", "bb"]), min_size=12, max_size=12),
    st.sets(st.integers(0, 11), max_size=3),
)
SHARES = st.floats(0, 1)


@settings(deadline=None)
@given(CASES, SHARES)
def test_never_all_and_never_the_only_one_of_its_kind(cases: list[Case], share: float) -> None:
    held = choose(cases, share, "t.py")
    assert held <= {case.position for case in cases if case.may_be_held}
    assert len(held) <= max(1, int(share * len(cases)))
    if cases:
        assert len(held) < len(cases)
    if share == 0 or len(cases) < FEWEST:
        assert not held
    shown = {case.kinds[1] for case in cases if case.position not in held}
    assert shown == {case.kinds[1] for case in cases}


@settings(deadline=None)
@given(CASES, st.floats(0.01, 1))
def test_at_least_one_where_two_are_of_a_kind(cases: list[Case], share: float) -> None:
    counts = Counter(case.kinds[1] for case in cases)
    possible = len(cases) >= FEWEST and any(
        case.may_be_held and counts[case.kinds[1]] > 1 for case in cases
    )
    assert bool(choose(cases, share, "t.py")) is possible


@settings(deadline=None)
@given(CASES, SHARES, st.randoms(use_true_random=False))
def test_the_choice_goes_by_what_the_cases_say(
    cases: list[Case], share: float, order: object
) -> None:
    held = {cases[position].text for position in choose(cases, share, "t.py")}
    mixed = list(cases)
    order.shuffle(mixed)  # type: ignore[attr-defined]
    moved = [
        Case(position=n, text=x.text, kinds=x.kinds, may_be_held=x.may_be_held)
        for n, x in enumerate(mixed)
    ]
    assert {moved[position].text for position in choose(moved, share, "t.py")} == held


@pytest.mark.parametrize(
    ("one", "other", "are_alike"),
    [
        ("(1, 'I')", "(4, 'IV')", True),
        ("(1, 'I')", "(0, '')", False),
        ("(1, 'I')", "(-1, 'I')", False),
        ("('a b', 'a-b')", "('c d', 'c-d')", True),
        ("('a b', 'a-b')", "('C d', 'c-d')", False),
        ("([1, 2], 3)", "([4, 5, 6], 7)", True),
        ("([1, 2], 3)", "([], 7)", False),
        ("('a', ValueError)", "('b', TypeError)", False),
        ("('a', True)", "('b', False)", False),
        ("pytest.param('a', 1, id='x')", "pytest.param('b', 2)", True),
        ("Point(1, y=2)", "Point(3, y=4)", True),
        ("{'a': 1}", "{'b': 2, 'c': 3}", True),
    ],
)
def test_kinds(one: str, other: str, are_alike: bool) -> None:
    kinds = [kind_of(ast.parse(text, mode="eval").body, is_fine=True) for text in (one, other)]
    assert (kinds[0] == kinds[1]) is are_alike


# --- cutting ---------------------------------------------------------------------------

LAYOUTS = [
    "[{0}, {1}, {2}, {3}, {4}]",
    "[{0},{1},{2},{3},{4},]",
    "( {0} , {1} , {2} , {3} , {4} )",
    "[\n    {0},\n    {1},  # a comment, with (odd] signs\n    # on its own\n"
    "    {2},\n    {3},\n    {4}\n]",
    "[{0}, {1},\n {2}, {3},\n\n {4},  # the last\n]",
    "[\r\n{0},\r\n{1}, # é, ü\r\n{2},\r\n{3},\r\n{4}]",
]
ELEMENTS = st.sampled_from(
    ["(1, 2)", "('é', \"ü,)\")", "('a' 'b')", "((3))", "(\n  4,\n  5,\n)", "f(x, [1])", "'''\n,'''"]
)


def read_of(source: str) -> object:
    return lambda path: source.encode() if path == "test_a.py" else None


@settings(deadline=None)
@given(
    st.sampled_from(LAYOUTS),
    st.lists(ELEMENTS, min_size=5, max_size=5),
    st.sets(st.integers(0, 4), min_size=1, max_size=3),
)
@example(LAYOUTS[-1], ["1", "2", "3", "4", "5"], {0, 2, 3, 4})
@example(LAYOUTS[3], ["1", "2", "3", "4", "5"], {4})
def test_just_the_held_ones_are_cut(layout: str, elements: list[str], held: set[int]) -> None:
    values = layout.format(*elements)
    source = (
        f"import pytest\n# above\n@pytest.mark.parametrize('a', {values})\n"
        "def test_a(a):\n    assert   f(a)\n"
    )
    (found,) = case_lists(["test_a.py::test_a[1]"], read_of(source))  # type: ignore[arg-type]
    cut = without_cases(source.encode(), [(found, held)], [])
    assert cut is not None
    function = ast.parse(cut).body[1]
    assert isinstance(function, ast.FunctionDef)
    decorator = function.decorator_list[0]
    assert isinstance(decorator, ast.Call)
    shown = [ast.unparse(each) for each in decorator.args[1].elts]  # type: ignore[attr-defined]
    expected = [
        ast.unparse(ast.parse(each, mode="eval").body)
        for n, each in enumerate(elements)
        if n not in held
    ]
    assert shown == expected
    assert b"judged and not shown" in cut
    assert cut.endswith(b"    assert   f(a)\n")


FOUR = "[(1, 'b'), (2, 'c'), (3, 'd'), (4, 'e')]"
MARK = "@pytest.mark.parametrize('a, b', {})\n"
TEST = "def test_a(a, b):\n    assert f(a) == b\n"


@pytest.mark.parametrize(
    "source",
    [
        pytest.param(MARK.format("[(n, n) for n in range(9)]") + TEST, id="computed"),
        pytest.param(MARK.format("make()") + TEST, id="called"),
        pytest.param(MARK.format(f"[*{FOUR}]") + TEST, id="unpacked"),
        pytest.param(f"C = {FOUR}\n" + MARK.format("C") + TEST + "print(C)\n", id="used elsewhere"),
        pytest.param(f"C = {FOUR}\nC += [(5, 'f')]\n" + MARK.format("C") + TEST, id="extended"),
        pytest.param(f"C = {FOUR}\n__all__ = ['C']\n" + MARK.format("C") + TEST, id="exported"),
        pytest.param("from cases import C\n" + MARK.format("C") + TEST, id="imported"),
        pytest.param(MARK.format(f"{FOUR}, ids=names()") + TEST, id="names computed"),
        pytest.param(MARK.format(f"{FOUR}, ids=['a', 'b']") + TEST, id="too few names"),
        pytest.param(
            "NAMES = list('abcd')\n" + MARK.format(f"{FOUR}, ids=NAMES") + TEST,
            id="named elsewhere",
        ),
        pytest.param(MARK.format("[(1, 'b'), (2, 'c'), (3, 'd')]") + TEST, id="few"),
        pytest.param(
            MARK.format("[(1, 'b'), (0, ''), (-3, 'd'), (None, 4)]") + TEST, id="each apart"
        ),
        pytest.param(MARK.format("[(1, 'b'), (1, 'b'), (1, 'b'), (1, 'b')]") + TEST, id="the same"),
        pytest.param("def test_a():\n    x = f(1)\n    assert x\n", id="no cases"),
        pytest.param(
            "def test_a():\n    x = f(1)\n    assert x.a(1) == 1\n    assert x.a(2) == 2\n"
            "    assert x.a(3) == 3\n    assert x.a(4) == 4\n    x.close()\n",
            id="asserts that follow each other",
        ),
        pytest.param(
            "def test_a():\n    assert f(1) == 2; assert f(2) == 3\n"
            "    assert f(3) == 4; assert f(4) == 5\n",
            id="asserts on one line",
        ),
    ],
)
def test_what_is_left_alone(source: str) -> None:
    read = read_of("import pytest\nfrom mod import f\n" + source)
    assert not hold_out(["test_a.py::test_a"], [], read, 0.25)  # type: ignore[arg-type]


def test_the_last_asserts_are_held_with_what_is_said_of_them() -> None:
    source = (
        "def test_a():\n    x = f()\n    assert x.a(1) == 1\n    assert x.a(2) == 2\n"
        "    # one more\n    assert x.a(3) == 3\n    # the last\n    assert x.a(44) == 44  # so\n"
    )
    holdout = hold_out(["test_a.py::test_a"], [], read_of(source), 0.5)  # type: ignore[arg-type]
    assert holdout.sources["test_a.py"].decode() == (
        "# 2 further asserts are judged and not shown\n"
        "def test_a():\n    x = f()\n    assert x.a(1) == 1\n    assert x.a(2) == 2\n"
    )
    unseen = TestResult(
        nodeid="test_a.py::test_a",
        outcome="failed",
        longrepr="tests/../test_a.py:8: in test_a\n    assert x.a(44) == 44\nE   assert 0 == 44",
    )
    seen = TestResult(
        nodeid="test_a.py::test_a",
        outcome="failed",
        longrepr="test_a.py:4: in test_a\n    assert x.a(2) == 2\nE   assert 0 == 2",
    )
    assert holdout.withholds(unseen)
    assert not holdout.withholds(seen)
    assert not holdout.hides(unseen)
    assert len(assert_lists(["test_a.py::test_a"], read_of(source))) == 1  # type: ignore[arg-type]


# --- what is told ----------------------------------------------------------------------

SOURCE = "import pytest\n" + MARK.format(FOUR) + TEST


def result(position: int, outcome: str = "failed") -> TestResult:
    text = "bcde"[position]
    return TestResult(
        nodeid=f"test_a.py::test_a[{position + 1}-{text}]",
        outcome=outcome,  # type: ignore[arg-type]
        longrepr=f"test_a.py:4: in test_a\nE   assert 'z' == '{text}'",
        case=(("a", position), ("b", position)),
    )


def held_out(results: Sequence[TestResult]) -> Holdout:
    tests = [each.nodeid for each in results]
    return hold_out(tests, results, read_of(SOURCE), 0.25)  # type: ignore[arg-type]


ALL = [result(n) for n in range(4)]
HOLDOUT = held_out(ALL)
(HIDDEN,) = (each for each in ALL if HOLDOUT.hides(each))
SHOWN = [each for each in ALL if each is not HIDDEN]


def values(attempt: Attempt) -> bool:
    """Whether anything of the unseen case is in an attempt's texts."""
    text = f"{attempt.why}\n{attempt.traceback}"
    return HIDDEN.nodeid in text or HIDDEN.longrepr[-3:] in text or "secret" in text


def test_what_failed_in_sight_is_told_as_it_is() -> None:
    attempt = Attempt(verdict="failed", why="w", traceback="t", red=(SHOWN[0],))
    assert HOLDOUT.told(attempt) is attempt


def test_what_failed_out_of_sight_is_told_without_its_values() -> None:
    attempt = Attempt(verdict="failed", why=HIDDEN.nodeid, traceback=HIDDEN.longrepr, red=(HIDDEN,))
    told = HOLDOUT.told(attempt)
    assert not values(told)
    assert told.why is not None
    assert "passes every case that you saw and fails 1 that was not shown" in told.why
    assert HOLDOUT.for_attempt([attempt], is_last=True).told(attempt) is attempt
    assert HOLDOUT.for_attempt([attempt], is_last=False) is HOLDOUT
    assert HOLDOUT.for_attempt([], is_last=True) is HOLDOUT


def test_what_was_not_run_may_have_failed_out_of_sight() -> None:
    """A run that ended early is told as it is; the last attempt does not suffer by it."""
    attempt = Attempt(
        verdict="failed", why="w", red=(SHOWN[0],), not_run=frozenset({HIDDEN.nodeid})
    )
    assert HOLDOUT.told(attempt) is attempt
    assert not HOLDOUT.for_attempt([attempt], is_last=True)
    assert HOLDOUT.for_attempt([attempt], is_last=False) is HOLDOUT
    seen = Attempt(verdict="failed", why="w", red=(SHOWN[0],), not_run=frozenset({SHOWN[1].nodeid}))
    assert HOLDOUT.for_attempt([seen], is_last=True) is HOLDOUT
    # And nobody says of what was not run that it passes.
    unseen = replace(seen, red=(HIDDEN,))
    assert "passes" in (HOLDOUT.told(replace(unseen, not_run=frozenset())).why or "")
    told = HOLDOUT.told(unseen)
    assert told.why is not None
    assert told.why.startswith("it fails 1 that was not shown: do not special-case")


@pytest.mark.parametrize("verdict", ["failed", "timeout", "crashed", "out-of-memory", "untrusted"])
def test_no_verdict_names_what_is_not_shown(verdict: str) -> None:
    attempt = Attempt(
        verdict=verdict,  # type: ignore[arg-type]
        why=f"something happened in {HIDDEN.nodeid}",
        traceback=f"secret {HIDDEN.longrepr}",
        printed="secret",
        red=(SHOWN[0], TestResult(nodeid=HIDDEN.nodeid, outcome="unfinished")),
    )
    for red in (attempt.red, ()):
        told = HOLDOUT.told(
            Attempt(
                verdict=attempt.verdict,
                why=attempt.why,
                traceback=attempt.traceback,
                printed="secret",
                red=red,
            )
        )
        assert not values(told), told


def test_what_a_process_printed_before_any_unseen_case_is_told() -> None:
    why = f"killed by SIGSEGV in {SHOWN[0].nodeid}"
    attempt = Attempt(
        verdict="crashed",
        why=why,
        traceback="whole",
        printed="Fatal Python error",
        red=tuple(TestResult(nodeid=x.nodeid, outcome="unfinished") for x in ALL),
    )
    told = HOLDOUT.told(attempt)
    assert told.why == why
    assert "Fatal Python error" in told.traceback


def test_some_failure_is_always_shown() -> None:
    only_red = [result(n, "failed" if ALL[n] is HIDDEN else "passed") for n in range(4)]
    holdout = held_out(only_red)
    assert not any(map(holdout.withholds, (each for each in only_red if each.outcome == "failed")))


def test_what_fails_through_a_reply_is_not_shown_for_that() -> None:
    results = [result(n, "failed" if ALL[n] is HIDDEN else "passed") for n in range(4)]
    tests = [each.nodeid for each in results]
    holdout = hold_out(tests, results, read_of(SOURCE), 0.25, is_first=False)  # type: ignore[arg-type]
    red = [each for each in results if each.outcome == "failed"]
    assert all(map(holdout.withholds, red))
    unseen = holdout.unseen_failure(red)
    assert unseen is not None
    assert unseen.nodeid == "1 that is not shown"
    assert "implement the general rule" in unseen.longrepr
    assert holdout.unseen_failure(ALL) is None


def test_what_is_not_run_does_not_count() -> None:
    assert not held_out(ALL[:3])
    assert not held_out([HIDDEN])


def test_unseen_cases_run_last() -> None:
    tests = [each.nodeid for each in ALL]
    assert HOLDOUT.order(tests) == (HIDDEN.nodeid,)
    # One that nobody has seen yet may be any.
    assert HOLDOUT.order(["test_a.py::test_a[new]"]) == ("test_a.py::test_a[new]",)
