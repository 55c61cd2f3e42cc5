"""What the forked process in a sandbox does: run pytest and say what it saw.

Sent as text like `inside`, and run on the standard library and pytest alone. The project's code
and the candidate live in this process too, so nothing it says is believed alone: records carry
the run's nonce and a running number, a planted test must be reported as failed, and the
host concludes the verdict from the whole.
"""

from __future__ import annotations

import ast
import contextlib
import importlib
import importlib.machinery
import importlib.util
import json
import linecache
import os
import random
import sys
from collections.abc import Callable, Generator, Iterator
from typing import Any

import pytest
from _pytest.assertion.rewrite import AssertionRewritingHook

PLANTED = "selfheal_planted"
CHECKS = "selfheal_checks"
LONGREPR_CHARACTERS = 48 * 2**10
MAX_OPENED = 40
Emit = Callable[[dict[str, Any]], None]


def run(setup: dict[str, Any], job: dict[str, Any], result_fd: int, nonce: str) -> None:
    """Run a job's tests in this process and write one record a line to `result_fd`."""
    number = 0
    owner = os.getpid()

    def emit(record: dict[str, Any]) -> None:
        nonlocal number
        if os.getpid() != owner:
            os._exit(1)  # a child that a test forked fell out of the test: it has no say
        data = f"{nonce} {number} {json.dumps(record)}\n".encode()
        number += 1
        while data:
            data = data[os.write(result_fd, data) :]

    recorder = Recorder(setup, job, emit)
    sys.addaudithook(recorder.audit)
    # That plugins are imported already is the warm-up's doing, and no news to the project.
    AssertionRewritingHook._warn_already_imported = lambda *_: None  # type: ignore[method-assign]
    Tracer(setup["root"], job["watch"], recorder.entered).install()
    status = pytest.main(arguments(setup, job), plugins=[recorder])
    emit({"kind": "end", "status": int(status)})


def arguments(setup: dict[str, Any], job: dict[str, Any]) -> list[str]:
    """The command line: the project's own options, then what a verdict needs."""
    files = dict.fromkeys(node.partition("::")[0] for node in job["nodes"])
    given = [*setup["args"], "--rootdir", setup["root"]]
    # Nobody reads what it prints; the header alone goes through every package's metadata.
    given += ["--no-header", "--no-summary"]
    given += ["--tb=short", "--color=no", "--maxfail=0", "-o", "verbosity_assertions=2"]
    given += ["--continue-on-collection-errors"]
    temporary = os.environ.get("TMPDIR", "/tmp")  # noqa: S108 - the sandbox's own
    if setup["has_cache"]:
        given += ["-o", f"cache_dir={os.path.join(temporary, 'pytest-cache')}"]
    # pytest's own choice has the user's name in it, and must belong to that user.
    given += [f"--basetemp={os.path.join(temporary, 'pytest')}"]
    version = tuple(int(part) for part in pytest.__version__.split(".")[:2])
    if version >= (8, 4):  # older ones have no such settings
        given += ["-o", "truncation_limit_lines=0", "-o", "truncation_limit_chars=0"]
    for module, switches in setup["switched_off"].items():
        if importlib.util.find_spec(module):
            given += switches
    return [*given, "--", *(os.path.join(setup["root"], file) for file in files)]


