"""Whom a red or broken run is held against: failed attempts of the code to blame."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from pytest_selfheal.healing.board import Board, GroupEnd
from pytest_selfheal.healing.confirm import Confirmation, Objection
from pytest_selfheal.healing.judge import last_error_line, tracebacks
from pytest_selfheal.records import Attempt, Piece, RunOutcome, TestResult, Verdict


def refute(board: Board, found: Confirmation, pieces: Mapping[str, Piece]) -> None:
    """Turn what a confirmation objects to into failed attempts of the code to blame."""
    blamed: dict[str, list[Objection]] = {}
    for objection in found.objections:
        for key in objection.keys or _suspects(board, objection.result, pieces):
            blamed.setdefault(key, []).append(objection)
    for key, objections in blamed.items():
        results = [each.result for each in objections]
        said = last_error_line(results[0].longrepr) or results[0].outcome
        attempt = _failed(
            board,
            key,
            why=f"breaks {results[0].nodeid}: {said}",
            traceback=f"(in the confirming run, in order {found.seed})\n{tracebacks(results)}",
            ending=objections[0].ending,
            red=results,
        )
        for result in results:
            board.refute([key], result, attempt)


def refute_broken(board: Board, outcome: RunOutcome, keys: Sequence[str]) -> None:
    """Take back code with which a run does not end in order."""
    for key in keys:
        why = f"the run of all tests did not end in order: {outcome.why}"
        attempt = _failed(board, key, why=why, traceback=outcome.output or why, ending=outcome)
        # What it printed says which case it was in, as may be.
        attempt = replace(attempt, printed=outcome.output)
        board.take_back(key, attempt)


def refute_in_the_way(board: Board, key: str, problem: str) -> None:
    """Take back code that does not go together with the others'."""
    attempt = _failed(board, key, why=problem, traceback=problem)
    board.take_back(key, replace(attempt, verdict="unusable"))


def refused(end: GroupEnd, why: str) -> GroupEnd:
    """The same group, whose code does not go together with what others found meanwhile."""
    last = end.attempts[-1]
    attempt = replace(last, verdict="unusable", why=why[:300], traceback=why)
    return GroupEnd(group=end.group, attempts=(*end.attempts[:-1], attempt))


def _suspects(board: Board, result: TestResult, pieces: Mapping[str, Piece]) -> Sequence[str]:
    known = board.tests.get(result.nodeid)
    entered = dict.fromkeys([*result.entered, *(known.seen if known is not None else ())])
    return board.relation.suspects([key for key in entered if key in pieces]) or list(pieces)


def _failed(
    board: Board,
    key: str,
    *,
    why: str,
    traceback: str,
    ending: RunOutcome | None = None,
    red: Sequence[TestResult] = (),
) -> Attempt:
    """A stub's last attempt as one that failed."""
    history = board.history.get(key, ())
    verdict: Verdict = "failed"
    if ending is not None and ending.ending != "completed" and ending.ending != "sandbox-failed":
        verdict = ending.ending
    last = history[-1] if history else Attempt(verdict=verdict)
    return replace(
        last, verdict=verdict, why=why[:300], traceback=traceback, red=tuple(red), printed=""
    )
