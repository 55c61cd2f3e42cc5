"""Bad input, end to end: one clear line, nothing lost, exit status 4 before any test runs."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.harness import Project, Run, python, require
from tests.scripted_server import ScriptedServer

# The test leaves a trace of having been run, outside of what is compared.
FILES = {
    "mod.py": """
        # selfheal
        def add(a: int, b: int) -> int:
            ...
    """,
    "test_mod.py": """
        import os

        import mod


        def test_add():
            if "RAN" in os.environ:
                open(os.environ["RAN"], "w").close()
            assert mod.add(1, 2) == 3
    """,
}
TARGET = "mod.py::add"
GOOD = python("def add(a: int, b: int) -> int:\n    return a + b\n")

HEADER = '{"selfheal_recording": 1, "model": "m"}\n'
EXCHANGE = (
    '{"targets": ["mod.py::add"], "attempt": 1, "prompt": "p", "reply": "r", '
    '"input_tokens": 1, "output_tokens": 1}\n'
)


@dataclass(frozen=True, kw_only=True)
class Case:
    arguments: tuple[str, ...]
    said: tuple[str, ...]
    """What the one line holds."""
    env: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)


def _closed_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _ini(line: str) -> dict[str, str]:
    return {"pytest.ini": f"[pytest]\n{line}\n"}


UNANSWERED = f"http://127.0.0.1:{_closed_port()}/v1"
REPLAY = "--selfheal-replay=rec.jsonl"
REFUSED_BEFORE_THE_TESTS = {
    "no-key-and-no-replay": Case(
        arguments=(), said=("OPENAI_API_KEY is not set", "--selfheal-replay")
    ),
    "empty-key": Case(
        arguments=(), env={"OPENAI_API_KEY": " "}, said=("OPENAI_API_KEY is not set",)
    ),
    "endpoint-that-does-not-answer": Case(
        arguments=(f"--selfheal-base-url={UNANSWERED}",),
        said=(repr(UNANSWERED), "does not answer", "check --selfheal-base-url"),
    ),
    "endpoint-by-environment": Case(
        arguments=(), env={"OPENAI_BASE_URL": UNANSWERED}, said=(UNANSWERED, "OPENAI_BASE_URL")
    ),
    "endpoint-that-is-no-url": Case(
        arguments=("--selfheal-base-url=nowhere",),
        said=("--selfheal-base-url: 'nowhere' is not", "http://"),
    ),
    "docker-without-a-daemon": Case(
        arguments=(REPLAY, "--selfheal-sandbox=docker"),
        env={"DOCKER_HOST": "unix:///nonexistent/docker.sock"},
        files={"rec.jsonl": HEADER + EXCHANGE},
        said=("--selfheal-sandbox=docker", "/nonexistent/docker.sock", "start it"),
    ),
    "replay-that-is-missing": Case(
        arguments=("--selfheal-replay=none.jsonl",),
        said=("none.jsonl", "No such file", "--selfheal-replay"),
    ),
    "replay-that-is-cut-off": Case(
        arguments=(REPLAY,),
        files={"rec.jsonl": HEADER + EXCHANGE + EXCHANGE[:40]},
        said=("rec.jsonl", "line 3", "cut off", "--selfheal-record"),
    ),
    "replay-that-is-no-recording": Case(
        arguments=(REPLAY,),
        files={"rec.jsonl": "hello\n"},
        said=("rec.jsonl", "line 1", "selfheal_recording"),
    ),
    "replay-that-is-empty": Case(
        arguments=(REPLAY,), files={"rec.jsonl": ""}, said=("rec.jsonl", "empty")
    ),
    "replay-of-another-project": Case(
        arguments=(REPLAY,),
        files={"rec.jsonl": HEADER + EXCHANGE.replace("mod.py", "other/place.py")},
        said=("rec.jsonl", "another project", "'other/place.py'"),
    ),
    "replay-with-record": Case(
        arguments=(REPLAY, "--selfheal-record=new.jsonl"),
        files={"rec.jsonl": HEADER + EXCHANGE},
        said=("--selfheal-replay", "--selfheal-record", "leave one out"),
    ),
    "unknown-mode": Case(
        arguments=("--selfheal-mode=repair",),
        said=("--selfheal-mode: 'repair' is not one of apply, propose, review, check",),
    ),
    "unknown-sandbox": Case(
        arguments=("--selfheal-sandbox=chroot",),
        said=("--selfheal-sandbox: 'chroot' is not one of",),
    ),
    "attempts-below-one": Case(
        arguments=("--selfheal-attempts=0",), said=("--selfheal-attempts: '0' is not a whole",)
    ),
    "memory-that-is-no-size": Case(
        arguments=("--selfheal-memory=lots",), said=("--selfheal-memory: 'lots' is not a size",)
    ),
    "timeout-that-is-no-number": Case(
        arguments=("--selfheal-timeout=soon",), said=("--selfheal-timeout: 'soon' is not a num",)
    ),
    "report-of-another-kind": Case(
        arguments=("--selfheal-report=out.xml",),
        said=("--selfheal-report: 'out.xml' is not", ".json or .html"),
    ),
    "ini-number-that-is-none": Case(
        arguments=(),
        files=_ini("selfheal_attempts = many"),
        said=("selfheal_attempts: 'many' is not a whole number",),
    ),
    "ini-bool-that-is-none": Case(
        arguments=(),
        files=_ini("selfheal_keep_marker = perhaps"),
        said=("selfheal_keep_marker: 'perhaps' is not true or false",),
    ),
    "ini-of-a-type-of-toml": Case(
        arguments=("-c", "pyproject.toml"),
        files={"pyproject.toml": "[tool.pytest.ini_options]\nselfheal_jobs = [1, 2]\n"},
        said=("selfheal_jobs", "is not a whole number"),
    ),
    "ini-by-o": Case(
        arguments=("-o", "selfheal_mode=fix"),
        said=("selfheal_mode: 'fix' is not one of",),
    ),
    "key-for-the-sandbox": Case(
        arguments=(),
        files=_ini("selfheal_env = LANG OPENAI_API_KEY"),
        said=("selfheal_env", "'OPENAI_API_KEY'", "the key stays outside"),
    ),
    "review-with-nobody-to-ask": Case(
        arguments=(REPLAY, "--selfheal-mode=review"),
        files={"rec.jsonl": HEADER + EXCHANGE},
        said=("--selfheal-mode=review", "standard input"),
    ),
    "review-without-a-terminal-reporter": Case(
        arguments=(REPLAY, "--selfheal-mode=review", "-p", "no:terminal"),
        files={"rec.jsonl": HEADER + EXCHANGE},
        said=("--selfheal-mode=review", "-p no:terminal takes it away"),
    ),
}


@pytest.mark.parametrize("name", REFUSED_BEFORE_THE_TESTS)
def test_what_can_be_known_is_said_before_any_test_runs(tmp_path: Path, name: str) -> None:
    case = REFUSED_BEFORE_THE_TESTS[name]
    if name != "docker-without-a-daemon":
        require("landlock")
    project = Project(tmp_path / "project", {**FILES, **case.files})
    ran = tmp_path / "ran"
    run = project.heal(*case.arguments, env={"RAN": str(ran), **case.env})
    assert run.status == 4, run.output
    lines = [line for line in run.output.splitlines() if line.startswith("ERROR")]
    assert len(lines) == 1, run.output
    for words in case.said:
        assert words in lines[0]
    assert run.changed == {}
    assert run.report is None
    assert not ran.exists(), "a test was run"


def test_no_sandbox_at_all_is_an_error_and_never_a_run_without(tmp_path: Path) -> None:
    """Neither daemon nor Landlock: the conftest takes the kernel's answer away."""
    project = Project(
        tmp_path / "project",
        {
            **FILES,
            "rec.jsonl": HEADER + EXCHANGE,
            "conftest.py": """
                from pytest_selfheal.sandbox import choose

                for name in ("landlock_problem", "bubblewrap_problem"):
                    if hasattr(choose, name):
                        setattr(choose, name, lambda *_: "taken away")
            """,
        },
    )
    ran = tmp_path / "ran"
    run = project.heal(
        REPLAY, env={"RAN": str(ran), "DOCKER_HOST": "unix:///nonexistent/docker.sock"}
    )
    assert run.status == 4, run.output
    (line,) = [line for line in run.output.splitlines() if line.startswith("ERROR")]
    assert "no sandbox can be used here, and none is done without" in line
    assert "/nonexistent/docker.sock" in line
    assert "taken away" in line
    assert not ran.exists()
    assert run.changed == {}


