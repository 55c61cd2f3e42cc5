"""The host's end of a parked sandbox: set up, one job, and the end.

Common to all launchers, which differ only in the channel they give.
"""

from __future__ import annotations

import dataclasses
import importlib.resources
import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from pytest_selfheal.errors import SandboxFailed
from pytest_selfheal.records import EarlyEnd, Job, Limits, RunOutcome
from pytest_selfheal.sandbox.conclude import conclude
from pytest_selfheal.sandbox.frames import Channel, pack, pack_json, receive_json
from pytest_selfheal.sandbox.inside_watch import MAX_STRETCH
from pytest_selfheal.sandbox.read_ahead import ReadAhead
from pytest_selfheal.sandbox.workspace import Workspace

START_SECONDS = 60.0
GRACE_SECONDS = 10.0
"""How long after a job's own time limit the host waits for the supervisor to say so."""

# Reads the supervisor's text from standard input, so that a sandbox needs nothing of ours.
BOOTSTRAP = """\
import os
def read(size):
    data = b""
    while len(data) < size:
        part = os.read(0, size - len(data))
        if not part:
            os._exit(0)
        data += part
    return data
def text():
    return compile(read(int.from_bytes(read(4), "big")), "<selfheal>", "exec")
ahead = {"__name__": "selfheal_inside_ahead"}
exec(text(), ahead)
inside = {"__name__": "selfheal_inside"}
with ahead["reader"]:
    exec(text(), inside)
inside["serve"](ahead["reader"])
os._exit(0)
"""

_INSIDE = (
    "watch", "reports", "session", "imports", "children", "child", "trace", "reach", "walls",
    "checks", "twins", "changed", "controls", "early", "order", "tests", "confine", "syscalls",
)  # fmt: skip
"""What is sent beside the supervisor's own text."""

_OWN_PACKAGE = (
    "__init__.py", "marker.py", "errors.py", "options.py", "option_table.py", "hookspecs.py",
    "plugin.py",
)  # fmt: skip
"""What a pytest without `--selfheal` imports of this package."""

_IMAGE_VARIABLES = ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "LC_CTYPE")
"""What an image's own Python may need, and what Python sets by itself."""

_GUARDED_NAMES = ("pytest.toml", ".pytest.toml", "pytest.ini", ".pytest.ini", "pyproject.toml",
                  "tox.ini", "setup.cfg")  # fmt: skip


