"""Whether a test that passes can fail as well. Sent as text like `inside_tests`.

A test that passes proves something only if it can fail. So each test tells when an
exception leaves it, and a report that says `passed` all the same is not to be believed. And
some of those that passed are run again, in the same session and through the same runner:
against code that is known to be wrong (what they test does nothing but raise), with their
assertions inverted, and with other values in the place of those that they expect. What a
control says counts against the candidate alone: one that fails in any other way, or that comes
to no end, says nothing.
"""

from __future__ import annotations

import ast
import builtins
import contextlib
import os
import random
import signal
import sys
import threading
import time
import types
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest

PASSED = ["passed"] * 3
"""What the reports on a test say that passes, and has no subtest that fails."""
MAX_CONTROLLED = 24
MAX_CONTROLLED_IF_RED = 4
"""Where other tests failed, the candidate is turned away in most cases without any control."""
MIN_SECONDS, SHARE_OF_RUN = 0.5, 0.5
"""All controls together take as long as the larger of these."""
MAX_SECONDS = 2.0
"""For one control; a test that took longer itself is not made a control of."""


class Raised(BaseException):
    """What stands for wrong code: no honest test expects it."""


class Enough(BaseException):
    """A control has had its time."""


class Control:
    """A test that runs once more, and what was seen of it."""

    def __init__(self, code: types.CodeType, *, is_raising: bool = False) -> None:
        self.code = code
        self.is_raising = is_raising
        self.raised_to_test = False
        """What the test function itself called did nothing but raise."""
        self.held = False
        """An inverted assertion held."""
        self.outcomes: list[str] = []
        """What the reports said."""

    @property
    def passed(self) -> bool:
        """Whether all reports say so."""
        return self.outcomes == PASSED


