"""What stubbing whole libraries showed: each of these once kept stubs from coming back."""

from __future__ import annotations

from pathlib import Path

from pytest_selfheal.healing.board import Board, and_above
from pytest_selfheal.healing.code import Code
from pytest_selfheal.records import Piece, TestResult
from pytest_selfheal.source.find import find_in_source
from pytest_selfheal.source.test_files import may_hold_tests
from tests.harness import Project, python, require
from tests.scripted_server import ScriptedServer

FILES = {
    "pytest.ini": "[pytest]\npythonpath = src\naddopts = --doctest-modules\n",
    "src/pkg/__init__.py": """
        from .core import first_at_import, second_at_import

        NAME = core.__name__  # bound by the import above, and only by the first one
        FIRST = first_at_import()
        SECOND = second_at_import()
    """,
    "src/pkg/core.py": """
        from pytest_selfheal import heal

        @heal
        def first_at_import():
            ...

        @heal
        def second_at_import():
            ...
    """,
    "src/pkg/nothing_to_test.py": """
        from pkg import FIRST

        LIMIT = FIRST + 1
    """,
    "src/pkg/objects.py": """
        from pytest_selfheal import heal

        class curry:
            def __init__(self, function):
                self._function = function

            def __call__(self, *given):
                return self._function(*given)

        @heal
        @curry
        def double(number):
            ...
    """,
    "src/pkg/single.py": """
        from pytest_selfheal import heal

        class Lexer:
            _one = None

            @classmethod
            @heal
            def one(cls):
                ...

            @heal
            def prepare(self):
                ...
    """,
    "tests/conftest.py": "import pkg\n",
    "tests/test_one.py": """
        import pytest
        import pkg
        from pkg.objects import double

        def test_first():
            assert pkg.FIRST == 1

        def test_double():
            assert double(4) == 8

        @pytest.mark.skip(reason="not on this machine")
        def test_skipped():
            assert pkg.SECOND == 3
    """,
    "tests/test_single.py": """
        import pytest
        from pkg.single import Lexer

        # The first one stops halfway, and leaves the others a Lexer without its words.
        @pytest.mark.parametrize("word", ["if", "else", "while", "for", "in", "is"])
        def test_word(word):
            assert word in Lexer.one().words
    """,
    "tests/test_two.py": """
        from pkg import NAME, SECOND

        def test_second():
            assert (NAME, SECOND) == ("pkg.core", 2)
    """,
}
REPLIES = {
    "src/pkg/core.py::first_at_import": [python("def first_at_import():\n    return 1\n")],
    "src/pkg/core.py::second_at_import": [python("def second_at_import():\n    return 2\n")],
    "src/pkg/single.py::Lexer.one": [
        python("""
            class Lexer:
                @classmethod
                def one(cls):
                    if cls._one is None:
                        cls._one = cls()
                        cls._one.prepare()
                    return cls._one
        """)
    ],
    "src/pkg/single.py::Lexer.prepare": [
        python("""
            class Lexer:
                def prepare(self):
                    self.words = ["if", "else", "while", "for", "in", "is"]
        """)
    ],
    "src/pkg/objects.py::double": [python("def double(number):\n    return 2 * number\n")],
}


def test_what_hides_behind_a_failing_import_is_healed(tmp_path: Path) -> None:
    """A package that fails halfway, a folder, a file without tests, a skip, odd decorators."""
    require("bubblewrap")
    project = Project(tmp_path / "project", FILES)
    with ScriptedServer(REPLIES) as server:
        run = project.heal("--selfheal-sandbox=bubblewrap", server=server)
        assert len(server.requests) == len(REPLIES)
    assert run.statuses() == dict.fromkeys(REPLIES, "healed"), run.output
    assert run.status == 0
    assert run.report is not None
    assert run.report["tests"]["still_failing"] == []
    assert "tests/test_two.py::test_second" in run.report["tests"]["healed"]


STUB = "# selfheal\ndef once():\n    ...\n"


def test_a_test_leans_on_what_it_once_entered() -> None:
    """It may be green without entering it: what the code gave was kept from another call."""
    (stub,) = find_in_source(STUB.encode(), "m.py").stubs
    board = Board({stub.target: stub}, 5)
    red = TestResult(nodeid="test_m.py::test", outcome="failed", entered=(stub.target,))
    board.record([red], Code())
    piece = Piece(stub=stub, definition="def once():\n    return 1\n")
    board.relation.set_code({stub.target: piece})
    green = TestResult(nodeid="test_m.py::test", outcome="passed")
    board.record([green], board.code)
    assert board.is_green(board.tests["test_m.py::test"])
    assert board.tests_reaching(stub.target) == ["test_m.py::test"]
    board.give_up([stub.target], "the reviewer said no")
    assert not board.is_green(board.tests["test_m.py::test"])


def test_a_folder_stands_for_its_tests_until_they_are_known() -> None:
    (stub,) = find_in_source(STUB.encode(), "m.py").stubs
    board = Board({stub.target: stub}, 5)
    board.record(
        [TestResult(nodeid="a", outcome="failed", phase="collect", entered=(stub.target,))], Code()
    )
    board.record([TestResult(nodeid="a/b/test_m.py::test", outcome="passed")], Code())
    assert list(board.tests) == ["a/b/test_m.py::test"]
    assert and_above("a/b/c.py") == ["a/b/c.py", "a/b", "a", "."]


def test_only_a_file_with_nothing_like_a_test_may_be_without_one() -> None:
    names = ["test", "Test", "check_*"]
    for source in (
        b"def test_a(): pass\n",
        b"class TestA: pass\n",
        b"def check_a(): pass\n",
        b"import unittest\nclass A(unittest.TestCase): pass\n",
        b"from cases import test_a\n",
        b"from cases import *\n",
        b"test_a = make()\n",
        b"if x:\n    def test_a(): pass\n",
        b'def f():\n    """\n    >>> f()\n    """\n',
        b"def f(:\n",
    ):
        assert may_hold_tests(source, names), source
    for source in (b"", b"LIMIT = 3\n", b"from a import b\n\ndef make(tests): return 1\n"):
        assert not may_hold_tests(source, names), source
