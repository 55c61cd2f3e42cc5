"""Every kind of test that pytest can run, and every way to a stub, each healed end to end.

Many kinds share a project and a run. Each stub is reached by tests of its own kind alone,
so that a kind that is not seen leaves its stub unhealed.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.harness import WITHOUT_PLUGINS, Project, Run, code, python, require
from tests.scripted_server import ScriptedServer

INI = """
    [pytest]
    addopts = {more} --doctest-modules --doctest-glob=*.txt --strict-markers --strict-config
    testpaths = tests src docs
    pythonpath = src
    filterwarnings = error
    asyncio_default_fixture_loop_scope = function
    markers = slow: slow ones
"""


def stubs(names: str, body: str = "...") -> str:
    """Marked functions of one argument."""
    return "\n\n".join(f"# selfheal\ndef {name}(a):\n    {body}\n" for name in names.split())


def plus_one(name: str) -> str:
    """A reply for one of them."""
    return python(f"def {name}(a):\n    return a + 1\n")


def heal_all(
    project: Project,
    replies: Mapping[str, list[str]],
    *arguments: str,
    backend: str = "bubblewrap",
    addopts: str = WITHOUT_PLUGINS,
) -> tuple[Run, ScriptedServer]:
    """Heal with a server that knows these replies."""
    require(backend)
    with ScriptedServer(replies) as server:
        run = project.heal(
            f"--selfheal-sandbox={backend}",
            *arguments,
            server=server,
            env={"PYTEST_ADDOPTS": addopts},
        )
    return run, server


def rest_is_green(project: Project, *arguments: str, addopts: str = WITHOUT_PLUGINS) -> None:
    """What is on the disk passes under plain pytest."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:selfheal", *arguments],
        cwd=project.root,
        env=project.environment(more={"PYTEST_ADDOPTS": addopts}),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


# --- what pytest can run ---------------------------------------------------------------

