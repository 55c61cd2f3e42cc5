"""From a sandbox's outcome to a verdict on a candidate. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from pytest_selfheal.healing.network import needs_network
from pytest_selfheal.model.printed import last_error_line as last_error_line
from pytest_selfheal.records import RunOutcome, TestResult, Verdict
from pytest_selfheal.sandbox.inside_early import function_of

MAX_TRACEBACKS = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What a verification says of a candidate."""

    verdict: Verdict
    why: str | None = None
    traceback: str = ""
    results: tuple[TestResult, ...] = ()
    red: tuple[TestResult, ...] = ()
    """The results that are held against it."""
    ended_early: bool = False
    """Those had decided it: it says so, and nothing of the tests and controls left out."""
    not_run: frozenset[str] = frozenset()
    """These tests, which are in none of the above."""
    printed: str = ""
    """What the process itself printed, where that is in `traceback` too."""


def judge(
    outcome: RunOutcome,
    tests: Sequence[str],
    gets_further: Callable[[TestResult], bool],
    flaky: Collection[str] = (),
) -> Judgement:
    """Judge a candidate.

    Args:
        outcome: What the sandbox gave.
        tests: The node ids that were asked for.
        gets_further: Whether a red test stopped at another stub, so that its failure is
            not held against the candidate.
        flaky: Tests that were red and green with the same code: they say nothing.
    """
    if outcome.ending == "sandbox-failed":
        raise ValueError("a lost sandbox says nothing of the candidate")
    asked = set(tests)
    results = tuple(each for each in outcome.results if each.nodeid not in outcome.not_run)
    red = tuple(
        result
        for result in results
        if not is_green(result, asked) and not gets_further(result) and result.nodeid not in flaky
    )
    if outcome.ending != "completed":
        unfinished = [each for each in red if each.outcome == "failed"]
        parts = [outcome.why, outcome.output.strip(), tracebacks(unfinished)]
        return Judgement(
            verdict=outcome.ending,
            why=outcome.why,
            traceback="\n\n".join(part for part in parts if part),
            results=results,
            red=red,
            printed=outcome.output.strip(),
        )
    if not red and outcome.ended_early:
        why = f"ended early, {len(outcome.not_run)} tests not run"
        return Judgement(
            verdict="failed",
            why=why,
            traceback=why,
            results=results,
            ended_early=True,
            not_run=outcome.not_run,
        )
    if not red:
        return Judgement(verdict="passed", results=results)
    out_of_memory = any(each.exception == "MemoryError" for each in red)
    return Judgement(
        verdict="out-of-memory" if out_of_memory else "failed",
        why=why_red(red, sum(not each.is_check for each in results), len(outcome.not_run)),
        traceback=tracebacks(red),
        results=results,
        red=red,
        ended_early=outcome.ended_early,
        not_run=outcome.not_run,
    )


def spread(results: Iterable[TestResult], asked: Sequence[str]) -> Iterator[TestResult]:
    """Give the results, and one for each asked-for test that has none: its file's, or a red one.

    A file's own come first, so that those of its tests have the last word.
    """
    ordered = sorted(results, key=lambda result: "::" in result.nodeid)
    yield from ordered
    files = {result.nodeid: result for result in ordered if "::" not in result.nodeid}
    seen = {result.nodeid for result in ordered}
    seen_files = {result.nodeid.partition("::")[0] for result in ordered}
    for nodeid in asked:
        path, _, name = nodeid.partition("::")
        if nodeid in seen or (not name and path in seen_files):
            continue
        if path in files:
            yield replace(files[path], nodeid=nodeid)
        else:
            yield TestResult(
                nodeid=nodeid,
                outcome="unfinished",
                phase="collect",
                longrepr="this test was not run",
            )


def innocent(judgement: Judgement, keys: Sequence[str]) -> list[str]:
    """Of several stubs that were judged together, those that no red test speaks against.

    A stub is spoken for by a green test that entered it. A red one speaks against those
    of the stubs that it entered which green tests speak for least. Where a red test
    entered none of them, or the run did not end in order, nobody is cleared.
    """
    if judgement.verdict != "failed":
        return []
    green = [set(each.entered) for each in judgement.results if each.outcome == "passed"]
    red = [set(each.entered) for each in judgement.red]
    passed = {key: sum(key in entered for entered in green) for key in keys}
    failed = {key: sum(key in entered for entered in red) for key in keys}
    suspects: set[str] = set()
    for entered in red:
        scores = {
            key: failed[key] ** 2 / (failed[key] + passed[key]) for key in keys if key in entered
        }
        if not scores:
            return []
        best = max(scores.values())
        suspects |= {key for key, score in scores.items() if score == best}
    return [key for key in keys if passed[key] and key not in suspects]


def tracebacks(results: Sequence[TestResult]) -> str:
    """The failures one below the other, under pytest's own headings.

    Of too many, those of different test functions rather than several of one.
    """
    parts = []
    results = _most_different_first(results)
    for result in results[:MAX_TRACEBACKS]:
        text = result.longrepr or f"the test did not pass: {result.outcome}"
        parts.append(f"{_heading(result)}\n{text.rstrip()}")
    if len(results) > MAX_TRACEBACKS:
        rest = ", ".join(result.nodeid for result in results[MAX_TRACEBACKS:][:MAX_TRACEBACKS])
        parts.append(f"and {len(results) - MAX_TRACEBACKS} more: {rest}")
    return "\n\n".join(parts)


def _most_different_first(results: Sequence[TestResult]) -> Sequence[TestResult]:
    if len(results) <= MAX_TRACEBACKS:
        return results
    firsts: dict[str, TestResult] = {}
    for each in results:
        firsts.setdefault(function_of(each.nodeid), each)
    shown = list(firsts.values())[:MAX_TRACEBACKS]
    chosen = {id(each) for each in shown}
    more = [each for each in results if id(each) not in chosen]
    chosen.update(id(each) for each in more[: MAX_TRACEBACKS - len(shown)])
    # Those that are told in full in the order in which they ran.
    return sorted(results, key=lambda each: id(each) not in chosen)


def _heading(result: TestResult) -> str:
    name = "the checks that you wrote" if result.is_check else result.nodeid
    where = "" if result.phase == "call" else f" ({result.phase})"
    title = f" {name}{where} "
    return title.center(max(78, len(title) + 6), "_")


def is_green(result: TestResult, asked: Collection[str]) -> bool:
    """Whether a test passed, or was not asked for by its name and does not run."""
    if result.outcome == "passed":
        return True
    # A file that could not be collected is asked for as a whole: which of its tests are
    # skipped was not known.
    return result.nodeid not in asked and result.outcome in ("skipped", "xfailed")


def why_red(red: Sequence[TestResult], total: int | None = None, not_run: int = 0) -> str:
    """Why a candidate failed, in a line.

    Args:
        red: What is held against it, at least one result.
        total: How many tests were run, where that is to be said.
        not_run: How many were left out.
    """
    first = red[0]
    red_tests = [each for each in red if not each.is_check]
    said = last_error_line(first.longrepr) or first.outcome
    if not red_tests:
        return f"its own checks: {said}"[:300]
    number = str(len(red_tests)) if total is None else f"{len(red_tests)} of {total}"
    left_out = f" ({not_run} more were not run)" if not_run else ""
    why = f"{number} tests red{left_out}: {first.nodeid}: {said}"
    if needs_network(first):
        return f"{why[:180]} (if it needs the network or a database: selfheal_docker_network)"
    return why[:300]
