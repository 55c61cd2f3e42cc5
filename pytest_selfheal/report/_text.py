"""Text from models, tests and sources, made fit to be shown.

A candidate may print what it likes; none of it may move a cursor, set a title, hide a
line or break the one-line promise of a report.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping

from pytest_selfheal.records import Attempt, Strategy

_STRATEGIES: Mapping[Strategy, str] = {
    "first": "",
    "retry": "",
    "fresh": "fresh sample",
    "more-context": "more context",
    "second-model": "second model",
}

# CSI, the string sequences (OSC, DCS, SOS, PM, APC) that end on the same line, and the short
# ones; 0x90 to 0x9f are the same in one character. A string without its end loses its head
# alone: what follows is then plain text, and may be what the reader needs.
_SEQUENCE = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]?"
    r"|(?:\x1b[P\]X^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c\n]*(?:\x07|\x1b\\|\x9c)"
    r"|\x1b[ -/]*[0-~]?"
)
# What steers the direction of writing can make a line read as another one.
_DIRECTION = frozenset(
    "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff"
)


def visible(text: str) -> str:
    """Give text of several lines without terminal sequences and control characters.

    Line feeds and tabs stay and are the only ones of their kind left: Unicode's other line
    ends become a space. Half a surrogate pair becomes a question mark.
    """
    return "".join(map(_shown, _SEQUENCE.sub("", text)))


def _shown(char: str) -> str:
    if char in "\n\t" or char.isprintable():
        return char
    category = unicodedata.category(char)
    if category == "Cs":
        return "?"
    if category in ("Zl", "Zp"):
        return " "
    if category == "Cc" or char in _DIRECTION:
        return ""
    return char


def unseen(text: str) -> str:
    """Name the first five kinds of characters that `visible` does not show; empty for none.

    The line ends of Windows are nothing to be told of.
    """
    chars = sorted(set(text.replace("\r\n", "\n")))
    return ", ".join([ascii(char) for char in chars if _shown(char) != char][:5])


def one_line(text: str) -> str:
    """Give text as a single line: as `visible`, with white space drawn together."""
    return " ".join(visible(re.sub("[\r\v\f\x85]", "\n", text)).split())


def maybe_line(text: str | None) -> str | None:
    """As `one_line`; None and what comes to nothing are None."""
    return (one_line(text) or None) if text is not None else None


def count(number: int, noun: str) -> str:
    """`1 test`, `2 tests`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def cells(text: str) -> int:
    """How many columns of a terminal a line takes."""
    return sum(map(_cells, text))


def _cells(char: str) -> int:
    if unicodedata.combining(char) or unicodedata.category(char) in ("Cf", "Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def cut(text: str, width: int) -> str:
    """Give a line of at most `width` columns, the loss shown by an ellipsis."""
    if cells(text) <= width:
        return text
    kept: list[str] = []
    left = width - 1
    for char in text:
        left -= _cells(char)
        if left < 0:
            break
        kept.append(char)
    return "".join(kept) + "…" if width > 0 else ""


def how(attempt: Attempt) -> list[str]:
    """How a reply was asked for, in a few words; nothing where that was as ever."""
    way = _STRATEGIES[attempt.strategy]
    if attempt.strategy == "second-model" and attempt.model:
        way = f"{way} {one_line(attempt.model)}"
    return [way] if way else []