class Recorder:
    """The pytest plugin that selects the asked-for tests and tells what became of each."""

    def __init__(self, setup: dict[str, Any], job: dict[str, Any], emit: Emit) -> None:
        self._root = setup["root"]
        self._limit = setup["limits"]["output_bytes"]
        self._nodes = set(job["nodes"])
        self._files = {node for node in job["nodes"] if "::" not in node}
        self._checks: dict[str, str] = job["checks"]
        self._seed: int | None = job["shuffle_seed"]
        self._emit = emit
        self._entered: dict[str, None] = {}
        self._opened: dict[str, None] = {}
        self._entered_at_collection: dict[str, dict[str, None]] = {}
        self._causes: list[tuple[BaseException, dict[str, None]]] = []

    def entered(self, key: str) -> None:
        """A watched function was entered."""
        self._entered.setdefault(key)

    def audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Note the project's data files that are opened; told by the interpreter."""
        if event == "open" and len(self._opened) < MAX_OPENED and isinstance(arguments[0], str):
            path = os.path.join(os.getcwd(), arguments[0])
            if path.startswith(self._root + os.sep) and not path.endswith((".py", ".pyc")):
                self._opened.setdefault(os.path.relpath(path, self._root))

    @pytest.hookimpl(trylast=True)
    def pytest_sessionstart(self) -> None:
        """Let a stub that raises while it is finalised be told of without its traceback.

        Printing one parses source, on some Pythons, and the collector may have called the
        stub in the middle of another parse, which Python 3.11 does not survive.
        """
        plain = sys.unraisablehook

        def without_traceback(args: Any) -> Any:
            if type(args.exc_value).__name__ == "StubCalled":
                what = (args.exc_type, args.exc_value, None, args.err_msg, args.object)
                args = sys.UnraisableHookArgs(what)  # type: ignore[call-arg, misc]  # no protocol at run time
            return plain(args)

        sys.unraisablehook = without_traceback

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_make_collect_report(self, collector: pytest.Collector) -> Generator[None, Any, Any]:
        outer, self._entered = self._entered, {}
        try:
            report = yield
        finally:
            entered, self._entered = self._entered, outer
            for key in entered:
                self._entered.setdefault(key)
        if entered:
            self._entered_at_collection.setdefault(report.nodeid, {}).update(entered)
        if report.failed:
            drop_orphans(self._root)
            text = str(report.longrepr)
            self._emit(
                {
                    "kind": "collect",
                    "id": report.nodeid.partition("::")[0],
                    "longrepr": shortened(text, LONGREPR_CHARACTERS),
                    "exception": last_exception_name(text),
                    "entered": list(entered),
                }
            )
        return report

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(
        self, config: pytest.Config, items: list[pytest.Item]
    ) -> None:
        chosen = [item for item in items if self._is_asked_for(item.nodeid)]
        others = [item for item in items if not self._is_asked_for(item.nodeid)]
        if others:
            config.hook.pytest_deselected(items=others)
        if self._seed is not None:
            shuffle_by_module(chosen, random.Random(self._seed))  # noqa: S311 - an order, no secret
        self._emit({"kind": "collected", "ids": [item.nodeid for item in chosen]})
        self._emit({"kind": "imported", "entered": self._entered_at_collection})
        items[:] = [*chosen, *self._own_items(chosen)]

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, Any, Any]:
        self._entered = {}
        self._opened = {}
        self._emit({"kind": "start", "id": item.nodeid})
        return (yield)

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[Any]
    ) -> Generator[None, Any, Any]:
        report = yield
        if call.excinfo is not None:
            report.selfheal_exception = call.excinfo.typename
            self._inherit(call.excinfo.value)
        return report

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        outcome: str = report.outcome
        if hasattr(report, "wasxfail"):
            outcome = "xpassed" if report.passed else "xfailed"
        record = {
            "kind": "report",
            "id": report.nodeid,
            "when": report.when,
            "outcome": outcome,
            "entered": list(self._entered),
        }
        if outcome == "failed":
            record["opened"] = list(self._opened)
            text = report.longreprtext
            printed = "".join(
                f"\n----- {title} -----\n{content.rstrip()}"
                for title, content in report.sections
                if content.strip()
            )
            record["longrepr"] = shortened(text, LONGREPR_CHARACTERS) + shortened(
                printed, min(self._limit, LONGREPR_CHARACTERS)
            )
            record["exception"] = getattr(report, "selfheal_exception", "")
        self._emit(record)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, exitstatus: int) -> None:
        self._emit({"kind": "session", "status": int(exitstatus)})

    def _is_asked_for(self, nodeid: str) -> bool:
        return nodeid in self._nodes or nodeid.partition("::")[0] in self._files

    def _inherit(self, error: BaseException) -> None:
        """A fixture that failed once raises the same exception for every later test."""
        for known, entered in self._causes:
            if known is error:
                for key in entered:
                    self._entered.setdefault(key)
                return
        if self._entered:
            self._causes.append((error, dict(self._entered)))

    def _own_items(self, chosen: list[pytest.Item]) -> Iterator[pytest.Item]:
        """The model's checks, and a test that must fail, as neighbours of a chosen test."""
        parent = next((found for item in chosen if (found := item.getparent(pytest.Module))), None)
        if parent is None or not isinstance(parent.obj, type(sys)):
            return
        if self._checks:
            yield pytest.Function.from_parent(parent, name=CHECKS, callobj=self._run_checks)
        yield pytest.Function.from_parent(parent, name=PLANTED, callobj=planted)

    def _run_checks(self) -> None:
        __tracebackhide__ = True
        for path, text in self._checks.items():
            full = os.path.join(self._root, path)
            module = module_of(full)
            if module is not None:
                run_checks(text, vars(module))


def planted() -> None:
    """A test that fails: where it is reported as passed, no report can be believed."""
    left, right = "a planted test", "must fail"
    assert left == right


def run_checks(text: str, names: dict[str, Any]) -> None:
    """Run asserts in a copy of a module's names, explained as pytest explains its own."""
    from _pytest.assertion.rewrite import rewrite_asserts

    __tracebackhide__ = True
    name = "<checks>"
    linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
    tree = ast.parse(text, name)
    rewrite_asserts(tree, text.encode())
    exec(compile(tree, name, "exec", dont_inherit=True), dict(names))  # noqa: S102


