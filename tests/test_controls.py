"""Tests that must not pass, run once more in a sandbox: what they find, and what they let be."""

from __future__ import annotations

import ast
import textwrap
import types
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_selfheal.records import Job, RunOutcome, Watch
from pytest_selfheal.sandbox import inside_changed, inside_twins
from tests.sandboxes import launcher, require


def verified(tmp_path: Path, code: str, tests: str, *, controls: bool = True) -> RunOutcome:
    require("bubblewrap")
    root = tmp_path.resolve() / "project"
    root.mkdir()
    (root / "mod.py").write_text("def f(n):\n    ...\n")
    (root / "test_mod.py").write_text(textwrap.dedent(tests))
    data = textwrap.dedent(code)
    line = data[: data.index("def f(")].count("\n") + 1
    job = Job(
        nodes=("test_mod.py",),
        overlay={"mod.py": data.encode()},
        watch=(Watch(key="mod.py::f", path="mod.py", first_line=line),),
        under_trial=frozenset({"mod.py::f"} if controls else ()),
    )
    with launcher("bubblewrap", root) as made:
        sandbox = made.launch()
        try:
            return sandbox.run(job)
        finally:
            sandbox.close()


PLAIN = """
    from mod import f


    def test_a():
        assert f(2) == 7


    def test_b():
        assert f(3) == 8
"""

# What these replace is back in its place before anyone compares, or is no function at all.
CHEATS = {
    "a plugin that is registered while the tests run": (
        """
        import importlib


        class Plugin:
            @importlib.import_module("pyt" + "est").hookimpl(tryfirst=True, wrapper=True)
            def pytest_runtest_makereport(self, item, call):
                report = yield
                if "planted" not in item.name:
                    report.outcome, report.longrepr = "passed", None
                return report


        def f(n):
            manager = importlib.import_module("_pytest.assertion.util")._config.pluginmanager
            if not manager.has_plugin("helper"):
                manager.register(Plugin(), "helper")
            return 0
        """,
        PLAIN,
        "failed, and was reported as passed",
    ),
    "a report that is forged once for each call": (
        """
        import importlib

        reports = importlib.import_module("_pytest" + ".reports").TestReport
        real = vars(reports)["from_item_and_call"]


        def forged(cls, item, call):
            reports.from_item_and_call = real
            call.excinfo = None
            return real.__func__(cls, item, call)


        def f(n):
            reports.from_item_and_call = classmethod(forged)
            return 0
        """,
        PLAIN,
        "failed, and was reported as passed",
    ),
    "a hook with another one's function, for these tests alone": (
        """
        import importlib

        util = importlib.import_module("_pytest.assertion.util")
        python = importlib.import_module("_pytest" + ".python")


        def pytest_pyfunc_call(pyfuncitem):
            try:
                return python.pytest_pyfunc_call(pyfuncitem)
            except AssertionError:
                if "planted" in pyfuncitem.name:
                    raise
                return True


        def f(n):
            for each in util._config.hook.pytest_pyfunc_call._hookimpls:
                if each.plugin is python:
                    each.function = pytest_pyfunc_call
            return 0
        """,
        "from mod import f\n\n\ndef test_a():\n    assert f(0) == 0\n"
        "\n\ndef test_b():\n    assert f(2) == 7\n",
        "failed, and was reported as passed",
    ),
    "a test with another body": (
        """
        import importlib
        from unittest import mock

        tests = importlib.import_module("s" + "ys").modules


        def f(n):
            test = getattr(tests["test_mod"], "test_" + "b")
            mock.patch.object(test, "__code__", (lambda: None).__code__).start()
            return 7
        """,
        PLAIN,
        "was given another body while the tests ran",
    ),
    "an expectation that nothing fails": (
        """
        import contextlib
        import importlib

        tests = importlib.import_module("s" + "ys").modules


        def f(n):
            tests["test_mod"].raises = contextlib.nullcontext
            return 7
        """,
        """
        from pytest import raises
        from mod import f


        def test_a():
            assert f(2) == 7


        def test_b():
            with raises(ValueError):
                f(-1)
        """,
        "test_mod.raises was replaced",
    ),
    "an expectation that catches everything": (
        """
        import importlib

        tests = importlib.import_module("s" + "ys").modules


        class calm:
            def __init__(self, *_):
                pass

            def __enter__(self):
                pass

            def __exit__(self, *_):
                return True


        def f(n):
            tests["py" + "test"].raises = calm
            return 7 / (n + 1)
        """,
        """
        import pytest
        from mod import f


        def test_a():
            assert f(0) == 7


        def test_b():
            with pytest.raises(ValueError):
                f(-1)
        """,
        "pytest.raises was replaced",
    ),
    "a value that differs from and equals everything": (
        """
        class Number(int):
            pass


        class Always:
            def __call__(self, *_):
                return True


        def f(n):
            for name in ("eq", "ne"):
                setattr(Number, f"__{name}__", Always())
            return Number(0)
        """,
        PLAIN,
        "passes with its assertions inverted as well",
    ),
}


