"""A reply's body as text, put where its stub's was: the lines as the model wrote them.

libcst gives some code back a little differently (a comment further out than its block, a
blank before a colon). Where a reply is indented as the file is, nothing about its body has
to change but the depth, so libcst sees a stand-in and never the body.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass, replace
from functools import lru_cache

import libcst as cst

from pytest_selfheal.records import Piece
from pytest_selfheal.source.fit import comments_below, docstring_line, is_signature_comment
from pytest_selfheal.source.hidden import stand_in_text
from pytest_selfheal.source.kinds import is_docstring
from pytest_selfheal.source.lossless import File
from pytest_selfheal.source.outline import FUNCTIONS, first_line
from pytest_selfheal.source.parsing import parse_text
from pytest_selfheal.source.reply_code import lines_inside_strings


@dataclass(slots=True)
class StandIns:
    """The bodies that go into a file as text, noted where the file is rendered."""

    file: File

    def stand_in(
        self, piece: Piece, stub: cst.FunctionDef, *, depth: str, block_indent: str | None
    ) -> cst.SimpleStatementLine | None:
        """Give a statement that is rendered as a reply's body, or `None` if it has to be fitted.

        Args:
            piece: The reply's part for the stub.
            stub: The stub as it stands in the file.
            depth: The indentation of its `def`.
            block_indent: What one level of indentation is there, `None` for the file's usual.
        """
        module = self.file.module
        found = below_header(piece, depth)
        if found is None:
            return None
        below, in_front = found
        if below.indent != (module.default_indent if block_indent is None else block_indent):
            return None
        text = below.text(
            in_front,
            module.default_newline,
            docstring=docstring_line(stub.body) is None,
            comments=below.comments != comments_below(stub),
        )
        encoding = module.encoding.removesuffix("-sig")  # the mark is for the file's beginning
        number, hidden = len(self.file.hidden.originals), self.file.hidden
        originals = {**hidden.originals, number: text.encode(encoding)}
        self.file = replace(self.file, hidden=replace(hidden, originals=originals))
        comment = cst.Comment(stand_in_text(number))
        return cst.SimpleStatementLine(
            body=[cst.Pass()], trailing_whitespace=cst.TrailingWhitespace(comment=comment)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Below:
    """The lines of a definition below its header."""

    indent: str
    """What its first statement is indented by, more than `def`."""
    lines: tuple[tuple[str, bool], ...]
    """Each with whether it begins inside a string, where blanks are text."""
    docstring_end: int
    """How many of the lines the docstring takes; 0 where there is none."""
    end: int
    """How many lines there are without the comments below the last statement."""

    def text(self, depth: str, newline: str, *, docstring: bool, comments: bool) -> str:
        """Give the lines at a place in a file, without the last one's end.

        Args:
            depth: The indentation of the place's `def`.
            newline: The file's line end.
            docstring: Whether the docstring is wanted.
            comments: Whether the comments below the last statement are wanted.
        """
        start = 0 if docstring else self.docstring_end
        kept = self.lines[start : None if comments else self.end]
        return newline.join(
            depth + line if line.strip() and not is_inside else line for line, is_inside in kept
        )

    @property
    def comments(self) -> list[str]:
        """The comments below the last statement."""
        return [line.strip() for line, _ in self.lines[self.end :] if line.strip()]


def below_header(piece: Piece, depth: str) -> tuple[Below, str] | None:
    """Give what stands below a definition's header, and what its lines need in front.

    Where the reply had the definition as far in as the file has it, the lines are given as
    they stood there, those that are further out than `def` included, and need nothing.

    Args:
        piece: The reply's part for a stub.
        depth: The indentation of the stub's `def`.

    Returns:
        `None` where the body, or a part of it, stands on the header's or docstring's line.
    """
    is_as_far_in = bool(depth) and _blanks_of(piece.as_given) == depth
    below = _below(piece.as_given if is_as_far_in else piece.definition)
    if below is None:
        return None
    return below, "" if is_as_far_in else depth


@lru_cache(maxsize=512)
def _below(definition: str) -> Below | None:
    lines = definition.rstrip("\n").split("\n")
    depth = _blanks_of(definition)
    # An indented definition is no module by itself.
    above = "if 1:\n" if depth else ""
    tree = parse_text(above + definition)
    if depth:
        lines.insert(0, "")
        (outer,) = tree.body
        assert isinstance(outer, ast.If)
        node = outer.body[-1]
    else:
        node = tree.body[-1]
    assert isinstance(node, FUNCTIONS)
    body = node.body
    first = first_line(body[0])
    text = lines[first - 1]
    if not getattr(body[0], "decorator_list", ()) and text.encode()[: body[0].col_offset].strip():
        return None
    has_docstring = is_docstring(body[0])
    if has_docstring and body[1:] and first_line(body[1]) == body[0].end_lineno:
        return None
    inside = {number + len(above.splitlines()) for number in lines_inside_strings(definition)}
    start = first
    while start - 1 > node.lineno and start - 1 not in inside and _is_no_code(lines[start - 2]):
        start -= 1
    while is_signature_comment(lines[start - 1]):  # the stub has its own
        start += 1
    return Below(
        indent=_blanks_of(text).removeprefix(depth),
        lines=tuple(
            (line, number in inside) for number, line in enumerate(lines[start - 1 :], start=start)
        ),
        docstring_end=(body[0].end_lineno or first) - start + 1 if has_docstring else 0,
        end=(node.end_lineno or first) - start + 1,
    )


def _blanks_of(text: str) -> str:
    return text[: len(text) - len(text.lstrip(" \t\f"))].rpartition("\f")[2]


def _is_no_code(line: str) -> bool:
    return not line.strip() or line.lstrip().startswith("#")
