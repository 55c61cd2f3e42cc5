"""What is done with invoices once they are read: checked, and added up for the tax office."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from ledger.invoices import Invoice
from ledger.money import CENT, format_amount, round_half_up


def problems(invoice: Invoice) -> list[str]:
    """What does not add up in an invoice, one sentence each; an empty list if all does."""
    found = [
        f"{line.description!r} is not quantity times unit price"
        for line in invoice.lines
        if abs(round_half_up(line.quantity * line.unit_price) - line.amount) > CENT
    ]
    total = sum((line.amount for line in invoice.lines), Decimal(0))
    expected = invoice.gross if invoice.prices_include_tax else invoice.net
    if total != expected:
        found.append(f"the lines add up to {format_amount(total)}, not {format_amount(expected)}")
    if invoice.net + invoice.tax != invoice.gross:
        found.append(f"net and tax do not add up to {format_amount(invoice.gross)}")
    return found


@dataclass(frozen=True)
class Purchases:
    """The sums of a period's invoices."""

    count: int
    net: Decimal
    tax: Decimal


def purchases(invoices: Iterable[Invoice], *, first: date, last: date) -> Purchases:
    """Add up the invoices issued from `first` to `last`, both included."""
    chosen = [invoice for invoice in invoices if first <= invoice.issued <= last]
    return Purchases(
        count=len(chosen),
        net=sum((invoice.net for invoice in chosen), Decimal("0.00")),
        tax=sum((invoice.tax for invoice in chosen), Decimal("0.00")),
    )
