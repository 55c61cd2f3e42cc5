"""A file system without modes, links or exchange, that ignores the case of names: exFAT."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_selfheal.records import Edit
from pytest_selfheal.source.exchange import exchange
from pytest_selfheal.source.recovering import recover
from pytest_selfheal.source.write import write_edits
from tests.faults.whole_runs import HEALED, SOURCES, answer, project
from tests.harness import require
from tests.scripted_server import ScriptedServer

OLD, NEW = b"old = 1\n", b"new = 2\n"


@pytest.fixture(scope="module")
def exfat(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A small one in a loop device; skips where there can be none, as without /dev/fuse."""
    missing = [name for name in ("mkfs.exfat", "mount.exfat-fuse") if not shutil.which(name)]
    if missing or os.geteuid() != 0:
        pytest.skip(f"no exFAT can be mounted: {missing or 'only root may'}")
    folder = tmp_path_factory.mktemp("exfat")
    image, mounted = folder / "image", folder / "mounted"
    mounted.mkdir()
    with image.open("wb") as file:
        file.truncate(8 * 2**20)
    _do("mkfs.exfat", image)
    device = _do("losetup", "--find", "--show", image)
    try:
        _do("mount.exfat-fuse", device, mounted)
        try:
            yield mounted
        finally:
            _do("umount", mounted)
    finally:
        _do("losetup", "--detach", device)


def _do(*command: object) -> str:
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"no exFAT can be mounted: {done.stderr[-300:]}")
    return done.stdout.strip()


@pytest.fixture
def root(exfat: Path) -> Iterator[Path]:
    folder = exfat / "project"
    folder.mkdir()
    for name in ("a.py", "b.py"):
        (folder / name).write_bytes(OLD)
    yield folder
    shutil.rmtree(folder)


def edit(path: str) -> Edit:
    return Edit(path=path, before=OLD, after=NEW)


def test_files_are_replaced_where_they_cannot_be_exchanged(root: Path) -> None:
    assert (root / "A.PY").exists()
    assert not exchange(root / "a.py", root / "b.py")
    notes = write_edits(root, [edit("a.py"), edit("b.py")], state_dir=root / "state")
    assert [(root / name).read_bytes() for name in ("a.py", "b.py")] == [NEW, NEW]
    assert notes == []
    assert {path.name for path in root.iterdir()} == {"a.py", "b.py", "state"}
    assert recover(root, root / "state") is None


def test_a_whole_run(exfat: Path) -> None:
    require("bubblewrap")
    heals = project(exfat / "whole")
    with ScriptedServer(answer) as server:
        run = heals.heal("--selfheal-sandbox=bubblewrap", server=server)
    assert run.status == 0, run.output
    for path, (name, number) in SOURCES.items():
        assert run.text(path) == HEALED.format(name=name, number=number)
    assert list(heals.temporary.iterdir()) == []