def test_without_selfheal_nothing_of_it_is_asked_or_refused(tmp_path: Path) -> None:
    project = Project(tmp_path / "project", {**FILES, **_ini("selfheal_attempts = many")})
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q"],
        cwd=project.root,
        env=project.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "selfheal" not in done.stdout + done.stderr


# --- files -----------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class FileCase:
    content: bytes
    said: str
    status: str | None = None
    """What the report says of the stub in it, None where there is no such stub."""
    reason: str | None = None


STUB = b"# selfheal\ndef other(a: int) -> int:\n    ...\n"
READ_ONLY = "'read_only.py' cannot be written: the file is read-only; make it writable"
ODD_FILES = {
    "read_only.py": FileCase(content=STUB, said=READ_ONLY, status="skipped", reason=READ_ONLY),
    "not_utf8.py": FileCase(content=b'NAME = "\xe4"\n\n\n' + STUB, said="warning: not_utf8.py:1: "),
    "syntax_error.py": FileCase(
        content=b"def broken(:\n    pass\n\n\n" + STUB, said="warning: syntax_error.py:1: "
    ),
    "a_lambda.py": FileCase(
        content=b"from pytest_selfheal import heal\n\nother = heal(lambda a: ...)\n",
        said="warning: a_lambda.py:3: ",
    ),
    "an_overload.py": FileCase(
        content=b"from typing import overload\n\n\n# selfheal\n@overload\n"
        b"def other(a: int) -> int: ...\n\n\ndef other(a):\n    return a - 1\n",
        said="warning: an_overload.py:",
    ),
    "an_abstract.py": FileCase(
        content=b"from abc import ABC, abstractmethod\n\n\nclass Base(ABC):\n    # selfheal\n"
        b"    @abstractmethod\n    def other(self) -> int:\n        ...\n",
        said="warning: an_abstract.py:",
    ),
    "unknown_option.py": FileCase(
        content=STUB.replace(b"selfheal", b"selfheal: retries=3"),
        said="'retries' is no option of a marker",
        status="unhealed",
        reason="not today",
    ),
}


