"""The frame of the HTML report: its style, and a policy by which nothing is loaded or run."""

from __future__ import annotations

import base64
import hashlib
from string import Template

_STYLE = """
:root { color-scheme: light dark; --fg: #1f2328; --bg: #fff; --dim: #59636e; --line: #d1d9e0;
  --code: #f6f8fa; --good: #1a7f37; --bad: #cf222e; --odd: #9a6700; --ask: #b6bfc8;
  --add: #dafbe1; --del: #ffebe9; }
@media screen and (prefers-color-scheme: dark) { :root { --fg: #e6edf3; --bg: #0d1117;
  --dim: #9198a1; --line: #3d444d; --code: #151b23; --good: #3fb950; --bad: #f85149;
  --odd: #d29922; --ask: #4a525b; --add: #12361f; --del: #42181a; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.5rem 1rem 3rem; max-width: 64rem; color: var(--fg);
  background: var(--bg); font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.5rem; line-height: 1.25; margin: 0 0 1rem; }
h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; }
h2 .dim { font-weight: 400; }
dl.totals { display: flex; flex-wrap: wrap; gap: .5rem 1.75rem; margin: 0; }
dl.totals dt { color: var(--dim); font-size: .85rem; }
dl.totals dd { margin: 0; }
code, pre { font: .85rem/1.45 ui-monospace, monospace; }
code { unicode-bidi: isolate; }
pre { background: var(--code); padding: .75rem; border-radius: .4rem; overflow-x: auto;
  overflow-wrap: normal; margin: 0; tab-size: 4; }
ul { margin: .5rem 0; padding-left: 1.25rem; }
p { margin: .5rem 0; }
figure { margin: 0 0 .75rem; }
figcaption { color: var(--dim); font-size: .85rem; margin: .25rem 0; }
summary { cursor: pointer; }
summary:focus-visible, pre:focus-visible { outline: 2px solid var(--good); outline-offset: 2px; }
.stub { border: 1px solid var(--line); border-radius: .5rem; margin: .5rem 0;
  padding: 0 .75rem; }
div.stub { padding: .5rem .75rem; }
details.stub > summary { padding: .5rem 0; }
details.stub > :not(summary) { border-top: 1px solid var(--line); margin: 0; padding: .5rem 0; }
details.stub > pre { border-radius: 0; margin: 0 -.75rem; padding: .75rem; }
details details > summary ~ * { margin-top: .5rem; }
.target { margin-right: .5rem; }
.status, .verdict { font-weight: 600; }
.status { display: inline-block; min-width: 5.5rem; margin-right: .25rem; }
.dim { color: var(--dim); }
.healed, .passed { color: var(--good); }
.unhealed, .rejected, .failed { color: var(--bad); }
.unreached, .skipped, .other { color: var(--odd); }
svg.timeline { display: block; width: 100%; height: .5rem; margin: .25rem 0; }
.asking { fill: var(--ask); } .verifying { fill: var(--dim); }
.end { fill: var(--odd); } .end.passed { fill: var(--good); } .end.failed { fill: var(--bad); }
p.legend { margin: 1.5rem 0 0; font-size: .85rem; }
.key { white-space: nowrap; margin-right: .5rem; }
.swatch { width: .7rem; height: .7rem; vertical-align: baseline; }
.add, .del, .hunk { display: inline-block; min-width: 100%; }
.add { background: var(--add); } .del { background: var(--del); } .hunk { color: var(--dim); }
@media (max-width: 30rem) { .target { display: block; } }
@media print { body { max-width: none; padding: 0; } pre { white-space: pre-wrap; }
  details::details-content { content-visibility: visible; block-size: auto; }
  summary, figcaption { break-after: avoid; }
  .add, .del, rect { print-color-adjust: exact; } }
"""

_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()

# The policy lets the browser load nothing and run nothing, and takes no style but the one
# above, whatever a model managed to put into a traceback.
_POLICY = (
    f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; form-action 'none'"
)

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
<header>
<h1>selfheal: $headline</h1>
$totals
</header>
<main>
$content
</main>
</body>
</html>
""")


def page(headline: str, totals: str, content: str) -> str:
    """Give a whole page, from HTML in which everything is escaped already."""
    return _PAGE.substitute(
        headline=headline, totals=totals, content=content, policy=_POLICY, style=_STYLE
    )
