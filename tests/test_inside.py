"""What the sandbox's inside makes of odd sessions; the same in each sandbox, so asked of one."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from pytest_selfheal.records import Job, Limits, RunOutcome, Watch
from pytest_selfheal.sandbox.bubblewrap import BubblewrapLauncher
from tests.harness import code
from tests.sandboxes import require, workspace

pytestmark = pytest.mark.usefixtures("_bubblewrap")


@pytest.fixture
def _bubblewrap() -> None:
    require("bubblewrap")


def run(
    root: Path,
    files: dict[str, str],
    *nodes: str,
    args: tuple[str, ...] = (),
    selected: dict[str, list[str]] | None = None,
    checks: dict[str, str] | None = None,
    watch: tuple[Watch, ...] = (),
    limits: Limits | None = None,
) -> RunOutcome:
    """Make files and run some tests in a sandbox."""
    for name, text in {"pytest.ini": "[pytest]\n", **files}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(code(text))

    place = dataclasses.replace(workspace(root, pytest_args=args), selected=selected or {})
    made = BubblewrapLauncher(place, limits or Limits())
    try:
        sandbox = made.launch()
        try:
            return sandbox.run(Job(nodes=nodes, checks=checks or {}, watch=watch))
        finally:
            sandbox.close()
    finally:
        made.close()


def told(outcome: RunOutcome) -> dict[str, str]:
    assert outcome.ending == "completed", outcome
    return {each.nodeid.partition("::")[2]: each.outcome for each in outcome.results}


@pytest.mark.skipif(pytest.version_tuple < (9,), reason="pytest has subtests from 9 on")
def test_subtests_have_a_say(tmp_path: Path) -> None:
    """One that fails fails its test; one that the code under test skips is no pass."""
    files = {
        "app.py": """
            import unittest

            import pytest


            def skips():
                raise unittest.SkipTest("no")


            def leaves():
                pytest.skip("no")


            def excuses():
                pytest.xfail("no")
        """,
        "test_it.py": """
            import unittest

            import app
            import pytest


            class TestCase(unittest.TestCase):
                def test_all_good(self):
                    for number in range(3):
                        with self.subTest(number=number):
                            self.assertLess(number, 3)
                    with self.subTest("skips itself"):
                        self.skipTest("never mind")

                def test_one_bad(self):
                    for number in range(3):
                        with self.subTest(number=number):
                            self.assertNotEqual(number, 1)

                def test_skipped_by_code(self):
                    with self.subTest("a"):
                        app.skips()


            def test_all_good(subtests):
                for number in range(3):
                    with subtests.test(number=number):
                        assert number < 3
                with subtests.test("skips itself"):
                    pytest.skip("never mind")


            def test_one_bad(subtests):
                for number in range(3):
                    with subtests.test("here", number=number):
                        assert number != 1


            @pytest.mark.parametrize("name", ["skips", "leaves", "excuses"])
            def test_skipped_by_code(subtests, name):
                with subtests.test("a"):
                    getattr(app, name)()
                with subtests.test("b"):
                    pass


            def test_many_bad(subtests):
                for number in range(300):
                    with subtests.test(number=number):
                        assert number == "x" * 9_000
        """,
    }
    outcome = run(tmp_path, files, "test_it.py")
    assert told(outcome) == {
        "TestCase::test_all_good": "passed",
        "TestCase::test_one_bad": "failed",
        "TestCase::test_skipped_by_code": "skipped",
        "test_all_good": "passed",
        "test_one_bad": "failed",
        "test_skipped_by_code[skips]": "skipped",
        "test_skipped_by_code[leaves]": "skipped",
        "test_skipped_by_code[excuses]": "xfailed",
        "test_many_bad": "failed",
    }
    texts = {each.nodeid.partition("::")[2]: each.longrepr for each in outcome.results}
    assert "----- subtest [here] (number=1) -----" in texts["test_one_bad"]
    assert "E   assert 1 != 1" in texts["test_one_bad"]
    assert "and 292 more failing subtests" in texts["test_many_bad"]


def test_what_tests_put_in_the_place_of_functions_harms_nothing(tmp_path: Path) -> None:
    files = {
        "test_it.py": """
            import builtins
            import os
            import time


            def test_patched(monkeypatch):
                monkeypatch.setattr(os, "getpid", lambda: 1)
                monkeypatch.setattr(time, "time", lambda: 0.0)
                monkeypatch.setattr(os, "environ", {})
                assert os.getpid() == 1


            def test_next():
                assert os.getpid() > 1
        """
    }
    assert told(run(tmp_path, files, "test_it.py")) == {
        "test_patched": "passed",
        "test_next": "passed",
    }


def test_a_process_that_is_left_writing_holds_nobody_up(tmp_path: Path) -> None:
    files = {
        "test_it.py": """
            import subprocess
            import sys


            def test_it(capfd):
                with capfd.disabled():
                    subprocess.Popen([sys.executable, "-c", "while True: print('x' * 9999)"])
        """
    }
    outcome = run(tmp_path, files, "test_it.py")
    assert told(outcome) == {"test_it": "passed"}
    assert outcome.seconds < 30


def test_a_text_file_of_examples_is_judged_like_a_test(tmp_path: Path) -> None:
    """Also alone, where there is no module to plant a failing test in."""
    files = {"guide.txt": ">>> 1 + 1\n2\n", "wrong.txt": ">>> 1 + 1\n3\n"}
    outcome = run(tmp_path, files, "guide.txt::guide.txt", args=("--doctest-glob=*.txt",))
    assert told(outcome) == {"guide.txt": "passed"}
    files["conftest.py"] = """
        import pytest


        @pytest.hookimpl(wrapper=True)
        def pytest_runtest_makereport():
            report = yield
            report.outcome = "passed"
            return report
    """
    outcome = run(tmp_path, files, "guide.txt::guide.txt", args=("--doctest-glob=*.txt",))
    assert (outcome.ending, outcome.why) == (
        "untrusted", "a test planted to fail was not reported as failed",
    )  # fmt: skip
    files["conftest.py"] = ""
    outcome = run(tmp_path, files, "wrong.txt::wrong.txt", args=("--doctest-glob=*.txt",))
    assert told(outcome) == {"wrong.txt": "failed"}


CONFTESTS = {
    "sub/conftest.py": "VALUE = 1 / 0\n",
    "sub/test_sub.py": "def test_sub(): pass\n",
    "other/test_other.py": "def test_other(): pass\n",
}


def test_a_folder_that_cannot_be_collected_fails_alone(tmp_path: Path) -> None:
    outcome = run(tmp_path, CONFTESTS, "sub", "other/test_other.py::test_other")
    assert outcome.ending == "completed", outcome
    results = {each.nodeid: (each.outcome, each.phase) for each in outcome.results}
    assert results == {
        "sub": ("failed", "collect"),
        "other/test_other.py::test_other": ("passed", "call"),
    }
    assert "ZeroDivisionError" in outcome.results[-1].longrepr + outcome.results[0].longrepr
    # Once it can, it stands for all in it, and has passed itself.
    (tmp_path / "sub" / "conftest.py").write_text("")
    outcome = run(tmp_path, {}, "sub")
    results = {each.nodeid: (each.outcome, each.phase) for each in outcome.results}
    assert results == {
        "sub/test_sub.py::test_sub": ("passed", "call"),
        "sub": ("passed", "collect"),
    }


def test_tests_below_a_folder_that_cannot_be_collected_fail(tmp_path: Path) -> None:
    """As they do where a candidate breaks the conftest.py above them."""
    outcome = run(tmp_path, CONFTESTS, "sub/test_sub.py::test_sub")
    (result,) = outcome.results
    assert (result.nodeid, result.outcome, result.phase) == (
        "sub/test_sub.py::test_sub", "failed", "collect",
    )  # fmt: skip
    assert "ZeroDivisionError" in result.longrepr


def test_of_a_file_only_what_was_selected_is_asked_for(tmp_path: Path) -> None:
    text = """
        import pytest


        @pytest.mark.parametrize("n", [1, 2])
        def test_a(n): pass


        def test_ab(): pass


        class TestA:
            def test_m(self): pass
    """
    selected = {"test_it.py": ["test_it.py::test_a", "test_it.py::TestA"]}
    outcome = run(tmp_path, {"test_it.py": text}, "test_it.py", selected=selected)
    assert set(told(outcome)) == {"test_a[1]", "test_a[2]", "TestA::test_m"}


def test_checks_run_where_no_test_imported_the_module(tmp_path: Path) -> None:
    files = {
        "pytest.ini": "[pytest]\npythonpath = src\n",
        "src/pkg/__init__.py": "",
        "src/pkg/app.py": "def answer(): return 42\n",
        "guide.txt": ">>> 1 + 1\n2\n",
    }
    checks = {"src/pkg/app.py": "assert answer() == 43\n"}
    outcome = run(
        tmp_path, files, "guide.txt::guide.txt", args=("--doctest-glob=*.txt",), checks=checks
    )
    (check,) = (each for each in outcome.results if each.is_check)
    assert check.outcome == "failed"
    assert "assert 42 == 43" in check.longrepr


def test_deadlines_and_health_checks_of_hypothesis_are_stretched(tmp_path: Path) -> None:
    """A sandbox is slower than the machine that they were set for."""
    text = """
        import functools
        import unittest
        from datetime import timedelta

        import pytest
        from hypothesis import HealthCheck, given, settings, strategies as st

        usual = settings.default.deadline
        few = settings(max_examples=5, deadline=timedelta(milliseconds=100))


        def of(function):
            found = function._hypothesis_internal_use_settings
            assert HealthCheck.too_slow in found.suppress_health_check
            return found.max_examples, found.deadline and found.deadline.total_seconds()


        def wrapped(function):
            @functools.wraps(function)
            def inner(*args, **kwargs):
                return function(*args, **kwargs)

            return inner


        @few
        @given(st.integers())
        def test_plain(number):
            assert of(test_plain) == (5, 0.5)


        @pytest.mark.parametrize("name", ["x"])
        @wrapped
        @few
        @given(number=st.integers())
        def test_wrapped(name, number):
            assert of(test_wrapped) == of(test_wrapped.__wrapped__) == (5, 0.5)


        class TestCase(unittest.TestCase):
            @few
            @given(st.integers())
            def test_method(self, number):
                assert of(TestCase.test_method) == (5, 0.5)


        @settings(deadline=None)
        @given(st.integers())
        def test_none(number):
            assert of(test_none)[1] is None


        @given(st.integers())
        def test_default(number):
            assert of(test_default)[1] == 5 * usual.total_seconds()
    """
    assert told(run(tmp_path, {"test_it.py": text}, "test_it.py")) == dict.fromkeys(
        ["test_plain", "test_wrapped[x]", "TestCase::test_method", "test_none", "test_default"],
        "passed",
    )


def test_what_is_asked_for_by_name_runs_whatever_a_plugin_deals_out(tmp_path: Path) -> None:
    files = {
        "conftest.py": """
            def pytest_collection_modifyitems(config, items):
                config.hook.pytest_deselected(items=items[1:])
                del items[1:]
        """,
        "test_it.py": "def test_a(): pass\ndef test_b(): pass\ndef test_c(): pass\n",
    }
    names = ["test_c", "test_b"]
    outcome = run(tmp_path, files, *(f"test_it.py::{name}" for name in names))
    assert told(outcome) == dict.fromkeys(names, "passed")
    # Of a file that is asked for as a whole, the plugin's choice holds.
    assert told(run(tmp_path, files, "test_it.py")) == {"test_a": "passed"}


def test_a_full_disk_keeps_nobody_from_an_answer(tmp_path: Path) -> None:
    files = {
        "app.py": "def f(): ...\n",
        "test_it.py": """
            import os
            import tempfile

            import pytest


            def test_fills():
                file, _ = tempfile.mkstemp()
                with pytest.raises(OSError):
                    while True:
                        os.write(file, bytes(2**16))


            def test_lost():
                assert 0
        """,
    }
    watch = (Watch(key="f", path="app.py", first_line=1),)
    limits = Limits(disk_bytes=64 * 2**20)
    outcome = run(tmp_path, files, "test_it.py", watch=watch, limits=limits)
    assert told(outcome) == {"test_fills": "passed", "test_lost": "failed"}
