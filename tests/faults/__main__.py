"""All of the long forms, one after the other; prints what each counted (`make faults`)."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Mapping
from typing import Any

LONG_FORMS = {
    "kill_points": ["--twice"],
    "store_points": [],
    "whole_runs": ["--kills=0"],
    "soak": ["--processes=16", "--rounds=2"],
}
COLUMNS = ("kill points", "torn files", "lost edits", "leftovers", "unfinished", "hung",
           "failed runs")  # fmt: skip
NOT_COVERED = """\
Not covered: power cuts (the order of syncing is looked at instead), network file systems, a real
sleep of the machine, system calls of other threads than the main one in whole runs; the reasons are
in tests/faults/README.md."""


def line_of(name: str, counted: Mapping[str, Any], seconds: float) -> str:
    """A form's line in the table: a dash for what it does not count."""
    cells = "".join(f"{counted.get(column, '-'):>{len(column) + 2}}" for column in COLUMNS)
    return f"{name:<12}{cells}{seconds:>9.0f}"


def details_of(name: str, counted: Mapping[str, Any]) -> list[str]:
    """What else a form says, a line each: what was cut off and how often, and what is wrong."""
    lines = []
    for key, value in counted.items():
        if key == "examples":
            lines += [f"{name}: WRONG: {' '.join(each.split())}" for each in value]
        elif key not in COLUMNS:
            if isinstance(value, dict):
                value = ", ".join(f"{each} {number}" for each, number in value.items())
            lines.append(f"{name}: {key}: {value}")
    return lines


def main() -> int:
    """1 where one of them found something, or broke off."""
    heads = "".join(f"  {column}" for column in COLUMNS)
    print(f"{'':<12}{heads}  seconds", flush=True)
    statuses: list[int] = []
    details: list[str] = []
    for name, arguments in LONG_FORMS.items():
        start = time.monotonic()
        command = [sys.executable, "-m", f"tests.faults.{name}", *arguments]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
        statuses.append(done.returncode)
        if not done.stdout.strip():
            print(f"{name:<12}  broke off with status {done.returncode}", flush=True)
            continue
        counted = json.loads(done.stdout)
        print(line_of(name, counted, time.monotonic() - start), flush=True)
        details += details_of(name, counted)
    print("", *details, "", NOT_COVERED, sep="\n")
    return int(any(statuses))


if __name__ == "__main__":
    sys.exit(main())
