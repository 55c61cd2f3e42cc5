"""Confirmed code that its reviewer wants otherwise: written anew by hand, or asked for again.

Another code comes into the place of a stub's confirmed one only after it went the same
way: read, vetted, verified with its tests, and confirmed with everything else. Until then
nothing that is known changes, so that a revision that fails, or is broken off, costs nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from pytest_selfheal.errors import EditConflict, Refused, SandboxFailed, Unusable
from pytest_selfheal.healing.board import Group, GroupEnd
from pytest_selfheal.healing.code import Code
from pytest_selfheal.healing.confirm import Confirmation
from pytest_selfheal.healing.group_loop import heal_group, label_of
from pytest_selfheal.healing.groups import last_why
from pytest_selfheal.healing.judge import judge, last_error_line, tracebacks
from pytest_selfheal.healing.run import Heal
from pytest_selfheal.healing.runs import run_tests
from pytest_selfheal.healing.snapshot import Snapshot
from pytest_selfheal.records import Attempt, Reply
from pytest_selfheal.source.piece_text import piece_text

HINT_LIMIT = 500
"""Characters of a hint: more would be cut out of the prompt's one line on an attempt."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    """What came of a revision. It is in force only where it was put in place."""

    attempts: tuple[Attempt, ...] = ()
    """Those that it took, the last one the newest."""
    problem: str | None = None
    """Why the code from before stays, in one line; None where it is green."""
    traceback: str = ""
    _end: GroupEnd | None = None
    _confirmation: Confirmation | None = field(default=None, repr=False)


