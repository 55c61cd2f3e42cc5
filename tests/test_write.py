"""Writing edits: whole files or nothing, and nothing left behind."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import threading
from pathlib import Path

import pytest
from filelock import FileLock

from pytest_selfheal.errors import EditConflict, FileChanged
from pytest_selfheal.records import Edit
from pytest_selfheal.source import replacing, write
from pytest_selfheal.source.recovering import recover
from pytest_selfheal.source.write import LOCK_NAME, check_writable, write_edits

OLD, NEW = b"old = 1\r\n", b"new = 2\r\n"


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "project"
    (folder / "src").mkdir(parents=True)
    (folder / "src" / "a.py").write_bytes(OLD)
    (folder / "b.py").write_bytes(OLD)
    return folder


@pytest.fixture
def state_dir(tmp_path):
    return tmp_path / "locks" / "deep"


def edit(path="src/a.py", before=OLD, after=NEW):
    return Edit(path=path, before=before, after=after)


def contents(root):
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


def test_writes_several_files_and_leaves_nothing_else(root, state_dir):
    write_edits(root, [edit(), edit("b.py")], state_dir=state_dir)
    assert contents(root) == {"src/a.py": NEW, "b.py": NEW}


def test_nothing_to_write_makes_no_lock(root, state_dir):
    write_edits(root, [], state_dir=state_dir)
    assert not state_dir.exists()


@pytest.mark.parametrize("mode", [0o644, 0o600, 0o755, 0o664])
def test_keeps_the_mode(root, state_dir, mode):
    (root / "b.py").chmod(mode)
    write_edits(root, [edit("b.py")], state_dir=state_dir)
    assert stat.S_IMODE((root / "b.py").stat().st_mode) == mode


@pytest.mark.parametrize(("mode", "lost"), [(0o600, []), (0o644, ["its mode"])])
def test_a_file_system_that_refuses_modes(root, state_dir, monkeypatch, mode, lost):
    (root / "b.py").chmod(mode)

    def refused(*_, **__):
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "chmod", refused)
    notes = write_edits(root, [edit("b.py")], state_dir=state_dir)
    assert (root / "b.py").read_bytes() == NEW
    assert notes == [f"'b.py' was written, but could not keep {each}" for each in lost]


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root may chown")
def test_keeps_the_owner(root, state_dir):
    os.chown(root / "b.py", 1234, 4321)
    write_edits(root, [edit("b.py")], state_dir=state_dir)
    status = (root / "b.py").stat()
    assert (status.st_uid, status.st_gid) == (1234, 4321)


def test_a_link_inside_stays_a_link(root, state_dir):
    (root / "link.py").symlink_to("src/a.py")
    write_edits(root, [edit("link.py")], state_dir=state_dir)
    assert (root / "link.py").is_symlink()
    assert (root / "src" / "a.py").read_bytes() == NEW


def test_another_name_of_the_file_keeps_the_old_bytes(root, state_dir):
    os.link(root / "b.py", root.parent / "outside.py")
    write_edits(root, [edit("b.py")], state_dir=state_dir)
    assert (root.parent / "outside.py").read_bytes() == OLD


def make_unwritable(root, kind):
    path = root / "b.py"
    if kind == "changed":
        path.write_bytes(b"someone else's\n")
    elif kind == "missing":
        path.unlink()
    elif kind == "folder":
        path.unlink()
        path.mkdir()
    elif kind == "fifo":
        path.unlink()
        os.mkfifo(path)
    elif kind == "read-only":
        path.chmod(0o444)
    elif kind == "read-only folder":
        path = root / "src" / "a.py"
        path.parent.chmod(0o555)
    elif kind == "link out":
        (root.parent / "outside.py").write_bytes(OLD)
        path.unlink()
        path.symlink_to(root.parent / "outside.py")
    elif kind == "folder out":
        (root.parent / "other").mkdir()
        (root.parent / "other" / "c.py").write_bytes(OLD)
        (root / "linked").symlink_to(root.parent / "other")
        path = root / "linked" / "c.py"
    elif kind == "dots":
        (root.parent / "outside.py").write_bytes(OLD)
        path = root / ".." / "outside.py"
    elif kind == "circle":
        path.unlink()
        path.symlink_to("b.py")
    return str(path.relative_to(root))


UNWRITABLE = {
    "folder": "'b.py' cannot be written: it is no regular file",
    "fifo": "'b.py' cannot be written: it is no regular file",
    "read-only": "'b.py' cannot be written: the file is read-only; make it writable",
    "read-only folder": "'src/a.py' cannot be written: its folder is read-only",
    "link out": "'b.py' is not written: it leads out of the project, to '.*outside.py'",
    "folder out": "'linked/c.py' is not written: it leads out of the project",
    "dots": "'../outside.py' is not written: it leads out of the project",
    "circle": "'b.py' cannot be written: ",
}


@pytest.mark.parametrize(("kind", "message"), UNWRITABLE.items(), ids=UNWRITABLE)
def test_says_why_a_file_cannot_be_written(root, state_dir, kind, message):
    path = make_unwritable(root, kind)
    try:
        reason = check_writable(root, path)
        assert reason is not None
        assert "\n" not in reason
        first = "b.py" if path == "src/a.py" else "src/a.py"
        with pytest.raises(EditConflict, match=message):
            write_edits(root, [edit(first), edit(path)], state_dir=state_dir)
        assert (root / first).read_bytes() == OLD  # all are checked before any is written
        assert not [path for path in root.rglob("*") if path.suffix == ".tmp"]
    finally:
        (root / "src").chmod(0o755)


def test_a_writable_file_has_no_reason(root):
    assert check_writable(root, "src/a.py") is None


def test_a_file_that_changed_meanwhile(root, state_dir):
    path = make_unwritable(root, "changed")
    with pytest.raises(EditConflict, match=r"'b\.py' changed meanwhile, so its healed code is not"):
        write_edits(root, [edit(), edit(path)], state_dir=state_dir)
    assert contents(root) == {"src/a.py": OLD, "b.py": b"someone else's\n"}


def test_a_file_that_is_gone_has_changed(root, state_dir):
    path = make_unwritable(root, "missing")
    assert "No such file" in (check_writable(root, path) or "")
    with pytest.raises(FileChanged) as caught:
        write_edits(root, [edit(), edit(path)], state_dir=state_dir)
    assert list(caught.value.paths) == ["b.py"]
    assert contents(root) == {"src/a.py": OLD}


def test_two_edits_of_one_file(root, state_dir):
    (root / "link.py").symlink_to("b.py")
    with pytest.raises(EditConflict, match=r"'b.py' and 'link.py' are one file, with two edits"):
        write_edits(root, [edit("b.py"), edit("link.py")], state_dir=state_dir)
    assert (root / "b.py").read_bytes() == OLD


def test_waits_for_the_lock_only_so_long(root, state_dir):
    state_dir.mkdir(parents=True)
    with (
        FileLock(state_dir / LOCK_NAME),
        pytest.raises(EditConflict, match=r"another run has held '.*write.lock' for 0.1 seconds"),
    ):
        write_edits(root, [edit()], state_dir=state_dir, lock_timeout_seconds=0.1)
    assert contents(root)["src/a.py"] == OLD
    write_edits(root, [edit()], state_dir=state_dir)
    assert contents(root)["src/a.py"] == NEW


def test_a_lock_that_cannot_be_made(root, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(EditConflict, match=r"the lock '.*' cannot be had \(.+\)"):
        write_edits(root, [edit()], state_dir=tmp_path / "file" / "locks")


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left"), KeyboardInterrupt()])
@pytest.mark.parametrize("step", ["fsync", "write", "replace"])
@pytest.mark.parametrize("number", range(4))
def test_leaves_nothing_behind_when_interrupted(root, state_dir, monkeypatch, error, step, number):
    """The first of each kind is the journal's, the others are the files'."""
    plain, calls = getattr(os, step), []

    def fail(*arguments):
        calls.append(arguments)
        if len(calls) == number + 1:
            raise error
        return plain(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(os, step, fail)
        with contextlib.suppress(EditConflict, KeyboardInterrupt):
            write_edits(root, [edit(), edit("b.py")], state_dir=state_dir)
    recover(root, state_dir)
    assert contents(root) in (
        {"src/a.py": OLD, "b.py": OLD},
        {"src/a.py": NEW, "b.py": NEW},
    )
    assert not list(state_dir.glob("*.journal*"))
    write_edits(root, [edit()], state_dir=state_dir)  # the lock is free again


def test_a_full_disk_is_one_clear_line(root, state_dir, monkeypatch):
    def fail(file, _):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(replacing, "write_all", fail)
    with pytest.raises(
        EditConflict, match=r"'src/a\.py' cannot be written: No space .*: make room and run again"
    ):
        write_edits(root, [edit(), edit("b.py")], state_dir=state_dir)
    assert contents(root) == {"src/a.py": OLD, "b.py": OLD}
    assert not list(state_dir.glob("*.journal*"))


def fail_to_replace(monkeypatch, name, error, times=99):
    replace, left = os.replace, [times]

    def failing(source, target):
        if Path(target).name == name and left[0] > 0:
            left[0] -= 1
            raise error
        return replace(source, target)

    monkeypatch.setattr(os, "replace", failing)
    monkeypatch.setattr(replacing, "exchange", lambda *_: False)


def test_a_failure_in_the_middle_undoes_what_was_written(root, state_dir, monkeypatch):
    fail_to_replace(monkeypatch, "b.py", OSError(errno.EIO, "Input/output error"))
    with pytest.raises(EditConflict, match=r"'b\.py' cannot be written: Input/output error$"):
        write_edits(root, [edit(), edit("b.py")], state_dir=state_dir)
    assert contents(root) == {"src/a.py": OLD, "b.py": OLD}
    assert not list(state_dir.glob("*.journal*"))


def test_a_file_that_is_mounted_by_itself(root, state_dir, monkeypatch):
    fail_to_replace(monkeypatch, "b.py", OSError(errno.EBUSY, "Device or resource busy"))
    with pytest.raises(EditConflict, match=r"busy: .* in one step; mount its folder"):
        write_edits(root, [edit("b.py")], state_dir=state_dir)
    assert contents(root) == {"src/a.py": OLD, "b.py": OLD}


def test_a_file_that_the_system_keeps_as_it_is(root, state_dir, monkeypatch):
    """As `chattr +a` has it."""
    fail_to_replace(monkeypatch, "b.py", OSError(errno.EPERM, "Operation not permitted"))
    with pytest.raises(EditConflict, match=r"not permitted: look at the rights and attributes"):
        write_edits(root, [edit("b.py")], state_dir=state_dir)
    assert contents(root) == {"src/a.py": OLD, "b.py": OLD}


def test_what_cannot_be_undone_is_done_by_the_next_run(root, state_dir, monkeypatch):
    """`a.py` is replaced, `b.py` cannot be, and then no file can be written any more."""
    fail_to_replace(monkeypatch, "b.py", OSError(errno.EIO, "Input/output error"), times=1)
    put_beside = write.put_beside

    def full(real, name, content):
        if content == OLD:
            raise OSError(errno.ENOSPC, "No space left on device")
        return put_beside(real, name, content)

    monkeypatch.setattr(write, "put_beside", full)
    with pytest.raises(EditConflict, match=r"was written and cannot be undone .No space left"):
        write_edits(root, [edit(), edit("b.py")], state_dir=state_dir)
    assert contents(root) == {"src/a.py": NEW, "b.py": OLD}
    assert recover(root, state_dir) == (
        "a heal was cut off in the middle; it is complete now: 'src/a.py', 'b.py'"
    )
    assert contents(root) == {"src/a.py": NEW, "b.py": NEW}
    assert recover(root, state_dir) is None


def test_many_writers_one_after_the_other(root, state_dir):
    """Of writers that started from the same bytes one wins, and the others are told."""
    outcomes = []

    def write(number):
        try:
            write_edits(root, [edit(after=b"%d\n" % number)], state_dir=state_dir)
            outcomes.append(b"%d\n" % number)
        except EditConflict as error:
            outcomes.append(str(error))

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    winners = [each for each in outcomes if isinstance(each, bytes)]
    assert [contents(root)["src/a.py"]] == winners
    assert sum("changed meanwhile" in str(each) for each in outcomes) == 7