KINDS = """
    plain in_class in_subtest in_fixture_subtest by_id at_fixture at_autouse at_session
    at_module_setup at_class_setup at_import_of_test in_text_doctest at_conftest
    in_asyncio in_anyio in_hypothesis in_module_process in_command_process
    in_fork in_pool in_test_process at_teardown
"""
KIND_FILES: Mapping[str, str] = {
    "src/thepackage/__init__.py": "",
    "src/thepackage/kinds.py": stubs(KINDS),
    "src/thepackage/documented.py": '''
        # selfheal
        def doubled(a):
            """Twice as much.

            >>> doubled(3)
            6
            >>> doubled("ab")
            'abab'
            """
    ''',
    "src/thepackage/table.py": """
        from thepackage.kinds import at_conftest

        TABLE = {"two": at_conftest(1)}
    """,
    "src/thepackage/__main__.py": """
        import sys

        from thepackage import kinds

        print(getattr(kinds, sys.argv[1])(int(sys.argv[2])))
    """,
    "docs/guide.txt": """
        The guide
        =========

        >>> from thepackage.kinds import in_text_doctest
        >>> in_text_doctest(1)
        2
    """,
    "tests/conftest.py": """
        import pytest

        from thepackage import kinds


        @pytest.fixture(scope="session")
        def session_value():
            return kinds.at_session(1)


        @pytest.fixture
        def value():
            return kinds.at_fixture(1)


        @pytest.fixture
        def torn_down():
            yield
            assert kinds.at_teardown(1) == 2


        @pytest.fixture(params=["asyncio"])
        def anyio_backend(request):
            return request.param
    """,
    "tests/test_classes.py": """
        import unittest

        import pytest

        from thepackage import kinds


        def test_plain():
            assert kinds.plain(1) == 2


        class TestClass:
            def test_it(self):
                assert kinds.in_class(1) == 2


        class TestCase(unittest.TestCase):
            def test_subtests(self):
                for number in range(12):
                    with self.subTest("of the case", number=number):
                        self.assertEqual(kinds.in_subtest(number), number + 1)
                with self.subTest("not here"):
                    self.skipTest("never mind")


        def test_subtests(subtests):
            for number in range(12):
                with subtests.test("of the fixture", number=number):
                    assert kinds.in_fixture_subtest(number) == number + 1
            with subtests.test("not here"):
                pytest.skip("never mind")


        @pytest.mark.parametrize("text", ["a::b", "a[0]", "x y", "ä\\n", "", "-k", "t.py::x[y]"])
        def test_ids(text):
            assert kinds.by_id(len(text)) == len(text) + 1
    """,
    "tests/test_fixtures.py": """
        import pytest

        from thepackage import kinds

        VALUES = {}


        def setup_module():
            VALUES["module"] = kinds.at_module_setup(1)


        @pytest.fixture(autouse=True, scope="module")
        def always():
            VALUES["autouse"] = kinds.at_autouse(1)


        def test_fixture(value):
            assert value == 2


        def test_session(session_value):
            assert session_value == 2


        def test_session_again(session_value):
            assert session_value + 1 == 3


        def test_module_setup():
            assert VALUES["module"] == 2


        def test_autouse():
            assert VALUES["autouse"] == 2


        def test_teardown(torn_down):
            pass


        class TestSetup:
            @classmethod
            def setup_class(cls):
                cls.value = kinds.at_class_setup(1)

            def test_one(self):
                assert self.value == 2

            def test_two(self):
                assert self.value + 1 == 3
    """,
    "tests/test_at_import.py": """
        from thepackage.kinds import at_import_of_test
        from thepackage.table import TABLE

        EXPECTED = at_import_of_test(1) + 1


        def test_expected():
            assert EXPECTED == 3
    """,
    "tests/test_table.py": """
        from thepackage.table import TABLE


        def test_table():
            assert TABLE["two"] == 2
    """,
    "tests/test_async.py": """
        import pytest

        from thepackage import kinds


        @pytest.mark.asyncio
        async def test_asyncio():
            assert kinds.in_asyncio(1) == 2


        @pytest.mark.anyio
        async def test_anyio():
            assert kinds.in_anyio(1) == 2
    """,
    "tests/test_hypothesis.py": """
        from hypothesis import given, strategies as st

        from thepackage import kinds


        @given(st.integers(0, 500))
        def test_all_numbers(number):
            assert kinds.in_hypothesis(number) == number + 1
    """,
    "tests/test_processes.py": """
        import multiprocessing
        import os
        import subprocess
        import sys
        from pathlib import Path

        import pytest

        SRC = str(Path(__file__).parent.parent / "src")


        def said(*command, **variables):
            environment = {**os.environ, "PYTHONPATH": SRC, **variables}
            done = subprocess.run(
                [sys.executable, *command], env=environment, capture_output=True, text=True
            )
            return done.stdout.strip()


        def test_module_process():
            assert said("-m", "thepackage", "in_module_process", "1") == "2"


        def test_command_process():
            text = "from thepackage.kinds import in_command_process as f; print(f(1))"
            assert said("-c", text) == "2"


        def test_isolated():
            text = f"import sys; sys.path.insert(0, {SRC!r}); "
            text += "from thepackage.kinds import in_test_process as f; print(f(1))"
            command = [sys.executable, "-I", "-c", text]
            done = subprocess.run(command, env={}, capture_output=True, text=True)
            assert done.stdout == "2\\n"


        def test_fork():
            from thepackage.kinds import in_fork

            read, write = os.pipe()
            pid = os.fork()
            if pid == 0:
                os.write(write, str(in_fork(1)).encode())
                os._exit(0)
            os.waitpid(pid, 0)
            assert os.read(read, 9) == b"2"


        def put(queue, number):
            from thepackage.kinds import in_pool

            queue.put(in_pool(number))


        @pytest.mark.parametrize("method", ["fork", "spawn"])
        @pytest.mark.filterwarnings("ignore::DeprecationWarning")
        def test_multiprocessing(method):
            context = multiprocessing.get_context(method)
            queue = context.SimpleQueue()
            process = context.Process(target=put, args=(queue, 1))
            process.start()
            assert queue.get() == 2
            process.join()
    """,
}
KIND_REPLIES: Mapping[str, list[str]] = {
    **{f"src/thepackage/kinds.py::{name}": [plus_one(name)] for name in KINDS.split()},
    # Wrong only from some number on: a test that only subtests or one example can fail.
    **{
        f"src/thepackage/kinds.py::{name}": [
            python(f"def {name}(a):\n    return a + 1 if a < {number} else 0\n"),
            plus_one(name),
        ]
        for name, number in (("in_subtest", 9), ("in_fixture_subtest", 7), ("in_hypothesis", 51))
    },
    "src/thepackage/documented.py::doubled": [
        python("def doubled(a):\n    return a + a if a != 'ab' else a\n"),
        python("def doubled(a):\n    return a + a\n"),
    ],
}


