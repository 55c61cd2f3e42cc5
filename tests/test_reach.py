"""Which words of a command may name files: an asterisk that multiplies names none."""

from __future__ import annotations

import sys

import pytest

from pytest_selfheal.sandbox.inside_reach import _words

SHELL = "/bin/sh", "-c"


@pytest.mark.parametrize(
    ("command", "word"),
    [
        (b"cat *", "*"),
        ("cat test_a.py", "test_a.py"),
        ([*SHELL, "cat *"], "*"),
        ([*SHELL, "cat 'test_a.py'"], "test_a.py"),
        ([*SHELL, "cat t*.py | head"], "t*.py"),
        (["cat", "test_a.py"], "test_a.py"),
        ([sys.executable, "-c", "import glob; print(open(glob.glob('t*.py')[0]).read())"], "t*.py"),
    ],
)
def test_names_of_files_are_among_the_words(command: object, word: str) -> None:
    assert word in _words(command)


@pytest.mark.parametrize(
    "command",
    [
        [sys.executable, "-c", "print(3 * 2 + 1)"],
        [sys.executable, "-c", "print('*' * 3, *[1])"],
        [*SHELL, "echo $((3 * 2 + 1))"],
        [*SHELL, "expr 3 '*' 2"],
        [*SHELL, "expr 3 \\* 2"],
        ["awk", "{ print $1 * 3 }"],
        ["bc", "-e", "3 * 2"],
    ],
)
def test_an_asterisk_that_multiplies_is_none(command: object) -> None:
    assert "*" not in _words(command)
