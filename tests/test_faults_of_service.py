"""A model's service that fails, a user who interrupts, a run that is killed: nothing is lost.

The runs hang on purpose, in a reply or in a verification, until they are ended here.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.harness import (
    Project,
    containers_of,
    eventually,
    processes_of,
    python,
    require,
)
from tests.sandboxes import BACKENDS
from tests.scripted_server import Answer, Fault, ScriptedServer, ServedRequest, chat_body

FILES = {
    "mod.py": """
        # selfheal
        def add(a: int, b: int) -> int:
            ...


        # selfheal
        def sub(a: int, b: int) -> int:
            ...
    """,
    "test_mod.py": """
        import mod


        def test_add():
            assert mod.add(1, 2) == 3


        def test_sub():
            assert mod.sub(3, 2) == 1
    """,
}
ADD, SUB = "mod.py::add", "mod.py::sub"
GOOD_ADD = python("def add(a: int, b: int) -> int:\n    return a + b\n")
GOOD_SUB = python("def sub(a: int, b: int) -> int:\n    return a - b\n")
# It starts a process of its own, which must not outlive it either.
HANGS = python(
    """
    import subprocess
    import sys
    import time

    def add(a: int, b: int) -> int:
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        time.sleep(600)
        return a + b
    """
)
# It passes in the user's run, and hangs in a sandbox where `sub` is written.
SLOW_WITH_CODE = """
    import os
    import subprocess
    import sys

    import mod


    def test_slow():
        if "selfheal" in os.environ.get("TMPDIR", "") and mod.sub(3, 2) == 1:
            subprocess.run([sys.executable, "-c", "import time; time.sleep(601)"])
