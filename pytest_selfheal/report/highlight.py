"""A diff in colours: what is added and removed, and the code's own syntax in it.

pytest brings Pygments along; where it is missing, the colours of the diff stay.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from itertools import pairwise

_RESET = "\x1b[0m"
_BOLD, _RED, _GREEN, _CYAN = "\x1b[1m", "\x1b[31m", "\x1b[32m", "\x1b[36m"


def coloured_diff(diff: str, *, syntax: bool = True) -> list[str]:
    """Give the lines of a unified diff of Python code for a terminal that shows colours.

    Args:
        diff: One file's, without control characters.
        syntax: Whether the code has colours of its own.
    """
    lines = diff.rstrip("\n").split("\n")
    starts = [number for number, line in enumerate(lines) if line.startswith("@@")]
    starts.append(len(lines))
    shown = [f"{_BOLD}{line}{_RESET}" for line in lines[: starts[0]]]
    for start, end in pairwise(starts):
        shown += [f"{_CYAN}{lines[start]}{_RESET}", *_hunk(lines[start + 1 : end], syntax)]
    return shown


def _hunk(lines: Sequence[str], syntax: bool) -> Iterator[str]:
    # What is there afterwards is a text that can be read by itself; what goes is shown plain.
    after = [line[1:] for line in lines if line[:1] in (" ", "+", "")]
    shown = iter(_highlighted(after) if syntax else after)
    for line in lines:
        if line.startswith("-"):
            yield f"{_RED}{line}{_RESET}"
        elif line.startswith("+"):
            yield f"{_GREEN}+{_RESET}{next(shown)}"
        elif line.startswith("\\"):
            yield line
        else:
            yield f" {next(shown)}" if line else next(shown)


def _highlighted(lines: Sequence[str]) -> list[str]:
    """Give lines of Python with the colours of their syntax, as many as there were."""
    if not lines:
        return []
    try:
        from pygments import highlight
        from pygments.formatters.terminal import TerminalFormatter
        from pygments.lexers.python import PythonLexer
    except ImportError:
        return list(lines)
    background = "light" if os.environ.get("PYTEST_THEME_MODE") == "light" else "dark"
    lexer = PythonLexer(stripnl=False, ensurenl=False)
    text = highlight("\n".join(lines), lexer, TerminalFormatter(bg=background))
    shown = text.split("\n")
    return shown if len(shown) == len(lines) else list(lines)
