"""One group's way from the first request to green: ask, read, vet, verify, ask again."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from pytest_selfheal.errors import EditConflict, ModelUnavailable, Refused, SandboxFailed, Unusable
from pytest_selfheal.healing.blame import Blame, is_decisive
from pytest_selfheal.healing.board import Group, GroupEnd
from pytest_selfheal.healing.flaky import Doubts
from pytest_selfheal.healing.groups import last_why
from pytest_selfheal.healing.holdout import Holdout
from pytest_selfheal.healing.judge import Judgement, innocent, judge
from pytest_selfheal.healing.kit import Inquiry, Kit
from pytest_selfheal.healing.samples import Samples
from pytest_selfheal.healing.snapshot import Snapshot
from pytest_selfheal.healing.steps import SeenCode, Step, Tried, tree_of
from pytest_selfheal.healing.stuck import Approach, described, plan
from pytest_selfheal.model.wanted import check
from pytest_selfheal.records import (
    Attempt,
    Candidate,
    EarlyEnd,
    Piece,
    Reply,
    RunOutcome,
    Verdict,
)

_ENDS_A_GROUP = (ModelUnavailable, SandboxFailed, EditConflict)
MANY_TESTS = 50
"""More than so many may take as long as the whole selection."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Turn:
    """What all replies of a turn have in common."""

    attempts: tuple[Attempt, ...]
    first: int
    """The number of its first request."""
    count: int
    """How many there are."""
    approach: Approach
    how: str
    """The same in words."""
    holdout: Holdout
    red_first: frozenset[str]
    """The tests that are run before others: none in the last turn. Should a project's tests
    mind their order after all, that one is the project's own."""
    early_end: EarlyEnd | None
    """None where candidates are compared by how much they pass."""
    seen: SeenCode = field(default_factory=SeenCode)


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
        self._last: Step | None = None
        self._holdout = kit.holdout(group, snapshot.results)
        self._blame = Blame(group, snapshot, kit.stubs, self._limit)

    def run(self) -> GroupEnd:
        group = self._group
        while len(self._attempts) < self._limit:
            try:
                steps = self._take_turn()
            except _ENDS_A_GROUP as error:
                return self._end(reason=str(error))
            self._attempts += [step.attempt for step in steps]
            step = steps[-1]
            if step.gave_up is not None:
                return self._end(reason=step.gave_up)
            if step.judgement is not None:
                self._last = step
                if step.attempt.verdict == "passed":
                    return self._end(kept=step.pieces)
                if step.judgement.ended_early:
                    continue  # it speaks against the candidate alone
                kept = innocent(step.judgement, group.keys) if len(group.keys) > 1 else []
                if not kept and self._blame.is_on_others(step.judgement):
                    kept = list(group.keys)
                if kept:
                    return self._end(kept={key: step.pieces[key] for key in kept})
                blamed = self._blame.others(step.judgement, len(self._attempts))
                if blamed:
                    return self._end(reason=last_why(self._attempts), joint_with=blamed)
        return self._end(reason=last_why(self._attempts))

    # --- one turn: as many replies as are wanted at once ----------------------------------

    def _take_turn(self) -> list[Step]:
        """Ask, and try each reply as it comes until one is green; the best stands last.

        Raises:
            ModelUnavailable, SandboxFailed, EditConflict: That is all that came of it.
        """
        kit, turn = self._kit, self._next_turn()
        self._show("asking", turn)
        kit.pool.prepare(turn.count + 1)  # one for each reply, and one for what follows it
        # A replay waits for nobody, and is to come to the same end each time.
        in_order = kit.settings.candidates == 1 or kit.settings.replay is not None
        samples = Samples(
            range(turn.first, turn.first + turn.count),
            lambda number: self._try(turn, number),
            None if in_order else kit.executor,
        )
        steps: dict[int, Step] = {}
        repeated: list[Tried] = []
        problems: list[Exception] = []
        for tried in samples.come():
            if isinstance(tried, Exception):
                problems.append(tried)
            elif tried.same_as is not None:
                repeated.append(tried)
            else:
                step = steps[tried.attempt.number] = self._judge(tried, turn)
                if step.attempt.verdict == "passed":
                    samples.enough()
        for problem in problems:
            if not steps or not isinstance(problem, _ENDS_A_GROUP):
                raise problem
        steps |= self._repeated(repeated, steps, turn)
        return sorted(steps.values(), key=lambda step: step.merit)

    def _next_turn(self) -> _Turn:
        kit, settings, attempts = self._kit, self._kit.settings, tuple(self._attempts)
        has_second = settings.escalate_model is not None and kit.halt.second_reason is None
        count = min(settings.candidates, self._limit - len(attempts))
        is_last = len(attempts) + count >= self._limit
        holdout = self._holdout.for_attempt(attempts, is_last=is_last)
        # A request that shows what was held out shows how it failed, too.
        has_news = bool(self._holdout) and not holdout
        approach = plan(
            attempts,
            may_change=settings.when_stuck == "change" and not has_news,
            escalate_after=settings.escalate_after if has_second else None,
        )
        return _Turn(
            attempts=attempts,
            first=1 + max([len(attempts), *(each.number for each in attempts)]),
            count=count,
            approach=approach,
            how=described(approach, settings.escalate_model, count),
            holdout=holdout,
            red_first=frozenset() if is_last else self._red_last(),
            early_end=None
            if count > 1
            else self._blame.early_end(
                len(attempts) + 1, self._doubts, self._holdout.unseen(self._group.tests)
            ),
        )

    def _repeated(
        self, repeated: Sequence[Tried], steps: Mapping[int, Step], turn: _Turn
    ) -> dict[int, Step]:
        """What replies come to whose code another one of the turn had, where that failed."""
        found: dict[int, Step] = {}
        is_won = any(step.attempt.verdict == "passed" for step in steps.values())
        for tried in repeated:
            known = steps.get(tried.same_as or 0)
            if known is None or known.attempt.verdict == "passed":
                continue
            if known.failed_its_own_checks_alone and not is_won:
                # With other checks it may pass.
                step = self._judge(self._run(tried.reply, tried.attempt, turn), turn)
                is_won = step.attempt.verdict == "passed"
            else:
                step = self._told(known.repeated_by(tried))
            found[tried.attempt.number] = step
        return found

    def _show(self, what: str, turn: _Turn) -> None:
        number, label = len(turn.attempts) + 1, label_of(self._kit, self._group)
        self._kit.progress.stage(label, number, self._limit, what, turn.how, self._standing())

    def _standing(self) -> tuple[int, int]:
        """How many of the group's tests were green the last time, and of how many."""
        judgement = self._last.judgement if self._last is not None else None
        results = self._snapshot.results if judgement is None else judgement.results
        green = {each.nodeid for each in results if each.outcome == "passed"}
        return sum(nodeid in green for nodeid in self._group.tests), len(self._group.tests)

    def _try(self, turn: _Turn, number: int) -> Tried:
        """Ask once, and run what comes. Other threads do so at the same time."""
        kit, group, shown = self._kit, self._group, self._snapshot.code
        if turn.approach.strategy != "fresh":
            shown = shown.including(group.earlier_code)
        asked_at = time.monotonic()
        reply = kit.ask(
            Inquiry(
                group=group,
                results=self._snapshot.results,
                provisional=shown,
                attempts=turn.attempts,
                holdout=turn.holdout,
                approach=turn.approach,
                number=number,
            )
        )
        check()
        attempt = Attempt(
            verdict="unusable",
            code="\n\n".join(reply.blocks),
            asking_seconds=time.monotonic() - asked_at,
            input_tokens=reply.input_tokens,
            output_tokens=reply.output_tokens,
            number=number,
            turn=turn.first,
            strategy=turn.approach.strategy,
            model=reply.model,
        )
        if reply.gave_up is not None:
            why = f"the model gave up: {reply.gave_up}"
            return Tried(reply=reply, attempt=replace(attempt, why=why))
        same_as = turn.seen.first_with(reply.blocks, number) if reply.blocks else None
        if same_as is not None:
            return Tried(reply=reply, attempt=attempt, same_as=same_as)
        return self._run(reply, attempt, turn)

    def _run(self, reply: Reply, attempt: Attempt, turn: _Turn) -> Tried:
        try:
            candidate = self._kit.candidate(self._group, reply)
            pieces = dict(zip(self._group.keys, candidate.pieces, strict=True))
            checks = self._checks(candidate)
            self._show("verifying", turn)
            outcome = self._verified(pieces, checks, turn, turn.early_end)
        except (Unusable, Refused) as error:
            verdict: Verdict = "unusable" if isinstance(error, Unusable) else "refused"
            why = str(error)
            failed = replace(attempt, verdict=verdict, why=why, traceback=why)
            return Tried(reply=reply, attempt=failed)
        return Tried(reply=reply, attempt=attempt, pieces=pieces, checks=checks, outcome=outcome)

    def _judge(self, tried: Tried, turn: _Turn) -> Step:
        attempt = tried.attempt
        if tried.outcome is None:
            return self._told(Step(attempt=attempt, gave_up=tried.reply.gave_up))
        outcome, judgement = self._judged(tried, tried.outcome, turn)
        attempt = replace(
            attempt,
            verdict=judgement.verdict,
            why=judgement.why,
            seconds=outcome.seconds,
            traceback=judgement.traceback,
            red=judgement.red,
            printed=judgement.printed,
            not_run=judgement.not_run,
        )
        return self._told(Step(attempt=attempt, pieces=tried.pieces, judgement=judgement))

    def _told(self, step: Step) -> Step:
        self._kit.relay.attempted(self._group.keys, step.attempt.number, step.attempt)
        return step

    def _verified(
        self,
        pieces: Mapping[str, Piece],
        checks: Mapping[str, str],
        turn: _Turn,
        early_end: EarlyEnd | None = None,
    ) -> RunOutcome:
        tests, snapshot = self._group.tests, self._snapshot
        outcome = self._kit.verify(
            tests,
            snapshot.code.including(pieces),
            checks=checks,
            timeout_seconds=snapshot.suite_seconds if len(tests) > MANY_TESTS else None,
            under_trial=self._group.keys,
            first=turn.red_first,
            last=self._holdout.order(tests),
            early_end=early_end,
        )
        if outcome.ending == "sandbox-failed":
            raise SandboxFailed(outcome.why)
        return outcome

    def _red_last(self) -> frozenset[str]:
        """The tests that failed when they were last run for this group."""
        latest = next((each.red for each in reversed(self._attempts) if each.red), None)
        if latest is None:
            latest = tuple(each for each in self._snapshot.results if each.outcome != "passed")
        return frozenset(each.nodeid for each in latest if each.outcome == "failed")

    def _judged(
        self, tried: Tried, outcome: RunOutcome, turn: _Turn
    ) -> tuple[RunOutcome, Judgement]:
        """Judge a candidate, with tests left out of account that turn out to be flaky.

        What it is judged by is another outcome where the first one left out too much.
        """
        group, doubts, pieces = self._group, self._doubts, tried.pieces
        place = tried.attempt.number - turn.first + 1
        is_last = len(turn.attempts) + place >= self._limit
        doubts.compare(tree_of(tried.attempt.code), outcome)
        judgement = self._judgement(outcome)
        if judgement.ended_early and not is_decisive(judgement.red, turn.early_end):
            # With all that is known now, the red ones do not speak against it alone.
            outcome = self._verified(pieces, tried.checks, turn)
            judgement = self._judgement(outcome)
        is_doubtful = judgement.verdict == "failed" and doubts.is_worth_a_rerun(
            judgement, group.keys, is_last=is_last
        )
        if is_doubtful:
            doubts.settle(judgement, lambda: self._verified(pieces, {}, turn))
            judgement = self._judgement(outcome)
        if judgement.verdict == "passed" and doubts.are_all_there_is(judgement, group.keys):
            why = f"{min(doubts.flaky)} is flaky: green and red with the same code, no evidence"
            judgement = Judgement(
                verdict="failed", why=why, traceback=why, results=judgement.results
            )
        return outcome, judgement

    def _judgement(self, outcome: RunOutcome) -> Judgement:
        return judge(outcome, self._group.tests, self._blame.gets_further, self._doubts.flaky)

    def _checks(self, candidate: Candidate) -> dict[str, str]:
        """The model's own asserts, in the names of the first target's module."""
        path = self._kit.stubs[self._group.keys[0]].path
        return {path: candidate.checks} if candidate.checks.strip() else {}

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
