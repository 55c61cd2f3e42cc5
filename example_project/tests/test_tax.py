from __future__ import annotations

from decimal import Decimal

import pytest

from ledger.tax import FREILAND_2026, Bracket, TaxTable

# Three slices of 10 each, whose parts all end in half a cent or less than that.
NARROW = TaxTable(
    country="Nowhere",
    year=2026,
    allowance=Decimal(0),
    brackets=(
        Bracket(Decimal(0), Decimal("0.1425")),
        Bracket(Decimal(10), Decimal("0.2425")),
        Bracket(Decimal(20), Decimal("0.3423")),
    ),
)


# --- real code -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("income", "taxable"),
    [("0", "0"), ("9600", "0"), ("9609.99", "0"), ("9610", "10"), ("12345.67", "2740")],
)
def test_taxable(income: str, taxable: str) -> None:
    assert FREILAND_2026.taxable(Decimal(income)) == Decimal(taxable)


@pytest.mark.parametrize(
    "starts",
    [
        pytest.param([], id="no bracket"),
        pytest.param([10], id="not from zero"),
        pytest.param([0, 20, 10], id="not in order"),
        pytest.param([0, 0], id="one twice"),
    ],
)
def test_brackets_must_rise_from_zero(starts: list[int]) -> None:
    brackets = tuple(Bracket(Decimal(start), Decimal("0.1")) for start in starts)
    with pytest.raises(ValueError, match="brackets must begin at 0 and rise"):
        TaxTable("Nowhere", 2026, Decimal(0), brackets)


# --- due -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("income", "tax"),
    [
        pytest.param("0", "0.00", id="no income"),
        pytest.param("9600", "0.00", id="all within the allowance"),
        pytest.param("9609.99", "0.00", id="taxable income is rounded down"),
        pytest.param("9610", "1.43", id="half a cent goes up"),
        pytest.param("21600", "1710.00", id="at the edge of the first bracket"),
        pytest.param("21610", "1712.38", id="just over the edge"),
        pytest.param("45600", "7410.00", id="two brackets full"),
        pytest.param("60000.50", "12234.00", id="in the third bracket"),
        pytest.param("250000", "88668.00", id="all four brackets"),
    ],
)
def test_due(income: str, tax: str) -> None:
    assert str(FREILAND_2026.due(Decimal(income))) == tax


@pytest.mark.parametrize(
    ("income", "tax"),
    [
        pytest.param("20", "3.85", id="two halves make a whole"),
        pytest.param("30", "7.27", id="three parts, rounded once"),
    ],
)
def test_only_the_sum_is_rounded(income: str, tax: str) -> None:
    assert str(NARROW.due(Decimal(income))) == tax


def test_due_of_a_negative_income() -> None:
    with pytest.raises(ValueError, match="must not be negative"):
        FREILAND_2026.due(Decimal("-0.01"))


# --- marginal_rate ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("income", "rate"),
    [
        pytest.param("0", "0", id="no income"),
        pytest.param("9600", "0", id="within the allowance"),
        pytest.param("9610", "0.1425", id="the first ten"),
        pytest.param("21600", "0.1425", id="at an edge: still the lower bracket"),
        pytest.param("21609", "0.1425", id="rounded down to the edge"),
        pytest.param("21610", "0.2375", id="over the edge"),
        pytest.param("99600", "0.3350", id="at the last edge"),
        pytest.param("1000000", "0.4200", id="the top rate"),
    ],
)
def test_marginal_rate(income: str, rate: str) -> None:
    assert FREILAND_2026.marginal_rate(Decimal(income)) == Decimal(rate)


def test_marginal_rate_of_a_negative_income() -> None:
    with pytest.raises(ValueError, match="must not be negative"):
        FREILAND_2026.marginal_rate(Decimal(-1))


# --- average_rate ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("income", "rate"),
    [
        pytest.param("0", "0.0000", id="no income"),
        pytest.param("9600", "0.0000", id="within the allowance"),
        pytest.param("21600", "0.0792", id="one bracket"),
        pytest.param("66240", "0.2163", id="a half goes up"),
        pytest.param("250000", "0.3547", id="all four brackets"),
    ],
)
def test_average_rate(income: str, rate: str) -> None:
    assert str(FREILAND_2026.average_rate(Decimal(income))) == rate


def test_average_rate_of_a_negative_income() -> None:
    with pytest.raises(ValueError, match="must not be negative"):
        FREILAND_2026.average_rate(Decimal(-1))


# --- net_to_gross ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("net", "gross"),
    [
        pytest.param("0", "0", id="nothing"),
        pytest.param("9600", "9600", id="within the allowance"),
        pytest.param("9600.01", "9610", id="a cent more takes ten more"),
        pytest.param("9608.57", "9610", id="to the cent"),
        pytest.param("9608.58", "9620", id="a cent too much"),
        pytest.param("19890.00", "21600", id="at an edge"),
        pytest.param("161332.00", "250000", id="all four brackets"),
        pytest.param("580000000000016332.00", "1000000000000000000", id="more than a float holds"),
    ],
)
def test_net_to_gross(net: str, gross: str) -> None:
    assert FREILAND_2026.net_to_gross(Decimal(net)) == Decimal(gross)


@pytest.mark.parametrize("net", ["1", "12345.67", "40000.01", "77777.77"])
def test_gross_is_the_smallest_that_will_do(net: str) -> None:
    def left_of(income: Decimal) -> Decimal:
        return income - FREILAND_2026.due(income)

    gross = FREILAND_2026.net_to_gross(Decimal(net))
    assert gross % 10 == 0
    assert left_of(gross - 10) < Decimal(net) <= left_of(gross)


def test_gross_of_a_negative_net() -> None:
    with pytest.raises(ValueError, match="must not be negative"):
        FREILAND_2026.net_to_gross(Decimal(-1))
