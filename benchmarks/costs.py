"""What is sent and what is paid for: prompts, requests with a service that fails, and waiting."""

from __future__ import annotations

import json
import shutil
import statistics
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise, takewhile
from pathlib import Path

from benchmarks.heals import JOBS, ONE, TOKENS_PER_SECOND
from benchmarks.libraries.catalog import named
from benchmarks.libraries.fetch import environment_for, fetch
from benchmarks.libraries.trial import Choice, try_library
from benchmarks.measuring import BenchmarkError, Figure, interleaved, medians, run_process
from benchmarks.projects import LATENCY_SECONDS, heal, model_variables
from benchmarks.tasks import TASKS, Task
from pytest_selfheal.model.size import estimated_tokens
from tests.sandboxes import WITHOUT_PLUGINS
from tests.scripted_server import Fault, ScriptedServer, ServedRequest, tokens

EXAMPLE = Path(__file__).resolve().parents[1] / "example_project"
LIBRARY = "toolz"
LIBRARY_SHARE = 0.1
HEAL_SECONDS = 900.0
"""The most that one heal may take, on a busy machine as well."""
FAULTY_STUBS = 200
_EVERY = 10
"""One request in so many fails."""
_RETRY_TARGET = 2.5
_SHARED_TARGET = 0.2
"""Of what earlier requests said, the part that the next one does not begin with."""


def prompts(folder: Path, rounds: int, sandboxes: Sequence[str]) -> list[Figure]:
    """How much is sent: first requests, retries, what they share, requests for a stub."""
    del rounds  # the same text every time
    sandbox = sandboxes[-1]

    def requests_for(tasks: Sequence[Task], *, wrong_first: bool) -> Sequence[ServedRequest]:
        return heal(
            folder,
            tasks,
            sandbox,
            wrong_first=wrong_first,
            latency_seconds=0.0,
            timeout_seconds=HEAL_SECONDS,
        ).requests

    wrong = requests_for(ONE, wrong_first=True)
    right = requests_for(ONE, wrong_first=False)
    many = requests_for(TASKS, wrong_first=True)
    figures = [
        Figure(
            name="prompt of one small function, right at once",
            values=(float(len(right[0].prompt)),),
            unit="characters",
            floor="507",
            target=2500,
        ),
        Figure(
            name="prompt of its retry / the first one's",
            values=(len(wrong[1].prompt) / len(wrong[0].prompt),),
            target=_RETRY_TARGET,
            detail=f"retry {len(wrong[1].prompt)} characters",
        ),
        Figure(
            name="requests for a stub, right at once",
            values=(float(len(right)),),
            unit="requests",
            floor="1",
            target=1,
        ),
        *_sent(f"{len(TASKS)} small functions", many, target=2500),
        *_sent("the example project", _example(folder, sandbox)),
    ]
    try:
        figures += _sent(f"a slice of {LIBRARY}", _library(folder, sandbox))
    except BenchmarkError as error:
        print(f"left out: {LIBRARY}: {str(error).splitlines()[0]}")
    return figures


def _sent(
    what: str, requests: Sequence[ServedRequest], target: float | None = None
) -> list[Figure]:
    """Figures for all requests of a heal."""
    sent: dict[tuple[str, ...], list[str]] = {}
    for request in requests:
        sent.setdefault(request.targets, []).append(request.prompt)
    firsts = [each[0] for each in sent.values()]
    stubs = {target for targets in sent for target in targets}
    characters = sum(len(request.prompt) for request in requests)
    estimated = sum(estimated_tokens(request.prompt) for request in requests) / len(stubs)
    asked = len(requests) / len(stubs)
    longest = max(map(len, firsts))
    figures = [
        Figure(
            name=f"first prompts, {what}",
            values=tuple(float(len(first)) for first in firsts),
            unit="characters",
            target=target,
            detail=f"mean {statistics.fmean(map(len, firsts)):.0f}, longest {longest}",
        ),
        Figure(
            name=f"all prompts for a stub, {what}",
            values=(characters / len(stubs),),
            unit="characters",
            detail=f"{estimated:.0f} tokens, {asked:.2f} requests",
        ),
    ]
    pairs = [pair for each in sent.values() for pair in pairwise(each)]
    if pairs:
        same = sum(_shared(before, after) for before, after in pairs)
        figures.append(
            Figure(
                name=f"not shared with the next request, {what}",
                values=(1 - same / sum(len(before) for before, _ in pairs),),
                target=_SHARED_TARGET,
            )
        )
        retries = [len(retry) / len(first) for first, *later in sent.values() for retry in later]
        figures.append(
            Figure(
                name=f"longest retry / its first prompt, {what}",
                values=(max(retries),),
                target=_RETRY_TARGET,
                detail=f"median {statistics.median(retries):.2f} of {len(retries)}",
            )
        )
    return figures


