"""Keep a line of JSON for each attempt, to see later which stubs and models cost what."""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pytest_selfheal.records import Attempt

_lock = threading.Lock()  # attempts at several stubs end at once


@pytest.hookimpl(optionalhook=True)
def pytest_selfheal_attempt(targets: Sequence[str], number: int, attempt: Attempt) -> None:
    line = {
        "targets": list(targets),
        "number": number,
        "verdict": attempt.verdict,
        "why": attempt.why,
        "seconds": round(attempt.seconds, 3),
        "tokens": attempt.input_tokens + attempt.output_tokens,
    }
    with _lock, open("attempts.jsonl", "a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")
