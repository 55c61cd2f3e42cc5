"""Two models: one that is asked first, and one for what the first does not get done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol, runtime_checkable

from pytest_selfheal.protocols import Model
from pytest_selfheal.records import ModelUsage, Reply


@runtime_checkable
class TwoModels(Protocol):
    """A model that has a second one behind it."""

    def ask_second(self, prompt: str, *, targets: Sequence[str], attempt: int) -> Reply:
        """As `Model.ask`, of the second model."""


class EscalatingModel:
    """The first model, with the second one within reach; a `Model`."""

    def __init__(self, first: Model, second: Model) -> None:
        self.name = first.name
        self._model = first
        self._second = second

    def ask(self, prompt: str, *, targets: Sequence[str], attempt: int) -> Reply:
        """Ask the first model; see `protocols.Model`."""
        return _signed(self._model, self._model.ask(prompt, targets=targets, attempt=attempt))

    def ask_second(self, prompt: str, *, targets: Sequence[str], attempt: int) -> Reply:
        """Ask the second one."""
        return _signed(self._second, self._second.ask(prompt, targets=targets, attempt=attempt))

    def usage(self) -> ModelUsage:
        """What both were asked, together and each by itself."""
        first, second = self._model.usage(), self._second.usage()
        if not second.requests and not second.stored_replies:
            return first
        costs = [first.cost, second.cost]
        known = [cost for cost in costs if cost is not None]
        return ModelUsage(
            name=first.name,
            requests=first.requests + second.requests,
            input_tokens=first.input_tokens + second.input_tokens,
            output_tokens=first.output_tokens + second.output_tokens,
            cached_tokens=first.cached_tokens + second.cached_tokens,
            reasoning_tokens=first.reasoning_tokens + second.reasoning_tokens,
            # A sum of which a part is not known is not known.
            cost=sum(known) if len(known) == len(costs) else None,
            uncounted_requests=first.uncounted_requests + second.uncounted_requests,
            stored_replies=first.stored_replies + second.stored_replies,
            models=(first, second),
        )

    def close(self) -> None:
        """Close both."""
        self._model.close()
        self._second.close()


def ask_second(model: Model, prompt: str, *, targets: Sequence[str], attempt: int) -> Reply:
    """Ask a model's second one; a recording, which holds both, is asked as ever."""
    if isinstance(model, TwoModels):
        return model.ask_second(prompt, targets=targets, attempt=attempt)
    return model.ask(prompt, targets=targets, attempt=attempt)


def _signed(model: Model, reply: Reply) -> Reply:
    return reply if reply.model else replace(reply, model=model.name)