class Reviser:
    """Tries other code for confirmed stubs of a heal."""

    def __init__(self, heal: Heal) -> None:
        self._heal = heal

    def code(self, key: str) -> str:
        """The present code of a stub, complete, as a reply would give it."""
        return piece_text(self._heal.confirmed[key])

    def attempts_left(self, key: str) -> int:
        """How many more replies may be tried for a stub."""
        return max(0, self._heal.board.left(key))

    def edited(self, key: str, code: str) -> Revision:
        """Try code that somebody wrote. May be called from any thread; changes nothing.

        Raises:
            SandboxFailed: None could be started, or it was lost.
        """
        heal, kit = self._heal, self._heal.kit
        group = self._group(key, heal.board.history.get(key, ()))
        kit.progress.stage("your edit", 0, 0, "verifying")
        reply = Reply(text=code, blocks=(code,))
        try:
            piece = kit.candidate(group, reply).pieces[0]
            rest = self._rest(key)
            outcome = kit.verify(group.tests, rest.including({key: piece}), under_trial=(key,))
        except (Unusable, EditConflict, Refused) as error:
            return Revision(problem=str(error).replace("the reply", "the edit"))
        finally:
            kit.progress.drop("your edit")
        if outcome.ending == "sandbox-failed":
            raise SandboxFailed(outcome.why)
        judgement = judge(outcome, group.tests, lambda _: False, heal.board.flaky)
        attempt = Attempt(
            verdict=judgement.verdict,
            why=judgement.why,
            seconds=outcome.seconds,
            code=code,
            traceback=judgement.traceback,
            red=judgement.red,
            printed=judgement.printed,
            is_reviewers=True,
        )
        if attempt.verdict != "passed":
            return Revision(attempts=(attempt,), problem=attempt.why, traceback=attempt.traceback)
        end = GroupEnd(
            group=group,
            attempts=(*group.attempts, attempt),
            pieces={key: piece},
            results=judgement.results,
            seen_with=rest.including({key: piece}),
        )
        return self._confirmed(key, end, (attempt,))

    def asked_again(self, key: str, hint: str) -> Revision:
        """Ask the model for other code. May be called from any thread; changes nothing.

        Raises:
            SandboxFailed: None could be started, or it was lost.
        """
        heal = self._heal
        history = heal.board.history.get(key, ())
        left = self.attempts_left(key)
        if not left:
            return Revision(
                problem=f"its attempts are used up ({len(history)}): raise --selfheal-attempts, "
                "or the number at its marker"
            )
        # Red as it is without the code, so that the prompt tells what is to turn green.
        rest = self._rest(key)
        tests = self._group(key, ()).tests
        label = label_of(heal.kit, self._group(key, ()))
        heal.kit.progress.stage(label, 0, 0, "tracing")
        before = run_tests(heal.kit, tests, rest, timeout_seconds=heal.suite_seconds())
        wanted = Attempt(
            verdict="refused",
            why=f"its tests pass, and its reviewer wants it otherwise: {hint}",
            code=self.code(key),
        )
        group = self._group(key, (*_without_green(history), wanted), left)
        snapshot = Snapshot(results=before.results, code=rest, suite_seconds=heal.suite_seconds())
        end = heal_group(heal.kit, group, snapshot)
        heal.kit.progress.drop(label)
        made = end.attempts[len(group.attempts) :]
        end = replace(end, group=self._group(key, history), attempts=(*history, *made))
        if key not in end.pieces:
            last = made[-1] if made else None
            return Revision(
                attempts=made,
                problem=end.reason or last_why(made),
                traceback=last.traceback if last is not None else "",
                _end=replace(end, pieces={}, reason=None, flaky=frozenset()),
            )
        return self._confirmed(key, end, made)

    def put_in_place(self, key: str, revision: Revision) -> bool:
        """Take note of a revision; True where its code is the confirmed one from now on."""
        heal, end = self._heal, revision._end
        if end is None:
            return False
        found = revision._confirmation
        if revision.problem is not None or found is None:
            # Replies were paid for, and count; the code from before stays.
            heal.board.history[key] = end.attempts
            return False
        if end.attempts[-1].is_reviewers:
            heal.kit.relay.attempted([key], len(end.attempts), end.attempts[-1])
        heal.board.take(end)
        heal.take_confirmation(found, heal_code(heal).including(end.pieces))
        return key in heal.confirmed

    def _confirmed(self, key: str, end: GroupEnd, made: tuple[Attempt, ...]) -> Revision:
        """See whether green code goes together with everything else."""
        found = self._heal.confirming(self._rest(key).including(end.pieces))
        problem: str | None = None
        traceback = ""
        if found.broken is not None:
            problem = f"the run of all tests did not end in order: {found.broken.why}"
            traceback = found.broken.output or problem
        elif found.objections:
            results = [each.result for each in found.objections]
            said = last_error_line(results[0].longrepr) or results[0].outcome
            problem = f"breaks {results[0].nodeid}: {said}"[:300]
            traceback = f"(in order {found.seed})\n{tracebacks(results)}"
        if problem is None:
            return Revision(attempts=made, _end=end, _confirmation=found)
        last = replace(made[-1], verdict="failed", why=problem, traceback=traceback)
        end = replace(end, attempts=(*end.attempts[:-1], last))
        is_paid_for = not last.is_reviewers
        return Revision(
            attempts=(*made[:-1], last),
            problem=problem,
            traceback=traceback,
            _end=end if is_paid_for else None,
        )

    def _rest(self, key: str) -> Code:
        return heal_code(self._heal).without([key])

    def _group(self, key: str, attempts: tuple[Attempt, ...], left: int = 0) -> Group:
        board = self._heal.board
        tests = [test for test in board.tests_reaching(key) if test not in board.flaky]
        return Group(keys=(key,), tests=tuple(tests), attempts=attempts, left=left)


def _without_green(history: Sequence[Attempt]) -> list[Attempt]:
    """All but the last green attempt: its code is the present one, and shown as such."""
    green = [number for number, each in enumerate(history) if each.verdict == "passed"]
    return [each for number, each in enumerate(history) if number not in green[-1:]]


def heal_code(heal: Heal) -> Code:
    """The confirmed code."""
    return Code().including(heal.confirmed)
