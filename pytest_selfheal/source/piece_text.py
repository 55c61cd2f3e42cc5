"""A piece as the code of a reply: what a reply that is read gives, given back."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from pytest_selfheal.records import Piece
from pytest_selfheal.source.parsing import parse_text

_INDENT = "    "


def piece_text(piece: Piece) -> str:
    """Give the code that reads as this piece: its imports, its helpers, its definition.

    The definition stands bare; where the class gets members with it, in its class.
    """
    parts = ["\n".join(piece.imports), *piece.helpers]
    if piece.members:
        text = "\n\n".join(each.strip("\n") for each in (*piece.members, piece.definition))
        for name in reversed(piece.stub.qualname.split(".")[:-1]):
            text = f"class {name}:\n{_indented(text)}"
        parts.append(text)
    else:
        parts.append(piece.definition)
    return "\n\n".join(part.strip("\n") for part in parts if part.strip()) + "\n"


def _indented(text: str) -> str:
    """Indent code by a level, but not the lines that begin inside a string."""
    inside = set(_lines_in_strings(text))
    return "\n".join(
        line if number in inside or not line.strip() else _INDENT + line
        for number, line in enumerate(text.split("\n"), 1)
    )


def _lines_in_strings(text: str) -> Iterator[int]:
    for node in ast.walk(parse_text(text)):
        is_text = isinstance(node, ast.JoinedStr) or (
            isinstance(node, ast.Constant) and isinstance(node.value, (str, bytes))
        )
        if is_text and isinstance(node, ast.expr):
            yield from range(node.lineno + 1, (node.end_lineno or node.lineno) + 1)
