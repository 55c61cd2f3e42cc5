"""Whole runs in which the way of asking changes: fresh samples, more context, a second model,
and several candidates at once."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest

from tests.harness import Project, Run, python
from tests.sandboxes import require
from tests.scripted_server import Answer, ScriptedServer, ServedRequest

SANDBOX = "--selfheal-sandbox=landlock"
WRONG = "return a - 1"
RIGHT = "return a + 1"


class Choosing(ScriptedServer):
    """Answers as a function of the whole request says."""

    def __init__(self, answer: Any) -> None:
        super().__init__({})
        self._answer = answer

    def _scripted(self, request: ServedRequest) -> Answer:
        answer: Answer = self._answer(request)
        return answer


class Gathering(ScriptedServer):
    """Answers the first requests once all of them are there."""

    def __init__(self, replies: Any, together: Barrier) -> None:
        super().__init__(replies)
        self._together = together

    def answer(self, request: ServedRequest) -> Answer:
        if "Attempt" not in request.prompt:
            self._together.wait(60)
        return super().answer(request)


def reply(name: str, body: str) -> str:
    return python(f"def {name}(a: int) -> int:\n    {body}\n")


def asked(server: ScriptedServer, name: str) -> list[ServedRequest]:
    return [each for each in server.requests if each.targets == (f"mod.py::{name}",)]


def files(*names: str) -> dict[str, str]:
    stubs = "".join(f"# selfheal\ndef {name}(a: int) -> int:\n    ...\n\n\n" for name in names)
    tests = "".join(
        f"def test_{name}():\n    assert mod.{name}(1) == 2\n\n\n"
        f"def test_{name}_more():\n    assert mod.{name}(4) == 5\n\n\n"
        for name in names
    )
    return {
        "mod.py": "import beside\n\n\n" + stubs,
        "beside.py": "STEP = 1  # what is added\n",
        "test_mod.py": "import mod\n\n\n" + tests,
    }


ANOTHER_WAY = "Take a different approach"


def answer(request: ServedRequest) -> str:
    """Each stub's reply is right only for what it wants to be asked with."""
    (target,) = request.targets
    name = target.rpartition("::")[2]
    is_right = {
        "fresh": ANOTHER_WAY in request.prompt,
        "wide": "what is added" in request.prompt,
        "large": request.model == "large",
        "elided": "stands for code left out" in request.prompt,
    }[name]
    if name == "elided" and not is_right:
        return python("def elided(a: int) -> int:\n    b = a\n    # ... existing code ...\n")
    return reply(name, RIGHT if is_right else WRONG)


@pytest.fixture(scope="module")
def ways(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, ScriptedServer, Path]:
    """One run in which every stub wants to be asked for in a way of its own."""
    require("landlock")
    folder = tmp_path_factory.mktemp("ways")
    project = Project(folder / "project", files("fresh", "wide", "large", "elided"))
    with Choosing(answer) as server:
        run = project.heal(
            SANDBOX,
            "--selfheal-model=small",
            "--selfheal-escalate-model=large",
            "--selfheal-escalate-after=5",
            "--selfheal-attempts=6",
            f"--selfheal-record={folder / 'r.jsonl'}",
            server=server,
            timeout_seconds=450,  # five attempts in a row, on however busy a machine
        )
    return run, server, folder / "r.jsonl"


def attempts(run: Run, name: str, *keys: str) -> list[tuple[Any, ...]]:
    found: Sequence[Any] = run.stubs[f"mod.py::{name}"]["attempts"]
    return [tuple(each[key] for key in keys) for each in found]


def test_all_are_healed(ways: tuple[Run, ScriptedServer, Path]) -> None:
    run, _, _ = ways
    assert run.status == 0, run.output
    assert set(run.statuses().values()) == {"healed"}


