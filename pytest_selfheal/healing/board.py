"""What is known while a run heals: stubs, code found so far, and how each test stands.

Pure bookkeeping, changed by one thread alone. A stub that a test reaches first hides
those behind it, so the relation between tests and stubs grows while code is found:
planning always looks at the latest result of each test.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from pytest_selfheal.healing.judge import last_error_line, tracebacks
from pytest_selfheal.records import Attempt, Piece, Stub, TestResult

MAX_GROUP = 6
"""The most stubs that are asked for in one request."""


def key_of(stub: Stub) -> str:
    """What a stub is called in the bookkeeping: its target, told from its namesakes."""
    return f"{stub.target}#{stub.index}" if stub.index else stub.target


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Stubs that are asked for together, with the tests that judge them."""

    keys: tuple[str, ...]
    tests: tuple[str, ...]
    attempts: tuple[Attempt, ...] = ()
    """Those made before, where a later test showed that they were not good enough."""
    spent: int = 0
    """Replies that its stubs have had in other company, which count as theirs too."""
    earlier_code: Mapping[str, Piece] = field(default_factory=dict)
    """The code that was taken back, to be shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupEnd:
    """What came of a group."""

    group: Group
    attempts: tuple[Attempt, ...]
    pieces: Mapping[str, Piece] | None = None
    """The code for each of its stubs, where its tests are green or get further."""
    results: tuple[TestResult, ...] = ()
    """How its tests stand with that code."""
    reason: str | None = None
    """Why there is no code, in one line."""
    joint_with: tuple[str, ...] = ()
    """Provisional stubs that may be to blame as much as these."""
    untrusted: bool = False


Stamp = tuple[str, int]
"""A stub's key and which of the codes found for it."""


@dataclass(frozen=True, slots=True)
class TestState:
    """The latest result of a test, and the code that it was seen with."""

    result: TestResult
    seen_with: frozenset[Stamp] = frozenset()

    __test__ = False


