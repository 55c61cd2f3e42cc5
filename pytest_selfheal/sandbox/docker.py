"""Sandboxes in Docker containers, through the daemon's API.

With the image `host` (Linux), an image that holds a few lines of `/etc` and nothing else
is made once, and this machine's Python, with its packages, is mounted read-only at its
own paths: the container runs exactly the user's Python and needs no registry.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import socket
import sys
import tarfile
import threading
import time
from collections.abc import Mapping
from typing import Any

import docker as docker_sdk
import requests
from docker.types import LogConfig, Ulimit
from docker.utils import kwargs_from_env

from pytest_selfheal.errors import SandboxFailed, SandboxUnavailable
from pytest_selfheal.records import Limits
from pytest_selfheal.sandbox.docker_daemon import find_daemon, is_podman
from pytest_selfheal.sandbox.names import ETC_FILES, LABEL, NOBODY
from pytest_selfheal.sandbox.parked import BOOTSTRAP, ParkedSandbox
from pytest_selfheal.sandbox.pipes import MAX_FILES
from pytest_selfheal.sandbox.workspace import Workspace, notes_on, snapshot

HOST_IMAGE = "pytest-selfheal-host:3"
"""Its tag changes with `ETC_FILES`."""
HOST_IMAGE_WITH_NAMES = f"{HOST_IMAGE}-names"
"""The same for containers with a network: names are looked up there."""

ANSWER_SECONDS = 60
"""How long the daemon is waited for."""
GONE_SECONDS = 2
"""The same, once it has failed to answer: cleaning up is worth a try, and not minutes."""
_FAILURES = (docker_sdk.errors.DockerException, requests.RequestException, OSError)
"""What the SDK raises; a daemon that stops in the middle shows as the latter two."""
_MANY = 4096
"""Of processes to a user; how many a sandbox may have is `pids_limit`'s business."""


