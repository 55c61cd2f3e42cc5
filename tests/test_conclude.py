"""What is concluded from a sandbox's records, above all from records that lack something."""

from __future__ import annotations

import signal
from typing import Any, ClassVar

import pytest

from pytest_selfheal.records import EarlyEnd, Job, Limits, RunOutcome, Watch
from pytest_selfheal.sandbox.conclude import conclude
from pytest_selfheal.sandbox.inside_tests import CHECKS as CHECKS_INSIDE
from pytest_selfheal.sandbox.inside_tests import PLANTED as PLANTED_INSIDE
from pytest_selfheal.sandbox.names import CHECKS, PLANTED

TEST = "t.py::test_a"


def report(when: str, outcome: str = "passed", nodeid: str = TEST, **more: Any) -> dict[str, Any]:
    return {
        "kind": "report", "id": nodeid, "when": when, "outcome": outcome, "entered": [], **more,
    }  # fmt: skip


COLLECTED = {"kind": "collected", "ids": [TEST]}
START = {"kind": "start", "id": TEST}
PASSED = [report("setup"), report("call"), report("teardown")]
PLANTED_FAILED = [
    report("setup", nodeid=f"t.py::{PLANTED}"),
    report("call", "failed", nodeid=f"t.py::{PLANTED}"),
    report("teardown", nodeid=f"t.py::{PLANTED}"),
]
END = [{"kind": "session", "status": 1}, {"kind": "end", "status": 1}]
HONEST = [COLLECTED, START, *PASSED, *PLANTED_FAILED, *END]


def concluded(
    lines: list[dict[str, Any]], *, memory: bool = False, job: Job | None = None, **answer: Any
) -> RunOutcome:
    given = {
        "signal": None, "exit": 0, "timed_out": False, "oom": None, "lines": lines, "honest": True,
        "flooded": False, "output": "", "changed": [], "alone": {}, "marked": [],
        **answer,
    }  # fmt: skip
    watch = tuple(Watch(key=f"m.py::{name}", path="m.py", first_line=1) for name in "fg")
    job = job or Job(nodes=(TEST,), watch=watch)
    return conclude(given, job, Limits(), kill_means_memory=memory)


def test_an_honest_run_is_completed_and_green() -> None:
    outcome = concluded(HONEST)
    assert outcome.ending == "completed"
    assert [(each.nodeid, each.outcome) for each in outcome.results] == [(TEST, "passed")]


@pytest.mark.parametrize("missing", ["setup", "call", "teardown"])
def test_a_phase_that_was_not_seen_is_no_pass(missing: str) -> None:
    lines = [each for each in PASSED if each["when"] != missing]
    (result,) = concluded([COLLECTED, START, *lines, *PLANTED_FAILED, *END]).results
    assert (result.outcome, result.phase) == ("unfinished", missing)


@pytest.mark.parametrize("when", ["setup", "call", "teardown"])
def test_a_failure_in_any_phase_is_one(when: str) -> None:
    lines = [{**each, "outcome": "failed"} if each["when"] == when else each for each in PASSED]
    (result,) = concluded([COLLECTED, *lines, *PLANTED_FAILED, *END]).results
    assert (result.outcome, result.phase) == ("failed", when)


@pytest.mark.parametrize("outcome", ["skipped", "xfailed", "xpassed"])
def test_what_is_not_passed_is_told_as_it_is(outcome: str) -> None:
    lines = [report("setup"), report("call", outcome), report("teardown")]
    (result,) = concluded([COLLECTED, *lines, *PLANTED_FAILED, *END]).results
    assert result.outcome == outcome


