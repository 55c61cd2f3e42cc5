"""From an outcome to a verdict on a candidate."""

from __future__ import annotations

import pytest

from pytest_selfheal.healing.judge import MAX_TRACEBACKS, judge, last_error_line, tracebacks
from pytest_selfheal.records import Ending, Outcome, RunOutcome, TestResult, Verdict


def result(name: str, outcome: Outcome = "passed", **more: object) -> TestResult:
    return TestResult(nodeid=name, outcome=outcome, **more)  # type: ignore[arg-type]


def verdict(*results: TestResult, ending: Ending = "completed", further: str = "") -> Verdict:
    outcome = RunOutcome(ending=ending, why="why", results=results)
    return judge(outcome, ["t::a", "t::b"], lambda each: each.nodeid == further).verdict


@pytest.mark.parametrize(
    ("results", "expected"),
    [
        pytest.param([result("t::a"), result("t::b")], "passed", id="all-green"),
        pytest.param([result("t::a"), result("t::b", "failed")], "failed", id="one-red"),
        pytest.param([result("t::a"), result("t::b", "skipped")], "failed", id="skipped"),
        pytest.param([result("t::a"), result("t::b", "xfailed")], "failed", id="xfailed"),
        pytest.param([result("t::a"), result("t::b", "xpassed")], "failed", id="xpassed"),
        pytest.param([result("t::a"), result("t::b", "unfinished")], "failed", id="unfinished"),
        pytest.param(
            [result("t::a"), result("t::c", "skipped")], "passed", id="a-skip-nobody-asked-for"
        ),
        pytest.param(
            [result("t::a", "failed", exception="MemoryError")], "out-of-memory", id="MemoryError"
        ),
        pytest.param(
            [result("t::a"), result("t::checks", "failed", is_check=True)],
            "failed",
            id="its-own-checks",
        ),
    ],
)
def test_verdicts_of_completed_runs(results: list[TestResult], expected: Verdict) -> None:
    assert verdict(*results) == expected


@pytest.mark.parametrize("ending", ["timeout", "out-of-memory", "crashed", "untrusted"])
def test_other_endings_are_the_verdict(ending: Ending) -> None:
    assert verdict(result("t::a"), ending=ending) == ending


def test_a_test_that_gets_further_is_not_held_against_it() -> None:
    assert verdict(result("t::a"), result("t::b", "failed"), further="t::b") == "passed"


def test_a_lost_sandbox_is_no_verdict() -> None:
    with pytest.raises(ValueError, match="says nothing of the candidate"):
        verdict(ending="sandbox-failed")


def test_why_counts_and_quotes_the_first() -> None:
    red = result("t::a", "failed", longrepr="t.py:3: in a\n    f()\nE   assert 1 == 2\nE    +  x")
    outcome = RunOutcome(ending="completed", results=(red, result("t::b")))
    judgement = judge(outcome, ["t::a", "t::b"], lambda _: False)
    assert judgement.why == "1 of 2 tests red: t::a: assert 1 == 2"
    assert "t::a" in judgement.traceback
    assert "E    +  x" in judgement.traceback


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("E   ValueError: no\nmore", "ValueError: no"),
        ("a line\nthe last one\n", "the last one"),
        ("", ""),
    ],
)
def test_last_error_line(text: str, line: str) -> None:
    assert last_error_line(text) == line


@pytest.mark.parametrize(
    "text",
    [
        "E   ConnectionRefusedError: [Errno 111] Connection refused",
        "E   socket.gaierror: [Errno -3] Temporary failure in name resolution",
        "E   OSError: [Errno 101] Network is unreachable",
        "E   psycopg.OperationalError: connection failed: could not receive data",
        'E   psycopg2.OperationalError: connection to server at "db", port 5432 failed',
        "E   redis.exceptions.ConnectionError: Error -3 connecting to cache:6379.",
        "E   requests.exceptions.ConnectionError: HTTPSConnectionPool(host='x', port=443)",
        "E   httpx.ConnectError: [Errno -2] Name or service not known",
        "E   urllib3.exceptions.MaxRetryError: HTTPConnectionPool(host='x', port=80)",
        "a.py:3: in f\n    s.connect(a)\nE   PermissionError: [Errno 13] Permission denied",
    ],
)
def test_a_failure_for_want_of_a_network_says_what_to_set(text: str) -> None:
    result = TestResult(nodeid="t.py::t", outcome="failed", longrepr=text)
    judgement = judge(
        RunOutcome(ending="completed", results=(result,)), ["t.py::t"], lambda _: False
    )
    assert judgement.why is not None
    assert judgement.why.endswith("selfheal_docker_network)")


@pytest.mark.parametrize(
    "text",
    [
        "E   AssertionError: assert 'Connection' == 'Refused'",
        "    raise ConnectionRefusedError\nE   ValueError: no",
        "connect\nE   PermissionError: [Errno 13] Permission denied: '/etc/shadow'",
        "E   PermissionError: [Errno 13] Permission denied",
        "E   sqlalchemy.exc.OperationalError: no such table: users",
    ],
)
def test_other_failures_say_nothing_of_it(text: str) -> None:
    result = TestResult(nodeid="t.py::t", outcome="failed", longrepr=text)
    judgement = judge(
        RunOutcome(ending="completed", results=(result,)), ["t.py::t"], lambda _: False
    )
    assert "selfheal_docker_network" not in (judgement.why or "")


def test_of_many_failures_those_of_different_tests_are_told() -> None:
    """In the order in which they ran; the others by name."""
    many = [
        result(f"t.py::a[{n}]", "failed", longrepr=f"E   assert {n} == 0")
        for n in range(2 * MAX_TRACEBACKS)
    ]
    late = result("t.py::b", "failed", longrepr="E   ValueError: of its own")
    told = tracebacks([*many, late])
    assert "ValueError: of its own" in told
    assert told.index("E   assert 0 == 0") < told.index("E   assert 10 == 0")
    assert f"E   assert {MAX_TRACEBACKS - 1} == 0" not in told
    assert f"and {MAX_TRACEBACKS + 1} more: t.py::a[{MAX_TRACEBACKS - 1}], " in told
    assert tracebacks(many[:3]).count("E   assert") == 3


def test_what_was_not_run_is_counted_and_neither_red_nor_green() -> None:
    outcome = RunOutcome(
        ending="completed",
        results=(result("t::a", "failed"), result("t::b"), result("t::c", "unfinished")),
        ended_early=True,
        not_run=frozenset({"t::c"}),
    )
    judgement = judge(outcome, ["t::a", "t::b", "t::c"], lambda _: False)
    assert judgement.why == "1 of 2 tests red (1 more were not run): t::a: failed"
    assert [each.nodeid for each in judgement.red] == ["t::a"]
    assert [each.nodeid for each in judgement.results] == ["t::a", "t::b"]
