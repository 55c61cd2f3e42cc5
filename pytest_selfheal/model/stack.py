"""The layers around the model that a run asks, from the service outwards.

Rates and budgets are checked for each try, so they stand inside the retries; a stored reply
costs nothing, so it stands outside. The recording is outermost: it holds what the run was told.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from pytest_selfheal.errors import UsageError
from pytest_selfheal.model.accounts import Caps, DayAccount
from pytest_selfheal.model.budget import BudgetedModel, no_price
from pytest_selfheal.model.endpoint import effective_base_url
from pytest_selfheal.model.escalating import EscalatingModel
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
    second: Model | None = None,
) -> Model:
    """Put what the settings say around a model, and around a second one.

    Both spend from the same budgets, each at its own price, and keep the same rates.

    Args:
        model: Who answers.
        settings: The run's.
        state_dir: Where this project's runs share what was spent.
        on_wait: Told before each wait: its seconds, and a few words on the reason.
        second: Who answers what the first one did not get done.

    Raises:
        UsageError: A file of theirs cannot be used, or a price is missing.
    """
    first = _Layers(settings, state_dir, on_wait)
    model = first.around(model)
    if second is None:
        return model
    return EscalatingModel(
        model, _Layers(of_second(settings), state_dir, on_wait, first).around(second)
    )


class _Layers:
    """What is put around one model."""

    def __init__(
        self,
        settings: Settings,
        state_dir: Path,
        on_wait: Callable[[float, str], None] | None,
        beside: _Layers | None = None,
    ) -> None:
        self._settings = settings
        self._state_dir = state_dir
        self._on_wait = on_wait
        self._beside = beside
        self._budgeted: BudgetedModel | None = None
        self._recording: RecordingModel | None = None

    def around(self, model: Model) -> Model:
        settings, state_dir, on_wait = self._settings, self._state_dir, self._on_wait
        is_replay = settings.replay is not None
        folder = state_dir / "limits"
        is_ours = isinstance(model, OpenAIModel)
        if isinstance(model, OpenAIModel):
            model.remember_in(state_dir / "model")
        if settings.rpm is not None or settings.tpm is not None:
            model = RateLimitedModel(model, settings.rpm, settings.tpm, folder, on_wait)
        model = self._budgeted = self._within_budget(model, folder, is_ours=is_ours)
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
            beside = self._beside._recording if self._beside else None
            model = self._recording = RecordingModel(model, settings.record, beside=beside)
        return model

    def _within_budget(self, model: Model, folder: Path, *, is_ours: bool) -> BudgetedModel:
        settings = self._settings
        is_replay = settings.replay is not None
        day_caps = _day_caps(settings)
        beside = self._beside._budgeted if self._beside else None
        # Of what was recorded nothing is paid for again.
        has_day = beside is None and not is_replay and day_caps.is_any
        return BudgetedModel(
            model,
            Caps(
                requests=settings.max_requests,
                tokens=settings.max_tokens,
                nanodollars=None if is_replay else _nanodollars(settings.max_cost),
            ),
            day=DayAccount(day_caps, folder) if has_day else None,
            price=None if is_replay else known_price(settings, is_ours=is_ours),
            max_seconds=settings.max_seconds,
            max_reply_tokens=settings.max_reply_tokens,
            on_wait=self._on_wait,
            purse=beside.purse if beside else None,
        )


def of_second(settings: Settings) -> Settings:
    """The settings by which the second model is asked."""
    assert settings.escalate_model is not None
    return replace(settings, model=settings.escalate_model, price=settings.escalate_price)


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
    check_prices(settings, is_ours=is_ours)
    caps = _day_caps(settings)
    if caps.is_any:
        DayAccount(caps, state_dir / "limits")


def check_prices(settings: Settings, *, is_ours: bool) -> None:
    """Find out whether the prices are known that a budget of money needs.

    Raises:
        UsageError: Money is limited, and one is not.
    """
    if settings.max_cost is None and settings.max_cost_per_day is None:
        return
    for each in (settings, *([of_second(settings)] if settings.escalate_model else [])):
        if known_price(each, is_ours=is_ours) is None:
            option = "selfheal_price" if each is settings else "selfheal_escalate_price"
            raise UsageError(no_price(each.model, option))


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
