"""Quoting parts of a file within a number of characters, and saying what was left out."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterable, Sequence
from copy import copy

from pytest_selfheal.source.outline import first_line, module_level
from pytest_selfheal.source.parsing import encoding_of

_LONG_LINE = 1_000
"""Characters; what is longer is a table or a blob, and cut in the middle."""
_LONG_LITERAL = 40
"""Lines; a longer list, dict or string keeps its beginning and its end."""
_SHORT_DOCSTRING = 12
"""Lines."""
_LITERAL_HEAD = 24
_LITERAL_TAIL = 6
_GAP_COST = 40
"""About what the comment in the place of left-out lines takes."""
_LITERALS = (ast.List, ast.Tuple, ast.Set, ast.Dict, ast.Constant, ast.JoinedStr)


class Page:
    """A file's lines, of which parts are asked for in order of their importance."""

    def __init__(self, source: bytes) -> None:
        text = source.decode(encoding_of(source), "replace").removeprefix("\ufeff")
        text = text.replace("\r\n", "\n").replace("\r", "\n")
        self.text = text
        self.lines = [_shortened(line) for line in text.split("\n")]
        self._parts: list[tuple[frozenset[int], str]] = []
        self._replaced: dict[int, str] = {}
        self._silent: set[int] = set()

    def copy(self) -> Page:
        """Another page of the same file, with the same lines asked for so far."""
        other = copy(self)
        other._parts = list(self._parts)
        other._replaced = dict(self._replaced)
        other._silent = set(self._silent)
        return other

    def add(self, lines: Iterable[int], label: str = "") -> None:
        """Ask for lines (1-based); the label names them where they have to be left out."""
        known = range(1, len(self.lines) + 1)
        self._parts.append((frozenset(line for line in lines if line in known), label))

    def add_within(self, limit: int, parts: Iterable[tuple[Iterable[int], str]]) -> None:
        """Ask for parts as far as `limit` characters reach beside what is asked for so far."""
        known = self._everything()
        room = self._cost(known) + limit
        for lines, label in parts:
            more = known | frozenset(lines)
            if more != known and self._cost(more) <= room:
                known = more
                self.add(lines, label)

    def replace(self, line: int, text: str) -> None:
        """Show another text where a line is quoted and the one below it is not."""
        self._replaced[line] = text

    def leave_out(self, lines: Iterable[int]) -> None:
        """Say nothing of these lines where they are not quoted: another text tells of them."""
        self._silent |= set(lines)

    def with_comments_above(self, lines: Iterable[int]) -> set[int]:
        """Add the comment lines that stand directly above."""
        found = set(lines)
        line = min(found, default=1) - 1
        while line >= 1 and self.lines[line - 1].lstrip().startswith("#"):
            found.add(line)
            line -= 1
        return found

    @property
    def is_asked(self) -> bool:
        """Whether anything was asked for."""
        return bool(self._parts)

    @property
    def demand(self) -> int:
        """About how many characters everything asked for takes."""
        return self._cost(self._everything())

    def _everything(self) -> frozenset[int]:
        return frozenset().union(*(lines for lines, _ in self._parts))

    def render(self, limit: int) -> str:
        """Quote what was asked for, as far as `limit` characters reach.

        The first part is cut short where it does not fit; a later one is left out and
        named at the end.
        """
        if self.demand <= limit:
            return self._quoted(self._everything())
        kept: frozenset[int] = frozenset()
        dropped: list[str] = []
        for lines, label in self._parts:
            if self._cost(kept | lines) <= limit:
                kept |= lines
            elif not kept:
                kept = self._beginning(lines, limit)
            elif label and label not in dropped:
                dropped.append(label)
        quoted = self._quoted(kept)
        return f"{quoted}\n{_dropped(dropped)}" if dropped else quoted

    def _beginning(self, lines: Collection[int], limit: int) -> frozenset[int]:
        kept: frozenset[int] = frozenset()
        for line in sorted(lines):
            if self._cost(kept | {line}) > limit:
                break
            kept |= {line}
        return kept

    def _line(self, line: int, kept: Collection[int]) -> str:
        if line in self._replaced and line + 1 not in kept:
            return self._replaced[line]
        return self.lines[line - 1]

    def _cost(self, lines: Collection[int]) -> int:
        gaps = sum(line + 1 not in lines for line in lines) + 1
        return sum(len(self._line(line, lines)) + 1 for line in lines) + gaps * _GAP_COST

    def _quoted(self, kept: Collection[int]) -> str:
        shown: list[str] = []
        last = 0
        for line in (*sorted(kept), len(self.lines) + 1):
            between = range(last + 1, line)
            told = [number for number in between if number not in self._silent]
            written = [text for number in told if (text := self.lines[number - 1]).strip()]
            if written:
                indent = written[0][: len(written[0]) - len(written[0].lstrip())]
                lines = _plural(len(written), "line")
                shown.append(f"{indent}# … {len(written)} {lines} left out")
            elif told and last and line <= len(self.lines):
                shown.append("")
            if line <= len(self.lines):
                shown.append(self._line(line, kept))
            last = line
        return "\n".join(shown).strip("\n") + "\n"


