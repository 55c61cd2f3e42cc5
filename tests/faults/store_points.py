"""Every moment of writing what is kept beside the sources, with the process killed there.

`python -m tests.faults.store_points`: stored replies, a day's account, what a model refuses,
reports. Other threads than the main one write most of it, which strace is not let look at.
After each kill the file is whole, the next run does the same, and nothing else is left.
Prints what it counted as JSON.
"""

from __future__ import annotations

import itertools
import json
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pytest_selfheal.model.accounts import Caps, DayAccount
from pytest_selfheal.model.parameters import _remember, _remembered
from pytest_selfheal.model.reply import read_reply
from pytest_selfheal.model.stored import StoringModel
from pytest_selfheal.records import ModelUsage, Reply
from pytest_selfheal.report._files import write_whole
from tests.faults.kill_points import Count, killed_at

REPORT = b'{"schema": 1}\n'
LOCKS = (".lock", ".guard")


class Answering:
    """A `Model` that answers at once."""

    name = "answering"

    def ask(self, prompt: str, *, targets: Sequence[str], attempt: int) -> Reply:
        """The same for everything."""
        return read_reply("```python\ndef f(): ...\n```\n", 1, 1)

    def usage(self) -> ModelUsage:
        """Nothing of interest."""
        return ModelUsage(name=self.name)

    def close(self) -> None:
        """Nothing to close."""


@dataclass(frozen=True)
class Store:
    """Something that is kept, how it is written, and how it is read."""

    file: str
    """Its name, an ending where the whole varies."""
    write: Callable[[Path], object]
    is_whole: Callable[[Path], bool]
    """Whether what is there, which may be nothing, can be read."""


def ask(folder: Path) -> Reply:
    """Ask once, as the first one in a run does."""
    model = StoringModel(Answering(), folder, {})
    return model.ask("Target: a.py::f", targets=["a.py::f"], attempt=1)


def spend(folder: Path) -> int:
    """One request more; how many there were."""
    with DayAccount(Caps(requests=10**6), folder).open() as book:
        book.spent = type(book.spent)(requests=book.spent.requests + 1)
        return book.spent.requests - 1


def spent(folder: Path) -> int:
    """How many requests there were."""
    with DayAccount(Caps(), folder).open() as book:
        return book.spent.requests


def report(folder: Path) -> bytes | None:
    """What a report holds."""
    path = folder / "report.json"
    return path.read_bytes() if path.exists() else None


STORES = (
    Store(".json", ask, lambda folder: ask(folder).text == ask(folder).text != ""),
    Store("spent.json", spend, lambda folder: spent(folder) in (0, 1)),
    Store(
        "refused.json",
        lambda folder: _remember(folder / "refused.json", {"temperature"}),
        lambda folder: _remembered(folder / "refused.json") in (set(), {"temperature"}),
    ),
    Store(
        "report.json",
        lambda folder: write_whole(folder / "report.json", REPORT, "the report"),
        lambda folder: report(folder) in (None, REPORT),
    ),
)


def run(count: Count, store: Store, folder: Path) -> None:
    """Kill everywhere, then do the same again."""
    for moment in itertools.count(1):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        if killed_at(lambda: store.write(folder), folder, moment):
            return
        where = f"{store.file} at {moment}"
        count.found["kill points"] += 1
        if not store.is_whole(folder):
            count.wrong("torn files", where)
        store.write(folder)
        names = [path.name for path in folder.iterdir() if not path.name.endswith(LOCKS)]
        if len(names) != 1 or not names[0].endswith(store.file) or names[0].startswith("."):
            count.wrong("leftovers", f"{where}: {names}")


def main() -> int:
    """Do all of it and print the counts; 1 where something is wrong."""
    count = Count()
    folder = Path(tempfile.mkdtemp())
    try:
        for store in STORES:
            run(count, store, folder / "store")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(json.dumps({**count.found, "examples": count.examples[:10]}))
    return int(bool(count.examples))


if __name__ == "__main__":
    sys.exit(main())
