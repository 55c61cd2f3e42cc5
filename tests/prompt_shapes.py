"""Questions of several shapes, gathered from real source as a heal gathers them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from pytest_selfheal.healing.holdout import EVERYTHING_SHOWN, Holdout, hold_out
from pytest_selfheal.healing.judge import judge
from pytest_selfheal.records import Attempt, Excerpt, Failure, Question, RunOutcome, TestResult
from pytest_selfheal.source.context import (
    data_excerpts,
    imported_definitions,
    module_excerpt,
    names_in_tests,
    test_excerpts,
)
from pytest_selfheal.source.find import find_in_source

CALLED = """\
def {name}():
>       {call}

{path}:12:
_ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _
E       pytest_selfheal.StubCalled: {stub} ({path}:4) is a stub that is not written yet: \
run `pytest --selfheal` to have it healed from its failing tests

pytest_selfheal/marker.py:221: StubCalled"""


def question(
    files: Mapping[str, str],
    tests: Sequence[str],
    *,
    holdout: Holdout = EVERYTHING_SHOWN,
    stub: str = "ledger.Account.transfer",
    opened: Sequence[str] = (),
) -> Question:
    """The first question for all stubs of these files, for the sake of these tests."""
    sources = {path: text.encode() for path, text in files.items()}
    stubs = [
        each
        for path, source in sources.items()
        if path.endswith(".py")
        for each in find_in_source(source, path).stubs
    ]
    read = holdout.read(sources.get)
    shown = [test for test in tests if not holdout.hides(TestResult(nodeid=test, outcome="failed"))]
    targets = {
        path: [each for each in stubs if each.path == path]
        for path in dict.fromkeys(each.path for each in stubs)
    }
    return Question(
        stubs=tuple(stubs),
        modules=(
            *(
                module_excerpt(sources[path], here, names=names_in_tests(tests, read))
                for path, here in targets.items()
            ),
            *imported_definitions(targets, tests, read, list(files)),
        ),
        tests=test_excerpts(tests, stubs, read),
        data=data_excerpts(tests, read, list(files), opened),
        failures=tuple(
            Failure(
                nodeid=test,
                phase="call",
                longrepr=CALLED.format(
                    name=test.split("::")[1], call="...", path="ledger.py", stub=stub
                ),
            )
            for test in shown
        ),
    )


def failed(code: str, *red: tuple[str, str]) -> Attempt:
    """An attempt whose tests were red, told as a verification tells it."""
    results = tuple(
        TestResult(nodeid=nodeid, outcome="failed", longrepr=longrepr, exception="AssertionError")
        for nodeid, longrepr in red
    )
    outcome = RunOutcome(ending="completed", results=results)
    judged = judge(outcome, [nodeid for nodeid, _ in red], lambda result: False)
    return Attempt(
        verdict=judged.verdict,
        why=judged.why,
        code=code,
        traceback=judged.traceback,
        red=judged.red,
    )


# --- a method in a large class ---------------------------------------------------------

LARGE_MODULE = (
    '''\
"""Accounts, and what may be done with them."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from decimal import Decimal

from ledger.events import Event, publish

log = logging.getLogger(__name__)

FEE = Decimal("0.15")
LIMIT = Decimal(10_000)
CURRENCIES = ("EUR", "CHF")


class NotEnough(Exception):
    """An account does not hold what is asked of it."""

    def __init__(self, wanted: Decimal, held: Decimal) -> None:
        super().__init__(f"{wanted} wanted, {held} held")
        self.wanted = wanted


@dataclass(frozen=True)
class Receipt:
    """What both sides are given."""

    amount: Decimal
    fee: Decimal = FEE


'''
    + "".join(
        f'''\
def report_{n}(accounts: list[Account]) -> str:
    """Write report number {n}."""
    lines = []
    for account in accounts:
        lines.append(f"{{account.owner}}: {{account.balance}}")
        lines.append("-" * {n + 10})
        log.debug("report %s for %s", {n}, account.owner)
    return "\\n".join(lines)


'''
        for n in range(20)
    )
    + '''\
class Account:
    """Somebody's money, never below zero."""

    currency: str = "EUR"

    def __init__(self, owner: str, balance: Decimal = Decimal()) -> None:
        self.owner = owner
        self.balance = balance
        self._events: list[Event] = []

    def deposit(self, amount: Decimal) -> None:
        """Add to the balance."""
        if amount <= 0:
            raise ValueError(f"{amount} is no amount")
        self.balance += amount
        self._note("deposit", amount)

'''
    + "".join(
        f'''\
    def statement_{n}(self, year: int) -> str:
        """Give statement number {n} of a year."""
        total = Decimal()
        for event in self._events:
            if event.year == year:
                total += event.amount * {n}
                log.info("counted %s", event)
        return f"{{year}}: {{total}}"

'''
        for n in range(12)
    )
    + '''\
    # selfheal
    def transfer(self, amount: Decimal, other: Account) -> Receipt:
        """Move an amount to another account, which pays no fee.

        Raises:
            NotEnough: The balance does not cover amount and fee.
        """
        ...

    def _note(self, kind: str, amount: Decimal) -> None:
        event = Event(kind, amount)
        self._events.append(event)
        publish(event)
