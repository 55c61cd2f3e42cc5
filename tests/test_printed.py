"""What pytest printed of failures: read, and made shorter without what tells them apart."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_selfheal.healing.judge import tracebacks
from pytest_selfheal.model.printed import (
    Extent,
    fold_failures,
    fold_long_lines,
    fold_repeated,
    last_error_line,
)
from pytest_selfheal.records import TestResult


def red(nodeid: str, said: str) -> TestResult:
    longrepr = f"t.py:3: in f\n    assert f(given) == expected\nE   AssertionError: {said}"
    return TestResult(nodeid=nodeid, outcome="failed", longrepr=longrepr)


CASES = [
    red("t.py::test_f[1-I]", "assert '1' == 'I'"),
    red("t.py::test_f[4-IV]", "assert '4' == 'IV'"),
    red("t.py::test_g", "assert 0"),
    red("t.py::test_f[9-IX]", "assert '9' == 'IX'"),
]


# --- one line --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("E   ValueError: no\nmore", "ValueError: no"),
        ("a.py:3: in f\nE   assert 1 == 2\nE    +  where 1 = f()", "assert 1 == 2"),
        ("a line\nthe last one\n", "the last one"),
        ("", ""),
    ],
)
def test_what_a_failure_says(text: str, line: str) -> None:
    assert last_error_line(text) == line


@pytest.mark.parametrize("way", ["raise ValueError('outer')", "raise ValueError('outer') from e"])
def test_of_chained_exceptions_it_is_what_the_test_met(way: str, tmp_path: Path) -> None:
    """As pytest itself printed them."""
    test = "def test_it():\n    try:\n        {}['inner']\n    except KeyError as e:\n        "
    (tmp_path / "test_it.py").write_text(f"{test}{way}\n")
    command = [sys.executable, "-m", "pytest", "-p", "no:selfheal", "--tb=short", "--rootdir=."]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    printed = done.stdout.partition("FAILURES")[2].partition("short test summary")[0]
    assert "E   KeyError: 'inner'" in printed
    assert last_error_line(printed) == "ValueError: outer"


# --- several failures ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("extent", "whole"),
    [("all", [0, 1, 2, 3]), ("functions", [0, 2]), ("first", [0])],
)
def test_the_first_failures_are_whole_and_the_others_a_line(
    extent: Extent, whole: list[int]
) -> None:
    folded = fold_failures(tracebacks(CASES), extent)
    for number, case in enumerate(CASES):
        said = last_error_line(case.longrepr)
        assert (case.longrepr in folded) == (number in whole)
        assert (f"- {case.nodeid}: {said}\n" in folded) == (number not in whole)
    assert (f"\n\nand {4 - len(whole)} more:\n" in folded) == (len(whole) < 4)


def test_what_the_process_printed_stays_above() -> None:
    above = "over the time limit\n\nFatal Python error\n\n"
    assert fold_failures(above + tracebacks(CASES), "first").startswith(f"{above}______")
    assert fold_failures("no failure at all", "first") == "no failure at all"


def test_a_heading_is_told_however_long_its_name_is() -> None:
    names = [f"tests/unit/test_{'long_' * n}name.py::TestIt::test_it[{n}]" for n in range(5, 11)]
    folded = fold_failures(tracebacks([red(name, f"no {name[-3:]}") for name in names]), "first")
    assert f"and {len(names) - 1} more:\n" in folded
    assert all(f"- {name}: AssertionError: no" in folded for name in names[1:])


def test_brackets_of_a_folder_are_no_parameters() -> None:
    one, other = red("a[1]/t.py::test_a", "one"), red("a[1]/t.py::test_b", "other")
    assert other.longrepr in fold_failures(tracebacks([one, other]), "functions")


def test_repeated_lines_are_folded_and_others_kept() -> None:
    shown = "a\nb\nc\nd\ne"
    folded = "x\n[... 4 lines as in the first ...]\ny"
    assert fold_repeated("x\nb\nc\nd\ne\ny", shown, "the first") == folded
    assert fold_repeated("x\nb\nc\ny", shown, "the first") == "x\nb\nc\ny"


# --- long values -----------------------------------------------------------------------


def test_a_long_value_keeps_its_head_and_its_tail() -> None:
    folded = fold_long_lines("E   assert 'head" + "x" * 2_000 + "tail'", 300)
    assert folded.startswith("E   assert 'head")
    assert folded.endswith("xtail'")
    assert "[... 1,721 characters ...]" in folded
    assert len(folded) < 350


@pytest.mark.parametrize("place", [0, 1, 700, 1_999])
def test_of_long_values_that_are_compared_the_difference_is_shown(place: int) -> None:
    expected = "x" * place + "NEED" + "y" * (2_000 - place)
    actual = "x" * place + "HAVE" + "y" * (2_000 - place)
    marks = " " * place + "^^^^"
    text = f"E     \nE     - {expected}\nE     ? {marks}\nE     + {actual}\nE     ? {marks}\nt.py:3"
    folded = fold_long_lines(text, 300)
    _, removed, first, added, second, place_line = folded.split("\n")
    assert "NEED" in removed
    assert "HAVE" in added
    assert removed.index("NEED") == added.index("HAVE") == first.index("^^^^") == second.index("^")
    assert removed.startswith("E     - ")
    assert added.startswith("E     + ")
    assert max(map(len, folded.split("\n"))) <= 300
    assert place_line == "t.py:3"


@given(
    st.lists(st.text(st.sampled_from("Ex-+? _\u2028"), max_size=90), max_size=8),
    st.integers(10, 120),
)
def test_any_lines_are_bounded_and_short_ones_stay(lines: list[str], limit: int) -> None:
    folded = fold_long_lines("\n".join(lines), limit).split("\n")
    assert len(folded) == max(1, len(lines))
    for line, after in zip(lines, folded, strict=False):
        assert len(after) <= limit + 30
        assert len(line) <= limit or after != line
    if all(len(line) <= limit for line in lines):
        assert folded == (lines or [""])
