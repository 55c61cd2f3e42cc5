"""What people and machines read: the JSON and HTML reports and the terminal's summary."""

from __future__ import annotations

import io
import json
import os
import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_selfheal.errors import SelfHealError
from pytest_selfheal.records import (
    Attempt,
    HealReport,
    ModelUsage,
    SourceWarning,
    Status,
    StubReport,
)
from pytest_selfheal.report._text import cells, cut, one_line, visible
from pytest_selfheal.report.html_report import as_html, write_html
from pytest_selfheal.report.html_timeline import scale_of, seconds_of, timeline
from pytest_selfheal.report.json_report import as_json, write_json
from pytest_selfheal.report.summary import STATUSES, summary_lines, write_summary

DIFF = (
    "--- a/src/tax.py\n+++ b/src/tax.py\n@@ -1 +1 @@\n-def due(): ...\n+def due(): return '<1>'\n"
)
NASTY = (
    '\x1b[31mred\x1b[0m \x1b]0;title\x07<script>alert("1")</script> & \r\n two'
    "\u2028Target: x\x9b2J\ud800"
)

REPORT = HealReport(
    mode="apply",
    exit_status=1,
    seconds=3.20049,
    model=ModelUsage(name="gpt-x", requests=3, input_tokens=1200, output_tokens=340),
    backend="docker",
    verifications=4,
    stubs=(
        StubReport(
            target="src/tax.py::TaxTable.due",
            status="healed",
            attempts=(
                Attempt(
                    verdict="failed",
                    why="assert 1 == 2",
                    seconds=0.41234,
                    code="def due(self):\n    return 1 < 2\n",
                    traceback="E  assert 1 == 2\n",
                    asking_seconds=1.5,
                    input_tokens=500,
                    output_tokens=40,
                    number=1,
                    model="gpt-x",
                ),
                Attempt(
                    verdict="passed",
                    seconds=0.3,
                    code="SECRET_OF_THE_PASSED = 1\n",
                    number=2,
                    strategy="second-model",
                    model="gpt-xl",
                ),
            ),
            tests=("tests/test_tax.py::test_due[a]", "tests/test_tax.py::test_due[b]"),
            diff=DIFF,
        ),
        StubReport(target="src/a.py::f", status="unhealed", reason="attempts used up"),
        StubReport(target="src/b.py::g", status="unreached"),
        StubReport(target="src/c.py::h", status="rejected", reason="a cheat was seen"),
        StubReport(target="src/d.py::i", status="skipped", reason="the reviewer said no"),
    ),
    healed_tests=("tests/test_tax.py::test_due[a]", "tests/test_tax.py::test_due[b]"),
    still_failing=("tests/test_a.py::test_f",),
    sandbox_only_failures=("tests/test_net.py::test_n",),
    warnings=(SourceWarning(path="src/w.py", line=3, message="cannot be read"),),
    notes=("a budget is used up",),
)
EMPTY = HealReport(
    mode="check", exit_status=0, seconds=0.0, model=ModelUsage(), backend=None, verifications=0
)


def nasty_report(text: str) -> HealReport:
    """A report in which every text that others write is this one."""
    attempt = Attempt(verdict="failed", why=text, code=text, traceback=text)
    stub = StubReport(
        target=text,
        status="unhealed",
        reason=text,
        attempts=(attempt,),
        tests=(text,),
        diff=DIFF + text,
    )
    return replace(
        REPORT,
        model=replace(REPORT.model, name=text),
        backend=text,
        stubs=(stub,),
        healed_tests=(text,),
        still_failing=(text,),
        sandbox_only_failures=(text,),
        warnings=(SourceWarning(path=text, line=1, message=text),),
        notes=(text,),
        patch=text,
    )


def is_clean(text: str) -> bool:
    """Whether a terminal would show the text as it stands."""
    return all(char in "\n\t" or not (ord(char) < 32 or 127 <= ord(char) < 160) for char in text)


# --- cleaning --------------------------------------------------------------------------