@dataclass(slots=True)
class Board:
    """The state of a run."""

    stubs: Mapping[str, Stub]
    tests: dict[str, TestState] = field(default_factory=dict)
    pieces: dict[str, Piece] = field(default_factory=dict)
    """Code found, by stub: provisional until it is confirmed."""
    ever_red: set[str] = field(default_factory=set)
    """Tests that were seen red in the sandbox."""
    failed: dict[str, str] = field(default_factory=dict)
    """Why a stub was given up."""
    untrusted: set[str] = field(default_factory=set)
    history: dict[str, tuple[Attempt, ...]] = field(default_factory=dict)
    """Every attempt on a stub, alone or with others."""
    versions: dict[str, int] = field(default_factory=dict)
    """How often a stub's code was replaced."""
    tried_jointly: set[frozenset[str]] = field(default_factory=set)
    forced: list[Group] = field(default_factory=list)
    """Groups that were formed for a reason of their own, to be asked for next."""

    def record(self, results: Iterable[TestResult], with_keys: Iterable[str]) -> None:
        """Take note of how tests stood with some stubs' code in place.

        A test that nobody waits for and that does not run is no evidence of anything.
        """
        seen_with = self._stamps(with_keys)
        for result in results:
            if result.is_check:
                continue
            # A file that can be collected at last stands for its tests no more.
            self.tests.pop(result.nodeid.partition("::")[0], None)
            if result.nodeid in self.tests or result.outcome not in ("skipped", "xfailed"):
                self.tests[result.nodeid] = TestState(result, seen_with)
                if result.outcome != "passed":
                    self.ever_red.add(result.nodeid)

    def is_green(self, state: TestState) -> bool:
        """Whether a test passed, with code that is still in place for all it entered."""
        entered = set(state.result.entered)
        return state.result.outcome == "passed" and all(
            stamp in self._stamps(self.pieces) for stamp in state.seen_with if stamp[0] in entered
        )

    def open_keys(self, state: TestState) -> frozenset[str]:
        """The stubs that a test waits for: those it entered that have no code yet.

        Living functions are only waited for where no stub is, and of several those that
        green tests speak against most.
        """
        waiting = [
            key for key in state.result.entered if key in self.stubs and key not in self.pieces
        ]
        stubs = frozenset(key for key in waiting if not self.stubs[key].is_living)
        return stubs or (
            self._suspects(frozenset(waiting)) if len(waiting) > 1 else frozenset(waiting)
        )

    def pending(self) -> dict[str, frozenset[str]]:
        """The red tests that can still turn green, and the stubs that each waits for."""
        waiting = {}
        for nodeid, state in self.tests.items():
            if self.is_green(state):
                continue
            keys = self.open_keys(state)
            if keys and not keys & self.failed.keys() and not self._is_lost(state):
                waiting[nodeid] = keys
        return waiting

    def plan(self, busy: Iterable[str]) -> list[Group]:
        """The groups that can be asked for now, none sharing a stub with another.

        Of the sets of stubs that tests wait for, the smallest are taken: a larger one
        is judged better once the smaller has its code. Sets that overlap are asked
        for together, up to a bound.
        """
        pending = self.pending()
        sets = sorted(set(pending.values()), key=lambda keys: (len(keys), sorted(keys)))
        smallest: list[frozenset[str]] = []
        for keys in sets:
            if not any(other < keys for other in smallest):
                smallest.append(keys)
        taken = set(busy)
        groups = []
        for keys in _merged(smallest):
            if keys & taken:
                continue
            taken |= keys
            tests = [nodeid for nodeid, waiting in pending.items() if waiting <= keys]
            groups.append(self._group(keys, tests))
        return groups

    def stale(self) -> list[str]:
        """Tests that are not green, all of whose stubs have got code since they were run."""
        return [
            nodeid
            for nodeid, state in self.tests.items()
            if self._all_in_place(state) and self._stamps(self._with_code(state)) - state.seen_with
        ]

    def blame(self, attempts_allowed: Mapping[str, int]) -> list[Group]:
        """Groups for tests that stay red although every stub they reach has code.

        The code to ask for again is what red tests enter and green ones do not: Ochiai's
        coefficient ranks it (Abreu, Zoeteweij, van Gemund: "On the accuracy of
        spectrum-based fault localization", 2007). Stubs that no test tells apart are
        asked for together.
        """
        taken: set[str] = set()
        groups = []
        for nodeid, state in self.tests.items():
            keys = frozenset(self._with_code(state))
            if not self._all_in_place(state) or self._stamps(keys) - state.seen_with:
                continue
            if keys & taken:
                continue
            suspects = self._suspects(keys)
            if suspects in self.tried_jointly:
                suspects = keys
            if self._are_hopeless(suspects, attempts_allowed):
                self.give_up(keys, f"{nodeid} stays red with all that it reaches in place")
                continue
            taken |= keys
            groups.append(self._reopened(suspects))
        return groups

    def take(self, end: GroupEnd, with_keys: Iterable[str]) -> None:
        """Take what came of a group; `with_keys` had code while it was at work."""
        group = end.group
        for key in group.keys:
            earlier = self.history.get(key, ())[: -len(group.attempts) or None]
            self.history[key] = (*earlier, *end.attempts)
            if end.untrusted:
                self.untrusted.add(key)
        if end.pieces is not None:
            self.pieces.update(end.pieces)
            for key in end.pieces:
                self.versions[key] = self.versions.get(key, 0) + 1
            self.record(end.results, {*with_keys, *end.pieces})
            return
        joint = frozenset({*group.keys, *end.joint_with})
        if end.joint_with and len(joint) <= MAX_GROUP and joint not in self.tried_jointly:
            self.record(end.results, {*with_keys, *group.keys})
            self.forced.append(self._reopened(joint))
        else:
            self.give_up(group.keys, end.reason or "no attempt was green")

    def refute(self, keys: Iterable[str], result: TestResult, attempt: Attempt) -> None:
        """Take back code that broke a test; the stubs' last attempt turns into a failed one."""
        for key in keys:
            self.pieces.pop(key, None)
            self.history[key] = (*self.history.get(key, ())[:-1], attempt)
        entered = tuple(dict.fromkeys([*result.entered, *keys]))
        self.tests[result.nodeid] = TestState(dataclasses.replace(result, entered=entered))

    def give_up(self, keys: Iterable[str], reason: str) -> None:
        """Ask no more for these stubs."""
        for key in keys:
            self.failed.setdefault(key, reason)
            self.pieces.pop(key, None)

    def unproven(self) -> frozenset[str]:
        """Stubs with code that no green test has entered."""
        proven = {
            key
            for state in self.tests.values()
            if self.is_green(state)
            for key in state.result.entered
        }
        return frozenset(self.pieces.keys() - proven)

    def writable(self) -> dict[str, Piece]:
        """The code that may be confirmed: that of stubs all of whose tests are green."""
        kept = dict(self.pieces)
        while True:
            in_place = kept.keys() | (self.stubs.keys() - self.pieces.keys())
            red = [
                state.result
                for state in self.tests.values()
                if not self.is_green(state) or not set(state.result.entered) <= in_place
            ]
            lost = {key for result in red for key in result.entered if key in kept}
            if not lost:
                return {key: piece for key, piece in kept.items() if self.tests_reaching(key)}
            for key in lost:
                del kept[key]

    def tests_reaching(self, key: str) -> list[str]:
        """Node ids of the tests that entered a stub."""
        return [nodeid for nodeid, state in self.tests.items() if key in state.result.entered]

    def _suspects(self, keys: frozenset[str]) -> frozenset[str]:
        """Of some stubs, those that Ochiai's coefficient ranks first."""
        red = [s.result.entered for s in self.tests.values() if not self.is_green(s)]
        green = [s.result.entered for s in self.tests.values() if self.is_green(s)]
        scores = {}
        for key in keys:
            failed = sum(key in entered for entered in red)
            passed = sum(key in entered for entered in green)
            scores[key] = failed / math.sqrt(len(red) * (failed + passed))
        best = max(scores.values())
        return frozenset(key for key, score in scores.items() if score == best)

    def _are_hopeless(self, keys: frozenset[str], attempts_allowed: Mapping[str, int]) -> bool:
        """Whether asking for these once more is no use, or not allowed."""
        was_tried = len(keys) > 1 and keys in self.tried_jointly
        is_used_up = any(len(self.history.get(key, ())) >= attempts_allowed[key] for key in keys)
        return was_tried or is_used_up or len(keys) > MAX_GROUP

    def _reopened(self, keys: frozenset[str]) -> Group:
        """A group for stubs whose code is taken back, with every test that reaches them."""
        if len(keys) > 1:
            self.tried_jointly.add(keys)
        red = [
            state.result
            for state in self.tests.values()
            if keys & set(state.result.entered) and state.result.outcome != "passed"
        ]
        code = {}
        for key in keys & self.pieces.keys():
            code[key] = self.pieces.pop(key)
            self._refute_last(key, red)
        tests = [
            nodeid
            for nodeid, state in self.tests.items()
            if keys & set(state.result.entered) and not self._is_lost(state)
        ]
        group = self._group(keys, tests)
        spent = 0 if group.attempts else max(len(self.history.get(key, ())) for key in keys)
        return dataclasses.replace(group, spent=spent, earlier_code=code)

    def _refute_last(self, key: str, red: Sequence[TestResult]) -> None:
        """Turn a stub's last attempt, green on its own, into one that fails these tests."""
        history = self.history.get(key, ())
        if history and history[-1].verdict == "passed" and red:
            failed = dataclasses.replace(
                history[-1],
                verdict="failed",
                why=f"{red[0].nodeid} is red with it: {last_error_line(red[0].longrepr)}"[:300],
                traceback=tracebacks(red),
            )
            self.history[key] = (*history[:-1], failed)

    def _group(self, keys: Iterable[str], tests: Sequence[str]) -> Group:
        wanted = set(keys)
        ordered = tuple(key for key in self.stubs if key in wanted)
        histories = [self.history.get(key, ()) for key in ordered]
        earlier = histories[0] if all(each == histories[0] for each in histories) else ()
        return Group(keys=ordered, tests=tuple(tests), attempts=earlier)

    def _stamps(self, keys: Iterable[str]) -> frozenset[Stamp]:
        return frozenset((key, self.versions[key]) for key in keys if key in self.pieces)

    def _with_code(self, state: TestState) -> list[str]:
        return [key for key in state.result.entered if key in self.pieces]

    def _all_in_place(self, state: TestState) -> bool:
        """Not green, and yet every stub that it entered has code."""
        return bool(
            self._with_code(state)
            and not self.open_keys(state)
            and not self.is_green(state)
            and not self._is_lost(state)
        )

    def _is_lost(self, state: TestState) -> bool:
        return any(key in self.failed for key in state.result.entered)


def _merged(sets: Sequence[frozenset[str]]) -> list[frozenset[str]]:
    """Join sets that overlap, as long as the whole stays within the bound."""
    merged: list[frozenset[str]] = []
    for keys in sets:
        joined = keys
        apart = []
        for other in merged:
            if other & joined and len(other | joined) <= MAX_GROUP:
                joined |= other
            else:
                apart.append(other)
        merged = [*apart, joined]
    return merged
