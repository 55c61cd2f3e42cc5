"""The HTML report: one file that needs nothing else, for people."""

from __future__ import annotations

import base64
import hashlib
import html
from collections.abc import Iterable
from pathlib import Path
from string import Template

from pytest_selfheal.records import Attempt, HealReport, StubReport
from pytest_selfheal.report._files import write_whole
from pytest_selfheal.report._text import count, how, one_line, visible

_STYLE = """
:root { color-scheme: light dark; --fg: #1f2328; --bg: #fff; --dim: #59636e; --line: #d1d9e0;
  --code: #f6f8fa; --good: #1a7f37; --bad: #cf222e; --odd: #9a6700;
  --add: #dafbe1; --del: #ffebe9; }
@media (prefers-color-scheme: dark) { :root { --fg: #e6edf3; --bg: #0d1117; --dim: #9198a1;
  --line: #3d444d; --code: #151b23; --good: #3fb950; --bad: #f85149; --odd: #d29922;
  --add: #12361f; --del: #42181a; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1rem; max-width: 70rem; color: var(--fg); background: var(--bg);
  font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.4rem; margin: 0 0 .5rem; } h2 { font-size: 1.1rem; margin: 1.5rem 0 .5rem; }
dl.totals { display: flex; flex-wrap: wrap; gap: .5rem 1.5rem; margin: 0; }
dl.totals dt { color: var(--dim); font-size: .85rem; } dl.totals dd { margin: 0; }
details { border: 1px solid var(--line); border-radius: .4rem; margin: .5rem 0; padding: 0 .75rem; }
details details { margin: .5rem 0 .75rem; }
summary { cursor: pointer; padding: .5rem 0; }
code, pre { font: .85rem/1.45 ui-monospace, monospace; }
pre { background: var(--code); padding: .75rem; border-radius: .4rem; overflow-x: auto;
  overflow-wrap: normal; margin: .5rem 0; }
.status { font-weight: 600; } .dim { color: var(--dim); }
.healed, .passed { color: var(--good); } .unhealed, .rejected, .failed { color: var(--bad); }
.unreached, .skipped, .other { color: var(--odd); }
.add, .del, .hunk { display: inline-block; min-width: 100%; }
svg.timeline { display: block; width: 100%; height: .6rem; margin: .25rem 0 .5rem; }
.asking { fill: var(--line); } .verifying { fill: var(--dim); }
.end { fill: var(--odd); } .end.passed { fill: var(--good); } .end.failed { fill: var(--bad); }
.key { white-space: nowrap; } .swatch { width: .7rem; height: .7rem; vertical-align: baseline; }
.add { background: var(--add); } .del { background: var(--del); } .hunk { color: var(--dim); }
"""

_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()

# The policy lets the browser load nothing and run nothing, and takes no style but the one
# above, whatever a model managed to put into a traceback.
_PAGE = Template("""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="$policy">
<title>selfheal: $headline</title>
<style>$style</style>
</head>
<body>
<h1>selfheal: $headline</h1>
$body
</body>
</html>
""")

_POLICY = (
    f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; form-action 'none'"
)
_ENDS = ("passed", "failed")
_UNITS = 1000
"""The timeline's length in its own units, whatever the screen makes of them."""
_END = 6


def as_html(report: HealReport) -> str:
    """Give the report as a page: no scripts, nothing from elsewhere, everything escaped."""
    longest = max((_seconds(stub) for stub in report.stubs), default=0.0)
    body = "\n".join(
        [
            _totals(report),
            "<h2>Stubs</h2>",
            _LEGEND if longest else "",
            *(_stub(stub, longest) for stub in report.stubs),
            "" if report.stubs else '<p class="dim">No stub was marked or reached.</p>',
            _list("Healed tests", report.healed_tests),
            _list("Tests that still fail", report.still_failing),
            _list("Tests that fail only in the sandbox", report.sandbox_only_failures),
            _list(
                "Warnings",
                [f"{item.path}:{item.line}: {item.message}" for item in report.warnings],
            ),
            _list("Notes", report.notes),
        ]
    )
    return _PAGE.substitute(
        headline=_escaped(_headline(report)), policy=_POLICY, style=_STYLE, body=body
    )


def write_html(report: HealReport, path: Path) -> None:
    """Write the HTML report, whole or not at all; makes the folder where there is none.

    Raises:
        SelfHealError: It cannot be written; one line.
    """
    write_whole(path, as_html(report).encode("utf-8"), "the HTML report")


def _escaped(text: str) -> str:
    return html.escape(one_line(text))


def _block(text: str) -> str:
    return f"<pre>{html.escape(visible(text))}</pre>"


def _headline(report: HealReport) -> str:
    healed = sum(stub.status == "healed" for stub in report.stubs)
    return f"{healed} of {count(len(report.stubs), 'stub')} healed"


def _totals(report: HealReport) -> str:
    model = report.model
    facts = {
        "Mode": report.mode,
        "Exit status": str(report.exit_status),
        "Time": f"{report.seconds:.1f} s",
        "Model": model.name or "none",
        "Requests": str(model.requests),
        "Tokens": f"{model.input_tokens} in, {model.output_tokens} out",
        "Sandbox": report.backend or "none",
        "Verifications": str(report.verifications),
    }
    if model.requests:
        facts["Cost"] = "not known" if model.cost is None else f"${model.cost:.4f}"
    if report.patch:
        facts["Patch"] = report.patch
    items = (
        f"<div><dt>{name}</dt><dd>{_escaped(value)}</dd></div>" for name, value in facts.items()
    )
    return f'<dl class="totals">{"".join(items)}</dl>'


