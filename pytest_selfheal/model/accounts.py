"""What was spent and what is set aside for requests under way, in memory and on disk.

An account on disk is shared by every process of the project. What a process sets aside and
never gives back, since it was killed, counts as spent: its request may have been paid for.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

from filelock import FileLock, Timeout

from pytest_selfheal.errors import UsageError
from pytest_selfheal.temporary import is_gone

_LOCK_SECONDS = 30.0
_DAYS_KEPT = 3
_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Amount:
    """What requests cost."""

    requests: int = 0
    tokens: int = 0
    nanodollars: int = 0

    def __add__(self, other: Amount) -> Amount:
        return Amount(
            requests=self.requests + other.requests,
            tokens=self.tokens + other.tokens,
            nanodollars=self.nanodollars + other.nanodollars,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Caps:
    """The most that may be spent; None for no limit."""

    requests: int | None = None
    tokens: int | None = None
    nanodollars: int | None = None

    def exceeded_by(self, amount: Amount) -> str | None:
        """The first of the three that an amount is over, None where it is within all."""
        for name in ("requests", "tokens", "nanodollars"):
            cap = getattr(self, name)
            if cap is not None and getattr(amount, name) > cap:
                return name
        return None

    @property
    def is_any(self) -> bool:
        """Whether there is any limit."""
        return (self.requests, self.tokens, self.nanodollars) != (None, None, None)


@dataclass(slots=True)
class Book:
    """The state of an account, to be changed while it is open."""

    spent: Amount = Amount()
    reserved: dict[str, tuple[Amount, float]] = field(default_factory=dict)
    """What is set aside, and the time after which nobody comes back for it."""

    @property
    def total(self) -> Amount:
        """What is spent or set aside."""
        return sum((amount for amount, _ in self.reserved.values()), self.spent)

    def reserve(self, ticket: str, amount: Amount, until: float) -> None:
        """Set an amount aside."""
        self.reserved[ticket] = (amount, until)

    def settle(self, ticket: str, cost: Amount) -> None:
        """Replace what was set aside by what it came to."""
        found = self.reserved.pop(ticket, None)
        if found is not None:
            self.spent += cost

    def expire(self, now: float) -> None:
        """Count as spent what was set aside by a process that is no more."""
        for ticket, (amount, until) in list(self.reserved.items()):
            if until < now or _is_gone(ticket):
                self.settle(ticket, amount)


class Account(Protocol):
    """Something that is spent from. Callers hold a lock of their own around it."""

    caps: Caps

    def open(self, day: str | None = None) -> Any:
        """A context in which the book is this caller's alone; it is kept at its end."""


class RunAccount:
    """An account of this process."""

    def __init__(self, caps: Caps) -> None:
        self.caps = caps
        self._book = Book()

    @contextmanager
    def open(self, day: str | None = None) -> Iterator[Book]:
        """Give the book."""
        yield self._book


class DayAccount:
    """An account of a day (in UTC), on disk, shared by processes."""

    def __init__(self, caps: Caps, folder: Path) -> None:
        """Open or make the account.

        Raises:
            UsageError: The folder or the file cannot be used; one line.
        """
        self.caps = caps
        self._path = folder / "spent.json"
        self._lock = FileLock(f"{self._path}.guard", timeout=_LOCK_SECONDS, mode=0o600)
        with self._errors():
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self.open():
            pass

    @contextmanager
    def open(self, day: str | None = None) -> Iterator[Book]:
        """Give the book of a day, today's by default; what was done to it is kept.

        Raises:
            UsageError: It cannot be read or written.
        """
        with self._errors():
            self._lock.acquire()
        try:
            day = day or today()
            with self._errors():
                days = self._read()
            book = days.setdefault(day, Book())
            book.expire(time.time())
            before = _as_json(days)
            yield book
            after = _as_json(days)
            if after != before or not self._path.exists():
                with self._errors():
                    self._write(days, day)
        finally:
            self._lock.release()

    def _read(self) -> dict[str, Book]:
        try:
            data = json.loads(self._path.read_bytes())
        except FileNotFoundError:
            return {}
        if not isinstance(data, dict) or data.get("selfheal_spent") != _VERSION:
            raise ValueError("it is no account of this version")
        return {str(day): _book(book) for day, book in _mapping(data["days"]).items()}

    def _write(self, days: Mapping[str, Book], day: str) -> None:
        # Where the clock was set back, the day is none of the latest.
        latest = sorted(days)[-_DAYS_KEPT:]
        kept = {each: days[each] for each in sorted({*latest, day})}
        temporary = self._path.with_name(".spent")  # the lock is held; one that was left is used
        try:
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(_as_json(kept).encode())
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(self._path)
        finally:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (OSError, Timeout, ValueError, KeyError, TypeError, RecursionError) as error:
            why = " ".join(str(error).split()) or type(error).__name__
            raise UsageError(
                f"the day's account {str(self._path)!r} cannot be used ({why[:200]}): delete it "
                "(the day then begins anew), or leave the budgets per day out"
            ) from None


def today() -> str:
    """The day by which budgets are counted, in UTC."""
    return time.strftime("%Y-%m-%d", time.gmtime())


def _is_gone(ticket: str) -> bool:
    """Whether the process that a ticket begins with has ended."""
    pid = ticket.partition("-")[0]
    return pid.isdecimal() and is_gone(int(pid))


def _as_json(days: Mapping[str, Book]) -> str:
    return json.dumps(
        {
            "selfheal_spent": _VERSION,
            "days": {
                day: {
                    "spent": asdict(book.spent),
                    "reserved": {
                        ticket: {**asdict(amount), "until": until}
                        for ticket, (amount, until) in book.reserved.items()
                    },
                }
                for day, book in days.items()
            },
        }
    )


def _book(data: object) -> Book:
    book = _mapping(data)
    reserved = {
        str(ticket): (_amount(each), float(_mapping(each)["until"]))
        for ticket, each in _mapping(book["reserved"]).items()
    }
    if not all(math.isfinite(until) for _, until in reserved.values()):
        raise ValueError("a time in it is no number")
    return Book(spent=_amount(book["spent"]), reserved=reserved)


def _amount(data: object) -> Amount:
    values = {name: _mapping(data)[name] for name in ("requests", "tokens", "nanodollars")}
    if not all(type(value) is int and value >= 0 for value in values.values()):
        raise ValueError("an amount in it is no number")
    return Amount(**values)


def _mapping(value: object) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise ValueError("a part of it is no object")
    return value