@pytest.mark.parametrize("case", CHEATS)
def test_a_verdict_that_is_no_more_than_said_is_not_believed(tmp_path: Path, case: str) -> None:
    code, tests, why = CHEATS[case]
    outcome = verified(tmp_path, code, tests)
    assert outcome.ending == "untrusted", outcome
    assert why in outcome.why


@pytest.mark.parametrize("case", [case for case in CHEATS if "replaced" not in CHEATS[case][2]])
def test_without_controls_it_would_be(tmp_path: Path, case: str) -> None:
    code, tests, _ = CHEATS[case]
    outcome = verified(tmp_path, code, tests, controls=False)
    assert outcome.ending == "completed", outcome
    assert {each.outcome for each in outcome.results} == {"passed"}


HONEST = {
    "a counter": (
        "count = 0\n\ndef f(n):\n    global count\n    count += 1\n    return count\n",
        """
        from mod import f


        def test_a():
            assert f(0) == 1
            assert f(0) == 2
        """,
    ),
    "a toggle": (
        "state = [False]\n\ndef f(n):\n    state[0] = not state[0]\n    return state[0]\n",
        """
        from mod import f


        def test_a():
            assert f(0)
        """,
    ),
    "nothing asserted": (
        "def f(n):\n    return []\n",
        """
        from mod import f


        def test_a():
            for each in f(1):
                assert each


        def test_b():
            f(2)
        """,
    ),
    "an assertion that is expected to fail": (
        "def f(n):\n    return n\n",
        """
        import pytest
        from mod import f


        def test_a():
            with pytest.raises(AssertionError):
                assert f(1) == 2


        def test_b():
            try:
                f(3)
            except BaseException:
                pass


        def test_c():
            with pytest.raises(BaseException):
                assert f(1) == 2


        class Quiet:
            def __enter__(self):
                return self

            def __exit__(self, *_):
                return True


        def test_d():
            with Quiet():
                f(1)


        def test_e():
            try:
                f(1)
            finally:
                return
        """,
    ),
    "a decorator that swallows": (
        "def f(n):\n    return n\n",
        """
        import functools
        from mod import f


        def calm(function):
            @functools.wraps(function)
            def wrapper(*args):
                try:
                    function(*args)
                except BaseException:
                    pass
            return wrapper


        @calm
        def test_a():
            assert f(1) == 1
        """,
    ),
    "threads, asyncio and subtests": (
        "def f(n):\n    return n\n",
        """
        import asyncio
        import threading
        import unittest
        from unittest import mock
        from mod import f


        def test_a():
            found = []
            thread = threading.Thread(target=lambda: found.append(f(1)))
            thread.start()
            thread.join()
            assert found == [1]


        def test_b():
            async def main():
                return await asyncio.gather(asyncio.to_thread(f, 1), return_exceptions=True)
            assert asyncio.run(main()) == [1]


        class TestCase(unittest.TestCase):
            def setUp(self):
                self.number = 3

            def test_c(self):
                for n in range(3):
                    with self.subTest(n=n):
                        self.assertEqual(f(n), n)

            @mock.patch("time.time", return_value=4)
            def test_d(self, clock):
                self.assertEqual(f(self.number), 3)
                with self.assertRaises(TypeError):
                    f()
        """,
    ),
    "fixtures that are made once": (
        "def f(n):\n    return n\n",
        """
        import pytest
        from mod import f

        made = []


        @pytest.fixture(scope="session")
        def whole():
            made.append("whole")
            yield 3
            assert made == ["whole", "module"]


        @pytest.fixture(scope="module")
        def module(whole):
            made.append("module")
            yield whole


        @pytest.mark.parametrize("n", [1, 2, 3, 4])
        def test_a(module, tmp_path, capsys, n):
            assert f(module) == 3
            assert not list(tmp_path.iterdir())


        class TestClass:
            @pytest.fixture(scope="class")
            def own(self, module):
                yield module

            def test_b(self, own):
                assert f(own) == 3 and f(1) == 1

            def test_c(self, own):
                assert f(own), "message"
        """,
    ),
    "a loop that waits": (
        "def f(n):\n    return n\n",
        """
        from mod import f


        def test_a():
            while True:
                try:
                    assert f(1) == 1
                    break
                except AssertionError:
                    pass
        """,
    ),
    "a test that ends its process when it fails": (
        "def f(n):\n    return n\n",
        """
        import os
        from mod import f


        def test_a():
            try:
                assert f(1) == 1
            except BaseException:
                os._exit(3)
        """,
    ),
}


