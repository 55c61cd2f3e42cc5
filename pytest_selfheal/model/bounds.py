"""What one request may take at most, and how a model is told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from pytest_selfheal.protocols import Model
from pytest_selfheal.records import Reply


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """The most that one request may take; None for no limit."""

    reply_tokens: int | None = None
    seconds: float | None = None
    is_strict: bool = False
    """Nothing is to be sent where the model takes no bound for its reply."""


@runtime_checkable
class BoundedModel(Protocol):
    """A model that can be told a bound; others are asked without one."""

    def ask_within(
        self, prompt: str, bound: Bound, *, targets: Sequence[str], attempt: int
    ) -> Reply:
        """As `Model.ask`, within a bound."""


def ask_within(
    model: Model, prompt: str, bound: Bound, *, targets: Sequence[str], attempt: int
) -> Reply:
    """Ask a model within a bound, if it knows of such."""
    if isinstance(model, BoundedModel):
        return model.ask_within(prompt, bound, targets=targets, attempt=attempt)
    return model.ask(prompt, targets=targets, attempt=attempt)
