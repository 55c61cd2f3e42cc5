"""Builds what would be published and tries it: `make package`.

The source distribution must hold what is tracked, the wheel what a user needs, and a heal must
go through in an environment that has the wheel and what it depends on, and nothing else. It
needs the package index and a sandbox.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
import tempfile
import time
import venv
import zipfile
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
_START = time.monotonic()

# What the wheel says of itself, asked in the empty environment.
LOOK = """
import importlib.metadata, importlib.resources, sys

about = importlib.metadata.metadata("pytest-selfheal")
classifiers = about.get_all("Classifier")
assert "Framework :: Pytest" in classifiers, classifiers
assert "Typing :: Typed" in classifiers, classifiers
assert importlib.resources.files("pytest_selfheal").joinpath("py.typed").is_file()

found = importlib.metadata.entry_points(group="pytest11", name="selfheal")
assert [entry.value for entry in found] == ["pytest_selfheal.plugin"], found

import pytest_selfheal

assert pytest_selfheal.__version__ == about["Version"]
heavy = {"pytest", "openai", "libcst", "docker"} & set(sys.modules)
assert not heavy, f"importing the marker imports {heavy}"
tuple(found)[0].load()
"""


def main() -> None:
    """Build, look and try; says each step, and ends with 1 at the first thing that is wrong."""
    with tempfile.TemporaryDirectory() as folder:
        built = Path(folder, "dist")
        say("build")
        run(sys.executable, "-m", "build", "--outdir", str(built), str(ROOT))
        (source,) = built.glob("*.tar.gz")
        (wheel,) = built.glob("*.whl")
        say("look")
        run(sys.executable, "-m", "twine", "check", "--strict", str(source), str(wheel))
        compare(files_of_source(source), tracked(), source.name)
        compare(files_of_wheel(wheel), tracked("pytest_selfheal"), wheel.name)
        say("install in an empty environment")
        python = empty_environment(Path(folder, "venv"))
        run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", str(wheel))
        run(python, "-m", "pip", "check")
        say("heal in it")
        run(python, "-I", "-c", LOOK, cwd=folder)
        heal(python, Path(folder))
    say("all is well")


def say(text: str) -> None:
    """Print a line with the seconds since the start."""
    print(f"package, at {time.monotonic() - _START:.0f}s: {text}", flush=True)


def run(*command: str, cwd: str | Path = ROOT, env: Mapping[str, str] | None = None) -> str:
    """Run a command, give what it printed, and end with that where it fails."""
    done = subprocess.run(
        command, cwd=cwd, env=env, capture_output=True, encoding="utf-8", check=False
    )
    if done.returncode:
        sys.exit(
            f"{' '.join(command[:6])} ended with {done.returncode}\n{done.stdout}{done.stderr}"
        )
    return done.stdout


def tracked(below: str = ".") -> set[str]:
    """What git tracks and what stands here now, but for what is never published."""
    listed = run("git", "ls-files", "-z", "--", below).split("\0")
    return {
        name
        for name in listed
        if name and not name.startswith(".ci/") and Path(ROOT, name).is_file()
    }


def files_of_source(path: Path) -> set[str]:
    """The files of a source distribution, from its top folder on."""
    with tarfile.open(path) as archive:
        names = {name.partition("/")[2] for name in archive.getnames() if name}
    return names - {"PKG-INFO"}


def files_of_wheel(path: Path) -> set[str]:
    """The files that a wheel installs, its metadata left out."""
    with zipfile.ZipFile(path) as archive:
        return {name for name in archive.namelist() if ".dist-info/" not in name}


def compare(found: set[str], wanted: set[str], name: str) -> None:
    """End where a distribution lacks a file or has one too many."""
    if found != wanted:
        lacks, more = sorted(wanted - found), sorted(found - wanted)
        sys.exit(f"{name} lacks {lacks} and should not have {more}: is each file tracked?")


def empty_environment(folder: Path) -> str:
    """Make a virtual environment; its Python."""
    venv.create(folder, with_pip=True, symlinks=True)
    return str(folder / "bin" / "python")


def heal(python: str, folder: Path) -> None:
    """Paste the README's example in a shell where this environment comes first."""
    readme = (ROOT / "README.md").read_text("utf-8")
    example = re.search(r"^```sh\n(mkdir .*?)^```$", readme, re.MULTILINE | re.DOTALL)
    assert example is not None
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("OPENAI_", "PYTEST_", "PYTHON"))
    }
    environment["PATH"] = f"{Path(python).parent}{os.pathsep}{environment['PATH']}"
    printed = run("sh", "-euc", example[1], cwd=folder, env=environment)
    if not re.search(r"^=+ 2 healed in ", printed, re.MULTILINE):
        sys.exit(f"the README's example did not heal:\n{printed}")


if __name__ == "__main__":
    main()
