"""What planning costs at the size of a library, with a model and sandboxes that cost nothing.

The real `Heal` is driven over generated projects. The model and the sandboxes are pure
functions, timed apart: what is left is tracing's, planning's and confirming's own work.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.measuring import BenchmarkError, Figure
from pytest_selfheal.records import Piece, Reply, RunOutcome
from tests.simulated import RIGHT, Reach, World, make_stubs

SIZES = (100, 300, 1000)
TESTS_PER_STUB = 5
TARGET_SECONDS = 5.0
REACHED = 10
"""How many stubs a test of a library reaches."""


@dataclass(kw_only=True, repr=False)
class _Timed(World):
    """Counts the processor's time that is not planning's: nothing here ever waits."""

    elsewhere: float = 0.0
    groups: list[int] = field(default_factory=list)

    def ask(self, *args: object) -> Reply:
        """See `World`."""
        begun = time.thread_time()
        try:
            return super().ask(*args)  # type: ignore[arg-type]
        finally:
            self.elsewhere += time.thread_time() - begun

    def verify(
        self, tests: Sequence[str], pieces: Mapping[str, Piece], **more: object
    ) -> RunOutcome:
        """See `World`."""
        begun = time.thread_time()
        try:
            return super().verify(tests, pieces, **more)
        finally:
            self.elsewhere += time.thread_time() - begun


def planning(folder: Path, rounds: int, sandboxes: Sequence[str]) -> list[Figure]:
    """Seconds of planning for each shape of project, and how a stub's share grows."""
    del folder, sandboxes  # neither is touched
    return [figure for name, make in SHAPES.items() for figure in _figures(name, make, rounds)]


def _figures(name: str, make: Callable[[int], _Timed], rounds: int) -> list[Figure]:
    seconds: dict[int, list[float]] = {size: [] for size in SIZES}
    detail = ""
    for _ in range(rounds):
        for size in SIZES:
            spent, detail = _healed(name, make(size))
            seconds[size].append(spent)
    smallest, largest = SIZES[0], SIZES[-1]
    each = ", ".join(
        f"{size} stubs {min(values) / size * 1000:.2f} ms each" for size, values in seconds.items()
    )
    return [
        Figure(
            name=f"planning, {name}: seconds, {largest} stubs, {largest * TESTS_PER_STUB} tests",
            values=tuple(seconds[largest]),
            floor="",
            target=TARGET_SECONDS,
            detail=detail,
        ),
        Figure(
            name=f"planning, {name}: a stub of {largest} / of {smallest}",
            values=tuple(
                (large / largest) / (small / smallest)
                for large, small in zip(seconds[largest], seconds[smallest], strict=True)
            ),
            floor="1.0",
            target=2.0,
            detail=each,
        ),
    ]


def _healed(name: str, world: _Timed) -> tuple[float, str]:
    heal = world.heal()
    begun = time.thread_time()
    world.run(heal)
    seconds = time.thread_time() - begun - world.elsewhere
    wrong = [key for key, piece in heal.confirmed.items() if piece.definition != RIGHT]
    missing = world.stubs.keys() - heal.confirmed.keys()
    if heal.problem or wrong or missing:
        raise BenchmarkError(
            f"{name}: {len(missing)} of {len(world.stubs)} stubs not healed, {len(wrong)} wrong"
        )
    return seconds, (
        f"{len(world.requests) / len(world.stubs):.2f} requests and "
        f"{len(world.verified) / len(world.stubs):.2f} verifications a stub, "
        f"at most {max(map(len, world.requests))} in a request"
    )


# --- projects --------------------------------------------------------------------------


def _chains(size: int) -> _Timed:
    """Chains of twenty, in which each stub hides the next."""
    keys = _keys(size)
    chains = [keys[start : start + 20] for start in range(0, size, 20)]
    tests = {}
    for number in range(size * TESTS_PER_STUB):
        chain = chains[number % len(chains)]
        turn = number // len(chains)
        tests[_test(number)] = _reach(chain[-1 - turn % 20 :] if turn % 2 else chain)
    return _Timed(stubs=make_stubs(_names(size)), tests=tests)


def _independent(size: int) -> _Timed:
    keys = _keys(size)
    tests = {_test(n): _reach([keys[n % size]]) for n in range(size * TESTS_PER_STUB)}
    return _Timed(stubs=make_stubs(_names(size)), tests=tests)


def _library(size: int, *, returning: bool = False, wrong_first: bool = False) -> _Timed:
    """Each test reaches ten stubs of all: helpers that many use, and some of its own."""
    order = random.Random(size)
    keys = _keys(size)
    helpers = keys[: size // 10]
    tests = {}
    for number in range(size * TESTS_PER_STUB):
        own = keys[number % size]
        reached = dict.fromkeys([own, *order.sample(helpers, 3), *order.sample(keys, REACHED - 4)])
        # Two in five judge one function with what it needs, the rest go through many.
        tests[_test(number)] = _reach(list(reached)[: 4 if number % 5 < 2 else REACHED])
    replies = {key: [False, True] for key in keys[::3]} if wrong_first else {}
    return _Timed(
        stubs=make_stubs(_names(size)),
        tests=tests,
        replies=replies,
        returning=frozenset(keys if returning else ()),
    )


def _names(size: int) -> list[str]:
    return [f"s{number}" for number in range(size)]


def _keys(size: int) -> list[str]:
    return list(make_stubs(_names(size)))


def _test(number: int) -> str:
    return f"tests/test_{number // 50}.py::test_{number}"


def _reach(keys: Sequence[str]) -> Reach:
    return Reach(stubs=tuple(keys), tells=frozenset(keys), stops=frozenset(keys))


SHAPES: dict[str, Callable[[int], _Timed]] = {
    "chains of 20": _chains,
    "independent": _independent,
    "library, raising": _library,
    "library, returning None": lambda size: _library(size, returning=True),
    "library, 1/3 wrong first": lambda size: _library(size, wrong_first=True),
    "library, None, 1/3 wrong": lambda size: _library(size, returning=True, wrong_first=True),
}
