"""What the forked process in a sandbox does: run pytest and say what it saw.

Sent as text like `inside`, and run on the standard library and pytest alone. The project's code
and the candidate live in this process too, so nothing it says is believed alone: records carry
the run's nonce and a running number, a planted test must be reported as failed, and the
host concludes the verdict from the whole.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import mmap
import os
import sys
import types
from collections.abc import Callable, Generator, Iterator
from typing import Any

import pytest
from _pytest.assertion.rewrite import AssertionRewritingHook

PLANTED = "selfheal_planted"
CHECKS = "selfheal_checks"
LONGREPR_CHARACTERS = 48 * 2**10
MAX_OPENED = 40
MAX_LOOKS = 50
"""After how many tests the runner is compared with what it was, beside the session's end."""
MAX_SUBTESTS = 8
"""How many failing subtests of a test are told in full."""
Emit = Callable[[dict[str, Any]], None]
_getpid = os.getpid  # a test may put another in its place
_dumps = json.dumps


def run(
    setup: dict[str, Any],
    job: dict[str, Any],
    result_fd: int,
    nonce: str,
    marks_file: str,
    modules: dict[str, types.ModuleType],
) -> None:
    """Run a job's tests in this process and write one record a line to `result_fd`.

    Args:
        setup: What the host said when it started the sandbox.
        job: What to run.
        result_fd: The pipe to the supervisor.
        nonce: What each record begins with.
        marks_file: A file with a byte for each watched function.
        modules: Those made of the texts that were sent with this one.
    """
    number = 0
    owner = _getpid()

    def emit(record: dict[str, Any]) -> None:
        nonlocal number
        if _getpid() != owner:
            os._exit(1)  # a child that a test forked fell out of the test: it has no say
        data = f"{nonce} {number} {_dumps(record)}\n".encode()
        number += 1
        while data:
            data = data[os.write(result_fd, data) :]

    with open(marks_file, "r+b") as file:
        marks = mmap.mmap(file.fileno(), 0)
    tracer = modules["trace"].Tracer(setup["root"], setup["cwd"], job["watch"], marks, modules)
    recorder = Recorder(setup, job, emit, tracer, modules)
    sys.addaudithook(recorder.audit)
    # That plugins are imported already is the warm-up's doing, and no news to the project.
    AssertionRewritingHook._warn_already_imported = lambda *_: None  # type: ignore[method-assign]
    tracer.install(setup["sources"]["child"], marks_file)
    walls = modules["walls"].Walls(
        setup["root"], job["overlay"], job["originals"], job["guarded"], modules["reach"], emit
    )
    recorder.walls = walls
    tracer.looks_at_returned = walls.watches
    walls.install()
    modules["changed"].install(walls.may_be_judged)
    recorder.controls = modules["controls"].Controls(
        modules["twins"], modules["changed"], tracer.trace, job, tracer.texts, nonce, emit
    )
    tracer.change_tests = recorder.controls.make_tell
    plugins = [modules["session"].Calm(), recorder.cases, recorder]
    status = pytest.main(arguments(setup, job), plugins=plugins)
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

    def __init__(
        self,
        setup: dict[str, Any],
        job: dict[str, Any],
        emit: Emit,
        tracer: Any,
        modules: dict[str, types.ModuleType],
    ) -> None:
        self._root = setup["root"]
        self._limit = setup["limits"]["output_bytes"]
        self._selection = modules["order"].Selection(self._root, job, setup["selected"])
        early_end = job["early_end"]
        self._failing = modules["early"].Failing(**early_end) if early_end else None
        self._chosen: list[pytest.Item] = []
        self._checks: dict[str, str] = job["checks"]
        self._checker = modules["checks"]
        self._emit = emit
        self._reports = modules["reports"]
        self._session = modules["session"]
        self.cases = self._session.Cases()
        self._tracer = tracer
        self._trace = tracer.trace
        self._opened: dict[str, None] = {}
        self._entered_at_collection: dict[str, dict[str, None]] = {}
        self._causes: list[tuple[BaseException, dict[str, None]]] = []
        self._by_fixture: dict[int, tuple[Any, dict[str, None]]] = {}
        self._subtests = 0
        self.walls: Any = None
        self.controls: Any = None
        self._outcomes: list[str] = []
        self._seconds = 0.0
        self._looked = 0

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
        with self._trace.apart() as entered:
            report = yield
        if report.failed:
            self._session.drop_orphans(self._root)
            text = str(report.longrepr)
            entered.update(dict.fromkeys(self._tracer.named_in(text)))
            self._emit(
                {
                    "kind": "collect",
                    "id": report.nodeid.partition("::")[0],
                    "longrepr": self._reports.shortened(text, LONGREPR_CHARACTERS),
                    "exception": self._reports.last_exception_name(text),
                    "entered": list(entered),
                }
            )
        if entered:
            self._entered_at_collection.setdefault(report.nodeid, {}).update(entered)
        return report

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_collection_modifyitems(
        self, config: pytest.Config, items: list[pytest.Item]
    ) -> Generator[None, Any, Any]:
        collected = list(items)
        result = yield
        # A plugin that deals a selection out over several runs goes by what is selected here.
        kept = {item.nodeid for item in items}
        named = (item for item in collected if self._selection.is_named(item.nodeid))
        items += [item for item in named if item.nodeid not in kept]
        self._choose(config, items)
        return result

    def _choose(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        chosen = [item for item in items if self._selection.is_asked_for(item.nodeid)]
        others = [item for item in items if not self._selection.is_asked_for(item.nodeid)]
        if others:
            config.hook.pytest_deselected(items=others)
        self._selection.order(chosen)
        self._chosen = chosen
        ids = [item.nodeid for item in chosen]
        self._emit({"kind": "collected", "ids": ids, "cases": self.cases.of(chosen)})
        self._emit({"kind": "imported", "entered": self._entered_at_collection})
        for item in chosen:
            self._session.stretch_deadline(item)
        self.controls.remember(chosen)
        self.walls.remember_tests({str(item.path) for item in chosen})
        self.walls.forget_lines()
        own = list(self._own_items(chosen))
        early = [item for item in chosen if not self._selection.is_last(item.nodeid)]
        # The checks come before what the model is not shown: code could keep what it was
        # called with, and a check tell of it.
        items[:] = [*early, *own[:-1], *chosen[len(early) :], *own[-1:]]

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, Any, Any]:
        if self.controls.current is not None:
            return (yield)
        if item.name == PLANTED:
            if self._failing is not None and self._failing.is_decisive:
                self._emit({"kind": "decided"})
            else:
                self.controls.run()
        self._trace.begin()
        self._outcomes, self._seconds = [], 0.0
        self._opened = {}
        self._subtests = 0
        self._emit({"kind": "start", "id": item.nodeid})
        result = yield
        if item.name not in (PLANTED, CHECKS):
            self.controls.note(item, self._outcomes, self._seconds)
            if self._failing is not None and "failed" in self._outcomes:
                self._note_failure(item, self._failing)
        return result

    def _note_failure(self, item: pytest.Item, failing: Any) -> None:
        """Leave out of what follows what a verdict does not need any more."""
        if failing.add(item.nodeid, self._trace.current) and failing.is_decisive:
            self._emit({"kind": "decided"})
            self._session.leave_out(
                item, lambda each: each.name != PLANTED and failing.leaves_out(each.nodeid)
            )

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_call(self) -> Generator[None, Any, Any]:
        with self.controls.calling():
            return (yield)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_fixture_setup(self, fixturedef: Any) -> Generator[None, Any, Any]:
        """What a fixture enters belongs to every test that uses its value."""
        with self._trace.apart() as entered:
            value = yield
        self._by_fixture[id(fixturedef)] = fixturedef, entered
        return value

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[Any]
    ) -> Generator[None, Any, Any]:
        report = yield
        if self.controls.current is not None:
            return report
        self._trace.take_marks()
        if call.excinfo is not None:
            self._tracer.note_unawaited(call.excinfo.value)
        for fixturedef in fixtures_of(item):
            known, entered = self._by_fixture.get(id(fixturedef), (None, {}))
            if known is fixturedef:
                self._trace.add(entered)
        if call.when == "call" and isinstance(item, pytest.Function):
            self._trace.add(self._trace.leaned_on_in(item.function))
        if call.excinfo is not None:
            report.selfheal_exception = call.excinfo.typename
            self._inherit(call.excinfo.value)
            if isinstance(call.excinfo.value, (pytest.skip.Exception, pytest.xfail.Exception)):
                own = self._reports.is_raised_in(str(item.path), call.excinfo.value)
                report.selfheal_own_skip = own
        return report

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.walls.forget_lines()
        outcome = self._reports.outcome_of(report)
        subtest = self._reports.subtest_of(report)
        if self.controls.current is not None:
            if subtest is None or outcome == "failed":
                self.controls.current.outcomes.append(outcome)
            return
        # What a test's own fixtures put in a place is out of it again by now.
        if report.when == "teardown" and self._looked < MAX_LOOKS:
            self._looked += 1
            self.walls.look()
        self._trace.take_marks()  # a plugin may have run the test in a fork of its own
        self._seconds += report.duration
        if subtest is None or outcome == "failed":
            self._outcomes.append(outcome)
        if subtest is not None:
            if outcome == "passed" or getattr(report, "selfheal_own_skip", False):
                return  # what ends the phase is the report on the test itself
            self._subtests += 1
        text = report.longreprtext if outcome == "failed" else ""
        printed = self._reports.printed_by(report) if text else ""
        if text:
            self._trace.add(self._tracer.named_in(text + printed))
        record = {
            "kind": "report",
            "id": report.nodeid,
            "when": report.when,
            "outcome": outcome,
            "entered": list(self._trace.current),
        }
        if subtest is not None:
            record["subtest"] = subtest
        if outcome == "failed" or report.when == "teardown":
            record["opened"] = list(self._opened)
        if outcome == "failed":
            if subtest is None or self._subtests <= MAX_SUBTESTS:
                shortened = self._reports.shortened
                record["longrepr"] = shortened(text, LONGREPR_CHARACTERS) + shortened(
                    printed, min(self._limit, LONGREPR_CHARACTERS)
                )
            record["exception"] = getattr(report, "selfheal_exception", "")
        self._emit(record)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        self._emit({"kind": "imported", "entered": self._leaned_on(self._chosen)})
        self.walls.look()
        self._emit({"kind": "session", "status": int(exitstatus)})

    def _leaned_on(self, items: list[pytest.Item]) -> dict[str, list[str]]:
        """What each test file needs of functions entered while some module was imported.

        A module runs once, whichever test imports it first.
        """
        found: dict[str, list[str]] = {}
        for item in items if self._trace.at_import else ():
            file = item.nodeid.partition("::")[0]
            if file not in found:
                found[file] = self._trace.leaned_on([str(item.path), *self._conftests(item.path)])
        return found

    def _conftests(self, path: Any) -> Iterator[str]:
        for folder in path.parents:
            if str(folder).startswith(self._root) and (folder / "conftest.py").exists():
                yield str(folder / "conftest.py")

    def _inherit(self, error: BaseException) -> None:
        """A fixture that failed once raises the same exception for every later test."""
        for known, entered in self._causes:
            if known is error:
                self._trace.add(entered)
                return
        if self._trace.current:
            self._causes.append((error, dict(self._trace.current)))

    def _own_items(self, chosen: list[pytest.Item]) -> Iterator[pytest.Item]:
        """The model's checks, and a test that must fail, as neighbours of a chosen test."""
        parent = next((found for item in chosen if (found := item.getparent(pytest.Module))), None)
        if parent is None:
            return
        if self._checks:
            yield pytest.Function.from_parent(parent, name=CHECKS, callobj=self._run_checks)
        planted_test = pytest.Function.from_parent(parent, name=PLANTED, callobj=planted)
        yield self._session.like(chosen, planted_test)

    def _run_checks(self) -> None:
        __tracebackhide__ = True
        self._checker.run(self._root, self._checks)


def fixtures_of(item: pytest.Item) -> list[Any]:
    """The definitions of the fixtures that a test uses, as far as they are set up."""
    request = getattr(item, "_request", None)
    return list(getattr(request, "_fixture_defs", {}).values())


def planted() -> None:
    """A test that fails: where it is reported as passed, no report can be believed."""
    left, right = "a planted test", "must fail"
    assert left == right
