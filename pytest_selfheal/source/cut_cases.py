"""Cutting cases out of a test file's text, with everything else left as it is laid out."""

from __future__ import annotations

import ast
import copy
import re
from collections.abc import Collection, Iterator, Sequence

from pytest_selfheal.source.cases import Asserts, CaseList, Display
from pytest_selfheal.source.outline import first_line
from pytest_selfheal.source.parsing import UnparsableError, encoding_of, parse

_LINE_END = re.compile(r"\r\n|\r|\n")
_BLANKS = re.compile(r"[ \t]*")
_COMMENT = re.compile(r"[ \t]*#[^\r\n]*")

Edit = tuple[int, int, str]
"""From where to where, and what stands there instead."""


def without_cases(
    source: bytes,
    lists: Sequence[tuple[CaseList, Collection[int]]],
    asserts: Sequence[tuple[Asserts, Collection[int]]],
) -> bytes | None:
    """Give a test file without some of its cases, and a comment in the place of each cut.

    Args:
        source: The file that the cases were found in.
        lists: Parameters, and the positions of those to be cut out.
        asserts: A test's asserts, likewise.

    Returns:
        None where the text does not let itself be cut so that just the rest is left.
    """
    try:
        text = _Text(source)
        edits = [edit for found, held in lists for edit in _of_list(text, found, held)]
        edits += [edit for found, held in asserts for edit in _of_asserts(text, found, held)]
        cut = text.edited(edits)
        return cut if _is_the_rest(source, cut, lists, asserts) else None
    except (ValueError, IndexError, RecursionError, UnparsableError):
        return None


class _Text:
    """A file's text, with the places that `ast` gives turned into offsets."""

    def __init__(self, source: bytes) -> None:
        self.encoding = encoding_of(source)
        self.text = source.decode(self.encoding)
        self._starts = [0, *(found.end() for found in _LINE_END.finditer(self.text))]

    def line_start(self, line: int) -> int:
        return self._starts[line - 1]

    def line(self, line: int) -> str:
        """A line of the file, its end included."""
        end = self._starts[line] if line < len(self._starts) else len(self.text)
        return self.text[self._starts[line - 1] : end]

    def start(self, node: ast.expr | ast.stmt) -> int:
        return self._offset(node.lineno, node.col_offset)

    def end(self, node: ast.expr | ast.stmt) -> int:
        if node.end_lineno is None or node.end_col_offset is None:
            raise ValueError("a node without an end")
        return self._offset(node.end_lineno, node.end_col_offset)

    def _offset(self, line: int, column: int) -> int:
        return self._starts[line - 1] + len(self.line(line).encode()[:column].decode())

    def note(self, line: int, count: int, what: str) -> str:
        """The comment that stands for what is cut, indented like a line."""
        indent = _BLANKS.match(self.line(line))
        newline = _LINE_END.search(self.text)
        are = "is" if count == 1 else "are"
        plural = "" if count == 1 else "s"
        return (
            f"{indent[0] if indent else ''}# {count} further {what}{plural} {are} judged and "
            f"not shown{newline[0] if newline else ''}"
        )

    def edited(self, edits: Sequence[Edit]) -> bytes:
        """The file's bytes after some edits; the places do not overlap."""
        parts, last = [], 0
        for start, end, new in sorted(edits):
            if start < last:
                raise ValueError("two cuts overlap")
            parts += [self.text[last:start], new]
            last = end
        return "".join([*parts, self.text[last:]]).encode(self.encoding)


# --- lists -----------------------------------------------------------------------------


def _of_list(text: _Text, found: CaseList, held: Collection[int]) -> Iterator[Edit]:
    start = text.line_start(found.line)
    yield start, start, text.note(found.line, len(held), "case")
    for display in (found.values, found.ids):
        if display is not None:
            yield from _without_elements(text, display, held)


def _without_elements(text: _Text, display: Display, held: Collection[int]) -> Iterator[Edit]:
    start, end = text.start(display), text.end(display)
    if text.text[start] not in "([" or text.text[end - 1] not in ")]":
        raise ValueError("a tuple without parentheses")
    segments = list(_segments(text, display, start + 1, end - 1))
    for run in _runs(held):
        first, last = segments[run[0]][0], segments[run[-1]][1]
        new = ""
        if text.text[first] in "\r\n" and text.text[last] not in "\r\n":
            new = "\n"  # what stands before may end in a comment
        elif run[0] == 0 and not text.text[first].isspace():
            last = _skipped(_BLANKS, text.text, last)  # the next one moves up to the bracket
        yield first, last, new


