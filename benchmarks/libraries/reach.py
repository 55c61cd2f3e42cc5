"""A pytest plugin that notes which functions a run enters: `-p benchmarks.libraries.reach`.

It is told by the interpreter of every call, so the run is slow; it stands alone and knows
nothing of how the plugin under trial finds the same out.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from pathlib import Path
from types import CodeType, FrameType

import pytest

FILE = "SELFHEAL_REACH_FILE"
_codes: set[CodeType] = set()
_passed: list[str] = []


def _note(frame: FrameType, event: str, _argument: object) -> None:
    if event == "call":
        _codes.add(frame.f_code)


if os.environ.get(FILE):
    threading.setprofile(_note)
    sys.setprofile(_note)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Note what passed."""
    if report.when == "call" and report.passed:
        _passed.append(report.nodeid)


def pytest_sessionfinish() -> None:
    """Write down what was entered, as `[file, first line]`."""
    sys.setprofile(None)
    threading.setprofile(None)  # type: ignore[arg-type]
    if os.environ.get(FILE):
        entered = sorted({(code.co_filename, code.co_firstlineno) for code in _codes})
        Path(os.environ[FILE]).write_text(json.dumps({"entered": entered, "passed": _passed}))
