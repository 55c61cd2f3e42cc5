"""Draw the three invoices in `invoices/`, the same bytes on every run.

    python tools/make_invoices.py [directory]

Needs reportlab. The streams are left uncompressed, since a compressor's output differs
from one zlib to the next.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from pathlib import Path

from reportlab.lib.pagesizes import A4
from reportlab.pdfgen.canvas import Canvas

INVOICES = Path(__file__).resolve().parent.parent / "invoices"
TOP = A4[1] - 60


class Page:
    """A page filled from the top: each row gives (x, text) cells, `>` cells end at x."""

    def __init__(self, title: str, font: str, size: float, leading: float) -> None:
        self._buffer = io.BytesIO()
        self._canvas = Canvas(self._buffer, pagesize=A4, invariant=1, pageCompression=0)
        self._canvas.setTitle(title)
        self._canvas.setCreator("example_project/tools/make_invoices.py")
        self._canvas.setFont(font, size)
        self._leading = leading
        self._y = TOP

    def row(self, *cells: tuple[float, str]) -> None:
        """Draw one row; a text that starts with `>` is aligned to the right of its x."""
        for x, text in cells:
            if text.startswith(">"):
                self._canvas.drawRightString(x, self._y, text[1:])
            else:
                self._canvas.drawString(x, self._y, text)
        self._y -= self._leading

    def gap(self) -> None:
        """Leave one row empty."""
        self._y -= self._leading

    def to_bytes(self) -> bytes:
        """The finished document."""
        self._canvas.showPage()
        self._canvas.save()
        return self._buffer.getvalue()


def kontor() -> bytes:
    """A German office supplier: comma decimals, dotted thousands, a trailing minus."""
    page = Page("Rechnung 2026-0417", "Helvetica", 10, 16)
    page.row((50, "Kontor & Söhne GmbH"), (545, ">Speicherstraße 8, 20457 Hamburg"))
    page.gap()
    page.row((50, "Rechnung Nr. 2026-0417"), (545, ">Kundennr. 10 042"))
    page.row((50, "Rechnungsdatum: 03.02.2026"), (545, ">Zahlbar bis: 05.03.2026"))
    page.gap()

    def item(pos: str, what: str, count: str, price: str, rate: str, amount: str) -> None:
        page.row(
            (50, pos),
            (80, what),
            (330, ">" + count),
            (410, ">" + price),
            (465, ">" + rate),
            (545, ">" + amount),
        )

    item("Pos", "Bezeichnung", "Menge", "Einzelpreis", "MwSt", "Betrag EUR")
    item("1", "Schreibtisch Modell 160", "2 Stk", "1.249,50", "19 %", "2.499,00")
    item("2", "Fachbuch Steuerrecht, 12. Auflage", "3 Stk", "34,90", "7 %", "104,70")
    item("3", "Kabelkanal, weiß", "12,5 m", "3,18", "19 %", "39,75")
    item("4", "Treuerabatt 2025", "1 Stk", "120,00-", "19 %", "120,00-")
    page.gap()
    page.row((330, "Nettobetrag"), (545, ">2.523,45"))
    page.row((330, "MwSt 7 % auf 104,70"), (545, ">7,33"))
    page.row((330, "MwSt 19 % auf 2.418,75"), (545, ">459,56"))
    page.row((330, "Rechnungsbetrag"), (545, ">2.990,34"))
    page.gap()
    page.row((50, "Bitte geben Sie bei der Zahlung die Rechnungsnummer an."))
    return page.to_bytes()


def kiosk() -> bytes:
    """A till receipt: prices include tax, letters stand for rates, discounts follow items."""
    page = Page("Receipt 000731", "Courier", 9, 13)
    for text in (
        "         HARBOUR KIOSK          ",
        "     12 Quay Road, Eastport     ",
        "Till 02   Receipt 000731        ",
        "2026-03-14 18:42   Served by Mo ",
        "--------------------------------",
        "ESPRESSO BEANS 1KG      18.90 A",
        "OAT MILK",
        "    6 x 1.45             8.70 B",
        "  MULTIBUY 3 FOR 2      -2.90 B",
        "NOTEBOOK A5 (2 PACK)",
        "    3 x 4.99            14.97 A",
        "CHEDDAR MATURE",
        "    0.385 KG x 12.80     4.93 B",
        "  STAFF DISCOUNT        -1.50 A",
        "CARRIER BAG              0.10 A",
        "--------------------------------",
        "TOTAL                   43.20",
        "CARD  ************4417  43.20",
        "--------------------------------",
        "  RATE      NET    TAX   GROSS",
        "A 20.0%   27.06   5.41   32.47",
        "B  5.0%   10.22   0.51   10.73",
        "--------------------------------",
        "    THANK YOU - PLEASE CALL     ",
    ):
        page.row((60, text))
    return page.to_bytes()


def marsh() -> bytes:
    """Consultants: wrapped descriptions, credits in brackets, dates in words and weeks."""
    page = Page("Invoice HM/26/118", "Times-Roman", 11, 17)
    page.row((50, "Hollis & Marsh, Consulting Engineers"))
    page.row((50, "Invoice HM/26/118"))
    page.row((50, "Issued on the 3rd of March 2026"))
    page.row((50, "Payment due by 2026-W15-5"))
    page.gap()

    def item(what: str, hours: str, rate: str, vat: str, amount: str) -> None:
        page.row((50, what), (340, hours), (395, rate), (460, vat), (545, amount))

    item("Description", ">Hours", ">Rate", ">VAT", ">Amount")
    item("Survey of the north pier, including", ">14.5", ">96.00", ">25%", ">1,392.00")
    page.row((62, "soundings at low water"))
    item("Structural report", ">22", ">118.25", ">25%", ">2,601.50")
    item("Travel by train, Eastport to Westhaven", ">1", ">164.80", ">6%", ">164.80")
    page.row((62, "and return (receipts 14 to 16"))
    page.row((62, "enclosed)"))
    item("Credit: soundings charged twice on", ">3", ">(96.00)", ">25%", ">(288.00)")
    page.row((62, "HM/26/097"))
    page.gap()
    page.row((395, "Subtotal"), (545, ">3,870.30"))
    page.row((395, "VAT 6%"), (545, ">9.89"))
    page.row((395, "VAT 25%"), (545, ">926.38"))
    page.row((395, "Total due"), (545, ">4,806.57"))
    return page.to_bytes()


MAKERS: dict[str, Callable[[], bytes]] = {
    "kiosk.pdf": kiosk,
    "kontor.pdf": kontor,
    "marsh.pdf": marsh,
}


def main(directory: Path) -> None:
    """Write every invoice into a directory, which is made where it is missing."""
    directory.mkdir(parents=True, exist_ok=True)
    for name, make in MAKERS.items():
        (directory / name).write_bytes(make())


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else INVOICES)
