"""What tokens cost: as the user says, else as `genai-prices` knows, else not known.

Money is counted in nanodollars, whole ones, so that sums over thousands of requests and
several processes are exact. A price that is not known is None; one that is 0 is a price.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import Decimal
from typing import Protocol

from pytest_selfheal.model.endpoint import OPENAI_BASE_URL, effective_base_url, is_openai

NANODOLLARS = 10**9
_PER_MILLION = 1_000  # dollars for a million tokens are so many nanodollars for one


class Price(Protocol):
    """What a request costs."""

    def of(self, input_tokens: int, output_tokens: int, cached_tokens: int = 0) -> int:
        """Give the nanodollars; `cached_tokens` are a part of `input_tokens`."""


class GivenPrice:
    """A price that the user gave."""

    def __init__(self, price: Sequence[Decimal]) -> None:
        """Take dollars for a million tokens: in, out and, if given, in from a cache."""
        self._asked, self._replied = price[0], price[1]
        self._cached = price[2] if len(price) > 2 else price[0]

    def of(self, input_tokens: int, output_tokens: int, cached_tokens: int = 0) -> int:
        """See `Price`."""
        dollars = (
            self._asked * (input_tokens - cached_tokens)
            + self._cached * cached_tokens
            + self._replied * output_tokens
        )
        return math.ceil(dollars * _PER_MILLION)


class ListedPrice:
    """A price from the list that comes with `genai-prices`; nothing is fetched."""

    def __init__(self, name: str, base_url: str | None) -> None:
        """Look a model up.

        Raises:
            LookupError: The list has no such model at that endpoint.
            ImportError: The list is not installed.
        """
        self._name = name
        # A region of OpenAI's has its prices, and the list knows the main address.
        self._url = OPENAI_BASE_URL if is_openai(base_url) else effective_base_url(base_url)
        self.of(1, 1)

    def of(self, input_tokens: int, output_tokens: int, cached_tokens: int = 0) -> int:
        """See `Price`."""
        from genai_prices import Usage, calc_price

        usage = Usage(
            input_tokens=input_tokens,
            output_tokens=output_tokens,
            cache_read_tokens=cached_tokens,
        )
        found = calc_price(usage, self._name, provider_api_url=self._url)
        return math.ceil(found.total_price * NANODOLLARS)


def price_of(given: Sequence[Decimal] | None, name: str, base_url: str | None) -> Price | None:
    """Give the price of a model, None where it is not known.

    Args:
        given: What the user says, in dollars for a million tokens.
        name: The model's name.
        base_url: The option's value.
    """
    if given is not None:
        return GivenPrice(given)
    try:
        return ListedPrice(name, base_url)
    except (ImportError, LookupError, ValueError):
        return None
