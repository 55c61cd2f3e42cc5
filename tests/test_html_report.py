"""The HTML report as text: what it tells, in which order, and that nothing in it is markup.

`test_report_in_browser.py` looks at it in a browser.
"""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_selfheal.records import Attempt, ModelUsage, Status, StubReport
from pytest_selfheal.report._text import visible
from pytest_selfheal.report.html_report import as_html
from pytest_selfheal.report.html_timeline import scale_of, seconds_of, timeline
from tests.sample_reports import DIFF, EMPTY, REPORT, is_clean, nasty_report


class Page(HTMLParser):
    """Reads a page strictly: every element is closed, in order."""

    VOID = frozenset({"meta"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str | None]] = []
        self.classes: list[str] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += attrs
        self.classes += [value or "" for name, value in attrs if name == "class"]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.words.append(data)

    @property
    def text(self) -> str:
        return "".join(self.words)


TAGS = {
    "html", "head", "meta", "title", "style", "body", "h1", "h2", "p", "dl", "div", "dt", "dd",
    "details", "summary", "span", "code", "pre", "ul", "li", "svg", "rect", "header", "main",
    "figure", "figcaption",
}  # fmt: skip


def test_html_tells_everything() -> None:
    page = Page(as_html(REPORT))
    for word in (
        "1 of 5 stubs healed", "1,200 in, 340 out", "2 healed, 1 still failing",
        "docker", "gpt-x", "3.2 s",
        "src/tax.py::TaxTable.due", "attempts used up", "a cheat was seen",
        "no failing test reaches it",
        "Attempt 1: failed assert 1 == 2 (asking 1.50 s; verifying 0.41 s; 500 tokens in, 40 out)",
        "Attempt 2: passed (second model gpt-xl; asking 0.00 s; verifying 0.30 s)",
        "2 attempts, 2 tests, 2.2 s, 540 tokens",
        "return 1 < 2", "E  assert 1 == 2", "+def due(): return '<1>'",
        "tests/test_tax.py::test_due[b]", "tests/test_a.py::test_f", "tests/test_net.py::test_n",
        "src/w.py:3: cannot be read", "a budget is used up",
    ):  # fmt: skip
        assert word in page.text
    assert "SECRET_OF_THE_PASSED" not in page.text
    assert (page.classes.count("add"), page.classes.count("del")) == (1, 1)
    assert [f"status {status}" in page.classes for status in get_args(Status)] == [True] * 5


def test_html_shows_the_code_that_no_diff_shows() -> None:
    passed = Attempt(verdict="passed", code="FIRST = 1\n")
    edited = Attempt(verdict="passed", code="SECOND = 2\n", is_reviewers=True)
    stub = StubReport(target="a.py::f", status="healed", attempts=(passed, edited), diff=DIFF)
    text = Page(as_html(replace(EMPTY, stubs=(stub,)))).text
    assert "FIRST" in text
    assert "SECOND" not in text
    left = replace(stub, status="skipped", diff="")
    assert "SECOND" in Page(as_html(replace(EMPTY, stubs=(left,)))).text


def test_html_says_once_why_a_reply_was_not_run() -> None:
    why = "it uses 'os._exit'"
    attempt = Attempt(verdict="refused", why=why, code="import os\n", traceback=f"{why}\n")
    stub = StubReport(target="a.py::f", status="unhealed", attempts=(attempt,))
    text = Page(as_html(replace(EMPTY, stubs=(stub,)))).text
    assert text.count(why) == 1
    assert "import os" in text


def test_html_says_what_it_cost() -> None:
    small = ModelUsage(name="s", requests=3, input_tokens=5, output_tokens=6)
    large = ModelUsage(name="l", requests=1, input_tokens=4, output_tokens=2, cost=0.5)
    model = ModelUsage(name="s", requests=4, cost=0.51234, stored_replies=2)
    text = Page(as_html(replace(EMPTY, model=model))).text
    assert "Cost$0.5123Stored replies2" in text
    assert "By model" not in text
    text = Page(as_html(replace(EMPTY, model=replace(model, models=(small, large))))).text
    assert "3 requests to s (5 tokens in, 6 out)1 request to l (4 tokens in, 2 out, $0.5" in text
    assert "Cost" not in Page(as_html(EMPTY)).text


def test_html_has_what_is_not_healed_first() -> None:
    text = Page(as_html(REPORT)).text
    order = ["cannot be read", "a budget is used up", "Not healed 4", "src/d.py::i", "Healed 1",
             "src/tax.py::TaxTable.due", "Tests that still fail 1", "Healed tests 2"]  # fmt: skip
    assert sorted(order, key=text.index) == order


