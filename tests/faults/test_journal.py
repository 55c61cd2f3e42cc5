"""A journal is untrusted data: it may have come with the project, or be damaged."""

from __future__ import annotations

import base64
import contextlib
import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from pytest_selfheal.errors import EditConflict
from pytest_selfheal.source.recovering import recover
from tests.harness import Project, require
from tests.scripted_server import ScriptedServer

OLD, NEW = b"old = 1\n", b"new = 2\n"
TEMPORARY = ".selfheal-0123456789abcdef.tmp"


def entry(path: str = "a.py", **changed: Any) -> dict[str, Any]:
    return {
        "path": path,
        "temporary": TEMPORARY,
        "before": base64.b64encode(OLD).decode(),
        "after": base64.b64encode(NEW).decode(),
        **changed,
    }


def journal(*entries: Any, schema: Any = 1) -> bytes:
    return json.dumps({"schema": schema, "files": list(entries)}).encode()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    for name in ("a.py", "b.py", ".git/hooks/x.py", "site-packages/s.py", "env/e.py", "data.txt"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(OLD)
    (root / "env" / "pyvenv.cfg").touch()
    (tmp_path / "outside.py").write_bytes(NEW)
    (root / "out.py").symlink_to(tmp_path / "outside.py")
    (root / "hook.py").symlink_to(root / ".git" / "hooks" / "x.py")
    (root / "round.py").symlink_to("round.py")
    (root / "folder.py").mkdir()
    return root


def put(root: Path, content: bytes, mode: int = 0o600) -> Path:
    folder = root / ".pytest_cache" / "selfheal"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "heal.journal").write_bytes(content)
    (folder / "heal.journal").chmod(mode)
    return folder


def tree(root: Path) -> dict[str, bytes]:
    return {
        str(path): path.read_bytes()
        for path in sorted(root.parent.rglob("*"))
        if path.is_file() and ".pytest_cache" not in path.parts
    }


# With `b.py` old and `a.py` new, a journal that is followed completes `b.py`.
REFUSED = {
    "empty": b"",
    "no-json": b"\x00\xff",
    "cut": journal(entry(), entry("b.py"))[:-7],
    "deep": b"[" * 100_000,
    "other-schema": journal(entry(), schema=2),
    "a-list": b"[]",
    "no-files": b'{"schema": 1}',
    "number": journal(7),
    "no-content": journal(entry(before=None)),
    "bad-content": journal(entry(after="*")),
    "absolute": journal(entry(), entry("/etc/passwd.py")),
    "dots": journal(entry(), entry("../outside.py")),
    "link-out": journal(entry(), entry("out.py")),
    "circle": journal(entry(), entry("round.py")),
    "folder": journal(entry(), entry("folder.py")),
    "hidden": journal(entry(), entry(".git/hooks/x.py")),
    "hidden-by-link": journal(entry(), entry("hook.py")),
    "installed": journal(entry(), entry("site-packages/s.py")),
    "environment": journal(entry(), entry("env/e.py")),
    "no-source": journal(entry(), entry("data.txt")),
    "twice": journal(entry(), entry("a.py")),
    "nul": journal(entry(), entry("b\0.py")),
    "temporary-elsewhere": journal(entry(), entry("b.py", temporary="../outside.py")),
    "temporary-not-ours": journal(entry(), entry("b.py", temporary="a.py")),
}


@pytest.mark.parametrize("content", REFUSED.values(), ids=REFUSED)
def test_what_is_no_journal_of_ours_is_not_followed(root: Path, content: bytes) -> None:
    (root / "a.py").write_bytes(NEW)
    folder = put(root, content)
    before = tree(root)
    with pytest.raises(EditConflict, match=r"heal.journal' is not followed: .*delete it$") as said:
        recover(root, folder)
    assert "\n" not in str(said.value)
    assert tree(root) == before
    assert (folder / "heal.journal").read_bytes() == content


def test_one_that_is_followed(root: Path) -> None:
    (root / "a.py").write_bytes(NEW)
    folder = put(root, journal(entry(), entry("b.py")))
    assert recover(root, folder) == (
        "a heal was cut off in the middle; it is complete now: 'a.py', 'b.py'"
    )
    assert (root / "b.py").read_bytes() == NEW
    assert list(folder.glob("heal.*")) == []


@pytest.mark.parametrize("mode", [0o644, 0o660])
def test_one_that_others_may_have_written(root: Path, mode: int) -> None:
    """git and archives give no file these rights."""
    folder = put(root, journal(entry(), entry("b.py")), mode)
    with pytest.raises(EditConflict, match="others have access to it"):
        recover(root, folder)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a file away")
def test_one_of_another_user(root: Path) -> None:
    folder = put(root, journal(entry()))
    os.chown(folder / "heal.journal", 1234, 1234)
    with pytest.raises(EditConflict, match="it is another user's"):
        recover(root, folder)


@pytest.mark.parametrize("kind", ["link", "pipe", "folder"])
def test_what_is_no_file(root: Path, tmp_path: Path, kind: str) -> None:
    folder = put(root, b"")
    file = folder / "heal.journal"
    file.unlink()
    if kind == "link":
        (tmp_path / "elsewhere").write_bytes(journal(entry()))
        file.symlink_to(tmp_path / "elsewhere")
    elif kind == "pipe":
        os.mkfifo(file)
    else:
        file.mkdir()
    with pytest.raises(EditConflict, match="it cannot be read"):
        recover(root, folder)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=8,
)
PATHS = st.sampled_from(["a.py", "b.py", "../outside.py", "out.py", "/a.py", "x/../a.py", ""])
CONTENTS = st.sampled_from([OLD, NEW, b"evil\n"]).map(lambda each: base64.b64encode(each).decode())
ENTRIES = st.fixed_dictionaries(
    {
        "path": PATHS | st.text(max_size=12),
        "temporary": st.sampled_from([TEMPORARY, "a.py", "../outside.py"]) | st.text(max_size=9),
        "before": CONTENTS,
        "after": CONTENTS,
    }
)


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(files=st.lists(ENTRIES | JSON, max_size=4), cut=st.none() | st.integers(0, 200))
@example(files=[entry("a.py", before=base64.b64encode(b"evil\n").decode())], cut=None)
def test_whatever_it_says_nothing_outside_changes(
    root: Path, files: list[Any], cut: int | None
) -> None:
    """And inside, a file only ever changes from one of the contents it is said to have."""
    for name in ("a.py", "b.py"):
        (root / name).write_bytes(OLD)
    before = tree(root)
    folder = put(root, journal(*files)[:cut])
    with contextlib.suppress(EditConflict):
        recover(root, folder)
    after = tree(root)
    own = {str(root / "a.py"), str(root / "b.py")}
    assert {name: text for name, text in after.items() if name not in own} == {
        name: text for name, text in before.items() if name not in own
    }


def test_the_next_run_puts_in_order_and_says_so(tmp_path: Path) -> None:
    require("landlock")
    files = {
        "a.py": NEW,
        "b.py": OLD,
        "test_a.py": "def test_a():\n    import b\n    assert b.new == 2\n",
    }
    project = Project(tmp_path / "project", files)
    put(project.root, journal(entry(), entry("b.py")))
    looked = project.heal("--selfheal-mode=check", "--cache-clear")
    assert "the next run with --selfheal-mode=apply puts them in order" in looked.output
    assert looked.changed == {}
    with ScriptedServer({}) as server:
        run = project.heal("--selfheal-sandbox=landlock", server=server)
    assert "selfheal: a heal was cut off in the middle; it is complete now" in run.output
    assert run.status == 0, run.output
    assert run.changed == {"b.py": NEW}
