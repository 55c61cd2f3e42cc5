"""An edit shown as a unified diff, and edits written as a patch.

All splitting is on line feeds in bytes: a form feed, a lone carriage return or a U+2028
inside a line is no line end to `git apply` and `patch`.
"""

from __future__ import annotations

import difflib
import io
import os
import tokenize
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from pytest_selfheal.git import object_format, object_name
from pytest_selfheal.records import Edit
from pytest_selfheal.report._files import write_whole
from pytest_selfheal.report._text import one_line, visible

_CONTEXT = 3
_NO_NEWLINE = b"\\ No newline at end of file\n"
_ESCAPES = {7: "a", 8: "b", 9: "t", 10: "n", 11: "v", 12: "f", 13: "r", 34: '"', 92: "\\"}

Opcode = tuple[str, int, int, int, int]


def unified_diff(edit: Edit) -> str:
    """Give an edit as a diff for people: text without control characters.

    The bytes are decoded as the file itself declares; what is not of that encoding is
    replaced. Empty where nothing changed.
    """
    hunks = b"".join(_hunks(edit.before, edit.after))
    if not hunks:
        return ""
    path = one_line(edit.path)
    header = f"--- a/{path}\n+++ b/{path}\n"
    # Line by line, so that half a character at a line's end cannot swallow the next line.
    encoding = _encoding(edit.after)
    lines = [_decoded(line, encoding) for line in _lines(hunks)]
    return visible(header + "".join(lines))


def git_patch(
    edits: Sequence[Edit],
    *,
    prefix: str = "",
    index_lines: Mapping[str, str] | None = None,
) -> bytes:
    """Give edits as one patch that `git apply` takes byte for byte, anywhere above its files.

    In a folder below the top of the work tree, git takes the paths of a patch with
    `diff --git` lines as counted from the top.

    Args:
        edits: At most one for a file; they come out sorted by path. One that changes
            nothing leaves no trace.
        prefix: Where the rootdir is within its git work tree (`git_prefix`), such as
            `services/ledger/`; empty where it is the top, or in no work tree.
        index_lines: By path, what names a file's content for a three-way merge.
    """
    changed = sorted((edit for edit in edits if edit.before != edit.after), key=_path_of)
    known = index_lines or {}
    return b"".join(full_patch(edit, prefix, known.get(edit.path, "")) for edit in changed)


def full_patch(edit: Edit, prefix: str, index_line: str) -> bytes:
    """Give an edit as `git format-patch` would: its path from the top of the work tree.

    Args:
        edit: What changed; it must change something.
        prefix: Where the rootdir is within its git work tree.
        index_line: What `index_line` gives for it.
    """
    return _headers(prefix + edit.path, index_line) + b"".join(_hunks(edit.before, edit.after))


def index_line(edit: Edit, root_dir: Path, hash_name: str) -> str:
    """What names a file's content before and after: a three-way merge looks it up."""
    mode = "100755" if os.access(root_dir / edit.path, os.X_OK) else "100644"
    before, after = (object_name(text, hash_name) for text in (edit.before, edit.after))
    return f"index {before}..{after} {mode}\n"


def _path_of(edit: Edit) -> str:
    return edit.path


def git_prefix(root_dir: Path) -> str:
    """Say where a folder is within its git work tree: `services/ledger/`, or nothing."""
    root_dir = root_dir.resolve()
    for folder in (root_dir, *root_dir.parents):
        if (folder / ".git").exists():
            inner = root_dir.relative_to(folder).as_posix()
            return "" if inner == "." else f"{inner}/"
    return ""


def write_patch(edits: Sequence[Edit], path: Path, root_dir: Path) -> None:
    """Write `git_patch` for a rootdir, whole or not at all.

    Raises:
        SelfHealError: It cannot be written; one line.
    """
    hash_name = object_format(root_dir)
    lines = {edit.path: index_line(edit, root_dir, hash_name) for edit in edits}
    patch = git_patch(edits, prefix=git_prefix(root_dir), index_lines=lines)
    write_whole(path, patch, "the patch")


# --- names -----------------------------------------------------------------------------


def _headers(path: str, index_line: str) -> bytes:
    old, new = _quoted(f"a/{path}"), _quoted(f"b/{path}")
    # As git does it: a tab ends a name that has a space, or `patch` would take the rest
    # for a date.
    end = "\t\n" if " " in path and not old.startswith('"') else "\n"
    return f"diff --git {old} {new}\n{index_line}--- {old}{end}+++ {new}{end}".encode("ascii")


