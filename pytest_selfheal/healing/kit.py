"""What a group's loop works with: asking, building candidates, verifying.

Shared by all threads of a run; nothing in it changes but what `overlays` remembers.
"""

from __future__ import annotations

from collections.abc import Collection, Container, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from pytest_selfheal.errors import BudgetExhausted, ModelUnavailable, Refused
from pytest_selfheal.healing.groups import Group
from pytest_selfheal.healing.holdout import EVERYTHING_SHOWN, Holdout, hold_out
from pytest_selfheal.healing.overlays import Overlays
from pytest_selfheal.healing.stuck import FIRST, Approach
from pytest_selfheal.interrupts import Interrupts
from pytest_selfheal.model.escalating import ask_second
from pytest_selfheal.model.prompt import render, too_long
from pytest_selfheal.model.size import estimated_tokens
from pytest_selfheal.protocols import Model
from pytest_selfheal.records import (
    Attempt,
    Candidate,
    EarlyEnd,
    Edit,
    Excerpt,
    Failure,
    Job,
    Piece,
    Question,
    Reply,
    RunOutcome,
    Stub,
    TestResult,
)
from pytest_selfheal.report.progress import Progress
from pytest_selfheal.sandbox.pool import Pool
from pytest_selfheal.settings import Settings
from pytest_selfheal.source.candidate import read_candidate
from pytest_selfheal.source.context import (
    data_excerpts,
    imported_definitions,
    module_excerpt,
    names_in_tests,
    test_excerpts,
)
from pytest_selfheal.source.context_wide import widened
from pytest_selfheal.source.test_files import may_hold_tests


class Relay(Protocol):
    """The hooks that other plugins may use; see `hookspecs`."""

    def change_prompt(self, prompt: str, targets: Sequence[str]) -> str:
        """Give the prompt as plugins want it."""

    def veto(self, candidate: Candidate) -> str | None:
        """Why a plugin does not want a candidate run, None if none objects."""

    def attempted(self, targets: Sequence[str], number: int, attempt: Attempt) -> None:
        """Tell of an attempt."""