def test_a_fresh_sample_is_told_of_the_last_failure_alone(
    ways: tuple[Run, ScriptedServer, Path],
) -> None:
    run, server, _ = ways
    assert attempts(run, "fresh", "strategy") == [("first",), ("retry",), ("fresh",)]
    first, retry, fresh = (each.prompt for each in asked(server, "fresh"))
    assert WRONG in retry
    assert "assert 0 == 2" in retry
    # The last attempt's code and exact traceback, as after any failed one, and no earlier line.
    assert fresh.count(WRONG) == 1
    assert "E   assert 0 == 2" in fresh
    assert fresh.count("\n- Attempt ") == 1
    assert fresh.count(ANOTHER_WAY) == 1
    assert ANOTHER_WAY not in first + retry
    assert "(3 attempts, fresh sample, 2 tests)" in run.output


def test_more_context_brings_the_modules_beside(ways: tuple[Run, ScriptedServer, Path]) -> None:
    run, server, _ = ways
    assert [each for (each,) in attempts(run, "wide", "strategy")] == [
        *("first", "retry", "fresh", "more-context"),
    ]  # fmt: skip
    prompts = [each.prompt for each in asked(server, "wide")]
    assert ["what is added" in each for each in prompts] == [False, False, False, True]
    assert WRONG in prompts[-1]  # the last attempt, as after any other


def test_the_second_model_writes_what_the_first_did_not(
    ways: tuple[Run, ScriptedServer, Path],
) -> None:
    run, server, recording = ways
    assert [each.model for each in asked(server, "large")] == ["small"] * 4 + ["large"]
    assert attempts(run, "large", "strategy", "model")[-1] == ("second-model", "large")
    assert "second model large" in run.output
    assert run.report is not None
    small, large = run.report["model"]["models"]
    assert (small["name"], large["name"], large["requests"]) == ("small", "large", 1)
    assert run.report["model"]["requests"] == small["requests"] + 1 == len(server.requests)
    lines = [json.loads(line) for line in recording.read_text().splitlines()]
    assert lines[0]["model"] == "small"
    assert [each["targets"] for each in lines[1:] if each.get("model")] == [["mod.py::large"]]


def test_elided_code_is_told_in_a_line(ways: tuple[Run, ScriptedServer, Path]) -> None:
    run, server, _ = ways
    assert attempts(run, "elided", "verdict") == [("unusable",), ("passed",)]
    told = [x for x in asked(server, "elided")[1].prompt.splitlines() if "left out:" in x]
    assert told
    assert "'# ... existing code ...' stands for code left out: give it complete" in told[0]


@pytest.fixture(scope="module")
def candidates(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, ScriptedServer, Run]:
    """A stub whose replies come three at once; and the replay of what was recorded."""
    require("landlock")
    folder = tmp_path_factory.mktemp("candidates")
    project = Project(folder / "project", files("f"))
    bodies = ["return 0", "return 2", "return a - 1", "return a + 1"]
    replies = {"mod.py::f": [reply("f", body) for body in bodies]}
    together = Barrier(3)
    options = [SANDBOX, "--selfheal-candidates=3", "--selfheal-attempts=4"]
    with Gathering(replies, together) as server:
        run = project.heal(*options, f"--selfheal-record={folder / 'r.jsonl'}", server=server)
    again = Project(folder / "again", files("f"))
    replayed = again.heal(*options, f"--selfheal-replay={folder / 'r.jsonl'}")
    return run, server, replayed


def test_the_best_of_three_goes_on(candidates: tuple[Run, ScriptedServer, Run]) -> None:
    run, server, _ = candidates
    assert run.status == 0, run.output
    assert run.verdicts("mod.py::f") == ["failed"] * 3 + ["passed"]
    first, second, third, last = (each.prompt for each in server.requests)
    assert first == second == third
    # Of the three, the one that passed one of two tests is shown whole, the others are not.
    assert "return 2" in last
    assert "return a - 1" not in last


def test_what_was_recorded_at_once_is_replayed(candidates: tuple[Run, ScriptedServer, Run]) -> None:
    run, _, replayed = candidates
    assert replayed.status == 0, replayed.output
    assert replayed.verdicts("mod.py::f") == run.verdicts("mod.py::f")
    assert replayed.text("mod.py") == run.text("mod.py")
