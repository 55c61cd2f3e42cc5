"""Whole heals, from the start of pytest to its end, with a model that takes its time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from benchmarks.measuring import Figure, interleaved, medians
from benchmarks.projects import LATENCY_SECONDS, heal, plain_pytest
from benchmarks.tasks import TASKS

JOBS = 8
TOKENS_PER_SECOND = 80.0
ONE = TASKS[:1]


def one_stub(folder: Path, rounds: int, sandboxes: Sequence[str]) -> list[Figure]:
    """One stub, right at once and wrong first, in units of one plain run of its tests."""
    sides: dict[str, Callable[[], float]] = {
        "plain": lambda: plain_pytest(folder, ONE).seconds,
    }
    for name in sandboxes:
        sides[f"{name} right"] = _healing(folder, name, wrong_first=False)
        sides[f"{name} wrong"] = _healing(folder, name, wrong_first=True)
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


def _healing(folder: Path, sandbox: str, *, wrong_first: bool) -> Callable[[], float]:
    return lambda: heal(folder, ONE, sandbox, wrong_first=wrong_first).run.seconds


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
