"""How a prompt tells of the attempts that failed: the last one whole, the others in a line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pytest_selfheal.model.fold import fold_repeated_failures
from pytest_selfheal.model.quoting import Quoting
from pytest_selfheal.model.size import estimated_tokens
from pytest_selfheal.records import Attempt

EARLIER = 10
CODE_LIMIT = 48_000
TRACEBACK_LIMIT = 12_000
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


def told_attempts(
    attempts: Sequence[Attempt],
    quoting: Quoting,
    tokens: int,
    *,
    wants_another_way: bool = False,
) -> str | None:
    """Give what the attempts taught, in at most so many tokens.

    What they taught is a line each, and the last one is whole; so is the last one that has
    code: a reply without any must not hide what was found out. Where there is no room, the
    earlier ones go first, then the middle of what pytest printed, then that of the code.

    Args:
        attempts: Oldest first.
        quoting: How they are quoted.
        tokens: The most that it may take.
        wants_another_way: The code is not to be mended, but written otherwise.

    Returns:
        None where not even the shortest form fits; "" where there were none.
    """
    if not attempts:
        return ""
    for shape in _shapes():
        told = _told(attempts, quoting, shape)
        text = "\n".join([*told, _ANOTHER_WAY if wants_another_way else _MEND_IT])
        if estimated_tokens(text) <= tokens:
            return text
    return None


def _shapes() -> Iterator[_Shape]:
    yield _Shape()
    yield _Shape(earlier=3)
    yield _Shape(earlier=0)
    traceback, code = TRACEBACK_LIMIT, CODE_LIMIT
    while traceback > _FEWEST:
        traceback //= 2
        yield _Shape(earlier=0, traceback=traceback)
    while code > _FEWEST:
        code //= 2
        yield _Shape(earlier=0, code=code, traceback=traceback)
    yield _Shape(earlier=0, code=0, traceback=0)


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
        printed = quoting.printed(fold_repeated_failures(attempt.traceback), shape.traceback)
        yield f"### What pytest printed of attempt {number}\n{printed}"


def _result(attempt: Attempt, quoting: Quoting) -> str:
    if not attempt.why:
        return attempt.verdict
    return f"{attempt.verdict}: {quoting.inline(attempt.why, 600)}"