@dataclass(frozen=True)
class Healed:
    run: Run
    server: ScriptedServer
    project: Project


@pytest.fixture(scope="module")
def kinds(tmp_path_factory: pytest.TempPathFactory) -> Healed:
    """One run over all kinds; two workers of xdist report what the controller heals."""
    if pytest.version_tuple < (9,):
        pytest.skip("pytest has subtests from 9 on")
    files = {**KIND_FILES, "pytest.ini": code(INI).format(more="-n 2 --dist=loadscope")}
    project = Project(tmp_path_factory.mktemp("kinds") / "project", files)
    run, server = heal_all(project, KIND_REPLIES, addopts="")
    return Healed(run, server, project)


def test_every_kind_of_test_is_healed(kinds: Healed) -> None:
    statuses = kinds.run.statuses()
    left = {name: kinds.run.stubs[name] for name in statuses if statuses[name] != "healed"}
    assert not left, kinds.run.output
    assert set(statuses) == set(KIND_REPLIES)
    assert kinds.run.status == 0, kinds.run.output
    rest_is_green(kinds.project, addopts="")


def test_the_model_sees_which_subtest_or_example_fails(kinds: Healed) -> None:
    def second_prompt(name: str) -> str:
        target = f"src/thepackage/kinds.py::{name}"
        assert kinds.run.verdicts(target) == ["failed", "passed"]
        return [each.prompt for each in kinds.server.requests if target in each.targets][1]

    assert "subtest [of the case] (number=9)" in second_prompt("in_subtest")
    assert "subtest [of the fixture] (number=7)" in second_prompt("in_fixture_subtest")
    assert "assert 0 == (51 + 1)" in second_prompt("in_hypothesis")
    assert "number=51" in second_prompt("in_hypothesis")
    (target,) = [name for name in kinds.run.statuses() if name.endswith("doubled")]
    assert kinds.run.verdicts(target) == ["failed", "passed"]


def test_each_stub_is_linked_to_its_own_tests(kinds: Healed) -> None:
    def tests_of(name: str) -> list[str]:
        found = kinds.run.stubs[f"src/thepackage/kinds.py::{name}"]["tests"]
        # Which test of several entered a shared fixture first hangs on their order.
        return sorted(nodeid.rpartition("/")[2] for nodeid in found)

    assert tests_of("plain") == ["test_classes.py::test_plain"]
    assert len(tests_of("by_id")) == 7
    assert tests_of("at_session") == [
        "test_fixtures.py::test_session", "test_fixtures.py::test_session_again"
    ]  # fmt: skip
    assert tests_of("at_class_setup") == [
        "test_fixtures.py::TestSetup::test_one", "test_fixtures.py::TestSetup::test_two"
    ]  # fmt: skip
    assert tests_of("in_module_process") == ["test_processes.py::test_module_process"]
    assert tests_of("in_fork") == ["test_processes.py::test_fork"]
    # Whichever file imports the table first, both lean on it.
    assert {"test_table.py::test_table", "test_at_import.py::test_expected"} <= set(
        tests_of("at_conftest")
    )


# --- what pytest's traceback does not show ---------------------------------------------

