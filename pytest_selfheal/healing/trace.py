"""Which failing test reaches which stub, found by running them as they are."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_selfheal.errors import SandboxFailed
from pytest_selfheal.healing.kit import Kit
from pytest_selfheal.healing.runs import none_started, run_tests
from pytest_selfheal.records import TestResult


def trace(kit: Kit, tests: Sequence[str], timeout_seconds: float) -> list[TestResult]:
    """Run tests on the project as it is and see which stubs each enters.

    A test that ends or hangs its process is recorded as failed, and the tests behind it
    are run in another sandbox.

    Raises:
        SandboxFailed: None could be started, or it was lost twice.
    """
    ran = run_tests(kit, tests, {}, timeout_seconds=timeout_seconds)
    if ran.broken is not None and none_started(ran.broken):
        raise SandboxFailed(f"the tests do not start in the sandbox: {ran.broken.why}")
    return list(ran.results)
