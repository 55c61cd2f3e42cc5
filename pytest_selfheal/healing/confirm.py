"""The last word before anything is written: everything together, in a fresh sandbox.

Every selected test that passed before, and every test that turned green, must pass with
all the code in place, in another order and under another hash seed. What is red there is
looked at once more before it is held against any code: it may be flaky, or red without
the code as well.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

from pytest_selfheal.errors import SandboxFailed
from pytest_selfheal.healing.code import Code
from pytest_selfheal.healing.guilt import guilty
from pytest_selfheal.healing.kit import Kit
from pytest_selfheal.healing.runs import Ran, run_tests
from pytest_selfheal.records import Piece, RunOutcome, TestResult

MAX_LOOKED_AT = 20
"""More red tests than these are no accident, and are not run again to see whether they are."""
MAX_SEARCHES = 3
"""For how many red tests of one run the guilty code is searched for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Objection:
    """A test that is red with the code, and the stubs whose code is to blame."""

    result: TestResult
    keys: tuple[str, ...]
    """Empty where only the tests' own relation to the stubs can tell."""
    ending: RunOutcome | None = None
    """How its run ended, where that was not in order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmation:
    """What the confirming run gave."""

    results: tuple[TestResult, ...] = ()
    objections: tuple[Objection, ...] = ()
    sandbox_only: tuple[str, ...] = ()
    """Tests that are red in there without the code too."""
    flaky: tuple[TestResult, ...] = ()
    """Tests that were red and green with this very code, as they stood the last time."""
    broken: RunOutcome | None = None
    """The run did not end in order, through no test that could be named."""
    guilty: tuple[str, ...] = ()
    """The stubs whose code did that."""
    seed: int = 0
    """Which order the tests were run in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What is run to confirm, and what is known of it."""

    green: Sequence[str]
    """Tests that turned green with the code."""
    passed_before: Sequence[str]
    """Tests that passed in the user's own run."""
    excused: Collection[str] = ()
    """Those of them known to be red in the sandbox without the code."""
    flaky: Collection[str] = ()
    """Tests that are known to be flaky: run, and held against nothing."""
    entered: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """What tests are known to enter, where the run itself cannot tell."""

    @property
    def tests(self) -> list[str]:
        """Everything that is run."""
        before = (test for test in self.passed_before if test not in self.excused)
        return list(dict.fromkeys([*self.green, *before, *self.flaky]))


def confirm(
    kit: Kit, pieces: Mapping[str, Piece], selection: Selection, timeout_seconds: float
) -> Confirmation:
    """Run all tests with all code in place.

    Args:
        kit: The tools of the run.
        pieces: The code to be confirmed.
        selection: The tests.
        timeout_seconds: For the whole run.

    Raises:
        SandboxFailed: No sandbox could be started, or it was lost twice.
        Unusable: The pieces do not go together.
        EditConflict: A file cannot take them.
    """
    return _Confirming(kit, Code().including(pieces), selection, timeout_seconds).run()


def guilty_of_breaking(code: Code, run: Callable[[Code], Ran], broken: RunOutcome) -> list[str]:
    """Whose code keeps a run from its end, through no test that could be named.

    Raises:
        SandboxFailed: None of it: the run does not come to its end without it either.
    """
    if run(Code()).broken is not None:
        raise SandboxFailed(
            f"the tests do not run to their end in the sandbox, whatever the code: {broken.why}"
        )
    return guilty(list(code), lambda keys: run(code.only(keys)).broken is not None)


