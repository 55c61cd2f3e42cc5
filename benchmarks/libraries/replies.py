"""The server's side: the original definitions, as a model that is always right gives them."""

from __future__ import annotations

import io
import tokenize
from collections.abc import Mapping, Sequence

from benchmarks.libraries.stubs import Function


class Originals:
    """Answers for a stubbed library."""

    def __init__(self, chosen: Sequence[Function]) -> None:
        self._by_target: dict[str, list[Function]] = {}
        for each in chosen:
            self._by_target.setdefault(each.target, []).append(each)

    def reply(self, prompt: str, targets: tuple[str, ...], number: int) -> str:
        """Give what was asked for, whatever the prompt says beside it."""
        missing = [target for target in targets if target not in self._by_target]
        if missing:
            return f"Cannot: {missing[0]} is no function of this library"
        blocks = [_block(each) for target in targets for each in self._by_target[target]]
        return "\n".join(f"```python\n{block}```\n" for block in blocks)

    @property
    def targets(self) -> Mapping[str, Sequence[Function]]:
        """The functions by what they are called on the wire."""
        return self._by_target


def _block(function: Function) -> str:
    text = function.text if function.text.endswith("\n") else function.text + "\n"
    text = text.replace("\r\n", "\n")
    depth = len(text) - len(text.lstrip(" \t"))
    if not function.classes:
        return _moved(text, depth, "")
    header = ""
    for number, name in enumerate(function.classes):
        header += "    " * number + f"class {name}:\n"
    return header + _moved(text, depth, "    " * len(function.classes))


def _moved(text: str, depth: int, indent: str) -> str:
    """Move a block to another indentation; what stands inside strings is no matter of it.

    A model that writes a method anew has its own strings at their own columns, so text
    whose lines in strings would move is left where it stands in its file.
    """
    if depth == len(indent):
        return text
    inside: set[int] = set()
    start = 0
    wrapped = "if 1:\n" + text if depth else text
    for token in tokenize.generate_tokens(io.StringIO(wrapped).readline):
        kind = tokenize.tok_name[token.type]
        if kind == "STRING":
            inside.update(range(token.start[0] + 1, token.end[0] + 1))
        elif kind == "FSTRING_START":
            start = token.start[0]
        elif kind == "FSTRING_END":
            inside.update(range(start + 1, token.end[0] + 1))
    shift = 1 if depth else 0
    lines = text.splitlines(keepends=True)
    for number, line in enumerate(lines, start=1):
        if number + shift not in inside and line.strip():
            lines[number - 1] = indent + line[min(depth, len(line) - len(line.lstrip())) :]
    return "".join(lines)
