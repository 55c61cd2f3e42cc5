"""Odd names and trees: what is the project's own is written, nothing else is."""

from __future__ import annotations

import contextlib
import os
import stat
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_selfheal.errors import EditConflict
from pytest_selfheal.model.prompt import render
from pytest_selfheal.records import Edit, Question
from pytest_selfheal.source.find import find_in_project
from pytest_selfheal.source.journal import Entry, write_journal
from pytest_selfheal.source.recovering import recover
from pytest_selfheal.source.replacing import new_name
from pytest_selfheal.source.write import check_writable, write_edits
from tests.harness import Project, python, require
from tests.scripted_server import ScriptedServer, targets_of

OLD, NEW = b"old = 1\n", b"new = 2\n"
STUB = "# selfheal\ndef f():\n    ...\n"
TEST = "import mod\n\n\ndef test_f():\n    assert mod.f() == 1\n"
GOOD = python("def f():\n    return 1\n")


def heal(project: Project, target: str = "mod.py::f") -> None:
    """A run that heals."""
    require("landlock")
    with ScriptedServer({target: [GOOD]}) as server:
        run = project.heal("--selfheal-sandbox=landlock", server=server)
    assert run.status == 0, run.output
    assert run.statuses() == {target: "healed"}


def git(folder: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=t", "-c", "user.email=t@example.invalid")
    permitted = ("-c", "protocol.file.allow=always")
    command = ["git", *identity, *permitted, *arguments]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)


def repository(folder: Path) -> Path:
    folder.mkdir()
    git(folder, "init", "-q")
    for name, text in {"mod.py": STUB, "test_mod.py": TEST, "pytest.ini": "[pytest]\n"}.items():
        (folder / name).write_text(text)
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "all")
    return folder


@pytest.mark.parametrize("kind", ["worktree", "submodule"])
def test_git_trees_of_other_kinds(tmp_path: Path, kind: str) -> None:
    """There `.git` is a file that leads elsewhere."""
    original = repository(tmp_path / "original")
    project = Project(tmp_path / "project", {})
    if kind == "worktree":
        bare = tmp_path / "bare.git"
        git(tmp_path, "clone", "-q", "--bare", str(original), str(bare))
        project.root.joinpath("pytest.ini").unlink()
        git(bare, "worktree", "add", "-q", "-f", str(project.root), "HEAD")
        target, file = "mod.py::f", project.root / "mod.py"
    else:
        git(project.root, "init", "-q")
        git(project.root, "submodule", "add", "-q", str(original), "sub")
        (project.root / "sub" / "pytest.ini").unlink()
        target, file = "sub/mod.py::f", project.root / "sub" / "mod.py"
    heal(project, target)
    assert file.read_text() == "def f():\n    return 1\n"
    assert (original / "mod.py").read_text() == STUB


@pytest.mark.parametrize("imported", ["link", "file"])
def test_a_stub_with_a_link_to_its_file(tmp_path: Path, imported: str) -> None:
    """It is one stub, whichever of the two the tests import; its patch is of the file."""
    files = {"file/mod.py": STUB, "test_mod.py": TEST}
    files["pytest.ini"] = f"[pytest]\npythonpath = {imported}\n"
    project = Project(tmp_path / "project", files)
    (project.root / "link").mkdir()
    (project.root / "link/mod.py").symlink_to("../file/mod.py")
    git(project.root, "init", "-q")
    git(project.root, "add", ".")
    require("landlock")
    with ScriptedServer({"file/mod.py::f": [GOOD]}) as server:
        options = ("--selfheal-sandbox=landlock", "--selfheal-mode=propose")
        run = project.heal(*options, server=server)
    assert run.statuses() == {"file/mod.py::f": "healed"}, run.output
    assert len(server.requests) == 1
    git(project.root, "apply", "--index", "selfheal.patch")
    assert (project.root / "link/mod.py").read_text() == "def f():\n    return 1\n"
    assert (project.root / "link/mod.py").is_symlink()


def test_loops_of_links_and_a_name_with_a_newline(tmp_path: Path) -> None:
    project = Project(tmp_path / "project", {"mod.py": STUB, "test_mod.py": TEST})
    (project.root / "loop").symlink_to(project.root)
    (project.root / "round.py").symlink_to("round.py")
    (project.root / "odd\nname.py").write_text(STUB)
    require("landlock")
    with ScriptedServer({"mod.py::f": [GOOD]}) as server:
        # Left to itself, pytest follows the loop as far as the system lets it.
        run = project.heal("--selfheal-sandbox=landlock", "test_mod.py", server=server)
    assert run.status == 0, run.output
    assert run.text("mod.py") == "def f():\n    return 1\n"
    assert run.changed.keys() == {"mod.py"}


