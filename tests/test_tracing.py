"""What a sandbox sees of the watched functions that tests enter, without any heal around it."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_selfheal.records import Job, RunOutcome, Watch
from pytest_selfheal.sandbox.inside_imports import imported_names
from pytest_selfheal.source.find import find_in_project
from tests.harness import code
from tests.sandboxes import BACKENDS, launcher, require

APP = '''
    """A module."""
    from __future__ import annotations

    from pytest_selfheal import heal


    def in_command(a):
        """Documented."""
        ...


    @heal
    def marked_in_command(a):
        ...


    def in_module(a):
        raise NotImplementedError


    def in_fork(a):
        ...


    def in_grandchild(a):
        ...


    def in_script(a):
        ...


    def isolated(a):
        raise NotImplementedError


    @heal
    def marked_isolated(a):
        ...


    def served(a):
        ...


    def in_pool(a):
        ...
'''
TESTS = """
    import inspect
    import json
    import os
    import subprocess
    import sys
    import traceback

    import pytest

    SRC = os.path.join(os.path.dirname(os.path.abspath(__file__)), "src")


    def child(*command, env="path"):
        env = {**os.environ, "PYTHONPATH": SRC} if env == "path" else env
        return subprocess.run([sys.executable, *command], env=env, capture_output=True, text=True)


    def test_command():
        assert child("-c", "import app; print(app.in_command(1))").stdout == "2\\n"


    def test_marked_in_command():
        assert child("-c", "import app; app.marked_in_command(1)").returncode == 0


    def test_module():
        assert child("-m", "runs", "in_module").returncode == 0


    def test_fork():
        from app import in_fork

        pid = os.fork()
        if pid == 0:
            os._exit(7 if in_fork(1) is None else 0)
        assert os.waitpid(pid, 0)[1] == 0


    def test_grandchild():
        text = "import subprocess as p, sys; p.run([sys.executable, '-m', 'runs', 'in_grandchild'])"
        assert child("-c", text).stdout == "2\\n"


    def test_script(tmp_path):
        script = tmp_path / "script.py"
        script.write_text("import app\\nprint(app.in_script(1))\\n")
        assert child(str(script)).stdout == "2\\n"


    @pytest.mark.parametrize("name", ["isolated", "marked_isolated"])
    def test_isolated(name):
        text = f"import sys; sys.path[:0] = {[SRC, *sys.path]!r}; import app; app.{name}(1)"
        done = child("-I", "-S", "-c", text, env={})
        assert done.returncode == 0, done.stderr


    @pytest.fixture(scope="module")
    def server():
        text = "import app\\nwhile input(): print(app.served(1), flush=True)"
        env = {**os.environ, "PYTHONPATH": SRC}
        pipe = subprocess.PIPE
        process = subprocess.Popen(
            [sys.executable, "-c", text], env=env, stdin=pipe, stdout=pipe, text=True
        )
        yield process
        process.kill()
        process.communicate()


    @pytest.mark.parametrize("number", [1, 2])
    def test_server(server, number):
        server.stdin.write("go\\n")
        server.stdin.flush()
        assert server.stdout.readline() == "2\\n"


    def test_none():
        assert child("-c", "import app").returncode == 1


    LOOK = '''
    import inspect, json, os, sys, traceback
    import app
    try:
        app.in_module(1)
    except NotImplementedError:
        lines = [frame.lineno for frame in traceback.extract_tb(sys.exc_info()[2])]
    print(json.dumps({
        "names": sorted(n for n in vars(app)), "doc": app.__doc__, "source": inspect.getsource(app),
        "lines": lines, "environment": dict(os.environ), "path": sys.path,
        "inner": app.in_command.__doc__, "file": app.in_command.__code__.co_filename,
        "annotations": str(app.annotations),
    }))
    '''


    def test_the_child_is_as_it_would_be():
        given = {"PYTHONPATH": SRC, "PYTHONDONTWRITEBYTECODE": "1"}
        seen = json.loads(child("-c", LOOK, env=given).stdout)
        source = open(os.path.join(SRC, "app.py")).read()
        assert seen["source"] == source
        assert seen["doc"] == "A module."
        assert seen["inner"] == "Documented."
        assert seen["file"] == os.path.join(SRC, "app.py")
        assert seen["lines"][-1] == source[:source.index("raise")].count("\\n") + 1
        assert {n for n in seen["names"] if not n.startswith("__")} == {
            "annotations", "heal", "in_command", "marked_in_command", "in_module", "in_fork",
            "in_grandchild", "in_script", "isolated", "marked_isolated", "served", "in_pool",
        }
        assert not {name for name in seen["environment"] if "SELFHEAL" in name}
        assert {**given, **seen["environment"]} == {**seen["environment"]}
        assert [path for path in seen["path"] if "selfheal-" in path] == []


    def test_a_changed_source_is_compiled_anew():
        path = os.path.join(SRC, "app.py")
        with open(path, "a") as file:
            file.write("\\nMORE = 5\\n")
        assert child("-c", "import app; print(app.MORE)").stdout == "5\\n"
