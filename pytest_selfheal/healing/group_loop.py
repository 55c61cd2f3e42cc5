"""One group's way from the first request to green: ask, read, vet, verify, ask again."""

from __future__ import annotations

import ast
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace

from pytest_selfheal.errors import EditConflict, ModelUnavailable, Refused, SandboxFailed, Unusable
from pytest_selfheal.healing.board import Group, GroupEnd
from pytest_selfheal.healing.code import Code
from pytest_selfheal.healing.flaky import Doubts
from pytest_selfheal.healing.groups import last_why
from pytest_selfheal.healing.judge import MAX_TRACEBACKS, Judgement, innocent, judge
from pytest_selfheal.healing.kit import Kit
from pytest_selfheal.records import (
    Attempt,
    Candidate,
    EarlyEnd,
    Piece,
    Reply,
    RunOutcome,
    TestResult,
    Verdict,
)
from pytest_selfheal.sandbox.inside_early import Failing

ATTEMPTS_BEFORE_BLAMING_OTHERS = 2
ATTEMPTS_BEFORE_BLAMING_WEAK_ONES = 3
MANY_TESTS = 50
"""More than so many may take as long as the whole selection."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The board as a group found it; what other groups do meanwhile is not its concern."""

    results: tuple[TestResult, ...]
    """How the group's tests stand."""
    code: Code
    """Code in place for other stubs."""
    unproven: frozenset[str] = frozenset()
    """Those of them that no green test has entered."""
    weak: frozenset[str] = frozenset()
    """Those of them that few green tests have entered."""
    suite_seconds: float | None = None
    """The time that the whole selection is given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Step:
    """One reply, tried."""

    attempt: Attempt
    pieces: Mapping[str, Piece] = field(default_factory=dict)
    judgement: Judgement | None = None


def heal_group(kit: Kit, group: Group, snapshot: Snapshot) -> GroupEnd:
    """Ask for a group's code until its tests are green or get further.

    Never raises for what the model, the sandbox or the candidate does.
    """
    return _Loop(kit, group, snapshot).run()


class _Loop:
    """The attempts of one group."""

    def __init__(self, kit: Kit, group: Group, snapshot: Snapshot) -> None:
        self._kit = kit
        self._group = group
        self._snapshot = snapshot
        self._attempts = list(group.attempts)
        self._limit = len(self._attempts) + group.left
        self._doubts = Doubts()
        self._last: _Step | None = None
        self._holdout = kit.holdout(group, snapshot.results)
        self._entered = {each.nodeid: frozenset(each.entered) for each in snapshot.results}

    def run(self) -> GroupEnd:
        kit, group = self._kit, self._group
        label = label_of(kit, group)
        while len(self._attempts) < self._limit:
            number = len(self._attempts) + 1
            kit.progress.stage(label, number, self._limit, "asking")
            kit.pool.prepare(2)  # one for this reply, and one for what follows it
            try:
                shown = self._snapshot.code.including(group.earlier_code)
                held = self._holdout.for_attempt(self._attempts, is_last=number == self._limit)
                asked_at = time.monotonic()
                reply = kit.ask(group, self._snapshot.results, shown, self._attempts, held)
                asking_seconds = time.monotonic() - asked_at
                if reply.gave_up is not None:
                    why = f"the model gave up: {reply.gave_up}"
                    self._note(Attempt(verdict="unusable", why=why), reply, asking_seconds)
                    return self._end(reason=reply.gave_up)
                kit.progress.stage(label, number, self._limit, "verifying")
                step = self._try(reply)
            except (ModelUnavailable, SandboxFailed, EditConflict) as error:
                return self._end(reason=str(error))
            self._note(step.attempt, reply, asking_seconds)
            if step.judgement is not None:
                self._last = step
                if step.attempt.verdict == "passed":
                    return self._end(kept=step.pieces)
                if step.judgement.ended_early:
                    continue  # it speaks against the candidate alone
                kept = innocent(step.judgement, group.keys) if len(group.keys) > 1 else []
                if not kept and self._is_for_others_to_answer(step.judgement):
                    kept = list(group.keys)
                if kept:
                    return self._end(kept={key: step.pieces[key] for key in kept})
                blamed = self._others_to_blame(step.judgement)
                if blamed:
                    return self._end(reason=last_why(self._attempts), joint_with=blamed)
        return self._end(reason=last_why(self._attempts))

    def _note(self, attempt: Attempt, reply: Reply, asking_seconds: float) -> None:
        attempt = replace(
            attempt,
            asking_seconds=asking_seconds,
            input_tokens=reply.input_tokens,
            output_tokens=reply.output_tokens,
        )
        self._attempts.append(attempt)
        self._kit.relay.attempted(self._group.keys, len(self._attempts), attempt)

    def _try(self, reply: Reply) -> _Step:
        code = "\n\n".join(reply.blocks)
        group = self._group
        try:
            candidate = self._kit.candidate(group, reply)
            pieces = dict(zip(group.keys, candidate.pieces, strict=True))
            outcome, judgement = self._judged(pieces, self._checks(candidate), code)
        except Unusable as error:
            return _Step(attempt=_unverified("unusable", str(error), code))
        except Refused as error:
            return _Step(attempt=_unverified("refused", str(error), code))
        attempt = Attempt(
            verdict=judgement.verdict,
            why=judgement.why,
            seconds=outcome.seconds,
            code=code,
            traceback=judgement.traceback,
            red=judgement.red,
            printed=judgement.printed,
            not_run=judgement.not_run,
        )
        return _Step(attempt=attempt, pieces=pieces, judgement=judgement)

    def _verified(
        self,
        pieces: Mapping[str, Piece],
        checks: Mapping[str, str],
        early_end: EarlyEnd | None = None,
    ) -> RunOutcome:
        tests, snapshot = self._group.tests, self._snapshot
        outcome = self._kit.verify(
            tests,
            snapshot.code.including(pieces),
            checks=checks,
            timeout_seconds=snapshot.suite_seconds if len(tests) > MANY_TESTS else None,
            under_trial=self._group.keys,
            first=self._red_last(),
            last=self._holdout.order(tests),
            early_end=early_end,
        )
        if outcome.ending == "sandbox-failed":
            raise SandboxFailed(outcome.why)
        return outcome

    def _red_last(self) -> set[str]:
        """The tests that failed when they were last run for this group.

        None for its last attempt: should a project's tests mind their order after all, this
        one is the project's own.
        """
        if self._is_last_attempt():
            return set()
        latest = next((each.red for each in reversed(self._attempts) if each.red), None)
        if latest is None:
            latest = tuple(each for each in self._snapshot.results if each.outcome != "passed")
        return {each.nodeid for each in latest if each.outcome == "failed"}

    def _is_last_attempt(self) -> bool:
        return len(self._attempts) + 1 >= self._limit

    def _judged(
        self, pieces: Mapping[str, Piece], checks: Mapping[str, str], code: str
    ) -> tuple[RunOutcome, Judgement]:
        """Run and judge a candidate, with tests left out of account that turn out to be flaky."""
        group, doubts, is_last = self._group, self._doubts, self._is_last_attempt()
        early_end = self._early_end()
        outcome = self._verified(pieces, checks, early_end)
        doubts.compare(_tree(code), outcome)
        judgement = self._judge(outcome)
        if judgement.ended_early and not _is_decisive(judgement.red, early_end):
            # With all that is known now, the red ones do not speak against it alone.
            outcome = self._verified(pieces, checks)
            judgement = self._judge(outcome)
        if judgement.verdict == "failed" and doubts.is_worth_a_rerun(
            judgement, group.keys, is_last=is_last
        ):
            doubts.settle(judgement, lambda: self._verified(pieces, {}))
            judgement = self._judge(outcome)
        if judgement.verdict == "passed" and doubts.are_all_there_is(judgement, group.keys):
            why = f"{min(doubts.flaky)} is flaky: green and red with the same code, no evidence"
            judgement = Judgement(
                verdict="failed", why=why, traceback=why, results=judgement.results
            )
        return outcome, judgement

    def _judge(self, outcome: RunOutcome) -> Judgement:
        return judge(outcome, self._group.tests, self._gets_further, self._doubts.flaky)

    def _early_end(self) -> EarlyEnd:
        """Which red tests leave nothing to be decided by the others.

        That is what `innocent`, `_is_for_others_to_answer`, `_others_to_blame` and the doubts
        ask of the red tests of this attempt.
        """
        group, snapshot, stubs = self._group, self._snapshot, self._kit.stubs
        are_living = all(stubs[key].is_living for key in group.keys)
        number = len(self._attempts) + 1
        doubtful = set(snapshot.code) if group.earlier_code else set(snapshot.unproven)
        if self._is_early(number):
            doubtful.intersection_update(snapshot.code)
        may_be_weak = ATTEMPTS_BEFORE_BLAMING_WEAK_ONES <= number < self._limit
        return EarlyEnd(
            keys=frozenset(group.keys),
            elsewhere=frozenset(
                key
                for key, stub in stubs.items()
                if key not in group.keys
                and snapshot.code.find(key) is None
                and (are_living or not stub.is_living)
            ),
            doubtful=frozenset(doubtful),
            weak=snapshot.weak if may_be_weak else frozenset(),
            uncounted=frozenset(self._doubts.flaky),
            unseen=self._holdout.unseen(group.tests),
            fewest=self._doubts.fewest_steady(is_last=self._is_last_attempt()),
            shown=MAX_TRACEBACKS,
        )

    def _gets_further(self, result: TestResult) -> bool:
        """Whether a red test stopped at something that nobody has been asked for yet.

        A living function is that only where living functions are asked for: elsewhere it
        is more likely right than the code that calls it.
        """
        elsewhere = [
            key
            for key in result.entered
            if key in self._kit.stubs
            and self._snapshot.code.find(key) is None
            and key not in self._group.keys
        ]
        if any(not self._kit.stubs[key].is_living for key in elsewhere):
            return True
        if not all(self._kit.stubs[key].is_living for key in self._group.keys):
            return False
        return not self._entered.get(result.nodeid, frozenset()).issuperset(elsewhere)

    def _checks(self, candidate: Candidate) -> dict[str, str]:
        """The model's own asserts, in the names of the first target's module."""
        path = self._kit.stubs[self._group.keys[0]].path
        return {path: candidate.checks} if candidate.checks.strip() else {}

    def _is_for_others_to_answer(self, judgement: Judgement) -> bool:
        """Whether tests of their own clear the group's stubs, and the red ones enter doubtful code.

        Then it is kept, and the code that nothing speaks for is asked for again.
        """
        if judgement.verdict != "failed":
            return False
        doubtful = {key for key in self._snapshot.unproven if key in self._snapshot.code}
        red = all(not doubtful.isdisjoint(each.entered) for each in judgement.red)
        green: set[str] = set()
        for each in judgement.results:
            if each.outcome == "passed" and not each.is_check:
                green.update(each.entered)
        return red and green.issuperset(self._group.keys)

    def _others_to_blame(self, judgement: Judgement) -> tuple[str, ...]:
        """Other stubs whose code every red test entered, and that may be wrong as well.

        At first that is code which no green test has entered, later also such that few
        have. Of a group that was blamed itself, and whose next reply did not help, it is
        all the code that its tests enter.
        """
        number, snapshot = len(self._attempts), self._snapshot
        doubtful = snapshot.code.keys() if self._group.earlier_code else snapshot.unproven
        if not judgement.red or self._is_early(number):
            return ()
        entered = [doubtful & set(result.entered) for result in judgement.red]
        if all(entered):
            return tuple(sorted(frozenset().union(*entered)))
        if number < ATTEMPTS_BEFORE_BLAMING_WEAK_ONES or number >= self._limit:
            return ()
        common = snapshot.weak.intersection(*(result.entered for result in judgement.red))
        return tuple(sorted(common))

    def _is_early(self, number: int) -> bool:
        """Whether an attempt's red tests blame no other stub yet."""
        before = min(ATTEMPTS_BEFORE_BLAMING_OTHERS, self._limit)
        return number < before and not self._group.earlier_code

    def _end(
        self,
        *,
        kept: Mapping[str, Piece] | None = None,
        reason: str | None = None,
        joint_with: tuple[str, ...] = (),
    ) -> GroupEnd:
        last = self._last
        judgement = last.judgement if last is not None else None
        return GroupEnd(
            group=self._group,
            attempts=tuple(self._attempts),
            pieces=kept or {},
            results=judgement.results if judgement is not None else (),
            seen_with=self._snapshot.code.including(last.pieces if last is not None else {}),
            reason=reason,
            joint_with=joint_with,
            flaky=frozenset(self._doubts.flaky),
            untrusted=bool(self._attempts) and self._attempts[-1].verdict == "untrusted",
        )


def label_of(kit: Kit, group: Group) -> str:
    """What the progress calls a group."""
    first = kit.stubs[group.keys[0]].target
    return first if len(group.keys) == 1 else f"{first} (+{len(group.keys) - 1})"


def _unverified(verdict: Verdict, why: str, code: str) -> Attempt:
    return Attempt(verdict=verdict, why=why, code=code, traceback=why)


def _is_decisive(red: Sequence[TestResult], early_end: EarlyEnd) -> bool:
    """Whether red tests leave nothing to be decided by others."""
    failing = Failing(**asdict(early_end))
    for each in red:
        if not each.is_check:
            failing.add(each.nodeid, each.entered)
    return failing.is_decisive


def _tree(code: str) -> str:
    """What a reply's code means: the same for the same code, however it is laid out."""
    try:
        return ast.dump(ast.parse(code))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return code
