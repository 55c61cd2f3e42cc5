"""The layers around the model that a run asks, from the service outwards.

Rates and budgets are checked for each try, so they stand inside the retries; a stored reply
costs nothing, so it stands outside. The recording is outermost: it holds what the run was told.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pytest_selfheal.errors import UsageError
from pytest_selfheal.model.accounts import Caps, DayAccount
from pytest_selfheal.model.budget import BudgetedModel, no_price
from pytest_selfheal.model.endpoint import effective_base_url
from pytest_selfheal.model.limits import RateLimitedModel
from pytest_selfheal.model.openai_model import OpenAIModel
from pytest_selfheal.model.prices import NANODOLLARS, GivenPrice, Price, price_of
from pytest_selfheal.model.recording import RecordingModel
from pytest_selfheal.model.retrying import RetryingModel
from pytest_selfheal.model.stored import StoringModel
from pytest_selfheal.protocols import Model
from pytest_selfheal.settings import Settings


def limited(
    model: Model,
    settings: Settings,
    state_dir: Path,
    on_wait: Callable[[float, str], None] | None = None,
) -> Model:
    """Put what the settings say around a model.

    Args:
        model: Who answers.
        settings: The run's.
        state_dir: Where this project's runs share what was spent.
        on_wait: Told before each wait: its seconds, and a few words on the reason.

    Raises:
        UsageError: A file of theirs cannot be used, or a price is missing.
    """
    is_replay = settings.replay is not None
    folder = state_dir / "limits"
    is_ours = isinstance(model, OpenAIModel)
    if isinstance(model, OpenAIModel):
        model.remember_in(state_dir / "model")
    if settings.rpm is not None or settings.tpm is not None:
        model = RateLimitedModel(model, settings.rpm, settings.tpm, folder, on_wait)
    day_caps = _day_caps(settings)
    # Of what was recorded nothing is paid for again.
    model = BudgetedModel(
        model,
        Caps(
            requests=settings.max_requests,
            tokens=settings.max_tokens,
            nanodollars=None if is_replay else _nanodollars(settings.max_cost),
        ),
        day=None if is_replay or not day_caps.is_any else DayAccount(day_caps, folder),
        price=None if is_replay else known_price(settings, is_ours=is_ours),
        max_seconds=settings.max_seconds,
        max_reply_tokens=settings.max_reply_tokens,
        on_wait=on_wait,
    )
    if not is_replay:
        model = RetryingModel(model, on_wait=on_wait)
    if is_ours:  # a plugin's model may answer otherwise the next time, and costs what it costs
        model = StoringModel(
            model,
            state_dir / "replies",
            _asked_with(settings),
            is_fresh=settings.fresh,
            on_wait=on_wait,
        )
    if settings.record is not None:
        model = RecordingModel(model, settings.record)
    return model


def check_budgets(settings: Settings, state_dir: Path, *, is_ours: bool) -> None:
    """Find out before any test runs whether the budgets can be kept.

    Args:
        settings: The run's.
        state_dir: As for `limited`.
        is_ours: The model is no plugin's.

    Raises:
        UsageError: Money is limited and the price is not known, or the day's account
            cannot be used; one line.
    """
    limits_money = settings.max_cost is not None or settings.max_cost_per_day is not None
    if limits_money and known_price(settings, is_ours=is_ours) is None:
        raise UsageError(no_price(settings.model))
    caps = _day_caps(settings)
    if caps.is_any:
        DayAccount(caps, state_dir / "limits")


def known_price(settings: Settings, *, is_ours: bool) -> Price | None:
    """The price of the run's model, None where it is not known."""
    if not is_ours:  # the list knows endpoints, and not what a plugin asks
        return GivenPrice(settings.price) if settings.price is not None else None
    return price_of(settings.price, settings.model, settings.base_url)


def _asked_with(settings: Settings) -> dict[str, object]:
    """What beside its prompt decides what a request is answered with."""
    return {
        "endpoint": effective_base_url(settings.base_url),
        "api": settings.api,
        "temperature": settings.temperature,
        "effort": settings.reasoning_effort,
    }


def _day_caps(settings: Settings) -> Caps:
    return Caps(
        requests=settings.max_requests_per_day,
        tokens=settings.max_tokens_per_day,
        nanodollars=_nanodollars(settings.max_cost_per_day),
    )


def _nanodollars(dollars: float | None) -> int | None:
    return None if dollars is None else round(dollars * NANODOLLARS)