def _quoted(name: str) -> str:
    """A name as git writes it: in C's quotes where it is not plain ASCII."""
    raw = name.encode("utf-8", "surrogateescape")
    if all(32 <= byte < 127 and byte not in _ESCAPES for byte in raw):
        return name
    return '"' + "".join(map(_escaped, raw)) + '"'


def _escaped(byte: int) -> str:
    if byte in _ESCAPES:
        return f"\\{_ESCAPES[byte]}"
    return chr(byte) if 32 <= byte < 127 else f"\\{byte:03o}"


# --- hunks -----------------------------------------------------------------------------


def _lines(content: bytes) -> list[bytes]:
    """The lines with their ends, split at line feeds alone."""
    lines = [line + b"\n" for line in content.split(b"\n")]
    lines[-1] = lines[-1][:-1]
    return lines if lines[-1] else lines[:-1]


def _hunks(before: bytes, after: bytes) -> Iterator[bytes]:
    old, new = _lines(before), _lines(after)
    for group in _groups(_opcodes(old, new)):
        yield _hunk(old, new, group)


def _hunk(old: list[bytes], new: list[bytes], group: list[Opcode]) -> bytes:
    first, last = group[0], group[-1]
    spans = _span(first[1], last[2]), _span(first[3], last[4])
    parts = [f"@@ -{spans[0]} +{spans[1]} @@\n".encode()]
    for tag, old_from, old_to, new_from, new_to in group:
        if tag == "equal":
            parts += [_marked(b" ", line) for line in old[old_from:old_to]]
            continue
        parts += [_marked(b"-", line) for line in old[old_from:old_to]]
        parts += [_marked(b"+", line) for line in new[new_from:new_to]]
    return b"".join(parts)


def _marked(mark: bytes, line: bytes) -> bytes:
    return mark + line if line.endswith(b"\n") else mark + line + b"\n" + _NO_NEWLINE


def _span(start: int, end: int) -> str:
    """Lines as a hunk's head counts them: from 1, but an empty span from the line before."""
    length = end - start
    first = start + 1 if length else start
    return f"{first}" if length == 1 else f"{first},{length}"


def _opcodes(old: list[bytes], new: list[bytes]) -> list[Opcode]:
    """What turns one list into the other; equal ends are set aside first, for speed."""
    shorter = min(len(old), len(new))
    head = 0
    while head < shorter and old[head] == new[head]:
        head += 1
    tail = 0
    while tail < shorter - head and old[-1 - tail] == new[-1 - tail]:
        tail += 1
    if head == len(old) == len(new):
        return []
    middle = old[head : len(old) - tail], new[head : len(new) - tail]
    matcher = difflib.SequenceMatcher(None, *middle, autojunk=False)
    inner = [
        (tag, a + head, b + head, c + head, d + head) for tag, a, b, c, d in matcher.get_opcodes()
    ]
    ends = len(old) - tail, len(old), len(new) - tail, len(new)
    return [("equal", 0, head, 0, head), *inner, ("equal", *ends)]


def _groups(opcodes: list[Opcode]) -> Iterator[list[Opcode]]:
    """Cut the opcodes into hunks: changes with at most three lines of context around.

    The opcodes begin and end with an equal part, which may be empty.
    """
    group: list[Opcode] = []
    last = len(opcodes) - 1
    for number, (tag, old_from, old_to, new_from, new_to) in enumerate(opcodes):
        short = old_to - old_from <= 2 * _CONTEXT
        if tag != "equal" or (short and 0 < number < last):
            group.append((tag, old_from, old_to, new_from, new_to))
            continue
        kept = min(_CONTEXT, old_to - old_from)
        if group:
            yield [*group, (tag, old_from, old_from + kept, new_from, new_from + kept)]
        group = [(tag, old_to - kept, old_to, new_to - kept, new_to)]


# --- text for people -------------------------------------------------------------------


def _encoding(content: bytes) -> str:
    """The encoding that a source file declares."""
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(content).readline)
    except SyntaxError:
        return "utf-8"
    return encoding


def _decoded(line: bytes, encoding: str) -> str:
    try:
        return line.decode(encoding, "replace")
    except (LookupError, UnicodeError):  # a codec that is not for text, or knows no "replace"
        return line.decode("utf-8", "replace")