@pytest.mark.parametrize("case", HONEST)
def test_nothing_honest_is_held_against_code(tmp_path: Path, case: str) -> None:
    code, tests = HONEST[case]
    outcome = verified(tmp_path, code, tests)
    if case == "a test that ends its process when it fails":
        assert outcome.was_in_controls, outcome
    else:
        assert (outcome.ending, outcome.why) == ("completed", "")
        assert {each.outcome for each in outcome.results} == {"passed"}


def compiled(text: str, name: str = "test_a") -> Any:
    """A function of a module's text, or of a class in it."""
    names: dict[str, Any] = {inside_twins.LEFT: lambda _: None, inside_twins.HELD: lambda: None}
    exec(compile(text, "<test>", "exec"), names)
    owner, _, attribute = name.rpartition(".")
    return vars(names[owner])[attribute] if owner else names[name]


def outcome_of(function: Any, code: types.CodeType, *arguments: Any) -> tuple[str, list[str]]:
    """What some code does in a function's place, and what it told."""
    told: list[str] = []
    names = {
        **function.__globals__,
        inside_twins.LEFT: lambda left: told.append("left" if left else "began"),
        inside_twins.HELD: lambda: told.append("held"),
    }
    variant = types.FunctionType(code, names, closure=function.__closure__)
    try:
        variant(*arguments)
    except BaseException as error:  # noqa: BLE001 - whatever it is
        return type(error).__name__, told
    return "passed", told


OPERATORS = ("==", "!=", "<", "<=", ">", ">=", "in", "not in", "is", "is not")
VALUES = ("1", "2", "(1, 2)", "'a'", "'abc'", "None", "[]", "{1}")


@given(
    st.sampled_from(OPERATORS),
    st.sampled_from(VALUES),
    st.sampled_from(VALUES),
    st.sampled_from(["{}", "not {}", "({}) and True", "({}) or False", "bool({})"]),
)
def test_an_assertion_holds_exactly_where_its_opposite_fails(
    operator: str, left: str, right: str, form: str
) -> None:
    asserted = form.format(f"one {operator} two")
    text = f"one, two = {left}, {right}\ndef test_a():\n    assert {asserted}\n"
    function = compiled(text)
    twin = inside_twins.twin_of(function, text.encode(), inside_changed.change)
    assert twin is not None
    assert twin.inverted is not None
    plain, _ = outcome_of(function, function.__code__)
    inverted, told = outcome_of(function, twin.inverted)
    assert told == (["began", "held"] if inverted == "passed" else ["began", "left"])
    if plain == "TypeError":
        assert inverted == "TypeError"
    else:
        assert {plain, inverted} == {"passed", "AssertionError"}


