"""Put the replies in `tools/replies/` together into `recording.jsonl`.

    python tools/make_recording.py [file]

The replies were written by hand, for the demo: no model was asked. Each is a Markdown
file that begins with the target it answers and the attempts at which it is given:

    ---
    target: src/ledger/tax.py::TaxTable.due
    attempts: 2-5
    ---

`2-5` gives the same reply at each of these attempts. A stub that is asked for together
with others is asked again when one of the others was wrong, so the right reply has to be
there for every attempt. Nobody counted tokens: a reply's are put at a quarter of its
characters, a request's at 0.
"""

from __future__ import annotations

import json
import re
import sys
from dataclasses import dataclass
from pathlib import Path

TOOLS = Path(__file__).resolve().parent
RECORDING = TOOLS.parent / "recording.jsonl"
HEADER = {"selfheal_recording": 1, "model": "demo"}
FRONT_MATTER = re.compile(
    r"---\ntarget: (?P<target>\S+)\nattempts: (?P<first>\d+)(?:-(?P<last>\d+))?\n---\n"
)


@dataclass(frozen=True)
class Written:
    """One reply and when it is given."""

    target: str
    first: int
    last: int
    text: str


def read_reply(file: Path) -> Written:
    """Read one reply.

    Raises:
        ValueError: The file does not begin as the text above says.
    """
    text = file.read_text(encoding="utf-8")
    head = FRONT_MATTER.match(text)
    if head is None:
        raise ValueError(f"{file.name!r} must begin with '---', target, attempts and '---'")
    first = int(head["first"])
    return Written(head["target"], first, int(head["last"] or first), text[head.end() :].strip())


def record(written: Written, attempt: int) -> dict[str, object]:
    """One line of the recording, as data."""
    return {
        "targets": [written.target],
        "attempt": attempt,
        "reply": written.text,
        "input_tokens": 0,
        "output_tokens": len(written.text) // 4,
    }


def make_recording(directory: Path = TOOLS / "replies") -> str:
    """The whole recording: one JSON object a line, ordered by target and attempt.

    Raises:
        ValueError: Two replies answer the same target at the same attempt.
    """
    records: dict[tuple[str, int], dict[str, object]] = {}
    for file in sorted(directory.glob("*.md")):
        written = read_reply(file)
        for attempt in range(written.first, written.last + 1):
            key = (written.target, attempt)
            if key in records:
                raise ValueError(f"{file.name!r} answers {key!r}, which has an answer already")
            records[key] = record(written, attempt)
    lines = [HEADER, *(records[key] for key in sorted(records))]
    return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else RECORDING
    target.write_text(make_recording(), encoding="utf-8", newline="\n")
