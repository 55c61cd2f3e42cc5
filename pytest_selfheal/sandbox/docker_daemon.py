"""Docker's daemon, found as its own client finds it and asked a few questions over HTTP.

The standard library is enough for it, so that what is wrong can be said before the tests
run and before the SDK is imported. Podman's service answers as Docker's daemon does.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

DEFAULT_ADDRESS = (
    "npipe:////./pipe/docker_engine" if os.name == "nt" else "unix:///var/run/docker.sock"
)
_ROOTLESS = ("docker.sock", "podman/podman.sock")
_PODMAN = "/run/podman/podman.sock"
_TIMEOUT_SECONDS = 3.0
_MAX_ANSWER_BYTES = 2**20


class NoAnswer(Exception):
    """Nobody answers, or nobody that speaks Docker's language; the message says which."""


@dataclass(frozen=True, slots=True)
class Daemon:
    """An address, and who named it."""

    address: str
    named_by: str = ""
    """`DOCKER_HOST`, `docker context 'x'`, or nothing where it is a usual place."""
    problem: str | None = None
    """Why it cannot be used at all."""

    @property
    def scheme(self) -> str:
        """How it is reached: `unix`, `tcp`, `ssh`, …"""
        try:
            return urlsplit(self.address).scheme
        except ValueError:  # a bracket that does not close
            return ""

    @property
    def where(self) -> str:
        """The address, with who named it."""
        return f"{self.address} ({self.named_by})" if self.named_by else self.address

    def get(self, path: str) -> tuple[int, Any]:
        """The status, and the JSON where there is any, of what the daemon answers.

        Raises:
            NoAnswer: It does not.
        """
        try:
            with self._connected() as connection:
                connection.sendall(f"GET {path} HTTP/1.0\r\nHost: docker\r\n\r\n".encode())
                answer = b""
                while part := connection.recv(2**16):
                    answer += part
                    if len(answer) > _MAX_ANSWER_BYTES:
                        break
        except ConnectionResetError:
            answer = b""  # one that wants TLS, or no web server at all
        except (OSError, ValueError) as error:
            said = [self.named_by, str(getattr(error, "strerror", None) or error)]
            why = "; ".join(word for word in said if word)
            raise NoAnswer(
                f"no daemon answers at {self.address} ({why}): {_what_to_do(error)}"
            ) from error
        head, _, body = answer.partition(b"\r\n\r\n")
        words = head.split(None, 2)
        if len(words) < 2 or not words[0].startswith(b"HTTP/") or not words[1].isdigit():
            raise NoAnswer(f"what answers at {self.where} is no Docker daemon")
        with contextlib.suppress(ValueError):
            return int(words[1]), json.loads(body)
        return int(words[1]), None

    def _connected(self) -> socket.socket:
        parts = urlsplit(self.address)
        if parts.scheme != "unix":
            address = parts.hostname or "localhost", parts.port or 2375
            return socket.create_connection(address, _TIMEOUT_SECONDS)
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(_TIMEOUT_SECONDS)
        try:
            connection.connect(parts.path)
        except BaseException:
            connection.close()
            raise
        return connection


def find_daemon(environment: Mapping[str, str]) -> Daemon:
    """Where the daemon listens: by DOCKER_HOST, by Docker's context, or at a usual place.

    The usual places are Docker's own socket, that of a rootless daemon, and Podman's.
    """
    named = environment.get("DOCKER_HOST")
    if named:
        return Daemon(named, "DOCKER_HOST")
    folder = Path(environment.get("DOCKER_CONFIG") or _home(environment) / ".docker")
    context = environment.get("DOCKER_CONTEXT") or _read(folder / "config.json", "currentContext")
    if context and context != "default":
        return _by_context(folder / "contexts", str(context))
    places = [DEFAULT_ADDRESS]
    runtime_dir = environment.get("XDG_RUNTIME_DIR")
    if runtime_dir:
        places += [f"unix://{runtime_dir}/{name}" for name in _ROOTLESS]
    places.append(f"unix://{_PODMAN}")
    for address in places:
        if address.startswith("unix:") and _is_socket(urlsplit(address).path):
            return Daemon(address)
    return Daemon(DEFAULT_ADDRESS)


def is_podman(version: Any) -> bool:
    """Whether what answers is Podman's service, by its answer to `/version`."""
    parts = version.get("Components") if isinstance(version, dict) else None
    return any("Podman" in str(part.get("Name")) for part in parts or () if isinstance(part, dict))


def runtime_problem(daemon: Daemon, runtime: str) -> str | None:
    """Why containers cannot be started with a runtime, None if they can.

    Raises:
        NoAnswer: The daemon does not answer.
    """
    _, info = daemon.get("/info")
    runtimes = info.get("Runtimes") if isinstance(info, dict) else None
    if not isinstance(runtimes, dict) or runtime in runtimes:
        return None  # one that does not tell has the last word when a container starts
    known = ", ".join(sorted(name for name in runtimes if not name.startswith("io.")))
    return f"selfheal_docker_runtime: the daemon has no runtime {runtime!r} (it has {known})"


def network_problem(daemon: Daemon, network: str) -> str | None:
    """Why containers cannot be put in a network, None if they can.

    Raises:
        NoAnswer: The daemon does not answer.
    """
    if network == "host" or network.startswith("container:"):
        return (
            f"selfheal_docker_network: {network!r} would share this machine's own network with "
            "the code under test: name one that `docker network create` made"
        )
    if network == "none":
        return None
    status, _ = daemon.get(f"/networks/{quote(network, safe='')}")
    if status != 404:
        return None
    return (
        f"selfheal_docker_network: Docker has no network {network!r}: "
        f"`docker network create {network}` makes one"
    )


def _by_context(folder: Path, name: str) -> Daemon:
    number = hashlib.sha256(name.encode()).hexdigest()
    named_by = f"docker context {name!r}"
    endpoints = _read(folder / "meta" / number / "meta.json", "Endpoints")
    endpoint = endpoints.get("docker") if isinstance(endpoints, dict) else None
    host = endpoint.get("Host") if isinstance(endpoint, dict) else None
    if not isinstance(host, str) or not host:
        return Daemon(
            DEFAULT_ADDRESS,
            named_by,
            f"the docker context {name!r} cannot be read below {folder}: set DOCKER_HOST",
        )
    if (folder / "tls" / number).is_dir():
        return Daemon(
            host,
            named_by,
            f"the docker context {name!r} uses TLS: set DOCKER_HOST={host}, "
            "DOCKER_TLS_VERIFY=1 and DOCKER_CERT_PATH",
        )
    return Daemon(host, named_by)


def _what_to_do(error: Exception) -> str:
    if isinstance(error, PermissionError):
        return "this user may not use it (the group docker may, or a rootless daemon)"
    if isinstance(error, socket.gaierror | ValueError):
        return "correct the address"
    return "start it"


def _read(path: Path, key: str) -> Any:
    with contextlib.suppress(OSError, ValueError):
        found = json.loads(path.read_bytes())
        if isinstance(found, dict):
            return found.get(key)
    return None


def _home(environment: Mapping[str, str]) -> Path:
    with contextlib.suppress(RuntimeError):
        return Path(environment.get("HOME") or Path.home())
    return Path("/")


def _is_socket(path: str) -> bool:
    try:
        return Path(path).is_socket()
    except OSError:
        return False