BODIES = {
    "far_dots": "...", "far_pass": "pass", "far_docstring": '"""Only words."""',
    "far_raise": "raise NotImplementedError", "in_thread": "raise NotImplementedError",
    "swallowed": "raise NotImplementedError", "called_back": "...", "in_generator": "...",
    "in_partial": "...", "in_map": "...", "as_key": "...", "as_default": "...",
    "in_class_body": "...", "at_lazy_import": "...", "at_late_import": "...",
    "with_cache": "...",
}  # fmt: skip
TRACED_FILES: Mapping[str, str] = {
    "mod.py": "from functools import lru_cache\n\n\n"
    + "\n\n".join(
        f"# selfheal\n{'@lru_cache' if name == 'with_cache' else ''}\ndef {name}(a):\n    {body}\n"
        for name, body in BODIES.items()
    ).replace("\n\ndef", "\ndef"),
    "parts.py": """
        from pytest_selfheal import heal


        class Part:
            def __init__(self):
                self.kept = {}

            @property
            @heal
            def read(self):
                ...

            @heal
            @property
            def write(self):
                return self.kept["w"]

            @heal
            @write.setter
            def write(self, value):
                ...

            @heal
            @classmethod
            def own(cls, a):
                ...

            @staticmethod
            @heal
            def shared(a):
                ...

            @heal
            async def later(self, a):
                ...

            # selfheal
            async def agen(self, a):
                ...


        class Base:
            # selfheal
            def __init_subclass__(cls):
                ...


        class Named:
            # selfheal
            def __set_name__(self, owner, name):
                ...

            # selfheal
            def __get__(self, instance, owner):
                ...


        class Meta(type):
            # selfheal
            def __call__(cls, *args):
                raise NotImplementedError
    """,
    "lazy.py": "from mod import at_lazy_import\n\nVALUE = at_lazy_import(1)\n",
    "late.py": "from mod import at_late_import\n\nVALUE = at_late_import(1)\n",
    "between.py": "import late\n",
    "test_a.py": """
        import asyncio
        import functools
        import threading

        import pytest

        import between
        import mod
        import parts


        class Holder:
            def __init__(self):
                self.value = None


        def test_late():
            assert between.late.VALUE == 2


        @pytest.mark.parametrize("name", ["far_dots", "far_pass", "far_docstring", "far_raise"])
        def test_far(name):
            holder = Holder()
            try:
                holder.value = getattr(mod, name)(1)
            except NotImplementedError:
                pass
            assert holder.value == 2


        def test_thread():
            holder = Holder()

            def work():
                try:
                    holder.value = mod.in_thread(1)
                except NotImplementedError:
                    pass

            thread = threading.Thread(target=work)
            thread.start()
            thread.join()
            assert holder.value == 2


        @pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
        def test_swallowed():
            values = []
            thread = threading.Thread(target=lambda: values.append(mod.swallowed(1)))
            thread.start()
            thread.join()
            assert values == [2]


        def test_called_back():
            values = {}
            values.update(zip("a", [f(1) for f in (mod.called_back,)]))
            assert values["a"] == 2


        def test_generator():
            def numbers():
                yield mod.in_generator(1)

            assert [*numbers()] == [2]


        def test_partial():
            assert functools.partial(mod.in_partial, 1)() == 2


        def test_map():
            assert list(map(mod.in_map, [1, 2])) == [2, 3]


        def test_key():
            assert sorted([2, 1], key=lambda n: mod.as_key(n) or -n) == [1, 2]


        def test_default():
            def f(a=mod.as_default(1)):
                return a

            assert f() == 2


        def test_class_body():
            class Inner:
                value = mod.in_class_body(1)

            assert Inner.value == 2


        def test_lazy_import():
            import lazy

            assert lazy.VALUE == 2


        def test_lazy_import_again():
            import lazy

            assert lazy.VALUE - 1 == 1


        def test_cache():
            assert mod.with_cache(1) == 2


        def test_properties():
            part = parts.Part()
            assert part.read == 2


        def test_setter():
            part = parts.Part()
            part.write = 2
            assert part.kept == {"w": 2}


        def test_class_and_static():
            assert parts.Part.own(1) == 2


        def test_static():
            assert parts.Part.shared(1) == 2


        def test_async():
            assert asyncio.run(parts.Part().later(1)) == 2


        def test_async_generator():
            async def first():
                async for each in parts.Part().agen(1):
                    return each

            assert asyncio.run(first()) == 2


        def test_init_subclass():
            class Sub(parts.Base):
                pass

            assert Sub.registered == "Sub"


        def test_set_name():
            class Owner:
                field = parts.Named()

            assert vars(Owner)["field"].name == "field"


        def test_descriptor():
            class Owner:
                field = parts.Named()

            assert Owner().field == 2


        def test_metaclass():
            class Single(metaclass=parts.Meta):
                pass

            assert Single() is Single()
    """,
    "test_b.py": """
        import mod
        from between import late


        def test_late_in_another_file():
            assert late.VALUE + 1 == 3


        def test_cache_in_another_file():
            assert mod.with_cache(1) - 1 == 1
    """,
}
TRACED_REPLIES: Mapping[str, list[str]] = {
    **{f"mod.py::{name}": [plus_one(name)] for name in BODIES},
    "parts.py::Part.read": [python("def read(self):\n    return 2\n")],
    "parts.py::Part.write": [python("def write(self, value):\n    self.kept['w'] = value\n")],
    "parts.py::Part.own": [python("def own(cls, a):\n    return a + 1\n")],
    "parts.py::Part.shared": [python("def shared(a):\n    return a + 1\n")],
    "parts.py::Part.later": [python("async def later(self, a):\n    return a + 1\n")],
    "parts.py::Part.agen": [python("async def agen(self, a):\n    yield a + 1\n")],
    "parts.py::Base.__init_subclass__": [
        python("def __init_subclass__(cls):\n    cls.registered = cls.__name__\n")
    ],
    "parts.py::Named.__set_name__": [
        python("def __set_name__(self, owner, name):\n    self.name = name\n")
    ],
    "parts.py::Named.__get__": [python("def __get__(self, instance, owner):\n    return 2\n")],
    "parts.py::Meta.__call__": [
        python(
            "def __call__(cls, *args):\n    if 'one' not in vars(cls):\n"
            "        cls.one = super().__call__(*args)\n    return cls.one\n"
        )
    ],
}


