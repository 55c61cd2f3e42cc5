"""What is known while a run heals, and what is asked for next.

Pure bookkeeping, changed by one thread alone. A stub that a test reaches first hides
those behind it, so the relation between tests and stubs grows while code is found:
planning always looks at the latest result of each test.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from pytest_selfheal.healing.code import Code
from pytest_selfheal.healing.groups import MAX_GROUP, Group, GroupEnd, key_of, last_why
from pytest_selfheal.healing.history import History
from pytest_selfheal.healing.judge import spread
from pytest_selfheal.healing.relation import Relation, Standing, TestState
from pytest_selfheal.records import Attempt, Piece, Stub, TestResult
from pytest_selfheal.report.live_lines import Counts

__all__ = ["MAX_GROUP", "Board", "Group", "GroupEnd", "TestState", "key_of"]


class Board:
    """The state of a run."""

    def __init__(self, stubs: Mapping[str, Stub], attempts: int = 5) -> None:
        """Begin with stubs that nothing is known of.

        Args:
            stubs: What may be asked for.
            attempts: How many replies are tried for each whose marker says nothing else.
        """
        self.stubs = stubs
        self.ever_red: set[str] = set()
        """Tests that were seen red in the sandbox."""
        self.untrusted: set[str] = set()
        self.history = History()
        self.relation = Relation(stubs)
        self._attempts = attempts
        self._forced: deque[Group] = deque()
        self._tried_jointly: set[frozenset[str]] = set()

    # --- what is known -------------------------------------------------------------------

    @property
    def tests(self) -> Mapping[str, TestState]:
        """Every test that was run, and how it stands."""
        return self.relation.tests

    @property
    def code(self) -> Code:
        """The code found so far: provisional until it is confirmed."""
        return self.relation.code

    @property
    def failed(self) -> Mapping[str, str]:
        """Why a stub was given up."""
        return self.relation.failed

    @property
    def flaky(self) -> Collection[str]:
        """Tests that were red and green with the same code."""
        return self.relation.flaky

    def is_green(self, state: TestState) -> bool:
        """Whether a test passed, with the code that is in place for all it entered."""
        return state.is_passed and not state.changed

    def tests_reaching(self, key: str) -> list[str]:
        """Node ids of the tests that entered a stub, in the order in which they were first seen."""
        return sorted(self.relation.reaching(key), key=self.relation.places.__getitem__)

    def unproven(self) -> frozenset[str]:
        """Stubs with code, and living functions, that no green test has entered."""
        return frozenset(self.relation.unproven)

    def green_tests(self, key: str) -> int:
        """How many green tests have entered a stub."""
        return self.relation.green_tests(key)

    def waits_for_living(self) -> bool:
        """Whether a test waits for a living function."""
        return any(
            state.standing is Standing.WAITING and not state.open and state.living
            for state in self.tests.values()
        )

    def left(self, key: str) -> int:
        """How many more replies may be tried for a stub."""
        allowed = self.stubs[key].options.attempts or self._attempts
        return allowed - sum(not each.is_reviewers for each in self.history.get(key, ()))

    def writable(self) -> dict[str, Piece]:
        """The code that may be confirmed: that of stubs all of whose tests are green."""
        kept = dict(self.code)
        lost = [
            state
            for nodeid, state in self.tests.items()
            if not self.is_green(state) and nodeid not in self.flaky
        ]
        while lost:
            for key in lost.pop().seen:
                if kept.pop(key, None) is not None:
                    # What was green with it will not be without it.
                    lost += [self.tests[nodeid] for nodeid in self.relation.reaching(key)]
        return {key: piece for key, piece in kept.items() if self.relation.is_proven(key)}

    # --- what happened -------------------------------------------------------------------

    def record(
        self,
        results: Iterable[TestResult],
        seen_with: Code,
        asked: Sequence[str] = (),
        cut: Collection[str] = (),
    ) -> None:
        """Take note of how tests stood with some code in place.

        A test that nobody waits for and that does not run is no evidence of anything.

        Args:
            results: What the sandbox gave.
            seen_with: The code in place.
            asked: The tests that were to be run: each of them gets a result.
            cut: Those that ended their process, so that not all they entered is known.
        """
        for result in spread(results, asked):
            if result.is_check:
                continue
            path, _, name = result.nodeid.partition("::")
            if name:
                # A file, or a folder, that can be collected at last stands for its tests
                # no more.
                for part in and_above(path):
                    self.relation.forget(part)
            known = self.tests.get(result.nodeid)
            if known is None and result.outcome in ("skipped", "xfailed"):
                continue
            is_short = result.outcome == "unfinished" or result.phase == "collect"
            # Green without any of it, where it was red with it: something was kept from
            # one call to another, and the test leans on that all the same.
            is_kept = result.outcome == "passed" and self.stubs.keys().isdisjoint(result.entered)
            if known is not None and (is_short or is_kept or result.nodeid in cut):
                # It did not get as far as to enter all that it needs, or to tell of it.
                entered = tuple(dict.fromkeys([*result.entered, *known.seen]))
                result = replace(result, entered=entered)
            self.relation.put(result, seen_with)
            if result.outcome != "passed":
                self.ever_red.add(result.nodeid)

    def take(self, end: GroupEnd) -> None:
        """Take what came of a group."""
        group = end.group
        self.relation.waiting.release(group.keys)
        self.relation.set_flaky(end.flaky)
        for key in group.keys:
            self.history.take(key, end)
        if end.untrusted:
            self.untrusted.update(group.keys)
        if end.pieces:
            self.relation.set_code(end.pieces)
            self.record(end.results, end.seen_with, group.tests)
        if end.reason is None:
            return
        others = [key for key in end.joint_with if self._may_be_asked_again(key)]
        if others and self._suspect_others(end, others):
            return
        if not end.joint_with or max(map(self.left, group.keys)) <= 0:
            self._give_up_group(group, end.reason)

    def refute(self, keys: Iterable[str], result: TestResult, attempt: Attempt) -> None:
        """Take back code that broke a test; the stubs' last attempt turns into a failed one."""
        keys = list(keys)
        seen = self.code
        for key in keys:
            self.history.replace_last(key, attempt)
        entered = tuple(dict.fromkeys([*result.entered, *keys]))
        self.relation.put(replace(result, entered=entered), seen)
        self.ever_red.add(result.nodeid)
        self.relation.drop_code(keys)

    def take_back(self, key: str, attempt: Attempt) -> None:
        """Take back code that no test in particular speaks against; as with `refute`."""
        self.history.replace_last(key, attempt)
        if attempt.verdict == "untrusted":
            self.untrusted.add(key)
        self.relation.drop_code([key])

    def give_up(self, keys: Iterable[str], reason: str) -> None:
        """Ask no more for these stubs."""
        self.relation.give_up(keys, reason)

    def set_flaky(self, nodeids: Iterable[str]) -> None:
        """These tests were red and green with the same code: they count no more."""
        self.relation.set_flaky(nodeids)

    # --- what is next --------------------------------------------------------------------

    def next_group(self) -> Group | None:
        """Give stubs to ask for now, none of them being asked for already, if there are such."""
        if self._forced:
            return self._forced.popleft()
        while (found := self.relation.waiting.pop()) is not None:
            keys, nodeid = found
            spent = [key for key in keys if self.left(key) <= 0]
            if not spent:
                return self._group(keys, nodeid)
            for key in spent:
                self.give_up([key], last_why(self.history[key]))
            self.relation.waiting.release(keys)
        return None

    def regrouped(self, group: Group) -> Group:
        """The same group, where more tests are known now.

        With its tests among them; and without the living functions that were suspected
        beside stubs and that green tests clear.
        """
        cleared = {
            key
            for key in group.keys
            if self.stubs[key].is_living and key not in group.earlier_code
            if self.relation.is_proven(key) and len(group.keys) > 1
        }
        if len(cleared) == len(group.keys):
            cleared = set()
        self.relation.waiting.release(cleared)
        keys = tuple(key for key in group.keys if key not in cleared)
        tests = dict.fromkeys([*group.tests, *self._judges(frozenset(keys))])
        return replace(group, keys=keys, tests=tuple(tests))

    def counts(self) -> Counts:
        """How far the heal is, as far as is known."""
        waiting = (s for s in self.tests.values() if s.standing is Standing.WAITING)
        to_do = {key for state in waiting for key in state.waits_for or state.open}
        to_do |= self.relation.waiting.busy - self.failed.keys()
        done = [key for key in self.code if self.relation.is_proven(key) and key not in to_do]
        red = [self.tests[nodeid] for nodeid in self.ever_red if nodeid in self.tests]
        return Counts(
            stubs=len(to_do.union(self.code, self.failed)),
            green_stubs=len(done),
            given_up=len(self.failed),
            tests=len(red),
            green_tests=sum(map(self.is_green, red)),
        )

    def stale(self) -> list[str]:
        """Tests whose stubs have got other code since they were run, and wait for none."""
        return list(self.relation.stale)

    def blame(self) -> bool:
        """Form groups for tests that stay red with all code in place; False if there are none."""
        acted = False
        asked_again: set[str] = set()
        for nodeid in list(self.relation.stuck):
            state = self.tests[nodeid]
            if state.standing is not Standing.STUCK or not asked_again.isdisjoint(state.seen):
                continue
            acted = True
            suspects, first = self._to_ask_again(list(state.seen))
            if suspects:
                asked_again |= suspects
                self._reopen(suspects)
            else:
                self.give_up(first, f"{nodeid} stays red with all that it reaches in place")
        return acted

    def _to_ask_again(self, keys: Sequence[str]) -> tuple[frozenset[str], list[str]]:
        """Of what a red test enters, what to ask for again, if anything; and the first suspects."""
        first = self.relation.suspects(keys)
        able = [key for key in first if self.left(key) > 0]
        if not able:
            return frozenset(), first
        chosen = frozenset(self._least_asked(able))
        if len(chosen) > 1 and chosen in self._tried_jointly:
            able = [key for key in keys if self.left(key) > 0]
            chosen = frozenset(self._least_asked(able))
            if chosen in self._tried_jointly:
                return frozenset(), first
        return chosen, first

    def _least_asked(self, keys: Sequence[str]) -> list[str]:
        """As many as one request may ask for: those that had the fewest chances first."""
        if len(keys) <= MAX_GROUP:
            return list(keys)
        return sorted(keys, key=lambda key: len(self.history.get(key, ())))[:MAX_GROUP]

    def _suspect_others(self, end: GroupEnd, others: Sequence[str]) -> bool:
        """Ask for others with a group that did not turn green, or instead of it."""
        group = end.group
        joint = frozenset({*group.keys, *others})
        left = max(map(self.left, group.keys))
        if len(joint) <= MAX_GROUP and joint not in self._tried_jointly and left > 0:
            self.record(end.results, end.seen_with, group.tests)
            # The innocent ones among them are not to pay for the guilty one's attempts.
            self._reopen(joint, left)
            return True
        unproven = [key for key in others if not self.relation.is_proven(key)]
        if not unproven or not end.last_pieces:
            return False
        # In turns then, each with the others' last code in place.
        self.relation.set_code(end.last_pieces)
        self.record(end.results, end.seen_with, group.tests)
        self._reopen(frozenset(self._least_asked(unproven)))
        return True

    def _may_be_asked_again(self, key: str) -> bool:
        is_there = key in self.code or (self.stubs[key].is_living and key not in self.failed)
        return is_there and self.left(key) > 0 and key not in self.relation.waiting.busy

    def _give_up_group(self, group: Group, reason: str) -> None:
        """Give up a group, but not what was good for something before it was suspected."""
        cleared = group.proven if len(group.proven) < len(group.keys) else frozenset()
        self.give_up([key for key in group.keys if key not in cleared], reason)
        self.relation.set_code({key: group.earlier_code[key] for key in cleared})

    def _reopen(self, keys: frozenset[str], left: int | None = None) -> None:
        """Take the code of some stubs back and ask for them next, with every test of theirs."""
        if len(keys) > 1:
            self._tried_jointly.add(keys)
        proven = frozenset(k for k in keys if k in self.code and self.relation.is_proven(k))
        code = {key: self.code[key] for key in self._ordered(keys) if key in self.code}
        reaching = dict.fromkeys(n for key in code for n in self.relation.reaching(key))
        red = [self.tests[n].result for n in reaching if not self.tests[n].is_passed]
        for key in code:
            self.history.refute_last(key, [each for each in red if key in each.entered])
        self.relation.drop_code(code)
        self.relation.waiting.busy |= keys
        tests = dict.fromkeys(
            nodeid
            for key in keys
            for nodeid in self.relation.reaching(key)
            if not self._is_lost(nodeid)
        )
        group = replace(
            self._group(keys, None), tests=tuple(tests), earlier_code=code, proven=proven
        )
        self._forced.append(group if left is None else replace(group, left=left))

    def _is_lost(self, nodeid: str) -> bool:
        state = self.tests[nodeid]
        return nodeid in self.flaky or bool(state.failed and not state.is_passed)

    def _group(self, keys: Collection[str], nodeid: str | None) -> Group:
        ordered = self._ordered(keys)
        histories = [self.history.get(key, ()) for key in ordered]
        tests = dict.fromkeys(self._judges(frozenset(keys)))
        if nodeid is not None:
            tests[nodeid] = None
        return Group(
            keys=ordered,
            tests=tuple(tests),
            attempts=histories[0] if all(each == histories[0] for each in histories) else (),
            left=max(self.left(key) for key in keys),
        )

    def _judges(self, keys: frozenset[str]) -> Iterable[str]:
        """The tests that wait for nothing else, and those that are green and must stay so."""
        for key in self._ordered(keys):
            for nodeid in self.relation.reaching(key):
                state = self.tests[nodeid]
                if state.standing is Standing.GREEN or (
                    state.standing is Standing.WAITING and self._waits_only_for(state, keys)
                ):
                    yield nodeid

    def _waits_only_for(self, state: TestState, keys: frozenset[str]) -> bool:
        if state.waits_for:
            return state.waits_for <= keys
        # Of several living functions, it waits for the one that is to blame.
        return not state.open and not keys.isdisjoint(state.living)

    def _ordered(self, keys: Iterable[str]) -> tuple[str, ...]:
        return tuple(sorted(keys, key=self.relation.order.__getitem__))


def and_above(path: str) -> list[str]:
    """Give a file's node id and those of the folders that it is in."""
    parts = path.split("/")
    return [*("/".join(parts[:count]) for count in range(len(parts), 0, -1)), "."]
