"""A full disk, locks that are held or cannot be had, another user."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from filelock import SoftFileLock

from pytest_selfheal.errors import EditConflict
from pytest_selfheal.records import Edit
from pytest_selfheal.source.locks import LOCK_NAME, SOFT_LOCK_NAME
from pytest_selfheal.source.recovering import recover
from pytest_selfheal.source.write import write_edits
from tests.harness import Project, python, require
from tests.scripted_server import ScriptedServer

OLD = b"old = 1\n"


def needs(condition: bool, what: str) -> None:
    """Skip where something cannot be had; in CI, fail."""
    if not condition and os.environ.get("SELFHEAL_NO_SKIP"):
        pytest.fail(what)
    if not condition:
        pytest.skip(what)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    needs(os.geteuid() == 0, "only root may mount a small file system")
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    needs(done.returncode == 0, f"no small file system can be mounted: {done.stderr}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize("state_is_elsewhere", [True, False])
def test_a_full_disk_at_every_amount_of_room(
    small_disk: Path, tmp_path: Path, state_is_elsewhere: bool
) -> None:
    """Page by page: with too little room all is old, with enough all is new."""
    outcomes, said = set(), set()
    news = {"a.py": b"new = 1\n" * 1500, "b.py": b"new = 2\n" * 1500}
    for free_pages in range(24):
        root = small_disk / "project"
        root.mkdir()
        for name in news:
            (root / name).write_bytes(OLD)
        state = tmp_path / "state" if state_is_elsewhere else root / "state"
        state.mkdir(exist_ok=True)
        (state / LOCK_NAME).touch()
        _fill(small_disk / "ballast", free_pages * 4096)
        edits = [Edit(path=name, before=OLD, after=new) for name, new in news.items()]
        try:
            write_edits(root, edits, state_dir=state)
        except EditConflict as error:
            said.add(str(error).partition(": ")[2].rstrip(")"))
            assert {(root / name).read_bytes() for name in news} == {OLD}
            outcomes.add("old")
        else:
            assert {name: (root / name).read_bytes() for name in news} == news
            outcomes.add("new")
        left = {path.name for path in root.rglob("*") if path.is_file()}
        assert left - {LOCK_NAME} == set(news)
        assert recover(root, state) is None
        (small_disk / "ballast").unlink()
        for path in sorted(root.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
        root.rmdir()
    assert outcomes == {"old", "new"}
    assert all("make room and run again" in each for each in said), said


def test_a_run_on_a_full_disk_keeps_its_code_elsewhere(small_disk: Path, tmp_path: Path) -> None:
    require("landlock")
    test = "import mod\n\n\ndef test_f():\n    assert mod.f() == 1\n"
    stub = "# selfheal\ndef f():\n    ...\n"
    project = Project(small_disk / "project", {"mod.py": stub, "test_mod.py": test})
    project.report_file = tmp_path / "report.json"
    project.temporary = tmp_path / "temporary"
    project.temporary.mkdir()
    _fill(small_disk / "ballast", 0)
    with ScriptedServer({"mod.py::f": [python("def f():\n    return 1\n")]}) as server:
        run = project.heal("--selfheal-sandbox=landlock", server=server)
    assert run.status == 1
    assert run.changed == {}
    reason, _, patch = run.stubs["mod.py::f"]["reason"].partition("; its code is kept in ")
    assert reason.endswith("(No space left on device: make room and run again)")
    assert Path(patch).is_relative_to(project.temporary)
    assert "+    return 1" in Path(patch).read_text()
    assert Path(patch).parent.stat().st_mode & 0o777 == 0o700
    left = [path.name for path in project.root.rglob("*") if path.name.startswith(".")]
    assert set(left) == {".pytest_cache"}


def _fill(file: Path, room: int) -> None:
    status = os.statvfs(file.parent)
    size = status.f_bavail * status.f_frsize - room
    file.write_bytes(b"x" * max(size, 0))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "a.py").write_bytes(OLD)
    return tmp_path / "project"


EDIT = Edit(path="a.py", before=OLD, after=b"new = 2\n")


def test_a_lock_that_is_held_is_told_of_and_not_waited_for_without_end(root: Path) -> None:
    said: list[str] = []
    state = root / "state"
    state.mkdir()
    holder = subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(state / LOCK_NAME)], stdout=subprocess.PIPE
    )
    assert holder.stdout is not None
    holder.stdout.readline()
    try:
        with pytest.raises(EditConflict, match="another run has held"):
            write_edits(root, [EDIT], state_dir=state, lock_timeout_seconds=1.2, say=said.append)
        assert said == ["waiting up to 1.2 s for another run that writes its files"]
    finally:
        holder.kill()
        holder.communicate()
    # The kernel gives back what a dead process held.
    write_edits(root, [EDIT], state_dir=state, lock_timeout_seconds=1)
    assert (root / "a.py").read_bytes() == EDIT.after


_HOLD = """
import sys, time
from filelock import FileLock
lock = FileLock(sys.argv[1])
lock.acquire()
print("held", flush=True)
time.sleep(600)
"""


def test_the_file_itself_is_locked_for_runs_with_other_rootdirs(root: Path) -> None:
    descriptor = os.open(root / "a.py", os.O_RDWR)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        with pytest.raises(EditConflict, match=r"'a\.py' is not written: another program keeps it"):
            write_edits(root, [EDIT], state_dir=root / "state", lock_timeout_seconds=0.1)
        said: list[str] = []
        with pytest.raises(EditConflict, match="another program keeps it"):
            write_edits(
                root, [EDIT], state_dir=root / "state", lock_timeout_seconds=1.2, say=said.append
            )
        assert said == ["waiting for another program, which keeps 'a.py' locked"]
    finally:
        os.close(descriptor)
    write_edits(root, [EDIT], state_dir=root / "state")
    assert (root / "a.py").read_bytes() == EDIT.after


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_a_file_system_without_locks(
    root: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """As some network file systems: a file that names its owner stands for the lock."""

    def flock(*_: Any) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", flock)
    state = root / "state"
    state.mkdir()
    with (
        SoftFileLock(state / SOFT_LOCK_NAME),
        pytest.raises(EditConflict, match=r"or delete '.*write.softlock' if there is none"),
    ):
        write_edits(root, [EDIT], state_dir=state, lock_timeout_seconds=0.2)
    write_edits(root, [EDIT], state_dir=state)
    assert (root / "a.py").read_bytes() == EDIT.after
    assert not (state / SOFT_LOCK_NAME).exists()


def test_the_soft_lock_of_a_dead_process(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = root / "state"
    state.mkdir()
    script = (
        "import os, sys\nfrom filelock import SoftFileLock\n"
        "lock = SoftFileLock(sys.argv[1])\nlock.acquire()\nos.kill(os.getpid(), 9)\n"
    )
    subprocess.run([sys.executable, "-c", script, str(state / SOFT_LOCK_NAME)], check=False)
    assert (state / SOFT_LOCK_NAME).exists()

    def flock(*_: Any) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", flock)
    write_edits(root, [EDIT], state_dir=state, lock_timeout_seconds=10)
    assert (root / "a.py").read_bytes() == EDIT.after


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become two others")
@pytest.mark.parametrize("umask", [0o022, 0o077])
def test_two_users_of_one_project(tmp_path: Path, umask: int) -> None:
    """Both may write the folder: the second has the lock that the first one made."""
    with open_to_all(tmp_path):
        root = tmp_path / "shared"
        root.mkdir()
        root.chmod(0o777)
        (root / "a.py").write_bytes(OLD)
        (root / "a.py").chmod(0o666)
        texts = [OLD, b"one = 1\n", b"two = 2\n"]
        for user, before, after in zip((1234, 1235), texts, texts[1:], strict=False):
            done = _as_user(user, umask, root, before, after)
            assert done == 0
        assert (root / "a.py").read_bytes() == texts[-1]
        assert (root / "a.py").stat().st_mode & 0o777 == 0o666


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become another")
def test_a_lock_that_root_made_in_a_users_cache(tmp_path: Path) -> None:
    cached = tmp_path / "cache" / "selfheal"
    cached.mkdir(parents=True)
    (tmp_path / "temporary").mkdir(mode=0o777)
    for folder in (tmp_path / "temporary", cached.parent, cached):
        os.chown(folder, 1234, 1234)
    with open_to_all(tmp_path):
        assert _heal_dir_of(1234, tmp_path) == cached
        (cached / LOCK_NAME).touch(0o600)  # root's
        found = _heal_dir_of(1234, tmp_path)
    assert found.is_relative_to(tmp_path / "temporary")


def _heal_dir_of(user: int, folder: Path) -> Path:
    script = (
        "import os, sys\nfrom pathlib import Path\nfrom types import SimpleNamespace\n"
        "from pytest_selfheal.recovery import heal_dir\n"
        "folder, user = Path(sys.argv[1]), int(sys.argv[2])\n"
        "os.setgroups([]); os.setgid(user); os.setuid(user)\n"
        "cache = SimpleNamespace(_cachedir=folder / 'cache')\n"
        "print(heal_dir(SimpleNamespace(rootpath=folder, cache=cache)))\n"
    )
    command = [sys.executable, "-c", script, str(folder), str(user)]
    environment = {**os.environ, "TMPDIR": str(folder / "temporary")}
    return Path(subprocess.check_output(command, env=environment, text=True).strip())


@contextlib.contextmanager
def open_to_all(folder: Path) -> Iterator[None]:
    """Let other users through to a folder."""
    with contextlib.ExitStack() as undo:
        for each in (folder, *folder.parents):
            mode = each.stat().st_mode
            if mode & 0o001:
                break
            each.chmod(0o755)
            undo.callback(each.chmod, mode)
        yield


def _as_user(user: int, umask: int, root: Path, before: bytes, after: bytes) -> int:
    script = (
        "import os, sys\nfrom pathlib import Path\n"
        "from pytest_selfheal.records import Edit\n"
        "from pytest_selfheal.source.write import write_edits\n"
        "import tempfile\n"
        "user, umask = int(sys.argv[1]), int(sys.argv[2])\n"
        # Once as oneself: the other user may not be able to read what is imported.
        "with tempfile.TemporaryDirectory() as name:\n"
        "    Path(name, 'b.py').write_bytes(b'')\n"
        "    edit = Edit(path='b.py', before=b'', after=b'1')\n"
        "    write_edits(Path(name), [edit], state_dir=Path(name))\n"
        "os.setgroups([]); os.setgid(user); os.setuid(user); os.umask(umask)\n"
        "edit = Edit(path='a.py', before=eval(sys.argv[4]), after=eval(sys.argv[5]))\n"
        "write_edits(Path(sys.argv[3]), [edit], state_dir=Path(sys.argv[3]))\n"
    )
    arguments = [str(user), str(umask), str(root), repr(before), repr(after)]
    return subprocess.run([sys.executable, "-c", script, *arguments], check=False).returncode
