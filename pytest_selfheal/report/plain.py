"""What stands in for pytest's terminal reporter where there is none."""

from __future__ import annotations

from typing import TextIO


class PlainReporter:
    """Writes lines without colours; as much of pytest's reporter as the summary uses."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write_sep(self, sep: str, title: str) -> None:
        """Write a heading."""
        self.write_line(f"{sep * 3} {title} {sep * 3}")

    def write_line(self, line: str, **_: bool) -> None:
        """Write a line; what the stream cannot encode becomes a question mark."""
        encoding = self._stream.encoding or "utf-8"
        self._stream.write(line.encode(encoding, "replace").decode(encoding) + "\n")
