"""Whether an edit did what it was to do and nothing else; its own second opinion.

The edit is made with libcst; this looks at its result with Python's own parser and at
its bytes, and knows nothing of how it was made.
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pytest_selfheal.errors import EditConflict
from pytest_selfheal.records import Piece
from pytest_selfheal.source.additions import Additions
from pytest_selfheal.source.kinds import is_docstring
from pytest_selfheal.source.marks import comment_marks, is_heal
from pytest_selfheal.source.names import imported_names
from pytest_selfheal.source.outline import (
    FUNCTIONS,
    Outlined,
    definitions,
    first_line,
    import_origins,
)
from pytest_selfheal.source.parsing import UnparsableError, encoding_of, parse, parse_text

_Key = tuple[str, int]
_BOM = b"\xef\xbb\xbf"


def check_edit(
    before: bytes, after: bytes, pieces: Mapping[_Key, Piece], additions: Additions
) -> None:
    """Hold an edited file against the file it was made from.

    Args:
        before: The file.
        after: The edited file.
        pieces: What was put in, by qualified name and index.
        additions: What else was added.

    Raises:
        EditConflict: Something is different that was to stay, or is not as it was to be.
    """
    path = next(iter(pieces.values())).stub.path
    try:
        old, new = parse(before), parse(after)
    except UnparsableError as error:
        raise _conflict(path, f"the result cannot be parsed: {error}") from error
    _check_bodies(path, old, new, pieces)
    _check_imports(path, old, new, additions)
    _check_others(
        path, _Outline.of(before, old, pieces), _Outline.of(after, new, pieces), additions
    )
    _check_lines(path, before, after, old, pieces)


def _conflict(path: str, what: str) -> EditConflict:
    return EditConflict(f"the edit of {path!r} is not written: {what}")


def _functions(tree: ast.Module) -> dict[_Key, Outlined]:
    return {
        (found.qualname, found.index): found
        for found in definitions(tree)
        if isinstance(found.node, FUNCTIONS)
    }


# --- the targets -----------------------------------------------------------------------


def _check_bodies(
    path: str, old: ast.Module, new: ast.Module, pieces: Mapping[_Key, Piece]
) -> None:
    there, result = _functions(old), _functions(new)
    for key, piece in pieces.items():
        if key not in result:
            raise _conflict(path, f"{key[0]!r} is not in the result")
        given = parse_text(piece.definition).body[-1]
        was, now = there[key].node, result[key].node
        if _dumps(_body(now)) != _dumps(_body(given)):
            raise _conflict(path, f"the body of {key[0]!r} is not the reply's")
        document = _docstring(was) or _docstring(given)
        if _docstring(now) != document:
            raise _conflict(path, f"the docstring of {key[0]!r} is not the stub's")


def _body(node: ast.stmt) -> list[ast.stmt]:
    body: list[ast.stmt] = node.body  # type: ignore[attr-defined]
    return body[1:] if is_docstring(body[0]) else body


def _docstring(node: ast.stmt) -> str | None:
    body: list[ast.stmt] = node.body  # type: ignore[attr-defined]
    return ast.dump(body[0]) if is_docstring(body[0]) else None


def _dumps(body: Sequence[ast.stmt]) -> list[str]:
    return [ast.dump(node) for node in body]


# --- imports ---------------------------------------------------------------------------


def _check_imports(path: str, old: ast.Module, new: ast.Module, additions: Additions) -> None:
    before, after = _imports(old), _imports(new)
    wanted = Counter(imported.text for imported in additions.imports)
    lost = before - after
    if any("pytest_selfheal" not in text for text in lost):
        raise _conflict(path, f"it loses {next(iter(lost))!r}")
    if after - before != wanted:
        raise _conflict(path, f"its imports are not those asked for: {sorted(after - before)}")


def _imports(tree: ast.Module) -> Counter[str]:
    return Counter(imported.text for node in tree.body for imported in imported_names(node))


# --- everything else -------------------------------------------------------------------


def _check_others(path: str, old: _Outline, new: _Outline, additions: Additions) -> None:
    added = Counter(
        _dump_of_text(text)
        for texts in (*additions.helpers.values(), *additions.members.values())
        for text in texts
    )
    before, after = old.labels, new.labels
    surplus = Counter(after) - Counter(before)
    found = Counter[str]()
    for label, count in surplus.items():
        found[new.dump(label)] += count
    if found != added:
        raise _conflict(path, "more would change than the stubs and what they need")
    # What was added may stand anywhere between the rest; the rest keeps its order.
    left = dict(surplus)
    kept: list[str] = []
    for label in reversed(after):  # an added twin of something old stands above its class
        if left.get(label, 0):
            left[label] -= 1
        else:
            kept.append(label)
    if Counter(kept) != Counter(before) or (not surplus and kept[::-1] != before):
        raise _conflict(path, "something beside the stubs would change")
    if [label for label in before if label not in surplus] != [
        label for label in kept[::-1] if label not in surplus
    ]:
        raise _conflict(path, "the order of what stands in the file would change")


def _dump_of_text(text: str) -> str:
    return ast.dump(parse_text(text).body[0])


@dataclass(frozen=True, slots=True, kw_only=True)
class _Outline:
    """A module's and its classes' statements in order, targets without bodies.

    A statement's label is its text: statements that read the same are the same, and a long
    file is not made into text a second time.
    """

    labels: list[str]
    nodes: dict[str, ast.stmt]
    """By label, where it is that of a whole statement."""

    @classmethod
    def of(cls, source: bytes, tree: ast.Module, pieces: Mapping[_Key, Piece]) -> _Outline:
        """Outline a file."""
        nodes: dict[str, ast.stmt] = {}
        return cls(labels=list(_labels(source, tree, pieces, nodes)), nodes=nodes)

    def dump(self, label: str) -> str:
        """Give what a statement says, however it is laid out."""
        return ast.dump(self.nodes[label]) if label in self.nodes else label


def _labels(
    source: bytes, tree: ast.Module, pieces: Mapping[_Key, Piece], whole: dict[str, ast.stmt]
) -> Iterator[str]:
    origins = import_origins(tree)
    nodes: dict[Any, _Key] = {found.node: key for key, found in _functions(tree).items()}
    text = source.removeprefix(_BOM).decode(encoding_of(source).removesuffix("-sig"))
    lines = text.encode().splitlines(keepends=True)  # columns are counted in UTF-8

    def labels(body: Sequence[ast.stmt]) -> Iterator[str]:
        for node in body:
            if isinstance(node, (ast.Import, ast.ImportFrom)) and body is tree.body:
                continue
            if isinstance(node, FUNCTIONS) and nodes.get(node) in pieces:
                yield "target " + _header(node, origins)
            elif isinstance(node, ast.ClassDef) and _holds(node, nodes, pieces):
                yield "class " + _header(node, origins)
                yield from labels(node.body)
                yield "end of class"
            elif _holds(node, nodes, pieces):
                yield from parts(node)
            else:
                label = _segment(lines, node)
                whole[label] = node
                yield label

    def parts(node: ast.AST) -> Iterator[str]:
        yield type(node).__name__
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.stmt):
                yield from labels([child])
            elif isinstance(child, (ast.ExceptHandler, ast.match_case)):
                yield from parts(child)
            else:
                yield ast.dump(child)

    return labels(tree.body)


def _segment(lines: Sequence[bytes], node: ast.stmt) -> str:
    """Give a statement's text, decorators included, without what else is on its lines."""
    first, last = first_line(node), node.end_lineno or node.lineno
    start = node.col_offset if first == node.lineno else 0
    segment = list(lines[first - 1 : last])
    segment[-1] = segment[-1][: node.end_col_offset]
    segment[0] = segment[0][start:]
    return "statement " + b"".join(segment).decode("utf-8", "surrogateescape")


