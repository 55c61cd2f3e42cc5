"""Review mode: show each green stub's diff, and ask."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from pytest_selfheal.report._text import one_line


def ask_for_each(
    reporter: Any,
    stubs: Sequence[tuple[str, str, Sequence[str]]],
    *,
    ask: Callable[[str], str] = input,
) -> list[str]:
    """Ask for each stub whether it may be written.

    Args:
        reporter: pytest's terminal reporter.
        stubs: The stub's key, its diff, and the tests that hold it.
        ask: Prompts for a line, as `input` does.

    Returns:
        The keys that were refused; after `q`, and at the end of input, all that follow.
    """
    refused: list[str] = []
    for number, (key, diff, tests) in enumerate(stubs, 1):
        reporter.write_sep("-", f"{one_line(key)} ({number} of {len(stubs)})")
        for line in diff.splitlines():
            markup = {"green": line.startswith("+"), "red": line.startswith("-")}
            reporter.write_line(line, **markup)
        reporter.write_line(f"held by {len(tests)} tests, all green in the sandbox")
        answer = _answer(ask)
        if answer == "q":
            return [*refused, *(each[0] for each in stubs[number - 1 :])]
        if answer == "n":
            refused.append(key)
    return refused


def _answer(ask: Callable[[str], str]) -> str:
    while True:
        try:
            answer = ask("write it? [y]es, [n]o, [q]uit: ").strip().lower()
        except EOFError:
            return "q"
        if answer[:1] in ("y", "n", "q"):
            return answer[0]
