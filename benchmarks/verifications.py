"""One verification, without the rest: a sandbox's start, its job, its end."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from benchmarks.measuring import BenchmarkError, Figure, interleaved, medians, ratios
from benchmarks.projects import plain_pytest, write_project
from benchmarks.tasks import TASKS
from pytest_selfheal.protocols import Launcher
from pytest_selfheal.records import Job
from tests.sandboxes import launcher

COLD_TARGETS = {"docker": 2.6, "landlock": 1.8, "bubblewrap": 1.8}
COLD_FLOORS = {"docker": "1.7", "landlock": "1.5", "bubblewrap": "1.1"}


def parked(folder: Path, rounds: int, sandboxes: Sequence[str]) -> list[Figure]:
    """A parked sandbox's job, and a cold one, against a plain run of the same tests."""
    tasks = TASKS[:1]
    project = write_project(folder, tasks, solved=False)
    job = tasks[0].job()
    with ExitStack() as stack:
        sides: dict[str, Callable[[], float]] = {
            "plain": lambda: plain_pytest(folder, tasks).seconds
        }
        parts: dict[str, list[tuple[float, float]]] = {}
        for name in sandboxes:
            made = stack.enter_context(launcher(name, project))
            parts[name] = []
            sides[name] = _verification(made, job, parts[name])
        measured = list(interleaved(sides, rounds))
    for number, each in enumerate(measured):
        for name in sandboxes:
            # The round that was thrown away left its parts as well.
            each[f"{name} start"], each[f"{name} job"] = parts[name][number + 1]
    return [figure for name in sandboxes for figure in _figures(measured, name)]


def _figures(measured: Sequence[dict[str, float]], name: str) -> list[Figure]:
    return [
        Figure(
            name=f"a verification, {name} parked: job / plain pytest",
            values=ratios(measured, f"{name} job", "plain"),
            floor="0.20",
            target=0.35,
            detail=medians(measured, f"{name} job", "plain"),
        ),
        Figure(
            name=f"a verification, {name} cold: start and job / plain",
            values=ratios(measured, name, "plain"),
            floor=COLD_FLOORS[name],
            target=COLD_TARGETS[name],
            detail=medians(measured, name, f"{name} start"),
        ),
    ]


def _verification(
    made: Launcher, job: Job, parts: list[tuple[float, float]]
) -> Callable[[], float]:
    """Gives the seconds from nothing to an outcome; notes those of the start and the job."""

    def verify() -> float:
        begun = time.perf_counter()
        sandbox = made.launch()
        try:
            is_parked = time.perf_counter()
            outcome = sandbox.run(job)
            done = time.perf_counter()
        finally:
            sandbox.close()
        if outcome.ending != "completed" or {r.outcome for r in outcome.results} != {"passed"}:
            raise BenchmarkError(f"a right solution was not green: {outcome!r}")
        parts.append((is_parked - begun, done - is_parked))
        return done - begun

    return verify
