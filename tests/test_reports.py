"""What people and machines read: the JSON report, the terminal's summary, writing both down."""

from __future__ import annotations

import io
import json
import os
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_selfheal.errors import SelfHealError
from pytest_selfheal.records import (
    HealReport,
    ModelUsage,
    Status,
    StubReport,
)
from pytest_selfheal.report._text import cells, cut, one_line, visible
from pytest_selfheal.report.html_report import as_html, write_html
from pytest_selfheal.report.json_report import as_json, write_json
from pytest_selfheal.report.summary import STATUSES, summary_lines, write_summary
from tests.sample_reports import DIFF, EMPTY, NASTY, REPORT, is_clean, nasty_report

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
            "uncounted_requests": 0,
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


def test_of_many_unreached_stubs_a_few_are_named() -> None:
    stubs = [StubReport(target=f"a.py::f{n}", status="unreached") for n in range(8)]
    stubs.insert(6, StubReport(target="b.py::g", status="healed"))
    report = replace(EMPTY, stubs=tuple(stubs))
    named = [f"unreached a.py::f{n}" for n in range(5)]
    assert texts(report)[:-1] == [*named, "healed    b.py::g", "unreached 3 more (-v names them)"]
    assert [line for line in texts(report, 1) if "more" in line] == []


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