class _Confirming:
    def __init__(self, kit: Kit, code: Code, selection: Selection, timeout_seconds: float) -> None:
        self._kit = kit
        self._code = code
        self._selection = selection
        self._timeout_seconds = timeout_seconds
        self._seed = secrets.randbelow(2**31)

    def run(self) -> Confirmation:
        tests = self._selection.tests
        ran = self._ran(tests, self._code, is_last=True)
        if ran.broken is not None:
            broken_by = guilty_of_breaking(
                self._code, lambda code: self._ran(tests, code), ran.broken
            )
            return Confirmation(broken=ran.broken, guilty=tuple(broken_by), seed=self._seed)
        latest = {each.nodeid: each for each in ran.results}
        red = [each for each in ran.red if each.nodeid not in self._selection.flaky]
        # What is told of them must not hang on the order that was drawn.
        places = {test: place for place, test in enumerate(tests)}
        red.sort(key=lambda each: places.get(each.nodeid, len(places)))
        # One that hung would be waited for as long again, each time.
        hung = {nodeid for nodeid, outcome in ran.cut.items() if outcome.ending == "timeout"}
        flaky = self._flaky([each for each in red if each.nodeid not in hung], latest)
        steady = [each for each in red if each.nodeid not in flaky]
        sandbox_only = self._red_without_code(steady)
        held = [each for each in steady if each.nodeid not in sandbox_only]
        known_flaky = [*flaky, *(test for test in self._selection.flaky if test in latest)]
        return Confirmation(
            results=tuple(latest.values()),
            objections=tuple(self._objections(held, ran)),
            sandbox_only=tuple(sorted(sandbox_only)),
            flaky=tuple(latest[nodeid] for nodeid in known_flaky),
            seed=self._seed,
        )

    def _ran(
        self,
        tests: Sequence[str],
        code: Mapping[str, Piece],
        seed: int | None = None,
        *,
        is_last: bool = False,
    ) -> Ran:
        return run_tests(
            self._kit,
            tests,
            code,
            timeout_seconds=self._timeout_seconds,
            shuffle_seed=self._seed if seed is None else seed,
            is_last=is_last,
        )

    def _flaky(self, red: Sequence[TestResult], latest: dict[str, TestResult]) -> list[str]:
        """The red tests that are green with the same code another time.

        By themselves first, in this order and in another one. One that is green there may
        mind its neighbours rather than be flaky: only the whole run, in the same order,
        tells that.
        """
        if not red or len(red) > MAX_LOOKED_AT:
            return []
        doubtful: list[str] = []
        steady = [each.nodeid for each in red]
        for seed in (self._seed, self._seed + 1):
            again = {each.nodeid: each for each in self._ran(steady, self._code, seed).results}
            green = [test for test in steady if test in again and again[test].outcome == "passed"]
            doubtful += green
            steady = [test for test in steady if test not in green]
            if not steady:
                break
        if not doubtful:
            return []
        # Where other tests are red in any case, their order has to be there as well.
        again = {each.nodeid: each for each in self._ran(self._selection.tests, self._code).results}
        flaky = [test for test in doubtful if test in again and again[test].outcome == "passed"]
        latest.update((test, again[test]) for test in flaky)
        return flaky

    def _red_without_code(self, red: Sequence[TestResult]) -> set[str]:
        """The same tests in the same order without the code.

        What is red there as well is the sandbox's doing, or the order's.
        """
        before = set(self._selection.passed_before)
        suspects = {each.nodeid for each in red} & before
        if not suspects:
            return set()
        tests = [test for test in self._selection.tests if test in before]
        return {each.nodeid for each in self._ran(tests, {}).red} & suspects

    def _objections(self, held: Sequence[TestResult], ran: Ran) -> list[Objection]:
        before = set(self._selection.passed_before)
        found: dict[frozenset[str], tuple[str, ...]] = {}
        objections = []
        for result in held:
            known = self._selection.entered.get(result.nodeid, ())
            entered = dict.fromkeys([*result.entered, *known])
            suspects = [key for key in entered if key in self._code] or list(self._code)
            keys: tuple[str, ...] | None = tuple(suspects) if len(suspects) == 1 else None
            if keys is None and result.nodeid in before:
                keys = self._searched(result.nodeid, suspects, found)
                if keys is None:
                    continue  # there is enough to ask for again already
            objections.append(
                Objection(result=result, keys=keys or (), ending=ran.cut.get(result.nodeid))
            )
        return objections

    def _searched(
        self, nodeid: str, suspects: Sequence[str], found: dict[frozenset[str], tuple[str, ...]]
    ) -> tuple[str, ...] | None:
        """Whose code breaks a test that is green without any; None where that can wait."""
        for keys in found.values():
            if not set(keys).isdisjoint(suspects):
                return keys
        if len(found) >= MAX_SEARCHES:
            return None

        def breaks(keys: Sequence[str]) -> bool:
            return bool(self._ran([nodeid], self._code.only(keys)).red)

        if not breaks(suspects):
            return ()  # it minds its neighbours as well: nothing is learnt from it alone
        keys = tuple(guilty(suspects, breaks))
        found[frozenset(suspects)] = keys
        return keys
