"""From a question to the text of a request.

Stable parts come first (instructions, targets, modules, tests, data, provisional code,
what passes), then the failures, then the attempts: so a retry's text begins with the first
request's whole text, and the provider's prompt cache serves it. Everything that is quoted
goes through `_quoted` or `_inline`, which cut out secrets and keep it from looking like a part
of the prompt itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from importlib.resources import files
from pathlib import PurePosixPath

from pytest_selfheal.model.fold import (
    encodable,
    fenced,
    fold,
    fold_repeated,
    one_line,
    without_target_lines,
)
from pytest_selfheal.model.redact import redact
from pytest_selfheal.records import Attempt, Excerpt, Failure, Question, Stub

# Characters; a section's share is divided among its excerpts in order.
MODULES_LIMIT = 48_000
TESTS_LIMIT = 32_000
DATA_LIMIT = 12_000
PROVISIONAL_LIMIT = 24_000
FAILURE_LIMIT = 6_000
CODE_LIMIT = 48_000
TRACEBACK_LIMIT = 24_000

FAILURES_IN_FULL = 6
FAILURES_BY_NAME = 30
PASSING_BY_NAME = 30
EARLIER_ATTEMPTS = 10

_SMALLEST_SHARE = 400
_LANGUAGES = {
    ".py": "python",
    ".pyi": "python",
    ".json": "json",
    ".toml": "toml",
    ".md": "markdown",
}


def render(question: Question) -> str:
    """Give the whole text of the request that asks this question.

    It holds a line `Target: <path>::<qualname>` for each stub, and no other line that
    begins so. It is bounded, whatever the size of what is quoted.
    """
    parts = [
        _instructions(),
        _targets(question.stubs),
        *_excerpts("Module", question.modules, MODULES_LIMIT),
        *_excerpts("Tests", question.tests, TESTS_LIMIT),
        *_excerpts("Data", question.data, DATA_LIMIT),
        *_excerpts("Provisional code, not yet confirmed", question.provisional, PROVISIONAL_LIMIT),
        *_passing(question.passing),
        *_failures(question.failures),
        *_attempts(question.attempts),
    ]
    return "\n".join(parts)


@cache
def _instructions() -> str:
    return files("pytest_selfheal.model").joinpath("instructions.txt").read_text("utf-8")


def _quoted(text: str, limit: int, language: str = "") -> str:
    # Secrets go first: a cut through one would leave a half that nothing recognises.
    return fenced(without_target_lines(fold(redact(encodable(text)), limit)), language)


def _inline(text: str, limit: int = 300) -> str:
    return one_line(redact(encodable(text)), limit)


# --- the stable part -------------------------------------------------------------------


def _targets(stubs: Sequence[Stub]) -> str:
    lines = ["## Targets", ""]
    for target in dict.fromkeys(stub.target for stub in stubs):
        # A file's name may hold line ends, and a forged line after one.
        lines.append(f"Target: {' '.join(encodable(target).splitlines())}")
        lines += [
            f"  {note}" for stub in stubs if stub.target == target for note in _stub_notes(stub)
        ]
    return "\n".join(lines) + "\n"


def _stub_notes(stub: Stub) -> Iterator[str]:
    if stub.index:
        yield f"(definition {stub.index + 1} of that name in the file, line {stub.def_line})"
    if stub.is_living:
        yield (
            "(it has a body, shown in its module, with which the tests under Failures are red: "
            "rewrite it so that they pass, and those that pass now still do)"
        )
    if stub.options.hint:
        hint = redact(encodable(stub.options.hint))
        first, *rest = fold(hint, 2_000).strip().splitlines() or [""]
        yield f"Hint: {first}"
        yield from (f"  {line}" for line in rest)


def _excerpts(heading: str, excerpts: Iterable[Excerpt], limit: int) -> Iterator[str]:
    for excerpt in excerpts:
        note = f" ({_inline(excerpt.note)})" if excerpt.note else ""
        title = f"## {heading}: {_inline(excerpt.path)}{note}\n"
        if limit < _SMALLEST_SHARE:
            yield f"{title}Left out, there is too much of it.\n"
            continue
        language = _LANGUAGES.get(PurePosixPath(excerpt.path).suffix, "")
        yield title + _quoted(excerpt.text, limit, language)
        limit -= len(excerpt.text)


def _passing(nodeids: Sequence[str]) -> Iterator[str]:
    """What must not be broken: by name, since what it checks is done already."""
    if not nodeids:
        return
    lines = ["## Tests that reach the targets and pass now, and must still pass", ""]
    lines += [f"- {_inline(nodeid)}" for nodeid in nodeids[:PASSING_BY_NAME]]
    if len(nodeids) > PASSING_BY_NAME:
        lines.append(f"- and {len(nodeids) - PASSING_BY_NAME} more")
    yield "\n".join(lines) + "\n"


# --- the failures ----------------------------------------------------------------------


def _failures(failures: Sequence[Failure]) -> Iterator[str]:
    """The failures as pytest printed them: the same text once, the first few in full."""
    if not failures:
        return
    yield "## Failures"
    same: dict[str, list[Failure]] = {}
    for failure in failures:
        same.setdefault(failure.longrepr, []).append(failure)
    groups = list(same.items())
    for number, (longrepr, group) in enumerate(groups[:FAILURES_IN_FULL]):
        if number:
            longrepr = fold_repeated(longrepr, groups[0][0], "the first failure")
        yield f"### {_names(group)}\n{_quoted(longrepr, FAILURE_LIMIT)}"
    yield from _failures_by_name([f for _, group in groups[FAILURES_IN_FULL:] for f in group])


def _names(group: Sequence[Failure]) -> str:
    first, *others = group
    phase = "" if first.phase == "call" else f" ({first.phase})"
    name = f"{_inline(first.nodeid)}{phase}"
    if not others:
        return name
    shown = [_inline(other.nodeid, 120) for other in others[:FAILURES_BY_NAME]]
    more = f" and {len(others) - len(shown)} more" if len(others) > len(shown) else ""
    return f"{name}\nThe same for: {', '.join(shown)}{more}"


def _failures_by_name(failures: Sequence[Failure]) -> Iterator[str]:
    if not failures:
        return
    lines = ["### And also"]
    for failure in failures[:FAILURES_BY_NAME]:
        last = next((x for x in reversed(failure.longrepr.split("\n")) if x.strip()), "")
        lines.append(f"- {_inline(failure.nodeid)}: {_inline(last)}")
    if len(failures) > FAILURES_BY_NAME:
        lines.append(f"- and {len(failures) - FAILURES_BY_NAME} more")
    yield "\n".join(lines) + "\n"


# --- the attempts ----------------------------------------------------------------------


def _attempts(attempts: Sequence[Attempt]) -> Iterator[str]:
    """What earlier attempts taught in a line each, then the last one whole.

    The last one that has code, too: a reply without any must not hide what was found out.
    """
    if not attempts:
        return
    numbered = list(enumerate(attempts, start=1))
    last = numbered[-1]
    whole = [last] if last[1].code else [*[x for x in numbered if x[1].code][-1:], last]
    earlier = [
        f"- Attempt {number}: {_result(attempt)}"
        for number, attempt in numbered
        if (number, attempt) not in whole
    ]
    if earlier:
        yield "\n".join(["## Earlier attempts", *earlier[-EARLIER_ATTEMPTS:]]) + "\n"
    for number, attempt in whole:
        is_last = ", the last" if number == len(attempts) else ""
        yield f"## Attempt {number}{is_last}: {_result(attempt)}\n"
        yield from _whole(attempt)
    yield "Find the cause and reply as above, with all targets complete.\n"


def _whole(attempt: Attempt) -> Iterator[str]:
    if attempt.code:
        yield _quoted(attempt.code, CODE_LIMIT, "python")
    if attempt.traceback:
        yield f"pytest printed:\n{_quoted(attempt.traceback, TRACEBACK_LIMIT)}"


def _result(attempt: Attempt) -> str:
    return f"{attempt.verdict}: {_inline(attempt.why, 600)}" if attempt.why else attempt.verdict