def _runs(held: Collection[int]) -> list[list[int]]:
    """Positions in order, those that follow each other together."""
    runs: list[list[int]] = []
    for position in sorted(held):
        if runs and runs[-1][-1] + 1 == position:
            runs[-1].append(position)
        else:
            runs.append([position])
    return runs


def _segments(text: _Text, display: Display, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Each element with the comma and the comment behind it, and the blanks before it."""
    for position, element in enumerate(display.elts):
        is_last = position + 1 == len(display.elts)
        comma = _find(",", text.text, text.end(element), end)
        if comma is not None:
            after = comma + 1
        elif is_last:
            after = text.end(element)
            while (closing := _find(")", text.text, after, end)) is not None:
                after = closing + 1
        else:
            raise ValueError("elements without a comma between them")
        after = min(_skipped(_COMMENT, text.text, after), end)
        yield start, after
        start = after


def _find(wanted: str, text: str, start: int, end: int) -> int | None:
    """Where a character stands between two elements, comments passed over."""
    while start < end:
        if text[start] == wanted:
            return start
        start = _skipped(_COMMENT, text, start) if text[start] == "#" else start + 1
    return None


def _skipped(pattern: re.Pattern[str], text: str, start: int) -> int:
    found = pattern.match(text, start)
    return found.end() if found else start


# --- asserts ---------------------------------------------------------------------------


def _of_asserts(text: _Text, found: Asserts, held: Collection[int]) -> Iterator[Edit]:
    # Above the test: a comment behind its last statement is none of its lines.
    start = text.line_start(found.line)
    yield start, start, text.note(found.line, len(held), "assert")
    for position in sorted(held):
        node = found.nodes[position]
        last = node.end_lineno or node.lineno
        before = text.text[text.line_start(node.lineno) : text.start(node)]
        behind = text.line(last)[text.end(node) - text.line_start(last) :]
        if before.strip() or not re.fullmatch(r"\s*(#.*)?\s*", behind):
            raise ValueError("an assert that shares its line")
        first = node.lineno
        while first > 1 and text.line(first - 1).lstrip().startswith("#"):
            first -= 1
        yield text.line_start(first), text.line_start(last) + len(text.line(last)), ""


# --- whether just that is gone ---------------------------------------------------------


def _is_the_rest(
    source: bytes,
    cut: bytes,
    lists: Sequence[tuple[CaseList, Collection[int]]],
    asserts: Sequence[tuple[Asserts, Collection[int]]],
) -> bool:
    places: dict[tuple[int, int], Collection[int]] = {}
    for found, held in lists:
        for display in (found.values, found.ids):
            if display is not None:
                places[display.lineno, display.col_offset] = held
    gone = {(x.nodes[n].lineno, x.nodes[n].col_offset) for x, held in asserts for n in held}
    lines = {line for line, _ in (*places, *gone)}
    before, after = parse(source).body, parse(cut).body
    if len(before) != len(after):
        return False
    for old, new in zip(before, after, strict=True):
        if lines.isdisjoint(range(first_line(old), (old.end_lineno or old.lineno) + 1)):
            continue
        expected = _Cutter(places, gone).visit(copy.deepcopy(old))
        if ast.dump(expected) != ast.dump(new):
            return False
    return True


class _Cutter(ast.NodeTransformer):
    """Does to a tree what the cuts do to the text."""

    def __init__(
        self, places: dict[tuple[int, int], Collection[int]], gone: set[tuple[int, int]]
    ) -> None:
        self._places = places
        self._gone = gone

    def _without(self, node: Display) -> Display:
        held = self._places.get((node.lineno, node.col_offset))
        if held is not None:
            node.elts = [each for n, each in enumerate(node.elts) if n not in held]
        return node

    def visit_List(self, node: ast.List) -> ast.AST:
        return self._without(node)

    def visit_Tuple(self, node: ast.Tuple) -> ast.AST:
        return self._without(node)

    def visit_Assert(self, node: ast.Assert) -> ast.AST | None:
        return None if (node.lineno, node.col_offset) in self._gone else node
