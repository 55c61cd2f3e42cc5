"""What several test modules use."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest

from ledger.invoices import read_lines

INVOICES = Path(__file__).parent.parent / "invoices"


@pytest.fixture
def paper() -> Callable[[str], list[str]]:
    """Gives an invoice's lines, and prints them: pytest shows them where a test fails."""

    def open_invoice(name: str) -> list[str]:
        lines = read_lines(INVOICES / name)
        print(f"{name}:", *lines, sep="\n")
        return lines

    return open_invoice


@pytest.fixture
def typed() -> Callable[[str], list[str]]:
    """Gives the lines of an invoice typed into a test, without empty ones, and prints them."""

    def take(text: str) -> list[str]:
        lines = [line.rstrip() for line in dedent(text).splitlines() if line.strip()]
        print("the invoice:", *lines, sep="\n")
        return lines

    return take
