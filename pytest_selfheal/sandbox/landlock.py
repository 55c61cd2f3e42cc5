"""Sandboxes without a daemon: Landlock and seccomp, through the `sandlock` package.

The project is seen at its own path through a copy-on-write view whose writes vanish; the
kernel itself denies any write to the real files, since the ruleset only lets them be read.
"""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import sys
import tempfile
import threading
import time
import warnings
from pathlib import Path
from typing import Any

import sandlock

from pytest_selfheal.errors import SandboxFailed, SandboxUnavailable
from pytest_selfheal.records import Limits
from pytest_selfheal.sandbox.parked import BOOTSTRAP, ParkedSandbox
from pytest_selfheal.sandbox.workspace import Workspace, left_out

_NOBODY = 65534
_DEVICES = ("/dev/zero", "/dev/random", "/dev/urandom", "/dev/full")
_PREFIX = "pytest-selfheal-"
_DISK_CHECK_SECONDS = 0.25


class LandlockLauncher:
    """Starts single-use confined processes of this machine's own Python."""

    name = "landlock"

    def __init__(self, workspace: Workspace, limits: Limits) -> None:
        """Check the kernel, and clear away what a killed run left.

        Raises:
            SandboxUnavailable: The kernel has no Landlock that is new enough.
        """
        version, needed = sandlock.landlock_abi_version(), sandlock.min_landlock_abi()
        if version < needed:
            raise SandboxUnavailable(
                f"the kernel's Landlock is too old (ABI {version}, {needed} is needed: Linux 6.12)"
            )
        self._workspace = workspace
        self._limits = limits
        self._hidden = [str(path) for path in left_out(workspace.root)]
        # An environment that lies in the project is where Python itself comes from.
        self._hidden = [
            path for path in self._hidden if not _holds(path, (sys.prefix, sys.base_prefix))
        ]
        _remove_leftovers()

    def launch(self) -> ParkedSandbox:
        """Start a confined Python and park it."""
        folder = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-"))
        try:
            temporary = folder / "tmp"
            temporary.mkdir()
            temporary.chmod(0o777)
            channel = _ProcessChannel(self._sandbox(folder, temporary), folder, self._limits)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        return ParkedSandbox(
            channel, self._workspace, self._limits, files=None, kill_means_memory=True
        )

    def close(self) -> None:
        """Nothing is shared between the sandboxes."""

    def _sandbox(self, folder: Path, temporary: Path) -> sandlock.Sandbox:
        limits = self._limits
        root = str(self._workspace.root)
        environment = {
            **self._workspace.environment,
            "HOME": str(temporary),
            "TMPDIR": str(temporary),
        }
        return sandlock.Sandbox(
            fs_readable=[*self._workspace.read_paths, root, "/proc", *_existing(_DEVICES)],
            fs_writable=[str(temporary), "/dev/null"],
            fs_denied=self._hidden,
            workdir=root,
            cwd=root,
            fs_storage=str(folder / "written"),
            on_exit=sandlock.BranchAction.ABORT,
            on_error=sandlock.BranchAction.ABORT,
            max_memory=limits.memory_bytes,
            max_processes=limits.processes,
            max_open_files=limits.open_files,
            max_disk=limits.disk_bytes // 2,
            no_coredump=True,
            clean_env=True,
            env=environment,
            **({"uid": _NOBODY, "gid": _NOBODY} if os.geteuid() == 0 else {}),
        )


class _ProcessChannel:
    """The pipes of a confined process, and a watch on what it writes to the disk."""

    def __init__(self, sandbox: sandlock.Sandbox, folder: Path, limits: Limits) -> None:
        self._folder = folder
        self._limits = limits
        self._lock = threading.Lock()
        self._destroyed = False
        self._over_disk = False
        command = [sys.executable, "-u", "-c", BOOTSTRAP]
        piped = sandlock.StdioMode.PIPED
        try:
            with warnings.catch_warnings():
                # The package warns that gid goes by uid's mapping; that is what is wanted.
                warnings.simplefilter("ignore", UserWarning)
                self._process: Any = sandbox.popen(
                    command, stdin=piped, stdout=piped, stderr=sandlock.StdioMode.NULL
                )
        except (RuntimeError, sandlock.SandlockError) as error:
            raise SandboxFailed(f"no confined process could be started: {error}") from error
        self._in = self._process.stdin.fileno()
        self._out = self._process.stdout.fileno()
        os.set_blocking(self._in, False)
        os.set_blocking(self._out, False)

    def send(self, data: bytes, deadline: float) -> None:
        view = memoryview(data)
        while view:
            _, writable, _ = select.select([], [self._in], [], deadline - time.monotonic())
            if not writable:
                raise TimeoutError
            view = view[os.write(self._in, view) :]

    def receive(self, size: int, deadline: float) -> bytes:
        while True:
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError
            readable, _, _ = select.select([self._out], [], [], min(left, _DISK_CHECK_SECONDS))
            if readable:
                part = os.read(self._out, size)
                if not part:
                    raise EOFError
                return part
            if _size_of(self._folder) > self._limits.disk_bytes:
                self._over_disk = True
                self._process.kill()

    def destroy(self) -> None:
        with self._lock:
            if self._destroyed:
                return
            self._destroyed = True
        with contextlib.suppress(Exception):
            self._process.kill()
        with contextlib.suppress(Exception):
            self._process.wait(5)
        with contextlib.suppress(Exception):
            self._process.__exit__(None, None, None)
        shutil.rmtree(self._folder, ignore_errors=True)

    def explain_death(self) -> tuple[str, str]:
        if self._over_disk:
            return "crashed", f"more than {self._limits.disk_bytes // 2**20} MiB written to disk"
        if self._destroyed:
            return "sandbox-failed", "the confined process was ended"
        return "crashed", "the code ended its sandbox's supervisor"


def _existing(paths: tuple[str, ...]) -> list[str]:
    return [path for path in paths if Path(path).exists()]


def _holds(folder: str, paths: tuple[str, ...]) -> bool:
    return any(Path(path).is_relative_to(folder) for path in paths)


def _size_of(folder: Path) -> int:
    total = 0
    for parent, _, files in os.walk(folder):
        for name in files:
            with contextlib.suppress(OSError):
                total += Path(parent, name).lstat().st_blocks * 512
    return total


def _remove_leftovers() -> None:
    """Remove the folders of runs whose process has gone."""
    for path in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*-*"):
        pid = path.name.removeprefix(_PREFIX).partition("-")[0]
        if pid.isdigit() and not Path(f"/proc/{pid}").exists():
            shutil.rmtree(path, ignore_errors=True)