class ParkedSandbox:
    """A sandbox that is up and waits for its one job."""

    def __init__(
        self,
        channel: Channel,
        workspace: Workspace,
        limits: Limits,
        *,
        files: bytes | None,
        other_names: Mapping[str, Sequence[str]] | None = None,
        has_hosts_python: bool = True,
        root: str | None = None,
        killed_for_memory: Callable[[], bool] = lambda: False,
        data_limit_bytes: int | None = None,
        is_hidden: bool = False,
        must_filter: bool = False,
        ahead: ReadAhead | None = None,
    ) -> None:
        """Send the supervisor and the files, and wait until it is parked.

        Args:
            channel: The streams of a process that runs `BOOTSTRAP`.
            workspace: What to mirror.
            limits: What it may use.
            files: The project's files as a tar, None where they are in place already.
            other_names: Of linked files, the links: written as well, where a file's new
                content is not seen through them.
            has_hosts_python: It is this very Python, so that its import path holds in
                there. Another one is sent what a project may ask for of this package.
            root: Where the project lies in there, if not at its own path.
            killed_for_memory: Asked where a process was killed by no doing of ours and
                the sandbox has no count of its own that it can read.
            data_limit_bytes: A limit on each process's data, where nothing limits the whole.
            is_hidden: Nobody outside needs to read the supervisor's memory, so that it may
                be kept from the code in there as well.
            must_filter: Nothing but the supervisor puts a filter of system calls over the
                code in there.
            ahead: What was read while others started, and is told what this one reads.

        Raises:
            SandboxFailed: It did not come up. The channel is destroyed.
        """
        self._channel = channel
        self._limits = limits
        self._killed_for_memory = killed_for_memory
        root = root or str(workspace.root)
        setup = {
            "root": root,
            "cwd": _cwd(workspace, root),
            "args": list(workspace.pytest_args),
            "plugin_args": list(workspace.plugin_args),
            "sys_path": list(workspace.sys_path) if has_hosts_python else None,
            "switched_off": {m: list(each) for m, each in workspace.switched_off.items()},
            "has_cache": workspace.has_cache,
            "warm": list(workspace.warm),
            "variables": [*workspace.environment, *_IMAGE_VARIABLES],
            "limits": dataclasses.asdict(limits) | {"data_bytes": data_limit_bytes},
            "selected": {path: list(each) for path, each in workspace.selected.items()},
            "sources": {name: _source(f"inside_{name}.py") for name in _INSIDE},
            "other_names": {path: list(links) for path, links in (other_names or {}).items()},
            "own_package": {} if has_hosts_python else _own_package(),
            "has_files": files is not None,
            "is_hidden": is_hidden,
            "must_filter": must_filter,
            "tells_what_it_reads": ahead is not None and ahead.file is None,
        }
        reading = f"{_source('inside_ahead.py')}\nreader = Ahead({ahead and ahead.file!r})\n"
        texts = [reading, _source("inside.py"), json.dumps(setup)]
        frames = [text.encode() for text in texts]
        answer = self._park(b"".join(map(pack, frames if files is None else [*frames, files])))
        if ahead is not None:
            ahead.learn(answer.get("read"))

    def _park(self, data: bytes) -> dict[str, Any]:
        try:
            deadline = time.monotonic() + START_SECONDS
            self._channel.send(data, deadline)
            answer = receive_json(self._channel, deadline)
        except (OSError, EOFError, ValueError) as error:
            _, why = self._channel.explain_death()
            self._channel.destroy()
            raise SandboxFailed(f"the sandbox did not start: {why or error}") from error
        except BaseException:
            self._channel.destroy()
            raise
        if "error" in answer:
            self._channel.destroy()
            raise SandboxFailed(f"the sandbox did not start: {answer['error']}")
        return answer

    def run(self, job: Job) -> RunOutcome:
        """Run a job; what the code in there does is an outcome, never an exception."""
        start = time.monotonic()
        try:
            outcome = self._run(job)
        finally:
            seconds = time.monotonic() - start
        return dataclasses.replace(outcome, seconds=seconds)

    def close(self) -> None:
        """End everything inside and remove what was left."""
        self._channel.destroy()

    def _run(self, job: Job) -> RunOutcome:
        timeout = job.timeout_seconds or self._limits.timeout_seconds
        deadline = time.monotonic() + (1 + MAX_STRETCH) * timeout + GRACE_SECONDS
        try:
            self._channel.send(pack_json(_message(job, timeout)), deadline)
            answer = receive_json(self._channel, deadline)
        except TimeoutError:
            return RunOutcome(ending="timeout", why=f"no answer from the sandbox in {timeout:g} s")
        except EOFError:
            ending, why = self._channel.explain_death()
            return RunOutcome(ending=ending, why=why)  # type: ignore[arg-type]
        except ValueError as error:
            return RunOutcome(ending="untrusted", why=f"the sandbox gave {error}")
        except OSError as error:
            return RunOutcome(ending="sandbox-failed", why=f"the sandbox was lost: {error}")
        limits = dataclasses.replace(self._limits, timeout_seconds=timeout)
        try:
            return conclude(answer, job, limits, kill_means_memory=self._killed_for_memory())
        except (LookupError, TypeError, ValueError, AttributeError, RecursionError) as error:
            why = f"the sandbox gave an answer of another form ({type(error).__name__})"
            return RunOutcome(ending="untrusted", why=why)


def _message(job: Job, timeout_seconds: float) -> dict[str, Any]:
    return {
        "nodes": list(job.nodes),
        "overlay": {path: data.decode("latin-1") for path, data in job.overlay.items()},
        "watch": [dataclasses.asdict(each) for each in job.watch],
        "checks": dict(job.checks),
        "shuffle_seed": job.shuffle_seed,
        "under_trial": sorted(job.under_trial),
        "first": sorted(job.first),
        "last": list(job.last),
        "early_end": None if job.early_end is None else _early_end(job.early_end),
        "guarded": sorted(_guarded(job)),
        "timeout_seconds": timeout_seconds,
    }


def _early_end(early_end: EarlyEnd) -> dict[str, Any]:
    known = dataclasses.asdict(early_end)
    return {k: sorted(v) if isinstance(v, frozenset) else v for k, v in known.items()}


def _cwd(workspace: Workspace, root: str) -> str:
    """The folder to run in: where pytest was invoked, if that is within the project."""
    if workspace.cwd.is_relative_to(workspace.root):
        return str(PurePosixPath(root, workspace.cwd.relative_to(workspace.root).as_posix()))
    return root


def _guarded(job: Job) -> set[str]:
    """The files that judge: the tests', every conftest above them, pytest's settings."""
    guarded = set(_GUARDED_NAMES)
    for node in job.nodes:
        path = PurePosixPath(node.partition("::")[0])
        guarded.add(str(path))
        guarded.update(str(parent / "conftest.py") for parent in path.parents)
    return guarded


def _own_package() -> dict[str, str]:
    """The modules that a project's code, ini file and `addopts` may ask for."""
    package = importlib.resources.files("pytest_selfheal")
    return {name: package.joinpath(name).read_text("utf-8") for name in _OWN_PACKAGE}


def _source(name: str) -> str:
    return importlib.resources.files(__package__).joinpath(name).read_text("utf-8")
