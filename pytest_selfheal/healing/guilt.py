"""Whose code it is that breaks something, found by leaving parts of it out."""

from __future__ import annotations

from collections.abc import Callable, Sequence

MAX_TRIALS = 64
"""How many parts of the code are tried; for one guilty stub of a thousand it takes twenty."""


def guilty(keys: Sequence[str], breaks: Callable[[Sequence[str]], bool]) -> list[str]:
    """Of stubs whose code breaks something together, give few that do.

    Args:
        keys: All of them: with their code it breaks, without any it does not.
        breaks: Tries the code of some of them alone.
    """
    suspects = list(keys)
    trials = 0
    parts = 2
    while len(suspects) > 1 and trials < MAX_TRIALS:
        size = -(-len(suspects) // parts)
        slices = [suspects[start : start + size] for start in range(0, len(suspects), size)]
        # One part alone, or, where it takes several, all but one.
        smaller = [*slices, *([k for k in suspects if k not in s] for s in slices if parts > 2)]
        for part in smaller:
            trials += 1
            if breaks(part):
                suspects = part
                parts = 2
                break
            if trials >= MAX_TRIALS:
                break
        else:
            if parts >= len(suspects):
                break
            parts = min(2 * parts, len(suspects))
    return suspects
