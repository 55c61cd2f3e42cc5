"""Which sandbox this machine can give, found without importing anything heavy."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping

from pytest_selfheal.errors import SandboxUnavailable
from pytest_selfheal.sandbox.docker_daemon import (
    NoAnswer,
    find_daemon,
    network_problem,
    runtime_problem,
)

_TIMEOUT_SECONDS = 3.0
_TRIES = 3
"""A container that ends meanwhile takes a mount away, which bwrap does not expect."""
_LANDLOCK_CREATE_RULESET = 444  # the same number on every architecture
_LANDLOCK_ABI_NEEDED = 6
_FILTERED_MACHINES = ("x86_64", "aarch64")  # as in `inside_syscalls`, which costs an import


def choose(
    wanted: str,
    image: str,
    *,
    runtime: str | None = None,
    network: str | None = None,
    environment: Mapping[str, str] = os.environ,
) -> str:
    """The name of the sandbox to use: `wanted`, or for `auto` the first that can be had.

    Raises:
        SandboxUnavailable: It, or with `auto` any of them, cannot be used here; the
            message gives each one's reason. Or Docker can, and has no such runtime or
            network: that is a slip, and not another sandbox's business.
    """
    probes: dict[str, Callable[[], str | None]] = {
        "docker": lambda: docker_problem(image, environment, runtime=runtime, network=network),
        "bubblewrap": bubblewrap_problem,
        "landlock": landlock_problem,
    }
    if wanted != "auto":
        probe = probes.get(wanted)
        if probe is None:
            return wanted  # a plugin's own: its launcher says what is missing
        problem = probe()
        if problem:
            raise SandboxUnavailable(f"--selfheal-sandbox={wanted}: {problem}")
        return wanted
    problems = {}
    for name, probe in probes.items():
        problem = probe()
        if problem is None:
            return name
        problems[name] = problem
    reasons = "; ".join(f"{name}: {problem}" for name, problem in problems.items())
    raise SandboxUnavailable(f"no sandbox can be used here, and none is done without ({reasons})")


def docker_problem(
    image: str,
    environment: Mapping[str, str],
    *,
    runtime: str | None = None,
    network: str | None = None,
) -> str | None:
    """Why Docker cannot be used, None if its daemon answers.

    Raises:
        SandboxUnavailable: It answers, and has no such runtime or network.
    """
    daemon = find_daemon(environment)
    if daemon.problem:
        return daemon.problem
    if image == "host":
        if not sys.platform.startswith("linux"):
            return "selfheal_image = host needs Linux: name an image that has pytest"
        if daemon.scheme != "unix":
            return f"selfheal_image = host needs a local daemon, not {daemon.where}: name an image"
    if daemon.scheme not in ("unix", "tcp", "http", "https", "ssh", "npipe"):
        return (
            f"{daemon.address!r}{daemon.named_by} is no address of a daemon: unix:///… or tcp://…"
        )
    if daemon.scheme not in ("unix", "tcp", "http") or environment.get("DOCKER_TLS_VERIFY"):
        return None  # these are the SDK's to try
    try:
        status, _ = daemon.get("/_ping")
        if status != 200:
            return f"what answers at {daemon.where} is no Docker daemon"
        wrong = runtime_problem(daemon, runtime) if runtime else None
        wrong = wrong or (network_problem(daemon, network) if network else None)
    except NoAnswer as error:
        return str(error)
    if wrong:
        raise SandboxUnavailable(wrong)
    return None


def bubblewrap_problem() -> str | None:
    """Why bubblewrap cannot be used, None if it is installed and the kernel lets it."""
    if not sys.platform.startswith("linux"):
        return "needs Linux"
    bwrap = shutil.which("bwrap")
    if bwrap is None:
        return "bwrap is not installed"
    if platform.machine() not in _FILTERED_MACHINES or sys.maxsize < 2**32:
        return (
            f"there is no filter of system calls for this Python's machine ({platform.machine()})"
        )
    command = [bwrap, "--unshare-all", "--unshare-user", "--ro-bind", "/", "/"]
    command += ["--size", "4096", "--tmpfs", "/mnt", "--", "/bin/true"]
    said = ""
    for _ in range(_TRIES):
        try:
            tried = subprocess.run(  # noqa: S603 - a list, without a shell
                command, capture_output=True, timeout=_TIMEOUT_SECONDS, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return f"bwrap does not run ({error})"
        if tried.returncode == 0:
            return None
        said = " ".join(tried.stderr.decode("utf-8", "replace").split())[:200]
    return f"bwrap may not make its namespaces here ({said})"


def landlock_problem() -> str | None:
    """Why the Landlock sandbox cannot be used, None if kernel and package are there."""
    if not sys.platform.startswith("linux"):
        return "needs Linux"
    if importlib.util.find_spec("sandlock") is None:
        return "the package sandlock is not installed"
    version = landlock_abi()
    if version < _LANDLOCK_ABI_NEEDED:
        if version < 1:
            return "the kernel has no Landlock"
        needed = f"{_LANDLOCK_ABI_NEEDED} (Linux 6.12) is needed"
        return f"the kernel's Landlock has ABI {version}; {needed}"
    return None


def landlock_abi() -> int:
    """The kernel's Landlock version, -1 where it has none or denies it."""
    import ctypes  # not by every run with --selfheal: most have a daemon

    with contextlib.suppress(OSError, AttributeError):
        libc = ctypes.CDLL(None, use_errno=True)
        return int(libc.syscall(_LANDLOCK_CREATE_RULESET, None, 0, 1))
    return -1