def test_stubs_that_no_traceback_shows_are_healed(tmp_path: Path) -> None:
    project = Project(tmp_path / "project", TRACED_FILES)
    run, _ = heal_all(project, TRACED_REPLIES)
    statuses = run.statuses()
    assert {n: run.stubs[n] for n in statuses if statuses[n] != "healed"} == {}, run.output
    assert set(statuses) == set(TRACED_REPLIES)
    assert run.status == 0, run.output
    rest_is_green(project)
    # A module runs once, whichever test or file imports it first.
    assert run.stubs["mod.py::at_lazy_import"]["tests"][-2:] == [
        "test_a.py::test_lazy_import", "test_a.py::test_lazy_import_again"
    ]  # fmt: skip
    assert "test_b.py::test_late_in_another_file" in run.stubs["mod.py::at_late_import"]["tests"]
    assert run.stubs["mod.py::in_thread"]["tests"] == ["test_a.py::test_thread"]


def test_what_the_tests_left_is_not_finalised_in_the_middle_of_a_heal(tmp_path: Path) -> None:
    project = Project(
        tmp_path / "project",
        {
            "mod.py": stubs("one"),
            "test_mod.py": "import mod\n\n\ndef test_one():\n    assert mod.one(1) == 2\n",
            "conftest.py": """
                import gc
                import sys

                import pytest


                class Left:
                    def __del__(self):
                        frame, names = sys._getframe(), set()
                        while frame is not None:
                            names.add(frame.f_globals.get("__name__", ""))
                            frame = frame.f_back
                        if any(name.startswith("pytest_selfheal.") for name in names):
                            with open("finalised.txt", "a") as file:
                                file.write("x")


                @pytest.hookimpl(wrapper=True, tryfirst=True)
                def pytest_sessionfinish():
                    gc.collect()
                    for _ in range(20):
                        left = Left()
                        left.itself = left
                    del left
                    return (yield)
            """,
        },
    )
    run, _ = heal_all(project, {"mod.py::one": [plus_one("one")]})
    assert run.status == 0, run.output
    assert list(run.changed) == ["mod.py"]


# --- conftest.py, selections and settings ----------------------------------------------

CONFTESTS: Mapping[str, str] = {
    "pytest.ini": "[pytest]\ntestpaths = tests\n",
    "conftest.py": "",
    "mod.py": stubs("at_top at_depth deep other", "raise NotImplementedError"),
    "tests/conftest.py": """
        import pytest

        import mod

        TOP = mod.at_top(1)


        @pytest.fixture
        def top():
            return TOP
    """,
    "tests/test_top.py": "def test_top(top):\n    assert top == 2\n",
    "tests/sub/conftest.py": """
        import pytest

        import mod

        DEPTH = mod.at_depth(1)


        @pytest.fixture
        def depth():
            return DEPTH
    """,
    "tests/sub/test_sub.py": """
        import mod


        def test_depth(depth):
            assert mod.deep(depth) == 3
    """,
    "tests/other/test_other.py": """
        import mod


        def test_other():
            assert mod.other(1) == 2
    """,
}


@pytest.mark.parametrize("top", ["tests", "rootdir"])
def test_a_conftest_that_calls_a_stub_when_it_is_imported(tmp_path: Path, top: str) -> None:
    """Also one that pytest imports before anything else, where it stops without us."""
    files = dict(CONFTESTS)
    if top == "rootdir":
        files["conftest.py"] = files.pop("tests/conftest.py")
    project = Project(tmp_path / "project", files)
    names = ["at_top", "at_depth", "deep", "other"]
    run, _ = heal_all(project, {f"mod.py::{name}": [plus_one(name)] for name in names})
    assert run.status == 0, run.output
    assert set(run.statuses().values()) == {"healed"}
    assert "conftest.py cannot be imported (NotImplementedError" in run.output
    rest_is_green(project)


