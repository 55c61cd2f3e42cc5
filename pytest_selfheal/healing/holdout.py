"""Cases that judge a model's code and that it is not shown: answers for the rest fail them.

What is held out is cut from the tests that a prompt quotes, and no failure of it is told
but that there is one. It runs after everything else, so that code which keeps what it was
called with has nothing to tell where a shown test fails.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from pytest_selfheal.healing.choose_cases import FEWEST, choose, choose_asserts
from pytest_selfheal.healing.judge import tracebacks, why_red
from pytest_selfheal.records import Attempt, Failure, TestResult
from pytest_selfheal.source.cases import Asserts, CaseList, assert_lists, case_lists
from pytest_selfheal.source.context_uses import Read, split_nodeid
from pytest_selfheal.source.cut_cases import without_cases

HeldLists = list[tuple[CaseList, frozenset[int]]]
HeldAsserts = list[tuple[Asserts, frozenset[int]]]

_NOT_SHOWN = "a case that is not shown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Holdout:
    """What is held out of the requests for a group; without anything, all is shown."""

    lists: Sequence[tuple[CaseList, frozenset[int]]] = ()
    asserts: Sequence[tuple[Asserts, frozenset[int]]] = ()
    sources: Mapping[str, bytes] = field(default_factory=dict)
    """The test files without it."""
    cases: Mapping[str, tuple[tuple[str, int], ...]] = field(default_factory=dict)
    """Which values the tests that are known were given, by node id."""

    def __bool__(self) -> bool:
        return bool(self.sources)

    def read(self, read: Read) -> Read:
        """Give the project's files as a prompt may quote them."""
        return lambda path: self.sources.get(path) or read(path)

    def hides(self, result: TestResult) -> bool:
        """Whether a test is a case that is not shown."""
        return self._hides(result.nodeid, result.case)

    def _hides(self, nodeid: str, case: tuple[tuple[str, int], ...] = ()) -> bool:
        case = case or self.cases.get(nodeid, ())
        test = nodeid.partition("[")[0]
        for found, held in self.lists:
            for owner, argument in found.uses:
                if not _is_below(test, owner):
                    continue
                if not case and nodeid != test and owner == test:
                    return True  # nobody knows which it is
                if any(name == argument and position in held for name, position in case):
                    return True
        return False

    def unseen_failure(self, red: Sequence[TestResult]) -> Failure | None:
        """What is said where all that is red is withheld, None where something is shown."""
        if not self or not red or not all(map(self.withholds, red)):
            return None
        are = "is" if len(red) == 1 else "are"
        return Failure(
            nodeid=f"{len(red)} that {are} not shown",
            phase="call",
            longrepr="the code so far passes every case that you see and fails others: "
            "do not special-case, implement the general rule",
        )

    def withholds(self, result: TestResult) -> bool:
        """Whether a red test says nothing that the model may see."""
        return self.hides(result) or self._stops_unseen(result)

    def _stops_unseen(self, result: TestResult) -> bool:
        """Whether a test stopped at an assert that is not shown."""
        test = result.nodeid.partition("[")[0]
        for found, held in self.asserts:
            if found.owner == test:
                nodes = [found.nodes[position] for position in held]
                unseen = {n for x in nodes for n in range(x.lineno, (x.end_lineno or x.lineno) + 1)}
                if not unseen.isdisjoint(_lines_in(result.longrepr, found)):
                    return True
        return False

    def order(self, tests: Sequence[str]) -> tuple[str, ...]:
        """The tests that run after all others: those with unseen asserts, then unseen cases."""
        owners = {found.owner for found, _ in self.asserts}
        hidden = self.unseen(tests)
        partly = [each for each in tests if each.partition("[")[0] in owners]
        last = [x for x in partly if x not in hidden]
        return tuple(dict.fromkeys([*last, *(x for x in tests if x in hidden)]))

    def unseen(self, tests: Sequence[str]) -> frozenset[str]:
        """The tests that are cases which are not shown."""
        return frozenset(each for each in tests if self._hides(each))

    def for_attempt(self, attempts: Sequence[Attempt], *, is_last: bool) -> Holdout:
        """What is held out of the next request: nothing any more, where that is the last chance.

        That is so if what was not shown has been in the way of an earlier attempt, or may
        have been.
        """
        if is_last and any(map(self._was_in_the_way, attempts)):
            return Holdout()
        return self

    def _was_in_the_way(self, attempt: Attempt) -> bool:
        return any(map(self.withholds, attempt.red)) or bool(self.order(sorted(attempt.not_run)))

    def told(self, attempt: Attempt) -> Attempt:
        """An attempt as the model may hear of it: as it is where it failed in what is shown."""
        if not self or attempt.verdict in ("passed", "unusable", "refused"):
            return attempt
        hidden = [each for each in attempt.red if self.withholds(each)]
        shown = [each for each in attempt.red if not self.withholds(each)]
        # A test may fail for want of memory, too, and the run go on.
        is_in_order = attempt.verdict == "failed" or (
            attempt.verdict == "out-of-memory"
            and all(each.outcome != "unfinished" for each in attempt.red)
        )
        if not attempt.red or not is_in_order:
            return self._told_of_ending(attempt, shown, hidden)
        if not hidden:
            return attempt
        number = f"{len(hidden)} that {'was' if len(hidden) == 1 else 'were'} not shown"
        if not shown and attempt.not_run:
            why = f"it fails {number}: do not special-case, implement the general rule"
            return replace(attempt, why=why, traceback="")
        if not shown:
            why = (
                f"it passes every case that you saw and fails {number}: do not special-case, "
                "implement the general rule"
            )
            return replace(attempt, why=why, traceback="")
        why = f"{why_red(shown)}; and it fails {number}"
        return replace(attempt, why=why, traceback=tracebacks(shown))

    def _told_of_ending(
        self, attempt: Attempt, shown: Sequence[TestResult], hidden: Sequence[TestResult]
    ) -> Attempt:
        """A run that did not end in order: what it printed is told if no unseen case was in it."""
        why = self._without_names(attempt.why or attempt.verdict)
        finished = [each for each in shown if each.outcome == "failed"]
        is_before = why == attempt.why and all(each.outcome == "unfinished" for each in hidden)
        printed = attempt.printed.strip() if is_before and attempt.red else ""
        parts = [why, printed, tracebacks(finished)]
        return replace(attempt, why=why, traceback="\n\n".join(part for part in parts if part))

    def _without_names(self, text: str) -> str:
        """A line that may name a test, without the name of one that is not shown."""
        for found, _ in self.lists:
            for owner, _ in found.uses:
                for match in re.finditer(re.escape(owner) + r"[^\[\s]*\[", text):
                    rest = text[match.start() :]
                    known = [name for name in self.cases if rest.startswith(name)]
                    if not known or self._hides(max(known, key=len)):
                        return text[: match.start()] + _NOT_SHOWN
        return text