def _shared(before: str, after: str) -> int:
    pairs = zip(before, after, strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


def _example(folder: Path, sandbox: str) -> Sequence[ServedRequest]:
    """The requests for the example project, answered from its recording."""
    project = folder / "example"
    shutil.copytree(EXAMPLE, project)
    lines = (project / "recording.jsonl").read_text(encoding="utf-8").splitlines()[1:]
    replies: dict[str, list[str]] = {}
    for line in map(json.loads, lines):
        (target,) = line["targets"]
        replies.setdefault(target, []).append(line["reply"])
    with ScriptedServer(replies) as server:
        command = [sys.executable, "-m", "pytest", "--selfheal", f"--selfheal-sandbox={sandbox}"]
        variables = {**model_variables(server.base_url), "PYTEST_ADDOPTS": WITHOUT_PLUGINS}
        run_process(command, project, extra=variables, timeout_seconds=HEAL_SECONDS)
        return tuple(server.requests)


def _library(folder: Path, sandbox: str) -> Sequence[ServedRequest]:
    """The requests for a part of a library's functions, each right at once."""
    (library,) = named([LIBRARY])
    work = folder / "library"
    work.mkdir()
    requests: list[ServedRequest] = []
    trial = try_library(
        library,
        fetch(library),
        environment_for(library),
        work,
        Choice(share=LIBRARY_SHARE),
        [f"--selfheal-sandbox={sandbox}"],
        requests,
    )
    if trial.lost:
        raise BenchmarkError(f"{trial.lost[0].target} was not healed: {trial.lost[0].reason}")
    return requests


def faulty(folder: Path, rounds: int, sandboxes: Sequence[str]) -> list[Figure]:
    """Two hundred stubs, with every tenth request failing in one of the ways that services have."""
    many = [
        replace(task, name=f"{task.name}_{number}")
        for number in range(FAULTY_STUBS // len(TASKS))
        for task in TASKS
    ]
    counts = [_faulty(folder, sandboxes[-1], many) for _ in range(rounds)]
    return [
        Figure(
            name=f"{len(many)} stubs, one request in {_EVERY} fails: requests / the least",
            values=tuple(count / len(many) for count in counts),
            floor="1.1",
            target=1.2,
            detail="all healed",
        )
    ]


FAULTS = (
    Fault(status=429, headers={"retry-after-ms": "50"}, message="slow down"),
    Fault(status=500),
    Fault(status=503, headers={"retry-after": "0"}),
    Fault(drop=True),
    Fault(body='{"choices": [', close_after_bytes=5),
    Fault(body="no JSON"),
)


def _faulty(folder: Path, sandbox: str, many: Sequence[Task]) -> int:
    replies = {task.target: task.right_reply() for task in many}
    asked = 0

    def script(prompt: str, targets: tuple[str, ...], number: int) -> str | Fault:
        nonlocal asked
        asked += 1
        if asked % _EVERY == 0:
            return FAULTS[asked // _EVERY % len(FAULTS)]
        return "\n\n".join(replies[target] for target in targets)

    run = heal(
        folder, many, sandbox, script=script, latency_seconds=0.0, timeout_seconds=HEAL_SECONDS
    )
    return len(run.requests)


def waiting(folder: Path, rounds: int, sandboxes: Sequence[str]) -> list[Figure]:
    """Twenty stubs, eight at once, with a model that writes: wall against its own time."""
    right = [LATENCY_SECONDS + tokens(task.right_reply()) / TOKENS_PER_SECOND for task in TASKS]
    wrong = [LATENCY_SECONDS + tokens(task.wrong_reply()) / TOKENS_PER_SECOND for task in TASKS]
    bounds = {"right at once": sum(right) / JOBS, "wrong first": (sum(right) + sum(wrong)) / JOBS}
    targets: Mapping[str, Mapping[str, float]] = {
        "right at once": {"landlock": 2.0, "bubblewrap": 2.0, "docker": 3.0},
        "wrong first": {"landlock": 1.8, "bubblewrap": 1.8, "docker": 3.5},
    }
    sides: dict[str, Callable[[], float]] = {
        f"{name} {variant}": _waiting(folder, name, wrong_first=variant == "wrong first")
        for name in sandboxes
        for variant in bounds
    }
    measured = list(interleaved(sides, rounds, warm_up=False))
    return [
        Figure(
            name=f"{len(TASKS)} stubs, {JOBS} jobs, {variant}, {name}: wall / {bound:.1f} s",
            values=tuple(each[f"{name} {variant}"] / bound for each in measured),
            floor="2.6 without isolation" if variant == "right at once" else "",
            target=targets[variant].get(name),
            detail=medians(measured, f"{name} {variant}"),
        )
        for name in sandboxes
        for variant, bound in bounds.items()
    ]


def _waiting(folder: Path, sandbox: str, *, wrong_first: bool) -> Callable[[], float]:
    def measure() -> float:
        return heal(
            folder,
            TASKS,
            sandbox,
            jobs=JOBS,
            wrong_first=wrong_first,
            tokens_per_second=TOKENS_PER_SECOND,
            timeout_seconds=HEAL_SECONDS,
        ).run.seconds

    return measure