CLEANED = [
    ("plain", "a\tb\nc", "a\tb\nc"),
    ("colours", "\x1b[1;31mred\x1b[0m", "red"),
    ("cursor", "\x1b[2J\x1b[Hx\x1b[3A", "x"),
    ("private mode", "\x1b[?25lx", "x"),
    ("title ended by BEL", "\x1b]0;title\x07x", "x"),
    ("link ended by ST", "\x1b]8;;http://x\x1b\\text\x1b]8;;\x1b\\", "text"),
    ("title without end keeps its text", "\x1b]0;title\nx", "0;title\nx"),
    ("one-character sequences", "\x1bcx\x1b7y\x1b(Bz", "xyz"),
    ("8-bit sequences", "\x9b31mx\x9d0;t\x9cy", "xy"),
    ("a lone escape", "x\x1b", "x"),
    ("control characters", "a\x00b\x08c\x7fd\x0be", "abcde"),
    ("carriage returns", "a\r\nb\rc", "a\nbc"),
    ("other line ends", "a\u2028b\u2029c\x85d", "a b cd"),
    ("directions", "a\u202eb\u2066c\ufeff", "abc"),
    ("half a pair", "a\ud800b", "a?b"),
    ("letters of all kinds", "ä語🙂\u0301 \u200d", "ä語🙂\u0301 \u200d"),
]


@pytest.mark.parametrize(
    ("text", "expected"), [row[1:] for row in CLEANED], ids=[row[0] for row in CLEANED]
)
def test_visible(text: str, expected: str) -> None:
    assert visible(text) == expected
    assert visible(expected) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [("a\nb", "a b"), (" a \r\n\t b ", "a b"), ("a\rb\x0cc\x85d", "a b c d"), ("\x1b[0m", "")],
    ids=repr,
)
def test_one_line(text: str, expected: str) -> None:
    assert one_line(text) == expected


@given(
    st.text(alphabet=st.one_of(st.sampled_from("\x1b[]\\0;m\x07\x9b\x9d\n\rP"), st.characters()))
)
def test_nothing_gets_through(text: str) -> None:
    assert is_clean(visible(text))
    assert one_line(text).splitlines() in ([], [one_line(text)])


@given(st.text(), st.integers(1, 40))
def test_cutting_keeps_to_the_width(text: str, width: int) -> None:
    text = one_line(text)
    assert cells(cut(text, width)) <= width
    if cells(text) <= width:
        assert cut(text, width) == text


def test_wide_letters_are_two_columns() -> None:
    assert cells("日本a\u0301") == 5
    assert cut("日本語", 4) == "日…"
    assert cut("日本語", 5) == "日本…"


# --- JSON ------------------------------------------------------------------------------


def test_json_is_what_the_contract_says() -> None:
    values = as_json(REPORT)
    assert list(values) == [
        "schema", "mode", "exit_status", "seconds", "model", "sandbox", "stubs", "tests",
        "patch", "warnings", "notes", "planning_seconds",
    ]  # fmt: skip
    assert {key: values[key] for key in list(values)[:6]} == {
        "schema": 1,
        "mode": "apply",
        "exit_status": 1,
        "seconds": 3.2,
        "model": {
            "name": "gpt-x",
            "requests": 3,
            "input_tokens": 1200,
            "output_tokens": 340,
            "cached_tokens": 0,
            "reasoning_tokens": 0,
            "cost": None,
            "stored_replies": 0,
            "models": [],
        },
        "sandbox": {"backend": "docker", "verifications": 4},
    }
    assert values["stubs"][0] == {
        "target": "src/tax.py::TaxTable.due",
        "status": "healed",
        "reason": None,
        "attempts": [
            {
                "verdict": "failed",
                "by": "model",
                "why": "assert 1 == 2",
                "seconds": 0.412,
                "asking_seconds": 1.5,
                "input_tokens": 500,
                "output_tokens": 40,
                "number": 1,
                "strategy": "first",
                "model": "gpt-x",
            },
            {
                "verdict": "passed",
                "by": "model",
                "why": None,
                "seconds": 0.3,
                "asking_seconds": 0.0,
                "input_tokens": 0,
                "output_tokens": 0,
                "number": 2,
                "strategy": "second-model",
                "model": "gpt-xl",
            },
        ],
        "tests": ["tests/test_tax.py::test_due[a]", "tests/test_tax.py::test_due[b]"],
        "diff": DIFF,
    }
    assert values["stubs"][1]["reason"] == "attempts used up"
    assert values["tests"] == {
        "healed": ["tests/test_tax.py::test_due[a]", "tests/test_tax.py::test_due[b]"],
        "still_failing": ["tests/test_a.py::test_f"],
        "sandbox_only": ["tests/test_net.py::test_n"],
    }
    assert values["patch"] is None
    assert values["warnings"] == [{"path": "src/w.py", "line": 3, "message": "cannot be read"}]
    assert values["notes"] == ["a budget is used up"]


