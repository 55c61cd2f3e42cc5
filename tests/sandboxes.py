"""Help for tests that need a real sandbox: which ones there are, and how to start one.

On a user's machine a sandbox that is missing skips its tests. CI sets SELFHEAL_NO_SKIP,
which turns such a skip into a failure.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pytest_selfheal.protocols import Launcher
from pytest_selfheal.records import Limits
from pytest_selfheal.sandbox.choose import (
    bubblewrap_problem,
    docker_problem,
    landlock_problem,
)
from pytest_selfheal.sandbox.workspace import Workspace, base_environment

BACKENDS = ("docker", "bubblewrap", "landlock")


WITHOUT_PLUGINS = (
    "-p no:asyncio -p no:rerunfailures -p no:timeout -p no:pytest_cov -p no:randomly -p no:html "
    "-p no:metadata -p no:pytest_jsonreport"
)
"""Plugins that are installed for a few projects that the tests make, and in no others' way."""


def require(backend: str) -> None:
    """Skip where a sandbox cannot be had; in CI, fail."""
    problem = {
        "docker": lambda: docker_problem("host", os.environ),
        "bubblewrap": bubblewrap_problem,
        "landlock": landlock_problem,
    }[backend]()
    if problem is None:
        return
    if os.environ.get("SELFHEAL_NO_SKIP"):
        pytest.fail(f"{backend} is needed here: {problem}")
    pytest.skip(f"{backend}: {problem}")


def workspace(root: Path, *, pytest_args: tuple[str, ...] = ()) -> Workspace:
    """A project's surroundings in this test run's own Python."""
    root = root.resolve()
    return Workspace(
        root=root,
        cwd=root,
        pytest_args=(*WITHOUT_PLUGINS.split(), *pytest_args),
        plugin_args=tuple(WITHOUT_PLUGINS.split()),
        sys_path=tuple(path for path in sys.path if path),
        environment=base_environment({}, [], "/tmp"),
    )


@contextmanager
def launcher(backend: str, root: Path, limits: Limits | None = None) -> Iterator[Launcher]:
    """A launcher of the kind, closed at the end."""
    limits = limits or Limits()
    made: Launcher
    if backend == "docker":
        from pytest_selfheal.sandbox.docker import DockerLauncher

        made = DockerLauncher(workspace(root), limits, image="host")
    elif backend == "bubblewrap":
        from pytest_selfheal.sandbox.bubblewrap import BubblewrapLauncher

        made = BubblewrapLauncher(workspace(root), limits)
    else:
        from pytest_selfheal.sandbox.landlock import LandlockLauncher

        made = LandlockLauncher(workspace(root), limits)
    try:
        yield made
    finally:
        made.close()
