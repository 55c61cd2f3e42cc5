"""Docker's daemon stops in the middle of a heal: it is said, nothing is torn or stays behind."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.faults.daemon_proxy import daemon_proxy
from tests.faults.whole_runs import answer, project
from tests.harness import containers_of, require
from tests.sandboxes import launcher
from tests.scripted_server import ScriptedServer

IMPATIENT = """
import os

if "DOCKER_HOST" in os.environ:  # not in a sandbox, and not in the run that follows
    from pytest_selfheal.sandbox import docker, parked

    docker.ANSWER_SECONDS = 3
    parked.START_SECONDS = 20
"""
SAID = {
    "die": r"any more \((No such file or directory|it closed the connection)\); see to it",
    "hang": r"Docker's daemon does not answer any more \(nothing in 3 s\); see to it",
}


@pytest.mark.parametrize("how", ["die", "hang"])
def test_a_daemon_that_stops(tmp_path: Path, how: str) -> None:
    require("docker")
    heals = project(tmp_path / "project")
    heals.write({"conftest.py": IMPATIENT})
    before = heals.files()
    with daemon_proxy() as proxy:

        def stop_and_answer(prompt: str, targets: tuple[str, ...], number: int) -> str:
            getattr(proxy, how)()
            return answer(prompt, targets, number)

        with ScriptedServer(stop_and_answer) as server:
            command = heals.command("--selfheal-sandbox=docker", "--tb=no", server=server)
            environment = heals.environment(server, {"DOCKER_HOST": proxy.address})
            with subprocess.Popen(
                command,
                cwd=heals.root,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            ) as process:
                output, _ = process.communicate(timeout=120)
    run = heals.outcome(process.returncode, output, before)
    assert run.status == 1, run.output
    assert run.changed == {}
    for stub in run.stubs.values():
        assert stub["status"] == "unhealed"
    reasons = [stub["reason"] for stub in run.stubs.values()]
    assert any(re.search(SAID[how], reason) for reason in reasons), reasons
    assert "internal error" not in run.output
    # With the daemon back, the next run clears away what it could not be told to remove.
    with launcher("docker", heals.root):
        assert containers_of(process.pid) == []
