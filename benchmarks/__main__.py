"""`python -m benchmarks`: measure, print a table, write `benchmarks/results.json`.

Everything is on the loopback interface and in a temporary folder that is removed.
Ratios within one run are what counts; the load average printed beside them says how
far the seconds can be believed.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import candidates, costs, heals, planning, startup, verifications, warm
from benchmarks.measuring import BenchmarkError, Figure
from benchmarks.results import Measured, heading, print_measured, write_results
from pytest_selfheal.errors import SandboxUnavailable
from pytest_selfheal.sandbox.choose import choose

RESULTS = Path(__file__).with_name("results.json")
SANDBOXES = {
    "both": ("docker", "landlock"),
    "all": ("docker", "bubblewrap", "landlock"),
}
Measure = Callable[[Path, int, Sequence[str]], list[Figure]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A measure, and how many rounds it is worth."""

    measure: Measure
    rounds: int


MEASURES = {
    "import": Entry(measure=startup.importing, rounds=15),
    "idle": Entry(measure=startup.idling, rounds=11),
    "one": Entry(measure=heals.one_stub, rounds=7),
    "slow": Entry(measure=heals.slow_tests, rounds=3),
    "many": Entry(measure=heals.many_stubs, rounds=3),
    "sandbox": Entry(measure=verifications.parked, rounds=11),
    "load": Entry(measure=warm.under_load, rounds=10),
    "large": Entry(measure=warm.large_project, rounds=10),
    "eight": Entry(measure=warm.at_once, rounds=3),
    "series": Entry(measure=warm.series, rounds=100),
    "planning": Entry(measure=planning.planning, rounds=3),
    "candidates": Entry(measure=candidates.candidates, rounds=1),
    "prompt": Entry(measure=costs.prompts, rounds=1),
    "tokens": Entry(measure=costs.waiting, rounds=3),
    "faulty": Entry(measure=costs.faulty, rounds=1),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what was asked for; 0 where it could be measured, whatever came of it."""
    options = _options(arguments)
    try:
        sandboxes = _sandboxes(options.sandbox)
    except BenchmarkError as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 2
    print(heading(sandboxes))
    done: list[Measured] = []
    for name in options.only or MEASURES:
        try:
            done.append(_measured(name, options.repeats, sandboxes))
        except BenchmarkError as error:
            print(f"benchmarks: {name}: {error}", file=sys.stderr)
            return 1
        print_measured(done[-1])
    write_results(RESULTS, sandboxes, done)
    print(f"\nwritten to {os.path.relpath(RESULTS)}")
    return 0


def _measured(name: str, repeats: int | None, sandboxes: Sequence[str]) -> Measured:
    entry = MEASURES[name]
    rounds = repeats or entry.rounds
    load_before = os.getloadavg()[0]
    folder = Path(tempfile.mkdtemp(prefix="selfheal-benchmark-")).resolve()
    try:
        figures = entry.measure(folder, rounds, sandboxes)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return Measured(
        name=name,
        rounds=rounds,
        load_before=load_before,
        load_after=os.getloadavg()[0],
        figures=tuple(figures),
    )


def _sandboxes(wanted: str) -> list[str]:
    """Those of the wanted sandboxes that can be used; all must be, where one was named."""
    names = SANDBOXES.get(wanted, (wanted,))
    usable = []
    for name in names:
        try:
            usable.append(choose(name, "host"))
        except SandboxUnavailable as error:
            if len(names) == 1:
                raise BenchmarkError(str(error)) from error
            print(f"left out: {error}")
    if not usable:
        raise BenchmarkError("no sandbox can be used here, and nothing is healed without")
    return usable


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--only",
        action="append",
        choices=list(MEASURES),
        metavar="NAME",
        help=f"one of {', '.join(MEASURES)}; may be given more than once",
    )
    parser.add_argument(
        "--repeats", type=_positive, metavar="N", help="rounds, instead of each measure's own"
    )
    parser.add_argument(
        "--sandbox",
        choices=["docker", "landlock", "bubblewrap", *SANDBOXES],
        default="both",
        help="`both` (the default) leaves bubblewrap out",
    )
    return parser.parse_args(arguments)


def _positive(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of rounds: give 1 or more")
    return int(text)


if __name__ == "__main__":
    if platform.system() == "Windows":
        sys.exit("benchmarks: process groups and load averages are needed: use Linux or macOS")
    sys.exit(main())
