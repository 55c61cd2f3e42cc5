"""Whole heals, from the start of pytest to its end, with a model that takes its time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from benchmarks.measuring import BenchmarkError, Figure, interleaved, medians, ratios
from benchmarks.projects import LATENCY_SECONDS, heal, plain_pytest, write_project
from benchmarks.tasks import SLOW, TASKS, Task
from pytest_selfheal.healing.judge import MAX_TRACEBACKS
from pytest_selfheal.protocols import Launcher
from pytest_selfheal.records import EarlyEnd, Job
from tests.sandboxes import launcher

JOBS = 8
TOKENS_PER_SECOND = 80.0
ONE = TASKS[:1]


def one_stub(folder: Path, rounds: int, sandboxes: Sequence[str]) -> list[Figure]:
    """One stub, right at once and wrong first, in units of one plain run of its tests."""
    sides: dict[str, Callable[[], float]] = {
        "plain": lambda: plain_pytest(folder, ONE).seconds,
    }
    for name in sandboxes:
        sides[f"{name} right"] = _healing(folder, name, ONE[0], wrong_first=False)
        sides[f"{name} wrong"] = _healing(folder, name, ONE[0], wrong_first=True)
    measured = list(interleaved(sides, rounds))
    figures = []
    for name in sandboxes:
        right, wrong = f"{name} right", f"{name} wrong"
        figures += [
            Figure(
                name=f"one stub, {name}: (wall - latency) / plain pytest",
                values=tuple((each[right] - LATENCY_SECONDS) / each["plain"] for each in measured),
                floor="4",
                target=6.0,
                detail=medians(measured, right, "plain"),
            ),
            Figure(
                name=f"a wrong reply adds, {name}: (more - latency) / plain",
                values=tuple(
                    (each[wrong] - each[right] - LATENCY_SECONDS) / each["plain"]
                    for each in measured
                ),
                floor="0.2",
                target=0.8,
                detail=medians(measured, wrong, right),
            ),
        ]
    return figures


def slow_tests(folder: Path, rounds: int, sandboxes: Sequence[str]) -> list[Figure]:
    """What a wrong reply costs where the tests of one stub take seconds, and all of them fail."""
    sides: dict[str, Callable[[], float]] = {
        "plain": lambda: plain_pytest(folder, [SLOW]).seconds,
    }
    project = write_project(folder, [SLOW], solved=False)
    early_end = EarlyEnd(keys=frozenset({SLOW.target}), shown=MAX_TRACEBACKS)
    with ExitStack() as stack:
        for name in sandboxes:
            sides[f"{name} right"] = _healing(folder, name, SLOW, wrong_first=False)
            sides[f"{name} wrong"] = _healing(folder, name, SLOW, wrong_first=True)
            made = stack.enter_context(launcher(name, project))
            wrong = f"return {SLOW.wrong}"
            sides[f"{name} early"] = _refuting(made, SLOW.job(wrong, early_end))
            sides[f"{name} whole"] = _refuting(made, SLOW.job(wrong))
        measured = list(interleaved(sides, rounds, warm_up=False))
    figures = []
    for name in sandboxes:
        right, wrong = f"{name} right", f"{name} wrong"
        figures += [
            Figure(
                name=f"{len(SLOW.cases)} slow tests, {name}: (wrong - right - latency) / plain",
                values=tuple(
                    (each[wrong] - each[right] - LATENCY_SECONDS) / each["plain"]
                    for each in measured
                ),
                target=0.3,
                detail=medians(measured, wrong, right, "plain"),
            ),
            Figure(
                name=f"{len(SLOW.cases)} red tests, {name}: as far as needed / all",
                values=ratios(measured, f"{name} early", f"{name} whole"),
                target=0.3,
                detail=medians(measured, f"{name} early", f"{name} whole"),
            ),
        ]
    return figures


def _refuting(made: Launcher, job: Job) -> Callable[[], float]:
    """Gives the seconds of a job in a parked sandbox, which must be red."""

    def refuted() -> float:
        sandbox = made.launch()
        try:
            outcome = sandbox.run(job)
        finally:
            sandbox.close()
        if not any(each.outcome == "failed" for each in outcome.results):
            raise BenchmarkError(f"a wrong solution was not red: {outcome!r}")
        return outcome.seconds

    return refuted


def _healing(folder: Path, sandbox: str, task: Task, *, wrong_first: bool) -> Callable[[], float]:
    return lambda: heal(folder, [task], sandbox, wrong_first=wrong_first).run.seconds


def many_stubs(folder: Path, rounds: int, sandboxes: Sequence[str]) -> list[Figure]:
    """Twenty stubs that share nothing, against what the model's latency alone would take."""
    waves = -(-len(TASKS) // JOBS)
    variants: dict[str, tuple[float, dict[str, float], Mapping[str, object]]] = {
        "fixed latency": (waves * LATENCY_SECONDS, {"landlock": 2.5, "docker": 4.0}, {}),
        "wrong first": (
            2 * waves * LATENCY_SECONDS,
            {"landlock": 1.8, "docker": 3.5},
            {"wrong_first": True},
        ),
    }
    sides: dict[str, Callable[[], float]] = {
        f"{name} {variant}": _healing_all(folder, name, options)
        for name in sandboxes
        for variant, (_, _, options) in variants.items()
    }
    # How long one plain run takes in the same rounds tells how busy the machine was.
    sides["plain"] = lambda: plain_pytest(folder, ONE).seconds
    measured = list(interleaved(sides, rounds, warm_up=False))
    return [
        Figure(
            name=f"{len(TASKS)} stubs, {JOBS} jobs, {variant}, {name}: wall / {bound:.1f} s",
            values=tuple(each[f"{name} {variant}"] / bound for each in measured),
            floor="1.8" if variant == "fixed latency" else "",
            target=targets.get(name),
            detail=medians(measured, f"{name} {variant}", "plain"),
        )
        for name in sandboxes
        for variant, (bound, targets, _) in variants.items()
    ]


def _healing_all(folder: Path, sandbox: str, options: Mapping[str, object]) -> Callable[[], float]:
    return lambda: heal(folder, TASKS, sandbox, jobs=JOBS, **options).run.seconds  # type: ignore[arg-type]