@dataclass(frozen=True)
class OddRun:
    run: Run
    asked: list[str]


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> OddRun:
    """One run over a good file and all the odd ones, each with a red test of its own."""
    require("landlock")
    files: dict[str, str | bytes] = dict(FILES)
    for name, case in ODD_FILES.items():
        module = name.removesuffix(".py")
        files[name] = case.content
        files[f"test_{name}"] = (
            f"def test_{module}():\n    import {module} as odd\n\n    assert odd.other(1) == 1\n"
        )
    project = Project(tmp_path_factory.mktemp("odd") / "project", files)
    (project.root / "read_only.py").chmod(0o444)
    replies = {TARGET: [GOOD], "unknown_option.py::other": ["Cannot: not today\n"]}
    with ScriptedServer(replies) as server:
        run = project.heal("--selfheal-sandbox=landlock", server=server)
    return OddRun(run, [target for request in server.requests for target in request.targets])


@pytest.mark.parametrize("name", ODD_FILES)
def test_an_odd_file_is_named_in_the_summary(odd: OddRun, name: str) -> None:
    case = ODD_FILES[name]
    lines = [line for line in odd.run.output.splitlines() if case.said in line]
    assert len(lines) == 1, odd.run.output
    stub = odd.run.stubs.get(f"{name}::other")
    assert (stub and stub["status"], stub and stub["reason"]) == (case.status, case.reason)


def test_odd_files_cost_no_request_and_hold_up_no_other(odd: OddRun) -> None:
    assert odd.run.status == 1
    assert odd.run.statuses()[TARGET] == "healed"
    assert list(odd.run.changed) == ["mod.py"]
    assert sorted(odd.asked) == [TARGET, "unknown_option.py::other"]


def test_a_project_where_all_is_read_only_asks_nobody(tmp_path: Path) -> None:
    require("landlock")
    project = Project(tmp_path / "project", FILES)
    (project.root / "mod.py").chmod(0o444)
    with ScriptedServer({TARGET: [GOOD]}) as server:
        run = project.heal("--selfheal-sandbox=landlock", server=server)
    assert run.status == 1
    assert run.statuses() == {TARGET: "skipped"}
    assert run.changed == {}
    assert server.requests == []
    assert (project.root / "mod.py").stat().st_mode & 0o777 == 0o444


def test_a_report_that_cannot_be_written_is_one_line_and_loses_no_heal(tmp_path: Path) -> None:
    require("landlock")
    project = Project(tmp_path / "project", {**FILES, "afile": "x"})
    with ScriptedServer({TARGET: [GOOD]}) as server:
        run = project.heal(
            "--selfheal-sandbox=landlock",
            f"--selfheal-report={project.root / 'afile' / 'r.json'}",
            server=server,
        )
    assert run.status == 0, run.output
    (line,) = [line for line in run.output.splitlines() if "r.json" in line]
    assert line.startswith("selfheal: ")
    assert run.statuses() == {TARGET: "healed"}
    assert "return a + b" in run.text("mod.py")
    assert os.listdir(project.temporary) == []
