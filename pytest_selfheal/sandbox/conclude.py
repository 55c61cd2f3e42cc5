"""From what came back out of a sandbox to an outcome. Pure: records in, record out.

`completed` means only that the session ran to its end in order; whether its tests are
green is for each result to say. A test is `passed` only if setup, call and teardown were
each seen to pass, with all their subtests; whatever was asked for and not seen is
`unfinished`.
"""

from __future__ import annotations

import signal
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from pytest_selfheal.records import Ending, Job, Limits, Outcome, Phase, RunOutcome, TestResult
from pytest_selfheal.sandbox.names import CHECKS, PLANTED

_PHASES: tuple[Phase, ...] = ("setup", "call", "teardown")
_WORST_FIRST: tuple[Outcome, ...] = ("failed", "skipped", "xfailed", "xpassed", "passed")


def conclude(
    answer: Mapping[str, Any], job: Job, limits: Limits, *, kill_means_memory: bool
) -> RunOutcome:
    """Conclude an outcome from the supervisor's answer.

    Args:
        answer: What `inside.run` gave.
        job: What was asked.
        limits: What the sandbox was allowed, for the wording.
        kill_means_memory: The sandbox ends a process over its memory limit with
            SIGKILL and keeps no count of it.
    """
    known = frozenset(each.key for each in job.watch)
    records = _with_known_keys(answer["lines"], known)
    running = _running(records)
    if running is not None:
        # What it entered before it ended its process, or was ended, it could not tell.
        records.append(_entered_by(running, _known(answer["marked"], known)))
    results = _results(records, job, _known(answer["alone"], known))
    ending, why = _ending(answer, records, results, limits, kill_means_memory)
    results = [each for each in results if _own_name(each.nodeid) != PLANTED]
    ended_early = ending == "completed" and any(_of(records, "decided"))
    if ended_early:
        ending, why = _early_ending(job, results)
    return RunOutcome(
        ending=ending,
        why=why,
        results=tuple(results),
        output="" if ending == "completed" else answer["output"],
        was_in_controls=ending in ("timeout", "crashed", "out-of-memory")
        and _is_in_controls(records),
        ended_early=ended_early,
        not_run=_not_run(records) if ended_early else frozenset(),
    )


def _early_ending(job: Job, results: Iterable[TestResult]) -> tuple[Ending, str]:
    """A run that ended early was allowed to, and a test failed in it."""
    if job.early_end is None:
        return "untrusted", "the run ended early, which nobody had asked for"
    if not any(each.outcome == "failed" and not each.is_check for each in results):
        return "untrusted", "the run ended early, and no test had failed"
    return "completed", ""


def _not_run(records: Sequence[dict[str, Any]]) -> frozenset[str]:
    """The tests that were collected, and of which nothing more was seen."""
    collected = {nodeid for each in _of(records, "collected") for nodeid in each["ids"]}
    seen = {each["id"] for each in records if each["kind"] in ("start", "report")}
    return frozenset(collected - seen)


def _is_in_controls(records: Sequence[dict[str, Any]]) -> bool:
    return any(_of(records, "controls")) and not any(_of(records, "controlled"))


def _with_known_keys(
    records: Sequence[dict[str, Any]], known: frozenset[str]
) -> list[dict[str, Any]]:
    """The records without anything that was entered and not watched.

    What is entered is told by processes in which the candidate lives as well.
    """
    return [
        {**each, "entered": _known(each["entered"], known)} if "entered" in each else each
        for each in records
    ]


def _entered_by(nodeid: str, keys: Sequence[str]) -> dict[str, Any]:
    return {"kind": "report", "id": nodeid, "when": None, "outcome": None, "entered": keys}


def _known(entered: Any, known: frozenset[str]) -> Any:
    if isinstance(entered, dict):
        return {nodeid: _known(list(keys), known) for nodeid, keys in entered.items()}
    return [key for key in entered if key in known]


