"""Real code: these tests pass before anything is healed, and must pass after."""

from __future__ import annotations

from decimal import Decimal

import pytest

from ledger.money import format_amount, parse_amount, round_down, round_half_up, split_evenly


@pytest.mark.parametrize(
    ("amount", "unit", "expected"),
    [
        pytest.param("1.425", "0.01", "1.43", id="half a cent goes up"),
        pytest.param("-0.125", "0.01", "-0.13", id="away from zero"),
        pytest.param("1.4249", "0.01", "1.42", id="less than half goes down"),
        pytest.param("25", "10", "30", id="full tens"),
    ],
)
def test_round_half_up(amount: str, unit: str, expected: str) -> None:
    assert round_half_up(Decimal(amount), Decimal(unit)) == Decimal(expected)


def test_round_down() -> None:
    assert round_down(Decimal("29.99"), Decimal(10)) == Decimal(20)


@pytest.mark.parametrize("text", ["1,234.50", "1234.50", "-0.05", "1,000,000"])
def test_parse_amount(text: str) -> None:
    assert parse_amount(text) == Decimal(text.replace(",", ""))


def test_parse_amount_with_marks_exchanged() -> None:
    assert parse_amount("1.234,50", decimal=",", thousands=".") == Decimal("1234.50")


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="nothing"),
        pytest.param("1,23.50", id="a thousands mark in the wrong place"),
        pytest.param("1.234,50", id="the marks exchanged"),
        pytest.param("12.", id="no decimals behind the point"),
        pytest.param("EUR 3", id="a currency"),
        pytest.param("--1", id="two minuses"),
    ],
)
def test_no_amount(text: str) -> None:
    with pytest.raises(ValueError, match=r"not an amount with '\.' before the decimals"):
        parse_amount(text)


@pytest.mark.parametrize("amount", ["0.00", "-1234.50", "1234567.89"])
def test_what_is_written_is_read(amount: str) -> None:
    assert parse_amount(format_amount(Decimal(amount))) == Decimal(amount)


def test_format_amount_with_marks_exchanged() -> None:
    assert format_amount(Decimal("1234.5"), decimal=",", thousands=".") == "1.234,50"


def test_split_evenly() -> None:
    assert split_evenly(Decimal("10.00"), 3) == [Decimal("3.34"), Decimal("3.33"), Decimal("3.33")]


def test_split_among_nobody() -> None:
    with pytest.raises(ValueError, match="at least 1, not 0"):
        split_evenly(Decimal(1), 0)
