"""Source distributions from the package index, unpacked once and copied for each trial."""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
import tarfile
import venv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.libraries.catalog import Library
from benchmarks.measuring import BenchmarkError

ROOT = Path(__file__).resolve().parents[2]
STORE = ROOT / ".libraries"
_SETTINGS = ("pytest.ini", "pytest.toml", "pyproject.toml", "tox.ini", "setup.cfg")
_TABLES = ("[tool.pytest", "[pytest", "[tool:pytest")


def fetch(library: Library, store: Path = STORE) -> Path:
    """Give the folder of an unpacked distribution; it is downloaded where it is missing.

    Raises:
        BenchmarkError: The package index does not have it, or it holds no tests.
    """
    folder = store / f"{library.name}-{library.version}"
    if folder.exists():
        return folder
    store.mkdir(exist_ok=True)
    archive = _download(library, store)
    with tarfile.open(archive) as packed:
        top = packed.getnames()[0].split("/")[0]
        packed.extractall(store / "unpacked", filter="data")
    unpacked = store / "unpacked" / top
    if library.tests_from_python:
        tests = Path(sysconfig.get_path("stdlib")) / "test" / library.tests_from_python
        if not tests.is_dir():
            raise BenchmarkError(f"{library.name}: this Python comes without {tests}")
        shutil.copytree(tests, unpacked / library.tests_from_python)
        _turn_to(library, unpacked / library.tests_from_python / "__init__.py")
    if not any(_has_pytest_table(unpacked / name) for name in _SETTINGS):
        (unpacked / "pytest.ini").write_text("[pytest]\n")
    unpacked.rename(folder)
    return folder


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """Where a library's tests run: the plugin, and nothing that this library does not need."""

    python: Path
    variables: Mapping[str, str]


def environment_for(library: Library, store: Path = STORE) -> Environment:
    """Give a library's environment; what is missing of it is installed.

    One environment holds the plugin for all of them. What a library needs beside lies in
    a folder of its own, so that no library's plugins of pytest meet another's tests.

    Raises:
        BenchmarkError: Something cannot be installed.
    """
    base = store / "environment"
    python = base / "bin" / "python"
    if not (base / "installed").exists():
        venv.EnvBuilder(with_pip=True, clear=True).create(base)
        _pip([str(python), "-m", "pip", "install", "--quiet", "--editable", str(ROOT)])
        (base / "installed").touch()
    if not library.requires:
        return Environment(python=python, variables={})
    folder = store / f"{library.name}-requires"
    if not folder.exists():
        command = [str(python), "-m", "pip", "install", "--quiet", "--no-deps", "--target"]
        _pip([*command, str(folder), *library.requires])
    return Environment(python=python, variables={"PYTHONPATH": str(folder)})


def _pip(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        said = done.stderr.strip().splitlines()[-1:] or ["nothing was said"]
        raise BenchmarkError(f"{' '.join(command[3:])!r} failed: {said[0]}")


def copy_project(folder: Path, into: Path) -> None:
    """Copy an unpacked distribution for one trial."""
    shutil.copytree(folder, into, ignore=shutil.ignore_patterns("__pycache__", ".pytest_cache"))


def _download(library: Library, store: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    command += ["--no-binary", ":all:", "--dest", str(store / "packed"), library.requirement]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    name = library.name.replace("-", "?")  # `more_itertools` and `more-itertools` are one
    found = sorted((store / "packed").glob(f"{name}-{library.version}.tar.gz"))
    if done.returncode or not found:
        said = done.stderr.strip().splitlines()[-1:] or ["nothing was said"]
        raise BenchmarkError(f"{library.requirement} cannot be had: {said[0]}")
    return found[0]


def _turn_to(library: Library, init: Path) -> None:
    """Let Python's own tests of a module test the library that it was taken from."""
    init.write_text(f'__all__ = ("tomllib",)\n\nimport {library.name} as tomllib\n')


def _has_pytest_table(file: Path) -> bool:
    return file.exists() and any(table in file.read_text() for table in _TABLES)
