"""Every test of the two functions uses both: neither is right or wrong without the other."""

from __future__ import annotations

import pytest

from ledger.reference import PaymentKey, decode_reference, encode_reference


@pytest.mark.parametrize(
    ("customer", "invoice"), [(0, 1), (100_000, 1), (1, 0), (1, 10_000_000), (-1, 1)]
)
def test_no_such_key(customer: int, invoice: int) -> None:
    with pytest.raises(ValueError, match=r"is 1 to 9+, not"):
        PaymentKey(customer, invoice)


@pytest.mark.parametrize(
    ("key", "text"),
    [
        pytest.param(PaymentKey(42, 1234), "RF06 0004 2000 1234", id="a usual one"),
        pytest.param(PaymentKey(1, 1), "RF59 0000 1000 0001", id="the first"),
        pytest.param(PaymentKey(99_999, 9_999_999), "RF39 9999 9999 9999", id="the last"),
        pytest.param(PaymentKey(7, 86), "RF02 0000 7000 0086", id="the smallest check digits"),
        pytest.param(PaymentKey(7, 7), "RF98 0000 7000 0007", id="the largest check digits"),
    ],
)
def test_key_and_reference(key: PaymentKey, text: str) -> None:
    assert (encode_reference(key), decode_reference(text)) == (text, key)


@pytest.mark.parametrize("customer", [1, 10, 12_345])
@pytest.mark.parametrize("invoice", [2, 700, 7_654_321])
def test_there_and_back(customer: int, invoice: int) -> None:
    key = PaymentKey(customer, invoice)
    assert decode_reference(encode_reference(key)) == key


@pytest.mark.parametrize(
    "typed",
    [
        pytest.param("RF06000420001234", id="without spaces"),
        pytest.param("rf06 0004 2000 1234", id="in lower case"),
        pytest.param("  RF06 00042 0001234 ", id="with spaces elsewhere"),
        pytest.param("r f 0 6 000420001234", id="with spaces in the prefix"),
    ],
)
def test_however_it_is_typed(typed: str) -> None:
    assert encode_reference(decode_reference(typed)) == "RF06 0004 2000 1234"


@pytest.mark.parametrize(
    "typed",
    [
        pytest.param("RF06 0004 2000 1243", id="two digits exchanged"),
        pytest.param("RF07 0004 2000 1234", id="wrong check digits"),
        pytest.param("RF99 0000 7000 0086", id="99 where 02 is written"),
        pytest.param("RF06 0004 2000 123", id="too short"),
        pytest.param("RF06 0004 2000 12345", id="too long"),
        pytest.param("XX06 0004 2000 1234", id="another scheme"),
        pytest.param("RF06 0004 2000 I234", id="a letter among the digits"),
        pytest.param("RF06 0004 2000 123²", id="a digit that is none"),
        pytest.param("", id="nothing"),
    ],
)
def test_mistyped(typed: str) -> None:
    key = PaymentKey(42, 1234)
    assert decode_reference(encode_reference(key)) == key  # refusing everything is no answer
    with pytest.raises(ValueError):
        decode_reference(typed)