class Controls:
    """Chooses the controls of a session, runs them, and tells what speaks against a report."""

    def __init__(
        self,
        twins: Any,
        changed: Any,
        trace: Any,
        job: dict[str, Any],
        texts: dict[str, bytes],
        nonce: str,
        emit: Callable[[dict[str, Any]], None],
    ) -> None:
        """Take what is needed.

        Args:
            twins: The module `inside_twins`.
            changed: The module `inside_changed`.
            trace: The `Trace`, whose `failing` functions call its `fail`.
            job: What is run.
            texts: The texts of rewritten modules by their real paths, as they were imported.
            nonce: Makes the choice one that cannot be foreseen.
            emit: Writes a record.
        """
        self._twins = twins
        self._change = changed.change
        self._trace = trace
        self._under_trial = frozenset(job["under_trial"])
        self._names = {node.partition("[")[0].rpartition("::")[2] for node in job["nodes"]}
        self._texts = texts
        self._choice = random.Random(f"controls {nonce}")  # noqa: S311 - an order
        self._emit = emit
        self._codes: dict[pytest.Item, types.CodeType | None] = {}
        self._left: set[types.CodeType] = set()
        self._passed: dict[pytest.Item, float] = {}
        self._seconds = 0.0
        self._are_red = False
        self.current: Control | None = None
        """The control that runs now."""
        setattr(builtins, twins.LEFT, self._begins_or_left)
        setattr(builtins, twins.HELD, self._held)

    def remember(self, items: Iterable[pytest.Item]) -> None:
        """Note the code of tests before any of them runs."""
        if self._under_trial:
            self._codes = {item: _code_of(item) for item in items}

    def make_tell(self, tree: ast.Module) -> None:
        """Have a module's tests tell what leaves them, where there is code under trial."""
        if self._under_trial:
            self._twins.make_tell(tree, self._names)

    def note(self, item: pytest.Item, outcomes: Iterable[str], seconds: float) -> None:
        """Note what became of a test.

        Args:
            item: The test, whose functions entered are the trace's current ones.
            outcomes: What each of its reports said.
            seconds: How long its phases took.
        """
        self._seconds += seconds
        passed = list(outcomes) == PASSED
        code = self._codes.get(item)
        if code is not None and passed:
            if code in self._left:
                self._tell(item, "failed, and was reported as passed")
            if code is not _code_of(item):
                self._tell(item, "was given another body while the tests ran")
        if "failed" in outcomes:
            self._are_red = True
        elif passed and not self._under_trial.isdisjoint(self._trace.current):
            self._passed[item] = seconds
        self._left.clear()

    def run(self) -> None:
        """Run the controls."""
        chosen = list(self._chosen())
        if not chosen:
            return
        self._emit({"kind": "controls"})
        until = time.monotonic() + max(MIN_SECONDS, SHARE_OF_RUN * self._seconds)
        for item in chosen:
            objection = self._objection(item)
            if objection:
                self._tell(item, objection)
            if objection or time.monotonic() > until:
                break
        self._emit({"kind": "controlled"})

    @contextlib.contextmanager
    def calling(self) -> Iterator[None]:
        """Around the call of a test that may be a control."""
        control, trace = self.current, self._trace
        if control is None:
            yield
            return
        if control.is_raising:
            trace.noted.clear()
            trace.fail = self._fail
            trace.failing = trace.numbers_of(self._under_trial)
        try:
            with _bounded():
                yield
        finally:
            trace.failing = frozenset()

    def _chosen(self) -> Iterator[pytest.Item]:
        items = [item for item, seconds in self._passed.items() if seconds <= MAX_SECONDS]
        self._choice.shuffle(items)
        # One of each function first: the cases of one are more alike than functions are.
        seen: set[Any] = set()
        first: list[pytest.Item] = []
        more: list[pytest.Item] = []
        for item in items:
            function = getattr(item, "function", None)
            (more if function in seen else first).append(item)
            seen.add(function)
        limit = MAX_CONTROLLED_IF_RED if self._are_red else MAX_CONTROLLED
        yield from [*first, *more][:limit]

    def _objection(self, item: pytest.Item) -> str | None:
        """What a test says against the reports on it when it must not pass."""
        function = _judging(item)
        if function is None:
            return None
        twin = self._twin(function)
        raising = Control(function.__code__, is_raising=True)
        left = self._run(item, function, raising)
        if raising.passed and left:
            return "cannot pass with wrong code, and was reported as passed"
        if raising.passed and raising.raised_to_test and twin is not None and not twin.swallows:
            return "passes although what it calls does nothing but raise"
        if twin is None:
            return None
        for code, how in (
            (twin.inverted, "with its assertions inverted"),
            (twin.changed, "when it expects something else"),
        ):
            if code is None:
                continue
            control = Control(code)
            left = self._run(item, function, control)
            if control.passed and left:
                return f"failed {how}, and was reported as passed"
            if control.passed and control.held and self._is_repeatable(item, function, code):
                return f"passes {how} as well"
        return None

    def _is_repeatable(
        self, item: pytest.Item, function: types.FunctionType, twin: types.CodeType
    ) -> bool:
        """Whether a test and its twin pass time after time: it minds no state that changes."""
        for code in (function.__code__, function.__code__, twin):
            again = Control(code)
            if self._run(item, function, again) or not again.passed:
                return False
        return True

    def _twin(self, function: types.FunctionType) -> Any:
        text = self._texts.get(os.path.realpath(function.__code__.co_filename))
        with contextlib.suppress(SyntaxError, ValueError, RecursionError):
            return text and self._twins.twin_of(function, text, self._change)
        return None

    def _run(self, item: pytest.Item, function: types.FunctionType, control: Control) -> bool:
        """Run a test once more with this code; whether an exception left it."""
        plain, function.__code__ = function.__code__, control.code
        self._left.clear()
        self.current = control
        # Nobody reads how it failed, and to print that costs more than to run it.
        of_item: Any = item
        of_item.repr_failure = of_item._repr_failure_py = _unread
        try:
            # To be torn down to what its neighbours share, and no further.
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=item.parent)
        finally:
            del of_item.repr_failure, of_item._repr_failure_py
            self.current = None
            function.__code__ = plain
        return control.code in self._left

    def _begins_or_left(self, has_left: bool) -> None:
        change = self._left.add if has_left else self._left.discard
        change(sys._getframe(1).f_code)

    def _held(self) -> None:
        if self.current is not None:
            self.current.held = True

    def _tell(self, item: pytest.Item, what: str) -> None:
        # Without the case: the model may not be shown which cases there are.
        self._emit({"kind": "tampered", "what": f"{item.nodeid.partition('[')[0]} {what}"})

    def _fail(self, frame: types.FrameType) -> None:
        """Raise out of a function's first line, unless another thread entered it."""
        control = self.current
        if control is None or threading.current_thread() is not threading.main_thread():
            return
        caller = frame.f_back
        if caller is not None and caller.f_code is control.code:
            control.raised_to_test = True
        raise Raised("not the code, but what stands for wrong code")


def _unread(*_: Any, **__: Any) -> str:
    return "it failed as a control"


def _judging(item: pytest.Item) -> types.FunctionType | None:
    """The function whose exceptions are the test's: below `mock.patch`, and no other wrapper."""
    function: Any = getattr(item, "function", None)
    for _ in range(20):
        if not isinstance(function, types.FunctionType) or hasattr(function, "hypothesis"):
            return None
        wrapped = vars(function).get("__wrapped__")
        if wrapped is None:
            return function
        if function.__module__ != wrapped.__module__ or not hasattr(function, "patchings"):
            return None
        function = wrapped
    return None


def _code_of(item: pytest.Item) -> types.CodeType | None:
    function = _judging(item)
    return None if function is None else function.__code__


@contextlib.contextmanager
def _bounded() -> Iterator[None]:
    """End what goes on for too long, as far as Python code can be ended."""

    def ring(*_: Any) -> None:
        raise Enough

    handler, timer = signal.getsignal(signal.SIGALRM), signal.getitimer(signal.ITIMER_REAL)
    signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, 2 * MAX_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, *timer)
        signal.signal(signal.SIGALRM, handler)
