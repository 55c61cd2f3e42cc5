"""Standing in for what an edit does not touch, so that it is kept byte for byte.

libcst loses a blank here and there (before the colon of some `except (…) :`, a form feed
before code) and takes its time over a long file. So statements that an edit has nothing to
do with are each replaced by a line that stands for it, and put back when it is made.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from pytest_selfheal.source.kinds import is_docstring
from pytest_selfheal.source.outline import definitions, first_line

_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_STAND_IN = re.compile(rb"[^\r\n]*#\x01(\d+)\x01")
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hidden:
    """A source with stand-ins, and what they stand for."""

    source: bytes
    originals: Mapping[int, bytes] = field(default_factory=dict)

    def restored(self, source: bytes) -> bytes:
        """Put the originals back into an edited source."""
        bom = _BOM if source.startswith(_BOM) else b""
        text = source.removeprefix(bom)
        return bom + _STAND_IN.sub(lambda match: self.originals[int(match[1])], text)


def hide(
    source: bytes, tree: ast.Module, shown: Collection[str], *, without: Collection[int] = ()
) -> Hidden:
    """Replace the statements that have nothing to do with some definitions.

    Docstrings and imports stay, and so do comments and blank lines between statements.
    A definition's stand-in is a definition, and as many statements remain.

    Args:
        source: A file's bytes.
        tree: The same, parsed.
        shown: Qualified names of the functions and classes that stay as they are, with
            all of that name and the headers of the classes around them.
        without: Lines, from 1, that are left out altogether.
    """
    bom = _BOM if source.startswith(_BOM) else b""
    lines = source.removeprefix(bom).splitlines(keepends=True)
    for number in without:
        lines[number - 1] = b""
    kept = _kept_lines(tree, shown)
    originals: dict[int, bytes] = {}
    for group in reversed(list(_groups_to_hide(tree.body, kept))):
        start = first_line(group[0]) - 1
        end = _last_comment_below(lines, group[-1].end_lineno or group[-1].lineno, lines[start])
        text = b"".join(lines[start:end])
        body = text.rstrip(b"\r\n")
        if b"#\x01" in text:
            continue
        number = len(originals)
        originals[number] = body
        lines[start:end] = [_stand_in(group[0], body, number) + text[len(body) :]]
    return Hidden(source=bom + b"".join(lines), originals=originals)


def _last_comment_below(lines: Sequence[bytes], end: int, first: bytes) -> int:
    """Give the last line of a block's own comments below it: further in than the block."""
    last = end
    for number in range(end + 1, len(lines) + 1):
        line = lines[number - 1]
        if line.lstrip().startswith(b"#") and len(_blanks(line)) > len(_blanks(first)):
            last = number
        elif line.strip():
            break
    return last


def _stand_in(node: ast.stmt, text: bytes, number: int) -> bytes:
    blanks = re.match(rb"[ \t\f]*", text)
    assert blanks is not None
    indent = blanks[0].rpartition(b"\f")[2]
    code = b"def hidden_%d(): pass" % number if isinstance(node, _DEFINITIONS) else b"pass"
    return b"%s%s  %s" % (indent, code, stand_in_text(number).encode())


def stand_in_text(number: int) -> str:
    """Give the comment by which a line is known that stands for something else."""
    return f"#\x01{number}\x01"


def _kept_lines(tree: ast.Module, shown: Collection[str]) -> set[int]:
    """Give the lines of the headers of what stays."""
    around = {
        ".".join(parts[: count + 1])
        for parts in (name.split(".") for name in shown)
        for count in range(len(parts))
    }
    return {found.node.lineno for found in definitions(tree) if found.qualname in around}


def _groups_to_hide(
    body: Sequence[ast.stmt], kept: Collection[int]
) -> Iterator[Sequence[ast.stmt]]:
    for group in line_groups(body):
        node = group[0]
        if any(isinstance(each, (ast.Import, ast.ImportFrom)) for each in group):
            continue
        if is_docstring(node) and node is body[0]:
            continue
        last = group[-1].end_lineno or group[-1].lineno
        if not any(first_line(node) <= line <= last for line in kept):
            yield group
        elif isinstance(node, ast.ClassDef) and node.body[0].lineno > node.lineno:
            yield from _groups_to_hide(node.body, kept)


def line_groups(body: Sequence[ast.stmt]) -> Iterator[list[ast.stmt]]:
    """Give a block's statements, those together that semicolons put on one line.

    Such a line is one statement for libcst.
    """
    group: list[ast.stmt] = []
    for node in body:
        if group and first_line(node) > (group[-1].end_lineno or 0):
            yield group
            group = []
        group.append(node)
    if group:
        yield group


def usual_indent(source: bytes, tree: ast.Module) -> str:
    """Give the indentation of a file's first block; four blanks where there is none."""
    lines = source.removeprefix(_BOM).splitlines()
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if not isinstance(node, ast.stmt) or not isinstance(body, list):
            continue
        inner, outer = lines[first_line(body[0]) - 1], lines[node.lineno - 1]
        if body[0].lineno > node.lineno:
            more = _blanks(inner).removeprefix(_blanks(outer))
            if more:
                return more.decode()
    return " " * 4


def _blanks(line: bytes) -> bytes:
    blanks = re.match(rb"[ \t\f]*", line)
    assert blanks is not None
    return blanks[0].rpartition(b"\f")[2]
