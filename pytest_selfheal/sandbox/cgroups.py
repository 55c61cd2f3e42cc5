"""A control group for one sandbox, where this process may make one.

Version 1 has a tree for each controller, version 2 one for all; an ordinary user may
make a group only where systemd has handed a part of the tree over. Limits are read back:
one that the kernel did not take is no limit.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

from pytest_selfheal.records import Limits
from pytest_selfheal.sandbox.leftovers import is_of_the_dead

_MOUNT = Path("/sys/fs/cgroup")
_CPU_PERIOD_MICROSECONDS = 100_000


class ControlGroup:
    """One group, or on version 1 one in each controller's tree."""

    def __init__(self, folders: list[Path]) -> None:
        self._folders = folders

    @property
    def proc_files(self) -> list[str]:
        """The files that a process writes its number to in order to join."""
        return [str(folder / "cgroup.procs") for folder in self._folders]

    def oom_kills(self) -> int:
        """How many processes the kernel has killed for this group's memory."""
        for folder in self._folders:
            for name in ("memory.events", "memory.oom_control"):
                with contextlib.suppress(OSError):
                    for line in (folder / name).read_text().splitlines():
                        word, _, value = line.partition(" ")
                        if word == "oom_kill":
                            return int(value)
        return 0

    def remove(self) -> None:
        """Remove the group once its processes have gone; they are given a second."""
        for folder in self._folders:
            for _ in range(20):
                try:
                    folder.rmdir()
                except FileNotFoundError:
                    break
                except OSError:
                    time.sleep(0.05)
                else:
                    break


def make_group(name: str, limits: Limits) -> ControlGroup | None:
    """Make a group with these limits, None where that is not allowed or not taken."""
    folders: list[Path] = []
    try:
        for parent, files in _wanted(limits):
            folder = parent / name
            folder.mkdir()
            folders.append(folder)
            for file, value in files.items():
                (folder / file).write_text(value)
                if (folder / file).read_text().strip() != value:
                    raise OSError(f"{file} was not taken")
    except OSError:
        ControlGroup(folders).remove()
        return None
    return ControlGroup(folders) if folders else None


def remove_leftover_groups() -> None:
    """Remove the groups of processes that have gone."""
    for parent in _parents():
        for folder in parent.glob("pytest-selfheal-*"):
            if is_of_the_dead(folder.name):
                ControlGroup([folder]).remove()


def _wanted(limits: Limits) -> Iterator[tuple[Path, dict[str, str]]]:
    memory = str(limits.memory_bytes)
    quota = int(limits.cpus * _CPU_PERIOD_MICROSECONDS)
    if (_MOUNT / "cgroup.controllers").exists():
        parent = _own_parent()
        offered = (parent / "cgroup.subtree_control").read_text().split()
        if not {"memory", "pids"} <= set(offered):
            raise OSError("memory and pids are not handed over")
        files = {
            "memory.max": memory,
            "memory.swap.max": "0",
            "pids.max": str(limits.processes),
        }
        if "cpu" in offered:
            files["cpu.max"] = f"{quota} {_CPU_PERIOD_MICROSECONDS}"
        yield parent, files
        return
    swap = {"memory.memsw.limit_in_bytes": memory}
    if not (_MOUNT / "memory" / "memory.memsw.limit_in_bytes").exists():
        swap = {}  # the kernel counts no swap
    yield _MOUNT / "memory", {"memory.limit_in_bytes": memory, **swap}
    yield _MOUNT / "pids", {"pids.max": str(limits.processes)}
    if (_MOUNT / "cpu").exists():
        yield _MOUNT / "cpu", {"cpu.cfs_quota_us": str(quota)}


def _parents() -> Iterator[Path]:
    if (_MOUNT / "cgroup.controllers").exists():
        with contextlib.suppress(OSError):
            yield _own_parent()
        return
    for name in ("memory", "pids", "cpu"):
        yield _MOUNT / name


def _own_parent() -> Path:
    """The group that this process's own lies in, on version 2."""
    for line in Path(f"/proc/{os.getpid()}/cgroup").read_text().splitlines():
        if line.startswith("0::"):
            return (_MOUNT / line[3:].strip("/")).parent
    raise OSError("this process is in no group of version 2")