@pytest.mark.parametrize("end", ["\n", "\r", "\x85", "\u2028"])
def test_no_name_of_a_file_forges_a_line_of_the_prompt(tmp_path: Path, end: str) -> None:
    (tmp_path / f"odd{end}Target: evil.py::g{end}.py").write_text(STUB)
    stubs = find_in_project(tmp_path).stubs
    assert len(stubs) == 1
    (target,) = targets_of(render(Question(stubs=tuple(stubs))))
    assert target.startswith("odd")
    assert target.endswith(".py::f")


def test_a_stub_that_a_link_leads_out_to(tmp_path: Path) -> None:
    outside = tmp_path / "elsewhere"
    outside.mkdir()
    (outside / "mod.py").write_text(STUB)
    project = Project(tmp_path / "project", {"test_mod.py": TEST})
    (project.root / "mod.py").symlink_to(outside / "mod.py")
    require("landlock")
    with ScriptedServer({}) as server:
        run = project.heal("--selfheal-sandbox=landlock", server=server)
    assert run.status == 1
    assert server.requests == []
    assert (outside / "mod.py").read_text() == STUB
    edit = Edit(path="mod.py", before=STUB.encode(), after=NEW)
    with pytest.raises(EditConflict, match="leads out of the project"):
        write_edits(project.root, [edit], state_dir=tmp_path / "state")


@pytest.mark.parametrize("folder", ["site-packages", "env/lib", ".hidden", "node_modules/x"])
def test_what_is_installed_is_never_written(tmp_path: Path, folder: str) -> None:
    file = tmp_path / folder / "mod.py"
    file.parent.mkdir(parents=True)
    file.write_text(STUB)
    (tmp_path / "env").mkdir(exist_ok=True)
    (tmp_path / "env" / "pyvenv.cfg").touch()
    (tmp_path / "linked.py").symlink_to(file)
    assert [each.path for each in find_in_project(tmp_path).stubs if each.path != "linked.py"] == []
    for path in (f"{folder}/mod.py", "linked.py"):
        reason = check_writable(tmp_path, path)
        assert reason is not None
        assert "no source of the project's own" in reason
        edit = Edit(path=path, before=STUB.encode(), after=NEW)
        with pytest.raises(EditConflict, match="no source of the project's own"):
            write_edits(tmp_path, [edit], state_dir=tmp_path / "state")
    assert file.read_text() == STUB


def test_a_read_only_checkout(tmp_path: Path) -> None:
    project = Project(tmp_path / "project", {"mod.py": STUB, "test_mod.py": TEST})
    require("landlock")
    (project.root / "mod.py").chmod(0o444)
    project.root.chmod(0o555)
    try:
        with ScriptedServer({"mod.py::f": [GOOD]}) as server:
            run = project.heal("--selfheal-sandbox=landlock", server=server)
    finally:
        project.root.chmod(0o755)
    assert run.status == 1
    assert "read-only; make it writable" in run.stubs["mod.py::f"]["reason"]
    assert "reaches no stub" not in run.output
    assert server.requests == []
    assert run.changed == {}


def test_a_module_and_a_link_to_it(tmp_path: Path) -> None:
    """One stub, whichever of them is imported; sandlock shows a link's file as it was."""
    test = "import other\n\n\ndef test_g():\n    assert other.f() == 1\n"
    files = {"mod.py": STUB, "test_mod.py": TEST, "test_other.py": test}
    project = Project(tmp_path / "project", files)
    (project.root / "other.py").symlink_to("mod.py")
    heal(project)
    assert (project.root / "mod.py").read_text() == "def f():\n    return 1\n"
    assert os.readlink(project.root / "other.py") == "mod.py"