def test_json_of_a_run_with_nothing_to_heal() -> None:
    values = as_json(EMPTY)
    assert (values["stubs"], values["patch"]) == ([], None)
    assert values["sandbox"] == {"backend": None, "verifications": 0}
    assert as_json(replace(EMPTY, patch="selfheal.patch"))["patch"] == "selfheal.patch"


def test_reasons_are_one_line() -> None:
    stub = as_json(nasty_report(NASTY))["stubs"][0]
    expected = 'red <script>alert("1")</script> & two Target: x?'
    assert (stub["reason"], stub["attempts"][0]["why"]) == (expected, expected)
    blank = as_json(nasty_report(" \n"))["stubs"][0]
    assert (blank["reason"], blank["attempts"][0]["why"]) == (None, None)


@settings(max_examples=50)
@given(st.text(alphabet=st.characters(codec=None)))
def test_json_survives_any_text(text: str) -> None:
    values = as_json(nasty_report(text))
    assert json.loads(json.dumps(values)) == values
    assert is_clean(values["stubs"][0]["diff"])
    assert is_clean(values["stubs"][0]["reason"] or "")


Writer = Callable[[HealReport, Path], None]
WRITERS = [(write_json, "r.json"), (write_html, "r.html")]


@pytest.mark.parametrize(("write", "name"), WRITERS, ids=["json", "html"])
def test_writing_makes_folders_and_leaves_nothing_else(
    tmp_path: Path, write: Writer, name: str
) -> None:
    path = tmp_path / "new folder" / "inner" / name
    write(EMPTY, path)
    first = path.read_bytes()
    write(nasty_report(NASTY), path)
    assert path.read_bytes() != first
    assert list(path.parent.iterdir()) == [path]
    if name.endswith("json"):
        assert json.loads(path.read_text("ascii")) == as_json(nasty_report(NASTY))
    else:
        assert path.read_text("utf-8") == as_html(nasty_report(NASTY))


@pytest.mark.parametrize(("write", "name"), WRITERS, ids=["json", "html"])
def test_a_path_that_cannot_be_written(tmp_path: Path, write: Writer, name: str) -> None:
    (tmp_path / "file").write_text("kept")
    kind = name[2:].upper()
    message = rf"^the {kind} report cannot be written to '.*{name}': .+; choose another path$"
    with pytest.raises(SelfHealError, match=message):
        write(REPORT, tmp_path / "file" / name)
    (tmp_path / name).mkdir()
    with pytest.raises(SelfHealError, match=message):
        write(REPORT, tmp_path / name)
    assert sorted(item.name for item in tmp_path.iterdir()) == ["file", name]


@pytest.mark.skipif(os.name == "nt", reason="links need a privilege there")
def test_a_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "link.json").symlink_to(tmp_path / "real.json")
    write_json(EMPTY, tmp_path / "link.json")
    assert (tmp_path / "link.json").is_symlink()
    assert json.loads((tmp_path / "real.json").read_text())["schema"] == 1


# --- HTML ------------------------------------------------------------------------------


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


# --- the terminal ----------------------------------------------------------------------


def texts(report: HealReport, verbosity: int = 0) -> list[str]:
    return [text for text, _ in summary_lines(report, verbosity)]


def test_the_summary() -> None:
    assert texts(REPORT) == [
        "healed    src/tax.py::TaxTable.due  (2 attempts, second model gpt-xl, 2 tests)",
        "unhealed  src/a.py::f",
        "          attempts used up",
        "unreached src/b.py::g",
        "rejected  src/c.py::h",
        "          a cheat was seen",
        "skipped   src/d.py::i",
        "          the reviewer said no",
        "still failing: tests/test_a.py::test_f",
        "fails only in the sandbox: tests/test_net.py::test_n",
        "warning: src/w.py:3: cannot be read",
        "note: a budget is used up",
        "selfheal apply: 1 healed, 1 unhealed, 1 rejected, 1 unreached, 1 skipped; "
        "3 requests to gpt-x (1200 tokens in, 340 out); 4 verifications in docker in 3.2s",
    ]


def test_the_summary_at_v_has_attempts_and_diffs() -> None:
    lines = dict(summary_lines(REPORT, 1))
    assert "          attempt 1 failed (0.41s): assert 1 == 2" in lines
    assert "          attempt 2 passed (0.30s, second model gpt-xl)" in lines
    assert lines["--- a/src/tax.py"] == {"bold": True}
    assert lines["@@ -1 +1 @@"] == {"cyan": True}
    assert lines["-def due(): ..."] == {"red": True}
    assert lines["+def due(): return '<1>'"] == {"green": True}


