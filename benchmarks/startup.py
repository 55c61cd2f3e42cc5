"""What it costs not to heal: the import, an installed plugin, a run with nothing to do."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from benchmarks.environments import make_twins, plugin_entries
from benchmarks.measuring import (
    Figure,
    Run,
    cpu_ratio,
    interleaved,
    medians,
    ratios,
    run_process,
    wall,
)
from benchmarks.projects import fresh_folder, model_variables, write_project
from benchmarks.tasks import TASKS
from tests.scripted_server import ScriptedServer

_NO_TESTS = 5
PASSING_TASKS = 3


def importing(folder: Path, rounds: int, sandboxes: Sequence[str]) -> list[Figure]:
    """`import pytest_selfheal`, which production code pays for, against starting Python."""
    del sandboxes
    plugin_entries()

    def python(code: str) -> Callable[[], Run]:
        return lambda: run_process([sys.executable, "-c", code], folder)

    sides = {"pass": python("pass"), "import": python("import pytest_selfheal")}
    measured = list(interleaved(sides, rounds))
    name = "import pytest_selfheal / python -c pass"
    return [_compared(name, measured, "import", "pass", target=1.5)]


def idling(folder: Path, rounds: int, sandboxes: Sequence[str]) -> list[Figure]:
    """An installed plugin that is not used, and one that finds nothing to heal."""
    return [*_installed(folder, rounds), *_nothing_failing(folder, rounds, sandboxes)]


def _installed(folder: Path, rounds: int) -> list[Figure]:
    twins = make_twins(folder)
    empty = fresh_folder(folder)

    def run(python: Path, *options: str) -> Callable[[], Run]:
        command = [str(python), "-m", "pytest", *options]
        return lambda: run_process(command, empty, expect=[_NO_TESTS])

    sides = {
        "installed": run(twins.with_plugin),
        "switched off": run(twins.with_plugin, "-p", "no:selfheal"),
        "not installed": run(twins.without_plugin),
    }
    measured = list(interleaved(sides, rounds))
    return [
        _compared(
            f"plugin installed, unused / {other}, empty project",
            measured,
            "installed",
            side,
            target=1.05,
        )
        for other, side in (("not installed", "not installed"), ("-p no:selfheal", "switched off"))
    ]


def _nothing_failing(folder: Path, rounds: int, sandboxes: Sequence[str]) -> list[Figure]:
    project = write_project(folder, TASKS[:PASSING_TASKS], solved=True)
    with ScriptedServer({}) as server:

        def run(*options: str) -> Callable[[], Run]:
            command = [sys.executable, "-m", "pytest", *options]
            variables = model_variables(server.base_url)
            return lambda: run_process(command, project, extra=variables)

        option = f"--selfheal-sandbox={sandboxes[0]}"
        sides = {"--selfheal": run("--selfheal", option), "pytest": run()}
        measured = list(interleaved(sides, rounds))
    name = "--selfheal, nothing failing / without it"
    return [_compared(name, measured, "--selfheal", "pytest", target=1.1)]


def _compared(
    name: str, measured: Sequence[Mapping[str, Run]], over: str, under: str, *, target: float
) -> Figure:
    seconds = wall(measured)
    return Figure(
        name=name,
        values=ratios(seconds, over, under),
        floor="1.0",
        target=target,
        detail=f"{medians(seconds, over, under)}, {cpu_ratio(measured, over, under)}",
    )