def _dropped(labels: Sequence[str]) -> str:
    shown = ", ".join(labels[:10])
    more = f" and {len(labels) - 10} more" if len(labels) > 10 else ""
    return f"# … left out for length: {shown}{more}\n"


def _plural(number: int, word: str) -> str:
    return word if number == 1 else word + "s"


def _shortened(line: str) -> str:
    if len(line) <= _LONG_LINE:
        return line
    head, tail = line[: _LONG_LINE * 3 // 4], line[-_LONG_LINE // 8 :]
    return f"{head} … {len(line) - len(head) - len(tail)} characters left out … {tail}"


def statement_lines(node: ast.stmt) -> set[int]:
    """Give a statement's lines, decorators included, the middle of long literals left out."""
    lines = set(range(first_line(node), (node.end_lineno or node.lineno) + 1))
    pending: list[ast.AST] = [node]
    while pending:
        inner = pending.pop()
        start = getattr(inner, "lineno", 0)
        end = getattr(inner, "end_lineno", None) or 0
        if end - start >= _LONG_LITERAL and isinstance(inner, _LITERALS):
            lines -= set(range(start + _LITERAL_HEAD, end - _LITERAL_TAIL + 1))
        else:
            pending.extend(ast.iter_child_nodes(inner))
    return lines


def introduction(tree: ast.Module) -> set[int]:
    """Give the lines of a module's docstring, where that is short, and of its imports."""
    lines: set[int] = set()
    if ast.get_docstring(tree, clean=False) is not None:
        docstring = statement_lines(tree.body[0])
        lines |= docstring if len(docstring) <= _SHORT_DOCSTRING else set()
    for node in module_level(tree):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            lines |= statement_lines(node)
    return lines


def class_header(node: ast.ClassDef) -> set[int]:
    """Give the lines of a class's decorators, header and docstring."""
    end = first_line(node.body[0]) - 1
    if ast.get_docstring(node, clean=False) is not None:
        end = node.body[0].end_lineno or end
    return set(range(first_line(node), max(end, node.lineno) + 1))


def header(
    page: Page,
    node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef,
    *,
    with_docstring: bool = False,
) -> set[int]:
    """Give the lines of a definition's header, and its docstring's first line where wanted."""
    body = node.body[0]
    end = max(first_line(body) - 1, node.lineno)
    lines = set(range(first_line(node), end + 1))
    docstring = ast.get_docstring(node) if with_docstring else None
    if not isinstance(node, ast.ClassDef) and body.lineno > node.lineno:
        # The header's comments may stand between it and the body.
        while end > node.lineno and not page.lines[end - 1].split("#")[0].rstrip().endswith(":"):
            end -= 1
        page.leave_out(set(range(end + 1, (node.end_lineno or end) + 1)))
        page.replace(end, f"{page.lines[end - 1]} ...")
    if docstring and body.lineno > node.lineno:
        lines.add(body.lineno)
        if body.end_lineno != body.lineno:
            indent = " " * body.col_offset
            page.replace(body.lineno, f'{indent}"""{docstring.splitlines()[0]} …"""')
    return lines


def short(
    page: Page, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef, most_lines: int
) -> set[int]:
    """Give a definition's lines up to so many, else those of what it is called with."""
    lines = statement_lines(node)
    if len(lines) <= most_lines:
        return page.with_comments_above(lines)
    if not isinstance(node, ast.ClassDef):
        return header(page, node, with_docstring=True)
    found = class_header(node) | class_attributes(node)
    for method in node.body:
        if isinstance(method, (ast.FunctionDef, ast.AsyncFunctionDef)):
            found |= header(page, method)
    return found


def class_attributes(node: ast.ClassDef) -> set[int]:
    """Give the lines of the assignments in a class's body."""
    return {
        line
        for statement in node.body
        if isinstance(statement, (ast.Assign, ast.AnnAssign))
        for line in statement_lines(statement)
    }


def cut(text: str, limit: int, what: str = "characters") -> str:
    """Give a text's head and tail where it is longer than `limit` characters, saying so."""
    if len(text) <= limit:
        return text
    note = f"\n… {len(text) - limit:,} of {len(text):,} {what} left out …\n"
    head = (limit - len(note)) * 3 // 4
    tail = limit - len(note) - head
    return f"{text[:head]}{note}{text[-tail:]}"
