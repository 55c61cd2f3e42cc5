"""libcst with the two things put right that it does not give back as it got them."""

from __future__ import annotations

import re
from dataclasses import dataclass

import libcst as cst

from pytest_selfheal.errors import EditConflict

_FORM_FEED = "#\x01form feed\x01"
"""Stands, as a comment of its own line, for a form feed directly before code."""
_BEFORE_CODE = re.compile(r"^([ \t]*\f[ \t\f]*)(?=[^\s#])", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """A parsed file, and what its text needs to become its bytes again."""

    path: str
    module: cst.Module
    feeds: tuple[str, ...] = ()
    """The form feeds that stand-ins were put in for, in order."""

    def render(self, module: cst.Module) -> bytes:
        """Turn a changed module into the file's bytes.

        Raises:
            UnicodeEncodeError: The file's encoding lacks a character.
        """
        text = module.code
        for feed in self.feeds:
            before, _, after = text.partition(_FORM_FEED)
            after = after.removeprefix("\r").removeprefix("\n")
            text = before.rstrip(" \t") + feed + after
        return text.encode(module.encoding)


def parse_file(source: bytes, path: str) -> File:
    """Parse a file so that rendering it unchanged gives its bytes.

    Raises:
        EditConflict: libcst cannot parse it, or would not give it back unchanged.
    """
    file = _parse(source, path)
    if file.render(file.module) == source:
        return file
    # libcst drops a form feed that stands on a line of code, as some old sources have it.
    text = source.decode(file.module.encoding)
    feeds = tuple(_BEFORE_CODE.findall(text))
    newline = file.module.default_newline
    replaced = _BEFORE_CODE.sub(lambda _: _FORM_FEED + newline, text)
    again = _parse(replaced.encode(file.module.encoding), path)
    file = File(path=path, module=again.module, feeds=feeds)
    if file.render(file.module) != source:
        raise EditConflict(
            f"{path!r} has line ends or blanks that cannot be kept as they are: "
            "save it with one kind of line end"
        )
    return file


def _parse(source: bytes, path: str) -> File:
    try:
        return File(path=path, module=cst.parse_module(source))
    except cst.ParserSyntaxError as error:
        raise EditConflict(
            f"{path!r} cannot be edited: libcst does not parse its line {error.raw_line} "
            f"({' '.join(error.message.split())})"
        ) from error
    except (RecursionError, UnicodeDecodeError, LookupError) as error:
        raise EditConflict(f"{path!r} cannot be edited: {error}") from error
