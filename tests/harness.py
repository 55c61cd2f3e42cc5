"""A real `pytest --selfheal …` run over a made-up project: files in, outcome out.

project = Project(tmp_path / "project", {"mod.py": …, "test_mod.py": …})
with ScriptedServer({"mod.py::f": [python("def f(): …")]}) as server:
    run = project.heal("--selfheal-sandbox=landlock", server=server)
assert run.status == 0
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.report_schema import check_form
from tests.sandboxes import WITHOUT_PLUGINS, require
from tests.scripted_server import ScriptedServer

TIMEOUT_SECONDS = 150
"""For a whole run; it is never what a test measures."""

KEY = "sk-selfheal-canary-7Jq2mVx0fRtY9bWc"
"""What OPENAI_API_KEY holds in every run with a server: it may turn up nowhere else."""

_LEFT_OUT = frozenset({"__pycache__", ".pytest_cache", ".git"})
_OF_THE_OUTSIDE = ("OPENAI_", "PYTEST_", "SELFHEAL_", "COV_")

# Where an exception of the plugin's own would show: pytest's word for one, Python's own
# form of a traceback, and frames in our files (a stub's own call is told from these).
_OWN_TRACEBACK = re.compile(
    r"INTERNALERROR|Traceback \(most recent call last\)|internal error|"
    r"pytest_selfheal[\w/]*\.py\"?(?:, line |:)\d+"
)


def code(text: str) -> str:
    """A source text without the indentation and the first newline of where it stands."""
    return textwrap.dedent(text).lstrip("\n")


def python(definitions: str, checks: str | None = None) -> str:
    """A reply: one block of code, and one of the model's own checks where given."""
    reply = f"Here it is.\n\n```python\n{code(definitions)}```\n"
    if checks is not None:
        reply += f"\n```python checks\n{code(checks)}```\n"
    return reply


@dataclass(frozen=True, kw_only=True)
class Run:
    """What came of one run."""

    status: int
    output: str
    """Standard output and standard error together."""
    report: Mapping[str, Any] | None
    """The JSON report, None where none was written."""
    changed: Mapping[str, bytes | None]
    """The project's files that differ from before, None for one that is gone."""
    seconds: float

    @property
    def stubs(self) -> dict[str, Any]:
        """The report's stubs by target."""
        assert self.report is not None, self.output
        return {stub["target"]: stub for stub in self.report["stubs"]}

    def text(self, path: str) -> str:
        """A changed file as text."""
        assert path in self.changed, f"{path} is as it was\n{self.output}"
        data = self.changed[path]
        assert data is not None, f"{path} is gone"
        return data.decode()

    def statuses(self) -> dict[str, str]:
        """The report's statuses by target."""
        return {target: stub["status"] for target, stub in self.stubs.items()}

    def verdicts(self, target: str) -> list[str]:
        """The verdicts of a stub's attempts."""
        return [attempt["verdict"] for attempt in self.stubs[target]["attempts"]]