def _results(
    records: Sequence[dict[str, Any]], job: Job, alone: Mapping[str, Sequence[str]]
) -> list[TestResult]:
    collected = [nodeid for each in _of(records, "collected") for nodeid in each["ids"]]
    reports: dict[str, list[dict[str, Any]]] = {nodeid: [] for nodeid in collected}
    for each in _of(records, "report"):
        reports.setdefault(each["id"], []).append(each)
    imported = _entered_at_import(records)
    cases = {
        nodeid: tuple(case.items())
        for each in _of(records, "collected")
        for nodeid, case in each.get("cases", {}).items()
    }
    results = [
        replace(_result(nodeid, seen, imported, alone.get(nodeid, ())), case=cases.get(nodeid, ()))
        for nodeid, seen in reports.items()
    ]
    broken = {each["id"]: each for each in _of(records, "collect")}
    for path, each in broken.items():
        results.extend(_broken(each, nodeid) for nodeid in _names_of_broken(path, job))
    results.extend(_folders(job, results, broken))
    if any(_of(records, "collected")):
        results.extend(_without_tests(job, broken, imported))
    results.extend(
        TestResult(
            nodeid=nodeid,
            outcome="unfinished",
            phase="collect",
            longrepr="this test was not collected",
        )
        for nodeid in job.nodes
        if "::" in nodeid
        and nodeid not in reports
        and not any(_is_below(nodeid.partition("::")[0], path) for path in broken)
    )
    return results


def _broken(record: Mapping[str, Any], nodeid: str) -> TestResult:
    return TestResult(
        nodeid=nodeid,
        outcome="failed",
        phase="collect",
        longrepr=record["longrepr"],
        exception=record["exception"],
        entered=tuple(record["entered"]),
    )


def _names_of_broken(path: str, job: Job) -> list[str]:
    """What was asked for of a file, or a folder, that could not be collected."""
    if any(node.partition("::")[0] == path for node in job.nodes):
        return [path]
    return [node for node in job.nodes if _is_below(node.partition("::")[0], path)] or [path]


def _folders(
    job: Job, results: Sequence[TestResult], broken: Mapping[str, Any]
) -> Iterator[TestResult]:
    """Folders that were asked for, since they could not be collected, and that now can."""
    for node in job.nodes:
        if "::" in node or node in broken:
            continue  # looked at first: of tests there may be thousands
        below = [each for each in results if each.nodeid != node and _is_below(each.nodeid, node)]
        if below:
            keys = dict.fromkeys(key for each in below for key in each.entered)
            yield TestResult(nodeid=node, outcome="passed", phase="collect", entered=tuple(keys))


def _without_tests(
    job: Job, broken: Mapping[str, Any], imported: Mapping[str, tuple[str, ...]]
) -> Iterator[TestResult]:
    """Files that could not be collected before, that now can, and that hold no test."""
    for node in job.without_tests:
        if not any(_is_below(node, path) for path in broken):
            keys = imported.get(node, ())
            yield TestResult(nodeid=node, outcome="passed", phase="collect", entered=keys)


def _is_below(file: str, path: str) -> bool:
    return path in (file, ".", "") or file.startswith(f"{path}/")


def _result(
    nodeid: str,
    reports: Sequence[dict[str, Any]],
    imported: Mapping[str, tuple[str, ...]],
    alone: Sequence[str],
) -> TestResult:
    at_import = imported.get(nodeid.partition("::")[0], ())
    own = (key for each in reports for key in each["entered"])
    entered = tuple(dict.fromkeys([*at_import, *own]))
    is_check = _own_name(nodeid) == CHECKS
    opened = tuple(dict.fromkeys(path for each in reports for path in each.get("opened", ())))
    for phase in _PHASES:
        seen = [each for each in reports if each["when"] == phase]
        outcome = _outcome(seen)
        if outcome == "passed":
            continue
        if outcome in ("failed", "unfinished") and not entered:
            # What others cached, or a module that another file imported first.
            entered = tuple(alone) or imported.get("", ())
        elif outcome in ("failed", "unfinished"):
            entered = tuple(dict.fromkeys([*entered, *alone]))
        told = [each for each in seen if each["outcome"] == outcome]
        return TestResult(
            nodeid=nodeid,
            outcome=outcome,
            phase=phase,
            longrepr=_longrepr(told),
            exception=next((name for each in told if (name := each.get("exception"))), ""),
            entered=entered,
            opened=opened,
            is_check=is_check,
        )
    return TestResult(
        nodeid=nodeid, outcome="passed", entered=entered, opened=opened, is_check=is_check
    )