def test_html_folds_long_lists() -> None:
    many = replace(EMPTY, still_failing=tuple(f"t.py::test_{number}" for number in range(21)))
    assert "Show them" in Page(as_html(many)).text
    few = replace(many, still_failing=many.still_failing[1:])
    assert "Show them" not in Page(as_html(few)).text


@pytest.mark.parametrize(
    ("diff", "told"),
    [
        pytest.param("+a = 'x\u202ey\x1b['\n", "'\\x1b', '\\u202e'", id="direction and escape"),
        pytest.param("+a\r\n+b\r\n", "", id="Windows"),
        pytest.param("+a\rb\n", "'\\r'", id="a carriage return within"),
        pytest.param("+'שלום'\n", "", id="Hebrew"),
    ],
)
def test_html_names_what_a_diff_cannot_show(diff: str, told: str) -> None:
    stub = StubReport(target="a.py::f", status="healed", diff=DIFF + diff)
    text = Page(as_html(replace(EMPTY, stubs=(stub,)))).text
    found = re.findall("The code holds what cannot be shown: (.*)", text)
    assert found == ([told] if told else [])


SECONDS = st.tuples(st.floats(0, 1e4), st.floats(0, 1e4))


@settings(max_examples=30)
@given(st.tuples(st.lists(SECONDS, max_size=200), st.lists(SECONDS, max_size=5)))
def test_timelines_fit_and_have_one_scale(stubs: tuple[list[tuple[float, float]], ...]) -> None:
    told = [
        StubReport(
            target="a.py::f",
            status="unhealed",
            attempts=tuple(
                Attempt(verdict="failed", asking_seconds=asking, seconds=seconds)
                for asking, seconds in each
            ),
        )
        for each in stubs
    ]
    scale = scale_of(told)
    for stub in told:
        drawn = timeline(stub.attempts, scale)
        bars = re.findall(r'class="(\w+)[^"]*" x="([\d.]+)" width="([\d.]+)"', drawn)
        assert len(bars) == drawn.count("<rect")
        at = 0.0
        for _, x, width in bars:
            assert float(x) == pytest.approx(at, abs=0.06 * len(bars))
            at = float(x) + float(width)
        assert at <= 1000.1
        if drawn:
            spent = sum(float(width) for kind, _, width in bars if kind != "end")
            expected = seconds_of(stub.attempts) * scale.second
            assert spent == pytest.approx(expected, abs=0.06 * len(bars))
            assert sum(kind == "end" for kind, _, _ in bars) == len(stub.attempts)


@pytest.mark.parametrize(
    ("cost", "said"), [(None, "not known"), (0.0, "$0.0000"), (1.5, "$1.5000")]
)
def test_html_tells_a_price_of_nothing_from_one_that_is_not_known(
    cost: float | None, said: str
) -> None:
    page = as_html(replace(REPORT, model=replace(REPORT.model, cost=cost)))
    assert f"<dt>Cost</dt><dd>{said}</dd>" in page
    assert "Cost" not in as_html(replace(REPORT, model=ModelUsage(cost=cost)))


def test_html_of_a_run_with_nothing_to_heal() -> None:
    text = Page(as_html(replace(EMPTY, mode="apply"))).text
    assert "selfheal: nothing to heal" in text
    assert "No stub was marked or reached." in text


def test_html_of_check_mode_claims_no_heal() -> None:
    stubs = tuple(StubReport(target=f"a.py::{name}", status="unhealed") for name in "fg")
    text = Page(as_html(replace(EMPTY, stubs=stubs))).text
    assert "selfheal: 2 unhealed" in text
    assert "0 of 2" not in text


def test_html_stands_alone() -> None:
    text = as_html(nasty_report('"><img src=x onerror=1><a href="http://x">'))
    page = Page(text)
    assert page.tags <= TAGS
    assert {name for name, _ in page.attributes} <= {
        "lang", "charset", "name", "content", "http-equiv", "class", "open", "viewbox", "x",
        "width", "height", "preserveaspectratio", "role", "aria-label", "aria-hidden", "tabindex",
    }  # fmt: skip
    assert "url(" not in text
    assert "@import" not in text
    assert "prefers-color-scheme: dark" in text
    assert 'name="viewport"' in text


@settings(max_examples=50)
@given(st.text(alphabet=st.one_of(st.sampled_from("<>&\"'/!-]\x1b$\n"), st.characters(codec=None))))
def test_html_shows_any_text_as_text(text: str) -> None:
    written = as_html(nasty_report(text))
    assert is_clean(written)
    page = Page(written)
    assert page.tags <= TAGS
    assert visible(text) in page.text