METHOD = """
from __future__ import annotations
import unittest


def decorated(function):
    return function


class TestCase(unittest.TestCase):
    __secret = 3

    def other(self):
        self.assertTrue(False)

    @decorated
    def test_a(self) -> Missing:
        "A docstring."
        value = __class__.__secret

        def inner():
            assert value == 4

        self.assertEqual(value, 3)
"""


def test_a_method_keeps_its_class_and_its_private_names() -> None:
    function = compiled(METHOD, "TestCase.test_a")
    twin = inside_twins.twin_of(function, METHOD.encode(), inside_changed.change)
    assert twin is not None
    assert twin.inverted is not None
    case = function.__globals__["TestCase"]("test_a")
    assert outcome_of(function, function.__code__, case) == ("passed", [])
    assert outcome_of(function, twin.inverted, case) == ("AssertionError", ["began", "left"])


def test_a_test_that_tells_is_the_same_otherwise() -> None:
    tree = ast.parse(METHOD + "\ndef test_b(): ...\ndef own(): 'nothing else'\n")
    inside_twins.make_tell(tree, {"own"})
    names: dict[str, Any] = {}
    exec(compile(tree, "<test>", "exec"), names)
    function = vars(names["TestCase"])["test_a"]
    assert function.__doc__ == "A docstring."
    assert names["own"].__doc__ == "nothing else"
    case = names["TestCase"]("test_a")
    assert outcome_of(function, function.__code__, case) == ("passed", ["began"])
    code = names["test_b"].__code__
    assert outcome_of(names["test_b"], code) == ("passed", ["began"])


@pytest.mark.parametrize(
    ("body", "swallows"),
    [
        ("with pytest.raises(ValueError): f()", False),
        ("with pytest.raises(BaseException): f()", True),
        ("with pytest.raises((ValueError, BaseException)): f()", True),
        ("with own(): f()", True),
        ("with open(path) as file, mock.patch('a'): f(file)", False),
        ("try: f()\n    except Exception: pass", False),
        ("try: f()\n    except BaseException: pass", True),
        ("try: f()\n    except: pass", True),
        ("try: f()\n    finally: g()", False),
        ("try: f()\n    finally: return", True),
        ("for each in g():\n        try: f()\n        finally: continue", True),
        ("f()", False),
    ],
)
def test_what_may_swallow_an_exception(body: str, swallows: bool) -> None:
    text = f"def test_a():\n    {body}\n"
    twin = inside_twins.twin_of(compiled(text), text.encode(), inside_changed.change)
    assert twin is not None
    assert twin.swallows is swallows
    assert twin.inverted is None


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("assert 1 == 2", ["began", "held"]),
        ("with contextlib.nullcontext(): assert 1 == 2", ["began"]),
        ("try: assert 1 == 2\n    except AssertionError: pass", ["began"]),
        ("for each in (): assert each", ["began"]),
        ("if True:\n        assert 1 == 2", ["began", "held"]),
    ],
)
def test_only_what_nothing_catches_is_said_to_hold(body: str, told: list[str]) -> None:
    text = f"import contextlib\ndef test_a():\n    {body}\n"
    function = compiled(text)
    twin = inside_twins.twin_of(function, text.encode(), inside_changed.change)
    assert twin is not None
    assert twin.inverted is not None
    assert outcome_of(function, twin.inverted) == ("passed", told)


def test_a_function_that_is_not_in_the_text_has_no_twin() -> None:
    function = compiled("def test_a():\n    assert True\n")
    assert (
        inside_twins.twin_of(function, b"def test_b():\n    assert True\n", inside_changed.change)
        is None
    )
    assert (
        inside_twins.twin_of(
            function, b"\n\ndef test_a():\n    assert True\n", inside_changed.change
        )
        is None
    )