@pytest.mark.parametrize(
    ("lines", "answer", "ending", "why"),
    [
        pytest.param(HONEST, {"honest": False}, "untrusted", "in their pipe", id="forged-line"),
        pytest.param(
            HONEST, {"changed": ["conftest.py"]}, "untrusted", "changed conftest.py", id="judge"
        ),
        pytest.param(
            [COLLECTED, START], {"timed_out": True, "signal": 9}, "timeout", TEST, id="timeout"
        ),
        pytest.param(
            [COLLECTED, START], {"signal": 9, "oom": True}, "out-of-memory", "512 MiB", id="oom"
        ),
        pytest.param(
            [COLLECTED, START], {"signal": 9, "oom": False}, "crashed", "SIGKILL", id="own-sigkill"
        ),
        pytest.param(
            [COLLECTED, START],
            {"signal": int(signal.SIGSEGV)},
            "crashed",
            f"SIGSEGV in {TEST}",
            id="segfault",
        ),
        pytest.param(
            [COLLECTED, START, report("setup")],
            {"exit": 0},
            "crashed",
            f"exit status 0 in {TEST}",
            id="exit-0",
        ),
        pytest.param(
            HONEST[:-1], {"exit": 0}, "crashed", "did not get to the tests", id="no-end-record"
        ),
        pytest.param([*HONEST[:-2], END[1]], {}, "crashed", "", id="session-was-not-closed"),
        pytest.param(
            [COLLECTED, *PASSED, *[{**each, "outcome": "passed"} for each in PLANTED_FAILED], *END],
            {},
            "untrusted",
            "planted",
            id="planted-test-reported-as-passed",
        ),
        pytest.param(
            [COLLECTED, *PASSED, PLANTED_FAILED[0], *END], {}, "untrusted", "planted", id="unseen"
        ),
        pytest.param(
            [{"kind": "session", "status": 4}, {"kind": "end", "status": 4}],
            {"output": "ERROR: no such option\n"},
            "crashed",
            "exit status 4: ERROR: no such option",
            id="usage-error",
        ),
        pytest.param(HONEST, {"flooded": True}, "crashed", "bound", id="flood"),
    ],
)
def test_endings(
    lines: list[dict[str, Any]], answer: dict[str, Any], ending: str, why: str
) -> None:
    outcome = concluded(lines, **answer)
    assert outcome.ending == ending
    assert why in outcome.why


def test_a_kill_means_memory_where_nothing_counts_it() -> None:
    lines = [COLLECTED, START]
    assert concluded(lines, signal=9).ending == "crashed"
    assert concluded(lines, signal=9, memory=True).ending == "out-of-memory"


def of_subtest(outcome: str, name: str = "[a]", **more: Any) -> dict[str, Any]:
    return report("call", outcome, subtest=name, **more)


class TestSeveralReportsOfOnePhase:
    """The worst of them is the test's, in whatever order they come."""

    @pytest.mark.parametrize("main", ["passed", "failed", "skipped"])
    @pytest.mark.parametrize("before", [True, False])
    def test_a_failed_subtest_fails_its_test(self, main: str, before: bool) -> None:
        calls = [of_subtest("failed", longrepr="E   why"), report("call", main)]
        seen = [report("setup"), *(calls if before else calls[::-1]), report("teardown")]
        (result,) = concluded([COLLECTED, *seen, *PLANTED_FAILED, *END]).results
        assert (result.outcome, result.phase) == ("failed", "call")
        assert "----- subtest [a] -----\nE   why" in result.longrepr

    def test_a_second_try_does_not_undo_the_first(self) -> None:
        first = [report("setup"), report("call", "failed", longrepr="E   why")]
        (result,) = concluded([COLLECTED, *first, *PASSED, *PLANTED_FAILED, *END]).results
        assert (result.outcome, result.longrepr) == ("failed", "E   why")

    def test_subtests_alone_are_no_end_of_the_test(self) -> None:
        seen = [report("setup"), of_subtest("skipped"), report("teardown")]
        (result,) = concluded([COLLECTED, *seen, *PLANTED_FAILED, *END]).results
        assert (result.outcome, result.phase) == ("unfinished", "call")

    def test_a_skipped_subtest_is_no_pass(self) -> None:
        seen = [report("setup"), of_subtest("skipped"), *PASSED[1:]]
        (result,) = concluded([COLLECTED, *seen, *PLANTED_FAILED, *END]).results
        assert result.outcome == "skipped"

    def test_of_many_failing_subtests_the_rest_is_counted(self) -> None:
        calls = [of_subtest("failed", longrepr="E   why"), of_subtest("failed", "[b]")]
        seen = [report("setup"), *calls, *PASSED[1:]]
        (result,) = concluded([COLLECTED, *seen, *PLANTED_FAILED, *END]).results
        assert "and 1 more failing subtests" in result.longrepr


