"""Files as libcst trees that give every byte back that is not meant to change."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

import libcst as cst

from pytest_selfheal.errors import EditConflict
from pytest_selfheal.source.hidden import Hidden, hide, usual_indent
from pytest_selfheal.source.parsing import parse

_BEFORE_CODE = "#\x01form feed\x01"
"""Stands, as a comment of its own line, for a form feed directly before code."""
_ON_BLANK_LINE = "#\x01blanks\x01"
"""Stands for blanks (a form feed, say) on a line that holds nothing else."""
_ODD = re.compile(r"^(?:([ \t]*\f[ \t\f]*)(?=[^\s#])|([ \t\f]+)(?=[\r\n]|\Z))", re.MULTILINE)
_TAIL = re.compile(rb"(?:(?<=\n)|(?<=\r)(?!\n))[ \t\f\r\n]+\Z")
_STAND_IN = re.compile(rf"[ \t]*(?:{_BEFORE_CODE}(?:\r\n|\r|\n)|{_ON_BLANK_LINE})")


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """A parsed file, and what its text needs to become its bytes again."""

    path: str
    module: cst.Module
    hidden: Hidden
    tail: bytes
    """The blank lines that the file ends in: libcst loses some of them."""
    odd: tuple[str, ...] = ()
    """The blanks and form feeds that stand-ins were put in for, in order."""

    def render(self, module: cst.Module) -> bytes:
        """Turn a changed module into the file's bytes.

        Raises:
            UnicodeEncodeError: The file's encoding lacks a character.
        """
        odd = iter(self.odd)
        text = _STAND_IN.sub(lambda _: next(odd), module.code)
        return self.hidden.restored(text.encode(module.encoding)) + self.tail


def drop_lines(source: bytes, numbers: Collection[int]) -> bytes:
    """Give a file's bytes without some of its lines, 1-based as Python counts them."""
    if not numbers:
        return source
    bom = b"\xef\xbb\xbf" if source.startswith(b"\xef\xbb\xbf") else b""
    # Bytes, unlike text, are split at `\n`, `\r\n` and `\r` alone: as Python does it.
    lines = source.removeprefix(bom).splitlines(keepends=True)
    kept = [line for number, line in enumerate(lines, start=1) if number not in numbers]
    return bom + b"".join(kept)


def parse_file(
    source: bytes, path: str, *, shown: Collection[str], without: Collection[int] = ()
) -> File:
    """Parse a file so that rendering it unchanged gives its bytes.

    Args:
        source: The file's bytes.
        path: Its name in messages.
        shown: Qualified names of the definitions that are to be edited; the others may
            be hidden behind stand-ins.
        without: Lines, from 1, that the file is to lose: comments that stand alone.

    Raises:
        EditConflict: libcst cannot parse it, or would not give it back unchanged.
        UnparsableError: Python cannot parse it.
    """
    tree = parse(source)
    indent = usual_indent(source, tree)
    tail = _TAIL.search(source)
    blanks = tail[0] if tail else b""
    hidden = hide(source.removesuffix(blanks), tree, shown, without=without)
    source = drop_lines(source, without)
    module = _parse(hidden.source, path, indent)
    file = File(path=path, module=module, hidden=hidden, tail=blanks)
    if file.render(module) == source:
        return file
    # libcst drops a form feed before code, as old sources have it, and now and then lines
    # that hold nothing but blanks.
    text = hidden.source.decode(module.encoding)
    newline = module.default_newline
    odd = tuple(match[0] for match in _ODD.finditer(text))
    text = _ODD.sub(lambda each: _BEFORE_CODE + newline if each[1] else _ON_BLANK_LINE, text)
    module = _parse(text.encode(module.encoding), path, indent)
    file = File(path=path, module=module, hidden=hidden, tail=blanks, odd=odd)
    if file.render(module) != source:
        raise EditConflict(
            f"{path!r} has line ends or blanks around a stub or an import that libcst does "
            "not give back as they are: format these lines and run again"
        )
    return file


def _parse(source: bytes, path: str, indent: str) -> cst.Module:
    try:
        module = cst.parse_module(source)
    except cst.ParserSyntaxError as error:
        raise EditConflict(
            f"{path!r} cannot be edited: libcst does not parse it "
            f"({' '.join(error.message.split())})"
        ) from error
    except (RecursionError, UnicodeDecodeError, LookupError) as error:
        raise EditConflict(f"{path!r} cannot be edited: {error}") from error
    if module.default_indent == indent:
        return module
    # libcst takes the first indentation that it sees, and most of the file is hidden.
    changed = module.visit(_WrittenOut(module.default_indent))
    assert isinstance(changed, cst.Module)
    return changed.with_changes(default_indent=indent)


class _WrittenOut(cst.CSTTransformer):
    """Says in every block how it is indented, so that the usual indent may be another."""

    def __init__(self, indent: str) -> None:
        super().__init__()
        self.indent = indent

    def on_leave(  # type: ignore[override]
        self, original_node: cst.CSTNode, updated_node: cst.CSTNode
    ) -> cst.CSTNode:
        if isinstance(updated_node, (cst.IndentedBlock, cst.Match)) and updated_node.indent is None:
            return updated_node.with_changes(indent=self.indent)
        return updated_node
