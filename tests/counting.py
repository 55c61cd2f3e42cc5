"""A model without a service, which counts as one would."""

from __future__ import annotations

from collections.abc import Sequence
from threading import Event, Lock

from pytest_selfheal.errors import ModelUnavailable
from pytest_selfheal.model.bounds import Bound
from pytest_selfheal.records import ModelUsage, Reply


class CountingModel:
    """Answers after a moment, never with more than it is bound to."""

    name = "counting"

    def __init__(
        self,
        output_tokens: int = 50,
        *,
        fails: ModelUnavailable | None = None,
        counts_nothing: bool = False,
        seconds: float = 0.001,
    ) -> None:
        self.requests = 0
        self.tokens = 0
        self.bounds: list[Bound] = []
        self.closed = False
        self._output_tokens = output_tokens
        self._fails = fails
        self._counts_nothing = counts_nothing
        self._seconds = seconds
        self._lock = Lock()

    def ask(self, prompt: str, *, targets: Sequence[str], attempt: int) -> Reply:
        return self.ask_within(prompt, Bound(), targets=targets, attempt=attempt)

    def ask_within(
        self, prompt: str, bound: Bound, *, targets: Sequence[str], attempt: int
    ) -> Reply:
        with self._lock:
            self.requests += 1
            self.bounds.append(bound)
        Event().wait(self._seconds)  # lets the other threads come
        if self._fails is not None:
            raise self._fails
        if self._counts_nothing:
            return Reply(text="x" * 4 * self._output_tokens)
        replied = min(self._output_tokens, bound.reply_tokens or self._output_tokens)
        with self._lock:
            self.tokens += len(prompt) // 4 + replied
        return Reply(text="", input_tokens=len(prompt) // 4, output_tokens=replied)

    def usage(self) -> ModelUsage:
        return ModelUsage(name=self.name, requests=self.requests)

    def close(self) -> None:
        self.closed = True
