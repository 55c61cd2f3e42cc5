"""What a heal needs, made in the background while the main thread goes on.

In the order in which it is needed: the stubs, the first sandbox, then the model with its
SDK, whose import takes longer than tracing does.
"""

from __future__ import annotations

import contextlib
import gc
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_selfheal.assemble import start_model, start_pool, warm_up, workspace_of
from pytest_selfheal.errors import ModelUnavailable, SandboxFailed, UsageError
from pytest_selfheal.model.escalating import ask_second
from pytest_selfheal.records import FoundStubs, ModelUsage, Reply
from pytest_selfheal.room import room_problem

if TYPE_CHECKING:
    import pytest

    from pytest_selfheal.healing.stamps import Stamp
    from pytest_selfheal.protocols import Model
    from pytest_selfheal.sandbox.pool import Pool
    from pytest_selfheal.settings import Settings


class EventualModel:
    """A model that is still being made; whoever asks it waits. A `Model`."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._model: Model | None = None
        self._problem: str | None = None
        self._is_there = threading.Event()

    def arrive(self, model: Model | None, problem: str | None = None) -> None:
        """Give the model, or say why there is none."""
        self._model, self._problem = model, problem
        self._is_there.set()

    def ask(self, prompt: str, *, targets: Sequence[str], attempt: int) -> Reply:
        """Wait for the model, then ask it; see `protocols.Model`."""
        model = self._arrived()
        return self._signed(model.ask(prompt, targets=targets, attempt=attempt))

    def ask_second(self, prompt: str, *, targets: Sequence[str], attempt: int) -> Reply:
        """The same of its second model."""
        reply = ask_second(self._arrived(), prompt, targets=targets, attempt=attempt)
        return self._signed(reply)

    def _arrived(self) -> Model:
        self._is_there.wait()
        if self._model is None:
            raise ModelUnavailable(self._problem or "the run is ending", fatal=True)
        return self._model

    def _signed(self, reply: Reply) -> Reply:
        """A reply with the name of who wrote it."""
        return (
            reply if reply.model or self._model is None else replace(reply, model=self._model.name)
        )

    def usage(self) -> ModelUsage:
        """What was asked so far."""
        return self._model.usage() if self._model is not None else ModelUsage(name=self.name)

    def close(self) -> None:
        """Close the model, if it has arrived."""
        if self._model is not None:
            self._model.close()


class Preparation:
    """Begins with its making; `close` ends whatever of it is there by then."""

    def __init__(self, config: pytest.Config, settings: Settings, sys_path: list[str]) -> None:
        """Note what the sandboxes are to mirror, and begin."""
        self.found = FoundStubs()
        self.stamps: Mapping[str, Stamp] = {}
        """The project's files as they were at the beginning."""
        self.pool: Pool | None = None
        self.model = EventualModel(settings.model)
        self.on_wait: Callable[[float, str], None] | None = None
        self._config = config
        self._settings = settings
        self._error: Exception | None = None
        self._closed = False
        self._lock = threading.Lock()
        self._has_begun = threading.Event()
        # Before anything of ours is imported: sandboxes are warmed with what is there.
        self.workspace = workspace_of(config, settings, sys_path)
        self._thread = threading.Thread(target=self._run, name="selfheal-prepare", daemon=True)
        self._thread.start()

    def wait(self) -> None:
        """Wait until the stubs are found and the first sandbox is on its way.

        Raises:
            SelfHealError: None can be had.
        """
        self._has_begun.wait()
        if self._error is not None:
            raise self._error

    def renew_pool(self) -> Pool:
        """Sandboxes that hold the project as it is now, in the place of those there are.

        Raises:
            SelfHealError: None can be had, or the run is ending.
        """
        fresh = start_pool(self._config, self._settings, self.workspace)
        with self._lock:
            old, is_closed = self.pool, self._closed
            if not is_closed:
                self.pool = fresh
        if old is None or is_closed:
            fresh.close()
            raise SandboxFailed("the run is ending")
        fresh.verifications = old.verifications
        old.close()  # first: Docker's clears away what carries this process's number
        fresh.prepare(1)
        return fresh

    def close(self) -> None:
        """End what was started; once more where an interrupt cut that off."""
        with self._lock:
            self._closed = True
            pool = self.pool
        if pool is not None:
            pool.close()
        with contextlib.suppress(Exception):  # at the end nothing depends on it
            self.model.close()

    def _run(self) -> None:
        try:
            self._start_pool()
        except Exception as error:  # noqa: BLE001 - it is raised where it is waited for
            self._error = error
        finally:
            self._has_begun.set()
        if self.pool is None:
            self.model.arrive(None, "no sandbox was started")
            return
        try:
            model = start_model(self._config, self._settings, self._waiting)
            with _collector_resting():
                warm_up(model)
        except Exception as error:  # noqa: BLE001 - it is told to whoever asks
            self.model.arrive(None, " ".join(str(error).split()))
        else:
            self.model.arrive(model)

    def _start_pool(self) -> None:
        from pytest_selfheal.healing.stamps import stamps
        from pytest_selfheal.source.find import find_in_project

        # Before anything of it is read, so that no change is missed.
        self.stamps = stamps(self.workspace.root)
        self.found = find_in_project(self.workspace.root)
        if not self.found.stubs:
            return
        problem = room_problem(self._settings.jobs, is_before_tests=False)
        if problem:  # the tests took what there was
            raise UsageError(problem)
        pool = start_pool(self._config, self._settings, self.workspace)
        with self._lock:
            if not self._closed:
                self.pool = pool
                pool.prepare(1)
                return
        pool.close()

    def _waiting(self, seconds: float, reason: str) -> None:
        if self.on_wait is not None:
            self.on_wait(seconds, reason)


@contextlib.contextmanager
def _collector_resting() -> Iterator[None]:
    """Keep the garbage collector from going through imports that all stay.

    What is there afterwards is frozen: going through it once more at the interpreter's
    end took half a second.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
