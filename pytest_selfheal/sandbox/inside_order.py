"""Which tests of a session are asked for, and in which order they run. Sent as text like `inside`.

Tests that were red are run first as far as no project can mind: folders and files change
their places as wholes, and the cases of one parametrized function theirs among themselves.
The functions and classes of a file stay as they stand in it: one may rest on what
another did, and they share fixtures.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterable
from typing import Any

import pytest


class Selection:
    """What a job asks for."""

    def __init__(self, root: str, job: dict[str, Any], selected: dict[str, list[str]]) -> None:
        """Take what is to be run.

        Args:
            root: The project's.
            job: What the host sent.
            selected: Of files, what of them the user's own run was given.
        """
        self._nodes = set(job["nodes"])
        self._first = set(job["first"])
        self._last = {node: rank for rank, node in enumerate(job["last"], start=1)}
        self._files = {node for node in job["nodes"] if "::" not in node}
        self._folders = tuple(
            "" if node == "." else f"{node}/"
            for node in self._files
            if os.path.isdir(os.path.join(root, node))
        )
        self._selected = selected
        self._seed: int | None = job["shuffle_seed"]

    def is_named(self, nodeid: str) -> bool:
        """Whether a test is asked for by its own name."""
        return nodeid in self._nodes

    def is_asked_for(self, nodeid: str) -> bool:
        """Whether a test is asked for, by its name or with its file."""
        if nodeid in self._nodes:
            return True
        file = nodeid.partition("::")[0]
        is_in = file in self._files or file.startswith(self._folders)
        return is_in and is_below(nodeid, self._selected.get(file))

    def is_last(self, nodeid: str) -> bool:
        """Whether a test comes after all others, and after the checks."""
        return nodeid in self._last

    def order(self, items: list[pytest.Item]) -> None:
        """Put tests in the order in which they run."""
        if self._seed is not None:
            shuffle_by_module(items, random.Random(self._seed))  # noqa: S311 - an order, no secret
        elif not self._first.isdisjoint(item.nodeid for item in items):
            red_files_first(items, self._first)
            red_cases_first(items, self._first)
        items.sort(key=lambda item: self._last.get(item.nodeid, 0))


def is_below(nodeid: str, selected: list[str] | None) -> bool:
    """Whether a test lies below one of some node ids; None stands for no choice."""
    if selected is None:
        return True
    return any(nodeid == each or nodeid.startswith((f"{each}::", f"{each}[")) for each in selected)


def shuffle_by_module(items: list[pytest.Item], order: random.Random) -> None:
    """Another order that keeps each file's tests together, so that fixtures stay cheap."""
    files: dict[str, list[pytest.Item]] = {}
    for item in items:
        files.setdefault(file_of(item), []).append(item)
    groups = list(files.values())
    order.shuffle(groups)
    items[:] = [item for group in groups for item in order.sample(group, len(group))]


def red_files_first(items: list[pytest.Item], red: Iterable[str]) -> None:
    """Move folders, and in them folders and files, that hold red tests before others.

    Where files are not in one piece, pytest put together what shares a fixture that
    outlives a file, and all stays as it is.
    """
    files = list(dict.fromkeys(map(file_of, items)))
    pieces = sum(
        place == 0 or file_of(items[place - 1]) != file_of(item) for place, item in enumerate(items)
    )
    if pieces > len(files):
        return
    holders = {part for nodeid in red for part in and_above(nodeid.partition("::")[0])}
    rank: dict[str, int] = {}
    for file in files:
        for part in and_above(file):
            rank.setdefault(part, len(rank))
    keys = {file: [(part not in holders, rank[part]) for part in and_above(file)] for file in files}
    items.sort(key=lambda item: keys[file_of(item)])


def red_cases_first(items: list[pytest.Item], red: set[str]) -> None:
    """Move red cases before the others of their function.

    Where a case has a value that a fixture keeps for others too, those of the same value
    stay together.
    """
    start = 0
    for place in range(1, len(items) + 1):
        if place == len(items) or _neighbourhood(items[place]) != _neighbourhood(items[start]):
            items[start:place] = sorted(items[start:place], key=lambda item: item.nodeid not in red)
            start = place


def file_of(item: pytest.Item) -> str:
    """The file that a test is in, as its node id has it."""
    return item.nodeid.partition("::")[0]


def and_above(path: str) -> list[str]:
    """A file and the folders that it is in, the outermost first."""
    parts = path.split("/")
    return ["/".join(parts[: count + 1]) for count in range(len(parts))]


def _neighbourhood(item: pytest.Item) -> Any:
    """What tests have in common that may change places: a function, and longer-lived values."""
    callspec = getattr(item, "callspec", None)
    scopes = getattr(callspec, "_arg2scope", None)
    if callspec is None or scopes is None:
        return item.nodeid
    shared = [
        (name, index)
        for name, index in callspec.indices.items()
        if getattr(scopes.get(name), "value", "") != "function"
    ]
    return item.parent, getattr(item, "originalname", item.name), sorted(shared)
