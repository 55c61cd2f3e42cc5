"""Watches a pytest run, and heals when it has ended.

Takes no part in the run itself: reports are read, never changed. Under xdist the
workers' reports come through the controller, which is where this lives.
"""

from __future__ import annotations

import contextlib
import gc
import sys
import threading
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pluggy

from pytest_selfheal.errors import SelfHealError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pytest

    from pytest_selfheal.healing.session import SessionRecord
    from pytest_selfheal.preparation import Preparation
    from pytest_selfheal.records import Failure, HealReport, Stub
    from pytest_selfheal.settings import Settings

hookimpl = pluggy.HookimplMarker("pytest")

_INTERRUPTED = 2


class Interceptor:
    """One run's watcher."""

    def __init__(
        self, config: pytest.Config, settings: Settings, explained: str | None = None
    ) -> None:
        """Check what can be checked without asking anyone.

        Args:
            config: pytest's.
            settings: The options of this run.
            explained: A target that is to be told about, in the place of a heal.

        Raises:
            UsageError: The recording cannot be used, a review has nobody to ask, there is
                no such target, or this process may not have the memory.
        """
        self._config = config
        self._settings = settings
        self._sys_path = [path or str(Path.cwd()) for path in sys.path]
        self._failures: dict[str, Failure] = {}
        self._collected: dict[str, None] = {}
        self._passed: dict[str, None] = {}
        self._seen: set[str] = set()
        self._seconds = 0.0
        self._was_interrupted = False
        self._problem: SelfHealError | None = None
        self._checks = threading.Thread(target=self._check, daemon=True)
        self._preparation: Preparation | None = None
        self._report: HealReport | None = None
        self._explained: tuple[Stub, ...] = ()
        self._explanation: list[str] = []
        self._started = time.monotonic()
        if explained is not None:
            from pytest_selfheal.explain import find_target

            self._explained = find_target(config.rootpath, config.invocation_params.dir, explained)
        elif settings.mode == "review" and not settings.show_prompt:
            self._check_terminal()
        if settings.replay is not None:
            self._check_recording()
        if settings.mode != "check":
            self._check_room()

    def _check_room(self) -> None:
        from pytest_selfheal.room import room_problem, spare_room

        spare_room()
        problem = room_problem(self._settings.jobs, is_before_tests=True)
        if problem:
            raise UsageError(problem)

    def _check_terminal(self) -> None:
        from pytest_selfheal.assemble import uncaptured

        asks = "--selfheal-mode=review asks on the terminal"
        if self._reporter is None:
            raise UsageError(f"{asks}, and -p no:terminal takes it away: use propose")
        with uncaptured(self._config):
            if not sys.__stdin__ or not sys.__stdin__.isatty():
                raise UsageError(
                    f"{asks}, and standard input is none: use propose, or run it in a terminal"
                )

    @property
    def _reporter(self) -> Any:
        """pytest's terminal reporter, None where `-p no:terminal` keeps it away."""
        return self._config.pluginmanager.get_plugin("terminalreporter")

    # --- before the tests ----------------------------------------------------------------

    @hookimpl(tryfirst=True)
    def pytest_sessionstart(self) -> None:
        """Put in order what was cut off; find out whether model and sandbox can be reached."""
        from pytest_selfheal.recovery import recover_cut_off

        for line, is_problem in recover_cut_off(self._config, self._settings):
            self._say(line, red=is_problem)
        if self._settings.mode != "check":
            self._checks.start()

    @hookimpl(tryfirst=True)
    def pytest_runtestloop(self) -> None:
        """Say so before any test runs if they cannot."""
        if self._settings.mode == "check":
            return
        self._checks.join()
        if self._problem is not None:
            import pytest

            raise pytest.UsageError(str(self._problem)) from self._problem

    def _check_recording(self) -> None:
        from pytest_selfheal.model.recording import ReplayModel

        assert self._settings.replay is not None
        problem = ReplayModel.load(self._settings.replay).problem_for(self._config.rootpath)
        if problem:
            raise UsageError(problem)

    def _check(self) -> None:
        from pytest_selfheal.model.endpoint import endpoint_problem, key_problem
        from pytest_selfheal.sandbox.choose import choose

        settings = self._settings
        try:
            asks = settings.replay is None and not self._explained and not settings.show_prompt
            if asks and not self._has_own_model():
                problem = key_problem(settings.base_url) or endpoint_problem(settings.base_url)
                if problem:
                    raise UsageError(problem)
            if asks and settings.has_costly_budget:
                from pytest_selfheal.assemble import limits_dir
                from pytest_selfheal.model.stack import check_budgets

                is_ours = not self._has_own_model()
                check_budgets(settings, limits_dir(self._config), is_ours=is_ours)
            choose(
                settings.sandbox,
                settings.image,
                runtime=settings.docker_runtime,
                network=settings.docker_network,
            )
        except SelfHealError as error:
            self._problem = error

    def _has_own_model(self) -> bool:
        """Whether another plugin supplies the model, so that no key of ours is needed."""
        return len(self._config.hook.pytest_selfheal_model.get_hookimpls()) > 1

    # --- during the run ------------------------------------------------------------------

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Note which tests were selected."""
        self._collected.update((item.nodeid, None) for item in session.items)

    @hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: list[str]) -> None:
        """Note which tests were selected, as a worker tells it."""
        self._collected.update((nodeid, None) for nodeid in ids)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Note a file that cannot be collected."""
        if report.failed:
            # Of the rootdir as a whole nobody asked for more than was selected.
            named = self._arguments() if report.nodeid == "." else [report.nodeid]
            for nodeid in named:
                self._note_failure(nodeid, "collect", report.longreprtext)

    def _arguments(self) -> list[str]:
        """The files and folders that were selected, as node ids."""
        root = self._config.rootpath.resolve()
        here = self._config.invocation_params.dir
        paths = [(here / str(each).partition("::")[0]).resolve() for each in self._config.args]
        return [each.relative_to(root).as_posix() for each in paths if each.is_relative_to(root)]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note how a test went."""
        self._seen.add(report.nodeid)
        self._seconds += report.duration
        if report.failed:
            self._passed.pop(report.nodeid, None)
            # xdist has a word of its own for the phase in which a worker died.
            phase = report.when if report.when in ("setup", "teardown") else "call"
            self._note_failure(report.nodeid, phase, report.longreprtext)
        elif report.when == "call" and not hasattr(report, "context"):  # that is a subtest's
            if not report.passed or hasattr(report, "wasxfail"):
                self._passed.pop(report.nodeid, None)
            elif report.nodeid not in self._failures:
                self._passed.setdefault(report.nodeid)

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """A user who stops the tests does not want a heal; a collection error does.

        pytest and xdist end a session early by exceptions of their own below Python's.
        """
        if type(excinfo.value) is KeyboardInterrupt or not isinstance(
            excinfo.value, KeyboardInterrupt
        ):
            self._was_interrupted = True

    def _note_failure(self, nodeid: str, phase: Any, longrepr: str) -> None:
        from pytest_selfheal.records import Failure  # a run that is all green needs none

        self._failures.setdefault(nodeid, Failure(nodeid=nodeid, phase=phase, longrepr=longrepr))

    # --- after the run -------------------------------------------------------------------

    @hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Heal, write reports, and let the exit status tell the truth."""
        if self._was_interrupted or exitstatus not in (0, 1, 2, 5) or self._problem:
            return
        with warnings.catch_warnings():
            # The project's filters are for the project; a warning in what we import is
            # not to become an error there.
            warnings.simplefilter("ignore")
            try:
                self._finish(session, exitstatus)
            except KeyboardInterrupt:  # while things are prepared, or cleared away
                self._abandon()
                session.exitstatus = _INTERRUPTED

    def _finish(self, session: pytest.Session, exitstatus: int) -> None:
        if self._explained or self._settings.show_prompt:
            self._explanation = self._explain(self._explained)
        elif self._settings.mode == "check":
            self._report = self._checked(int(exitstatus))
        elif self._failures:
            report = self._heal(int(exitstatus))
            from pytest_selfheal.model.redact_report import redact_report

            self._report = redact_report(report, self._settings.redact)
        elif self._settings.reports:
            self._report = self._nothing_to_do(int(exitstatus))
        if self._report is not None:
            self._write_reports(self._report)
            if self._report.exit_status != exitstatus:
                session.exitstatus = self._report.exit_status
        if self._reporter is None and (self._explanation or self._settings.mode == "check"):
            # They are run for what they print, and nobody else prints it.
            from pytest_selfheal.report.plain import PlainReporter

            self._show(PlainReporter(sys.stdout))

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Show what came of it."""
        self._show(terminalreporter)

    def _show(self, terminalreporter: Any) -> None:
        if self._explanation:
            from pytest_selfheal.explain import write

            write(terminalreporter, self._explained, self._explanation)
        if self._report is not None and (
            self._report.stubs or self._report.mode != "apply" or self._failures
        ):
            from pytest_selfheal.report.summary import write_summary

            verbosity = int(self._config.get_verbosity())
            write_summary(terminalreporter, self._report, verbosity)

    def pytest_unconfigure(self) -> None:
        """Leave nothing running, however the session ended."""
        self._abandon()

    def _abandon(self) -> None:
        if self._preparation is not None:
            self._preparation.close()
            self._preparation = None

    def _heal(self, exitstatus: int) -> HealReport:
        # What the tests left is not to be finalised from here on: a finaliser that runs in
        # the middle of one thread's `ast.parse` lets another's in, which Python 3.11 does
        # not survive.
        gc.freeze()
        from pytest_selfheal.interrupts import Interrupts
        from pytest_selfheal.preparation import Preparation

        with Interrupts() as interrupts:
            try:
                self._preparation = Preparation(self._config, self._settings, self._sys_path)
                # Whatever it raises is raised again where it is reported.
                with contextlib.suppress(Exception, KeyboardInterrupt), interrupts.allowed():
                    self._preparation.wait()
                # Imported only now: the first sandbox is started meanwhile.
                from pytest_selfheal.conduct import Conduct

                conduct = Conduct(
                    self._config,
                    self._settings,
                    self._record(),
                    self._preparation,
                    self._started,
                    interrupts,
                )
                report = conduct.run(exitstatus)
            finally:
                self._abandon()
        conduct.retell()
        return report

    def _explain(self, stubs: Sequence[Stub]) -> list[str]:
        from dataclasses import replace

        from pytest_selfheal.preparation import Preparation

        # No request is sent, and no recording is begun.
        settings = replace(self._settings, record=None)
        self._preparation = Preparation(self._config, settings, self._sys_path)
        from pytest_selfheal.explain import explain

        try:
            return explain(
                self._config, settings, self._record(), self._preparation, self._started, stubs
            )
        finally:
            self._abandon()

    def _record(self) -> SessionRecord:
        from pytest_selfheal.healing.session import SessionRecord

        return SessionRecord(
            failures=tuple(self._failures.values()),
            passed=tuple(nodeid for nodeid in self._passed if nodeid not in self._failures),
            not_run=tuple(nodeid for nodeid in self._collected if nodeid not in self._seen),
            seconds=self._seconds,
        )

    def _checked(self, exitstatus: int) -> HealReport:
        from pytest_selfheal.check_mode import checked

        return checked(
            self._config, self._settings, tuple(self._failures), self._started, exitstatus
        )

    def _nothing_to_do(self, exitstatus: int) -> HealReport:
        from pytest_selfheal.records import HealReport, ModelUsage, StubReport
        from pytest_selfheal.source.find import find_in_project

        found = find_in_project(self._config.rootpath)
        return HealReport(
            mode=self._settings.mode,
            exit_status=exitstatus,
            seconds=time.monotonic() - self._started,
            model=ModelUsage(name=self._settings.model),
            backend=None,
            verifications=0,
            stubs=tuple(
                StubReport(target=stub.target, status="unreached")
                for stub in found.stubs
                if not stub.is_living
            ),
            warnings=found.warnings,
        )

    def _write_reports(self, report: HealReport) -> None:
        from pytest_selfheal.report.html_report import write_html
        from pytest_selfheal.report.json_report import write_json

        for path in self._settings.reports:
            write = write_json if path.suffix.lower() == ".json" else write_html
            try:
                write(report, path)
            except SelfHealError as error:
                self._say(str(error), red=True)

    def _say(self, line: str, **colour: bool) -> None:
        if self._reporter is not None:
            from pytest_selfheal.report._text import one_line

            self._reporter.ensure_newline()
            self._reporter.write_line(f"selfheal: {one_line(line)}", **colour)
