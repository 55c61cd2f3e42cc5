"""`python -m benchmarks.libraries`: stub libraries, heal them, print and write the table."""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.libraries.catalog import CATALOG, Library, named
from benchmarks.libraries.fetch import environment_for, fetch
from benchmarks.libraries.table import details, markdown
from benchmarks.libraries.trial import Choice, Trial, try_library
from benchmarks.measuring import BenchmarkError


def main(arguments: Sequence[str] | None = None) -> int:
    """Try what was asked for; 0 where all of it came back as it was."""
    options = _options(arguments)
    choice = Choice(
        share=options.share,
        module=options.module,
        marker=options.marker,
        body=options.body,
        seed=options.seed,
    )
    trials: list[Trial] = []
    failed = False
    for library in named(options.libraries):
        try:
            trial = _tried(library, choice, options)
        except BenchmarkError as error:
            print(f"libraries: {error}", file=sys.stderr)
            failed = True
            continue
        trials.append(trial)
        print(details(trial), flush=True)
        failed = failed or bool(trial.lost or trial.problems or trial.status)
    table = markdown(trials)
    print(f"\n{table}")
    if options.write is not None:
        options.write.write_text(table)
    return int(failed)


def _tried(library: Library, choice: Choice, options: argparse.Namespace) -> Trial:
    original = fetch(library)
    environment = environment_for(library)
    work = Path(tempfile.mkdtemp(prefix=f"selfheal-{library.name}-"))
    try:
        trial = try_library(
            library,
            original,
            environment,
            work,
            choice,
            [f"--selfheal-sandbox={options.sandbox}", *options.pytest],
        )
        if options.verbose:
            print(trial.output)
        return trial
    finally:
        if options.keep:
            print(f"{library.name} is kept in {work}")
        else:
            shutil.rmtree(work, ignore_errors=True)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    names = [library.name for library in CATALOG]
    parser = argparse.ArgumentParser(prog="python -m benchmarks.libraries", description=__doc__)
    parser.add_argument(
        "libraries", nargs="*", metavar="LIBRARY", help=f"some of {', '.join(names)}; else all"
    )
    parser.add_argument(
        "--share", type=float, default=1.0, help="of the reached functions, at random below 1"
    )
    parser.add_argument("--seed", type=int, default=0, help="of that choice")
    parser.add_argument("--module", default="*", help="only files of this pattern")
    parser.add_argument("--marker", choices=["decorator", "comment"], default="decorator")
    parser.add_argument("--body", default="...", help="what stands in a stub")
    parser.add_argument("--sandbox", default="auto")
    parser.add_argument("--pytest", action="append", default=[], help="one more option of pytest")
    parser.add_argument("--write", type=Path, help="where the table goes")
    parser.add_argument("--keep", action="store_true", help="leave the healed projects there")
    parser.add_argument("--verbose", action="store_true", help="show what pytest printed")
    options = parser.parse_args(arguments)
    unknown = sorted(set(options.libraries) - set(names))
    if unknown:
        parser.error(f"{unknown[0]!r} is not in the catalog: known are {', '.join(names)}")
    return options


if __name__ == "__main__":
    sys.exit(main())
