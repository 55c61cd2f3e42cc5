"""What `inside_walls` notices in a sandbox, and what is none of its business."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from pytest_selfheal.records import Job, RunOutcome, Watch
from tests.sandboxes import launcher, require


def verified(tmp_path: Path, code: str, tests: str, original: str = "", **files: str) -> RunOutcome:
    require("bubblewrap")
    root = tmp_path.resolve() / "project"
    root.mkdir()
    (root / "mod.py").write_text(original or "def f(n):\n    ...\n")
    (root / "test_mod.py").write_text(textwrap.dedent(tests))
    for name, text in files.items():
        (root / f"{name}.py").write_text(textwrap.dedent(text))
    with launcher("bubblewrap", root) as made:
        sandbox = made.launch()
        try:
            data = textwrap.dedent(code)
            line = data[: data.index("def f(")].count("\n") + 1
            job = Job(
                nodes=("test_mod.py",),
                overlay={"mod.py": data.encode()},
                watch=(Watch(key="mod.py::f", path="mod.py", first_line=line),),
            )
            return sandbox.run(job)
        finally:
            sandbox.close()


RIGHT = "def f(n):\n    return n\n"

HONEST = {
    "a mock in builtins": """
        from unittest import mock
        from mod import f


        def test_a(monkeypatch):
            monkeypatch.setattr("builtins.input", mock.MagicMock(return_value="3"))
            monkeypatch.setattr("time.sleep", mock.MagicMock())
            assert f(int(input())) == 3
    """,
    "a clock for the whole file": """
        import time
        from unittest import mock
        import pytest
        from mod import f


        @pytest.fixture(scope="session", autouse=True)
        def clock():
            with mock.patch("time.time", return_value=3.0), mock.patch("random.random"):
                yield


        def test_a():
            assert f(time.time()) == 3.0


        def test_b():
            assert f(1) == 1
    """,
    "a function of the test's own for good": """
        import json
        from mod import f


        def dumps(value, **more):
            return str(value)


        json.dumps = dumps


        def test_a():
            assert json.dumps(f(1)) == "1"
    """,
    "equal to anything in the test": """
        from unittest.mock import ANY
        from mod import f


        def test_a():
            assert f([1, ANY]) == [1, 2]
    """,
}


@pytest.mark.parametrize("tests", HONEST.values(), ids=HONEST)
def test_what_tests_patch_is_their_own_business(tmp_path: Path, tests: str) -> None:
    if "ANY" in tests:
        tests = tests.replace("f([1, ANY]) == [1, 2]", "[f(1), ANY] == [1, 2]")
    outcome = verified(tmp_path, RIGHT, tests)
    assert outcome.ending == "completed", outcome.why
    assert {each.outcome for each in outcome.results} == {"passed"}


def test_a_class_that_the_user_wrote_may_equal_what_it_likes(tmp_path: Path) -> None:
    wildcard = "class Any:\n    def __eq__(self, other):\n        return True\n\n\n"
    outcome = verified(
        tmp_path,
        wildcard + "def f(n):\n    return Any()\n",
        "from mod import f\n\n\ndef test_a():\n    assert f(1) == 7\n",
        wildcard + "def f(n):\n    ...\n",
    )
    assert outcome.ending == "completed", outcome.why


def test_a_test_that_gives_its_own_file_may_have_it_read(tmp_path: Path) -> None:
    outcome = verified(
        tmp_path,
        "def f(path):\n    with open(path) as file:\n        return len(file.readlines())\n",
        "from mod import f\n\n\ndef test_a():\n    assert f(__file__) == 5\n",
    )
    assert outcome.ending == "completed", outcome.why


SHOWN = """
    import io
    import logging
    import re
    import traceback
    import warnings


    def printed():
        out = io.StringIO()
        traceback.print_stack(file=out)
        return out.getvalue()


    def logged():
        out = io.StringIO()
        logger = logging.getLogger("f")
        logger.handlers = [logging.StreamHandler(out)]
        logging.LoggerAdapter(logger).error("x", stack_info=True)
        return out.getvalue()


    def warned():
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            warnings.warn("x", stacklevel=3)
        one = caught[0]
        return warnings.formatwarning(one.message, one.category, one.filename, one.lineno)


    def looked_up():
        name = next(n for n in traceback.format_stack() if "test_mod.py" in n).split('"')[1]
        lines = [traceback.FrameSummary(name, number, "test").line for number in range(1, 30)]
        return name + " ".join(lines)


    def f(way):
        text = globals()[way]()
        assert "test_mod.py" in text
        found = re.search(f"{way}..\\)? == (\\d+)", text)
        return found and int(found[1])
"""
WAYS = ("printed", "logged", "warned", "looked_up")


def test_a_listing_of_callers_shows_no_line_of_a_test(tmp_path: Path) -> None:
    """Nor after a report has shown the file's lines, of a subtest too."""
    tests = "from mod import f\n\ndef test_red(subtests):\n    assert f('printed') == 40\n\n"
    for number, way in enumerate(WAYS, 41):
        tests += f"def test_{way}(subtests):\n    with subtests.test():\n"
        tests += f"        assert 0 == 1\n    assert f('{way}') == {number}\n\n"
    outcome = verified(tmp_path, SHOWN, tests)
    found = {each.nodeid: each for each in outcome.results}
    assert outcome.ending == "completed", outcome.why
    for number, way in enumerate(WAYS, 41):
        told = found[f"test_mod.py::test_{way}"].longrepr
        assert f"assert f('{way}') == {number}" in told, told
        assert f"assert None == {number}" in told, told


