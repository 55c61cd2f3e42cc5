"""A made-up project without files, a model without delay and sandboxes without processes.

What a test of the made-up project gives is computed from which stubs have right code: so
the real `Heal` can be driven through thousands of stubs, or thousands of small projects.

    world = World.of({"t.py::one": Reach("ab")}, replies={"a": [False, True]})
    heal = world.healed()
    assert world.names(heal.confirmed) == "ab"
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import Executor, Future
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from threading import Lock
from typing import Any, cast

from pytest_selfheal.healing.groups import Group, key_of
from pytest_selfheal.healing.holdout import EVERYTHING_SHOWN, Holdout
from pytest_selfheal.healing.kit import Halt, Inquiry, Kit
from pytest_selfheal.healing.run import Heal
from pytest_selfheal.healing.session import SessionRecord
from pytest_selfheal.healing.stuck import Approach
from pytest_selfheal.interrupts import Interrupts
from pytest_selfheal.records import (
    Attempt,
    Candidate,
    EarlyEnd,
    Failure,
    Limits,
    MarkerOptions,
    Piece,
    Reply,
    RunOutcome,
    Stub,
    TestResult,
)
from pytest_selfheal.report.live_lines import Counts
from pytest_selfheal.sandbox.inside_early import Failing
from pytest_selfheal.settings import Settings

RIGHT, WRONG = "return 'right'", "return 'wrong'"


@dataclass(frozen=True, kw_only=True)
class Reach:
    """What a test of the made-up project enters, in order, if nothing stops it."""

    stubs: tuple[str, ...]
    tells: frozenset[str]
    """Those of them whose wrong code it notices."""
    stops: frozenset[str] = frozenset()
    """Those whose wrong code stops it at once; others let it go on to its end."""
    minds: frozenset[str] = frozenset()
    """Those whose wrong code it notices, and not that there is none."""
    wants: frozenset[str] = frozenset()
    """Those that it notices to have none, and not that it is wrong."""
    flaky: tuple[bool, ...] = ()
    """Whether it passes where it should, run by run; the last one repeats."""
    crashes_with: frozenset[str] = frozenset()
    """Stubs whose wrong code ends the process in this test."""


@dataclass(kw_only=True, repr=False)
class World:
    """A made-up project, the model that answers for it, and what was asked of both."""

    stubs: dict[str, Stub]
    tests: dict[str, Reach]
    replies: Mapping[str, Sequence[bool]] = field(default_factory=dict)
    """Whether the replies for a stub are right, one after the other; the last one repeats."""
    returning: frozenset[str] = frozenset()
    """Stubs that return None where others raise."""
    was_right: frozenset[str] = frozenset()
    """Living functions whose present body is right."""
    broken_by: Callable[[Mapping[str, Piece]], bool] = lambda _: False
    """Whether the code keeps a run from getting to its tests."""
    conflict: Callable[[Mapping[str, Piece]], str | None] = lambda _: None
    """Why pieces do not go together."""
    attempts: int = 5
    jobs: int = 8
    more_settings: Mapping[str, Any] = field(default_factory=dict)
    executor: Executor | None = None
    """Asks for several candidates at once."""
    told: list[Attempt] = field(default_factory=list)
    """What plugins hear of."""
    approaches: list[Approach] = field(default_factory=list)
    """How each request was made."""
    backend: str = "docker"
    ends_early: bool = True
    """A run that red tests have decided leaves the rest of its tests out."""
    most_verifications: int = 100_000
    requests: list[tuple[str, ...]] = field(default_factory=list)
    asked: dict[str, int] = field(default_factory=dict)
    verified: list[tuple[str, ...]] = field(default_factory=list)
    runs: dict[str, int] = field(default_factory=dict)
    left_out: int = 0
    interrupts: Interrupts = field(default_factory=Interrupts)
    lock: Any = field(default_factory=Lock)

    def __repr__(self) -> str:
        """Short enough for a failing example to be read."""
        names = {key: key.rpartition("::")[2] for key in self.stubs}
        tests = ", ".join(
            f"{test[-6:]}: {' '.join(names[key] for key in reach.stubs)}"
            f" tells {sorted(names[key] for key in reach.tells)}"
            f" stops {sorted(names[key] for key in reach.stops)}"
            f" crashes {sorted(names[key] for key in reach.crashes_with)} {reach.flaky}"
            for test, reach in self.tests.items()
        )
        living = [names[key] for key, stub in self.stubs.items() if stub.is_living]
        own = {names[k]: s.options.attempts for k, s in self.stubs.items() if s.options.attempts}
        return (
            f"World({tests}; replies {dict(self.replies)}, living {living}, "
            f"returning {sorted(self.returning)}, right {sorted(self.was_right)}, "
            f"attempts {self.attempts} {own}, jobs {self.jobs}; asked {self.requests})"
        )

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(repr(self))

    # --- what a project is ---------------------------------------------------------------

    def initially_passing(self) -> list[str]:
        """The tests that pass as the project is."""
        return [test for test in self.tests if self.result(test, {}).outcome == "passed"]

    def result(self, test: str, code: Mapping[str, Piece]) -> TestResult:
        """What a test gives with some code in place."""
        reach = self.tests[test]
        entered: list[str] = []
        is_red = False
        text = ""
        for key in reach.stubs:
            entered.append(key)
            body = self._body(key, code)
            if body is None and key not in self.returning:
                return _failed(test, entered, f"E   StubCalled: {key}")
            told = reach.tells | (reach.wants if body is None else reach.minds)
            if body != RIGHT and key in told:
                is_red, text = True, text or f"E   assert {key} is right"
                if body is not None and key in reach.stops:
                    break
        if not is_red and reach.flaky:
            number = self.runs.get(test, 0)
            self.runs[test] = number + 1
            if not reach.flaky[min(number, len(reach.flaky) - 1)]:
                is_red, text = True, "E   assert the weather is fine"
        if is_red:
            return _failed(test, entered, text)
        return TestResult(nodeid=test, outcome="passed", entered=tuple(entered))

    def _body(self, key: str, code: Mapping[str, Piece]) -> str | None:
        piece = code.get(key)
        if piece is not None:
            return piece.definition
        if self.stubs[key].is_living:
            return RIGHT if key in self.was_right else WRONG
        return None

    # --- what a kit is -------------------------------------------------------------------

    @property
    def settings(self) -> Settings:
        return replace(settings(attempts=self.attempts, jobs=self.jobs), **self.more_settings)

    @property
    def halt(self) -> Halt:
        return Halt()

    @property
    def pool(self) -> World:
        return self

    @property
    def progress(self) -> World:
        return self

    @property
    def relay(self) -> World:
        return self

    def prepare(self, count: int) -> None: ...

    def stage(self, *_: object, **__: object) -> None: ...

    def drop(self, *_: object) -> None: ...

    def wants_counts(self) -> bool:
        return True

    def count(self, counts: Counts) -> None:
        assert 0 <= counts.green_stubs + counts.given_up <= counts.stubs <= len(self.stubs)
        assert 0 <= counts.green_tests <= counts.tests

    def done(self, *_: object) -> None: ...

    def attempted(self, targets: object, number: int, attempt: Attempt) -> None:
        assert number == attempt.number
        self.told.append(attempt)

    def holdout(self, *_: object) -> Holdout:
        return EVERYTHING_SHOWN

    def ask(self, inquiry: Inquiry) -> Reply:
        with self.lock:
            return self._replied(inquiry.group, inquiry.approach)

    def _replied(self, group: Group, approach: Approach) -> Reply:
        self.requests.append(group.keys)
        self.approaches.append(approach)
        blocks = []
        for key in group.keys:
            number = self.asked[key] = self.asked.get(key, 0) + 1
            script = self.replies.get(key) or (True,)
            is_right = script[min(number, len(script)) - 1]
            blocks.append(f"{key!r}\n{RIGHT if is_right else WRONG!r}")
        return Reply(text="", blocks=tuple(blocks))

    def candidate(self, group: Group, reply: Reply) -> Candidate:
        bodies = [RIGHT if RIGHT in block else WRONG for block in reply.blocks]
        return Candidate(
            pieces=tuple(
                Piece(stub=self.stubs[key], definition=body)
                for key, body in zip(group.keys, bodies, strict=True)
            )
        )

    def overlay(self, pieces: Mapping[str, Piece]) -> dict[str, bytes]:
        from pytest_selfheal.errors import Unusable

        problem = self.conflict(pieces)
        if problem:
            raise Unusable(problem)
        return {}

    def verify(
        self,
        tests: Sequence[str],
        pieces: Mapping[str, Piece],
        *,
        early_end: EarlyEnd | None = None,
        **_: object,
    ) -> RunOutcome:
        self.overlay(pieces)
        self.verified.append(tuple(tests))
        assert len(self.verified) <= self.most_verifications, "it does not end"
        if self.broken_by(pieces):
            results = [_unfinished(test) for test in tests]
            return RunOutcome(ending="crashed", why="killed by SIGSEGV", results=tuple(results))
        results = []
        failing = (
            Failing(**asdict(early_end)) if early_end is not None and self.ends_early else None
        )
        not_run = set()
        for place, test in enumerate(tests):
            if failing is not None and failing.leaves_out(test):
                results.append(_unfinished(test))
                not_run.add(test)
                self.left_out += 1
                continue
            reach = self.tests[test]
            if any(self._body(key, pieces) == WRONG for key in reach.crashes_with):
                # What it entered was to be told with its report, which never came.
                results.append(TestResult(nodeid=test, outcome="unfinished", phase="call"))
                results += [_unfinished(each) for each in tests[place + 1 :]]
                why = f"killed by SIGSEGV in {test}"
                return RunOutcome(ending="crashed", why=why, results=tuple(results))
            results.append(self.result(test, pieces))
            if failing is not None and results[-1].outcome == "failed":
                failing.add(test, results[-1].entered)
        return RunOutcome(
            ending="completed",
            results=tuple(results),
            ended_early=failing is not None and failing.is_decisive,
            not_run=frozenset(not_run),
        )

    # --- running it ----------------------------------------------------------------------

    def heal(self) -> Heal:
        """A heal that has not begun."""
        passed = self.initially_passing()
        failures = [
            Failure(nodeid=test, phase="call", longrepr="")
            for test in self.tests
            if test not in set(passed)
        ]
        self.runs.clear()
        record = SessionRecord(failures=tuple(failures), passed=tuple(passed), seconds=1.0)
        return Heal.of(cast(Kit, self), record)

    def healed(self, executor: Executor | None = None) -> Heal:
        """A heal that has ended, in this thread alone if no other executor is given."""
        heal = self.heal()
        self.run(heal, executor)
        assert heal.problem is None, heal.problem
        return heal

    def run(self, heal: Heal, executor: Executor | None = None) -> None:
        """Run a heal to its end."""
        heal.run(executor or Immediate())

    def expected(self) -> set[str]:
        """What a failing test reaches once everything is right."""
        passed = set(self.initially_passing())
        return {key for test in self.tests if test not in passed for key in self.tests[test].stubs}


class Immediate(Executor):
    """Runs each call as it is submitted."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Run a call."""
        future: Future[Any] = Future()
        future.set_result(fn(*args, **kwargs))
        return future


