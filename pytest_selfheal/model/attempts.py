"""How a prompt tells of the attempts that failed: the last one whole, the others in a line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from pytest_selfheal.model.printed import Extent, fold_failures
from pytest_selfheal.model.quoting import LINE_LIMIT, Quoting
from pytest_selfheal.model.size import estimated_tokens
from pytest_selfheal.records import Attempt

EARLIER = 10
CODE_LIMIT = 48_000
TRACEBACK_LIMIT = 12_000
_LESS_TRACEBACK = 4_000
"""What the traceback of a single failure may take in any case, before there is no room."""
_FEWEST = 1_000
"""Characters below which nothing is cut that is shown at all."""

_MEND_IT = "Find the cause and reply as above, with all targets complete.\n"
_ANOTHER_WAY = (
    "The same mistake came back, so do not mend this code. Take a different approach, from the "
    "targets and their tests, and reply as above, with all targets complete.\n"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shape:
    """How much is told."""

    earlier: int = EARLIER
    code: int = CODE_LIMIT
    traceback: int = TRACEBACK_LIMIT
    whole: Extent = "all"
    """Which failures are shown and not only named."""
    line: int = LINE_LIMIT
    """Characters of a line of them."""


def told_attempts(
    attempts: Sequence[Attempt],
    quoting: Quoting,
    tokens: int,
    wanted_tokens: int | None = None,
    *,
    wants_another_way: bool = False,
) -> str | None:
    """Give what the attempts taught, in at most so many tokens.

    What they taught is a line each, and the last one is whole; so is the last one that has
    code: a reply without any must not hide what was found out. Where that is long, several
    failures are told in a line each but for the first, whose traceback stays as pytest
    printed it. Where there is no room, the earlier attempts go first, then the middle of
    what pytest printed, then that of the code.

    Args:
        attempts: Oldest first.
        quoting: How they are quoted.
        tokens: The most that it may take.
        wanted_tokens: The most that it is to take if that is enough for what is needed.
        wants_another_way: The code is not to be mended, but written otherwise.

    Returns:
        None where not even the shortest form fits; "" where there were none.
    """
    if not attempts:
        return ""
    end = _ANOTHER_WAY if wants_another_way else _MEND_IT

    def told(shape: _Shape) -> str:
        return "\n".join([*_told(attempts, quoting, shape), end])

    wanted = tokens
    if wanted_tokens is not None:
        # Long code leaves some room to the failures all the same.
        others = estimated_tokens(told(_Shape(traceback=0)))
        wanted = min(tokens, max(wanted_tokens, others + wanted_tokens // 3))
    for shape in _SHORTER:
        text = told(shape)
        if estimated_tokens(text) <= wanted:
            return text
    texts = map(told, (_SHORTER[-1], *_cut()))
    return next((text for text in texts if estimated_tokens(text) <= tokens), None)


_SHORTER = (
    _Shape(),
    _Shape(whole="functions"),
    _Shape(whole="first"),
    _Shape(whole="first", line=LINE_LIMIT // 2),
    _Shape(whole="first", line=LINE_LIMIT // 2, traceback=_LESS_TRACEBACK),
)
"""First the longest. Each holds what is needed."""


def _cut() -> Iterator[_Shape]:
    """What is told where there is no room, the longest first."""
    least = _SHORTER[-1]
    yield replace(least, earlier=3)
    least = replace(least, earlier=0)
    yield least
    while least.traceback > _FEWEST:
        least = replace(least, traceback=least.traceback // 2)
        yield least
    while least.code > _FEWEST:
        least = replace(least, code=least.code // 2)
        yield least
    yield replace(least, code=0, traceback=0)


def _told(attempts: Sequence[Attempt], quoting: Quoting, shape: _Shape) -> Iterator[str]:
    # What stands here only grows, so that the next request begins with it too.
    lines: list[str] = []
    taught: dict[str, int] = {}
    for number, attempt in enumerate(attempts, start=1):
        result = _result(attempt, quoting)
        before = taught.setdefault(result, number)
        told = result if before == number else f"{attempt.verdict}, as attempt {before}"
        lines.append(f"- Attempt {number}: {told}")
    left_out = max(0, len(lines) - 1 - shape.earlier)
    if left_out:
        lines = [f"- {left_out} earlier, left out for length", *lines[left_out:]]
    yield "\n".join(["## Failed attempts", "", *lines]) + "\n"
    with_code = [n for n, attempt in enumerate(attempts) if attempt.code]
    for number in dict.fromkeys([*with_code[-1:], len(attempts) - 1]):
        yield from _whole(number + 1, attempts[number], quoting, shape)


def _whole(number: int, attempt: Attempt, quoting: Quoting, shape: _Shape) -> Iterator[str]:
    if attempt.code and shape.code:
        code = quoting.block(attempt.code, "python", limit=shape.code)
        yield f"### The code of attempt {number}\n{code}"
    if attempt.traceback and shape.traceback and attempt.traceback != attempt.why:
        # Clean first: half a secret is not recognised as one.
        told = fold_failures(quoting.clean(attempt.traceback), shape.whole)
        printed = quoting.printed(told, shape.traceback, line_limit=shape.line)
        yield f"### What pytest printed of attempt {number}\n{printed}"


def _result(attempt: Attempt, quoting: Quoting) -> str:
    if not attempt.why:
        return attempt.verdict
    return f"{attempt.verdict}: {quoting.inline(attempt.why, 600)}"
