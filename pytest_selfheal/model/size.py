"""How many tokens a text has, as far as its characters tell."""

from __future__ import annotations

import math

CHARACTERS_PER_TOKEN = 3
"""Of code, where the vocabularies of today come to about four: a guess on the high side."""
_BYTES_PER_TOKEN = 2
"""Of other scripts, in UTF-8, where they come to two or three."""


def estimated_tokens(text: str) -> int:
    """Give about how many tokens a text takes, rather too many than too few."""
    size = len(text.encode("utf-8", "replace"))
    plain = len(text.encode("ascii", "ignore"))
    return math.ceil(plain / CHARACTERS_PER_TOKEN + (size - plain) / _BYTES_PER_TOKEN)
