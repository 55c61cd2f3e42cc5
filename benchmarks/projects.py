"""Projects on disk, the model that answers for them, and a heal from start to end."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measuring import PROCESS_SECONDS, BenchmarkError, Run, run_process
from benchmarks.tasks import Task
from tests.scripted_server import Script, ScriptedServer, ServedRequest

LATENCY_SECONDS = 1.0

_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class HealRun:
    """One heal: its process, and what the model was asked."""

    run: Run
    requests: tuple[ServedRequest, ...]


def fresh_folder(parent: Path) -> Path:
    """An empty folder for one run, so that no run finds another's caches."""
    folder = parent / f"project-{next(_numbers)}"
    folder.mkdir()
    (folder / "pytest.ini").write_text("[pytest]\n")
    return folder


def write_project(parent: Path, tasks: Sequence[Task], *, solved: bool) -> Path:
    """Write a project with these functions, as stubs or solved."""
    folder = fresh_folder(parent)
    for task in tasks:
        (folder / task.path).write_text(task.solution() if solved else task.stub())
        (folder / task.test_path).write_text(task.tests())
    return folder


def model_variables(base_url: str) -> dict[str, str]:
    """The environment that sends requests to a scripted server."""
    return {"OPENAI_API_KEY": "no-key-of-anyones", "OPENAI_BASE_URL": base_url}


def plain_pytest(parent: Path, tasks: Sequence[Task], python: str = sys.executable) -> Run:
    """`python -m pytest` on the solved project: what one verification costs without a sandbox."""
    return run_process([python, "-m", "pytest"], write_project(parent, tasks, solved=True))


def heal(
    parent: Path,
    tasks: Sequence[Task],
    sandbox: str,
    *,
    wrong_first: bool = False,
    latency_seconds: float = LATENCY_SECONDS,
    tokens_per_second: float | None = None,
    jobs: int = 8,
    script: Script | None = None,
    timeout_seconds: float = PROCESS_SECONDS,
) -> HealRun:
    """Heal a project of these stubs with scripted replies, or as a script of one's own has it.

    Raises:
        BenchmarkError: Something was not healed, or, without such a script, was asked for too
            often.
    """
    folder = write_project(parent, tasks, solved=False)
    replies = {
        task.target: [task.wrong_reply()] * wrong_first + [task.right_reply()] for task in tasks
    }
    with ScriptedServer(script or replies, latency_seconds, tokens_per_second) as server:
        options = ["--selfheal", f"--selfheal-sandbox={sandbox}", f"--selfheal-jobs={jobs}"]
        run = run_process(
            [sys.executable, "-m", "pytest", *options],
            folder,
            extra=model_variables(server.base_url),
            timeout_seconds=timeout_seconds,
        )
        requests = tuple(server.requests)
    _check(folder, tasks, run, requests, wrong_first, counted=script is None)
    return HealRun(run=run, requests=requests)


def _check(
    folder: Path,
    tasks: Sequence[Task],
    run: Run,
    requests: Sequence[ServedRequest],
    wrong_first: bool,
    *,
    counted: bool,
) -> None:
    unhealed = [task.path for task in tasks if "@heal" in (folder / task.path).read_text()]
    if unhealed:
        raise BenchmarkError(f"not healed: {', '.join(unhealed)}:\n{run.output[-3000:]}")
    expected = len(tasks) * (1 + wrong_first)
    if counted and len(requests) != expected:
        raise BenchmarkError(
            f"{len(requests)} requests instead of {expected}, so the model was asked for "
            f"something else:\n{run.output[-3000:]}"
        )
    failures = ("AssertionError", "E   assert ")
    if wrong_first and not any(text in each.prompt for each in requests for text in failures):
        raise BenchmarkError("the wrong replies were not run in a sandbox: no retry has a failure")
