"""What the user's own run gave, and what becomes of it."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_selfheal.records import Edit, Failure, Piece


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRecord:
    """The user's run, as pytest reported it."""

    failures: tuple[Failure, ...]
    passed: tuple[str, ...] = ()
    not_run: tuple[str, ...] = ()
    """Selected tests that a collection error or `-x` kept from being run."""
    seconds: float = 0.0

    @property
    def failing(self) -> tuple[str, ...]:
        """Node ids of what failed."""
        return tuple(dict.fromkeys(failure.nodeid for failure in self.failures))


@dataclass(frozen=True, slots=True, kw_only=True)
class Healed:
    """One stub's confirmed code, and the file's change that it alone would be."""

    key: str
    piece: Piece
    edit: Edit
    tests: tuple[str, ...]
    attempts: int
