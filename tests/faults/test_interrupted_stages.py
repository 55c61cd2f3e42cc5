"""An interrupt at each stage of a heal, sent by the process to itself as the stage begins."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.faults.kill_points import Count
from tests.faults.soak import look_for_leftovers
from tests.faults.whole_runs import HEALED, SOURCES, answer, project
from tests.harness import Project, require
from tests.scripted_server import ScriptedServer

INTERRUPTED = """
import importlib
import os

if "STAGE" in os.environ:
    module, name = os.environ["STAGE"].split(":")
    owner = importlib.import_module("pytest_selfheal." + module)
    *above, name = name.split(".")
    for each in above:
        owner = getattr(owner, each)
    plain = getattr(owner, name)

    def interrupted(*arguments, **named):
        setattr(owner, name, plain)
        for number in os.environ["SIGNALS"].split():
            os.kill(os.getpid(), int(number))
        return plain(*arguments, **named)

    setattr(owner, name, interrupted)
"""
NOTHING = "interrupted: nothing was written; run again for the rest"
GREEN = "interrupted: what was green is written; run again for the rest"


@pytest.fixture
def heals(tmp_path: Path) -> Project:
    require("bubblewrap")
    made = project(tmp_path / "project")
    made.write({"conftest.py": INTERRUPTED})
    return made


def is_healed(heals: Project) -> bool:
    texts = {path: (heals.root / path).read_text() for path in SOURCES}
    healed = {p: HEALED.format(name=name, number=n) for p, (name, n) in SOURCES.items()}
    return texts == healed


@pytest.mark.usefixtures("nothing_ignored")
@pytest.mark.parametrize(
    ("stage", "signals", "status", "said", "asked"),
    [
        pytest.param("preparation:start_pool", ["SIGTERM"], 2, NOTHING, 0, id="preparing"),
        pytest.param("healing.run:trace", ["SIGHUP"], 2, NOTHING, 0, id="tracing"),
        pytest.param("healing.run:confirm", ["SIGINT"], 2, GREEN, 2, id="confirming"),
        pytest.param("delivery:write_edits", ["SIGTERM"], 2, GREEN, 2, id="writing"),
        pytest.param("preparation:Preparation.close", ["SIGINT"], 0, "2 healed", 2, id="closing"),
        pytest.param("sandbox.pool:Pool.close", ["SIGINT"] * 2, 2, None, 2, id="closing-twice"),
    ],
)
def test_an_interrupt(
    heals: Project, stage: str, signals: list[str], status: int, said: str | None, asked: int
) -> None:
    numbers = " ".join(str(int(getattr(signal, name))) for name in signals)
    with ScriptedServer(answer) as server:
        env = {"STAGE": stage, "SIGNALS": numbers}
        run = heals.heal("--selfheal-sandbox=bubblewrap", "--tb=no", server=server, env=env)
    assert run.status == status, run.output
    assert len(server.requests) == asked
    assert is_healed(heals) == (asked == 2)
    if said is not None:  # twice: nobody waits for what is told
        assert said in run.output
        assert run.report is not None
    count = Count()
    look_for_leftovers(count, heals, [])
    assert count.examples == []