'''
)
LARGE_TESTS = """\
from decimal import Decimal

import pytest

from ledger import FEE, Account, NotEnough

UNUSED = "nobody asks for it"


@pytest.fixture
def rich():
    return Account("rich", Decimal(100))


@pytest.fixture
def poor():
    return Account("poor")


def test_transfer_moves_money(rich, poor):
    receipt = rich.transfer(Decimal(10), poor)
    assert poor.balance == 10
    assert rich.balance == 90 - FEE
    assert receipt.fee == FEE


def test_transfer_needs_cover(rich, poor):
    with pytest.raises(NotEnough):
        poor.transfer(Decimal(1), rich)
    assert rich.balance == 100


def test_deposit(poor):
    poor.deposit(Decimal(1))
    assert poor.balance == 1
"""
LARGE = question(
    {"ledger.py": LARGE_MODULE, "test_ledger.py": LARGE_TESTS},
    ["test_ledger.py::test_transfer_moves_money", "test_ledger.py::test_transfer_needs_cover"],
)
LARGE_WRONG = failed(
    """\
class Account:
    def transfer(self, amount: Decimal, other: Account) -> Receipt:
        self.balance -= amount
        other.balance += amount
        return Receipt(amount)
""",
    (
        "test_ledger.py::test_transfer_moves_money",
        """\
test_ledger.py:23: in test_transfer_moves_money
    assert rich.balance == 90 - FEE
E   AssertionError: assert Decimal('90') == (90 - Decimal('0.15'))
E    +  where Decimal('90') = <ledger.Account object at 0x7f21>.balance""",
    ),
    (
        "test_ledger.py::test_transfer_needs_cover",
        """\
test_ledger.py:28: in test_transfer_needs_cover
    with pytest.raises(NotEnough):
E   Failed: DID NOT RAISE <class 'ledger.NotEnough'>""",
    ),
)

# --- a joint group ---------------------------------------------------------------------

GROUP_FILES = {
    "ledger/money.py": '''\
from pytest_selfheal import heal


@heal(hint="Half a cent is rounded to even.")
def rounded(amount, places=2):
    """Round an amount."""
    ...
''',
    "ledger/tax.py": '''\
from ledger.money import rounded
from pytest_selfheal import heal

RATES = {"low": 7, "high": 19}


@heal
def due(amount, rate="high"):
    """The tax on an amount, rounded."""
    ...
''',
    "tests/test_tax.py": """\
from decimal import Decimal

from ledger.tax import due


def test_due():
    assert due(Decimal("10.10")) == Decimal("1.92")


def test_low():
    assert due(Decimal("10.10"), "low") == Decimal("0.71")
""",
    "tests/amounts.csv": "amount,rate\n10.10,high\n",
}
GROUP = replace(
    question(
        GROUP_FILES,
        ["tests/test_tax.py::test_due", "tests/test_tax.py::test_low"],
        stub="ledger.tax.due",
        opened=["tests/amounts.csv"],
    ),
    provisional=(
        Excerpt(
            path="ledger/units.py",
            text="def cents(amount):\n    return int(amount * 100)\n",
            note="cents",
        ),
    ),
    passing=("tests/test_tax.py::test_rates",),
)
GROUP_WRONG = failed(
    "def rounded(amount, places=2):\n    return round(amount, places)\n\n\n"
    "def due(amount, rate='high'):\n    return rounded(amount * RATES[rate])\n",
    (
        "tests/test_tax.py::test_due",
        "tests/test_tax.py:7: in test_due\n"
        '    assert due(Decimal("10.10")) == Decimal("1.92")\n'
        "E   AssertionError: assert Decimal('191.90') == Decimal('1.92')",
    ),
)

# --- cases that are held out -----------------------------------------------------------

HELD_FILES = {
    "roman.py": '''\
# selfheal
def roman(number: int) -> str:
    """Write a number in Roman numerals."""
    ...
''',
    "test_roman.py": """\
import pytest

from roman import roman


@pytest.mark.parametrize(
    ("number", "text"),
    [(1, "I"), (4, "IV"), (9, "IX"), (14, "XIV"), (40, "XL"), (90, "XC"), (400, "CD"), (3, "III")],
)
def test_roman(number, text):
    assert roman(number) == text
""",
}
_HELD_TESTS = [
    f"test_roman.py::test_roman[{n}-{text}]"
    for n, text in {1: "I", 4: "IV", 9: "IX", 14: "XIV", 40: "XL", 90: "XC"}.items()
]
HELD = question(
    HELD_FILES,
    ["test_roman.py::test_roman"],
    holdout=hold_out(
        _HELD_TESTS,
        [
            TestResult(nodeid=nodeid, outcome="failed", case=(("number", n), ("text", n)))
            for n, nodeid in enumerate(_HELD_TESTS)
        ],
        {path: text.encode() for path, text in HELD_FILES.items()}.get,
        0.25,
    ),
    stub="roman.roman",
)
HELD_WRONG = failed(
    'def roman(number: int) -> str:\n    return "I" * number\n',
    (
        _HELD_TESTS[1],
        "test_roman.py:11: in test_roman\n    assert roman(number) == text\n"
        "E   AssertionError: assert 'IIII' == 'IV'\nE     - IV\nE     + IIII",
    ),
)

SHAPES: Mapping[str, tuple[Question, Attempt]] = {
    "large-class": (LARGE, LARGE_WRONG),
    "joint": (GROUP, GROUP_WRONG),
    "held-out": (HELD, HELD_WRONG),
}
