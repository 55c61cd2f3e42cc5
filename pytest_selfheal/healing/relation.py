"""Which tests reach which stubs, and where each test stands, kept up to date as both change.

Nothing here goes through all tests or all stubs: a result touches the stubs that its test
entered, and new code the tests that entered its stub.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

from pytest_selfheal.healing.code import Code
from pytest_selfheal.healing.groups import MAX_GROUP
from pytest_selfheal.healing.waiting import Waiting
from pytest_selfheal.records import Piece, Stub, TestResult


class Standing(Enum):
    """Where a test stands."""

    GREEN = "it passed, with the code that is in place"
    WAITING = "it waits for stubs that have no code"
    STALE = "what it entered has got other code since it was run"
    STUCK = "it is red with all code in place"
    OUT = "it reaches nothing that is asked for, or something that was given up"


@dataclass(slots=True)
class TestState:
    """The latest result of a test, held against the code that is in place."""

    result: TestResult
    seen: dict[str, Piece | None]
    """The stubs that it entered, in order, and the code that each had."""
    open: set[str] = field(default_factory=set)
    """The stubs among them that have no code now and may get some."""
    living: set[str] = field(default_factory=set)
    """The living functions among them that stand as they were."""
    changed: set[str] = field(default_factory=set)
    """Those that have other code now, or none where they had."""
    failed: set[str] = field(default_factory=set)
    """Those that were given up."""
    standing: Standing = Standing.OUT
    waits_for: frozenset[str] = frozenset()
    """Empty where it waits and is looked at by itself."""

    __test__ = False

    @property
    def is_passed(self) -> bool:
        """Whether it passed, with whatever code."""
        return self.result.outcome == "passed"


class Relation:
    """The tests, and the code that they are held against."""

    def __init__(self, stubs: Mapping[str, Stub]) -> None:
        self.stubs = stubs
        self.order = {key: place for place, key in enumerate(stubs)}
        self.tests: dict[str, TestState] = {}
        self.code = Code()
        self.failed: dict[str, str] = {}
        """Why a stub was given up."""
        self.flaky: set[str] = set()
        """Tests that count neither for nor against any code."""
        self.stale: dict[str, None] = {}
        self.stuck: dict[str, None] = {}
        self.unproven = {key for key, stub in stubs.items() if stub.is_living}
        """Stubs with code, and living functions, that no green test has entered."""
        self.touched = 0
        """How often a test was looked at: what the bookkeeping costs."""
        self.places: dict[str, int] = {}
        """The order in which the tests were first seen."""
        self._reaching: dict[str, dict[str, None]] = {key: {} for key in stubs}
        self._now: dict[str, Piece] = {}
        """The code again, where looking it up is quick."""
        self._green = dict.fromkeys(stubs, 0)
        self._red = dict.fromkeys(stubs, 0)
        self.waiting = Waiting(self.order, self._chosen_for)

    def reaching(self, key: str) -> Iterable[str]:
        """Node ids of the tests that entered a stub; none of one that is not asked for at all."""
        return self._reaching.get(key, {}).keys()

    def is_proven(self, key: str) -> bool:
        """Whether a green test has entered a stub."""
        return self._green[key] > 0

    def green_tests(self, key: str) -> int:
        """How many green tests have entered a stub."""
        return self._green[key]

    # --- what changes it -----------------------------------------------------------------

    def put(self, result: TestResult, seen_with: Code) -> None:
        """Take a test's latest result, and the code that it was seen with."""
        nodeid = result.nodeid
        seen = {key: seen_with.find(key) for key in result.entered if key in self.stubs}
        known = self.tests.get(nodeid)
        if known is not None:  # it keeps its place among the others
            self._leave(nodeid, known)
            self._count(known, -1)
            for key in known.seen.keys() - seen.keys():
                del self._reaching[key][nodeid]
        state = TestState(result=result, seen=seen)
        self.tests[nodeid] = state
        self.places.setdefault(nodeid, len(self.places))
        for key in seen:
            self._reaching[key][nodeid] = None
            self._compare(state, key)
        self._count(state, +1)
        self._place(nodeid, state)

    def forget(self, nodeid: str) -> None:
        """Drop a test, where there is such a one."""
        state = self.tests.pop(nodeid, None)
        if state is not None:
            self._leave(nodeid, state)
            self._count(state, -1)
            for key in state.seen:
                del self._reaching[key][nodeid]

    def set_code(self, pieces: Mapping[str, Piece]) -> None:
        """Put code in place for some stubs."""
        self.code = self.code.including(pieces)
        self._now.update(pieces)
        self._changed(pieces)

    def drop_code(self, keys: Iterable[str]) -> None:
        """Take the code of some stubs away."""
        keys = list(keys)
        self.code = self.code.without(keys)
        for key in keys:
            self._now.pop(key, None)
        self._changed(keys)

    def give_up(self, keys: Iterable[str], reason: str) -> None:
        """Ask no more for some stubs; what code they have goes."""
        keys = list(keys)
        for key in keys:
            self.failed.setdefault(key, reason)
        self.drop_code(keys)

    def set_flaky(self, nodeids: Iterable[str]) -> None:
        """Let these tests count no more."""
        for nodeid in nodeids:
            state = self.tests.get(nodeid)
            if nodeid in self.flaky:
                continue
            if state is not None:
                self._count(state, -1)
            self.flaky.add(nodeid)
            if state is not None:
                self._leave(nodeid, state)
                self._place(nodeid, state)

    # --- who is to blame -----------------------------------------------------------------

    def suspects(self, keys: Sequence[str]) -> list[str]:
        """Of some stubs, those that Ochiai's coefficient ranks first, in the order given.

        What red tests enter and green ones do not (Abreu, Zoeteweij, van Gemund: "On the
        accuracy of spectrum-based fault localization", 2007). All are compared over the
        same tests, so the number of red ones, and the root, can be left out.
        """
        scores = {key: self._score(key) for key in keys}
        best = max(scores.values(), default=0.0)
        return [key for key in keys if scores[key] == best]

    def _score(self, key: str) -> float:
        red, green = self._red[key], self._green[key]
        return red * red / (red + green) if red else 0.0

    # --- bookkeeping ---------------------------------------------------------------------

    def _changed(self, keys: Iterable[str]) -> None:
        for key in keys:
            self._note_proof(key)
            for nodeid in self.reaching(key):
                state = self.tests[nodeid]
                was_green = state.standing is Standing.GREEN
                self._compare(state, key)
                is_green = state.is_passed and not state.changed
                if was_green != is_green and nodeid not in self.flaky:
                    # It is counted by what it was; set it right before it moves.
                    self._recount(state, was_green=was_green)
                if _waits_for_many(state) and len(state.open) > MAX_GROUP:
                    self.touched += 1  # and it still does
                    continue
                self._leave(nodeid, state)
                self._place(nodeid, state)

    def _compare(self, state: TestState, key: str) -> None:
        """Hold what a test saw of a stub against what there is now."""
        piece = self._now.get(key)
        bare = state.living if self.stubs[key].is_living else state.open
        if piece is state.seen[key]:
            state.changed.discard(key)
        else:
            state.changed.add(key)
        if key in self.failed:
            state.failed.add(key)
            bare.discard(key)
        elif piece is None:
            bare.add(key)
        else:
            bare.discard(key)

    def _count(self, state: TestState, by: int) -> None:
        if state.result.nodeid in self.flaky:
            return
        is_green = state.is_passed and not state.changed
        counts = self._green if is_green else self._red
        for key in state.seen:
            counts[key] += by
            if is_green and counts[key] <= 1:
                self._note_proof(key)

    def _recount(self, state: TestState, *, was_green: bool) -> None:
        by = -1 if was_green else 1
        for key in state.seen:
            self._green[key] += by
            self._red[key] -= by
            if self._green[key] <= 1:
                self._note_proof(key)

    def _note_proof(self, key: str) -> None:
        is_there = key in self._now or self.stubs[key].is_living
        if is_there and not self._green[key]:
            self.unproven.add(key)
        else:
            self.unproven.discard(key)

    def _leave(self, nodeid: str, state: TestState) -> None:
        if state.standing is Standing.WAITING:
            self.waiting.remove(nodeid, state.waits_for)
        elif state.standing is Standing.STALE:
            del self.stale[nodeid]
        elif state.standing is Standing.STUCK:
            del self.stuck[nodeid]
        state.standing, state.waits_for = Standing.OUT, frozenset()

    def _place(self, nodeid: str, state: TestState) -> None:
        self.touched += 1
        standing, keys = self._standing(nodeid, state)
        state.standing = standing
        if standing is Standing.WAITING:
            if len(keys) <= MAX_GROUP and not self._is_choice(keys):
                state.waits_for = frozenset(keys)
                self.waiting.add(nodeid, state.waits_for)
            else:
                self.waiting.add_alone(nodeid, len(keys))
        elif standing is Standing.STALE:
            self.stale[nodeid] = None
        elif standing is Standing.STUCK:
            self.stuck[nodeid] = None

    def _standing(self, nodeid: str, state: TestState) -> tuple[Standing, set[str]]:
        if nodeid in self.flaky:
            return Standing.OUT, set()
        if state.is_passed:
            return self._standing_of_passed(state)
        if not state.seen:
            return Standing.OUT, set()
        if state.failed:
            # It may not need what was given up; and what it reaches without the code that
            # is gone, only another run tells.
            return (Standing.STALE if state.changed else Standing.OUT), set()
        if state.open:
            return Standing.WAITING, state.open
        if not state.living:
            return (Standing.STALE if state.changed else Standing.STUCK), set()
        if not state.changed <= state.living:
            return Standing.STALE, set()
        # A living function was good once: it is asked for where nothing else can be to
        # blame, or where its new code was taken back.
        if state.changed or len(state.living) == len(state.seen):
            return Standing.WAITING, state.changed or state.living
        return Standing.STUCK, set()

    def _standing_of_passed(self, state: TestState) -> tuple[Standing, set[str]]:
        if not state.changed:
            return Standing.GREEN, set()
        # With code that was taken back, and not with none: what passes with a bare stub
        # needs nothing.
        taken_back = {key for key in state.changed if key not in self._now}
        if taken_back and not taken_back & state.failed:
            return Standing.WAITING, taken_back
        return Standing.STALE, set()

    def _is_choice(self, keys: Collection[str]) -> bool:
        """Several living functions: one of them is to blame, the rest stay as they are."""
        return len(keys) > 1 and all(self.stubs[key].is_living for key in keys)

    def _chosen_for(self, nodeid: str) -> Sequence[str]:
        """What to ask for on behalf of a test that waits for many."""
        state = self.tests.get(nodeid)
        if state is None or state.standing is not Standing.WAITING:
            return ()
        _, keys = self._standing(nodeid, state)
        in_order = [key for key in state.seen if key in keys]
        if self._is_choice(in_order):
            in_order = self.suspects(in_order)
        return in_order[:MAX_GROUP]


def _waits_for_many(state: TestState) -> bool:
    return state.standing is Standing.WAITING and not state.waits_for and not state.is_passed
