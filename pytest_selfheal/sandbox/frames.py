"""The byte format between host and sandbox: a length, then that many bytes.

Nothing but JSON and tar travels in it, and nothing is ever unpickled.
"""

from __future__ import annotations

import json
import time
from typing import Any, Protocol

HEADER_BYTES = 4
MAX_ANSWER_BYTES = 64 * 2**20
"""The largest answer that the host takes from a sandbox."""


class Channel(Protocol):
    """The two byte streams of one confined process, and the way to end it."""

    def send(self, data: bytes, deadline: float) -> None:
        """Write all of it. Raises OSError (TimeoutError past the deadline)."""

    def receive(self, size: int, deadline: float) -> bytes:
        """Read 1 to `size` bytes. Raises EOFError at the end, TimeoutError, OSError."""

    def destroy(self) -> None:
        """End every process in there and remove what it left. May be called twice."""

    def explain_death(self) -> tuple[str, str]:
        """After an end of stream: an ending (`crashed`, `out-of-memory`, ...) and why."""


def pack(payload: bytes) -> bytes:
    """One frame."""
    return len(payload).to_bytes(HEADER_BYTES, "big") + payload


def pack_json(message: dict[str, Any]) -> bytes:
    """One frame that holds JSON."""
    return pack(json.dumps(message).encode())


def receive_json(channel: Channel, deadline: float) -> dict[str, Any]:
    """Read one frame of JSON.

    Args:
        channel: Where to read.
        deadline: On `time.monotonic`'s clock.

    Raises:
        EOFError: The stream ended first.
        TimeoutError: The deadline passed first.
        ValueError: What came is too large, or is no JSON object.
    """
    size = int.from_bytes(_exactly(channel, HEADER_BYTES, deadline), "big")
    if size > MAX_ANSWER_BYTES:
        raise ValueError(f"an answer of {size} bytes (at most {MAX_ANSWER_BYTES} are read)")
    data = _exactly(channel, size, deadline)
    try:
        message = json.loads(data)
    except RecursionError:
        raise ValueError("an answer that is nested too deeply") from None
    if not isinstance(message, dict):
        raise ValueError("an answer that is no JSON object")
    return message


def _exactly(channel: Channel, size: int, deadline: float) -> bytes:
    parts: list[bytes] = []
    while size > 0:
        if time.monotonic() > deadline:
            raise TimeoutError
        part = channel.receive(min(size, 2**20), deadline)
        parts.append(part)
        size -= len(part)
    return b"".join(parts)