def _holds(node: ast.stmt, nodes: Mapping[Any, _Key], pieces: Collection[_Key]) -> bool:
    """Whether a class or a compound statement has a target in it."""
    return not isinstance(node, FUNCTIONS) and any(
        isinstance(inner, FUNCTIONS) and nodes.get(inner) in pieces for inner in ast.walk(node)
    )


def _header(node: ast.stmt, origins: Mapping[str, str]) -> str:
    parts = {name: getattr(node, name) for name in node._fields}
    parts["decorator_list"] = [
        each for each in parts["decorator_list"] if not is_heal(each, origins)
    ]
    parts["body"] = []
    return ast.dump(type(node)(**parts))


# --- bytes -----------------------------------------------------------------------------

_LINE_END = re.compile(rb"\r\n|\r|\n")


def _check_lines(
    path: str, before: bytes, after: bytes, tree: ast.Module, pieces: Mapping[_Key, Piece]
) -> None:
    """See that the lines outside the edit are still there, in order, byte for byte."""
    if before.startswith(_BOM) != after.startswith(_BOM):
        raise _conflict(path, "its byte order mark would change")
    lines = before.removeprefix(_BOM).splitlines(keepends=True)
    free = _free_lines(before, lines, tree, pieces)
    kept = [
        _ended(line)
        for number, line in enumerate(lines, start=1)
        if number not in free and line.strip()
    ]
    rest = iter(_ended(line) for line in after.removeprefix(_BOM).splitlines(keepends=True))
    for line in kept:
        if not any(line == each for each in rest):
            shown = line.decode("utf-8", "replace").strip()
            raise _conflict(path, f"the line {shown!r} would change")


def _ended(line: bytes) -> bytes:
    """Only a file's last line may have no end, and may get one."""
    return line if _LINE_END.search(line) else line + b"\n"


def _free_lines(
    source: bytes, lines: Sequence[bytes], tree: ast.Module, pieces: Mapping[_Key, Piece]
) -> set[int]:
    """Give the lines that an edit may change: bodies, markers, imports."""
    free = set(comment_marks(source, tree))
    origins = import_origins(tree)
    for found in definitions(tree):
        for decorator in found.node.decorator_list:
            if is_heal(decorator, origins):
                free.update(range(decorator.lineno, (decorator.end_lineno or 0) + 1))
    for key, found in _functions(tree).items():
        if key in pieces:
            start = _start_of_body(found.node, lines)
            free.update(range(start, (found.node.end_lineno or start) + 1))
    for node in tree.body:
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            free.update(range(node.lineno, (node.end_lineno or 0) + 1))
    return free


def _start_of_body(node: ast.stmt, lines: Sequence[bytes]) -> int:
    """Give a body's first line, comments above its first statement included."""
    body: list[ast.stmt] = node.body  # type: ignore[attr-defined]
    first = start = first_line(body[0])
    while start - 1 > node.lineno:
        text = lines[start - 2].strip()
        if text and not text.startswith(b"#"):
            break
        start -= 1
        first = start if text else first
    return first