@dataclass(slots=True)
class Halt:
    """Why no further request is sent in this run, once there is a reason."""

    reason: str | None = None
    second_reason: str | None = None
    """Why none is sent to the second model; the first one is asked in its place."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inquiry:
    """What a request for a group's code is made from."""

    group: Group
    results: Sequence[TestResult]
    """How its tests stand."""
    provisional: Mapping[str, Piece]
    """Code to be shown."""
    attempts: Sequence[Attempt] = ()
    """Those so far."""
    holdout: Holdout = EVERYTHING_SHOWN
    """What is not to be shown."""
    approach: Approach = FIRST
    """How it is asked for."""
    number: int | None = None
    """Which request for the group it is, if not the next after the attempts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kit:
    """The tools of a run."""

    settings: Settings
    model: Model
    pool: Pool
    progress: Progress
    relay: Relay
    root: Path
    stubs: Mapping[str, Stub]
    sources: Mapping[str, bytes]
    """The files that hold stubs, as they were read."""
    files: Collection[str]
    """All files of the project that a prompt may quote."""
    private: Container[str] = ()
    """Those that are never read for one."""
    test_names: Sequence[str] = ("test", "Test")
    """What pytest's `python_functions` and `python_classes` say."""
    halt: Halt = field(default_factory=Halt)
    interrupts: Interrupts = field(default_factory=Interrupts)
    executor: Executor | None = None
    """Asks for several replies at once; bounds how many are under way over all groups."""
    _without_tests: dict[str, bool] = field(default_factory=dict)
    overlays: Overlays = field(init=False)

    def __post_init__(self) -> None:
        overlays = Overlays(self.stubs, self.sources, keep_marker=self.settings.keep_marker)
        object.__setattr__(self, "overlays", overlays)

    def ask(self, inquiry: Inquiry) -> Reply:
        """Ask a model for a group's code.

        Raises:
            ModelUnavailable: It gave no reply, or an earlier request showed that none can.
        """
        if self.halt.reason:
            raise ModelUnavailable(self.halt.reason)
        targets, prompt = self.prompt(inquiry)
        number = inquiry.number or len(inquiry.attempts) + 1
        if inquiry.approach.is_second and self.halt.second_reason is None:
            try:
                return ask_second(self.model, prompt, targets=targets, attempt=number)
            except ModelUnavailable as error:
                if not error.fatal or isinstance(error, BudgetExhausted):
                    self._heed(error)
                    raise
                self.halt.second_reason = str(error)
        try:
            return self.model.ask(prompt, targets=targets, attempt=number)
        except ModelUnavailable as error:
            self._heed(error)
            raise

    def _heed(self, error: ModelUnavailable) -> None:
        if error.fatal:
            self.halt.reason = str(error)

    def prompt(self, inquiry: Inquiry) -> tuple[list[str], str]:
        """What a group's request asks for, and its whole text as plugins want it.

        Raises:
            PromptTooLong: It cannot be made to fit.
        """
        question = self.question(inquiry)
        targets = list(dict.fromkeys(stub.target for stub in question.stubs))
        limit = self.settings.prompt_tokens
        prompt = render(question, limit, secrets=self.settings.redact)
        changed = self.relay.change_prompt(prompt, targets)
        if changed != prompt and estimated_tokens(changed) > limit:
            raise too_long(question, limit)
        return targets, changed

    def question(self, inquiry: Inquiry) -> Question:
        """Gather what a prompt is rendered from, without what is held out of it."""
        stubs = [self.stubs[key] for key in inquiry.group.keys]
        holdout, results, approach = inquiry.holdout, inquiry.results, inquiry.approach
        red = [result for result in results if result.outcome != "passed"]
        seen = [result for result in red if not holdout.withholds(result)]
        unseen = holdout.unseen_failure(red)
        nodeids = [result.nodeid for result in red]
        read = holdout.read(self.read_public)
        entered = [key for result in red for key in result.entered]
        shown = [
            Excerpt(path=piece.stub.path, text=piece.definition, note=piece.stub.qualname)
            for key in dict.fromkeys([*inquiry.group.keys, *entered])
            if (piece := inquiry.provisional.get(key)) is not None
        ]
        by_path: dict[str, list[Stub]] = {}
        for stub in stubs:
            by_path.setdefault(stub.path, []).append(stub)
        named = names_in_tests(nodeids, read)
        modules = [
            module_excerpt(self.sources[path], here, names=named) for path, here in by_path.items()
        ]
        tests = test_excerpts(nodeids, stubs, read)
        if approach.strategy == "more-context":
            modules, tests = widened(modules, tests, read, self.files)
        else:
            modules += imported_definitions(by_path, nodeids, read, self.files)
        return Question(
            stubs=tuple(stubs),
            modules=tuple(modules),
            tests=tests,
            data=data_excerpts(
                nodeids,
                read,
                self.files,
                opened=list(dict.fromkeys(path for each in seen for path in each.opened)),
            ),
            provisional=tuple(shown),
            failures=tuple(
                Failure(nodeid=each.nodeid, phase=each.phase, longrepr=each.longrepr)
                for each in seen
            )
            + (() if unseen is None else (unseen,)),
            passing=tuple(
                each.nodeid
                for each in results
                if each.outcome == "passed" and not holdout.hides(each)
            ),
            attempts=tuple(map(holdout.told, inquiry.attempts[approach.told_from :])),
            wants_another_way=approach.strategy == "fresh",
        )

    def holdout(self, group: Group, results: Sequence[TestResult]) -> Holdout:
        """What is held out of the requests for a group."""
        return hold_out(
            group.tests,
            results,
            self.read_public,
            self.settings.holdout,
            is_first=not group.attempts and not group.earlier_code,
        )

    def candidate(self, group: Group, reply: Reply) -> Candidate:
        """Read a reply and let it past the static policy and the plugins.

        Raises:
            Unusable: It holds no candidate.
            Refused: The policy or a plugin does not want it run.
        """
        stubs = [self.stubs[key] for key in group.keys]
        sources = {stub.path: self.sources[stub.path] for stub in stubs}
        candidate = read_candidate(reply, stubs, sources)
        objection = self.relay.veto(candidate)
        if objection:
            raise Refused(objection)
        return candidate

    def overlay(self, pieces: Mapping[str, Piece]) -> dict[str, bytes]:
        """The files as they are with this code in place.

        Raises:
            Unusable: The pieces do not go together.
            EditConflict: A file cannot take them.
        """
        return {path: file.data for path, file in self.overlays.files(pieces).items()}

    def edits(self, pieces: Mapping[str, Piece]) -> list[Edit]:
        """The same as edits, each with the bytes that it was made from."""
        return [
            Edit(path=path, before=self.sources[path], after=after)
            for path, after in sorted(self.overlay(pieces).items())
        ]

    def verify(
        self,
        tests: Sequence[str],
        pieces: Mapping[str, Piece],
        *,
        checks: Mapping[str, str] | None = None,
        shuffle_seed: int | None = None,
        timeout_seconds: float | None = None,
        under_trial: Collection[str] = (),
        is_last: bool = False,
        first: Collection[str] = (),
        last: Sequence[str] = (),
        early_end: EarlyEnd | None = None,
    ) -> RunOutcome:
        """Run tests in a fresh sandbox with this code in place.

        Args:
            tests: What is run.
            pieces: The code, by its stubs' keys.
            checks: The model's own asserts, by the module whose names they use.
            shuffle_seed: Another order.
            timeout_seconds: If not the sandbox's own limit.
            under_trial: Stubs whose tests must be able to fail as well.
            is_last: No other verification is about to follow.
            first: Tests that run before others, as far as that cannot matter to any.
            last: Tests that run after all others, in this order.
            early_end: If given, what the verdict does not need any more is left out.

        Raises:
            SandboxFailed: None could be started, or it was lost.
            Unusable: The pieces do not go together.
            EditConflict: A file cannot take them.
        """
        files = self.overlays.files(pieces)
        job = Job(
            nodes=tuple(tests),
            without_tests=frozenset(node for node in tests if self._holds_no_test(node)),
            overlay={path: file.data for path, file in files.items()},
            watch=self.overlays.watch(files),
            checks=checks or {},
            shuffle_seed=shuffle_seed,
            timeout_seconds=timeout_seconds,
            under_trial=frozenset(under_trial),
            first=frozenset(first),
            last=tuple(last),
            early_end=early_end,
        )
        ahead = 0 if is_last else 1
        with self.interrupts.allowed():
            outcome = self.pool.run(job, ahead=ahead)
            if outcome.was_in_controls:
                # A test that came to no end with wrong code says nothing against the right one.
                outcome = self.pool.run(replace(job, under_trial=frozenset()), ahead=ahead)
        return outcome

    def _holds_no_test(self, node: str) -> bool:
        if "::" in node:
            return False
        if node not in self._without_tests:
            source = self.read(node)
            self._without_tests[node] = source is not None and not may_hold_tests(
                source, self.test_names
            )
        return self._without_tests[node]

    def read_public(self, path: str) -> bytes | None:
        """A file of the project that a prompt may quote, None where it may not."""
        return None if path in self.private else self.read(path)

    def read(self, path: str) -> bytes | None:
        """A file of the project, None where there is none to read."""
        if path in self.sources:
            return self.sources[path]
        full = self.root / path
        try:
            if not full.resolve().is_relative_to(self.root):
                return None
            return full.read_bytes()
        except (OSError, ValueError):
            return None