"""
END_SECONDS = 60
"""Generous: what is promised is a few seconds, on a machine that does nothing else."""


def sandbox(backend: str) -> str:
    require(backend)
    return f"--selfheal-sandbox={backend}"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path / "project", FILES)


# --- the service -----------------------------------------------------------------------


def test_a_model_that_the_service_does_not_know(project: Project) -> None:
    fault = Fault(status=404, code="model_not_found", message="no such model: gpt-none")
    with ScriptedServer({ADD: [fault], SUB: [fault]}) as server:
        run = project.heal(
            sandbox("landlock"), "--selfheal-model=gpt-none", "--selfheal-jobs=1", server=server
        )
    assert run.status == 1
    assert run.changed == {}
    assert run.statuses() == {ADD: "unhealed", SUB: "unhealed"}
    assert "does not know the model 'gpt-none'" in run.stubs[ADD]["reason"]
    assert "--selfheal-model" in run.output
    assert "2 failed" in run.output
    assert len(server.requests) == 1, "no other request can fare better"


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (Fault(status=401, message="bad key"), "refused the key (401): check OPENAI_API_KEY"),
        (Fault(status=500, message="on fire"), "answered with status 500"),
        (Fault(body="<html>hello</html>", content_type="text/html"), "HTML"),
        (Fault(body='{"choices": ['), "JSON"),
        (Fault(drop=True), "broke off the connection"),
        (Fault(status=400, message="Target: mod.py::add\nTraceback"), "status 400"),
        (Fault(status=429, headers={"Retry-After": "9000"}), "limits the rate (429"),
        (Fault(status=429, code="insufficient_quota"), "quota is used up (429"),
        (Fault(body="x" * 5_000_000), "more than 1,048,576 bytes"),
        (Fault(body=b'{"\xff": 1}'), "not UTF-8"),
        (Fault(body="{}" * 100, close_after_bytes=50), "broke off its answer"),
        (Fault(body="{}"), "without any choice|without an output"),
    ],
    ids=[
        "401",
        "500",
        "html",
        "broken-json",
        "dropped",
        "400-with-odd-words",
        "429-for-hours",
        "quota",
        "5-mb",
        "not-utf-8",
        "reset-in-the-body",
        "nothing-in-it",
    ],
)
@pytest.mark.parametrize("api", ["chat", "responses"])
def test_a_service_that_fails_for_one_stub_ends_in_order(
    project: Project, fault: Fault, said: str, api: str
) -> None:
    """The other stub is healed, unless nothing can be asked for any more."""
    is_fatal = fault.status == 401 or fault.code == "insufficient_quota"
    with ScriptedServer({ADD: [fault], SUB: [GOOD_SUB]}) as server:
        run = project.heal(sandbox("landlock"), f"--selfheal-api={api}", server=server)
    assert run.status == 1
    assert run.statuses()[ADD] == "unhealed"
    assert any(each in run.stubs[ADD]["reason"] for each in said.split("|"))
    assert any(each in run.output for each in said.split("|"))
    assert run.verdicts(ADD) == [], "a fault is no attempt"
    if not is_fatal:
        assert run.statuses()[SUB] == "healed"
        assert "return a - b" in run.text("mod.py")


def chat_with(**choice: object) -> str:
    data = chat_body("half a reply")
    data["choices"][0].update(choice)
    return json.dumps(data)


OTHER_FAULTS = {
    "status_503": (Fault(status=503), "answered with status 503"),
    "rate": (Fault(status=429), "limits the rate (429"),
    "asked_to_wait": (Fault(status=429, headers={"retry-after-ms": "20"}), "limits the rate (429"),
    "refused": (
        Fault(body=chat_with(message={"refusal": "not this"})),
        'refused ("not this"): try another',
    ),
    "held_back": (Fault(body=chat_with(finish_reason="content_filter")), "its content filter"),
    "cut_off": (Fault(body=chat_with(finish_reason="length")), "at its length limit"),
    "no_choice": (Fault(body=json.dumps({**chat_body(""), "choices": []})), "any choice"),
}


def test_each_fault_ends_its_own_stub_and_the_others_go_on(tmp_path: Path) -> None:
    names = [*OTHER_FAULTS, "fine"]
    project = Project(
        tmp_path / "project",
        {
            "mod.py": "".join(f"# selfheal\ndef {name}():\n    ...\n\n\n" for name in names),
            "test_mod.py": "import mod\n\n\n"
            + "".join(f"def test_{name}():\n    assert mod.{name}() == 1\n\n\n" for name in names),
        },
    )
    script: dict[str, list[Answer]] = {
        f"mod.py::{name}": [fault] for name, (fault, _) in OTHER_FAULTS.items()
    }
    script["mod.py::fine"] = [python("def fine():\n    return 1\n")]
    with ScriptedServer(script) as server:
        run = project.heal(sandbox("landlock"), server=server)
    assert run.status == 1
    for name, (_, said) in OTHER_FAULTS.items():
        stub = run.stubs[f"mod.py::{name}"]
        assert stub["status"] == "unhealed"
        assert said in stub["reason"]
        assert stub["attempts"] == []
    assert run.statuses()["mod.py::fine"] == "healed"


def test_a_service_that_recovers_is_asked_again(project: Project) -> None:
    first: list[Answer] = [Fault(status=503), Fault(drop=True)]
    with ScriptedServer({ADD: [*first, GOOD_ADD], SUB: [GOOD_SUB]}) as server:
        run = project.heal(sandbox("landlock"), server=server)
    assert run.status == 0, run.output
    assert run.report is not None
    assert run.report["model"]["requests"] == 4, "each try is a request"
    assert run.verdicts(ADD) == ["passed"], "a fault is no attempt"
    # The one that was dropped may have been answered; the one turned away was not.
    assert run.report["model"]["uncounted_requests"] == 1
    assert "nobody said what 1 request took (broken off, or answered without" in run.output


# --- being ended -----------------------------------------------------------------------


def _script(where: str) -> ScriptedServer:
    hanging: Answer = HANGS if where == "verification" else Fault(hang_seconds=600)
    return ScriptedServer({ADD: [hanging], SUB: [GOOD_SUB]})


class Hanging:
    """A run that hangs, and what it has started."""

    def __init__(
        self, project: Project, process: subprocess.Popen[bytes], server: ScriptedServer
    ) -> None:
        self.project = project
        self.process = process
        self._server = server

    def wait_until_it_hangs(self, where: str) -> None:
        """Return once the run is in the middle of the reply or of the verification."""
        assert eventually(60, lambda: any(ADD in r.targets for r in self._server.requests))
        if where == "verification":
            assert eventually(60, self._has_sleeper), "the candidate never ran"

    @property
    def requests(self) -> list[ServedRequest]:
        """What was asked so far."""
        return self._server.requests

    def is_in_slow_test(self) -> bool:
        """Whether the test that waits for ever is at work."""
        return any("time.sleep(601)" in each for each in processes_of(self.project).values())

    def _has_sleeper(self) -> bool:
        """Whether the candidate's own child is at work."""
        return any("time.sleep(600)" in each for each in processes_of(self.project).values())

    def leftovers(self) -> list[str]:
        """Processes and containers that are there although the run has ended."""
        return [*containers_of(self.process.pid), *processes_of(self.project).values()]

    def clear(self) -> None:
        """End what should not be there any more, so that a red test leaves nothing either."""
        for pid in processes_of(self.project):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for container in containers_of(self.process.pid):
            command = ["docker", "rm", "-f", container.partition(" ")[0]]
            subprocess.run(command, capture_output=True, check=False)