class DockerLauncher:
    """Starts single-use containers. Threads share one client, each with its connection."""

    name = "docker"

    def __init__(
        self,
        workspace: Workspace,
        limits: Limits,
        *,
        image: str,
        runtime: str | None = None,
        network: str | None = None,
    ) -> None:
        """Connect to the daemon, clear away what a killed run left, make the image.

        Raises:
            SandboxUnavailable: No daemon answers, or the image cannot be had.
        """
        self._workspace = workspace
        self._limits = limits
        self._is_host = image == "host"
        self._network = network or "none"
        self._image = image
        if self._is_host:
            self._image = HOST_IMAGE if self._network == "none" else HOST_IMAGE_WITH_NAMES
        self._runtime = runtime
        self._files: bytes | None = None
        self.notes: list[str] = []
        if self._network != "none":
            self.notes.append(
                f"code under test can reach Docker's network {network!r} (selfheal_docker_network)"
            )
        self._lock = threading.Lock()
        self._root = str(workspace.root) if os.name == "posix" else "/project"
        try:
            where: dict[str, Any] = {"base_url": find_daemon(os.environ).address}
            self._api: Any = docker_sdk.APIClient(
                **{**where, **kwargs_from_env()}, version="auto", timeout=ANSWER_SECONDS
            )
            self._is_podman = is_podman(self._api.version())
        except Exception as error:
            # The SDK lets errors of requests, urllib3 and its own through.
            raise SandboxUnavailable(f"Docker's daemon does not answer: {_short(error)}") from error
        try:
            self._remove_leftovers()
            self._provide_image()
        except _FAILURES as error:
            raise SandboxUnavailable(f"Docker image {image!r}: {_short(error)}") from error

    def launch(self) -> ParkedSandbox:
        """Start a container and park a Python in it."""
        channel = self._start()
        return ParkedSandbox(
            channel,
            self._workspace,
            self._limits,
            files=self._project_files(),
            has_hosts_python=self._is_host,
            root=self._root,
            is_hidden=True,
        )

    def close(self) -> None:
        """Remove what is left of this run's containers, and close the connections."""
        with contextlib.suppress(Exception):
            for each in self._ours(f"{LABEL}.owner={_owner(os.getpid())}"):
                _remove(self._api, each["Id"])
        self._api.close()

    def _start(self) -> _ContainerChannel:
        try:
            created = self._api.create_container(
                self._image,
                [sys.executable if self._is_host else "python3", "-u", "-c", BOOTSTRAP],
                user=_user(),
                stdin_open=True,
                environment=dict(self._environment()),
                working_dir=self._root,
                network_disabled=self._network == "none",
                hostname="sandbox",
                labels={LABEL: "1", f"{LABEL}.owner": _owner(os.getpid())},
                host_config=self._api.create_host_config(**self._host_config()),
            )
        except _FAILURES as error:
            raise self._failed("no container could be made", error) from error
        channel = _ContainerChannel(self._api, created["Id"], self._limits)
        try:
            channel.open()
        except _FAILURES as error:
            failed = self._failed("the container did not start", error)
            channel.destroy()
            raise failed from error
        except BaseException:
            channel.destroy()
            raise
        return channel

    def _failed(self, what: str, error: Exception) -> SandboxFailed:
        if isinstance(error, docker_sdk.errors.DockerException):
            return SandboxFailed(f"{what}: {_short(error)}")
        self._api.timeout = GONE_SECONDS
        return SandboxFailed(
            f"Docker's daemon does not answer any more ({_cut_off(error)}); see to it and run again"
        )

    def _host_config(self) -> dict[str, Any]:
        limits = self._limits
        half = limits.disk_bytes // 2  # one half for the project's copy, one for /tmp
        # runc gives a tmpfs the mode of the folder that it covers, so it must be the user's own.
        uid, _, gid = _user().partition(":")
        tmpfs = f"size={half},mode=1777,exec,nosuid,nodev"
        if not self._is_podman:
            tmpfs += f",nr_inodes={MAX_FILES},uid={uid},gid={gid}"
        config: dict[str, Any] = {
            "network_mode": self._network,
            "read_only": True,
            "cap_drop": ["ALL"],
            "security_opt": ["no-new-privileges"],
            "pids_limit": limits.processes,
            "mem_limit": limits.memory_bytes,
            "memswap_limit": limits.memory_bytes,
            "nano_cpus": int(limits.cpus * 10**9),
            "init": False,  # the supervisor is the first process, whom no other can end or stop
            "auto_remove": True,
            "ipc_mode": "private",
            "shm_size": min(half, 64 * 2**20),
            "tmpfs": {"/tmp": tmpfs, self._root: tmpfs},  # noqa: S108 - the container's own
            "ulimits": [
                Ulimit(name="nofile", soft=limits.open_files, hard=limits.open_files),
                Ulimit(name="fsize", soft=limits.file_bytes, hard=limits.file_bytes),
                Ulimit(name="core", soft=0, hard=0),
            ],
            "log_config": LogConfig(type="none"),
        }
        if self._is_podman:  # it would raise this one, which it may not everywhere
            config["ulimits"].append(Ulimit(name="nproc", soft=_MANY, hard=_MANY))
        if self._is_host:
            config["binds"] = [f"{path}:{path}:ro" for path in self._workspace.read_paths]
        if self._runtime:
            config["runtime"] = self._runtime
        return config

    def _environment(self) -> dict[str, str]:
        environment = dict(self._workspace.environment)
        if not self._is_host:
            environment.pop("PATH", None)  # the image knows where its Python is
            environment.pop("PYTHONPATH", None)
        return environment

    def _project_files(self) -> bytes:
        with self._lock:
            if self._files is None:
                too_large: list[str] = []
                room = self._limits.disk_bytes // 2
                self._files = snapshot(self._workspace.root, room, too_large)
                self.notes += notes_on(too_large)
            return self._files

    def _provide_image(self) -> None:
        try:
            self._api.inspect_image(self._image)
        except docker_sdk.errors.ImageNotFound:
            if not self._is_host:
                self._api.pull(self._image, tag=_tag(self._image))
                return
            files = dict(ETC_FILES)
            if self._network != "none":
                names = files["etc/nsswitch.conf"]
                files["etc/nsswitch.conf"] = names.replace("hosts: files", "hosts: files dns")
            repository, _, tag = self._image.partition(":")
            answer = self._api.import_image_from_data(
                _tar_of(files), repository=repository, tag=tag
            )
            # Podman minds no tag here.
            self._api.tag(json.loads(answer.splitlines()[-1])["status"], repository, tag)

    def _remove_leftovers(self) -> None:
        for container in leftover_containers(self._api):
            _remove(self._api, container)

    def _ours(self, label: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._api.containers(all=True, filters={"label": label})
        return found


class _ContainerChannel:
    """A container's standard streams, multiplexed by the daemon on one socket."""

    def __init__(self, api: Any, container: str, limits: Limits) -> None:
        self._api = api
        self._container = container
        self._limits = limits
        self._streams: Any = None
        self._socket: Any = None
        self._left_in_frame = 0
        self._errors = bytearray()
        self._destroyed = False

    def open(self) -> None:
        """Attach first and start then, so that not a byte is missed."""
        self._streams = self._api.attach_socket(
            self._container, params={"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1}
        )
        self._socket = getattr(self._streams, "_sock", self._streams)
        self._api.start(self._container)

    def send(self, data: bytes, deadline: float) -> None:
        self._socket.settimeout(max(0.01, deadline - time.monotonic()))
        self._socket.sendall(data)

    def receive(self, size: int, deadline: float) -> bytes:
        while self._left_in_frame == 0:
            header = self._exactly(8, deadline)
            length = int.from_bytes(header[4:], "big")
            if header[0] == 1:
                self._left_in_frame = length
            else:
                self._errors += self._exactly(length, deadline)
                del self._errors[:-4096]
        part = self._some(min(size, self._left_in_frame), deadline)
        self._left_in_frame -= len(part)
        return part

    def destroy(self) -> None:
        if self._destroyed:
            return
        self._destroyed = True
        _remove(self._api, self._container)
        for each in (getattr(self._streams, "_response", None), self._streams, self._socket):
            if each is not None:
                with contextlib.suppress(OSError, ValueError):
                    each.close()

    def explain_death(self) -> tuple[str, str]:
        state: dict[str, Any] = {}
        with contextlib.suppress(Exception):
            state = self._api.inspect_container(self._container)["State"]
        if state.get("OOMKilled"):
            return "out-of-memory", f"more than {self._limits.memory_bytes // 2**20} MiB of memory"
        lines = self._errors.decode("utf-8", "replace").split("\n")
        last = next((line.strip() for line in reversed(lines) if line.strip()), "")
        if last:
            return "crashed", f"the container ended: {last[:200]}"
        return "sandbox-failed", "the container went away"

    def _exactly(self, size: int, deadline: float) -> bytes:
        data = b""
        while len(data) < size:
            data += self._some(size - len(data), deadline)
        return data

    def _some(self, size: int, deadline: float) -> bytes:
        self._socket.settimeout(max(0.01, deadline - time.monotonic()))
        part: bytes = self._socket.recv(min(size, 2**20))
        if not part:
            raise EOFError
        return part


def leftover_containers(api: Any) -> list[str]:
    """Ids of the containers whose owner is a process of this machine that has gone."""
    found = []
    for each in api.containers(all=True, filters={"label": LABEL}):
        owner = each.get("Labels", {}).get(f"{LABEL}.owner", "")
        host, _, pid = owner.rpartition(":")
        if host == socket.gethostname() and pid.isdigit() and not _is_alive(int(pid)):
            found.append(each["Id"])
    return found


def count_leftover_containers() -> int:
    """How many there are; 0 where the daemon does not say."""
    try:
        api: Any = docker_sdk.APIClient(**kwargs_from_env(), version="auto", timeout=10)
        with contextlib.closing(api):
            return len(leftover_containers(api))
    except Exception:  # noqa: BLE001 - the SDK lets all kinds through, and this is a hint
        return 0


def _remove(api: Any, container: str) -> None:
    """Kill and remove; one that is gone, or that the daemon is removing, is no error."""
    try:
        api.remove_container(container, force=True, v=True)
    except requests.RequestException:
        api.timeout = GONE_SECONDS
    except Exception:  # noqa: BLE001, S110 - the SDK lets all kinds through
        pass


def _tag(image: str) -> str | None:
    has_tag = ":" in image.rpartition("/")[2] or "@" in image
    return None if has_tag else "latest"


def _user() -> str:
    if os.name != "posix" or os.geteuid() == 0:
        return f"{NOBODY}:{NOBODY}"
    return f"{os.geteuid()}:{os.getegid()}"


def _owner(pid: int) -> str:
    return f"{socket.gethostname()}:{pid}"


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _tar_of(files: Mapping[str, str]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, text in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(text)
            info.mode = 0o644
            archive.addfile(info, io.BytesIO(text.encode()))
    return buffer.getvalue()


def _cut_off(error: BaseException | None) -> str:
    """What the system says of a daemon that is gone, below what libraries make of it."""
    if isinstance(error, requests.Timeout):
        return f"nothing in {ANSWER_SECONDS:g} s"
    while error is not None:
        if isinstance(error, OSError) and error.strerror:
            return error.strerror
        error = error.__context__
    return "it closed the connection"


def _short(error: BaseException) -> str:
    text = getattr(error, "explanation", None) or str(error)
    if isinstance(text, bytes):
        text = text.decode("utf-8", "replace")
    return " ".join(str(text).split())[:300]