def make_stubs(
    names: Iterable[str], *, living: Collection[str] = (), attempts: Mapping[str, int] = {}
) -> dict[str, Stub]:
    """Stubs of these names, ten to a file, by key."""
    made = {}
    for number, name in enumerate(names):
        stub = Stub(
            path=f"m{number // 10}.py",
            qualname=name,
            first_line=1 + 3 * (number % 10),
            def_line=1 + 3 * (number % 10),
            end_line=2 + 3 * (number % 10),
            marker="comment",
            is_living=name in living,
            options=MarkerOptions(attempts=attempts.get(name)),
        )
        made[key_of(stub)] = stub
    return made


def settings(*, attempts: int = 5, jobs: int = 8) -> Settings:
    """Settings of which only these matter."""
    return Settings(
        holdout=0.25,
        enabled=True,
        mode="apply",
        model="none",
        base_url=None,
        api="chat",
        replay=None,
        record=None,
        sandbox="landlock",
        image="host",
        attempts=attempts,
        jobs=jobs,
        limits=Limits(),
        max_requests=None,
        max_tokens=None,
        rpm=None,
        tpm=None,
        patch=Path("selfheal.patch"),
        reports=(),
        keep_marker=False,
        env=(),
        docker_runtime=None,
        docker_network=None,
        root_dir=Path("/"),
        invocation_dir=Path("/"),
    )


def _failed(test: str, entered: Sequence[str], text: str) -> TestResult:
    return TestResult(nodeid=test, outcome="failed", longrepr=text, entered=tuple(entered))


def _unfinished(test: str) -> TestResult:
    return TestResult(nodeid=test, outcome="unfinished", phase="collect")
