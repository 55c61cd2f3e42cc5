"""Two environments with the same packages, one of which has never heard of the plugin.

`-p no:selfheal` is not that: pytest still finds the entry point and its distribution.
So two virtual environments are made side by side, whose site-packages are folders of links
into the present one's (code and bytecode are shared, so neither is warmer). In the second,
the links to what the plugin's own distribution installed are left out. Both are made the
same way, so their import paths have the same length and shape.
"""

from __future__ import annotations

import importlib.metadata
import os
import sysconfig
import venv
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measuring import BenchmarkError

DISTRIBUTION = "pytest-selfheal"


@dataclass(frozen=True, slots=True, kw_only=True)
class Twins:
    """The interpreters of both environments."""

    with_plugin: Path
    without_plugin: Path


def make_twins(folder: Path) -> Twins:
    """Make both below a folder, which the caller removes.

    Raises:
        BenchmarkError: The plugin is not installed where this runs.
    """
    own = plugin_entries()
    return Twins(
        with_plugin=_twin(folder / "environment-1", leave_out=frozenset()),
        without_plugin=_twin(folder / "environment-2", leave_out=own),
    )


def plugin_entries() -> frozenset[str]:
    """What the plugin's distribution put directly into site-packages.

    Raises:
        BenchmarkError: It is not installed.
    """
    try:
        files = importlib.metadata.distribution(DISTRIBUTION).files or ()
    except importlib.metadata.PackageNotFoundError:
        raise BenchmarkError(
            f"{DISTRIBUTION!r} is not installed in {sysconfig.get_path('purelib')!r}: "
            "run `make install` first"
        ) from None
    return frozenset(file.parts[0] for file in files if file.parts[0] != "..")


def _twin(folder: Path, leave_out: frozenset[str]) -> Path:
    venv.EnvBuilder(symlinks=os.name != "nt", with_pip=False).create(folder)
    paths = {"base": str(folder), "platbase": str(folder)}
    for kind in ("purelib", "platlib"):
        source = Path(sysconfig.get_path(kind))
        into = Path(sysconfig.get_path(kind, scheme="venv", vars=paths)) if _has_venv_scheme() \
            else folder / source.relative_to(Path(sysconfig.get_path("data")))  # fmt: skip
        into.mkdir(parents=True, exist_ok=True)
        for entry in source.iterdir():
            link = into / entry.name
            if entry.name not in leave_out and not link.exists():
                link.symlink_to(entry)
    name = "Scripts/python.exe" if os.name == "nt" else "bin/python"
    return folder / name


def _has_venv_scheme() -> bool:
    return "venv" in sysconfig.get_scheme_names()
