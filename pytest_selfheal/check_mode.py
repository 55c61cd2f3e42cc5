"""Check mode: what is marked and not written yet, told without a model and without a sandbox."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING

from pytest_selfheal.records import HealReport, ModelUsage, Stub, StubReport
from pytest_selfheal.source.find import find_in_project
from pytest_selfheal.source.naming import is_test_file, unnamed
from pytest_selfheal.source.parsing import forget_parsed
from pytest_selfheal.source.project_files import project_files

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import pytest

    from pytest_selfheal.settings import Settings

_TESTS_FAILED = 1


def checked(
    config: pytest.Config,
    settings: Settings,
    failing: tuple[str, ...],
    started: float,
    exitstatus: int,
) -> HealReport:
    """Give the report of a run in check mode; with `--collect-only` no test was run for it.

    Args:
        config: pytest's.
        settings: The options of this run.
        failing: Node ids of what failed.
        started: When the run began, as `time.monotonic` has it.
        exitstatus: pytest's own.
    """
    root = config.rootpath
    found = find_in_project(root)
    forget_parsed()  # nothing more is asked of them, and pytest collects garbage after this
    stubs = [stub for stub in found.stubs if not stub.is_living]
    lonely = unnamed(stubs, _tests(root, config.getini("python_files"))) if stubs else ()
    times = Counter(stub.target for stub in stubs)  # a property and its setter share one
    if stubs and exitstatus in (0, 5):
        exitstatus = _TESTS_FAILED
    return HealReport(
        mode="check",
        exit_status=exitstatus,
        seconds=time.monotonic() - started,
        model=ModelUsage(name=settings.model),
        backend=None,
        verifications=0,
        stubs=tuple(
            StubReport(
                target=stub.target,
                status="unhealed",
                reason=_reason(
                    stub, is_twin=times[stub.target] > 1, is_lonely=stub.target in lonely
                ),
            )
            for stub in stubs
        ),
        still_failing=failing,
        warnings=found.warnings,
    )


def _reason(stub: Stub, *, is_twin: bool, is_lonely: bool) -> str:
    place = f" on line {stub.def_line}" if is_twin else ""
    return f"marked{place}, not written yet" + ("; no test names it" if is_lonely else "")


def _tests(root: Path, patterns: Sequence[str]) -> dict[str, bytes]:
    tests = {}
    for path in project_files(root):
        if is_test_file(path, patterns):
            try:
                tests[path] = (root / path).read_bytes()
            except OSError:
                continue
    return tests