def _outcome(reports: Sequence[dict[str, Any]]) -> Outcome:
    """A phase's outcome: the worst of its reports, be they of subtests or of a second try.

    A phase of which nothing but subtests was seen has not ended.
    """
    if all("subtest" in each for each in reports):
        return "unfinished"
    found: set[Outcome] = {each["outcome"] for each in reports}
    return next((each for each in _WORST_FIRST if each in found), "unfinished")


def _longrepr(reports: Sequence[dict[str, Any]]) -> str:
    """What the reports say, subtests under their names, each text once."""
    texts: dict[str, None] = {}
    for each in reports:
        text = each.get("longrepr", "")
        if text and "subtest" in each:
            text = f"----- subtest {each['subtest']} -----\n{text}"
        if text:
            texts.setdefault(text)
    more = sum("subtest" in each and not each.get("longrepr") for each in reports)
    if more:
        texts.setdefault(f"----- and {more} more failing subtests -----")
    return "\n\n".join(texts)


def _entered_at_import(records: Sequence[dict[str, Any]]) -> dict[str, tuple[str, ...]]:
    """Functions entered while a test file was imported, by file; under "" all of them."""
    by_file: dict[str, dict[str, None]] = {"": {}}
    for each in _of(records, "imported"):
        for nodeid, keys in each["entered"].items():
            by_file.setdefault(nodeid.partition("::")[0], {}).update(dict.fromkeys(keys))
            by_file[""].update(dict.fromkeys(keys))
    return {path: tuple(keys) for path, keys in by_file.items()}


def _ending(
    answer: Mapping[str, Any],
    records: Sequence[dict[str, Any]],
    results: Sequence[TestResult],
    limits: Limits,
    kill_means_memory: bool,
) -> tuple[Ending, str]:
    running = _running(records)
    where = f" in {running}" if running else ""
    if not answer["honest"]:
        return "untrusted", "something other than the tests' own records was in their pipe"
    if answer["changed"]:
        return "untrusted", f"the run changed {answer['changed'][0]}, which judges it"
    tampered = next(_of(records, "tampered"), None)
    if tampered is not None:
        return "untrusted", str(tampered["what"])[:200]
    if answer["timed_out"]:
        return "timeout", f"no verdict within {limits.timeout_seconds:g} s{where}"
    if answer["flooded"]:
        return "crashed", "the tests' records went over their bound"
    if answer["signal"] is not None:
        return _killed(answer, limits, where, kill_means_memory)
    session = next(_of(records, "session"), None)
    if session is None or next(_of(records, "end"), None) is None:
        if not running:
            return "crashed", f"pytest did not get to the tests: {_last_line(answer['output'])}"
        return "crashed", f"the process ended itself with exit status {answer['exit']}{where}"
    planted = [each for each in results if _own_name(each.nodeid) == PLANTED]
    if any(each.outcome != "failed" for each in planted):
        return "untrusted", "a test planted to fail was not reported as failed"
    if session["status"] not in (0, 1, 2, 5):
        return "crashed", (
            f"pytest ended with exit status {session['status']}: {_last_line(answer['output'])}"
        )
    return "completed", ""


def _killed(
    answer: Mapping[str, Any], limits: Limits, where: str, kill_means_memory: bool
) -> tuple[Ending, str]:
    number = answer["signal"]
    if number == signal.SIGKILL and (
        answer["oom"] or (answer["oom"] is None and kill_means_memory)
    ):
        return "out-of-memory", f"more than {limits.memory_bytes // 2**20} MiB of memory{where}"
    try:
        name = signal.Signals(number).name
    except ValueError:
        name = f"signal {number}"
    return "crashed", f"killed by {name}{where}"


def _running(records: Sequence[dict[str, Any]]) -> str | None:
    """The test that was started and not seen to its teardown."""
    started: str | None = None
    for each in records:
        if each["kind"] == "start":
            started = each["id"]
        elif each["kind"] == "report" and each["when"] == "teardown":
            started = None
    return started


def _of(records: Iterable[dict[str, Any]], kind: str) -> Iterator[dict[str, Any]]:
    return (each for each in records if each["kind"] == kind)


def _own_name(nodeid: str) -> str:
    return nodeid.rpartition("::")[2]


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:200] if lines else "nothing was printed"