def test_what_is_not_selected_is_not_healed(tmp_path: Path) -> None:
    """Also where a file cannot be collected, and so is asked for as a whole."""
    project = Project(
        tmp_path / "project",
        {
            "mod.py": stubs("at_import one by_id in_class expected offset unwanted"),
            "conftest.py": """
                import pytest


                def pytest_addoption(parser):
                    parser.getgroup("own").addoption("--offset", type=int, default=0)


                @pytest.fixture
                def offset(request):
                    return request.config.getoption("--offset")
            """,
            "sub/test_broken.py": """
                import pytest

                import mod

                START = mod.at_import(1) + 0


                def test_one(offset):
                    assert mod.one(START) + mod.offset(offset) == 14


                def test_two():
                    assert mod.unwanted(START) == 3


                @pytest.mark.parametrize("number", [1, 2])
                def test_ids(number):
                    assert mod.by_id(number) == number + 1


                class TestClass:
                    def test_it(self):
                        assert mod.in_class(1) == 2

                    def test_deselected(self):
                        assert mod.unwanted(1) == 2


                class TestClassOfAnotherName:
                    def test_it(self):
                        assert mod.unwanted(1) == 2
            """,
            "sub/test_xfail.py": """
                import pytest

                import mod


                @pytest.mark.xfail
                def test_expected():
                    assert mod.expected(1) == 2
            """,
        },
    )
    names = ["at_import", "one", "by_id", "in_class", "expected", "offset"]
    broken = "sub/test_broken.py"
    run, _ = heal_all(
        project,
        {f"mod.py::{name}": [plus_one(name)] for name in names},
        *(f"{broken}::test_one", f"{broken}::test_ids", f"{broken}::TestClass"),
        *("--deselect", f"{broken}::TestClass::test_deselected"),
        *("sub/test_xfail.py", "--runxfail", "--offset=10"),
    )
    assert run.status == 0, run.output
    expected = dict.fromkeys((f"mod.py::{name}" for name in names), "healed")
    assert run.statuses() == {**expected, "mod.py::unwanted": "unreached"}


def test_tests_that_workers_did_not_get_to_are_known(tmp_path: Path) -> None:
    """With `-x` the workers of xdist stop; a worker that dies takes its test along."""
    names = ["one", "two", "three", "four", "five", "six"]
    project = Project(
        tmp_path / "project",
        {
            "mod.py": "import os\n\n\n" + stubs(" ".join(names)),
            "broken/test_broken.py": "import mod\n\nVALUE = mod.six(1) + 0\n\n\n"
            "def test_broken():\n    assert VALUE == 2\n",
            "test_mod.py": "import os\n\nimport mod\n\n\n"
            + "\n\n".join(
                f"def test_{name}():\n    value = mod.{name}(1)\n"
                + ("    if value is None:\n        os._exit(3)\n" if name == "one" else "")
                + "    assert value == 2\n"
                for name in names[:-1]
            ),
        },
    )
    replies = {f"mod.py::{name}": [plus_one(name)] for name in names}
    run, _ = heal_all(
        project, replies, "-n2", "-x", "--max-worker-restart=0", "--ignore=broken", "test_mod.py"
    )
    assert run.status == 0, run.output
    healed = {name for name, status in run.statuses().items() if status == "healed"}
    assert healed == {f"mod.py::{name}" for name in names[:-1]}
    # The same collection error is told by each worker, and is one.
    run, _ = heal_all(project, replies, "-n2")
    assert run.status == 0, run.output
    assert run.statuses() == {"mod.py::six": "healed"}
    assert run.report is not None
    assert run.report["tests"]["still_failing"] == []
    rest_is_green(project)


