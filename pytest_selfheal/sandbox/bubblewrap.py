"""Sandboxes by `bwrap`: namespaces at nearly the speed of a bare process.

Mounts, network, processes and users are the namespaces' to keep apart. Memory and the
number of processes are limited by a control group where one can be made, and by limits
on each process together with a watch on their sum where none can.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from pytest_selfheal.errors import SandboxFailed, SandboxUnavailable
from pytest_selfheal.records import Limits
from pytest_selfheal.sandbox.cgroups import ControlGroup, make_group, remove_leftover_groups
from pytest_selfheal.sandbox.choose import bubblewrap_problem
from pytest_selfheal.sandbox.leftovers import Premises
from pytest_selfheal.sandbox.names import ETC_FILES, NOBODY
from pytest_selfheal.sandbox.parked import BOOTSTRAP, ParkedSandbox
from pytest_selfheal.sandbox.pipes import MAX_FILES, PipeChannel
from pytest_selfheal.sandbox.workspace import Workspace, notes_on, snapshot

# Joins the control group before anything else runs; the words come as arguments.
_JOIN = 'while [ "$1" != -- ]; do echo $$ > "$1" || exit 70; shift; done; shift; exec "$@"'
# Where root runs pytest, the user in there is root to these files of the whole machine's.
_KERNELS_OWN = ("sys", "sysrq-trigger", "irq", "bus", "acpi", "driver", "fs", "mtrr", "scsi", "tty")
_TAIL_BYTES = 4096
_SHARED_MEMORY_BYTES = 64 * 2**20


class BubblewrapLauncher:
    """Starts single-use processes in namespaces of their own."""

    name = "bubblewrap"

    def __init__(self, workspace: Workspace, limits: Limits) -> None:
        """Try it once, and clear away what a killed run left.

        Raises:
            SandboxUnavailable: `bwrap` is not installed, or the kernel does not let it.
        """
        problem = bubblewrap_problem()
        if problem:
            raise SandboxUnavailable(f"bubblewrap: {problem}")
        self._workspace = workspace
        self._limits = limits
        self._numbers = itertools.count(1)
        self._extras = ["--disable-userns"] if _knows("--disable-userns") else []
        self._premises = Premises()
        remove_leftover_groups()
        too_large: list[str] = []
        self._files = snapshot(workspace.root, limits.disk_bytes // 2, too_large)
        self.notes = notes_on(too_large)

    def launch(self) -> ParkedSandbox:
        """Start a Python in its namespaces and park it."""
        folder = self._premises.make_room()
        group = make_group(
            f"pytest-selfheal-{os.getpid()}-{next(self._numbers)}-{id(self)}", self._limits
        )
        try:
            channel = _NamespaceChannel(
                self._start(folder, group), group, folder, str(self._workspace.root), self._limits
            )
        except OSError as error:
            if group is not None:
                group.remove()
            shutil.rmtree(folder, ignore_errors=True)
            raise SandboxFailed(f"bwrap could not be started: {error}") from error
        return ParkedSandbox(
            channel,
            self._workspace,
            self._limits,
            files=self._files,
            killed_for_memory=channel.killed_for_memory,
            data_limit_bytes=None if group else self._limits.memory_bytes,
            is_hidden=True,
            must_filter=True,
        )

    def close(self) -> None:
        """Clear away what is left of the sandboxes."""
        self._premises.close()

    def _start(self, folder: Path, group: ControlGroup | None) -> subprocess.Popen[bytes]:
        command = [*self._arguments(folder), "--", sys.executable, "-u", "-c", BOOTSTRAP]
        if group is not None:
            command = ["/bin/sh", "-c", _JOIN, "sh", *group.proc_files, "--", *command]
        with (folder / "errors").open("wb") as errors:
            return subprocess.Popen(  # noqa: S603 - a list, without a shell
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env=dict(self._workspace.environment),  # not as words that `ps` shows
                cwd="/",
                start_new_session=True,
            )

    def _arguments(self, folder: Path) -> list[str]:
        bwrap = shutil.which("bwrap") or "bwrap"
        arguments = [bwrap, "--unshare-all", "--unshare-user", "--die-with-parent"]
        # The supervisor is the first process in there, whom no other can end or stop.
        arguments += ["--as-pid-1", "--uid", str(NOBODY), "--gid", str(NOBODY), "--cap-drop", "ALL"]
        arguments += ["--hostname", "sandbox", *self._extras]
        shared = min(self._limits.disk_bytes // 2, _SHARED_MEMORY_BYTES)
        arguments += ["--proc", "/proc", "--dev", "/dev"]
        arguments += ["--size", str(shared), "--tmpfs", "/dev/shm", "--remount-ro", "/dev"]  # noqa: S108
        for name in _KERNELS_OWN:
            arguments += ["--ro-bind-try", f"/proc/{name}", f"/proc/{name}"]
        for _, mount in sorted(self._mounts(folder), key=lambda each: each[0]):
            arguments += mount
        return [*arguments, "--remount-ro", "/", "--chdir", str(self._workspace.root)]

    def _mounts(self, folder: Path) -> Iterator[tuple[int, list[str]]]:
        """Each mount with its depth: what lies in another comes after it."""
        half = str(self._limits.disk_bytes // 2)
        root = str(self._workspace.root)
        for path in {"/tmp", root}:  # noqa: S108 - the sandbox's own
            yield len(Path(path).parts), ["--size", half, "--tmpfs", path]
        for path in self._workspace.read_paths:
            yield len(Path(path).parts), ["--ro-bind", path, path]
        for name, text in ETC_FILES.items():
            file = folder / Path(name).name
            file.write_text(text)
            yield 3, ["--ro-bind", str(file), f"/{name}"]


def _knows(option: str) -> bool:
    """Whether this `bwrap` has an option; older ones refuse to start with it."""
    bwrap = shutil.which("bwrap") or "bwrap"
    printed = subprocess.run(  # noqa: S603 - a list, without a shell
        [bwrap, "--help"], capture_output=True, text=True, check=False, timeout=10
    )
    return option in printed.stdout + printed.stderr


class _NamespaceChannel(PipeChannel):
    """The pipes of a `bwrap` process."""

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        group: ControlGroup | None,
        folder: Path,
        root: str,
        limits: Limits,
    ) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        super().__init__(process.stdin.fileno(), process.stdout.fileno(), folder, limits)
        self._process = process
        self._group = group
        self._root = root

    def killed_for_memory(self) -> bool:
        """Whether the kernel has killed something for its memory."""
        return self._group is not None and self._group.oom_kills() > 0

    def over_limit(self) -> tuple[str, str] | None:
        if self._files_made() > MAX_FILES:
            return "crashed", f"more than {MAX_FILES} files written"
        if self._group is not None:
            return None  # the kernel keeps all the other limits
        tree = _tree(self._process.pid)
        if len(tree) > self._limits.processes:
            return "crashed", f"more than {self._limits.processes} processes"
        if sum(map(_own_share_of_memory, tree)) > self._limits.memory_bytes:
            mebibytes = self._limits.memory_bytes // 2**20
            return "out-of-memory", f"more than {mebibytes} MiB of memory in all its processes"
        return None

    def _files_made(self) -> int:
        """How many files stand in the namespace's file systems; 0 where nobody may look."""
        found = 0
        outer = self._process.pid
        with contextlib.suppress(OSError, ValueError, IndexError):
            first = Path(f"/proc/{outer}/task/{outer}/children").read_text().split()[0]
            for path in {"/tmp", self._root}:  # noqa: S108 - the sandbox's own
                held = os.statvfs(f"/proc/{first}/root{path}")
                found += held.f_files - held.f_ffree
        return found

    def last_words(self) -> str:
        with contextlib.suppress(OSError):
            text = (self._folder / "errors").read_bytes()[-_TAIL_BYTES:].decode("utf-8", "replace")
            lines = [line.strip() for line in text.splitlines() if line.strip()]
            return lines[-1][:200] if lines else ""
        return ""

    def kill(self) -> None:
        # The first process of the namespace dies with it, and with that one all others.
        self._process.kill()

    def reap(self) -> None:
        self._process.wait(5)
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()
        if self._group is not None:
            self._group.remove()


def _tree(pid: int) -> set[int]:
    """A process and all that descend from it."""
    children: dict[int, list[int]] = {}
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            with contextlib.suppress(OSError, ValueError, IndexError):
                fields = Path(entry.path, "stat").read_text().rpartition(")")[2].split()
                children.setdefault(int(fields[1]), []).append(int(entry.name))
    tree: set[int] = set()
    left = [pid]
    while left:
        each = left.pop()
        if each not in tree:
            tree.add(each)
            left += children.get(each, [])
    return tree


def _own_share_of_memory(pid: int) -> int:
    """Bytes that a process holds, of shared ones its share."""
    with contextlib.suppress(OSError, ValueError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return 0
