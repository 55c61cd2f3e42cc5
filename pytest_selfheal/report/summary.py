"""The terminal's summary, in pytest's own manner."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from pytest_selfheal.records import HealReport, ModelUsage, Status, StubReport
from pytest_selfheal.report._files import is_mbox
from pytest_selfheal.report._text import count, how, one_line, visible

if TYPE_CHECKING:
    import pytest

Markup = Mapping[str, bool]
Line = tuple[str, Markup]
"""A line's text and its colours, as keywords for pytest's terminal writer."""

STATUSES: Mapping[Status, Markup] = {
    "healed": {"green": True},
    "unhealed": {"red": True},
    "rejected": {"red": True, "bold": True},
    "unreached": {"yellow": True},
    "skipped": {"yellow": True},
}
"""Every status and its colours, in the order in which they are counted."""

_MOST_UNREACHED = 5
"""Of stubs that no test of this run is about, a few are named."""

_PLAIN: Markup = {}
_FAINT: Markup = {"light": True}
_YELLOW: Markup = {"yellow": True}


def write_summary(reporter: pytest.TerminalReporter, report: HealReport, verbosity: int) -> None:
    """Write the summary: a section titled `selfheal`, or one line at `-q`.

    Args:
        reporter: pytest's own; its `write_sep` and `write_line` are used.
        report: What the run came to.
        verbosity: pytest's: below 0 for `-q`, above 0 for `-v`.
    """
    if verbosity >= 0:
        reporter.write_sep("=", "selfheal")
    for text, markup in summary_lines(report, verbosity):
        reporter.write_line(text, **markup)


def summary_lines(report: HealReport, verbosity: int) -> list[Line]:
    """Give the lines of the summary, without the section's title.

    Nothing in them is a control character; each is one line on the terminal. Diffs come
    with `-v`, and `-q` leaves the last line alone; in check mode the stubs as well, which
    are what was asked for, and `-qq` leaves the last line alone there.
    """
    if verbosity < 0:
        is_listed = report.mode == "check" and verbosity == -1
        return [*(_stubs(report, verbosity) if is_listed else ()), _totals(report)]
    return [
        *_stubs(report, verbosity),
        *_tests("still failing", report.still_failing, verbosity, {"red": True}),
        *_tests("fails only in the sandbox", report.sandbox_only_failures, verbosity, _YELLOW),
        *_remarks(report),
        *_patch(report),
        _totals(report),
    ]


def _stubs(report: HealReport, verbosity: int) -> Iterator[Line]:
    unreached = 0
    for stub in report.stubs:
        unreached += stub.status == "unreached"
        if stub.status == "unreached" and unreached > _MOST_UNREACHED and verbosity <= 0:
            continue
        head = f"{stub.status:<9} {one_line(stub.target)}"
        facts = _facts(stub)
        yield (f"{head}  ({', '.join(facts)})" if facts else head), STATUSES[stub.status]
        if stub.reason:
            yield f"          {one_line(stub.reason)}", _PLAIN
        if verbosity > 0:
            yield from _attempts(stub)
            yield from _diff(stub.diff)
    if unreached > _MOST_UNREACHED and verbosity <= 0:
        more = unreached - _MOST_UNREACHED
        yield f"unreached {more} more (-v names them)", STATUSES["unreached"]


def _facts(stub: StubReport) -> list[str]:
    facts = []
    if stub.attempts:
        facts.append(count(len(stub.attempts), "attempt"))
        facts += how(stub.attempts[-1])
    if stub.tests:
        facts.append(count(len(stub.tests), "test"))
    return facts


def _attempts(stub: StubReport) -> Iterator[Line]:
    for number, attempt in enumerate(stub.attempts, 1):
        why = f": {one_line(attempt.why)}" if attempt.why else ""
        who = "edit" if attempt.is_reviewers else "attempt"
        facts = ", ".join([f"{attempt.seconds:.2f}s", *how(attempt)])
        text = f"          {who} {number} {attempt.verdict} ({facts}){why}"
        yield text, _FAINT


def _diff(diff: str) -> Iterator[Line]:
    in_hunks = False
    for line in visible(diff).split("\n"):
        if line.startswith("@@"):
            in_hunks = True
            markup: Markup = {"cyan": True}
        elif not in_hunks:
            markup = {"bold": True}
        elif line.startswith("+"):
            markup = {"green": True}
        elif line.startswith("-"):
            markup = {"red": True}
        else:
            markup = _PLAIN
        if line:
            yield line, markup


def _tests(title: str, tests: tuple[str, ...], verbosity: int, markup: Markup) -> Iterator[Line]:
    if verbosity > 0:
        for test in tests:
            yield f"{title}: {one_line(test)}", markup
    elif tests:  # pytest's own summary names them all
        more = f", and {len(tests) - 1} more" if len(tests) > 1 else ""
        yield f"{title}: {one_line(tests[0])}{more}", markup


def _remarks(report: HealReport) -> Iterator[Line]:
    for warning in report.warnings:
        place = one_line(f"{warning.path}:{warning.line}")
        yield f"warning: {place}: {one_line(warning.message)}", _YELLOW
    for note in report.notes:
        yield f"note: {one_line(note)}", _PLAIN


def _patch(report: HealReport) -> Iterator[Line]:
    if report.patch:
        path = one_line(report.patch)
        command = "git am" if is_mbox(path) else "git apply"
        yield (
            f"patch: {path} (apply it from the rootdir with: {command} {shlex.quote(path)})",
            _PLAIN,
        )


def _totals(report: HealReport) -> Line:
    parts = [counted(report), *_spent(report)]
    found = {stub.status for stub in report.stubs}
    bad = found & {"unhealed", "rejected"}
    markup: Markup = {"red": True} if bad else {"green": True} if "healed" in found else _YELLOW
    return f"selfheal {one_line(report.mode)}: {'; '.join(parts)} in {report.seconds:.1f}s", markup


def counted(report: HealReport) -> str:
    """What became of a run's stubs, in a few words: `2 healed, 1 unhealed`."""
    numbers = Counter(stub.status for stub in report.stubs)
    found = [f"{numbers[status]} {status}" for status in STATUSES if numbers[status]]
    return ", ".join(found) or "nothing to heal"


def _spent(report: HealReport) -> Iterator[str]:
    for model in report.model.models or (report.model,):
        yield from asked(model)
    if report.verifications:
        place = f" in {one_line(report.backend)}" if report.backend else ""
        yield f"{count(report.verifications, 'verification')}{place}"


def asked(model: ModelUsage) -> Iterator[str]:
    """What a model was asked and cost; nothing where it was not."""
    if model.requests:
        facts = [f"{model.input_tokens} tokens in", f"{model.output_tokens} out"]
        if model.cost is not None:
            facts.append(f"${model.cost:.4f}")
        name = f" to {one_line(model.name)}" if model.name else ""
        yield f"{count(model.requests, 'request')}{name} ({', '.join(facts)})"
    if model.stored_replies:
        number = model.stored_replies
        yield f"{number} stored {'reply' if number == 1 else 'replies'}"