"""
INI = "[pytest]\npythonpath = src\n"
RUNS = "import sys\nimport app\nprint(getattr(app, sys.argv[1])(1))\n"


def watches(text: str, path: str) -> tuple[Watch, ...]:
    """A watch for each function of a source text; `heal`'s stubs are wrapped."""
    return tuple(
        Watch(
            key=node.name,
            path=path,
            first_line=min([node.lineno, *(each.lineno for each in node.decorator_list)]),
            compiled_in=not node.decorator_list,
        )
        for node in ast.walk(ast.parse(text))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
    )


def trace(backend: str, root: Path, job: Job) -> RunOutcome:
    """Run a job in a new sandbox."""
    require(backend)
    with launcher(backend, root) as made:
        sandbox = made.launch()
        try:
            return sandbox.run(job)
        finally:
            sandbox.close()


def make(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(code(text))


@pytest.mark.parametrize("backend", BACKENDS)
def test_processes_that_tests_start_tell_what_they_enter(backend: str, tmp_path: Path) -> None:
    make(tmp_path, {"src/app.py": APP, "src/runs.py": RUNS, "test_it.py": TESTS, "pytest.ini": INI})
    # What Python left behind on the host is not for a sandbox, nor may it be in its way.
    cached = tmp_path / "src" / "__pycache__"
    cached.mkdir()
    (cached / f"app.{sys.implementation.cache_tag}.pyc").write_bytes(b"stale")
    outcome = trace(
        backend, tmp_path, Job(nodes=("test_it.py",), watch=watches(code(APP), "src/app.py"))
    )
    assert outcome.ending == "completed", outcome
    entered = {each.nodeid.partition("::")[2]: each.entered for each in outcome.results}
    assert entered == {
        "test_command": ("in_command",),
        "test_marked_in_command": ("marked_in_command",),
        "test_module": ("in_module",),
        "test_fork": ("in_fork",),
        "test_grandchild": ("in_grandchild",),
        "test_script": ("in_script",),
        # Where bytecode cannot lie beside the source, by what the failure's text names.
        "test_isolated[isolated]": ("isolated",),
        "test_isolated[marked_isolated]": ("marked_isolated",),
        # A process that goes on is asked anew by each test.
        "test_server[1]": ("served",),
        "test_server[2]": ("served",),
        "test_none": (),
        # Landlock hides what was left behind, and its place with it; of another a child
        # hears by its environment alone.
        "test_the_child_is_as_it_would_be": ("in_module",) if backend != "landlock" else (),
        "test_a_changed_source_is_compiled_anew": (),
    }
    green = [each.nodeid.partition("::")[2] for each in outcome.results if each.outcome == "passed"]
    assert green == [
        "test_the_child_is_as_it_would_be",
        "test_a_changed_source_is_compiled_anew",
    ], [each.longrepr for each in outcome.results if "child" in each.nodeid]


NAMES = st.from_regex(r"[a-z]{1,4}(\.[a-z]{1,4}){0,2}", fullmatch=True)


@given(st.lists(st.tuples(NAMES, st.sampled_from(["plain", "from", "bracket", "relative", "as"]))))
def test_what_a_module_imports_is_read_off_its_text(imports: list[tuple[str, str]]) -> None:
    forms = {
        "plain": "import {}", "as": "import {} as other", "from": "from {} import x as y, z",
        "bracket": "from {} import (x,\n    z)", "relative": "from .{} import x",
    }  # fmt: skip
    text = "if True:\n" + "".join(
        f"    {line}\n" if number % 2 else f"    try:\n        {line}\n    except OSError: pass\n"
        for number, line in enumerate(forms[form].format(name) for name, form in imports)
    )
    found = set(imported_names(text.encode() + b"    pass\n", "pkg.sub"))
    for name, form in imports:
        whole = f"pkg.sub.{name}" if form == "relative" else name
        assert whole in found
        assert whole.split(".")[0] in found
        assert form in ("plain", "as") or f"{whole}.x" in found
    inside = "def f():\n" + "".join(f"  {line}\n" for line in text.splitlines())
    assert not set(imported_names(inside.encode(), "pkg.sub"))
    assert set(imported_names(inside.encode(), "pkg.sub", in_functions=True)) == found


WRAPPERS = ("", "@staticmethod", "@classmethod", "@property", "@cached_property", "@lru_cache",
            "@wrapped", "@wrapped @wrapped", "@property @wrapped", "@contextmanager",
            "@asynccontextmanager", "async")  # fmt: skip
FORMS_HEAD = """
    import contextlib
    import functools
    from contextlib import asynccontextmanager, contextmanager
    from functools import cached_property, lru_cache

    from pytest_selfheal import heal


    def wrapped(function):
        @functools.wraps(function)
        def inner(*args):
            return function(*args)

        return inner
"""


def forms() -> tuple[str, str, dict[str, str]]:
    """A module with a class for each way to mark and decorate a method, tests that call each
    of these methods, and what each test enters.
    """
    classes, tests, expected = [], [], {}
    for wrapper in WRAPPERS:
        decorators = [] if wrapper == "async" else wrapper.split()
        for position in range(-2, len(decorators) + 1):  # the class, a comment, each place
            for body in ("...", "raise NotImplementedError", "return a", "yield 7"):
                if body == "yield 7" and not wrapper.endswith("contextmanager"):
                    continue
                number = len(classes)
                lines = list(decorators)
                if position >= 0:
                    lines.insert(position, "@heal")
                elif position == -1:
                    lines.insert(0, "# selfheal")
                start = "async def" if wrapper.startswith(("async", "@async")) else "def"
                lines += [f"{start} m(a):", f"    {body}"]
                text = "".join(f"    {line}\n" for line in lines)
                classes.append(f"{'@heal' * (position == -2)}\nclass C{number}:\n{text}")
                get = f"app.C{number}.m(1)" if wrapper == "@staticmethod" else f"app.C{number}().m"
                if "property" not in wrapper and wrapper != "@staticmethod":
                    get += "()"
                if wrapper == "@contextmanager":
                    get = f"{get}.__enter__()"
                elif wrapper == "@asynccontextmanager":
                    get = f"asyncio.run({get}.__aenter__())"
                elif wrapper == "async":
                    get = f"asyncio.run({get})"
                tests.append(f"def test_{number}():\n    {get}\n    assert 0\n")
                living = body in ("return a", "yield 7")
                expected[f"test_app.py::test_{number}"] = (
                    "" if living and position == -2 else f"app.py::C{number}.m"
                )
    head = code(FORMS_HEAD)
    return (
        head + "\n\n".join(classes),
        "import asyncio\nimport app\n\n" + "\n".join(tests),
        expected,
    )


def test_what_is_marked_is_seen_in_every_order_of_decorators(tmp_path: Path) -> None:
    """Stubs and living functions; a class's mark stands for its stubs alone."""
    app, tests, expected = forms()
    make(tmp_path, {"app.py": app, "test_app.py": tests, "pytest.ini": ""})
    stubs = find_in_project(tmp_path).stubs
    watch = tuple(
        Watch(
            key=stub.target,
            path=stub.path,
            first_line=stub.first_line,
            compiled_in=not stub.is_wrapped or stub.is_living,
        )
        for stub in stubs
    )
    outcome = trace("bubblewrap", tmp_path, Job(nodes=("test_app.py",), watch=watch))
    assert outcome.ending == "completed", outcome
    entered = {each.nodeid: "".join(each.entered) for each in outcome.results}
    assert entered == expected
    assert len(expected) > 100


DEEP = """
    # selfheal
    def leaf():
        return 0


    def plain():
        return 0


    def descend(n, last):
        return descend(n - 1, last) if n else last()


    def deepest():
        depth = 0
        try:
            while True:
                descend(depth + 1, plain)
                depth += 1
        except RecursionError:
            return depth
"""


@pytest.mark.parametrize("backend", BACKENDS)
def test_being_watched_takes_no_frame(tmp_path: Path, backend: str) -> None:
    """A function that was entered before may be called with no more than its own left."""
    require(backend)
    (tmp_path / "pytest.ini").write_text("[pytest]\npythonpath = .\n")
    (tmp_path / "deep.py").write_text(code(DEEP))
    (tmp_path / "test_deep.py").write_text(
        "from deep import deepest, descend, leaf\n\n\ndef test_deep():\n"
        "    assert leaf() == 0\n    assert descend(deepest(), leaf) == 0\n"
    )
    watch = tuple(
        Watch(key=stub.qualname, path=stub.path, first_line=stub.first_line)
        for stub in find_in_project(tmp_path).stubs
    )
    with launcher(backend, tmp_path) as started:
        sandbox = started.launch()
        try:
            outcome = sandbox.run(Job(nodes=("test_deep.py::test_deep",), watch=watch))
        finally:
            sandbox.close()
    (result,) = outcome.results
    assert result.outcome == "passed", result.longrepr
    assert result.entered == ("leaf",)
