"""A save in the microseconds between the last look at a file and its replacement.

The exchange of two files is where it would happen, so each save is made just before one.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_selfheal.errors import EditConflict, FileChanged
from pytest_selfheal.records import Edit
from pytest_selfheal.source import replacing
from pytest_selfheal.source.exchange import exchange
from pytest_selfheal.source.write import write_edits

OLD, NEW = b"old = 1\n", b"new = 2\n"
Save = Callable[[Path], object]


def by_renaming(content: bytes) -> Save:
    def save(file: Path) -> None:
        beside = file.with_name("saved.swp")
        beside.write_bytes(content)
        beside.replace(file)

    return save


def in_place(content: bytes) -> Save:
    return lambda file: file.write_bytes(content)


def as_a_link(file: Path) -> None:
    file.unlink()
    file.symlink_to("elsewhere.py")


def write_with(
    root: Path, monkeypatch: pytest.MonkeyPatch, saves: list[Save | None], path: str = "a.py"
) -> None:
    """Write two edits, with one of the saves before each exchange of a file."""
    left = list(saves)

    def saved_before(one: Path, other: Path) -> bool:
        if other.name == path and left and (save := left.pop(0)):
            save(other)
        return exchange(one, other)

    edits = [Edit(path=each, before=OLD, after=NEW) for each in ("a.py", "b.py")]
    with monkeypatch.context() as patched:
        patched.setattr(replacing, "exchange", saved_before)
        write_edits(root, edits, state_dir=root / "state")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    project = tmp_path / "project"
    project.mkdir()
    for name in ("a.py", "b.py"):
        (project / name).write_bytes(OLD)
    if not exchange(project / "a.py", project / "b.py"):
        if os.environ.get("SELFHEAL_NO_SKIP"):
            pytest.fail("this file system cannot exchange two files")
        pytest.skip("this file system cannot exchange two files")
    return project


def left_over(root: Path) -> set[str]:
    return {path.name for path in root.rglob("*")} - {"a.py", "b.py", "state", "write.lock"}


@pytest.mark.parametrize("path", ["a.py", "b.py"])
@pytest.mark.parametrize("how", [by_renaming, in_place])
def test_what_was_saved_stays_and_nothing_is_written(
    root: Path, monkeypatch: pytest.MonkeyPatch, how: Callable[[bytes], Save], path: str
) -> None:
    with pytest.raises(FileChanged, match=path):
        write_with(root, monkeypatch, [how(b"mine = 3\n")], path)
    held = {name: (root / name).read_bytes() for name in ("a.py", "b.py")}
    assert held == {"a.py": OLD, "b.py": OLD} | {path: b"mine = 3\n"}
    assert left_over(root) == set()


def test_a_file_that_is_gone_stays_gone(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(FileChanged):
        write_with(root, monkeypatch, [Path.unlink])
    assert not (root / "a.py").exists()
    assert (root / "b.py").read_bytes() == OLD
    assert left_over(root) == set()


def test_a_link_in_its_place_stays_one(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(FileChanged):
        write_with(root, monkeypatch, [as_a_link])
    assert os.readlink(root / "a.py") == "elsewhere.py"
    assert left_over(root) == set()


def test_deleting_it_while_it_is_given_back_loses_nothing(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(FileChanged):
        write_with(root, monkeypatch, [in_place(b"mine = 3\n"), Path.unlink])
    assert (root / "a.py").read_bytes() == b"mine = 3\n"
    assert left_over(root) == set()


CONTENTS = st.sampled_from([b"", b"mine = 3\n", b"mine = 4\n", b"new", b"old"])
SAVES = st.builds(lambda how, content: (how, content), st.sampled_from([0, 1]), CONTENTS)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(SAVES, min_size=1, max_size=4))
def test_of_many_saves_the_last_one_stays(
    root: Path, monkeypatch: pytest.MonkeyPatch, saves: list[tuple[int, bytes]]
) -> None:
    """One before the exchange, one before each that gives back."""
    for name in ("a.py", "b.py"):
        (root / name).write_bytes(OLD)
    kinds = [by_renaming, in_place]
    with pytest.raises(FileChanged):
        write_with(root, monkeypatch, [kinds[how](content) for how, content in saves])
    assert (root / "a.py").read_bytes() in {content for _, content in saves}
    if len({content for _, content in saves}) == len(saves):
        # A save that repeats an earlier one is taken for it.
        reached = [content for _, content in saves]
        assert (root / "a.py").read_bytes() == reached[-1]
    assert (root / "b.py").read_bytes() == OLD
    assert left_over(root) == set()


def test_where_files_cannot_be_exchanged_they_are_replaced(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replacing, "exchange", lambda *_: False)
    edit = Edit(path="a.py", before=OLD, after=NEW)
    write_edits(root, [edit], state_dir=root / "state")
    assert (root / "a.py").read_bytes() == NEW
    assert left_over(root) == set()


def test_where_an_exchange_is_taken_for_a_renaming(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in FUSE file systems that do not look at the flags."""

    def rename(one: Path, other: Path) -> bool:
        one.replace(other)
        return True

    monkeypatch.setattr(replacing, "exchange", rename)
    edits = [Edit(path=each, before=OLD, after=NEW) for each in ("a.py", "b.py")]
    write_edits(root, edits, state_dir=root / "state")
    assert [(root / name).read_bytes() for name in ("a.py", "b.py")] == [NEW, NEW]
    assert left_over(root) == set()


@pytest.mark.parametrize("mode", [0o640, 0o755])
def test_the_mode_of_what_is_given_back(
    root: Path, monkeypatch: pytest.MonkeyPatch, mode: int
) -> None:
    def save(file: Path) -> None:
        in_place(b"mine = 3\n")(file)
        file.chmod(mode)

    with pytest.raises(EditConflict):
        write_with(root, monkeypatch, [save])
    assert (root / "a.py").stat().st_mode & 0o777 == mode


# Nobody gives back what came out: the kill points have to notice.
_FORGETFUL = """
import sys
from pathlib import Path
from pytest_selfheal.source import replacing
from tests.faults.kill_points import Count, Scene, run_with_saves

replacing._give_back = lambda *_: None
count = Count()
run_with_saves(count, Scene(Path(sys.argv[1]), ["a.py", "b.py"]))
sys.exit(count.found["lost edits"] > 0)
"""


def test_the_kill_points_see_a_save_that_is_lost(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _FORGETFUL, str(tmp_path / "project")],
        cwd=Path(__file__).parents[2],
        check=False,
    )
    assert done.returncode == 1
