"""A sandbox of one's own: whatever command starts a confined Python with two pipes.

Here that is `bwrap` with as little as will do. For nsjail, a microVM or another machine, what
changes is `_command`. It takes the place of `--selfheal-sandbox=bubblewrap`, and is weaker: without
a control group, memory is limited for each process alone and their number not at all.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pytest_selfheal.protocols import Launcher, Sandbox
    from pytest_selfheal.records import Limits
    from pytest_selfheal.sandbox.pipes import PipeChannel
    from pytest_selfheal.sandbox.workspace import Workspace
    from pytest_selfheal.settings import Settings


class CommandLauncher:
    """Starts sandboxes. Called from several threads."""

    name = "my bwrap"

    def __init__(self, workspace: Workspace, limits: Limits) -> None:
        from pytest_selfheal.sandbox.workspace import snapshot

        self._workspace = workspace
        self._limits = limits
        # What tests need of the project: no .git, no .env, no environments.
        self._files = snapshot(workspace.root, limits.disk_bytes // 2)

    def launch(self) -> Sandbox:
        from pytest_selfheal.sandbox.parked import BOOTSTRAP, ParkedSandbox

        process = subprocess.Popen(
            [*self._command(), sys.executable, "-u", "-c", BOOTSTRAP],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=dict(self._workspace.environment),  # no variable beside these
            start_new_session=True,  # Ctrl-C is for pytest to deal with
        )
        # It sends the supervisor and the files, and waits until pytest is imported in there.
        return ParkedSandbox(
            channel_of(process, self._limits),
            self._workspace,
            self._limits,
            files=self._files,
            is_hidden=True,
            must_filter=True,
            data_limit_bytes=self._limits.memory_bytes,
        )

    def close(self) -> None:
        """Nothing is shared by its sandboxes."""

    def _command(self) -> list[str]:
        half = str(self._limits.disk_bytes // 2)
        command = ["bwrap", "--unshare-all", "--unshare-user", "--die-with-parent", "--as-pid-1"]
        command += ["--uid", "65534", "--gid", "65534", "--cap-drop", "ALL"]
        command += ["--proc", "/proc", "--dev", "/dev"]
        mounts = {path: ["--ro-bind", path, path] for path in self._workspace.read_paths}
        for path in ("/tmp", str(self._workspace.root)):
            mounts[path] = ["--size", half, "--tmpfs", path]
        # What lies in another folder is mounted after it.
        for path in sorted(mounts, key=lambda each: len(Path(each).parts)):
            command += mounts[path]
        return [*command, "--remount-ro", "/", "--chdir", str(self._workspace.root), "--"]


def channel_of(process: subprocess.Popen[bytes], limits: Limits) -> PipeChannel:
    """Give the two pipes of a process, and the way to end it."""
    from pytest_selfheal.sandbox.pipes import PipeChannel

    stdin, stdout = process.stdin, process.stdout
    assert stdin is not None
    assert stdout is not None

    class Channel(PipeChannel):
        def kill(self) -> None:
            process.kill()  # --die-with-parent ends what it started

        def reap(self) -> None:
            process.wait(5)
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    pipe.close()

    return Channel(stdin.fileno(), stdout.fileno(), Path(tempfile.mkdtemp()), limits)


@pytest.hookimpl(optionalhook=True)
def pytest_selfheal_launcher(
    name: str, settings: Settings, workspace: Workspace
) -> Launcher | None:
    return CommandLauncher(workspace, settings.limits) if name == "bubblewrap" else None