def test_settings_and_plugins_of_many_kinds_hold_in_the_sandbox(tmp_path: Path) -> None:
    """Those that stop early, run again, measure, or choose an order fake no verdict there."""
    project = Project(
        tmp_path / "project",
        {
            "pyproject.toml": """
                [tool.pytest.ini_options]
                addopts = [
                    "--stepwise", "--reruns=2", "--timeout=30", "--cov=app", "--cov-fail-under=99",
                    "-p", "shuffles", "--failed-first", "--strict-markers", "--randomized=yes",
                ]
                required_plugins = ["pytest-timeout", "pytest-rerunfailures>=10"]
                pythonpath = ["src", "plugins"]
                testpaths = ["checks"]
                python_files = ["check_*.py"]
                python_classes = ["Check*"]
                python_functions = ["check_*"]
                usefixtures = ["started"]
                xfail_strict = true
                markers = ["needed: without it a fixture skips"]
                filterwarnings = ["error"]
            """,
            "plugins/shuffles.py": """
                def pytest_addoption(parser):
                    parser.getgroup("shuffles").addoption("--randomized", choices=["yes", "no"])


                def pytest_collection_modifyitems(config, items):
                    if config.getoption("randomized") == "yes":
                        items.reverse()
            """,
            "plugins/helps.py": """
                import pytest

                STARTED = []


                @pytest.fixture
                def started():
                    STARTED.append(1)


                @pytest.fixture
                def factor():
                    return 3
            """,
            "checks/conftest.py": """
                import pytest

                pytest_plugins = ["helps"]


                @pytest.fixture(autouse=True)
                def only_needed(request):
                    if request.node.get_closest_marker("needed") is None:
                        pytest.skip("not needed")
            """,
            "src/app/__init__.py": "",
            "src/app/core.py": """
                CALLS = []


                # selfheal
                def scaled(value, factor):
                    ...


                # selfheal
                def total(values):
                    ...


                # selfheal
                def last(values):
                    ...
            """,
            "checks/check_core.py": """
                import helps
                import pytest
                from app import core

                pytestmark = pytest.mark.needed


                class CheckScaled:
                    def check_scaled(self, factor):
                        assert helps.STARTED
                        assert core.scaled(2, factor) == 6

                    @pytest.mark.flaky(reruns=3)
                    def check_flaky(self, factor):
                        assert core.scaled(4, factor) == 12


                def check_total():
                    assert core.total([1, 2]) == 3


                @pytest.mark.xfail
                def check_last():
                    assert core.last([1]) == 2


                def check_last_of_all():
                    assert core.last([1, 2]) == 2
            """,
        },
    )
    (project.root / "pytest.ini").unlink()
    target = "src/app/core.py::{}".format
    replies = {
        # Wrong at each first call, as a plugin that tries again would not mind.
        target("scaled"): [
            python(
                "def scaled(value, factor):\n    CALLS.append(value)\n"
                "    return value * factor if CALLS.count(value) > 1 else 0\n"
            ),
            python("def scaled(value, factor):\n    return value * factor\n"),
        ],
        target("total"): [python("def total(values):\n    return sum(values)\n")],
        target("last"): [python("def last(values):\n    return values[-1]\n")],
    }
    run, _ = heal_all(project, replies, addopts="-p no:asyncio")
    assert run.status == 0, run.output
    assert set(run.statuses().values()) == {"healed"}
    assert run.verdicts(target("scaled")) == ["failed", "passed"]
    rest_is_green(project, "-o", "addopts=-p shuffles", addopts="-p no:asyncio")


# --- where things lie ------------------------------------------------------------------

LAYOUT: Mapping[str, str] = {
    "pyproject.toml": """
        [tool.pytest.ini_options]
        pythonpath = ["src", "."]
    """,
    "src/space/part/core.py": """
        from pathlib import Path

        from ._more import more


        # selfheal
        def lines(path):
            ...


        def both(a):
            return more(a)
    """,
    "src/space/part/_more.py": stubs("more"),
    "src/space/part/__init__.py": "",
    "src/space/part/tests/__init__.py": "",
    "src/space/part/tests/helper.py": stubs("helped"),
    "src/space/part/tests/test_inner.py": """
        import unittest

        from .. import core
        from .helper import helped


        class TestBoth(unittest.TestCase):
            def test_both(self):
                assert core.both(1) == 2

            def test_helped(self):
                assert helped(1) == 2
    """,
    "single.py": stubs("single"),
    "tests/conftest.py": """
        import pytest


        # selfheal
        def prepared(a):
            ...


        @pytest.fixture
        def value():
            return prepared(1)
    """,
    "tests/one/test_same.py": """
        from pathlib import Path

        from space.part import core


        # selfheal
        def expected(a):
            ...


        def test_data():
            path = Path(__file__).parent / "data" / "rows.txt"
            assert core.lines(path) == 3


        def test_expected():
            assert expected(2) == 3
    """,
    "tests/one/data/rows.txt": "a\nb\nc\n",
    "tests/two/test_same.py": """
        import single


        def test_single(value):
            assert single.single(value) == 3
    """,
    "sub/empty.txt": "",
}
LAYOUT_REPLIES = {
    "src/space/part/core.py::lines": [
        python("def lines(path):\n    return len(Path(path).read_text().splitlines())\n")
    ],
    "src/space/part/_more.py::more": [plus_one("more")],
    "src/space/part/tests/helper.py::helped": [plus_one("helped")],
    "single.py::single": [plus_one("single")],
    "tests/conftest.py::prepared": [plus_one("prepared")],
    "tests/one/test_same.py::expected": [plus_one("expected")],
}


