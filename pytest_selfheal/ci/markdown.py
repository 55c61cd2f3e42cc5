"""A run as Markdown, for a job's summary and for the text of a pull or merge request."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import PurePath

from pytest_selfheal.records import HealReport, StubReport
from pytest_selfheal.report._text import count, cut, one_line, visible
from pytest_selfheal.report.summary import counted

SUMMARY_BYTES = 2**20
"""What GitHub takes from one step; it shows nothing at all of more."""
_WIDTH = 300
_MAX_LISTED = 100
_CLOSING = 500
"""Bytes kept for what is said of what was left out."""
_MARKS = {"healed": "✅", "unhealed": "❌", "rejected": "⛔", "unreached": "⚪", "skipped": "⏭️"}


def markdown(report: HealReport, limit: int = SUMMARY_BYTES) -> str:
    """Give a run: its totals, a table of the stubs, and their diffs.

    Nothing that a model or a test wrote is read as Markdown or HTML: no link, no picture, no
    mention of a user.

    Args:
        report: As it was read.
        limit: The most bytes in UTF-8; what does not fit is left out and counted.
    """
    page = _Page(limit - _CLOSING)
    page.add(f"## {_title(report)}\n\n")
    _table(page, report)
    page.add("\n" + "\n".join(_totals(report)) + "\n")
    _details(page, count(len(report.still_failing), "test") + " not green", report.still_failing)
    _details(page, count(len(report.notes), "note"), report.notes)
    left_out = sum(not page.add(_diff(stub)) for stub in report.stubs if stub.diff)
    if left_out:
        verb = "is" if left_out == 1 else "are"
        page.force(f"\n{count(left_out, 'diff')} {verb} left out here; the reports have all.\n")
    return page.text()


class _Page:
    """Markdown that grows up to a limit."""

    def __init__(self, limit: int) -> None:
        self._parts: list[str] = []
        self._left = limit

    def add(self, part: str, keep: int = 0) -> bool:
        """Add a part whole; False where less than `keep` bytes would be left."""
        size = len(part.encode())
        if size > self._left - keep:
            return False
        self.force(part)
        return True

    def force(self, part: str) -> None:
        self._parts.append(part)
        self._left -= len(part.encode())

    @property
    def left(self) -> int:
        return self._left

    def text(self) -> str:
        return "".join(self._parts)


def _title(report: HealReport) -> str:
    return f"selfheal {report.mode}: {counted(report)}"


def _table(page: _Page, report: HealReport) -> None:
    if not report.stubs:
        return
    page.add("| | stub | attempts | tests | why |\n| --- | --- | ---: | ---: | --- |\n")
    half = page.left // 2
    for number, stub in enumerate(report.stubs):
        if not page.add(_row(stub), keep=half):
            more = len(report.stubs) - number
            page.add(f"| | and {more} more | | | |\n")
            return


def _row(stub: StubReport) -> str:
    why = f"{code(stub.reason)}" if stub.reason else ""
    cells = [
        f"{_MARKS[stub.status]} {stub.status}",
        code(stub.target),
        str(len(stub.attempts) or ""),
        str(len(stub.tests) or ""),
        why,
    ]
    return f"| {' | '.join(cells)} |\n"


def _totals(report: HealReport) -> Iterator[str]:
    green, red, model = report.healed_tests, report.still_failing, report.model
    where = " with the patch" if report.mode == "propose" else ""
    facts = []
    if green:
        facts.append(f"{count(len(green), 'test')} turned green{where}")
    if red:
        facts.append(f"{count(len(red), 'test')} not")
    if model.requests:
        name = f" to {code(model.name)}" if one_line(model.name) else ""
        cost = f", ${model.cost:.4f}" if model.cost is not None else ""
        tokens = f"{model.input_tokens} tokens in, {model.output_tokens} out{cost}"
        facts.append(f"{count(model.requests, 'request')}{name} ({tokens})")
    if report.verifications:
        place = f" in {code(report.backend)}" if report.backend else ""
        facts.append(f"{count(report.verifications, 'verification')}{place}")
    facts.append(f"{report.seconds:.1f} s")
    yield " · ".join(facts)
    if report.patch:
        yield ""
        yield f"The patch is {code(PurePath(report.patch).name)}."


def _details(page: _Page, head: str, lines: Iterable[str]) -> None:
    """A folded list, where it has anything and fits."""
    items = list(lines)
    if not items:
        return
    shown = [f"- {code(each)}" for each in items[:_MAX_LISTED]]
    if len(items) > _MAX_LISTED:
        shown.append(f"- and {len(items) - _MAX_LISTED} more")
    page.add(f"\n<details><summary>{head}</summary>\n\n" + "\n".join(shown) + "\n\n</details>\n")


def _diff(stub: StubReport) -> str:
    text = visible(stub.diff).strip("\n")
    # No run of backticks in the diff is as long as the fence.
    longest = max(map(len, re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    head = _html(cut(one_line(stub.target), _WIDTH))
    return (
        f"\n<details><summary><code>{head}</code></summary>\n\n"
        f"{fence}diff\n{text}\n{fence}\n\n</details>\n"
    )


def code(text: str) -> str:
    """Give one line as code, in which nothing means anything; also in a table's cell."""
    line = cut(one_line(text), _WIDTH)
    if not line:
        return ""
    if re.search(r"[`|\\]", line):  # none of which a table's code span can hold safely
        return f"<code>{_html(line)}</code>"
    return f"`{line}`"


def _html(line: str) -> str:
    """Text for HTML inside Markdown: what is special to either is a number."""
    return re.sub(r"[^\w /,-]|_", lambda found: f"&#{ord(found[0])};", line)
