"""Turning functions of a library into stubs, and telling which could be."""

from __future__ import annotations

import ast
import io
import tokenize
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

Marker = Literal["decorator", "comment"]
_IMPORT = "from pytest_selfheal import heal"
_NOT_WRITTEN = ("overload", "abstractmethod", "abstractproperty")


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """A function of a library as it was written, and where it stands."""

    path: str
    qualname: str
    index: int
    """Which function of that name in the file, from 0."""
    first_line: int
    """1-based, of its first decorator or of `def`."""
    def_line: int
    last_line: int
    """Of the comments that belong to its block as well."""
    classes: tuple[str, ...]
    """The headers of the classes around it, outermost first."""
    text: str
    """The whole definition, decorators included, as it stands there."""

    @property
    def target(self) -> str:
        """Its name on the wire."""
        return f"{self.path}::{self.qualname}"


def functions(source: bytes, path: str, *, every: bool = False) -> Iterator[Function]:
    """Give the functions of a file that can be stubs and would be missed.

    Those inside other functions, abstract ones, overloads, and those whose body is
    that of a stub already are left out.

    Args:
        source: The file.
        path: Its path below the project.
        every: Give these as well, but for those inside functions.
    """
    text = _decoded(source)
    lines = text.splitlines(keepends=True)
    counts: Counter[str] = Counter()
    for node, qualname, classes in _walk(ast.parse(source), "", ()):
        index = counts[qualname]
        counts[qualname] += 1
        is_left_out = _is_trivial(node) or _is_not_written(node) or _is_protocol(classes)
        if is_left_out and not every:
            continue
        last = _last_line(lines, node)
        first = min([node.lineno, *(each.lineno for each in node.decorator_list)])
        yield Function(
            path=path,
            qualname=qualname,
            index=index,
            first_line=first,
            def_line=node.lineno,
            last_line=last,
            classes=tuple(each.name for each in classes),
            text="".join(lines[first - 1 : last]),
        )


def stubbed(source: bytes, chosen: Sequence[Function], marker: Marker, body: str) -> bytes:
    """Replace the bodies of these functions of one file, and mark them.

    Args:
        source: The file.
        chosen: Functions that `functions` gave for it.
        marker: Which of the two ways to mark.
        body: What stands where the body stood, `...` for one.
    """
    text = _decoded(source)
    newline = "\r\n" if "\r\n" in text else "\n"
    lines = text.splitlines(keepends=True)
    wanted = {(each.first_line, each.def_line): each for each in chosen}
    edits: list[tuple[int, int, list[str]]] = []
    tree = ast.parse(source)
    for node, _, _ in _walk(tree, "", ()):
        first = min([node.lineno, *(each.lineno for each in node.decorator_list)])
        function = wanted.get((first, node.lineno))
        if function is None:
            continue
        edits.append(_body_edit(lines, node, function.last_line, body, newline))
        indent = lines[first - 1][: len(lines[first - 1]) - len(lines[first - 1].lstrip())]
        mark = "@heal" if marker == "decorator" else "# selfheal"
        edits.append((first - 1, first - 1, [f"{indent}{mark}{newline}"]))
    if edits and marker == "decorator":
        edits.append((*_import_place(tree), [_IMPORT + newline]))
    for start, end, new in sorted(edits, key=lambda edit: edit[:2], reverse=True):
        lines[start:end] = new
    return _encoded("".join(lines), source)


def is_marker_import(line: bytes) -> bool:
    """Whether it is the line that a marker needs."""
    return line.strip() == _IMPORT.encode()


# --- walking ---------------------------------------------------------------------------

_Node = ast.FunctionDef | ast.AsyncFunctionDef


