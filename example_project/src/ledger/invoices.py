"""Invoices out of PDF files: one reader for the text, one parser for each sender's layout."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path

from pypdf import PdfReader
from pytest_selfheal import heal


@dataclass(frozen=True)
class LineItem:
    """One position of an invoice; credits and discounts are negative."""

    description: str
    quantity: Decimal
    unit_price: Decimal
    amount: Decimal
    """As printed; the sender may have rounded it."""
    tax_rate: Decimal
    """As a fraction: 19 % is 0.19."""


@dataclass(frozen=True)
class Invoice:
    """What the books want to know of an invoice."""

    number: str
    issued: date
    due: date | None
    """None where it was paid on the spot."""
    lines: tuple[LineItem, ...]
    """In the order of the paper."""
    net: Decimal
    tax: Decimal
    gross: Decimal
    prices_include_tax: bool = False
    """Whether the lines add up to `gross` (tills) or to `net` (everyone else)."""


def read_lines(pdf: Path) -> list[str]:
    """The text of a PDF file, line by line, columns kept apart by runs of spaces.

    Empty lines are left out, and so is white space at the end of a line.

    Raises:
        FileNotFoundError: There is no such file.
        pypdf.errors.PdfReadError: It is no PDF file.
    """
    lines: list[str] = []
    with pdf.open("rb") as stream:
        for page in PdfReader(stream).pages:
            text = page.extract_text(extraction_mode="layout")
            lines += [line.rstrip() for line in text.splitlines() if line.strip()]
    return lines


@heal
def parse_kontor(lines: Sequence[str]) -> Invoice:
    """Read an invoice of Kontor & Söhne, who write German.

    * `Rechnung Nr. <number>` gives the number; `Rechnungsdatum:` and `Zahlbar bis:`
      (two in one line) give the dates issued and due as dd.mm.yyyy.
    * A position is one line of columns: position number, description, quantity with its
      unit (`2 Stk`, `12,5 m`; the unit is dropped), unit price, tax rate (`19 %`),
      amount. Columns are at least two spaces apart.
    * Amounts have a comma before the decimals and dots between thousands. A minus
      stands behind the amount: `120,00-`.
    * `Nettobetrag` is the net, the `MwSt … auf …` lines below it together give the tax
      (the amount at the end of the line), and `Rechnungsbetrag` is the gross. Prices do
      not include tax.

    Args:
        lines: The text, as `read_lines` gives it.

    Raises:
        ValueError: There is no invoice number; the message says "no invoice number".
    """
    raise NotImplementedError


# selfheal
def parse_kiosk(lines: Sequence[str]) -> Invoice:
    """Read a till receipt of Harbour Kiosk.

    * `Receipt <number>` gives the number with its zeros; the day of sale is written
      yyyy-mm-dd. It was paid at once, so there is no date due.
    * The positions stand between the first two rules of dashes. A price is at the right,
      followed by a letter for the tax rate. A position of one piece is one line. One of
      several pieces, or of goods by weight, has its description in a line of its own,
      and below it `6 x 1.45` or `0.385 KG x 12.80`, which is quantity and unit price.
    * A discount (a negative price) is a position of its own: quantity 1, and the price
      is both its unit price and its amount.
    * What the letters mean stands in the table at the foot, as `<letter> <rate>% <net>
      <tax> <gross>`; its columns added up give net and tax, and `TOTAL` is the gross.
      Prices include tax.

    Descriptions are kept as printed, without the spaces around them.

    Args:
        lines: The text, as `read_lines` gives it.

    Raises:
        ValueError: There is no receipt number; the message says "no receipt number".
    """
    raise NotImplementedError


@heal(hint="Descriptions may run over any number of lines; dates come in two notations.")
def parse_marsh(lines: Sequence[str]) -> Invoice:
    """Read an invoice of Hollis & Marsh.

    * `Invoice <number>` gives the number.
    * `Issued on the 3rd of March 2026` gives the date issued; `Payment due by
      2026-W15-5` the date due, as ISO week and day of the week (1 is Monday).
    * A position is one line of columns: description, hours, rate, tax rate (`25%`),
      amount. A long description goes on in indented lines below; the parts are joined
      with one space.
    * Amounts have commas between thousands. One in brackets is negative: `(288.00)`.
    * `Subtotal` is the net, the `VAT …` lines together give the tax, and `Total due` is
      the gross. Prices do not include tax.

    Args:
        lines: The text, as `read_lines` gives it.

    Raises:
        ValueError: There is no invoice number; the message says "no invoice number".
    """
    raise NotImplementedError
