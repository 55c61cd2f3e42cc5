"""Ways of asking, against plain retrying, on a simulated model that is right with some probability.

The server answers each request with the right body with probability `p`, else with a mutant
of it; which is a matter of the seed, the stub and the request's number alone. The stubborn
model repeats, where a request shows it a failed reply, that very mistake half of the time.

Everything is real but the sandbox: a stand-in knows what the tests say of each reply, and takes
as long as a parked one, so that the figures are the ways' own on a busy machine too.
"""

from __future__ import annotations

import io
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Semaphore
from typing import cast

from benchmarks.measuring import BenchmarkError, Figure
from benchmarks.projects import write_project
from benchmarks.tasks import TASKS, Task
from pytest_selfheal.healing.groups import key_of
from pytest_selfheal.healing.kit import Kit
from pytest_selfheal.healing.run import Heal
from pytest_selfheal.healing.session import SessionRecord
from pytest_selfheal.model.openai_model import OpenAIModel
from pytest_selfheal.model.stack import limited
from pytest_selfheal.records import Candidate, Failure, Job, RunOutcome, TestResult
from pytest_selfheal.report.progress import Progress
from pytest_selfheal.sandbox.pool import Pool
from pytest_selfheal.source.find import find_in_project
from pytest_selfheal.source.project_files import project_files
from pytest_selfheal.threads import DaemonExecutor
from tests.scripted_server import ScriptedServer
from tests.simulated import settings