def _walk(
    node: ast.AST, prefix: str, classes: tuple[ast.ClassDef, ...]
) -> Iterator[tuple[_Node, str, tuple[ast.ClassDef, ...]]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield child, prefix + child.name, classes
        elif isinstance(child, ast.ClassDef):
            yield from _walk(child, f"{prefix}{child.name}.", (*classes, child))
        elif not isinstance(child, ast.expr):
            yield from _walk(child, prefix, classes)


def _is_trivial(node: _Node) -> bool:
    return all(
        isinstance(each, ast.Pass)
        or (isinstance(each, ast.Expr) and isinstance(each.value, ast.Constant))
        or (isinstance(each, ast.Raise) and "NotImplemented" in ast.dump(each))
        for each in node.body
    )


def _is_not_written(node: _Node) -> bool:
    return any(
        ast.unparse(each).rpartition(".")[2].startswith(_NOT_WRITTEN)
        for each in node.decorator_list
    )


def _is_protocol(classes: Iterable[ast.ClassDef]) -> bool:
    return any("Protocol" in ast.unparse(base) for each in classes for base in each.bases)


def _last_line(lines: Sequence[str], node: _Node) -> int:
    """Give the line of the last comment that is indented as the body is, or of the body."""
    last = end = node.end_lineno or node.lineno
    for number in range(end + 1, len(lines) + 1):
        line = lines[number - 1]
        stripped = line.strip()
        if not stripped:
            continue
        if not stripped.startswith("#") or len(line) - len(line.lstrip()) <= node.col_offset:
            break
        last = number
    return last


# --- editing ---------------------------------------------------------------------------


def _body_edit(
    lines: Sequence[str], node: _Node, last_line: int, body: str, newline: str
) -> tuple[int, int, list[str]]:
    first = node.body[0]
    has_docstring = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) \
        and isinstance(first.value.value, str)  # fmt: skip
    colon = _header_end(lines, node)
    if first.lineno == colon:  # `def f(): return 1`
        line = lines[colon - 1].encode()
        kept = line[: first.col_offset].decode()
        if has_docstring:
            kept = line[: first.end_col_offset].decode() + "; "
        return colon - 1, last_line, [f"{kept}{body}{newline}"]
    indent = lines[first.lineno - 1][: len(lines[first.lineno - 1].encode()[: first.col_offset])]
    start = colon
    if has_docstring:
        assert first.end_lineno is not None
        start = first.end_lineno
        shared = lines[start - 1].encode()[first.end_col_offset :].decode().strip()
        if shared.startswith(";"):  # `"""Text."""; return 1`
            kept = lines[start - 1].encode()[: first.end_col_offset].decode()
            return start - 1, last_line, [kept + newline, f"{indent}{body}{newline}"]
    return start, last_line, [f"{indent}{body}{newline}"]


def _header_end(lines: Sequence[str], node: _Node) -> int:
    """Give the line of the colon that ends a definition's header."""
    text = "".join(lines[node.lineno - 1 :])
    depth = 0
    try:
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type == tokenize.OP and token.string in "([{":
                depth += 1
            elif token.type == tokenize.OP and token.string in ")]}":
                depth -= 1
            elif token.type == tokenize.OP and token.string == ":" and depth == 0:
                return node.lineno + token.start[0] - 1
    except (tokenize.TokenError, IndentationError):
        pass
    raise ValueError(f"no header on line {node.lineno}")


def _import_place(tree: ast.Module) -> tuple[int, int]:
    """Give where the marker's import goes: above the first statement that is no preamble."""
    for node in tree.body:
        is_docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        is_future = isinstance(node, ast.ImportFrom) and node.module == "__future__"
        if not is_docstring and not is_future:
            decorators = getattr(node, "decorator_list", [])
            line = min([node.lineno, *(each.lineno for each in decorators)])
            return line - 1, line - 1
    raise ValueError("a file of nothing but preamble")


def _decoded(source: bytes) -> str:
    encoding, _ = tokenize.detect_encoding(io.BytesIO(source).readline)
    return source.decode("utf-8" if encoding == "utf-8-sig" else encoding)


def _encoded(text: str, like: bytes) -> bytes:
    encoding, _ = tokenize.detect_encoding(io.BytesIO(like).readline)
    return text.encode("utf-8" if encoding == "utf-8-sig" else encoding)