LYING = {
    "in a list": "return [Same(), 1]",
    "in a dictionary": "return {'a': Same()}",
    "in an attribute": "box = Box()\n    box.inner = (Same(),)\n    return box",
}


@pytest.mark.parametrize("returns", LYING.values(), ids=LYING)
def test_a_lie_is_found_where_it_hides(tmp_path: Path, returns: str) -> None:
    code = (
        "class Same:\n    def __eq__(self, other):\n        return id(self) != id(other)\n"
        f"class Box:\n    pass\ndef f(n):\n    {returns}\n"
    )
    outcome = verified(tmp_path, code, "from mod import f\n\n\ndef test_a():\n    assert f(1)\n")
    assert outcome.ending == "untrusted"
    assert "equals whatever" in outcome.why


def test_a_frame_is_noticed_through_exec_and_inspect(tmp_path: Path) -> None:
    for number, body in enumerate(
        ("exec('import sys; sys._get' + 'frame(1)')", "__import__('insp' + 'ect').stack()")
    ):
        folder = tmp_path / str(number)
        folder.mkdir()
        outcome = verified(
            folder,
            f"def f(n):\n    {body}\n    return 1\n",
            "from mod import f\n\n\ndef test_a():\n    assert f(1) == 1\n",
        )
        assert outcome.ending == "untrusted"
        assert "_getframe" in outcome.why


def test_a_very_large_number_with_a_comparison_of_its_own_is_no_lie(tmp_path: Path) -> None:
    code = (
        "class Size(float):\n    def __eq__(self, other):\n        return float(self) == other\n"
        "    __hash__ = float.__hash__\n\n\ndef f(n):\n    return Size(n)\n"
    )
    tests = "from mod import f\n\n\ndef test_a():\n    assert f(1e300) == 1e300\n"
    outcome = verified(tmp_path, code, tests + "    assert f(float('inf')) > 1\n")
    assert outcome.ending == "completed", outcome.why
    assert {each.outcome for each in outcome.results} == {"passed"}


LIARS = {
    "made under a false name": """
        text = "class Same:\\n def __eq__(self, other):\\n  return len(str(other)) > 0"
        exec(compile(text, "<made>", "exec"))


        def f(n):
            return Same()
    """,
    "in order with everything": """
        class Same:
            def __lt__(self, other):
                return len(str(other)) > 0

            __gt__ = __le__ = __ge__ = __lt__


        def f(n):
            return Same()
    """,
    "with more than True": """
        class Same:
            def __eq__(self, other):
                return [other]


        def f(n):
            return Same()
    """,
}


@pytest.mark.parametrize("code", LIARS.values(), ids=LIARS)
def test_a_lie_is_found_in_other_spellings(tmp_path: Path, code: str) -> None:
    tests = "from mod import f\n\n\ndef test_a():\n    assert f(1) is not None\n"
    outcome = verified(tmp_path, code, tests)
    assert outcome.ending == "untrusted", outcome
    assert "equals whatever" in outcome.why


TRUTHS = {
    "a query builder": """
        class Expression:
            def __init__(self, *parts):
                self.parts, self.right = parts, parts[-1]


        class Field:
            def __eq__(self, other):
                return Expression(self, "=", other)

            def __lt__(self, other):
                return Expression(self, "<", other)

            def __ge__(self, other):
                return Expression(self, ">=", other)


        def f(n):
            return Field()
    """,
    "a query builder with slots and tuples": """
        import collections

        Pair = collections.namedtuple("Pair", "left right")


        class Expression:
            __slots__ = ("left", "right")

            def __init__(self, left, right):
                self.left, self.right = left, right


        class Field:
            def __eq__(self, other):
                return Expression(self, other)

            def __lt__(self, other):
                return Pair(self, other)

            __ge__ = __lt__


        def f(n):
            return Field()
    """,
    "infinity": """
        import functools


        @functools.total_ordering
        class Infinity:
            def __eq__(self, other):
                return isinstance(other, Infinity)

            def __gt__(self, other):
                return not isinstance(other, Infinity)


        def f(n):
            return Infinity()
    """,
    "a dataclass": """
        import dataclasses


        @dataclasses.dataclass(order=True)
        class Point:
            x: int


        def f(n):
            return Point(n)
    """,
}


@pytest.mark.parametrize("code", TRUTHS.values(), ids=TRUTHS)
def test_a_comparison_of_its_own_is_no_lie(tmp_path: Path, code: str) -> None:
    tests = "from mod import f\n\n\ndef test_a():\n    assert f(1) is not None\n"
    outcome = verified(tmp_path, code, tests)
    assert outcome.ending == "completed", outcome.why
    assert {each.outcome for each in outcome.results} == {"passed"}
