"""Which sandbox this machine can give, found without importing anything heavy."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

from pytest_selfheal.errors import SandboxUnavailable

DEFAULT_ADDRESS = (
    "npipe:////./pipe/docker_engine" if os.name == "nt" else "unix:///var/run/docker.sock"
)
_TIMEOUT_SECONDS = 3.0
_LANDLOCK_CREATE_RULESET = 444  # the same number on every architecture
_LANDLOCK_ABI_NEEDED = 6


def choose(wanted: str, image: str, *, environment: Mapping[str, str] = os.environ) -> str:
    """The name of the sandbox to use: `wanted`, or for `auto` the first that can be had.

    Raises:
        SandboxUnavailable: It, or with `auto` any of them, cannot be used here; the
            message gives each one's reason.
    """
    probes: dict[str, Callable[[], str | None]] = {
        "docker": lambda: docker_problem(image, environment),
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


def docker_problem(image: str, environment: Mapping[str, str]) -> str | None:
    """Why Docker cannot be used, None if its daemon answers."""
    address = environment.get("DOCKER_HOST") or DEFAULT_ADDRESS
    parts = urlsplit(address)
    if image == "host":
        if not sys.platform.startswith("linux"):
            return "selfheal_image = host needs Linux: name an image that has pytest"
        if parts.scheme != "unix":
            return f"selfheal_image = host needs a local daemon, not {address!r}: name an image"
    if parts.scheme not in ("unix", "tcp", "http"):
        return None  # ssh and named pipes are the SDK's to try
    try:
        with _connected(parts.scheme, parts.path, parts.hostname, parts.port) as connection:
            connection.sendall(b"GET /_ping HTTP/1.0\r\nHost: docker\r\n\r\n")
            answer = connection.recv(64)
    except OSError as error:
        return f"no daemon answers at {address} ({error.strerror or error}): start it"
    if b" 200 " not in answer and not environment.get("DOCKER_TLS_VERIFY"):
        return f"what answers at {address} is no Docker daemon"
    return None


def _connected(scheme: str, path: str, host: str | None, port: int | None) -> socket.socket:
    if scheme == "unix":
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(_TIMEOUT_SECONDS)
        try:
            connection.connect(path)
        except BaseException:
            connection.close()
            raise
        return connection
    return socket.create_connection((host or "localhost", port or 2375), _TIMEOUT_SECONDS)


def bubblewrap_problem() -> str | None:
    """Why bubblewrap cannot be used, None if it is installed and the kernel lets it."""
    if not sys.platform.startswith("linux"):
        return "needs Linux"
    bwrap = shutil.which("bwrap")
    if bwrap is None:
        return "bwrap is not installed"
    command = [bwrap, "--unshare-all", "--unshare-user", "--ro-bind", "/", "/"]
    command += ["--size", "4096", "--tmpfs", "/mnt", "--", "/bin/true"]
    try:
        tried = subprocess.run(  # noqa: S603 - a list, without a shell
            command, capture_output=True, timeout=_TIMEOUT_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"bwrap does not run ({error})"
    if tried.returncode != 0:
        said = " ".join(tried.stderr.decode("utf-8", "replace").split())[:200]
        return f"bwrap may not make its namespaces here ({said})"
    return None


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
