"""A whole heal, from the user's failures to confirmed code. Writes nothing itself."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from dataclasses import dataclass

from pytest_selfheal.errors import EditConflict, SandboxFailed, Unusable
from pytest_selfheal.healing.board import Board, Group, GroupEnd
from pytest_selfheal.healing.confirm import Confirmation, confirm
from pytest_selfheal.healing.group_loop import Snapshot, heal_group, label_of
from pytest_selfheal.healing.judge import last_error_line, tracebacks
from pytest_selfheal.healing.kit import Kit
from pytest_selfheal.healing.session import Healed, SessionRecord
from pytest_selfheal.healing.trace import trace
from pytest_selfheal.records import Attempt, Piece, TestResult


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

    @classmethod
    def of(cls, kit: Kit, record: SessionRecord) -> Heal:
        """A heal that has not begun."""
        return cls(kit=kit, record=record, board=Board(stubs=kit.stubs), confirmed={})

    def run(self, executor: Executor) -> None:
        """Trace, heal group by group, confirm; again where the confirmation objects."""
        try:
            self._trace()
            while True:
                self._heal_groups(executor)
                if self._confirm():
                    return
        except SandboxFailed as error:
            self.problem = str(error)

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

    def drop(self, keys: Sequence[str]) -> None:
        """Leave confirmed stubs out, and with them those whose tests need them."""
        self.board.give_up(keys, "the reviewer said no")
        kept = self.board.writable()
        self.confirmed = {key: piece for key, piece in self.confirmed.items() if key in kept}

    def tests_now(self) -> tuple[list[str], list[str]]:
        """The tests that were red: those that the confirmed code turns green, and the rest."""
        failing = set(self.record.failing)
        green: list[str] = []
        red: list[str] = []
        for nodeid, state in self.board.tests.items():
            was_red = nodeid in self.board.ever_red or nodeid.partition("::")[0] in failing
            if self._is_green_with_confirmed(nodeid):
                if was_red:
                    green.append(nodeid)
                elif nodeid in failing:
                    red.append(nodeid)  # red on the host, green in the sandbox: not ours to claim
            elif state.result.outcome not in ("skipped", "xfailed") or nodeid in failing:
                red.append(nodeid)
        seen = {*green, *red}
        files = {nodeid.partition("::")[0] for nodeid in seen}
        return green, [*red, *(each for each in failing if each not in seen and each not in files)]

    def unexplained(self) -> list[str]:
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

    def _trace(self) -> None:
        tests = [*self.record.failing, *self.record.not_run]
        label = f"{len(tests)} failing tests" if len(tests) != 1 else tests[0]
        self.kit.progress.stage(label, 0, 0, "tracing")
        try:
            self.board.record(trace(self.kit, tests, self._suite_seconds()), ())
            if self._is_between_living_functions():
                # Which of them is to blame, only the tests that pass through them can tell.
                passed = trace(self.kit, self.record.passed, self._suite_seconds())
                self.board.record((each for each in passed if each.outcome == "passed"), ())
        finally:
            self.kit.progress.drop(label)
        self.kit.progress.start(len({k for keys in self.board.pending().values() for k in keys}))

    def _is_between_living_functions(self) -> bool:
        """Whether a red test entered several living functions and no stub."""
        stubs = self.kit.stubs
        entered = [
            set(s.result.entered) for s in self.board.tests.values() if not self.board.is_green(s)
        ]
        return bool(self.record.passed) and any(
            len(keys) > 1 and all(stubs[key].is_living for key in keys) for keys in entered
        )

    def _heal_groups(self, executor: Executor) -> None:
        running: dict[Future[GroupEnd], tuple[Group, frozenset[str]]] = {}
        while True:
            busy = {key for group, _ in running.values() for key in group.keys}
            forced, self.board.forced = self.board.forced, []
            for group in [*forced, *self.board.plan({*busy, *_keys(forced)})]:
                snapshot = self._snapshot(group)
                future = executor.submit(heal_group, self.kit, group, snapshot)
                running[future] = group, frozenset(snapshot.pieces)
            if running:
                self.kit.pool.prepare(len(running) + 1)
                done, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    group, with_keys = running.pop(future)
                    self._take(group, future.result(), with_keys)
            elif not self._rerun_stale():
                self.board.forced = self.board.blame(self._allowed)
                if not self.board.forced and not self.board.plan(()):
                    return

    def _take(self, group: Group, end: GroupEnd, with_keys: frozenset[str]) -> None:
        self.kit.progress.drop(label_of(self.kit, group))
        self.board.take(end, with_keys)
        for key in group.keys:
            if key in self.board.failed:
                target = self.kit.stubs[key].target
                self.kit.progress.done(target, "unhealed", self.board.failed[key])

    def _rerun_stale(self) -> bool:
        """Run again the tests whose stubs have all got code meanwhile."""
        tests = self.board.stale()
        if not tests:
            return False
        pieces = dict(self.board.pieces)
        try:
            outcome = self.kit.verify(tests, pieces)
        except (Unusable, EditConflict) as error:
            self.board.give_up(pieces, str(error))
            return True
        if outcome.ending == "sandbox-failed":
            raise SandboxFailed(outcome.why)
        self.board.record(outcome.results, pieces)
        return True

    @property
    def _allowed(self) -> dict[str, int]:
        """How many attempts each stub may have."""
        own = self.kit.settings.attempts
        return {key: stub.options.attempts or own for key, stub in self.kit.stubs.items()}

    def _snapshot(self, group: Group) -> Snapshot:
        board = self.board
        return Snapshot(
            results=tuple(board.tests[nodeid].result for nodeid in group.tests),
            pieces={k: p for k, p in board.pieces.items() if k not in group.keys},
            unproven=board.unproven(),
            still_stubs=frozenset(
                key
                for key, stub in board.stubs.items()
                if key not in board.pieces and key not in group.keys and not stub.is_living
            ),
        )

    def _confirm(self) -> bool:
        """Confirm what is green; True when there is nothing left to do."""
        pieces = self.board.writable()
        if not pieces:
            self.confirmed = {}
            return True
        self.kit.progress.stage("all together", 0, 0, "confirming")
        green = [nodeid for nodeid in self.board.tests if self._leans_on(nodeid, pieces)]
        # Tests that the user's run did not get to, and that need no code, count as passed.
        passed = [
            nodeid
            for nodeid, state in self.board.tests.items()
            if nodeid not in self.board.ever_red
            and nodeid.partition("::")[0] not in self.record.failing
            and self.board.is_green(state)
        ]
        try:
            found = confirm(
                self.kit,
                pieces,
                green=green,
                passed_before=[*self.record.passed, *passed],
                excused=self.sandbox_only,
                timeout_seconds=self._suite_seconds(),
            )
        except (Unusable, EditConflict) as error:
            self.board.give_up(pieces, str(error))
            return False
        finally:
            self.kit.progress.drop("all together")
        self.sandbox_only = tuple(dict.fromkeys([*self.sandbox_only, *found.sandbox_only]))
        if found.outcome.ending == "completed" and not found.red:
            self.confirmed = pieces
            return True
        self._refute(found, pieces)
        return False

    def _refute(self, found: Confirmation, pieces: dict[str, Piece]) -> None:
        """Turn what the confirmation saw into failed attempts of the code to blame."""
        outcome = found.outcome
        if not found.red:
            self.board.give_up(pieces, f"the confirming run did not end in order: {outcome.why}")
            return
        blamed: dict[str, list[TestResult]] = {}
        for result in found.red:
            for key in [key for key in result.entered if key in pieces] or list(pieces):
                blamed.setdefault(key, []).append(result)
        for key, results in blamed.items():
            first = results[0]
            why = f"breaks {first.nodeid}: {last_error_line(first.longrepr) or outcome.why}"[:300]
            history = self.board.history[key]
            attempt = Attempt(
                verdict="failed" if outcome.ending == "completed" else outcome.ending,  # type: ignore[arg-type]
                why=why,
                seconds=outcome.seconds,
                code=history[-1].code if history else "",
                traceback=tracebacks(results),
            )
            for result in results:
                self.board.refute([key], result, attempt)
            if len(self.board.history[key]) >= self._allowed[key]:
                self.board.give_up([key], why)

    def _leans_on(self, nodeid: str, pieces: dict[str, Piece]) -> bool:
        state = self.board.tests[nodeid]
        return self.board.is_green(state) and any(key in pieces for key in state.result.entered)

    def _is_green_with_confirmed(self, nodeid: str) -> bool:
        state = self.board.tests[nodeid]
        needed = [key for key in state.result.entered if key in self.board.versions]
        return self.board.is_green(state) and all(key in self.confirmed for key in needed)

    def _suite_seconds(self) -> float:
        """Enough for the whole selection in a slower place, never less than the limit."""
        return self.kit.settings.limits.timeout_seconds + 4 * self.record.seconds


def _keys(groups: Sequence[Group]) -> set[str]:
    return {key for group in groups for key in group.keys}