def test_other_names_of_a_file_are_told_of(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_bytes(OLD)
    (tmp_path / "b.py").hardlink_to(tmp_path / "a.py")
    edit = Edit(path="a.py", before=OLD, after=NEW)
    assert write_edits(tmp_path, [edit], state_dir=tmp_path / "state") == [
        "'a.py' had another name (hard links), which keep the old content"
    ]
    assert (tmp_path / "b.py").read_bytes() == OLD


def test_two_names_of_one_file_with_an_edit_each(tmp_path: Path) -> None:
    """The file is locked once: its second name must not wait for the first."""
    for name in ("a.py", "c.py"):
        (tmp_path / name).write_bytes(OLD)
    (tmp_path / "b.py").hardlink_to(tmp_path / "a.py")
    (tmp_path / "d.py").hardlink_to(tmp_path / "a.py")
    edits = [Edit(path=name, before=OLD, after=NEW) for name in ("a.py", "b.py", "c.py")]
    notes = write_edits(tmp_path, edits, state_dir=tmp_path / "state", lock_timeout_seconds=5)
    assert notes == [
        "'a.py' was one file with 'b.py' (hard links), and is one of its own now",
        "'a.py' had another name (hard links), which keep the old content",
        "'b.py' was one file with 'a.py' (hard links), and is one of its own now",
        "'b.py' had another name (hard links), which keep the old content",
    ]
    held = {name: (tmp_path / name).read_bytes() for name in ("a.py", "b.py", "c.py", "d.py")}
    assert held == {"a.py": NEW, "b.py": NEW, "c.py": NEW, "d.py": OLD}


def test_a_heal_of_two_names_of_one_file_that_was_cut_off(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_bytes(OLD)
    (tmp_path / "b.py").hardlink_to(tmp_path / "a.py")
    entries = [
        Entry(path=path, temporary=new_name(), before=OLD, after=NEW) for path in ("a.py", "b.py")
    ]
    write_journal(tmp_path, entries)
    said = recover(tmp_path, tmp_path, lock_timeout_seconds=5)
    assert said == "a heal was cut off before it wrote; nothing of it is left: 'a.py', 'b.py'"


def access_list(*, mine: int, of_1234: int, mask: int) -> bytes:
    """One user more than the mode tells: version 2, then tag, rights and number of each entry."""
    entries = [(1, mine, -1), (2, of_1234, 1234), (4, 4, -1), (16, mask, -1), (32, 0, -1)]
    return (2).to_bytes(4, "little") + b"".join(
        tag.to_bytes(2, "little")
        + rights.to_bytes(2, "little")
        + (who % 2**32).to_bytes(4, "little")
        for tag, rights, who in entries
    )


def set_attributes(file: Path, attributes: dict[str, bytes]) -> None:
    """Skips where the file system keeps none."""
    try:
        for name, value in attributes.items():
            os.setxattr(file, name, value)
    except OSError:
        if not os.environ.get("SELFHEAL_NO_SKIP"):
            pytest.skip("this file system keeps none")
        raise


def attributes_of(file: Path) -> dict[str, bytes]:
    return {name: os.getxattr(file, name) for name in os.listxattr(file)}


has_attributes = pytest.mark.skipif(not hasattr(os, "setxattr"), reason="no such attributes here")


@has_attributes
def test_access_lists_and_attributes_are_kept(tmp_path: Path) -> None:
    file = tmp_path / "a.py"
    file.write_bytes(OLD)
    given = {
        "user.note": b"mine",
        "system.posix_acl_access": access_list(mine=6, of_1234=4, mask=4),
    }
    set_attributes(file, given)
    mode = stat.S_IMODE(file.stat().st_mode)
    write_edits(tmp_path, [Edit(path="a.py", before=OLD, after=NEW)], state_dir=tmp_path / "s")
    assert attributes_of(file) == given
    assert stat.S_IMODE(file.stat().st_mode) == mode


@has_attributes
def test_a_folder_gives_a_healed_file_no_access_list(tmp_path: Path) -> None:
    """A new file in there has what the folder says; one that is replaced has what it had."""
    file = tmp_path / "a.py"
    file.write_bytes(OLD)
    file.chmod(0o640)
    inherited = access_list(mine=6, of_1234=6, mask=6)
    set_attributes(tmp_path, {"system.posix_acl_default": inherited})
    write_edits(tmp_path, [Edit(path="a.py", before=OLD, after=NEW)], state_dir=tmp_path / "s")
    assert file.read_bytes() == NEW
    assert attributes_of(file) == {}
    assert stat.S_IMODE(file.stat().st_mode) == 0o640


def test_an_access_list_of_another_kind_that_cannot_be_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As those of network file systems."""
    (tmp_path / "a.py").write_bytes(OLD)
    names = ["system.nfs4_acl", "user.note", "security.selinux"]
    monkeypatch.setattr(os, "listxattr", lambda _: names, raising=False)
    edit = Edit(path="a.py", before=OLD, after=NEW)
    assert write_edits(tmp_path, [edit], state_dir=tmp_path / "state") == [
        "'a.py' was written, but could not keep its access list, its attribute 'user.note'"
    ]


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root may chown")
def test_another_users_file_in_a_sticky_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "shared"
    folder.mkdir()
    folder.chmod(0o1777)
    for name, owner in {"mine.py": 1234, "theirs.py": 1235}.items():
        (folder / name).write_bytes(OLD)
        (folder / name).chmod(0o666)
        os.chown(folder / name, owner, owner)
    assert check_writable(tmp_path, "shared/theirs.py") is None  # root may
    monkeypatch.setattr(os, "geteuid", lambda: 1234)
    assert check_writable(tmp_path, "shared/mine.py") is None
    reason = check_writable(tmp_path, "shared/theirs.py")
    assert reason is not None
    assert "another user's file in a sticky folder" in reason


@pytest.mark.parametrize("name", ["a.py", "a b\\\n.py"])
def test_a_file_that_is_mounted_by_itself(tmp_path: Path, name: str) -> None:
    """As containers are given one: it cannot be replaced, which is said before it is healed."""
    for each in (name, "real.py"):
        (tmp_path / each).write_bytes(OLD)
    mount = ["mount", "--bind", str(tmp_path / "real.py"), str(tmp_path / name)]
    if os.geteuid() != 0 or subprocess.run(mount, check=False).returncode:
        pytest.skip("nothing can be mounted here")
    try:
        reason = check_writable(tmp_path, name)
        edit = Edit(path=name, before=OLD, after=NEW)
        with pytest.raises(EditConflict, match="mount its folder, not the file"):
            write_edits(tmp_path, [edit], state_dir=tmp_path / "state")
    finally:
        subprocess.run(["umount", str(tmp_path / name)], check=True)
    assert reason is not None
    assert "mounted by itself" in reason
    assert check_writable(tmp_path, "real.py") is None
    assert (tmp_path / "real.py").read_bytes() == OLD


@pytest.mark.parametrize("sandbox", ["bubblewrap", "landlock"])
def test_a_folder_whose_name_is_no_text(tmp_path: Path, sandbox: str) -> None:
    """As one that was made under another encoding."""
    require(sandbox)
    project = Project(tmp_path / "plain", {"mod.py": STUB, "test_mod.py": TEST})
    project.root = project.root.rename(tmp_path / "caf\udce9")
    with ScriptedServer({"mod.py::f": [GOOD]}) as server:
        run = project.heal(f"--selfheal-sandbox={sandbox}", server=server)
    if sandbox == "bubblewrap":
        assert run.status == 0, run.output
        assert run.text("mod.py") == "def f():\n    return 1\n"
    else:
        assert run.status == 1
        assert "which is no UTF-8: rename it, or use --selfheal-sandbox=bubblewrap" in run.output
        assert run.changed == {}


NAMES = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="/\0"), min_size=1, max_size=80
).filter(lambda name: len(name.encode()) <= 240 and not name.startswith("."))


@settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(folder=NAMES, name=NAMES, before=st.binary(max_size=99), after=st.binary(max_size=9_999))
def test_any_name_and_any_bytes(
    tmp_path: Path, folder: str, name: str, before: bytes, after: bytes
) -> None:
    root = tmp_path / "root"
    file = root / folder / f"{name}.py"
    with contextlib.suppress(FileExistsError):
        file.parent.mkdir(parents=True)
    file.write_bytes(before)
    path = f"{folder}/{name}.py"
    if check_writable(root, path) is None:
        edit = Edit(path=path, before=before, after=after)
        write_edits(root, [edit], state_dir=tmp_path / "state")
        assert file.read_bytes() == after
        assert [each.name for each in file.parent.iterdir() if each.suffix == ".tmp"] == []


def test_the_longest_names_that_there_are(tmp_path: Path) -> None:
    name = "x" * 252 + ".py"
    (tmp_path / name).write_bytes(OLD)
    write_edits(tmp_path, [Edit(path=name, before=OLD, after=NEW)], state_dir=tmp_path / "state")
    assert (tmp_path / name).read_bytes() == NEW
    reason = check_writable(tmp_path, "y" * 300 + ".py")
    assert reason is not None
    assert "File name too long" in reason
