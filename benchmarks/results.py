"""What is shown and kept: a table on the terminal and a JSON file."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from benchmarks.measuring import Figure

PACKAGES = ("pytest-selfheal", "pytest", "openai", "libcst", "docker", "sandlock")
_NAME_WIDTH = 62


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """A measure that was taken, with how busy the machine was before and after."""

    name: str
    rounds: int
    load_before: float
    load_after: float
    figures: tuple[Figure, ...]


def heading(sandboxes: Sequence[str]) -> str:
    """What the figures depend on, and the columns' names."""
    columns = (
        f"{'':{_NAME_WIDTH}} {'median':>8} {'lowest':>8} {'highest':>8} {'floor':>6} {'target':>7}"
    )
    return (
        f"Python {platform.python_version()}, pytest {_version('pytest')}, "
        f"{_processors()} processors, {' and '.join(sandboxes)}\n"
        f"Load average now {_load()}: more than 1 or so beside this run's own, and the seconds "
        f"mean little; the ratios are taken round by round.\n\n{columns}"
    )


def print_measured(measured: Measured) -> None:
    """Print one measure's lines."""
    print(
        f"\n{measured.name}: {measured.rounds} rounds, load average "
        f"{measured.load_before:.1f} before, {measured.load_after:.1f} after"
    )
    for figure in measured.figures:
        print(_line(figure))


def _line(figure: Figure) -> str:
    numbers = [figure.median, min(figure.values), max(figure.values)]
    shown = " ".join(f"{_number(value, figure):>8}" for value in numbers)
    target = "" if figure.target is None else f"{figure.target:g}"
    verdict = {True: "met", False: "MISSED", None: ""}[figure.is_met]
    name = f"  {figure.name}"
    line = f"{name:{_NAME_WIDTH}} {shown} {figure.floor:>6} {target:>7} {verdict:6} {figure.detail}"
    return line.rstrip()


def _number(value: float, figure: Figure) -> str:
    return f"{value:.2f}" if figure.unit == "x" else f"{value:.0f}"


def write_results(path: Path, sandboxes: Sequence[str], done: Sequence[Measured]) -> None:
    """Write everything, with each round's values, as JSON."""
    data = {
        "schema": 1,
        "when": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "processors": _processors(),
        "packages": {name: _version(name) for name in PACKAGES},
        "sandboxes": list(sandboxes),
        "measures": [_as_data(each) for each in done],
    }
    path.write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")


def _as_data(measured: Measured) -> dict[str, Any]:
    return {
        "name": measured.name,
        "rounds": measured.rounds,
        "load_average": [round(measured.load_before, 2), round(measured.load_after, 2)],
        "figures": [
            {
                "name": figure.name,
                "unit": figure.unit,
                "median": round(figure.median, 4),
                "values": [round(value, 4) for value in figure.values],
                "floor": figure.floor or None,
                "target": figure.target,
                "is_met": figure.is_met,
                "detail": figure.detail or None,
            }
            for figure in measured.figures
        ],
    }


def _processors() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _load() -> str:
    return ", ".join(f"{value:.1f}" for value in os.getloadavg())


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"
