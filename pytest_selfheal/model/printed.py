"""What pytest printed of failures: read, and made shorter. Pure text functions."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import takewhile
from typing import Literal

from pytest_selfheal.model.fold import one_line

# What pytest, and we after it, write above a failure.
_HEADING = re.compile(r"^(_{3,} (.+) _{3,}\n)", re.MULTILINE)
# What Python writes between an exception and the one that was raised because of it.
_CHAINED = re.compile(
    r"^(?:During handling of the above exception, another exception occurred"
    r"|The above exception was the direct cause of the following exception):$",
    re.MULTILINE,
)
# Two lines that a diff compares, each with the line below it that marks the differences.
_COMPARED = re.compile(r"^E? *- .*\n(?:E? *\? .*\n)?E? *\+ .*(?:\nE? *\? .*)?$", re.MULTILINE)
_SIGN = 2
"""Characters of a diff's sign and the blank behind it."""
_MESSAGE = 120
"""Characters of what a failure says that is not whole."""
_NAMED = 5
"""Of those that are not whole, so many have a line of their own."""
_FEWEST_REPEATED_LINES = 4
_MOST_COMPARED_LINES = 300

Extent = Literal["all", "functions", "first"]
"""Which of several failures are whole: all, the first of each test function, the first."""


def last_error_line(longrepr: str) -> str:
    """What a failure says in a line: the first `E` line of its last exception, else its end."""
    lines = [line.strip() for line in _CHAINED.split(longrepr)[-1].splitlines() if line.strip()]
    for line in lines:
        if line.startswith("E  "):
            return line[1:].strip()
    return lines[-1] if lines else ""


def function_of(nodeid: str) -> str:
    """A test's name without its parameters; a folder may have brackets in its own."""
    path, colons, test = nodeid.partition("::")
    return f"{path}{colons}{test.partition('[')[0]}"


@dataclass(frozen=True, slots=True)
class _Section:
    """One failure with its heading."""

    heading: str
    name: str
    body: str


def fold_failures(text: str, extent: Extent = "all") -> str:
    """Of failures below each other, show what the first one has shown once only.

    Args:
        text: Failures with their headings, and what the process printed above them.
        extent: Which are whole. Of the next few there is a line each, at the end.
    """
    above, *parts = _HEADING.split(text)
    failures = [_Section(*each) for each in zip(parts[::3], parts[1::3], parts[2::3], strict=True)]
    if not failures:
        return text
    shown, others = _divided(failures, extent)
    first = above + shown[0].heading + shown[0].body
    folded = [first]
    for each in shown[1:]:
        folded += [each.heading, fold_repeated(each.body, first, "the first failure")]
    if others:
        folded[-1] = folded[-1].rstrip("\n")
        folded.append(f"\n\nand {len(others)} more:\n")
        folded += [
            f"- {each.name}: {one_line(last_error_line(each.body), _MESSAGE)}\n"
            for each in others[:_NAMED]
        ]
        folded += [f"- and {len(others) - _NAMED} more\n"] if len(others) > _NAMED else []
    return "".join(folded)


def _divided(
    failures: Sequence[_Section], extent: Extent
) -> tuple[Sequence[_Section], Sequence[_Section]]:
    """Those that are shown, and the others."""
    if extent == "all":
        return failures, ()
    if extent == "first":
        return failures[:1], failures[1:]
    shown: dict[str, _Section] = {}
    others = [
        each for each in failures if shown.setdefault(function_of(each.name), each) is not each
    ]
    return list(shown.values()), others


def fold_repeated(text: str, shown: str, where: str) -> str:
    """Replace longer runs of lines that `shown` also holds by a line that says so.

    Args:
        text: What is to be shown next.
        shown: What the reader has seen already.
        where: What to call that.
    """
    lines, known = text.split("\n"), shown.split("\n")
    if max(len(lines), len(known)) > _MOST_COMPARED_LINES:
        return text
    matcher = SequenceMatcher(None, known, lines, autojunk=False)
    kept: list[str] = []
    position = 0
    for block in matcher.get_matching_blocks():
        if sum(1 for line in lines[block.b : block.b + block.size] if line.strip()) < (
            _FEWEST_REPEATED_LINES
        ):
            continue
        kept += lines[position : block.b]
        kept.append(f"[... {block.size} lines as in {where} ...]")
        position = block.b + block.size
    return "\n".join(kept + lines[position:])


def fold_long_lines(text: str, limit: int) -> str:
    """Cut each line that is over `limit` characters, saying how much.

    Its head and tail stay; of two lines that a diff compares, where they begin to differ.
    """
    if len(text) <= limit:
        return text
    text = _COMPARED.sub(lambda found: _around_difference(found[0], limit), text)
    return "\n".join(_without_middle(line, limit) for line in text.split("\n"))


def _without_middle(line: str, limit: int) -> str:
    if len(line) <= limit:
        return line
    head, tail = line[: limit // 2], line[-limit // 2 :]
    return f"{head} {_left_out(len(line) - limit)} {tail}"


def _around_difference(text: str, limit: int) -> str:
    lines = text.split("\n")
    size = limit - 2 * len(_left_out(10**6)) - _SIGN
    if max(map(len, lines)) <= limit or size <= 0:
        return text
    removed, added = (line for line in lines if line.lstrip("E ")[0] in "-+")
    sign = removed.index("-") + _SIGN
    both = zip(removed[sign:], added[sign:], strict=False)
    same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], both))
    start = sign + max(0, same - size // 4)
    return "\n".join(_window(line, sign, start, size) for line in lines)


def _window(line: str, sign: int, start: int, size: int) -> str:
    before = _left_out(start - sign) if start > sign else ""
    after = _left_out(len(line) - start - size) if len(line) > start + size else ""
    return f"{line[:sign]}{before}{line[start : start + size]}{after}"


def _left_out(characters: int) -> str:
    return f"[... {characters:,} characters ...]"