def _stub(stub: StubReport, longest: float) -> str:
    opened = "" if stub.status == "healed" else " open"
    reason = f"<p>{_escaped(stub.reason)}</p>" if stub.reason else ""
    return "\n".join(
        [
            f'<details class="stub"{opened}><summary><span class="status {_escaped(stub.status)}">'
            f"{_escaped(stub.status)}</span> <code>{_escaped(stub.target)}</code> "
            f'<span class="dim">{", ".join(_facts(stub))}</span>',
            f"{_timeline(stub, longest)}</summary>",
            reason,
            *(_attempt(number, attempt) for number, attempt in enumerate(stub.attempts, 1)),
            _diff(stub.diff) if stub.diff else "",
            _folded(count(len(stub.tests), "test"), _items(stub.tests)) if stub.tests else "",
            "</details>",
        ]
    )


def _facts(stub: StubReport) -> Iterable[str]:
    for values, noun in ((stub.attempts, "attempt"), (stub.tests, "test")):
        if values:
            yield count(len(values), noun)
    if stub.attempts:
        yield f"{_seconds(stub):.1f} s"
    tokens = sum(each.input_tokens + each.output_tokens for each in stub.attempts)
    if tokens:
        yield f"{tokens} tokens"


def _seconds(stub: StubReport) -> float:
    return sum(each.asking_seconds + each.seconds for each in stub.attempts)


_LEGEND = '<p class="dim">{}</p>'.format(
    " ".join(
        '<span class="key"><svg class="swatch" viewBox="0 0 1 1">'
        f'<rect class="{kind}" width="1" height="1"></rect></svg> {word}</span>'
        for kind, word in (
            ("asking", "asking"),
            ("verifying", "verifying"),
            ("end passed", "passed"),
            ("end failed", "failed"),
            ("end", "another verdict"),
        )
    )
)


def _timeline(stub: StubReport, longest: float) -> str:
    """The attempts one after another, on the same scale for all stubs of the page."""
    if not longest or not stub.attempts:
        return ""
    scale = (_UNITS - _END * len(stub.attempts)) / longest
    parts: list[str] = []
    told: list[str] = []
    at = 0.0
    for number, attempt in enumerate(stub.attempts, 1):
        end = f"end {attempt.verdict}" if attempt.verdict in _ENDS else "end"
        spans = (
            ("asking", attempt.asking_seconds * scale),
            ("verifying", attempt.seconds * scale),
            (end, _END),
        )
        for kind, width in spans:
            if width > 0:
                parts.append(
                    f'<rect class="{kind}" x="{at:.1f}" width="{width:.1f}" height="1"></rect>'
                )
                at += width
        told.append(f"{number} {_escaped(attempt.verdict)}")
    return (
        f'<svg class="timeline" viewBox="0 0 {_UNITS} 1" preserveAspectRatio="none" role="img" '
        f'aria-label="Attempts: {", ".join(told)}">{"".join(parts)}</svg>'
    )


def _attempt(number: int, attempt: Attempt) -> str:
    colour = attempt.verdict if attempt.verdict in _ENDS else "other"
    why = f" {_escaped(attempt.why)}" if attempt.why else ""
    facts = ["by the reviewer"] if attempt.is_reviewers else [*map(_escaped, how(attempt))]
    if attempt.asking_seconds or not attempt.is_reviewers:
        facts.append(f"asking {attempt.asking_seconds:.2f} s")
    if attempt.seconds:
        facts.append(f"verifying {attempt.seconds:.2f} s")
    if attempt.input_tokens or attempt.output_tokens:
        facts.append(f"{attempt.input_tokens} tokens in, {attempt.output_tokens} out")
    who = "Edit" if attempt.is_reviewers else "Attempt"
    line = (
        f'{who} {number}: <span class="{colour}">{_escaped(attempt.verdict)}</span>{why} '
        f'<span class="dim">({"; ".join(facts)})</span>'
    )
    # A reply that passed is shown by the diff.
    code = "" if attempt.verdict == "passed" else attempt.code
    inner = "".join(_block(text) for text in (code, attempt.traceback) if text)
    return _folded(line, inner) if inner else f"<p>{line}</p>"


def _diff(diff: str) -> str:
    text = visible(diff)
    head, mark, hunks = text.partition("\n@@")
    lines = [html.escape(line) for line in head.split("\n")]
    if mark:
        lines += [_diff_line(line) for line in f"@@{hunks}".rstrip("\n").split("\n")]
    return f'<pre class="diff">{chr(10).join(lines)}</pre>'


def _diff_line(line: str) -> str:
    kind = {"+": "add", "-": "del", "@": "hunk"}.get(line[:1])
    shown = html.escape(line)
    return f'<span class="{kind}">{shown}</span>' if kind else shown


def _folded(summary: str, inner: str) -> str:
    return f"<details><summary>{summary}</summary>{inner}</details>"


def _items(texts: Iterable[str]) -> str:
    return f"<ul>{''.join(f'<li><code>{_escaped(text)}</code></li>' for text in texts)}</ul>"


def _list(title: str, texts: Iterable[str]) -> str:
    items = list(texts)
    return f"<h2>{title}</h2>\n{_items(items)}" if items else ""