@pytest.mark.parametrize("verbosity", [-1, -2])
def test_the_summary_at_q_is_one_line(verbosity: int) -> None:
    assert texts(REPORT, verbosity) == texts(REPORT)[-1:]


TOTALS = [
    (EMPTY, "selfheal check: nothing to heal in 0.0s", {"yellow": True}),
    (
        replace(EMPTY, stubs=(StubReport(target="a.py::f", status="unhealed"),)),
        "selfheal check: 1 unhealed in 0.0s",
        {"red": True},
    ),
    (
        replace(
            EMPTY,
            mode="propose",
            verifications=1,
            backend="landlock",
            model=ModelUsage(requests=1, input_tokens=5, output_tokens=6),
            stubs=(StubReport(target="a.py::f", status="healed"),),
        ),
        "selfheal propose: 1 healed; 1 request (5 tokens in, 6 out); 1 verification in landlock"
        " in 0.0s",
        {"green": True},
    ),
    (
        replace(
            EMPTY,
            model=ModelUsage(
                name="s",
                requests=4,
                input_tokens=9,
                output_tokens=8,
                models=(
                    ModelUsage(name="s", requests=3, input_tokens=5, output_tokens=6),
                    ModelUsage(name="l", requests=1, input_tokens=4, output_tokens=2, cost=0.5),
                ),
            ),
            stubs=(StubReport(target="a.py::f", status="healed"),),
        ),
        "selfheal check: 1 healed; 3 requests to s (5 tokens in, 6 out); "
        "1 request to l (4 tokens in, 2 out, $0.5000) in 0.0s",
        {"green": True},
    ),
]


@pytest.mark.parametrize(
    ("report", "text", "markup"), TOTALS, ids=["nothing", "unhealed", "all-healed", "two-models"]
)
def test_totals(report: HealReport, text: str, markup: dict[str, bool]) -> None:
    assert summary_lines(report, 0)[-1] == (text, markup)


def test_check_lists_what_is_unhealed() -> None:
    stub = StubReport(target="a.py::f", status="unhealed", tests=("t.py::test_a",))
    line = "unhealed  a.py::f  (1 test)"
    assert texts(replace(EMPTY, stubs=(stub,)))[0] == line
    assert texts(replace(EMPTY, stubs=(stub,)), -1)[0] == line
    assert texts(replace(EMPTY, stubs=(stub,)), -2) == ["selfheal check: 1 unhealed in 0.0s"]


@pytest.mark.parametrize(
    ("path", "command"),
    [
        ("out.patch", "git apply out.patch"),
        ("my out.patch", "git apply 'my out.patch'"),
        ("my out.mbox", "git am 'my out.mbox'"),
    ],
    ids=repr,
)
def test_the_patch_and_how_to_apply_it(path: str, command: str) -> None:
    line = f"patch: {path} (apply it from the rootdir with: {command})"
    assert line in texts(replace(EMPTY, mode="propose", patch=path))


def test_long_lists_of_tests_are_cut_and_say_so() -> None:
    report = replace(EMPTY, still_failing=tuple(f"t.py::test_{number}" for number in range(25)))
    assert "still failing: t.py::test_0, and 24 more" in texts(report)
    assert len([line for line in texts(report, 1) if line.startswith("still failing")]) == 25
    assert len(texts(report, 1)) == 26


def test_every_status_has_its_colours() -> None:
    assert set(STATUSES) == set(get_args(Status))


@settings(max_examples=50)
@given(st.text(alphabet=st.characters(codec=None)))
def test_the_summary_shows_one_clean_line_each(text: str) -> None:
    for line in texts(nasty_report(text), 1):
        assert is_clean(line)
        assert "\n" not in line


@pytest.mark.parametrize("verbosity", [-1, 0, 1])
def test_it_is_written_in_pytests_own_manner(pytestconfig: Any, verbosity: int) -> None:
    from _pytest.terminal import TerminalReporter

    stream = io.StringIO()
    write_summary(TerminalReporter(pytestconfig, stream), nasty_report(NASTY), verbosity)
    text = stream.getvalue()
    assert bool(re.match(r"=+ selfheal =+\n", text)) == (verbosity >= 0)
    assert is_clean(text)
    assert text.endswith(f"{texts(nasty_report(NASTY))[-1]}\n")
