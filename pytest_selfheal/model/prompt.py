"""From a question to the text of a request.

Stable parts come first (instructions, targets, modules, tests, data, provisional code,
what passes, failures), then the attempts: so a retry's text begins with the first request's
whole text, and the provider's prompt cache serves it. To keep it so, what comes before the
attempts is made to fit without a look at them. Everything that is quoted goes through a
`Quoting`, which cuts out secrets and keeps it from looking like a part of the prompt itself.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cache
from importlib.resources import files
from pathlib import PurePosixPath

from pytest_selfheal.errors import PromptTooLong
from pytest_selfheal.model.attempts import told_attempts
from pytest_selfheal.model.failures import told_failures
from pytest_selfheal.model.fold import encodable, fold
from pytest_selfheal.model.quoting import Quoting
from pytest_selfheal.model.redact import told_secrets
from pytest_selfheal.model.size import estimated_tokens
from pytest_selfheal.records import Excerpt, Question, Stub

DEFAULT_TOKENS = 12_000
"""What a prompt may take where nobody says otherwise."""

PASSING_BY_NAME = 30

_STABLE_SHARE = 0.75
"""Of the bound; the rest is kept for what attempts taught."""
_RETRY_SHARE = 1.4
"""What attempts are to take at most, as a multiple of all before, so that a retry costs no
more than two and a half first requests."""
_HINT_LIMIT = 2_000
_LANGUAGES = {
    ".py": "python",
    ".pyi": "python",
    ".json": "json",
    ".toml": "toml",
    ".md": "markdown",
}


def render(
    question: Question, max_tokens: int = DEFAULT_TOKENS, *, secrets: Collection[str] = ()
) -> str:
    """Give the whole text of the request that asks this question.

    It holds a line `Target: <path>::<qualname>` for each stub, and no other line that
    begins so.

    Args:
        question: What is asked.
        max_tokens: The most that the text may take, by our own count.
        secrets: Names whose values are cut out, beside what looks like a secret.

    Raises:
        PromptTooLong: What is never left out takes more.
    """
    quoting = Quoting(secrets=secrets, told=_told_secrets(question, secrets))
    stable = _fitted(question, int(max_tokens * _STABLE_SHARE), quoting)
    attempts = None
    if stable is not None:
        room = max_tokens - estimated_tokens(stable)
        attempts = told_attempts(
            question.attempts,
            quoting,
            room - 1,
            int(_RETRY_SHARE * estimated_tokens(stable)),
            wants_another_way=question.wants_another_way,
        )
    if stable is None or attempts is None:
        raise too_long(question, max_tokens)
    return f"{stable}\n{attempts}" if attempts else stable


def _told_secrets(question: Question, names: Collection[str]) -> frozenset[str]:
    """What the question's own files and failures show to be a secret.

    The attempts do not count: what stands before them must not change with them.
    """
    excerpts = (*question.modules, *question.tests, *question.data, *question.provisional)
    texts = [*(each.text for each in excerpts), *(each.longrepr for each in question.failures)]
    return frozenset(secret for text in texts for secret in told_secrets(text, names))


def too_long(question: Question, max_tokens: int) -> PromptTooLong:
    """Say in one line what cannot be asked for, and what to do."""
    first, *others = dict.fromkeys(stub.target for stub in question.stubs)
    more = f" (+{len(others)})" if others else ""
    return PromptTooLong(
        f"the prompt for {first}{more} does not fit into {max_tokens:,} tokens, a quarter of which "
        "is kept for failed attempts: raise selfheal_prompt_tokens"
    )


# --- what is left out, and in which order ----------------------------------------------


def _fitted(question: Question, max_tokens: int, quoting: Quoting) -> str | None:
    """The text but for the attempts, without what has no room; None where nothing helps."""
    text = _stable(question, quoting)
    left_out: list[str] = []
    for name, step in _STEPS:
        while estimated_tokens(text) > max_tokens and (less := step(question)) != question:
            question = less
            left_out += [name] if name not in left_out else []
            text = _stable(question, quoting, left_out)
    return text if estimated_tokens(text) <= max_tokens else None


def _to_length(excerpts: Sequence[Excerpt], number: int) -> tuple[Excerpt, ...]:
    """Each excerpt at most as long as its shorter text of that number; empty ones are gone."""
    lengths = [(each, each.shorter[min(number, len(each.shorter)) - 1 :]) for each in excerpts]
    shorter = (replace(each, text=left[0]) if each.shorter else each for each, left in lengths)
    return tuple(each for each in shorter if each.text or not each.shorter)


def _without_last_import(question: Question) -> Question:
    """Of the modules that hold no target, drop the last one."""
    own = {stub.path for stub in question.stubs}
    imported = [n for n, each in enumerate(question.modules) if each.path not in own]
    last = imported[-1] if imported else len(question.modules)
    return replace(question, modules=question.modules[:last] + question.modules[last + 1 :])


_Step = Callable[[Question], Question]
_STEPS: tuple[tuple[str, _Step], ...] = (
    ("sample data", lambda q: replace(q, data=())),
    ("names of tests that pass", lambda q: replace(q, passing=())),
    ("modules that are imported", _without_last_import),
    ("other definitions of the modules", lambda q: replace(q, modules=_to_length(q.modules, 1))),
    ("code of other stubs", lambda q: replace(q, provisional=())),
    ("all failures but the first", lambda q: replace(q, failures=q.failures[:1])),
    ("helpers and fixtures of the tests", lambda q: replace(q, tests=_to_length(q.tests, 1))),
    ("all of the modules but the targets", lambda q: replace(q, modules=_to_length(q.modules, 2))),
    ("all failures", lambda q: replace(q, failures=())),
    ("all of the tests but their asserts", lambda q: replace(q, tests=_to_length(q.tests, 2))),
)
"""First what helps least, each taken until it changes nothing.

