"""Which failing test reaches which stub, found by running them as they are."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from pytest_selfheal.errors import SandboxFailed
from pytest_selfheal.healing.kit import Kit
from pytest_selfheal.records import TestResult

MAX_ROUNDS = 8
"""How many tests that end their process are put aside before the rest is given up."""


def trace(kit: Kit, tests: Sequence[str], timeout_seconds: float) -> list[TestResult]:
    """Run tests on the project as it is and see which stubs each enters.

    A test that ends or hangs its process is recorded as failed, and the tests behind it
    are run in another sandbox.

    Raises:
        SandboxFailed: None could be started, or it was lost twice.
    """
    left = list(tests)
    results: dict[str, TestResult] = {}
    for _ in range(MAX_ROUNDS):
        outcome = kit.verify(left, {}, timeout_seconds=timeout_seconds)
        if outcome.ending == "sandbox-failed":
            raise SandboxFailed(outcome.why)
        unfinished = [each for each in outcome.results if each.outcome == "unfinished"]
        if outcome.ending == "crashed" and _none_started(outcome.results):
            raise SandboxFailed(f"the tests do not start in the sandbox: {outcome.why}")
        for each in outcome.results:
            results[each.nodeid] = each
        if outcome.ending == "completed" or not unfinished:
            break
        culprit = unfinished[0]
        text = "\n".join(part for part in (outcome.why, outcome.output.strip()) if part)
        results[culprit.nodeid] = dataclasses.replace(culprit, outcome="failed", longrepr=text)
        left = [each.nodeid for each in unfinished[1:]]
        if not left:
            break
    return list(results.values())


def _none_started(results: Sequence[TestResult]) -> bool:
    return all(each.outcome == "unfinished" and each.phase == "collect" for each in results)
