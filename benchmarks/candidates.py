"""Ways of asking, against plain retrying, on a simulated model that is right with some probability.

The server answers each request with the right body with probability `p`, else with a mutant
of it; which is a matter of the seed, the stub and the request's number alone. The stubborn
model repeats, where a request shows it a failed reply, that very mistake half of the time.
"""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measuring import BenchmarkError, Figure, run_process
from benchmarks.projects import model_variables, write_project
from benchmarks.tasks import TASKS, Task
from tests.scripted_server import ScriptedServer

JOBS = 8
STUBS = 10
ATTEMPTS = 40
LATENCY_SECONDS = 1.0
TOKENS_PER_SECOND = 80.0
PROBABILITIES = (0.3, 0.5, 0.8)
STUBBORN_PROBABILITY = 0.5
PLAIN = "plain retrying"
WAYS: Mapping[str, Sequence[str]] = {
    PLAIN: ["--selfheal-when-stuck=repeat"],
    "changing when stuck": [],
    "2 at once": ["--selfheal-candidates=2"],
    "3 at once": ["--selfheal-candidates=3"],
    "5 at once": ["--selfheal-candidates=5"],
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Spent:
    seconds: float
    requests: int
    input_tokens: int
    output_tokens: int

    @property
    def shown(self) -> str:
        return (
            f"{self.seconds:.1f} s, {self.requests} requests, "
            f"{self.input_tokens:,} tokens in, {self.output_tokens:,} out"
        )


def candidates(folder: Path, rounds: int, sandboxes: Sequence[str]) -> list[Figure]:
    """Wall time, requests and tokens of each way, for a few probabilities of being right."""
    tasks = TASKS[:STUBS]
    figures = []
    models: dict[str, tuple[float, bool, Sequence[str]]] = {
        f"right {p:.0%}": (p, False, list(WAYS)) for p in PROBABILITIES
    }
    models["stubborn, right 50%"] = (STUBBORN_PROBABILITY, True, list(WAYS)[:3])
    for name, (p, is_stubborn, ways) in models.items():
        # The same seed for every way, so that none is lucky.
        spent = {
            way: [
                _heal(folder, tasks, sandboxes[-1], WAYS[way], _model(tasks, p, seed, is_stubborn))
                for seed in range(rounds)
            ]
            for way in ways
        }
        plain = spent[PLAIN]
        figures += [
            Figure(
                name=f"{name}, {way}: wall / plain retrying",
                values=tuple(
                    one.seconds / other.seconds for one, other in zip(each, plain, strict=True)
                ),
                detail="; ".join(one.shown for one in each),
            )
            for way, each in spent.items()
        ]
    return figures


def _model(
    tasks: Sequence[Task], p: float, seed: int, is_stubborn: bool
) -> Callable[[str, tuple[str, ...], int], str]:
    known = {task.target: task for task in tasks}

    def answer(prompt: str, targets: tuple[str, ...], number: int) -> str:
        (target,) = targets
        chance = random.Random(f"{seed} {target} {number}")
        task = known[target]
        mutants = [task.wrong_reply(), *task.mutant_replies()]
        if is_stubborn and chance.random() < 0.5:
            for reply in mutants:
                if reply.partition("```python\n")[2].partition("```")[0] in prompt:
                    return reply
        return task.right_reply() if chance.random() < p else chance.choice(mutants)

    return answer


def _heal(
    parent: Path,
    tasks: Sequence[Task],
    sandbox: str,
    options: Sequence[str],
    answer: Callable[[str, tuple[str, ...], int], str],
) -> _Spent:
    folder = write_project(parent, tasks, solved=False)
    with ScriptedServer(answer, LATENCY_SECONDS, TOKENS_PER_SECOND) as server:
        command = [
            *(sys.executable, "-m", "pytest", "--selfheal", f"--selfheal-sandbox={sandbox}"),
            *(f"--selfheal-jobs={JOBS}", f"--selfheal-attempts={ATTEMPTS}"),
            *("--selfheal-holdout=0", "--selfheal-report=report.json", *options),
        ]
        run = run_process(command, folder, extra=model_variables(server.base_url))
        requests = len(server.requests)
    report = json.loads((folder / "report.json").read_text())
    unhealed = [stub["target"] for stub in report["stubs"] if stub["status"] != "healed"]
    if unhealed:
        raise BenchmarkError(f"not healed: {', '.join(unhealed)}:\n{run.output[-3000:]}")
    return _Spent(
        seconds=run.seconds,
        requests=requests,
        input_tokens=report["model"]["input_tokens"],
        output_tokens=report["model"]["output_tokens"],
    )
