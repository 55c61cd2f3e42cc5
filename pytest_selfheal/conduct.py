"""From the end of a failing run to a report: heal, then write, propose or review."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import io
import signal
import time
from typing import TYPE_CHECKING, Any

from pytest_selfheal.assemble import HookRelay
from pytest_selfheal.delivery import Delivery
from pytest_selfheal.errors import SelfHealError
from pytest_selfheal.healing.board import key_of
from pytest_selfheal.healing.kit import Kit
from pytest_selfheal.healing.run import Heal
from pytest_selfheal.interrupts import Interrupts, outlive
from pytest_selfheal.records import (
    FoundStubs,
    HealReport,
    ModelUsage,
    Status,
    Stub,
    StubReport,
)
from pytest_selfheal.report._text import count, one_line
from pytest_selfheal.report.live_lines import Budget, spending
from pytest_selfheal.report.patch import unified_diff
from pytest_selfheal.report.progress import Progress
from pytest_selfheal.source.private import Private
from pytest_selfheal.source.project_files import project_files
from pytest_selfheal.source.write import check_writable
from pytest_selfheal.threads import DaemonExecutor

if TYPE_CHECKING:
    import pytest

    from pytest_selfheal.healing.session import SessionRecord
    from pytest_selfheal.preparation import Preparation
    from pytest_selfheal.settings import Settings


class Conduct:
    """One heal, from the record of the run to its report."""

    def __init__(
        self,
        config: pytest.Config,
        settings: Settings,
        record: SessionRecord,
        preparation: Preparation,
        started: float,
        interrupts: Interrupts,
    ) -> None:
        self._config = config
        self._settings = settings
        self._record = record
        self._preparation = preparation
        self._started = started
        self._reporter: Any = config.pluginmanager.get_plugin("terminalreporter")
        self._notes: list[str] = []
        self._heal: Heal | None = None
        self._skipped: dict[str, str] = {}
        self._diffs: dict[str, str] = {}
        self._patch: str | None = None
        self._written = False
        self._interrupts = interrupts

    def run(self, exitstatus: int) -> HealReport:
        """Heal, write as the mode says, and report. Never raises for what others do."""
        backend, verifications = None, 0
        try:
            self._outlive_output()
            self._end_line()
            if self._interrupts.received:  # one that came before there was anybody to tell of it
                raise KeyboardInterrupt
            with self._interrupts.allowed():
                self._preparation.wait()
            if self._preparation.found.stubs:
                self._run()
        except KeyboardInterrupt:
            self._interrupts.received.append(signal.SIGINT)
        except SelfHealError as error:
            self._notes.append(str(error))
        except Exception as error:  # noqa: BLE001 - the one boundary: ours is no traceback either
            is_ours = not _is_out_of_memory(error)
            self._notes.append(
                f"internal error, nothing was written: {_named(error)}"
                if is_ours
                else "there is not enough memory, nothing was written: run again with more for "
                "this process, or with a lower --selfheal-jobs"
            )
            if is_ours and self._config.option.verbose > 0:
                self._config.notify_exception(_info_of(error), self._config.option)
        if self._heal is not None and not self._written and self._patch is None:
            self._heal.confirmed = {}  # whatever kept it from being written
        interrupted = bool(self._interrupts.received)
        if interrupted:
            done = "what was green is" if self._written or self._patch else "nothing was"
            self._notes.append(f"interrupted: {done} written; run again for the rest")
        self._outlive_output()
        usage = self._preparation.model.usage()
        if usage.stored_replies:
            self._notes.append(
                f"replies that were there already, at no cost: {usage.stored_replies} "
                "(--selfheal-fresh asks anew)"
            )
        if usage.uncounted_requests:
            self._notes.append(
                f"nobody said what {count(usage.uncounted_requests, 'request')} took (broken off, "
                "or answered without a count): the figures leave it out, the budgets do not"
            )
        if self._preparation.pool is not None:
            backend = self._preparation.pool.backend
            verifications = self._preparation.pool.verifications
        return self._reported(exitstatus, interrupted, usage, backend, verifications)

    def retell(self) -> None:
        """Move the healed tests, in pytest's own counts, from failed to healed."""
        if self._reporter is None or not self._written or self._heal is None:
            return
        healed = set(self._heal.tests_now()[0])
        files = {nodeid.partition("::")[0] for nodeid in healed}
        stats: dict[str, list[Any]] = self._reporter.stats
        moved: list[Any] = []
        for category in ("failed", "error"):
            kept: list[Any] = []
            for report in stats.get(category, []):
                nodeid = getattr(report, "nodeid", "")
                is_healed = nodeid in healed or ("::" not in nodeid and nodeid in files)
                (moved if is_healed else kept).append(report)
            if kept:
                stats[category] = kept
            else:
                stats.pop(category, None)  # an empty kind would colour the closing line red
        if moved:
            stats.setdefault("healed", []).extend(moved)
            # The closing line's kinds are kept from before, where a run ended early.
            self._reporter._known_types = None

    def _run(self) -> None:
        found = self._preparation.found
        with self._make_progress() as progress:
            samplers = DaemonExecutor(self._settings.jobs, "selfheal-sample")
            kit = dataclasses.replace(self.kit(found, progress), executor=samplers)
            if not kit.stubs:
                return  # each is left out, with its reason
            heal = self._heal = Heal.of(kit, self._record)
            executor = DaemonExecutor(self._settings.jobs, "selfheal-group")
            try:
                heal.run(executor)
            except KeyboardInterrupt:
                self._end_early(heal)
            finally:
                executor.shutdown(wait=False, cancel_futures=True)
                samplers.shutdown(wait=False, cancel_futures=True)
        if heal.problem and not self._interrupts.received:
            self._notes.append(heal.problem)
        self._notes += [*kit.pool.notes, *heal.notes()]
        self._deliver(heal)

    def _make_progress(self) -> Progress:
        writer, settings = getattr(self._reporter, "_tw", None), self._settings
        budget = Budget(
            requests=settings.max_requests, tokens=settings.max_tokens, cost=settings.max_cost
        )
        progress = Progress(
            writer._file if writer is not None else io.StringIO(),
            verbosity=int(self._config.get_verbosity()) if writer is not None else -1,
            color=bool(writer is not None and writer.hasmarkup),
            spent=lambda: spending(self._preparation.model.usage(), budget),
        )
        self._preparation.on_wait = progress.waiting
        return progress

    def _end_early(self, heal: Heal) -> None:
        """After an interrupt: ask for no more, and confirm what is green.

        Raises:
            KeyboardInterrupt: Nothing is, or there was another interrupt.
        """
        heal.problem = "interrupted"
        heal.kit.halt.reason = heal.problem
        if self._interrupts.is_urgent:
            raise KeyboardInterrupt
        if not heal.board.writable():
            heal.kit.progress.close()
            self._say("interrupted: nothing is green yet, so the run ends")
            raise KeyboardInterrupt
        with heal.kit.progress.paused():
            self._say("interrupted: what is green is verified and written; once more ends at once")
        # Those at work may hang, and hold what there is room for.
        heal.kit = dataclasses.replace(heal.kit, pool=self._preparation.renew_pool())
        heal.confirm_again()

    def _end_line(self) -> None:
        """Let nothing of ours go on where pytest's progress stands."""
        writer = getattr(self._reporter, "_tw", None)
        if writer is not None:
            self._reporter.ensure_newline()
            # Under xdist the reporter does not know where it stands; its writer does.
            if getattr(writer, "width_of_current_line", 0):
                writer.line()

    def _outlive_output(self) -> None:
        writer = getattr(self._reporter, "_tw", None)
        if writer is not None:
            outlive(writer._file)

    def kit(self, found: FoundStubs, progress: Progress) -> Kit:
        """The tools of a heal of these stubs, but for those in files that cannot be written."""
        assert self._preparation.pool is not None
        root = self._preparation.workspace.root
        private = Private(root, self._settings.exclude)
        stubs: dict[str, Stub] = {}
        sources: dict[str, bytes] = {}
        for stub in found.stubs:
            if stub.path not in sources and stub.path not in self._skipped:
                problem = check_writable(root, stub.path) if self._writes else None
                if private.is_excluded(stub.path):
                    problem = "selfheal_exclude keeps its file out of prompts"
                if problem:
                    self._skipped[stub.path] = problem
                else:
                    sources[stub.path] = (root / stub.path).read_bytes()
            if stub.path in sources:
                stubs[key_of(stub)] = stub
        names = ("python_functions", "python_classes")
        return Kit(
            test_names=[str(each) for name in names for each in self._config.getini(name)],
            settings=self._settings,
            model=self._preparation.model,
            pool=self._preparation.pool,
            progress=progress,
            relay=HookRelay(self._config, {key: stub.target for key, stub in stubs.items()}),
            root=root,
            stubs=stubs,
            sources=sources,
            files=frozenset(private.without(project_files(root, every_kind=True))),
            private=private,
            interrupts=self._interrupts,
        )

    @property
    def _writes(self) -> bool:
        return self._settings.mode in ("apply", "review")

    def _deliver(self, heal: Heal) -> None:
        """Write the confirmed code, or its patch."""
        delivery = Delivery(self._config, self._preparation, heal, self._say)
        if self._settings.mode == "review":
            if set(self._interrupts.received) - {signal.SIGINT}:
                delivery.leave_out("the run was ended before it was reviewed")
            elif heal.confirmed:
                self._review(heal)
        if self._settings.mode == "propose":
            self._patch = delivery.propose(self._settings.patch)
        else:
            self._written = delivery.write()
        self._skipped |= delivery.skipped
        self._notes += delivery.notes
        if heal.confirmed and self._wants_diffs:
            for healed in heal.healed():
                self._diffs[healed.key] = unified_diff(healed.edit)

    def _say(self, line: str) -> None:
        if self._reporter is not None:
            self._outlive_output()
            with contextlib.suppress(OSError):  # a terminal that is gone keeps nothing back
                self._reporter.write_line(f"selfheal: {one_line(line)}")

    @property
    def _wants_diffs(self) -> bool:
        """Whether anybody is shown each stub's own diff: making them costs a parse each."""
        shown = self._settings.reports or self._config.get_verbosity() > 0
        return bool(shown or self._config.hook.pytest_selfheal_healed.get_hookimpls())

    def _review(self, heal: Heal) -> None:
        from pytest_selfheal.reviewing import Reviewing

        reviewing = Reviewing(self._config, heal, self._interrupts, self._make_progress)
        try:
            reviewing.run()
        finally:
            self._skipped |= reviewing.skipped

    # --- the report ----------------------------------------------------------------------

    def _reported(
        self,
        exitstatus: int,
        interrupted: bool,
        usage: ModelUsage,
        backend: str | None,
        verifications: int,
    ) -> HealReport:
        green: list[str] = []
        red: list[str] = list(self._record.failing)
        if self._heal is not None and self._heal.board.tests:
            green, red = self._heal.tests_now()
        report = HealReport(
            mode=self._settings.mode,
            exit_status=self._exit_status(exitstatus, interrupted, red),
            seconds=time.monotonic() - self._started,
            model=dataclasses.replace(usage, name=usage.name or self._settings.model),
            backend=backend,
            verifications=verifications,
            planning_seconds=self._heal.planning_seconds if self._heal else 0.0,
            stubs=tuple(self._stub_reports()),
            healed_tests=tuple(green),
            still_failing=tuple(red),
            sandbox_only_failures=self._heal.sandbox_only if self._heal else (),
            warnings=self._preparation.found.warnings,
            notes=tuple(self._notes),
            patch=self._patch,
        )
        for stub in report.stubs:
            if stub.status == "healed":
                self._config.hook.pytest_selfheal_healed(stub=stub)
        return report

    def _exit_status(self, exitstatus: int, interrupted: bool, red: list[str]) -> int:
        if interrupted:
            return 2
        if self._written and not red:
            return 0
        return 1 if exitstatus in (0, 1) or self._heal is not None else exitstatus

    def _stub_reports(self) -> list[StubReport]:
        reports = []
        for stub in self._preparation.found.stubs:
            status, reason = self._status(stub)
            if stub.is_living and status == "unreached":
                continue  # a living function whose tests pass is nobody's business
            key = key_of(stub)
            board = self._heal.board if self._heal else None
            reports.append(
                StubReport(
                    target=stub.target,
                    status=status,
                    reason=reason,
                    attempts=board.history.get(key, ()) if board else (),
                    tests=tuple(board.tests_reaching(key)) if board else (),
                    diff=self._diffs.get(key, ""),
                )
            )
        return reports

    def _status(self, stub: Stub) -> tuple[Status, str | None]:
        key = key_of(stub)
        skipped = self._skipped.get(key) or self._skipped.get(stub.path)
        if skipped:
            return "skipped", skipped
        if self._heal is None:
            return "unhealed", self._notes[-1] if self._notes else "the heal did not begin"
        board = self._heal.board
        if key in self._heal.confirmed:
            return "healed", None
        if key in board.failed:
            return ("rejected" if key in board.untrusted else "unhealed"), board.failed[key]
        if not board.tests_reaching(key) and not self._heal.problem:
            return "unreached", None
        if self._heal.problem:
            return "unhealed", self._heal.problem
        reaching = board.tests_reaching(key)
        steady = [nodeid for nodeid in reaching if nodeid not in board.flaky]
        red = [nodeid for nodeid in steady if not board.is_green(board.tests[nodeid])]
        if red:
            return "unhealed", f"{red[0]}, which reaches it, is not green"
        if key not in board.history:
            return "unreached", None  # what reaches it passes as it is
        if not steady:
            return "unhealed", f"{reaching[0]} is flaky, and no other test reaches it"
        return "unhealed", "tests that reach it need code that was not confirmed"


def _is_out_of_memory(error: Exception) -> bool:
    # A thread needs room for its stack; Python has no kind of error for that.
    return (
        isinstance(error, MemoryError)
        or (isinstance(error, OSError) and error.errno == errno.ENOMEM)
        or "can't start new thread" in str(error)
    )


def _named(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:300]


def _info_of(error: BaseException) -> Any:
    import pytest

    return pytest.ExceptionInfo.from_exception(error)