def drop_orphans(root: str) -> None:
    """Forget the project's modules whose package is gone: its import failed halfway.

    Whoever imports the package next would find them loaded and yet not bound in it, and
    fail with a NameError in the place of the real reason.
    """
    for name in sorted(sys.modules):  # packages before what is in them
        package = name.rpartition(".")[0]
        file = getattr(sys.modules[name], "__file__", None)
        is_ours = isinstance(file, str) and os.path.realpath(file).startswith(root + os.sep)
        if package and package not in sys.modules and is_ours:
            del sys.modules[name]


def module_of(path: str) -> Any:
    """The imported module that was read from a file, None if there is none."""
    for module in list(sys.modules.values()):
        file = getattr(module, "__file__", None)
        if isinstance(file, str) and os.path.realpath(file) == os.path.realpath(path):
            return module
    return None


def shuffle_by_module(items: list[pytest.Item], order: random.Random) -> None:
    """Another order that keeps each file's tests together, so that fixtures stay cheap."""
    files: dict[str, list[pytest.Item]] = {}
    for item in items:
        files.setdefault(item.nodeid.partition("::")[0], []).append(item)
    groups = list(files.values())
    order.shuffle(groups)
    items[:] = [item for group in groups for item in order.sample(group, len(group))]


def shortened(text: str, limit: int) -> str:
    """Head and tail of a text that is too long, with the cut announced."""
    if len(text) <= limit:
        return text
    half = limit // 2
    return f"{text[:half]}\n[... {len(text) - 2 * half} characters left out ...]\n{text[-half:]}"


def last_exception_name(text: str) -> str:
    """The name of the exception that a collection error's text ends with."""
    for line in reversed(text.splitlines()):
        if line.startswith("E   "):
            name = line[4:].strip().partition(":")[0]
            return name.rpartition(".")[2] if name.isprintable() and " " not in name else ""
    return ""


class Tracer:
    """Notes when a watched function is entered, at no cost to any other.

    A call is compiled into the watched functions as their first statement. An `@heal`
    stub is not touched (its body must stay a stub's): its wrapper tells through
    `pytest_selfheal.marker.entered`.
    """

    NAME = "__selfheal_entered__"

    def __init__(
        self, root: str, watch: list[dict[str, Any]], entered: Callable[[str], None]
    ) -> None:
        self._root = os.path.realpath(root) + os.sep
        self._keys = {
            (os.path.realpath(os.path.join(root, each["path"])), each["first_line"]): each["key"]
            for each in watch
        }
        self._compiled_in = {
            (os.path.realpath(os.path.join(root, each["path"])), each["first_line"])
            for each in watch
            if each["compiled_in"]
        }
        self._files = {path for path, _ in self._compiled_in}
        self._entered = entered

    def install(self) -> None:
        """Hook into the imports of this process."""
        import builtins

        from _pytest.assertion import rewrite

        setattr(builtins, self.NAME, self._entered)
        with contextlib.suppress(ImportError):
            marker = importlib.import_module("pytest_selfheal.marker")
            marker.entered = self._stub_called  # type: ignore[attr-defined]
        loader = importlib.machinery.SourceFileLoader
        cached_code = loader.get_code

        def get_code(this: Any, fullname: str) -> Any:
            path = this.get_filename(fullname)
            if not os.path.realpath(path).startswith(self._root) or "site-packages" in path:
                return cached_code(this, fullname)
            # From source: cached bytecode is neither traced nor to be trusted.
            return this.source_to_code(self._instrumented(this.get_data(path), path), path)

        loader.get_code = get_code  # type: ignore[method-assign, assignment]
        plain_rewrite = rewrite.rewrite_asserts

        def rewrite_asserts(mod: ast.Module, source: bytes, *rest: Any, **more: Any) -> None:
            path = rest[0] if rest else more.get("module_path")
            if path is not None and os.path.realpath(path) in self._files:
                self._instrument(mod, os.path.realpath(path))
            plain_rewrite(mod, source, *rest, **more)

        rewrite.rewrite_asserts = rewrite_asserts
        rewrite._read_pyc = lambda *_: None

    def _instrumented(self, data: bytes, path: str) -> Any:
        real = os.path.realpath(path)
        if real not in self._files:
            return data
        tree = ast.parse(data, path)
        self._instrument(tree, real)
        return tree

    def _instrument(self, tree: ast.Module, path: str) -> None:
        for node in ast.walk(tree):
            if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                continue
            first = min([node.lineno, *(each.lineno for each in node.decorator_list)])
            if (path, first) in self._compiled_in:
                self._insert_call(node, self._keys[path, first])

    def _insert_call(self, node: ast.FunctionDef | ast.AsyncFunctionDef, key: str) -> None:
        has_docstring = ast.get_docstring(node, clean=False) is not None
        call = ast.parse(f"{self.NAME}({key!r})").body[0]
        place = node.body[0]
        for part in ast.walk(call):
            ast.copy_location(part, place)
        node.body.insert(int(has_docstring), call)

    def _stub_called(self, code: Any) -> None:
        place = os.path.realpath(code.co_filename), code.co_firstlineno
        if place in self._keys:
            self._entered(self._keys[place])
