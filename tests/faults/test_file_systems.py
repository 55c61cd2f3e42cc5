"""Two file systems that ignore the case of names.

exFAT has no modes, links or exchange of files. `caseless` passes another folder on, with links.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_selfheal.errors import EditConflict
from pytest_selfheal.records import Edit
from pytest_selfheal.source.exchange import exchange
from pytest_selfheal.source.recovering import recover
from pytest_selfheal.source.write import check_writable, write_edits
from tests.faults.whole_runs import HEALED, SOURCES, answer, project
from tests.harness import eventually, require
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


@pytest.fixture(scope="module")
def caseless(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """One that shows another folder; skips where libfuse 2 or /dev/fuse is missing."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount")
    folder = tmp_path_factory.mktemp("caseless")
    mounted = folder / "mounted"
    for each in (folder / "shown", mounted):
        each.mkdir()
    command = [sys.executable, "-m", "tests.faults.caseless", str(folder / "shown"), str(mounted)]
    process = subprocess.Popen(command, cwd=Path(__file__).parents[2], stderr=subprocess.PIPE)
    try:
        eventually(30, lambda: mounted.is_mount() or process.poll() is not None)
        if not mounted.is_mount():
            process.kill()
            pytest.skip(f"it cannot be mounted: {process.communicate()[1][-300:]!r}")
        try:
            yield mounted
        finally:
            _do("umount", mounted)
    finally:
        process.communicate(timeout=30)


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


@pytest.fixture
def small(caseless: Path) -> Iterator[Path]:
    folder = caseless / "small"
    folder.mkdir()
    (folder / "a.py").write_bytes(OLD)
    assert (folder / "A.PY").samefile(folder / "a.py")
    yield folder
    shutil.rmtree(folder)


def test_a_link_that_is_spelled_otherwise(small: Path) -> None:
    (small / "link.py").symlink_to("A.PY")
    assert write_edits(small, [edit("link.py")], state_dir=small / "state") == []
    assert (small / "a.py").read_bytes() == NEW
    assert sorted(path.name for path in small.iterdir()) == ["a.py", "link.py", "state"]
    assert os.readlink(small / "link.py") == "A.PY"


def test_two_spellings_are_one_file(small: Path) -> None:
    (small / "link.py").symlink_to("A.PY")
    for other in ("A.py", "link.py"):
        with pytest.raises(EditConflict, match="are one file, with two edits"):
            write_edits(small, [edit("a.py"), edit(other)], state_dir=small / "state")
    assert (small / "a.py").read_bytes() == OLD


def test_what_is_installed_is_not_written_whatever_its_spelling(small: Path) -> None:
    (small / "site-packages").mkdir()
    (small / "site-packages" / "b.py").write_bytes(OLD)
    (small / "link.py").symlink_to("SITE-Packages/B.py")
    reason = check_writable(small, "link.py")
    assert reason is not None
    assert "no source of the project's own" in reason


def test_a_whole_run_in_a_folder_that_is_spelled_otherwise(caseless: Path, tmp_path: Path) -> None:
    require("bubblewrap")
    heals = project(caseless / "whole")
    heals.root = caseless / "WHOLE"
    heals.temporary = tmp_path  # an open file without a name is more than this one can do
    with ScriptedServer(answer) as server:
        run = heals.heal("--selfheal-sandbox=bubblewrap", server=server)
    assert run.status == 0, run.output
    for path, (name, number) in SOURCES.items():
        assert run.text(path) == HEALED.format(name=name, number=number)
    assert list(heals.temporary.iterdir()) == []
