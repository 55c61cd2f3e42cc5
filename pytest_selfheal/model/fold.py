"""Making quoted text shorter, and safe to stand inside a prompt. Pure text functions."""

from __future__ import annotations

import re

# Every character that `str.splitlines` takes for the end of a line.
_LINE_START = re.compile(r"(^|[\n\r\v\f\x1c-\x1e\x85\u2028\u2029])(?=Target:)")
_LINE_BREAKS = re.compile(r"\s+")


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