def test_layouts_and_stubs_in_test_files(tmp_path: Path) -> None:
    """From another folder, with test files of one name; what judges may hold stubs itself."""
    project = Project(tmp_path / "project", LAYOUT)
    (project.root / "pytest.ini").unlink()
    here = project.root / "sub"
    arguments = ["--import-mode=importlib", "-c", "../pyproject.toml", "../tests", "--pyargs"]
    arguments += ["space.part.tests"]
    require("bubblewrap")
    with ScriptedServer(LAYOUT_REPLIES) as server:
        command = project.command("--selfheal-sandbox=bubblewrap", *arguments, server=server)
        environment = project.environment(server, {"PYTHONPATH": str(project.root / "src")})
        before = project.files()
        done = subprocess.run(
            command, cwd=here, env=environment, capture_output=True, timeout=150, check=False
        )
        run = project.outcome(done.returncode, done.stdout + done.stderr, before)
    assert run.status == 0, run.output
    assert run.statuses() == dict.fromkeys(LAYOUT_REPLIES, "healed"), run.output
    rest_is_green(project, "--import-mode=importlib")


FINDER = """
    import sys
    from importlib.util import spec_from_file_location
    from pathlib import Path

    MAPPING = {mapping!r}
    NAMESPACES = {{}}


    class Finder:
        @classmethod
        def find_spec(cls, name, path=None, target=None):
            if name in MAPPING:
                for place in (MAPPING[name] + "/__init__.py", MAPPING[name] + ".py"):
                    if Path(place).exists():
                        return spec_from_file_location(name, place)


    def install():
        sys.meta_path.append(Finder)
"""


@pytest.mark.parametrize("backend", ["bubblewrap", "landlock"])
def test_packages_that_are_installed_in_place(tmp_path: Path, backend: str) -> None:
    """By a line in a `.pth` file or by a finder; the project's own, and one beside it."""
    require(backend)
    tests = {
        "src/thing/__init__.py": stubs("found"),
        "lib/other.py": stubs("listed"),
        "tests/test_thing.py": """
            import beside
            import lonely
            import other
            import thing


            def test_thing():
                assert thing.found(1) == beside.TWO == lonely.TWO


            def test_other():
                assert other.listed(1) == beside.TWO
        """,
    }
    project = Project(tmp_path / "project", tests)
    (tmp_path / "neighbour" / "beside").mkdir(parents=True)
    (tmp_path / "neighbour" / "beside" / "__init__.py").write_text("TWO = 2\n")
    (tmp_path / "neighbour" / "lonely.py").write_text("TWO = 2\n")
    python_at = tmp_path / "venv" / "bin" / "python"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv"], check=True)
    (packages,) = (tmp_path / "venv" / "lib").glob("python*/site-packages")
    mapping = {
        "thing": str(project.root / "src" / "thing"),
        "beside": str(tmp_path / "neighbour" / "beside"),
        "lonely": str(tmp_path / "neighbour" / "lonely"),
    }
    finder = code(FINDER).format(mapping=mapping)
    (packages / "__editable___thing_finder.py").write_text(finder)
    path = [project.root / "lib", *(each for each in sys.path if "site-packages" in each)]
    path.append(Path(__file__).parent.parent)
    (packages / "thing.pth").write_text(
        "import __editable___thing_finder as f; f.install()\n" + "\n".join(map(str, path))
    )
    replies = {
        "src/thing/__init__.py::found": [plus_one("found")],
        "lib/other.py::listed": [plus_one("listed")],
    }
    with ScriptedServer(replies) as server:
        command = project.command(f"--selfheal-sandbox={backend}", server=server)
        command[0] = str(python_at)
        before = project.files()
        done = subprocess.run(
            command,
            cwd=project.root,
            env=project.environment(server),
            capture_output=True,
            timeout=150,
            check=False,
        )
        run = project.outcome(done.returncode, done.stdout + done.stderr, before)
    assert run.status == 0, run.output
    assert set(run.statuses().values()) == {"healed"}
