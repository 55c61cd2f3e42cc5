"""Income tax of the Republic of Freiland, which is not on any map."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from pytest_selfheal import heal

from ledger.money import TEN, round_down


@dataclass(frozen=True)
class Bracket:
    """A slice of taxable income and its rate."""

    over: Decimal
    """The slice begins above this amount; it ends where the next bracket begins."""
    rate: Decimal
    """As a fraction: 0.2375 is 23.75 %."""


@heal
@dataclass(frozen=True)
class TaxTable:
    """One country's income tax in one year."""

    country: str
    year: int
    allowance: Decimal
    """Income up to this amount is free; a multiple of 10."""
    brackets: tuple[Bracket, ...]
    """In rising order, the first one from 0."""

    def __post_init__(self) -> None:
        starts = [bracket.over for bracket in self.brackets]
        if not starts or starts[0] != 0 or starts != sorted(set(starts)):
            raise ValueError(f"brackets must begin at 0 and rise: {starts!r}")
        if any(not 0 <= bracket.rate < 1 for bracket in self.brackets):
            raise ValueError("a rate must be at least 0 and less than 1")
        if self.allowance < 0 or self.allowance % TEN:
            raise ValueError(f"the allowance must be a multiple of 10: {self.allowance!r}")

    def taxable(self, income: Decimal) -> Decimal:
        """What of a year's income is taxed: above the allowance, rounded down to full tens.

        Raises:
            ValueError: A negative income.
        """
        if income < 0:
            raise ValueError(f"an income must not be negative: {income!r}")
        return max(round_down(income - self.allowance, TEN), Decimal(0))

    def due(self, income: Decimal) -> Decimal:
        """The tax on a year's income.

        The tax is worked out on the taxable income (see `taxable`). Each bracket's rate
        is charged on the part of it that lies in that bracket alone. The sum over all
        brackets, and not each part, is rounded to cents, and half a cent is rounded up.

        Returns:
            The tax with exactly two decimals; `Decimal("0.00")` where none is due.

        Raises:
            ValueError: A negative income.
        """
        raise NotImplementedError

    def marginal_rate(self, income: Decimal) -> Decimal:
        """The rate that the last unit of a year's taxable income is charged at.

        A taxable income of exactly a bracket's `over` still lies in the bracket below
        it. Where nothing is taxable the marginal rate is 0.

        Raises:
            ValueError: A negative income.
        """
        raise NotImplementedError

    def average_rate(self, income: Decimal) -> Decimal:
        """The tax due as a fraction of the whole income, allowance included.

        Returns:
            The fraction with exactly four decimals, halves rounded up;
            `Decimal("0.0000")` for an income of 0.

        Raises:
            ValueError: A negative income.
        """
        raise NotImplementedError

    def net_to_gross(self, net: Decimal) -> Decimal:
        """The smallest income in full tens of which at least `net` is left after tax.

        What is left of an income is the income less the tax due on it; from one full
        ten to the next it always grows.

        Returns:
            A multiple of 10, which is exact however large `net` is.

        Raises:
            ValueError: A negative net; the message says "must not be negative".
        """
        raise NotImplementedError


FREILAND_2026 = TaxTable(
    country="Freiland",
    year=2026,
    allowance=Decimal("9600"),
    brackets=(
        Bracket(Decimal("0"), Decimal("0.1425")),
        Bracket(Decimal("12000"), Decimal("0.2375")),
        Bracket(Decimal("36000"), Decimal("0.3350")),
        Bracket(Decimal("90000"), Decimal("0.4200")),
    ),
)
