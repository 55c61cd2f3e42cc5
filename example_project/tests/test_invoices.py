from __future__ import annotations

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from ledger.books import problems
from ledger.invoices import LineItem, parse_kiosk, parse_kontor, parse_marsh, read_lines

INVOICES = Path(__file__).parent.parent / "invoices"

Lines = Callable[[str], list[str]]


def item(description: str, quantity: str, price: str, amount: str, rate: str) -> LineItem:
    return LineItem(description, Decimal(quantity), Decimal(price), Decimal(amount), Decimal(rate))


# --- read_lines: real code -------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "first", "last"),
    [
        ("kiosk.pdf", "HARBOUR KIOSK", "THANK YOU - PLEASE CALL"),
        ("kontor.pdf", "Kontor & Söhne GmbH Speicherstraße 8, 20457 Hamburg", None),
        ("marsh.pdf", "Hollis & Marsh, Consulting Engineers", "Total due 4,806.57"),
    ],
)
def test_read_lines(name: str, first: str, last: str | None) -> None:
    lines = [" ".join(line.split()) for line in read_lines(INVOICES / name)]
    assert lines[0] == first
    assert lines[-1] == last or last is None


def test_no_such_file() -> None:
    with pytest.raises(FileNotFoundError):
        read_lines(INVOICES / "missing.pdf")


# --- Kontor & Söhne --------------------------------------------------------------------


def test_kontor_head(paper: Lines) -> None:
    invoice = parse_kontor(paper("kontor.pdf"))
    assert invoice.number == "2026-0417"
    assert (invoice.issued, invoice.due) == (date(2026, 2, 3), date(2026, 3, 5))


def test_kontor_lines(paper: Lines) -> None:
    invoice = parse_kontor(paper("kontor.pdf"))
    assert invoice.lines == (
        item("Schreibtisch Modell 160", "2", "1249.50", "2499.00", "0.19"),
        item("Fachbuch Steuerrecht, 12. Auflage", "3", "34.90", "104.70", "0.07"),
        item("Kabelkanal, weiß", "12.5", "3.18", "39.75", "0.19"),
        item("Treuerabatt 2025", "1", "-120.00", "-120.00", "0.19"),
    )


def test_kontor_totals(paper: Lines) -> None:
    invoice = parse_kontor(paper("kontor.pdf"))
    assert invoice.net == Decimal("2523.45")
    assert invoice.tax == Decimal("466.89")
    assert invoice.gross == Decimal("2990.34")
    assert problems(invoice) == []


def test_kontor_with_millions(typed: Lines) -> None:
    invoice = parse_kontor(
        typed("""
            Rechnung Nr. 2026-0999
            Rechnungsdatum: 31.12.2026                    Zahlbar bis: 01.02.2027
            Pos  Bezeichnung          Menge   Einzelpreis   MwSt   Betrag EUR
            10   Kabel 2 x 1,5 mm     1.000 m    1.234,50   19 %   1.234.500,00
                                      Nettobetrag          1.234.500,00
                                      MwSt 19 % auf 1.234.500,00     234.555,00
                                      Rechnungsbetrag      1.469.055,00
        """)
    )
    assert invoice.lines == (item("Kabel 2 x 1,5 mm", "1000", "1234.50", "1234500.00", "0.19"),)
    assert (invoice.issued, invoice.due) == (date(2026, 12, 31), date(2027, 2, 1))
    assert invoice.gross == Decimal("1469055.00")


def test_kontor_without_a_number() -> None:
    with pytest.raises(ValueError, match="no invoice number"):
        parse_kontor(["Kontor & Söhne GmbH", "Rechnungsdatum: 03.02.2026"])


# --- Harbour Kiosk ---------------------------------------------------------------------


def test_kiosk_head(paper: Lines) -> None:
    receipt = parse_kiosk(paper("kiosk.pdf"))
    assert receipt.number == "000731"
    assert (receipt.issued, receipt.due) == (date(2026, 3, 14), None)
    assert receipt.prices_include_tax is True


def test_kiosk_lines(paper: Lines) -> None:
    receipt = parse_kiosk(paper("kiosk.pdf"))
    assert receipt.lines == (
        item("ESPRESSO BEANS 1KG", "1", "18.90", "18.90", "0.20"),
        item("OAT MILK", "6", "1.45", "8.70", "0.05"),
        item("MULTIBUY 3 FOR 2", "1", "-2.90", "-2.90", "0.05"),
        item("NOTEBOOK A5 (2 PACK)", "3", "4.99", "14.97", "0.20"),
        item("CHEDDAR MATURE", "0.385", "12.80", "4.93", "0.05"),
        item("STAFF DISCOUNT", "1", "-1.50", "-1.50", "0.20"),
        item("CARRIER BAG", "1", "0.10", "0.10", "0.20"),
    )