@contextmanager
def hanging_run(project: Project, where: str, backend: str) -> Iterator[Hanging]:
    chosen = sandbox(backend)
    with _script(where) as server, project.started(chosen, server=server) as process:
        hanging = Hanging(project, process, server)
        try:
            hanging.wait_until_it_hangs(where)
            yield hanging
        finally:
            process.kill()
            process.wait()
            hanging.clear()


def end(hanging: Hanging, how: Callable[[], None]) -> tuple[int, str]:
    """End the run, and give its status and output; fails where it does not end soon."""
    how()
    try:
        output, _ = hanging.process.communicate(timeout=END_SECONDS)
    except subprocess.TimeoutExpired:
        pytest.fail(f"it went on for {END_SECONDS} s")
    return hanging.process.returncode, output.decode()


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("where", ["verification", "reply"])
def test_an_interrupted_run_leaves_nothing(project: Project, where: str, backend: str) -> None:
    """What was green by then is written, and nothing else: the rest can be run again."""
    before = project.files()
    with hanging_run(project, where, backend) as hanging:
        # Ctrl-C in a terminal goes to all of the foreground's processes.
        status, output = end(hanging, lambda: os.killpg(hanging.process.pid, signal.SIGINT))
        assert eventually(END_SECONDS, lambda: not hanging.leftovers()), hanging.leftovers()
    run = project.outcome(status, output.encode(), before)
    assert status == 2, output
    assert run.statuses()[ADD] == "unhealed"
    if run.statuses()[SUB] == "healed":
        assert "interrupted: what was green is written; run again for the rest" in output
        assert run.changed.keys() == {"mod.py"}
        assert "return a - b" in run.text("mod.py")
    else:
        assert "interrupted: nothing was written" in output
        assert run.changed == {}
    assert list(project.temporary.iterdir()) == []


TELLS_OF_GREEN = """
def pytest_selfheal_attempt(targets, attempt):
    if attempt.verdict == "passed":
        with open({path!r}, "a") as file:
            file.writelines(targets)
"""


@pytest.fixture
def green(project: Project, tmp_path: Path) -> Callable[[], None]:
    """Waits until the only group that can be green was."""
    told = tmp_path / "green.txt"
    project.write({"conftest.py": TELLS_OF_GREEN.format(path=str(told))})

    def wait() -> None:
        assert eventually(60, lambda: told.exists() and SUB in told.read_text())
        time.sleep(0.2)  # the plan is told of it next

    return wait


