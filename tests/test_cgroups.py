"""Control groups: limits are taken and read back, or there is no group."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pytest_selfheal.records import Limits
from pytest_selfheal.sandbox import cgroups
from pytest_selfheal.sandbox.cgroups import make_group
from pytest_selfheal.sandbox.leftovers import is_of_the_dead

LIMITS = Limits(memory_bytes=64 * 2**20, processes=7)


def version_2(root: Path, offered: str) -> Path:
    """A folder that looks like the part of a version 2 tree that was handed over."""
    (root / "cgroup.controllers").write_text("cpu memory pids")
    own = root / "app.slice" / "terminal.scope"
    own.mkdir(parents=True)
    (own.parent / "cgroup.subtree_control").write_text(offered)
    return own


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(cgroups, "_MOUNT", tmp_path)
    monkeypatch.setattr(cgroups, "_own_parent", lambda: tmp_path / "app.slice")
    return tmp_path


def test_version_2_limits_are_written_beside_the_own_group(tree: Path) -> None:
    version_2(tree, "cpu memory pids")
    group = make_group("g", LIMITS)
    assert group is not None
    folder = tree / "app.slice" / "g"
    assert group.proc_files == [str(folder / "cgroup.procs")]
    assert (folder / "memory.max").read_text() == str(64 * 2**20)
    assert (folder / "memory.swap.max").read_text() == "0"
    assert (folder / "pids.max").read_text() == "7"
    assert (folder / "cpu.max").read_text() == "100000 100000"


def test_version_2_without_the_controllers_is_no_group(tree: Path) -> None:
    version_2(tree, "cpu")
    assert make_group("g", LIMITS) is None
    assert not (tree / "app.slice" / "g").exists()


def test_version_1_has_a_folder_in_each_tree(tree: Path) -> None:
    for name in ("memory", "pids", "cpu"):
        (tree / name).mkdir()
    group = make_group("g", LIMITS)
    assert group is not None
    assert len(group.proc_files) == 3
    assert (tree / "memory" / "g" / "memory.limit_in_bytes").read_text() == str(64 * 2**20)


def test_a_tree_that_is_not_there_is_no_group(tree: Path) -> None:
    assert make_group("g", LIMITS) is None


@pytest.mark.parametrize(
    "text", ["low 0\noom 2\noom_kill 3\n", "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n"]
)
def test_oom_kills_are_counted(tree: Path, text: str) -> None:
    name = "memory.events" if text.startswith("low") else "memory.oom_control"
    (tree / name).write_text(text)
    assert cgroups.ControlGroup([tree]).oom_kills() == 3


def test_names_tell_whose_they_are() -> None:
    assert not is_of_the_dead(f"pytest-selfheal-{os.getpid()}-x")
    assert is_of_the_dead("pytest-selfheal-4194999-x")
    assert not is_of_the_dead("something-else")
