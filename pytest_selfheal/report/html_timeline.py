"""The HTML report's timelines: a stub's attempts one after another, as a drawing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pytest_selfheal.records import Attempt, StubReport

_LENGTH = 1000
"""The longest timeline in its own units, whatever the screen makes of them."""
_END = 9
_ENDS_SHARE = 0.5
"""The most of it that is given to the marks at the attempts' ends."""
_ENDS = ("passed", "failed")

LEGEND = '<p class="legend dim">{}</p>'.format(
    " ".join(
        '<span class="key"><svg class="swatch" viewBox="0 0 1 1" aria-hidden="true">'
        f'<rect class="{kind}" width="1" height="1"></rect></svg> {word}</span>'
        for kind, word in (
            ("asking", "asking"),
            ("verifying", "verifying"),
            ("end passed", "passed"),
            ("end failed", "failed"),
            ("end", "another verdict"),
        )
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """What all timelines of a page have in common."""

    second: float
    """Units for a second of asking or verifying; 0 where nothing took any time."""
    end: float
    """Units for the mark at an attempt's end."""


def scale_of(stubs: Sequence[StubReport]) -> Scale:
    """Give the scale at which each of the timelines fits."""
    longest = max((seconds_of(stub.attempts) for stub in stubs), default=0.0)
    most = max((len(stub.attempts) for stub in stubs), default=0)
    end = min(_END, _LENGTH * _ENDS_SHARE / max(most, 1))
    return Scale(second=(_LENGTH - end * most) / longest if longest else 0.0, end=end)


def seconds_of(attempts: Sequence[Attempt]) -> float:
    """How long attempts took, asking and verifying."""
    return sum(each.asking_seconds + each.seconds for each in attempts)


def timeline(attempts: Sequence[Attempt], scale: Scale) -> str:
    """Draw attempts as SVG with a label that tells the same; empty where none took any time."""
    if not scale.second or not attempts:
        return ""
    parts: list[str] = []
    at = 0.0
    for attempt in attempts:
        end = f"end {attempt.verdict}" if attempt.verdict in _ENDS else "end"
        spans = (
            ("asking", attempt.asking_seconds * scale.second),
            ("verifying", attempt.seconds * scale.second),
            (end, scale.end),
        )
        for kind, width in spans:
            if width > 0:
                parts.append(
                    f'<rect class="{kind}" x="{at:.1f}" width="{width:.1f}" height="1"></rect>'
                )
                at += width
    told = ", ".join(f"{number} {each.verdict}" for number, each in enumerate(attempts, 1))
    return (
        f'<svg class="timeline" viewBox="0 0 {_LENGTH} 1" preserveAspectRatio="none" role="img" '
        f'aria-label="Attempts: {told}">{"".join(parts)}</svg>'
    )
