"""Structured payment references, after ISO 11649 (`RF` and two check digits).

A customer who pays quotes the reference, and the ledger finds the invoice by it.
"""

from __future__ import annotations

from dataclasses import dataclass

LARGEST_CUSTOMER = 99_999
LARGEST_INVOICE = 9_999_999


@dataclass(frozen=True)
class PaymentKey:
    """What a reference stands for: one invoice of one customer."""

    customer: int
    invoice: int

    def __post_init__(self) -> None:
        if not 1 <= self.customer <= LARGEST_CUSTOMER:
            raise ValueError(f"a customer is 1 to {LARGEST_CUSTOMER}, not {self.customer!r}")
        if not 1 <= self.invoice <= LARGEST_INVOICE:
            raise ValueError(f"an invoice is 1 to {LARGEST_INVOICE}, not {self.invoice!r}")


# selfheal
def encode_reference(key: PaymentKey) -> str:
    """The payment reference of an invoice, as it is printed: `RF06 0004 2000 1234`.

    It is `RF`, two check digits, and twelve digits: the customer padded with zeros to
    five and the invoice padded to seven. It is written in groups of four.

    The check digits are those of ISO 7064 MOD 97-10: to the twelve digits append `RF`
    as `2715` (A is 10, B is 11, and so on) and `00`; divide that number by 97 and take
    the remainder from 98; write the result with two digits.
    """
    ...


# selfheal
def decode_reference(text: str) -> PaymentKey:
    """What a payment reference stands for: the inverse of `encode_reference`.

    People type references, so spaces may stand anywhere or be missing, and lower case
    is as good as upper case.

    Raises:
        ValueError: The text has not the form of a reference, or its check digits are
            not the ones that `encode_reference` would write.
    """
    ...
