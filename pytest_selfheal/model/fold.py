"""Making quoted text shorter, and safe to stand inside a prompt. Pure text functions."""

from __future__ import annotations

import re
from difflib import SequenceMatcher

# Every character that `str.splitlines` takes for the end of a line.
_LINE_START = re.compile(r"(^|[\n\r\v\f\x1c-\x1e\x85\u2028\u2029])(?=Target:)")
# What pytest, and we after it, write above a failure.
_HEADING = re.compile(r"^(_{3,} .+ _{3,}\n)", re.MULTILINE)
_LINE_BREAKS = re.compile(r"\s+")
_FEWEST_REPEATED_LINES = 4
_MOST_COMPARED_LINES = 300


def fold(text: str, limit: int) -> str:
    """Give the text, or its head and tail with the cut announced where it is over `limit`.

    The tail is the larger part: a traceback says what went wrong at its end. The result
    is at most `limit` characters and the announcement's line long.
    """
    if len(text) <= limit:
        return text
    head = text[: limit * 2 // 5]
    tail = text[len(text) - (limit - len(head)) :]
    left_out = len(text) - limit
    return f"{head}\n[... {left_out:,} characters left out ...]\n{tail}"


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
    """Cut the middle out of each line that is over `limit` characters, saying how much."""
    if len(text) <= limit:
        return text
    lines = text.split("\n")
    for number, line in enumerate(lines):
        if len(line) > limit:
            head, tail = line[: limit // 2], line[-limit // 2 :]
            lines[number] = f"{head} [... {len(line) - limit:,} characters ...] {tail}"
    return "\n".join(lines)


def fold_repeated_failures(text: str) -> str:
    """Of failures below each other, show what the first one has shown once only."""
    first, *others = _HEADING.split(text)
    if others and not first.strip():
        first, *others = [first + others[0] + others[1], *others[2:]]
    folded = [first]
    for heading, body in zip(others[::2], others[1::2], strict=True):
        folded += [heading, fold_repeated(body, first, "the first failure")]
    return "".join(folded)


def one_line(text: str, limit: int = 300) -> str:
    """Give the text on one line, at most `limit` characters long."""
    line = _LINE_BREAKS.sub(" ", text).strip()
    return line if len(line) <= limit else line[: limit - 4].rstrip() + " ..."


def without_target_lines(text: str) -> str:
    """Indent by a space each line that begins as only the prompt's own may."""
    return _LINE_START.sub(r"\1 ", text)


def encodable(text: str) -> str:
    """Write lone surrogates, which no request can carry, as escapes."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def fenced(text: str, language: str = "") -> str:
    """Put the text into a code fence that nothing inside it can close."""
    longest = max((len(run) for run in re.findall(r"`{3,}", text)), default=2)
    fence = "`" * (longest + 1)
    end = "" if text.endswith("\n") else "\n"
    return f"{fence}{language}\n{text}{end}{fence}\n"