MANY_JOBS, FEW_JOBS = 100, 8
"""Enough for every candidate of every stub, and fewer than there are stubs."""
ATTEMPTS = 60
LATENCY_SECONDS = 1.0
TOKENS_PER_SECOND = 80.0
VERIFICATION_SECONDS = 0.1
VERIFICATIONS_AT_ONCE = 8
PROBABILITIES = (0.3, 0.5, 0.8)
PLAIN = "plain retrying"
WAYS: Mapping[str, Mapping[str, object]] = {
    PLAIN: {"when_stuck": "repeat"},
    "changing when stuck": {},
    "2 at once": {"candidates": 2},
    "3 at once": {"candidates": 3},
    "5 at once": {"candidates": 5},
}
Answer = Callable[[str, tuple[str, ...], int], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Spent:
    seconds: float
    requests: int
    input_tokens: int
    output_tokens: int

    def beside(self, other: _Spent) -> str:
        more = (self.input_tokens + self.output_tokens) / (other.input_tokens + other.output_tokens)
        return (
            f"{self.seconds:.1f} s, {self.requests} requests, {self.input_tokens:,} tokens in, "
            f"{self.output_tokens:,} out ({more:.2f} of plain)"
        )


def candidates(folder: Path, rounds: int, sandboxes: Sequence[str]) -> list[Figure]:
    """Wall time, requests and tokens of each way, for a few probabilities of being right."""
    del sandboxes
    models = [(p, False, MANY_JOBS, list(WAYS)) for p in PROBABILITIES]
    models += [(0.5, stubborn, FEW_JOBS, list(WAYS)[:4]) for stubborn in (False, True)]
    figures = []
    for p, is_stubborn, jobs, ways in models:
        # The same seed for every way, so that none is lucky.
        spent = {
            way: [
                _heal(folder, {**WAYS[way], "jobs": jobs}, _model(p, seed, is_stubborn=is_stubborn))
                for seed in range(rounds)
            ]
            for way in ways
        }
        plain = spent[PLAIN]
        name = f"{'stubborn, ' * is_stubborn}right {p:.0%}, {jobs} jobs"
        figures += [
            Figure(
                name=f"{name}, {way}: wall / plain",
                values=tuple(
                    one.seconds / other.seconds for one, other in zip(each, plain, strict=True)
                ),
                detail=each[0].beside(plain[0]),
            )
            for way, each in spent.items()
        ]
    return figures


def _model(p: float, seed: int, *, is_stubborn: bool) -> Answer:
    known = {task.target: task for task in TASKS}

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


def _heal(parent: Path, options: Mapping[str, object], answer: Answer) -> _Spent:
    root = write_project(parent, TASKS, solved=False)
    stubs = {key_of(stub): stub for stub in find_in_project(root).stubs}
    with ScriptedServer(answer, LATENCY_SECONDS, TOKENS_PER_SECOND) as server:
        run = settings(attempts=ATTEMPTS)
        run = replace(run, holdout=0.0, base_url=server.base_url, model="simulated", **options)  # type: ignore[arg-type]
        model = limited(
            OpenAIModel(name=run.model, base_url=run.base_url, api="chat"),
            run,
            root / "state",
            root / "limits",
        )
        executor, samplers = (DaemonExecutor(run.jobs, name) for name in ("groups", "samples"))
        kit = Kit(
            settings=run,
            model=model,
            pool=cast(Pool, _StandIn()),
            progress=Progress(io.StringIO(), verbosity=-1),
            relay=_NoPlugins(),
            root=root,
            stubs=stubs,
            sources={stub.path: (root / stub.path).read_bytes() for stub in stubs.values()},
            files=frozenset(project_files(root, every_kind=True)),
            executor=samplers,
        )
        failures = [
            Failure(nodeid=nodeid, phase="call", longrepr=longrepr)
            for task in TASKS
            for nodeid, longrepr in _StandIn.failures(task)
        ]
        heal = Heal.of(kit, SessionRecord(failures=tuple(failures)))
        begun = time.perf_counter()
        heal.run(executor)
        seconds = time.perf_counter() - begun
        usage = model.usage()
        model.close()
        requests = len(server.requests)
        for each in (executor, samplers):
            each.shutdown(wait=False, cancel_futures=True)
    wrong = stubs.keys() - heal.confirmed.keys()
    if heal.problem or wrong:
        raise BenchmarkError(f"not healed: {', '.join(sorted(wrong))} ({heal.problem})")
    return _Spent(
        seconds=seconds,
        requests=requests,
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
    )


class _NoPlugins:
    """The hooks, with nobody at them."""

    def change_prompt(self, prompt: str, targets: Sequence[str]) -> str:
        return prompt

    def veto(self, candidate: Candidate) -> str | None:
        return None

    def attempted(self, *_: object) -> None: ...


class _StandIn:
    """A pool that knows which cases each of the server's replies passes."""

    backend = "none"
    notes: tuple[str, ...] = ()
    verifications = 0

    def __init__(self) -> None:
        self._slots = Semaphore(VERIFICATIONS_AT_ONCE)

    def prepare(self, count: int) -> None: ...

    def run(self, job: Job, *, ahead: int = 1) -> RunOutcome:
        with self._slots:
            time.sleep(VERIFICATION_SECONDS)
        by_path = {task.test_path: task for task in TASKS}
        results = []
        for nodeid in job.nodes:
            path, _, case = nodeid.partition("::")
            task = by_path[path]
            number = int(case.partition("[")[2].rstrip("]"))
            overlay = job.overlay.get(task.path)
            body = overlay.decode() if overlay is not None else ""
            results.append(self._result(task, nodeid, number, body))
        return RunOutcome(ending="completed", results=tuple(results), seconds=VERIFICATION_SECONDS)

    @staticmethod
    def failures(task: Task) -> list[tuple[str, str]]:
        error = f"pytest_selfheal.marker.StubCalled: {task.name}.{task.name} is not written yet"
        return [
            (f"{task.test_path}::test_{task.name}[{number}]", _traceback(task, number, error))
            for number in range(len(task.cases))
        ]

    def _result(self, task: Task, nodeid: str, number: int, body: str) -> TestResult:
        error = self._error(task, number, body)
        return TestResult(
            nodeid=nodeid,
            outcome="failed" if error else "passed",
            longrepr=_traceback(task, number, error) if error else "",
            exception=error.partition(":")[0],
            entered=(task.target,),
        )

    def _error(self, task: Task, number: int, body: str) -> str:
        given, expected = task.cases[number]
        if not body:
            return f"StubCalled: {task.name} is not written yet"
        if f"raise ValueError({task.cases[0][0]!r})" in body:
            return f"ValueError: {task.cases[0][0]}"
        if f"    return {task.cases[0][1]!r}\n" in body:
            got: object = task.cases[0][1]
        elif f"    return {task.wrong}\n" in body:
            # One of the expressions in `tasks`, which are as much ours as this line.
            got = eval(task.wrong, {task.argument.partition(":")[0]: given})
        else:
            got = expected
        return "" if got == expected else f"AssertionError: assert {got!r} == {expected!r}"


def _traceback(task: Task, number: int, error: str) -> str:
    given, expected = task.cases[number]
    return (
        f"given = {given!r}, expected = {expected!r}\n\n"
        f'    @pytest.mark.parametrize(("given", "expected"), {list(task.cases)!r})\n'
        f"    def test_{task.name}(given, expected):\n"
        f">       assert {task.name}(given) == expected\n"
        f"E       {error}\n\n{task.test_path}:6: {error.partition(':')[0]}\n"
    )
