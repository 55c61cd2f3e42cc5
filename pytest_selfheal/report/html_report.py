"""The HTML report: one file that needs nothing else, for people."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from pathlib import Path

from pytest_selfheal.records import Attempt, HealReport, StubReport
from pytest_selfheal.report._files import write_whole
from pytest_selfheal.report._text import count, how, one_line, unseen, visible
from pytest_selfheal.report.html_page import page
from pytest_selfheal.report.html_timeline import LEGEND, Scale, scale_of, seconds_of, timeline
from pytest_selfheal.report.summary import asked, counted

_MAX_OPEN = 20
"""Longer lists are folded."""


def as_html(report: HealReport) -> str:
    """Give the report as a page: no scripts, nothing from elsewhere, everything escaped.

    What a person has to look at comes first: warnings and notes, then what is not healed.
    """
    scale = scale_of(report.stubs)
    open_ones = [stub for stub in report.stubs if stub.status != "healed"]
    healed = [stub for stub in report.stubs if stub.status == "healed"]
    warnings = [f"{item.path}:{item.line}: {item.message}" for item in report.warnings]
    parts = [
        _remarks("Warnings", warnings),
        _remarks("Notes", report.notes),
        LEGEND if scale.second else "",
        _stubs("Not healed", open_ones, scale),
        _stubs("Healed", healed, scale),
        "" if report.stubs else '<p class="dim">No stub was marked or reached.</p>',
        _tests("Tests that still fail", report.still_failing),
        _tests("Tests that fail only in the sandbox", report.sandbox_only_failures),
        _tests("Healed tests", report.healed_tests),
    ]
    return page(_headline(report), _totals(report), "\n".join(part for part in parts if part))


def write_html(report: HealReport, path: Path) -> None:
    """Write the HTML report, whole or not at all; makes the folder where there is none.

    Raises:
        SelfHealError: It cannot be written; one line.
    """
    write_whole(path, as_html(report).encode("utf-8"), "the HTML report")


def _headline(report: HealReport) -> str:
    if report.mode == "check" or not report.stubs:
        return counted(report)
    healed = sum(stub.status == "healed" for stub in report.stubs)
    return f"{healed} of {count(len(report.stubs), 'stub')} healed"


def _escaped(text: str) -> str:
    return html.escape(one_line(text))


def _block(caption: str, text: str) -> str:
    # In the order of the keys, so that a long line can be scrolled without a mouse.
    shown = f'<pre tabindex="0">{html.escape(visible(text))}</pre>'
    return f"<figure><figcaption>{caption}</figcaption>{shown}</figure>"


def _totals(report: HealReport) -> str:
    model = report.model
    facts = {
        "Mode": [report.mode],
        "Exit status": [str(report.exit_status)],
        "Time": [_duration(report.seconds)],
        "Stubs": [counted(report)] if report.stubs else [],
        "Tests": _tests_counted(report),
        "Model": [model.name or "none"],
        "Requests": [f"{model.requests:,}"],
        "Tokens": [f"{model.input_tokens:,} in, {model.output_tokens:,} out"],
        "Cost": [_money(model.cost)] if model.requests else [],
        "Stored replies": [f"{model.stored_replies:,}"] if model.stored_replies else [],
        "By model": [fact for each in model.models for fact in asked(each)],
        "Sandbox": [report.backend or "none"],
        "Verifications": [f"{report.verifications:,}"],
        "Patch": [report.patch] if report.patch else [],
    }
    items = (
        f"<div><dt>{name}</dt>{''.join(f'<dd>{_escaped(value)}</dd>' for value in values)}</div>"
        for name, values in facts.items()
        if values
    )
    return f'<dl class="totals">{"".join(items)}</dl>'


def _money(cost: float | None) -> str:
    return "not known" if cost is None else f"${cost:.4f}"


def _tests_counted(report: HealReport) -> list[str]:
    counts = ((len(report.healed_tests), "healed"), (len(report.still_failing), "still failing"))
    facts = [f"{number:,} {what}" for number, what in counts if number]
    return [", ".join(facts)] if facts else []


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    return f"{int(seconds) // 60:,} min {int(seconds) % 60} s"


def _stubs(title: str, stubs: Sequence[StubReport], scale: Scale) -> str:
    if not stubs:
        return ""
    return "\n".join([_title(title, len(stubs)), *(_stub(stub, scale) for stub in stubs)])


def _title(title: str, number: int) -> str:
    return f'<h2>{title} <span class="dim">{number:,}</span></h2>'


def _stub(stub: StubReport, scale: Scale) -> str:
    head = " ".join(
        [
            f'<span class="status {stub.status}">{stub.status}</span>',
            _target(stub.target),
            f'<span class="dim">{", ".join(_facts(stub))}</span>',
        ]
    )
    head += timeline(stub.attempts, scale)
    inner = [
        f"<p>{_escaped(stub.reason)}</p>" if stub.reason else "",
        *_attempts(stub),
        _diff(stub.diff) if stub.diff else "",
        _folded(count(len(stub.tests), "test"), _items(stub.tests)) if stub.tests else "",
    ]
    if not any(inner):
        return f'<div class="stub">{head}</div>'
    opened = "" if stub.status == "healed" else " open"
    body = "\n".join(part for part in inner if part)
    return f'<details class="stub"{opened}><summary>{head}</summary>\n{body}\n</details>'


def _target(target: str) -> str:
    path, mark, name = one_line(target).rpartition("::")
    dim = f'<span class="dim">{html.escape(path + mark)}</span>'
    return f'<code class="target">{dim}{html.escape(name)}</code>'


def _facts(stub: StubReport) -> Iterable[str]:
    if stub.status == "unreached" and not stub.reason:
        yield "no failing test reaches it"
    for values, noun in ((stub.attempts, "attempt"), (stub.tests, "test")):
        if values:
            yield count(len(values), noun)
    if stub.attempts:
        yield _duration(seconds_of(stub.attempts))
    tokens = sum(each.input_tokens + each.output_tokens for each in stub.attempts)
    if tokens:
        yield f"{tokens:,} tokens"


def _attempts(stub: StubReport) -> Iterable[str]:
    for number, attempt in enumerate(stub.attempts, 1):
        is_last = number == len(stub.attempts)
        is_in_diff = bool(stub.diff) and is_last and attempt.verdict == "passed"
        yield _attempt(number, attempt, "" if is_in_diff else attempt.code)


def _attempt(number: int, attempt: Attempt, code: str) -> str:
    colour = attempt.verdict if attempt.verdict in ("passed", "failed") else "other"
    why = f" {_escaped(attempt.why)}" if attempt.why else ""
    facts = ["by the reviewer"] if attempt.is_reviewers else [*map(_escaped, how(attempt))]
    if attempt.asking_seconds or not attempt.is_reviewers:
        facts.append(f"asking {attempt.asking_seconds:.2f} s")
    if attempt.seconds:
        facts.append(f"verifying {attempt.seconds:.2f} s")
    if attempt.input_tokens or attempt.output_tokens:
        facts.append(f"{attempt.input_tokens:,} tokens in, {attempt.output_tokens:,} out")
    who = "Edit" if attempt.is_reviewers else "Attempt"
    line = (
        f'{who} {number}: <span class="verdict {colour}">{attempt.verdict}</span>{why} '
        f'<span class="dim">({"; ".join(facts)})</span>'
    )
    # Of a reply that was not run there is nothing more to tell than why.
    is_told = one_line(attempt.traceback) == one_line(attempt.why or "")
    blocks = (("The code", code), ("What came of it", "" if is_told else attempt.traceback))
    inner = "".join(_block(caption, text) for caption, text in blocks if text)
    return _folded(line, inner) if inner else f"<p>{line}</p>"


def _diff(diff: str) -> str:
    text = visible(diff)
    head, mark, hunks = text.partition("\n@@")
    lines = [html.escape(line) for line in head.split("\n")]
    if mark:
        lines += [_diff_line(line) for line in f"@@{hunks}".rstrip("\n").split("\n")]
    shown = f'<pre class="diff" tabindex="0">{chr(10).join(lines)}</pre>'
    return shown + _careful(diff)


def _careful(diff: str) -> str:
    if not (names := unseen(diff)):
        return ""
    return f'<p class="other">The code holds what cannot be shown: {html.escape(names)}</p>'


def _diff_line(line: str) -> str:
    kind = {"+": "add", "-": "del", "@": "hunk"}.get(line[:1])
    shown = html.escape(line)
    return f'<span class="{kind}">{shown}</span>' if kind else shown


def _folded(summary: str, inner: str) -> str:
    return f"<details><summary>{summary}</summary>{inner}</details>"


def _items(texts: Iterable[str]) -> str:
    return _bullets(f"<code>{_escaped(text)}</code>" for text in texts)


def _bullets(items: Iterable[str]) -> str:
    return f"<ul>{''.join(f'<li>{item}</li>' for item in items)}</ul>"


def _remarks(title: str, texts: Sequence[str]) -> str:
    return f"{_title(title, len(texts))}\n{_bullets(map(_escaped, texts))}" if texts else ""


def _tests(title: str, tests: Sequence[str]) -> str:
    if not tests:
        return ""
    shown = _items(tests)
    if len(tests) > _MAX_OPEN:
        shown = _folded("Show them", shown)
    return f"{_title(title, len(tests))}\n{shown}"
