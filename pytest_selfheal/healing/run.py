"""A whole heal, from the user's failures to confirmed code. Writes nothing itself."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from dataclasses import dataclass

from pytest_selfheal.errors import EditConflict, SandboxFailed, Unusable
from pytest_selfheal.healing.board import Board, Group, GroupEnd, and_above
from pytest_selfheal.healing.code import Code
from pytest_selfheal.healing.confirm import (
    Confirmation,
    Selection,
    confirm,
    guilty_of_breaking,
)
from pytest_selfheal.healing.group_loop import heal_group, label_of
from pytest_selfheal.healing.guilt import guilty
from pytest_selfheal.healing.judge import last_error_line
from pytest_selfheal.healing.kit import Kit
from pytest_selfheal.healing.network import network_note
from pytest_selfheal.healing.refute import (
    refused,
    refute,
    refute_broken,
    refute_in_the_way,
)
from pytest_selfheal.healing.runs import Ran, run_tests
from pytest_selfheal.healing.session import Healed, SessionRecord
from pytest_selfheal.healing.snapshot import Snapshot
from pytest_selfheal.healing.trace import trace
from pytest_selfheal.records import Piece

WEAKLY_PROVEN = 2
"""Code that no more green tests than these have entered may well be wrong."""


@dataclass(slots=True)
class Heal:
    """One run's heal; `run` does it, the fields tell what came of it."""

    kit: Kit
    record: SessionRecord
    board: Board
    confirmed: dict[str, Piece]
    sandbox_only: tuple[str, ...] = ()
    problem: str | None = None
    """Why it ended early, in one line."""
    planning_seconds: float = 0.0
    """What planning took of a processor; it does not count while it waits."""
    _failing: frozenset[str] = frozenset()
    knows_guards: bool = False
    """The tests that pass were traced as well."""

    @classmethod
    def of(cls, kit: Kit, record: SessionRecord) -> Heal:
        """A heal that has not begun."""
        return cls(
            kit=kit,
            record=record,
            board=Board(kit.stubs, kit.settings.attempts),
            confirmed={},
            _failing=frozenset(record.failing),
        )

    def run(self, executor: Executor) -> None:
        """Trace, heal group by group, confirm; again where the confirmation objects."""
        begun = time.thread_time()
        try:
            self.trace()
            while True:
                self._heal_groups(executor)
                if self._confirm():
                    return
        except SandboxFailed as error:
            self.problem = str(error)
        finally:
            self.planning_seconds = time.thread_time() - begun

    def healed(self) -> list[Healed]:
        """The confirmed stubs, each with what it would change on its own."""
        return [
            Healed(
                key=key,
                piece=piece,
                edit=self.kit.edits({key: piece})[0],
                tests=tuple(self.board.tests_reaching(key)),
                attempts=len(self.board.history.get(key, ())),
            )
            for key, piece in self.confirmed.items()
        ]

    def confirm_again(self) -> None:
        """Confirm what is green once more, and write no more than stays so; ask for nothing."""
        try:
            while not self._confirm():
                pass  # each time less is left
        except SandboxFailed as error:
            self.confirmed = {}
            self.problem = str(error)

    def drop(self, keys: Sequence[str], reason: str = "the reviewer said no") -> None:
        """Leave confirmed stubs out, and with them those whose tests need them."""
        self.board.give_up(keys, reason)
        kept = self.board.writable()
        self.confirmed = {key: piece for key, piece in self.confirmed.items() if key in kept}

    def notes(self) -> list[str]:
        """What is to be said of the tests, a line each."""
        network = network_note(
            (each.result for each in self.board.tests.values()),
            self.board.history,
            backend=self.kit.pool.backend,
            network=self.kit.settings.docker_network,
        )
        second = self.kit.halt.second_reason
        away = [f"the second model was not asked: {second}"] if second else []
        return [*self._flaky_notes(), *self._unexplained(), *network, *away]

    def tests_now(self) -> tuple[list[str], list[str]]:
        """The tests that were red: those that the confirmed code turns green, and the rest."""
        failing = set(self.record.failing)
        green: list[str] = []
        red: list[str] = []
        for nodeid, state in self.board.tests.items():
            was_red = nodeid in self.board.ever_red or self._is_in_what_failed(nodeid)
            if self._is_green_with_confirmed(nodeid):
                if was_red:
                    green.append(nodeid)
                elif nodeid in failing:
                    red.append(nodeid)  # red on the host, green in the sandbox: not ours to claim
            elif state.result.outcome not in ("skipped", "xfailed") or nodeid in failing:
                red.append(nodeid)
        seen = {*green, *red}
        files = {part for nodeid in seen for part in and_above(nodeid.partition("::")[0])}
        return green, [*red, *(each for each in failing if each not in seen and each not in files)]

    def _is_in_what_failed(self, nodeid: str) -> bool:
        """Whether a test's file, or a folder that it is in, could not be collected."""
        return not self._failing.isdisjoint(and_above(nodeid.partition("::")[0]))

    def _flaky_notes(self) -> list[str]:
        return [
            f"{nodeid} is flaky: red and green with the same code; it counts for and against none"
            for nodeid in sorted(self.board.flaky)
        ]

    def _unexplained(self) -> list[str]:
        """A line on the red tests that reach no stub: what the first of them says in there."""
        lost = [
            state.result
            for state in self.board.tests.values()
            if state.result.outcome != "passed" and not state.result.entered
        ]
        if not lost:
            return []
        more = f", and {len(lost) - 1} more," if len(lost) > 1 else ""
        says = last_error_line(lost[0].longrepr) or lost[0].outcome
        return [f"{lost[0].nodeid}{more} reaches no stub; in the sandbox it says: {says}"[:400]]

    def trace(self) -> None:
        """See which stubs the failing tests reach."""
        tests = [*self.record.failing, *self.record.not_run]
        label = f"{len(tests)} failing tests" if len(tests) != 1 else tests[0]
        self.kit.progress.stage(label, 0, 0, "tracing")
        try:
            self.board.record(trace(self.kit, tests, self.suite_seconds()), Code())
            if self.board.waits_for_living():
                self._trace_guards()
        finally:
            self.kit.progress.drop(label)
        self.kit.progress.count(self.board.counts())

    def _trace_guards(self) -> None:
        """See which of the tests that pass reach living functions.

        Which of several is to blame, only these tests can tell; and what is asked for
        must not break what its present body does.
        """
        self.knows_guards = True
        tests = [test for test in self.record.passed if test not in self.board.tests]
        if tests:
            passed = trace(self.kit, tests, self.suite_seconds())
            self.board.record(
                (each for each in passed if each.outcome == "passed"), self.board.code
            )

    def _heal_groups(self, executor: Executor) -> None:
        running: dict[Future[GroupEnd], Group] = {}
        while True:
            while len(running) < self.kit.settings.jobs:
                group = self.next_group()
                if group is None:
                    break
                future = executor.submit(heal_group, self.kit, group, self.snapshot(group))
                running[future] = group
            if running:
                self.kit.pool.prepare(len(running) + 1)
                with self.kit.interrupts.allowed():
                    done, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in [each for each in running if each in done]:  # as they began
                    self._take(running.pop(future), future.result())
            elif not self._rerun_stale() and not self.board.blame():
                return

    def next_group(self) -> Group | None:
        """What to ask for next, None where nothing can be asked for now."""
        group = self.board.next_group()
        if group is None or self.knows_guards:
            return group
        if any(self.kit.stubs[key].is_living for key in group.keys):
            self._trace_guards()
            return self.board.regrouped(group)
        return group

    def _take(self, group: Group, end: GroupEnd) -> None:
        self.kit.progress.drop(label_of(self.kit, group))
        problem = self._conflict(end)
        self.board.take(end if problem is None else refused(end, problem))
        for key in group.keys:
            if key in self.board.failed:
                target = self.kit.stubs[key].target
                self.kit.progress.done(target, "unhealed", self.board.failed[key])
        if self.kit.progress.wants_counts():
            self.kit.progress.count(self.board.counts())

    def _conflict(self, end: GroupEnd) -> str | None:
        """Why a group's code does not go together with what others found meanwhile."""
        kept = end.last_pieces if end.joint_with else end.pieces
        paths = {piece.stub.path for piece in kept.values()}
        problem = self._problem_of(self.board.code.including(kept).of_files(paths))
        if problem is None or self._goes_together(self.board.code.of_files(paths)):
            return problem
        return self._conflict(end)  # it was none of this group's; that code is gone now

    def _problem_of(self, code: Code) -> str | None:
        try:
            self.kit.overlay(code)
        except (Unusable, EditConflict) as error:
            return str(error)
        return None

    def _goes_together(self, code: Code) -> bool:
        """Whether the files can be made; if not, the code that is in the way is taken back."""
        problem = self._problem_of(code)
        if problem is None:
            return True
        in_the_way = guilty(list(code), lambda keys: self._problem_of(code.only(keys)) is not None)
        for key in in_the_way[-1:]:  # the rest of them may stay without it
            refute_in_the_way(self.board, key, problem)
        return False

    def _rerun_stale(self) -> bool:
        """Run again the tests whose stubs have all got code meanwhile."""
        tests = self.board.stale()
        code = self.board.code
        if not tests or not self._goes_together(code):
            return bool(tests)
        seconds = self._seconds_for(tests)

        def run(in_place: Code) -> Ran:
            return run_tests(self.kit, tests, in_place, timeout_seconds=seconds)

        ran = run(code)
        self.board.record(ran.results, code, tests, ran.cut)
        if ran.broken is not None:
            refute_broken(self.board, ran.broken, guilty_of_breaking(code, run, ran.broken))
        return True

    def snapshot(self, group: Group) -> Snapshot:
        """How things stand for a group at this moment."""
        board = self.board
        known = (board.tests.get(nodeid) for nodeid in group.tests)
        results = tuple(state.result for state in known if state is not None)
        entered = {key for result in results for key in result.entered}
        return Snapshot(
            results=results,
            code=board.code,
            unproven=board.unproven(),
            weak=frozenset(
                key
                for key in entered
                if key in board.code and board.green_tests(key) <= WEAKLY_PROVEN
            ),
            suite_seconds=self.suite_seconds(),
        )

    def _confirm(self) -> bool:
        """Confirm what is green; True when there is nothing left to do."""
        pieces = Code().including(self.board.writable())
        self.confirmed = {}
        if not pieces:
            return True
        if not self._goes_together(pieces):
            return False
        return self.take_confirmation(self.confirming(pieces), pieces)

    def confirming(self, pieces: Code) -> Confirmation:
        """Run everything with this code in place; nothing is noted of it yet."""
        self.kit.progress.count(self.board.counts())
        self.kit.progress.stage("all together", 0, 0, "confirming")
        try:
            return confirm(self.kit, pieces, self._selection(pieces), self.suite_seconds())
        finally:
            self.kit.progress.drop("all together")

    def take_confirmation(self, found: Confirmation, pieces: Code) -> bool:
        """Take note of a confirming run; True where it objects to none of the code."""
        self.sandbox_only = tuple(dict.fromkeys([*self.sandbox_only, *found.sandbox_only]))
        if found.broken is not None:
            refute_broken(self.board, found.broken, found.guilty)
            return False
        self.board.set_flaky(each.nodeid for each in found.flaky)
        self.board.record(found.flaky, pieces)
        if found.objections:
            refute(self.board, found, pieces)
            return False
        known = [each for each in found.results if each.nodeid in self.board.tests]
        flaky = self.board.flaky
        self.board.record((each for each in known if each.nodeid not in flaky), pieces)
        self._run_unexplained(pieces)
        self.confirmed = self.board.writable()
        # Less than was confirmed, where its only tests turned out to be flaky: the rest
        # is to be seen green without it.
        return self.confirmed.keys() == pieces.keys()

    def _run_unexplained(self, pieces: Code) -> None:
        """Run the red tests that were not seen to enter any stub; they are held against none.

        One that ended its process, or runs the code in another one, could not tell.
        """
        tests = [
            nodeid
            for nodeid, state in self.board.tests.items()
            if not state.is_passed and not state.seen
        ]
        if tests:
            seconds = self._seconds_for(tests)
            ran = run_tests(self.kit, tests, pieces, timeout_seconds=seconds, is_last=True)
            self.board.record(ran.results, pieces, tests, ran.cut)

    def _selection(self, pieces: Mapping[str, Piece]) -> Selection:
        board = self.board
        green = [nodeid for nodeid in board.tests if self._leans_on(nodeid, pieces)]
        # Tests that the user's run did not get to, and that need no code, count as passed.
        passed = [
            nodeid
            for nodeid, state in board.tests.items()
            if nodeid not in board.ever_red
            and not self._is_in_what_failed(nodeid)
            and board.is_green(state)
        ]
        before = dict.fromkeys([*self.record.passed, *passed])
        return Selection(
            green=green,
            passed_before=[nodeid for nodeid in before if nodeid not in board.flaky],
            excused=set(self.sandbox_only),
            flaky=sorted(board.flaky),
            entered={nodeid: list(state.seen) for nodeid, state in board.tests.items()},
        )

    def _leans_on(self, nodeid: str, pieces: Mapping[str, Piece]) -> bool:
        state = self.board.tests[nodeid]
        return (
            nodeid not in self.board.flaky
            and self.board.is_green(state)
            and any(key in pieces for key in state.seen)
        )

    def _is_green_with_confirmed(self, nodeid: str) -> bool:
        state = self.board.tests[nodeid]
        return state.is_passed and all(
            self.confirmed.get(key) is piece for key, piece in state.seen.items()
        )

    def _seconds_for(self, tests: Sequence[str]) -> float:
        return self.suite_seconds() if len(tests) > 1 else self.kit.settings.limits.timeout_seconds

    def suite_seconds(self) -> float:
        """Enough for the whole selection in a slower place, never less than the limit."""
        return self.kit.settings.limits.timeout_seconds + 4 * self.record.seconds
