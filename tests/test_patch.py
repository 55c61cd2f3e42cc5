"""Edits shown as diffs, and written as patches that `git apply` and `patch` take."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pytest_selfheal.errors import SelfHealError
from pytest_selfheal.records import Edit
from pytest_selfheal.report.patch import git_patch, git_prefix, unified_diff, write_patch

needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
needs_patch = pytest.mark.skipif(shutil.which("patch") is None, reason="patch is not installed")


def edit(before: bytes, after: bytes, path: str = "src/a.py") -> Edit:
    return Edit(path=path, before=before, after=after)


def put(root: Path, edits: list[Edit]) -> None:
    for one in edits:
        file = root / one.path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(one.before)


def apply(root: Path, patch: bytes, *command: str, top: Path | None = None) -> None:
    # Neither a user's configuration nor a repository around the top has a say.
    env = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    env["GIT_CEILING_DIRECTORIES"] = str((top or root).resolve().parent)
    done = subprocess.run(command, cwd=root, input=patch, capture_output=True, env=env)
    assert done.returncode == 0, (done.stderr, patch)


def contents(root: Path, edits: list[Edit]) -> dict[str, bytes]:
    return {one.path: (root / one.path).read_bytes() for one in edits}


def check(edits: list[Edit], *command: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        put(Path(folder), edits)
        apply(Path(folder), git_patch(edits), *command)
        assert contents(Path(folder), edits) == {one.path: one.after for one in edits}


GIT = ("git", "apply", "-")
PATCH = ("patch", "-p1", "--silent", "--binary")

# Few different lines, so that the two sides have much in common and hunks meet.
LINES = st.lists(
    st.sampled_from(
        [b"a", b"b", b"", b"c\r", b"\x0c", b"x\ry", b"\xe2\x80\xa8", b"\xff", b"-", b"+"]
    ),
    max_size=30,
).map(b"\n".join)
ODD = st.one_of(LINES, st.binary(max_size=60))


@needs_git
@settings(max_examples=150, deadline=None)
@given(before=ODD, after=ODD)
@example(before=b"a", after=b"x\na\ny")
@example(before=b"", after=b"a")
@example(before=b"a\n", after=b"")
@example(before=b"a", after=b"a\n")
@example(before=b"\r\n\r\n", after=b"\r\n")
def test_git_apply_gives_the_bytes(before: bytes, after: bytes) -> None:
    if before != after:
        check([edit(before, after)], *GIT)


@needs_git
@settings(max_examples=60, deadline=None)
@given(
    lines=st.lists(st.sampled_from([b"a\n", b"b\n", b"\n", b"c\r\n"]), min_size=20, max_size=80),
    changes=st.lists(
        st.tuples(st.integers(0, 79), st.sampled_from([b"", b"x\n", b"x\ny\n", b"a\n"])), max_size=5
    ),
)
def test_a_few_changes_far_apart(lines: list[bytes], changes: list[tuple[int, bytes]]) -> None:
    after = list(lines)
    for place, text in changes:
        after[place % len(after)] = text
    if after != lines:
        check([edit(b"".join(lines), b"".join(after))], *GIT)


NAMES = [
    "plain.py",
    "with space.py",
    "two  spaces/and more.py",
    "größe/naïve.py",
    "日本/語.py",
    'a"quote.py',
    "back\\slash.py",
    "tab\tin it.py",
    "line\nfeed.py",
    "b/b/b.py",
    "a/x b/x",
    "-dash.py",
]


@needs_git
@pytest.mark.parametrize("name", NAMES, ids=repr)
def test_names_for_git(name: str) -> None:
    check([edit(b"a\n", b"b\n", name)], *GIT)


@needs_patch
@pytest.mark.parametrize("name", [name for name in NAMES if "\n" not in name], ids=repr)
def test_names_for_patch(name: str) -> None:
    check([edit(b"a\n", b"b\n", name)], *PATCH)


@needs_patch
@settings(max_examples=60, deadline=None)
@given(before=LINES.filter(bool), after=LINES.filter(bool))
def test_patch_gives_the_bytes(before: bytes, after: bytes) -> None:
    if before != after:
        check([edit(before, after)], *PATCH)


@needs_git
def test_several_files_come_sorted_and_whole() -> None:
    edits = [
        edit(b"1\n", b"2\n", "src/z.py"),
        edit(b"same\n", b"same\n", "src/m.py"),
        edit(b"1\r\n2", b"1\r\n3", "src/a b.py"),
    ]
    patch = git_patch(edits)
    assert patch.index(b"src/a b.py") < patch.index(b"src/z.py")
    assert b"m.py" not in patch
    assert patch == git_patch(edits[::-1])
    check(edits, *GIT)


def test_the_form_is_the_usual_one() -> None:
    before = b"".join(b"line %d\n" % number for number in range(1, 21))
    after = before.replace(b"line 2\n", b"line two\n").replace(b"line 20\n", b"line 20")
    assert git_patch([edit(before, after, "src/a b.py")]).decode() == (
        "diff --git a/src/a b.py b/src/a b.py\n"
        "--- a/src/a b.py\t\n+++ b/src/a b.py\t\n"
        "@@ -1,5 +1,5 @@\n line 1\n-line 2\n+line two\n line 3\n line 4\n line 5\n"
        "@@ -17,4 +17,4 @@\n line 17\n line 18\n line 19\n"
        "-line 20\n+line 20\n\\ No newline at end of file\n"
    )


# --- rootdirs that are not the top of a work tree --------------------------------------

BELOW = [
    ("", "src/a.py"),
    ("ledger", "src/a.py"),
    ("ledger", "ledger/a.py"),
    ("services/ledger", "services/ledger/a.py"),
    ("services/ledger", "ledger/a.py"),
    ("with space", "with space/größe.py"),
]


@needs_git
@pytest.mark.parametrize(("inner", "name"), BELOW, ids=[f"{a or 'top'}-{b}" for a, b in BELOW])
def test_git_apply_from_the_rootdir_and_from_the_top(tmp_path: Path, inner: str, name: str) -> None:
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    root = tmp_path / inner
    edits = [edit(b"a\n", b"b\n", name), edit(b"c\n", b"d\n", "other.py")]
    for folder, options in ((root, []), (tmp_path, []), (root, ["-3"]), (tmp_path, ["--index"])):
        put(root, edits)
        subprocess.run(["git", "add", "-A"], cwd=tmp_path, check=True)
        file = tmp_path / "selfheal.patch"
        write_patch(edits, file, root)
        apply(folder, b"", "git", "apply", *options, str(file), top=tmp_path)
        assert contents(root, edits) == {one.path: one.after for one in edits}


@needs_patch
def test_patch_from_the_top_of_a_work_tree(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    root = tmp_path / "ledger"
    edits = [edit(b"a\n", b"b\n", "src/a b.py")]
    put(root, edits)
    write_patch(edits, root / "selfheal.patch", root)
    apply(tmp_path, (root / "selfheal.patch").read_bytes(), *PATCH)
    assert contents(root, edits) == {"src/a b.py": b"b\n"}


def test_the_place_in_a_work_tree(tmp_path: Path) -> None:
    (tmp_path / "repo/in ner/deep").mkdir(parents=True)
    (tmp_path / "repo/.git").write_text("gitdir: elsewhere\n")
    assert git_prefix(tmp_path / "repo") == ""
    assert git_prefix(tmp_path / "repo/in ner/deep") == "in ner/deep/"


def test_a_patch_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SelfHealError, match=r"^the patch cannot be written to '.*p': .*; choose"):
        write_patch([edit(b"a", b"b")], tmp_path / "file/p", tmp_path)


# --- diffs for people ------------------------------------------------------------------

DIFFS = [
    ("nothing changed", b"a\n", b"a\n", ""),
    ("utf-8", "x = 'ä'\n".encode(), "x = 'ö'\n".encode(), "@@ -1 +1 @@\n-x = 'ä'\n+x = 'ö'\n"),
    (
        "a declared encoding",
        "# coding: latin-1\nx = 'ä'\n".encode("latin-1"),
        "# coding: latin-1\nx = 'ö'\n".encode("latin-1"),
        "@@ -1,2 +1,2 @@\n # coding: latin-1\n-x = 'ä'\n+x = 'ö'\n",
    ),
    ("a byte-order mark", b"\xef\xbb\xbfa\n", b"\xef\xbb\xbfb\n", "@@ -1 +1 @@\n-a\n+b\n"),
    ("bytes of no encoding", b"a\n", b"\xff\n", "@@ -1 +1 @@\n-a\n+\ufffd\n"),
    ("an unknown encoding", b"# coding: nope\n", b"# coding: nopo\n", "# coding: nopo\n"),
    ("a codec for no text", b"a\n", b"# coding: hex\n", "+# coding: hex\n"),
    ("line ends", b"a\r\n", b"b\r\n", "@@ -1 +1 @@\n-a\n+b\n"),
    ("control characters", b"a\n", b"b\x1b[2J\x07\n", "@@ -1 +1 @@\n-a\n+b\n"),
    ("no line of its own", b"a\n", "b\u2028+c\x0c\n".encode(), "@@ -1 +1 @@\n-a\n+b +c\n"),
    ("no newline at the end", b"a", b"b", "-a\n\\ No newline at end of file\n+b\n\\ No newline"),
]


@pytest.mark.parametrize(
    ("before", "after", "expected"), [row[1:] for row in DIFFS], ids=[row[0] for row in DIFFS]
)
def test_diffs(before: bytes, after: bytes, expected: str) -> None:
    diff = unified_diff(edit(before, after))
    if not expected:
        assert diff == ""
        return
    assert diff.startswith("--- a/src/a.py\n+++ b/src/a.py\n@@ ")
    assert expected in diff


@settings(max_examples=200)
@given(before=ODD, after=ODD)
def test_a_diff_has_no_control_characters(before: bytes, after: bytes) -> None:
    diff = unified_diff(edit(before, after))
    assert bool(diff) == (before != after)
    assert all(char in "\n\t" or (ord(char) >= 32 and not 127 <= ord(char) < 160) for char in diff)