EVERYTHING_SHOWN = Holdout()


def hold_out(
    tests: Sequence[str],
    results: Sequence[TestResult],
    read: Read,
    share: float,
    *,
    is_first: bool = True,
) -> Holdout:
    """Choose what is held out of the requests for code that some tests judge.

    Args:
        tests: Their node ids.
        results: How they stand, as far as that is known.
        read: Gives the project's files.
        share: How much of a test's cases, 0 to 1.
        is_first: Nobody was asked for this code before: what is red is not red through a
            reply that answers for what it was shown.
    """
    if share <= 0:
        return EVERYTHING_SHOWN
    lists: HeldLists = []
    for found in _longest(case_lists(tests, read), results):
        held = choose(found.cases, share, found.path, _judged(found, results))
        if held:
            lists.append((found, held))
    parametrized = {owner for found, _ in lists for owner, _ in found.uses}
    asserts: HeldAsserts = [
        (each, held)
        for each in assert_lists(tests, read)
        if each.owner not in parametrized and (held := choose_asserts(each, share))
    ]
    holdout = _cut(lists, asserts, results, read)
    red = [each for each in results if each.outcome != "passed"]
    if is_first and holdout and red and all(map(holdout.withholds, red)):
        # Something must be seen to be wrong: what is red is shown, and green cases are held.
        green = [(found, held - _positions(found, red)) for found, held in lists]
        holdout = _cut([each for each in green if each[1]], [], results, read)
    return holdout


def _cut(
    lists: HeldLists, asserts: HeldAsserts, results: Sequence[TestResult], read: Read
) -> Holdout:
    """Cut file by file; of one that does not let itself be cut, everything is shown."""
    sources: dict[str, bytes] = {}
    paths = [*(each.path for each, _ in lists), *(each.path for each, _ in asserts)]
    for path in dict.fromkeys(paths):
        source = read(path)
        here = [each for each in lists if each[0].path == path]
        cut = source and without_cases(source, here, [x for x in asserts if x[0].path == path])
        if cut:
            sources[path] = cut
    return Holdout(
        lists=tuple(each for each in lists if each[0].path in sources),
        asserts=tuple(each for each in asserts if each[0].path in sources),
        sources=sources,
        cases={each.nodeid: each.case for each in results if each.case},
    )


def _longest(lists: Sequence[CaseList], results: Sequence[TestResult]) -> Iterator[CaseList]:
    """Of several lists that multiply, the longest alone: a share of it is one of all cases."""
    for found in lists:
        owners = {owner for owner, _ in found.uses}
        others = [x for x in lists if x is not found and owners & {owner for owner, _ in x.uses}]
        before = lists[: lists.index(found)]
        longer = [
            x
            for x in others
            if len(x.cases) > len(found.cases)
            or (len(x.cases) == len(found.cases) and any(x is each for each in before))
        ]
        if len(found.cases) >= FEWEST and not longer:
            yield found


def _judged(found: CaseList, results: Sequence[TestResult]) -> Collection[int] | None:
    """The positions of the cases that are run; None where that is not known."""
    return _positions(found, results) or None


def _positions(found: CaseList, results: Sequence[TestResult]) -> frozenset[int]:
    return frozenset(
        position
        for each in results
        for name, position in each.case
        for owner, argument in found.uses
        if name == argument and _is_below(each.nodeid.partition("[")[0], owner)
    )


def _is_below(test: str, owner: str) -> bool:
    """Whether a test is one, in a class, in a file or in a folder."""
    is_folder = not owner or owner.endswith("/")
    return test == owner or test.startswith(owner if is_folder else f"{owner}::")


def _lines_in(longrepr: str, found: Asserts) -> Iterator[int]:
    """The lines of a test that its short traceback goes through."""
    file = split_nodeid(found.path)[0].rpartition("/")[2]
    place = rf"^(?:.*[/\\])?{re.escape(file)}:(\d+): in {re.escape(found.name)}$"
    return (int(each[1]) for each in re.finditer(place, longrepr, re.MULTILINE))