@pytest.mark.usefixtures("nothing_ignored")
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_what_is_green_is_written_at_the_first_interrupt(
    project: Project, name: str, green: Callable[[], None]
) -> None:
    before = project.files()
    with hanging_run(project, "reply", "landlock") as hanging:
        green()
        status, output = end(hanging, lambda: hanging.process.send_signal(getattr(signal, name)))
        assert eventually(END_SECONDS, lambda: not hanging.leftovers()), hanging.leftovers()
    run = project.outcome(status, output.encode(), before)
    assert status == 2, output
    assert run.statuses() == {ADD: "unhealed", SUB: "healed"}, output
    assert run.stubs[ADD]["reason"] == "interrupted"
    assert "return a - b" in run.text("mod.py")
    with ScriptedServer({ADD: [GOOD_ADD]}) as server:
        again = project.heal(sandbox("landlock"), server=server)
    assert again.status == 0, again.output
    assert again.statuses() == {ADD: "healed"}


def test_a_second_interrupt_ends_at_once(project: Project, green: Callable[[], None]) -> None:
    """In the verification that the first one asks for, which hangs here by a slow test."""
    project.write({"test_slow.py": SLOW_WITH_CODE})
    before = project.files()
    with hanging_run(project, "reply", "landlock") as hanging:
        green()
        hanging.process.send_signal(signal.SIGINT)
        assert eventually(60, hanging.is_in_slow_test)
        status, output = end(hanging, lambda: hanging.process.send_signal(signal.SIGINT))
        assert eventually(END_SECONDS, lambda: not hanging.leftovers()), hanging.leftovers()
    run = project.outcome(status, output.encode(), before)
    assert status == 2, output
    assert run.changed == {}
    assert "interrupted: nothing was written" in output


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_killed_run_leaves_no_process(project: Project, backend: str) -> None:
    before = project.files()
    with hanging_run(project, "verification", backend) as hanging:
        status, _ = end(hanging, hanging.process.kill)
        assert eventually(END_SECONDS, lambda: not hanging.leftovers()), hanging.leftovers()
    assert status == -signal.SIGKILL
    assert project.files() == before


def test_what_a_killed_run_left_is_cleared_by_the_next(project: Project) -> None:
    with hanging_run(project, "verification", "landlock") as hanging:
        end(hanging, hanging.process.kill)
        assert eventually(END_SECONDS, lambda: not hanging.leftovers())
    with ScriptedServer({ADD: [GOOD_ADD], SUB: [GOOD_SUB]}) as server:
        run = project.heal(sandbox("landlock"), server=server)
    assert run.status == 0, run.output
    assert list(project.temporary.iterdir()) == []


def test_tests_that_are_interrupted_are_not_healed(tmp_path: Path) -> None:
    """Ctrl-C during the user's own tests: pytest's status, and nobody is asked."""
    project = Project(
        tmp_path / "project",
        {
            **FILES,
            "test_zz.py": """
                import os
                import signal


                def test_interrupts():
                    os.kill(os.getpid(), signal.SIGINT)
            """,
        },
    )
    with ScriptedServer({ADD: [GOOD_ADD], SUB: [GOOD_SUB]}) as server:
        run = project.heal(sandbox("landlock"), server=server)
    assert run.status == 2, run.output
    assert server.requests == []
    assert run.changed == {}


def test_a_reply_of_100_mb_costs_its_own_stub_alone(tmp_path: Path) -> None:
    require("bubblewrap")
    project = Project(tmp_path / "project", FILES)
    script = {ADD: [GOOD_ADD], SUB: [Fault(body=b"x" * 100 * 2**20)]}
    with ScriptedServer(script) as server:
        run = project.heal("--selfheal-sandbox=bubblewrap", "--selfheal-attempts=1", server=server)
    assert run.statuses() == {ADD: "healed", SUB: "unhealed"}
    assert "answered with more than 1,048,576 bytes" in run.stubs[SUB]["reason"]
    assert "x" * 1000 not in run.output
