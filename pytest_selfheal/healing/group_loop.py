"""One group's way from the first request to green: ask, read, vet, verify, ask again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pytest_selfheal.errors import EditConflict, ModelUnavailable, Refused, SandboxFailed, Unusable
from pytest_selfheal.healing.board import Group, GroupEnd
from pytest_selfheal.healing.judge import Judgement, judge
from pytest_selfheal.healing.kit import Kit
from pytest_selfheal.records import Attempt, Candidate, Piece, Reply, TestResult, Verdict

ATTEMPTS_BEFORE_BLAMING_OTHERS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The board as a group found it; what other groups do meanwhile is not its concern."""

    results: tuple[TestResult, ...]
    """How the group's tests stand."""
    pieces: Mapping[str, Piece]
    """Code in place for other stubs."""
    unproven: frozenset[str] = frozenset()
    """Those of them that no green test has entered."""
    still_stubs: frozenset[str] = frozenset()
    """Stubs outside the group that have no code."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Step:
    """One reply, tried."""

    attempt: Attempt
    pieces: Mapping[str, Piece] | None = None
    judgement: Judgement | None = None


def heal_group(kit: Kit, group: Group, snapshot: Snapshot) -> GroupEnd:
    """Ask for a group's code until its tests are green or get further.

    Never raises for what the model, the sandbox or the candidate does.
    """
    attempts = list(group.attempts)
    limit = attempts_allowed(kit, group) - group.spent
    label = label_of(kit, group)
    reason = f"no green code in {_count(limit)}"
    while len(attempts) < limit:
        number = len(attempts) + 1
        kit.progress.stage(label, number, limit, "asking")
        kit.pool.prepare(2)  # one for this reply, and one for what follows it
        try:
            shown = {**snapshot.pieces, **group.earlier_code}
            reply = kit.ask(group, snapshot.results, shown, attempts)
            if reply.gave_up is not None:
                why = f"the model gave up: {reply.gave_up}"
                attempts.append(Attempt(verdict="unusable", why=why))
                kit.relay.attempted(group.keys, number, attempts[-1])
                return _end(group, attempts, reason=reply.gave_up)
            kit.progress.stage(label, number, limit, "verifying")
            step = _try(kit, group, snapshot, reply)
        except (ModelUnavailable, SandboxFailed, EditConflict) as error:
            return _end(group, attempts, reason=str(error))
        attempts.append(step.attempt)
        kit.relay.attempted(group.keys, number, step.attempt)
        if step.attempt.verdict == "passed" and step.judgement is not None:
            return GroupEnd(
                group=group,
                attempts=tuple(attempts),
                pieces=step.pieces,
                results=step.judgement.results,
            )
        blamed = _others_to_blame(group, step.judgement, snapshot)
        if blamed and (group.earlier_code or number >= ATTEMPTS_BEFORE_BLAMING_OTHERS):
            return GroupEnd(group=group, attempts=tuple(attempts), reason=reason, joint_with=blamed)
    return _end(group, attempts, reason=_last_why(attempts) or reason)


def attempts_allowed(kit: Kit, group: Group) -> int:
    """How many replies are tried: the most that a marker or the settings allow."""
    own = [kit.stubs[key].options.attempts or kit.settings.attempts for key in group.keys]
    return max(own)


def label_of(kit: Kit, group: Group) -> str:
    """What the progress calls a group."""
    first = kit.stubs[group.keys[0]].target
    return first if len(group.keys) == 1 else f"{first} (+{len(group.keys) - 1})"


def _try(kit: Kit, group: Group, snapshot: Snapshot, reply: Reply) -> _Step:
    code = "\n\n".join(reply.blocks)
    try:
        candidate = kit.candidate(group, reply)
        pieces = _pieces(group, candidate)
        outcome = kit.verify(
            group.tests, {**snapshot.pieces, **pieces}, checks=_checks(group, kit, candidate)
        )
    except Unusable as error:
        return _Step(attempt=_unverified("unusable", str(error), code))
    except Refused as error:
        return _Step(attempt=_unverified("refused", str(error), code))
    if outcome.ending == "sandbox-failed":
        raise SandboxFailed(outcome.why)

    def gets_further(result: TestResult) -> bool:
        return bool(snapshot.still_stubs & set(result.entered))

    judgement = judge(outcome, group.tests, gets_further)
    attempt = Attempt(
        verdict=judgement.verdict,
        why=judgement.why,
        seconds=outcome.seconds,
        code=code,
        traceback=judgement.traceback,
    )
    return _Step(attempt=attempt, pieces=pieces, judgement=judgement)


def _unverified(verdict: Verdict, why: str, code: str) -> Attempt:
    return Attempt(verdict=verdict, why=why, code=code, traceback=why)


def _pieces(group: Group, candidate: Candidate) -> dict[str, Piece]:
    return dict(zip(group.keys, candidate.pieces, strict=True))


def _checks(group: Group, kit: Kit, candidate: Candidate) -> dict[str, str]:
    """The model's own asserts, in the names of the first target's module."""
    return {kit.stubs[group.keys[0]].path: candidate.checks} if candidate.checks.strip() else {}


def _others_to_blame(
    group: Group, judgement: Judgement | None, snapshot: Snapshot
) -> tuple[str, ...]:
    """Other stubs whose code every red test entered, and that may be wrong as well.

    At first that is code which no green test has entered. Of a group that was blamed
    itself, and whose next reply did not help, it is all the code that its tests enter.
    """
    if judgement is None or not judgement.red:
        return ()
    doubtful = snapshot.pieces.keys() if group.earlier_code else snapshot.unproven
    entered = [doubtful & set(result.entered) for result in judgement.red]
    if not all(entered):
        return ()
    return tuple(sorted(frozenset().union(*entered)))


def _end(group: Group, attempts: list[Attempt], *, reason: str) -> GroupEnd:
    untrusted = bool(attempts) and attempts[-1].verdict == "untrusted"
    return GroupEnd(group=group, attempts=tuple(attempts), reason=reason, untrusted=untrusted)


def _last_why(attempts: list[Attempt]) -> str | None:
    if not attempts:
        return None
    return f"no green code in {_count(len(attempts))}; the last: {attempts[-1].why}"


def _count(attempts: int) -> str:
    return "1 attempt" if attempts == 1 else f"{attempts} attempts"
