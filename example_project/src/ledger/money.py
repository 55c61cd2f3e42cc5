"""Amounts of money: rounding, reading, writing, sharing out. Exact decimals throughout."""

from __future__ import annotations

import re
from decimal import ROUND_DOWN, ROUND_HALF_UP, Decimal

CENT = Decimal("0.01")
TEN = Decimal("10")


def round_half_up(amount: Decimal, unit: Decimal = CENT) -> Decimal:
    """Round to the nearest multiple of `unit`, which is a power of ten; halves go up.

    "Up" is away from zero, as tax offices mean it: -0.125 becomes -0.13.
    """
    if unit >= 1:
        return (amount / unit).quantize(Decimal(1), rounding=ROUND_HALF_UP) * unit
    return amount.quantize(unit, rounding=ROUND_HALF_UP)


def round_down(amount: Decimal, unit: Decimal) -> Decimal:
    """The multiple of `unit` next to `amount` in the direction of zero."""
    return (amount / unit).quantize(Decimal(1), rounding=ROUND_DOWN) * unit


def parse_amount(text: str, *, decimal: str = ".", thousands: str = ",") -> Decimal:
    """Read an amount such as `1,234.50` or, with the marks exchanged, `1.234,50`.

    A leading minus is understood. Thousands marks are optional, but where one stands it
    must stand right.

    Raises:
        ValueError: The text is no such amount.
    """
    mark, point = re.escape(thousands), re.escape(decimal)
    if not re.fullmatch(rf"-?(\d+|\d{{1,3}}({mark}\d{{3}})+)({point}\d+)?", text):
        raise ValueError(f"not an amount with {decimal!r} before the decimals: {text!r}")
    return Decimal(text.replace(thousands, "").replace(decimal, "."))


def format_amount(amount: Decimal, *, decimal: str = ".", thousands: str = ",") -> str:
    """Write an amount with two decimals and thousands marks; it is rounded half up."""
    whole, _, cents = f"{round_half_up(amount):,.2f}".partition(".")
    return whole.replace(",", thousands) + decimal + cents


def split_evenly(total: Decimal, parts: int) -> list[Decimal]:
    """Share an amount of whole cents out so that the shares add up to it exactly.

    The first shares are a cent larger where it does not divide.

    Raises:
        ValueError: Fewer than one part.
    """
    if parts < 1:
        raise ValueError(f"an amount is shared out among at least 1, not {parts!r}")
    cents = int((total / CENT).to_integral_exact())
    share, left = divmod(cents, parts)
    return [(share + (index < left)) * CENT for index in range(parts)]
