"""From a reply's Markdown to the blocks that count.

Fences are read as CommonMark does, one pass over the lines, so that a reply of megabytes
takes no longer than its size. Nothing in a block is judged here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from pytest_selfheal.records import Reply

_Kind = Literal["python", "checks", "unnamed", "other"]

_LINE_ENDINGS = re.compile(r"\r\n")
# An opening fence, on its own or as the first thing of a list item.
_OPENING = re.compile(
    r"(?P<indent>[ \t]*(?:(?:[-*+]|\d{1,9}[.)])[ \t]+)?)(?P<fence>`{3,}|~{3,})(?P<info>.*)"
)
_CLOSING = re.compile(r"(?P<indent>[ \t]*)(?P<fence>`{3,}|~{3,})[ \t]*")
# `python`, `{.python}`, `python:src/a.py`; not `python-repl`.
_LANGUAGE = re.compile(r"\{?\s*\.?(?P<name>[\w+#-]+)")
_PYTHON = frozenset({"python", "py", "python3"})
_THINKING = re.compile(r"\s*(?P<tag><think>|<thinking>|\[THINK\])")
_THINKING_ENDS_ALONE = re.compile(r"^[ \t]*</think>[ \t]*$", re.MULTILINE)
# How gpt-oss sets its answer apart from its thoughts where nobody takes them apart.
_CHANNEL, _ANSWER = "<|channel|>", "<|channel|>final<|message|>"
# A template's marks for the end of a reply, which some servers let through.
_LEFTOVERS = re.compile(r"(?:\s{0,8}(?:</s>|<end_of_turn>|<\|[a-z_]{2,20}\|>)){1,8}\s{0,8}\Z")
# Models like to set the word in bold.
_CANNOT = re.compile(r"[ \t]*(?:[*_]{1,2})?Cannot:(?:[*_]{1,2})?[ \t]*(?P<reason>.*)")
_LONGEST_REASON = 500


@dataclass(slots=True)
class _Fence:
    kind: _Kind
    marker: str
    indent: int
    lines: list[str] = field(default_factory=list)

    def is_closed_by(self, line: str) -> bool:
        match = _CLOSING.fullmatch(line)
        return (
            match is not None
            and match["fence"].startswith(self.marker)
            # Further in than that it is a line of the code, say of a docstring.
            and len(match["indent"]) <= self.indent + 3
        )

    def add(self, line: str) -> None:
        strip = min(self.indent, len(line) - len(line.lstrip(" \t")))
        self.lines.append(line[strip:])

    @property
    def text(self) -> str:
        return "".join(f"{line}\n" for line in self.lines)


def read_reply(text: str, input_tokens: int = 0, output_tokens: int = 0) -> Reply:
    """Take a reply apart as the wire format says.

    Args:
        text: The reply's Markdown.
        input_tokens: What the service counted for the request.
        output_tokens: What the service counted for the reply.

    Returns:
        The blocks of Python code, in order, and apart from them the blocks of checks. Where
        no block is named as Python, the unnamed ones are taken; where there are none
        either, or a `Cannot:` line stands beside unnamed ones, `gave_up` has that
        line's reason. Of thoughts that never end, the last block is the reply.
    """
    # A lone surrogate can come out of JSON, and no file can take it.
    clean = _LINE_ENDINGS.sub("\n", text.encode("utf-8", "replace").decode("utf-8"))
    clean = _LEFTOVERS.sub("\n", clean.removeprefix("\ufeff"))
    spoken = _after_thinking(clean)
    prose, fences = _split(clean if spoken is None else spoken)
    blocks = _texts(fences, "python")
    gave_up = None
    if spoken is None:
        blocks = blocks[-1:]  # those before it are drafts
    elif not blocks:
        unnamed = _texts(fences, "unnamed")
        gave_up = _reason(prose) or _reason([x for block in unnamed for x in _first_line(block)])
        blocks = () if gave_up else unnamed
    return Reply(
        text=clean,
        blocks=blocks,
        checks=_texts(fences, "checks"),
        gave_up=gave_up,
        input_tokens=input_tokens,
        output_tokens=output_tokens,
    )


def _after_thinking(text: str) -> str | None:
    """Drop what a reasoning model thought aloud before its reply; None where that never ends."""
    start = _THINKING.match(text)
    if start:
        closing = f"{start['tag'][0]}/{start['tag'][1:]}"
        _, tag, rest = text[start.end() :].partition(closing)
        return rest if tag else None
    if text.lstrip().startswith(_CHANNEL):
        _, tag, rest = text.rpartition(_ANSWER)
        return rest if tag else None
    # Some servers' templates keep the opening tag for themselves.
    end = _THINKING_ENDS_ALONE.search(text) if "</think>" in text else None
    return text[end.end() :] if end else text


def _split(text: str) -> tuple[list[str], list[_Fence]]:
    prose: list[str] = []
    fences: list[_Fence] = []
    current: _Fence | None = None
    for line in text.split("\n"):
        if current is not None:
            if current.is_closed_by(line):
                current = None
            else:
                current.add(line)
            continue
        current = _opened_by(line)
        if current is None:
            prose.append(line)
        else:
            fences.append(current)
    if current is not None and current.lines and not current.lines[-1]:
        current.lines.pop()  # the text's own last line ending, not a line of the block
    return prose, fences


def _opened_by(line: str) -> _Fence | None:
    match = _OPENING.fullmatch(line)
    if match is None or (match["fence"][0] == "`" and "`" in match["info"]):
        return None
    return _Fence(_kind(match["info"]), match["fence"], len(match["indent"]))


def _kind(info: str) -> _Kind:
    words = info.split()
    if not words:
        return "unnamed"
    name = _LANGUAGE.match(words[0])
    if name is None or name["name"].lower() not in _PYTHON:
        return "other"
    return "checks" if len(words) > 1 and words[1].lower() in {"checks", "check"} else "python"


def _texts(fences: list[_Fence], kind: _Kind) -> tuple[str, ...]:
    return tuple(x.text for x in fences if x.kind == kind and any(map(str.strip, x.lines)))


def _first_line(block: str) -> Iterator[str]:
    yield block.lstrip().partition("\n")[0]


def _reason(lines: list[str]) -> str | None:
    for line in lines:
        match = _CANNOT.match(line)
        if match:
            reason = " ".join(match["reason"].split())
            return reason[:_LONGEST_REASON] or "no reason given"
    return None
