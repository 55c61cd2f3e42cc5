"""What tests wait for, in the order in which it is asked for.

Of the sets of stubs that tests wait for, the smallest are taken first: a larger one is
judged better once the smaller has its code. A set that shares a stub with one that is
being asked for is put off until that stub is free again, and costs nothing till then.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from pytest_selfheal.healing.groups import MAX_GROUP

Entry = frozenset[str] | str
"""A set that tests wait for, or the node id of a test that is looked at by itself."""


class Waiting:
    """The tests that wait, by what they wait for."""

    def __init__(self, order: Mapping[str, int], choose: Callable[[str], Sequence[str]]) -> None:
        """Begin with none.

        Args:
            order: The place of each stub in the project.
            choose: Gives, for a test that is looked at by itself, the stubs to ask for.
        """
        self.busy: set[str] = set()
        """Stubs that are being asked for."""
        self._order = order
        self._choose = choose
        self._tests: dict[frozenset[str], dict[str, None]] = {}
        self._sets: dict[str, dict[frozenset[str], None]] = {}
        self._alone: dict[str, int] = {}
        self._heap: list[tuple[int, int, int, Entry]] = []
        self._queued: set[Entry] = set()
        self._put_off: dict[str, dict[Entry, None]] = {}
        self._numbers = itertools.count()

    def add(self, nodeid: str, keys: frozenset[str]) -> None:
        """A test waits for these."""
        tests = self._tests.get(keys)
        if tests is None:
            tests = self._tests[keys] = {}
            for key in keys:
                self._sets.setdefault(key, {})[keys] = None
            self._push(keys)
        tests[nodeid] = None

    def add_alone(self, nodeid: str, size: int) -> None:
        """A test waits for so many that it is looked at by itself, after smaller sets."""
        self._alone[nodeid] = size
        self._push(nodeid)

    def remove(self, nodeid: str, keys: frozenset[str]) -> None:
        """A test waits for these no more; without keys, it was one to be looked at by itself."""
        if not keys:
            del self._alone[nodeid]
            return
        tests = self._tests[keys]
        del tests[nodeid]
        if not tests:
            del self._tests[keys]
            for key in keys:
                del self._sets[key][keys]

    def pop(self) -> tuple[frozenset[str], str | None] | None:
        """Give the next stubs to ask for, which are busy from now on; None if there are none.

        With them the test that they were chosen for, where it is one by itself.
        """
        while self._heap:
            entry = heapq.heappop(self._heap)[-1]
            self._queued.discard(entry)
            keys = self._keys_of(entry)
            if not keys:
                continue
            hindrance = next((key for key in keys if key in self.busy), None)
            if hindrance is not None:
                self._put_off.setdefault(hindrance, {})[entry] = None
                continue
            chosen = self._joined(frozenset(keys)) if isinstance(entry, frozenset) else keys
            self.busy |= set(chosen)
            # Whatever comes of them, the entry is looked at again, if it is one by then.
            self._put_off.setdefault(next(iter(keys)), {})[entry] = None
            return frozenset(chosen), entry if isinstance(entry, str) else None
        return None

    def release(self, keys: Iterable[str]) -> None:
        """These are not asked for any more; what waited for them may be."""
        for key in keys:
            self.busy.discard(key)
            for entry in self._put_off.pop(key, ()):
                self._push(entry)

    def _keys_of(self, entry: Entry) -> Collection[str]:
        if isinstance(entry, frozenset):
            return entry if entry in self._tests else ()
        return self._choose(entry) if entry in self._alone else ()

    def _push(self, entry: Entry) -> None:
        if entry in self._queued:
            return
        if isinstance(entry, frozenset):
            if entry not in self._tests:
                return
            size, first = len(entry), min(self._order[key] for key in entry)
        else:
            if entry not in self._alone:
                return
            size, first = self._alone[entry], 0
        self._queued.add(entry)
        heapq.heappush(self._heap, (size, first, next(self._numbers), entry))

    def _joined(self, keys: frozenset[str]) -> frozenset[str]:
        """Join sets of the same size that overlap, as long as the whole is within the bound.

        No smaller set is among them: it would have been taken before.
        """
        size, joined = len(keys), keys
        pending = sorted(keys, key=self._order.__getitem__) if 1 < size < MAX_GROUP else []
        while pending:
            for other in self._sets[pending.pop(0)]:
                whole = joined | other
                if len(other) == size and len(joined) < len(whole) <= MAX_GROUP:
                    if not self.busy.isdisjoint(other):
                        continue
                    pending += sorted(whole - joined, key=self._order.__getitem__)
                    joined = whole
        return joined
