"""Sandboxes without a daemon: Landlock and seccomp, through the `sandlock` package.

The project is seen at its own path through a copy-on-write view whose writes vanish; the
kernel itself denies any write to the real files, since the ruleset only lets them be read.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import math
import os
import shutil
import sys
import warnings
from pathlib import Path
from typing import Any

import sandlock

from pytest_selfheal.errors import SandboxFailed, SandboxUnavailable
from pytest_selfheal.records import Limits
from pytest_selfheal.sandbox.leftovers import Premises
from pytest_selfheal.sandbox.names import NOBODY
from pytest_selfheal.sandbox.parked import BOOTSTRAP, ParkedSandbox
from pytest_selfheal.sandbox.pipes import PipeChannel
from pytest_selfheal.sandbox.read_ahead import ReadAhead
from pytest_selfheal.sandbox.workspace import Workspace, left_out, other_names

_DEVICES = ("/dev/zero", "/dev/random", "/dev/urandom", "/dev/full")


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
        self._limits = limits
        self._turns = itertools.count()
        hidden = list(left_out(workspace.root))
        # An environment that lies in the project is where Python itself comes from.
        self._hidden = [
            str(path) for path in hidden if not _holds(path, (sys.prefix, sys.base_prefix))
        ]
        # The view goes by names: what is written to a file is not seen through a link to it.
        self._other_names = other_names(workspace.root, set(hidden))
        self._premises = Premises()
        self._read_paths = workspace.read_paths
        importable = self._premises.folder / "importable"
        self._workspace = _with_links(workspace, importable)
        # Every opening of a file asks the supervisor in here.
        self._ahead = ReadAhead(importable / "read-ahead", [*self._read_paths, str(importable)])

    def launch(self) -> ParkedSandbox:
        """Start a confined Python and park it."""
        folder = self._premises.make_room()
        try:
            temporary = folder / "tmp"
            temporary.mkdir()
            temporary.chmod(0o777)
            channel = _ConfinedChannel(self._sandbox(folder, temporary), folder, self._limits)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        return ParkedSandbox(
            channel,
            self._workspace,
            self._limits,
            files=None,
            other_names=self._other_names,
            # It kills what goes over its memory, and keeps no count of it.
            killed_for_memory=lambda: True,
            ahead=self._ahead,
        )

    def close(self) -> None:
        """Clear away what is left of the sandboxes."""
        self._premises.close()

    def _processor_limits(self) -> dict[str, Any]:
        """Whole processors by pinning, a part of one by stopping the process at times."""
        cpus = self._limits.cpus
        cores = _cores(math.ceil(cpus), next(self._turns))
        return {"cpu_cores": cores, "max_cpu": int(cpus * 100) if cpus < 1 else None}

    def _sandbox(self, folder: Path, temporary: Path) -> sandlock.Sandbox:
        limits = self._limits
        root = str(self._workspace.root)
        environment = {
            **self._workspace.environment,
            "HOME": str(temporary),
            "TMPDIR": str(temporary),
        }
        return sandlock.Sandbox(
            fs_readable=[
                *(*self._read_paths, str(self._premises.folder / "importable")),
                *(root, "/proc", *_existing(_DEVICES)),
            ],
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
            **self._processor_limits(),
            no_coredump=True,
            clean_env=True,
            env=environment,
            **({"uid": NOBODY, "gid": NOBODY} if os.geteuid() == 0 else {}),
        )


def _with_links(workspace: Workspace, folder: Path) -> Workspace:
    """Put folders of links in the place of those that must not be listed.

    Python lists a folder on its path to find what is in it, and a rule that lets it list
    one lets it read all below.
    """
    folder.mkdir()
    replaced = {}
    for number, (path, entries) in enumerate(workspace.shared_folders().items()):
        links = folder / str(number)
        links.mkdir()
        for entry in entries:
            (links / entry.name).symlink_to(entry)
        replaced[path] = str(links)
    sys_path = tuple(replaced.get(path, path) for path in workspace.sys_path)
    return dataclasses.replace(workspace, sys_path=sys_path)


def _cores(number: int, turn: int) -> list[int] | None:
    """Some of this process's cores, others at each turn; None where all are wanted."""
    cores = sorted(os.sched_getaffinity(0))
    if number >= len(cores):
        return None
    return [cores[(turn + step) % len(cores)] for step in range(number)]


class _ConfinedChannel(PipeChannel):
    """The pipes of a process that `sandlock` confines."""

    def __init__(self, sandbox: sandlock.Sandbox, folder: Path, limits: Limits) -> None:
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
        stdin, stdout = self._process.stdin.fileno(), self._process.stdout.fileno()
        super().__init__(stdin, stdout, folder, limits)

    def kill(self) -> None:
        self._process.kill()

    def reap(self) -> None:
        with contextlib.suppress(Exception):
            self._process.wait(5)
        self._process.__exit__(None, None, None)


def _existing(paths: tuple[str, ...]) -> list[str]:
    return [path for path in paths if Path(path).exists()]


def _holds(folder: Path, paths: tuple[str, ...]) -> bool:
    return any(Path(path).is_relative_to(folder) for path in paths)