The instructions, the targets and the tests' asserts stay.
"""


# --- the text --------------------------------------------------------------------------


def _stable(question: Question, quoting: Quoting, left_out: Sequence[str] = ()) -> str:
    parts = [
        _instructions(),
        _targets(question.stubs, quoting),
        *_excerpts("Module", question.modules, quoting),
        *_excerpts("Tests", question.tests, quoting),
        *_excerpts("Data", question.data, quoting),
        *_excerpts("Provisional code, not yet confirmed", question.provisional, quoting),
        *_passing(question.passing, quoting),
        *told_failures(question.failures, quoting, question.stubs),
    ]
    if left_out:
        parts.append(f"Left out for length: {', '.join(left_out)}.\n")
    return "\n".join(parts)


@cache
def _instructions() -> str:
    return files("pytest_selfheal.model").joinpath("instructions.txt").read_text("utf-8")


def _targets(stubs: Sequence[Stub], quoting: Quoting) -> str:
    lines = ["## Targets", ""]
    for target in dict.fromkeys(stub.target for stub in stubs):
        # A file's name may hold line ends, and a forged line after one.
        lines.append(f"Target: {' '.join(encodable(target).splitlines())}")
        lines += [
            f"  {note}"
            for stub in stubs
            if stub.target == target
            for note in _stub_notes(stub, quoting)
        ]
    return "\n".join(lines) + "\n"


def _stub_notes(stub: Stub, quoting: Quoting) -> Iterator[str]:
    if stub.index:
        yield f"(definition {stub.index + 1} of that name in the file, line {stub.def_line})"
    if stub.is_living:
        yield (
            "(it has a body, shown in its module, with which the tests under Failures are red: "
            "rewrite it so that they pass, and those that pass now still do)"
        )
    if stub.options.hint:
        hint = fold(quoting.clean(stub.options.hint), _HINT_LIMIT)
        first, *rest = hint.strip().splitlines() or [""]
        yield f"Hint: {first}"
        yield from (f"  {line}" for line in rest)


def _excerpts(heading: str, excerpts: Iterable[Excerpt], quoting: Quoting) -> Iterator[str]:
    for excerpt in excerpts:
        note = f" ({quoting.inline(excerpt.note)})" if excerpt.note else ""
        title = f"## {heading}: {quoting.inline(excerpt.path)}{note}\n"
        language = _LANGUAGES.get(PurePosixPath(excerpt.path).suffix, "")
        yield title + quoting.block(excerpt.text, language)


def _passing(nodeids: Sequence[str], quoting: Quoting) -> Iterator[str]:
    """What must not be broken: by name, since what it checks is done already."""
    if not nodeids:
        return
    lines = ["## Tests that reach the targets and pass now, and must still pass", ""]
    lines += [f"- {quoting.inline(nodeid)}" for nodeid in nodeids[:PASSING_BY_NAME]]
    if len(nodeids) > PASSING_BY_NAME:
        lines.append(f"- and {len(nodeids) - PASSING_BY_NAME} more")
    yield "\n".join(lines) + "\n"
