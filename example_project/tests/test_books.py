"""Real code: these tests pass before anything is healed, and must pass after."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest

from ledger.books import Purchases, problems, purchases
from ledger.invoices import Invoice, LineItem

PAPER = LineItem("Paper", Decimal(3), Decimal("4.15"), Decimal("12.45"), Decimal("0.20"))
INVOICE = Invoice(
    number="1",
    issued=date(2026, 3, 31),
    due=None,
    lines=(PAPER,),
    net=Decimal("12.45"),
    tax=Decimal("2.49"),
    gross=Decimal("14.94"),
)


def test_nothing_wrong() -> None:
    assert problems(INVOICE) == []


@pytest.mark.parametrize(
    ("invoice", "problem"),
    [
        pytest.param(
            replace(INVOICE, lines=(replace(PAPER, quantity=Decimal(2)),)),
            "'Paper' is not quantity times unit price",
            id="a line",
        ),
        pytest.param(
            replace(INVOICE, net=Decimal("1012.45"), gross=Decimal("1014.94")),
            "the lines add up to 12.45, not 1,012.45",
            id="the lines",
        ),
        pytest.param(
            replace(INVOICE, tax=Decimal("2.50")),
            "net and tax do not add up to 14.94",
            id="the totals",
        ),
    ],
)
def test_a_problem(invoice: Invoice, problem: str) -> None:
    assert problems(invoice) == [problem]


def test_purchases_of_a_quarter() -> None:
    later = replace(INVOICE, number="2", issued=date(2026, 4, 1))
    quarter = purchases([INVOICE, later], first=date(2026, 1, 1), last=date(2026, 3, 31))
    assert quarter == Purchases(count=1, net=Decimal("12.45"), tax=Decimal("2.49"))