class Project:
    """A folder with files, and the runs in it."""

    def __init__(self, root: Path, files: Mapping[str, str | bytes]) -> None:
        self.root = root
        self.temporary = root.parent / f"{root.name}-tmp"
        """Where the run, and what it starts, keep their temporary files."""
        self.report_file = root.parent / f"{root.name}-report.json"
        root.mkdir(parents=True)
        self.temporary.mkdir()
        # A rootdir of its own, whatever stands in the folders above it.
        self.write({"pytest.ini": "[pytest]\n", **files})

    def write(self, files: Mapping[str, str | bytes]) -> None:
        """Make files, with their folders."""
        for name, content in files.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else code(content).encode())

    def files(self) -> dict[str, bytes]:
        """All files as they are, what pytest and Python keep for themselves left out."""
        return {
            path.relative_to(self.root).as_posix(): path.read_bytes()
            for path in sorted(self.root.rglob("*"))
            if path.is_file() and not _LEFT_OUT & set(path.relative_to(self.root).parts)
        }

    def heal(
        self,
        *arguments: str,
        server: ScriptedServer | None = None,
        env: Mapping[str, str] | None = None,
        timeout_seconds: float = TIMEOUT_SECONDS,
    ) -> Run:
        """Run `pytest --selfheal` with these arguments to its end.

        Args:
            arguments: More of the command line.
            server: Who answers; its URL is given, and a key that must not leak.
            env: Environment variables on top of a clean set.
            timeout_seconds: For the whole run.
        """
        before = self.files()
        self.report_file.unlink(missing_ok=True)
        start = time.monotonic()
        done = subprocess.run(
            self.command(*arguments, server=server),
            cwd=self.root,
            env=self.environment(server, env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=timeout_seconds,
            check=False,
            preexec_fn=_heed_interrupts,
        )
        return self.outcome(done.returncode, done.stdout, before, time.monotonic() - start)

    def outcome(
        self, status: int, output: bytes, before: Mapping[str, bytes], seconds: float = 0.0
    ) -> Run:
        """Gather what a run left, and hold it against what holds for every run."""
        after = self.files()
        text = output.decode("utf-8", "replace")
        report = None
        if self.report_file.exists():
            report = json.loads(self.report_file.read_text())
            check_report(report, status)
        assert not _OWN_TRACEBACK.search(text), text
        assert KEY not in text
        assert not any(KEY.encode() in data for data in after.values())
        assert report is None or KEY not in self.report_file.read_text()
        return Run(
            status=status,
            output=text,
            report=report,
            changed={
                path: after.get(path)
                for path in sorted({*before, *after})
                if before.get(path) != after.get(path)
            },
            seconds=seconds,
        )

    @contextmanager
    def started(
        self, *arguments: str, server: ScriptedServer | None = None
    ) -> Iterator[subprocess.Popen[bytes]]:
        """The same run, in a session of its own, while it goes on; killed at the end."""
        process = subprocess.Popen(
            self.command(*arguments, server=server),
            cwd=self.root,
            env=self.environment(server),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=_heed_interrupts,
        )
        try:
            yield process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
            process.communicate()

    def command(self, *arguments: str, server: ScriptedServer | None = None) -> list[str]:
        """The whole command line."""
        command = [sys.executable, "-m", "pytest", "--selfheal"]
        command.append(f"--selfheal-report={self.report_file}")
        if server is not None:
            command.append(f"--selfheal-base-url={server.base_url}")
        return [*command, *arguments]

    def environment(
        self, server: ScriptedServer | None = None, more: Mapping[str, str] | None = None
    ) -> dict[str, str]:
        """This process's environment without what would change a run."""
        environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(_OF_THE_OUTSIDE)
        }
        environment |= {"TMPDIR": str(self.temporary), "PY_COLORS": "0", "COLUMNS": "110"}
        environment["PYTEST_ADDOPTS"] = WITHOUT_PLUGINS
        if server is not None:
            environment["OPENAI_API_KEY"] = KEY
        return environment | dict(more or {})

    def git(self, *arguments: str) -> str:
        """Run git in the project; its output."""
        command = ["git", "-c", "user.name=t", "-c", "user.email=t@example.invalid", *arguments]
        done = subprocess.run(command, cwd=self.root, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout


def check_report(report: Mapping[str, Any], status: int) -> None:
    """Hold a JSON report against what is promised of its form and of the exit status."""
    check_form(report)
    assert report["exit_status"] == status
    for stub in report["stubs"]:
        for attempt in stub["attempts"]:
            assert (attempt["why"] is None) == (attempt["verdict"] == "passed")


# --- what must not be left behind ------------------------------------------------------


def processes_of(project: Project) -> dict[int, str]:
    """Command lines of the processes that run for a project, in a sandbox or out of it.

    They stand in its folder, at the same path in whatever namespace, or have the run's
    folder for temporary files in their environment.
    """
    found = {}
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit() or int(folder.name) == os.getpid():
            continue
        try:
            if (folder / "stat").read_text().rpartition(")")[2].split()[0] == "Z":
                continue
            here = Path(os.readlink(folder / "cwd"))
            environment = (folder / "environ").read_bytes()
            if here.is_relative_to(project.root) or str(project.temporary).encode() in environment:
                command = (folder / "cmdline").read_bytes().replace(b"\0", b" ")
                found[int(folder.name)] = command.decode("utf-8", "replace")
        except OSError:
            continue  # it ended meanwhile, or is not ours to look at
    return found


def containers_of(pid: int) -> list[str]:
    """Ids of the containers that a pytest process started, whatever their state."""
    if shutil.which("docker") is None:
        return []
    form = '{{.ID}} {{.Label "pytest-selfheal.owner"}}'
    command = ["docker", "ps", "-a", "--filter", "label=pytest-selfheal", "--format", form]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return [line for line in done.stdout.splitlines() if line.endswith(f":{pid}")]


def eventually(seconds: float, condition: Any) -> bool:
    """Whether a condition comes true within so long."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.05)
    return bool(condition())


__all__ = [
    "KEY",
    "TIMEOUT_SECONDS",
    "WITHOUT_PLUGINS",
    "Project",
    "Run",
    "check_report",
    "code",
    "containers_of",
    "eventually",
    "processes_of",
    "python",
    "require",
]


def _heed_interrupts() -> None:
    """A shell gives its background jobs an ignored SIGINT, which would be inherited."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