def test_kiosk_totals(paper: Lines) -> None:
    receipt = parse_kiosk(paper("kiosk.pdf"))
    assert receipt.net == Decimal("37.28")
    assert receipt.tax == Decimal("5.92")
    assert receipt.gross == Decimal("43.20")
    assert problems(receipt) == []


def test_kiosk_with_other_rates(typed: Lines) -> None:
    receipt = parse_kiosk(
        typed("""
            Till 01   Receipt 004410
            2027-01-02 09:05   Served by Al
            --------------------------------
            TEA FOR 2                3.00 C
            PEARS
                1.250 KG x 2.40      3.00 D
            --------------------------------
            TOTAL                    6.00
            --------------------------------
              RATE      NET    TAX   GROSS
            C 12.5%    2.67   0.33    3.00
            D  0.0%    3.00   0.00    3.00
        """)
    )
    assert receipt.lines == (
        item("TEA FOR 2", "1", "3.00", "3.00", "0.125"),
        item("PEARS", "1.250", "2.40", "3.00", "0"),
    )
    assert (receipt.number, receipt.issued) == ("004410", date(2027, 1, 2))
    assert (receipt.net, receipt.tax) == (Decimal("5.67"), Decimal("0.33"))


def test_kiosk_without_a_number() -> None:
    with pytest.raises(ValueError, match="no receipt number"):
        parse_kiosk(["HARBOUR KIOSK", "2026-03-14 18:42"])


# --- Hollis & Marsh --------------------------------------------------------------------


def test_marsh_head(paper: Lines) -> None:
    invoice = parse_marsh(paper("marsh.pdf"))
    assert invoice.number == "HM/26/118"
    assert (invoice.issued, invoice.due) == (date(2026, 3, 3), date(2026, 4, 10))


def test_marsh_descriptions(paper: Lines) -> None:
    invoice = parse_marsh(paper("marsh.pdf"))
    assert [line.description for line in invoice.lines] == [
        "Survey of the north pier, including soundings at low water",
        "Structural report",
        "Travel by train, Eastport to Westhaven and return (receipts 14 to 16 enclosed)",
        "Credit: soundings charged twice on HM/26/097",
    ]


def test_marsh_amounts(paper: Lines) -> None:
    invoice = parse_marsh(paper("marsh.pdf"))
    assert [
        (line.quantity, line.unit_price, line.amount, line.tax_rate) for line in invoice.lines
    ] == [
        (Decimal("14.5"), Decimal("96.00"), Decimal("1392.00"), Decimal("0.25")),
        (Decimal("22"), Decimal("118.25"), Decimal("2601.50"), Decimal("0.25")),
        (Decimal("1"), Decimal("164.80"), Decimal("164.80"), Decimal("0.06")),
        (Decimal("3"), Decimal("-96.00"), Decimal("-288.00"), Decimal("0.25")),
    ]


def test_marsh_totals(paper: Lines) -> None:
    invoice = parse_marsh(paper("marsh.pdf"))
    assert invoice.net == Decimal("3870.30")
    assert invoice.tax == Decimal("936.27")
    assert invoice.gross == Decimal("4806.57")
    assert problems(invoice) == []


def test_marsh_over_the_new_year(typed: Lines) -> None:
    credit_note = parse_marsh(
        typed("""
            Invoice HM/26/400
            Issued on the 21st of December 2026
            Payment due by 2026-W53-7
            Description              Hours      Rate    VAT        Amount
            Credit: the whole of     1    (1,500.00)    25%    (1,500.00)
              the December
              retainer
                                           Subtotal    (1,500.00)
                                           VAT 25%       (375.00)
                                           Total due   (1,875.00)
        """)
    )
    assert (credit_note.issued, credit_note.due) == (date(2026, 12, 21), date(2027, 1, 3))
    assert credit_note.lines == (
        item("Credit: the whole of the December retainer", "1", "-1500.00", "-1500.00", "0.25"),
    )
    assert (credit_note.net, credit_note.tax) == (Decimal("-1500.00"), Decimal("-375.00"))


def test_marsh_without_a_number() -> None:
    with pytest.raises(ValueError, match="no invoice number"):
        parse_marsh(["Hollis & Marsh", "Issued on the 3rd of March 2026"])