def test_what_is_not_watched_was_not_entered() -> None:
    """Keys come from where the candidate runs, and the board looks stubs up by them."""
    seen = [report("setup"), report("call", "failed"), report("teardown")]
    seen[1]["entered"] = ["m.py::f", "forged"]
    (result,) = concluded([COLLECTED, *seen, *PLANTED_FAILED, *END]).results
    assert result.entered == ("m.py::f",)
    seen[1]["entered"] = ["forged"]
    alone = {TEST: ["forged", "m.py::g"]}
    (result,) = concluded([COLLECTED, *seen, *PLANTED_FAILED, *END], alone=alone).results
    assert result.entered == ("m.py::g",)


def test_what_a_test_entered_that_ended_its_process_is_read_off_from_outside() -> None:
    lines = [COLLECTED, START, report("setup")]
    outcome = concluded(lines, exit=3, marked=["m.py::f", "forged"])
    assert outcome.ending == "crashed"
    (result,) = outcome.results
    assert (result.outcome, result.phase, result.entered) == ("unfinished", "call", ("m.py::f",))


class TestFunctionsEnteredAtImport:
    IMPORTED: ClassVar = {
        "kind": "imported",
        "entered": {"t.py": {"m.py::f": None}, "u.py": {"m.py::g": None}},
    }

    def entered(self, imported: dict[str, Any], outcome: str) -> tuple[str, ...]:
        seen = [report("setup"), report("call", outcome), report("teardown")]
        (result,) = concluded([COLLECTED, imported, *seen, *PLANTED_FAILED, *END]).results
        return result.entered

    @pytest.mark.parametrize("outcome", ["passed", "failed"])
    def test_belong_to_every_test_of_the_file(self, outcome: str) -> None:
        assert self.entered(self.IMPORTED, outcome) == ("m.py::f",)

    def test_of_other_files_explain_a_failure_that_entered_none(self) -> None:
        imported = {"kind": "imported", "entered": {"u.py": {"m.py::g": None}}}
        assert self.entered(imported, "failed") == ("m.py::g",)
        assert self.entered(imported, "passed") == ()


def test_the_names_inside_are_the_names_outside() -> None:
    assert (CHECKS_INSIDE, PLANTED_INSIDE) == (CHECKS, PLANTED)


class TestRunsThatEndEarly:
    DECIDED: ClassVar = {"kind": "decided"}
    FAILED: ClassVar = [report("setup"), report("call", "failed"), report("teardown")]
    BOTH: ClassVar = {"kind": "collected", "ids": [TEST, "t.py::test_b"]}

    def job(self) -> Job:
        early_end = EarlyEnd(keys=frozenset({"m.py::f"}), shown=12)
        return Job(nodes=(TEST, "t.py::test_b"), early_end=early_end)

    def test_what_was_left_out_is_named_and_not_green(self) -> None:
        lines = [self.BOTH, START, *self.FAILED, self.DECIDED, *PLANTED_FAILED, *END]
        outcome = concluded(lines, job=self.job())
        assert (outcome.ending, outcome.ended_early) == ("completed", True)
        assert outcome.not_run == {"t.py::test_b"}
        assert [each.outcome for each in outcome.results] == ["failed", "unfinished"]

    def test_nobody_had_asked_for_it(self) -> None:
        lines = [COLLECTED, START, *self.FAILED, self.DECIDED, *PLANTED_FAILED, *END]
        outcome = concluded(lines)
        assert (outcome.ending, outcome.not_run) == ("untrusted", frozenset())
        assert "nobody had asked for" in outcome.why

    @pytest.mark.parametrize("rest", [[], [report("setup", nodeid="t.py::test_b")]])
    def test_nothing_had_failed(self, rest: list[dict[str, Any]]) -> None:
        lines = [self.BOTH, START, *PASSED, *rest, self.DECIDED, *PLANTED_FAILED, *END]
        outcome = concluded(lines, job=self.job())
        assert outcome.ending == "untrusted"
        assert "no test had failed" in outcome.why

    def test_a_failing_check_decides_nothing(self) -> None:
        check = [{**each, "id": f"t.py::{CHECKS}"} for each in self.FAILED]
        lines = [COLLECTED, START, *PASSED, *check, self.DECIDED, *PLANTED_FAILED, *END]
        assert concluded(lines, job=self.job()).ending == "untrusted"

    def test_one_that_crashes_after_that_has_crashed(self) -> None:
        outcome = concluded([self.BOTH, START, *self.FAILED, self.DECIDED], job=self.job(), exit=3)
        assert (outcome.ending, outcome.ended_early) == ("crashed", False)
        assert outcome.not_run == frozenset()
