"""When a run has shown that its candidate fails, and what of it may then be left out.

Sent as text like `inside_tests`, and asked by the host as well: what was left out is so
only if the host comes to the same from the results. All that is asked of the red tests
here stays true whatever further tests say, red or green.
"""

from __future__ import annotations

from collections.abc import Collection


class Failing:
    """The red tests of a run so far, and whether they decide it."""

    def __init__(
        self,
        *,
        keys: Collection[str],
        elsewhere: Collection[str],
        doubtful: Collection[str],
        weak: Collection[str],
        uncounted: Collection[str],
        unseen: Collection[str],
        fewest: int,
        shown: int,
    ) -> None:
        """Take what is known beforehand; the arguments are `records.EarlyEnd`'s."""
        self._keys = frozenset(keys)
        self._elsewhere = frozenset(elsewhere)
        self._doubtful = frozenset(doubtful)
        self._uncounted = frozenset(uncounted)
        self._unseen = frozenset(unseen)
        self._fewest = fewest
        self._shown = shown
        self._common = set(weak)
        """The weak ones that every red test entered."""
        self._alone: set[str] = set()
        """Keys that some red test entered, and no other of them."""
        self._clears_nobody = len(self._keys) == 1
        self._is_clear_of_doubt = False
        self._count = 0
        self._in_sight = 0
        self._functions: set[str] = set()

    def add(self, nodeid: str, entered: Collection[str]) -> bool:
        """Note a red test, and the watched functions that it entered; whether it counts."""
        if nodeid in self._uncounted or not self._elsewhere.isdisjoint(entered):
            return False
        own = self._keys.intersection(entered)
        if len(own) == 1:
            self._alone |= own
        # `judge.innocent` clears a stub only if every red test entered one of the group's,
        # and none of them that one alone.
        self._clears_nobody |= not own or self._alone == self._keys
        self._is_clear_of_doubt |= self._doubtful.isdisjoint(entered)
        self._common.intersection_update(entered)
        self._count += 1
        if nodeid not in self._unseen:
            self._in_sight += 1
            self._functions.add(function_of(nodeid))
        return True

    @property
    def is_decisive(self) -> bool:
        """Whether the candidate fails, and it alone, whatever other tests say."""
        return (
            self._count >= self._fewest
            and self._clears_nobody
            and self._is_clear_of_doubt
            and not self._common
        )

    def leaves_out(self, nodeid: str) -> bool:
        """Whether a test need not run.

        Once as many failures are there as are told in full, that is what the model does
        not see, and other cases of functions that failed; with twice as many, everything.
        """
        if not self.is_decisive or self._in_sight < self._shown:
            return False
        if self._in_sight >= 2 * self._shown or nodeid in self._unseen:
            return True
        return function_of(nodeid) in self._functions


def function_of(nodeid: str) -> str:
    """A test's name without its case."""
    file, colons, name = nodeid.partition("::")
    return f"{file}{colons}{name.partition('[')[0]}"
