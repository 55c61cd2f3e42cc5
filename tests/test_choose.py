"""Which sandbox is taken, and what is said when none can be."""

from __future__ import annotations

import os
import socket
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pytest_selfheal.errors import SandboxUnavailable
from pytest_selfheal.sandbox import choose as module
from pytest_selfheal.sandbox.choose import (
    bubblewrap_problem,
    choose,
    docker_problem,
    landlock_problem,
)

NOWHERE = {"DOCKER_HOST": "unix:///nowhere/docker.sock"}


@contextmanager
def answering(answer: bytes) -> Iterator[dict[str, str]]:
    """A socket that gives one answer to whoever asks."""
    # A path of its own: socket paths have a bound that pytest's folders exceed.
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as server:
        path = str(Path(folder) / "s")
        server.bind(path)
        server.listen()
        server.settimeout(5)

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(1024)
                connection.sendall(answer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield {"DOCKER_HOST": f"unix://{path}"}
        thread.join(5)


class TestDocker:
    def test_a_daemon_that_answers(self) -> None:
        with answering(b"HTTP/1.0 200 OK\r\n\r\nOK") as environment:
            assert docker_problem("host", environment) is None

    def test_something_else_that_answers(self) -> None:
        with answering(b"HTTP/1.0 404 Not Found\r\n\r\n") as environment:
            assert "no Docker daemon" in (docker_problem("host", environment) or "")

    def test_nothing_that_answers(self) -> None:
        problem = docker_problem("host", NOWHERE)
        assert problem == (
            "no daemon answers at unix:///nowhere/docker.sock "
            "(DOCKER_HOST; No such file or directory): start it"
        )

    def test_the_host_image_needs_a_local_daemon(self) -> None:
        problem = docker_problem("host", {"DOCKER_HOST": "tcp://127.0.0.1:1"})
        assert "name an image" in (problem or "")

    def test_the_host_image_needs_linux(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sys, "platform", "darwin")
        assert "needs Linux" in (docker_problem("host", {}) or "")


class TestLandlock:
    @pytest.mark.parametrize(
        ("version", "says"),
        [(-1, "has no Landlock"), (3, "ABI 3; 6 (Linux 6.12) is needed"), (6, None)],
    )
    def test_by_the_kernels_version(
        self, version: int, says: str | None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(module, "landlock_abi", lambda: version)
        problem = landlock_problem()
        assert problem is None if says is None else says in (problem or "")


class TestBubblewrap:
    def test_not_installed(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setenv("PATH", str(tmp_path))
        assert bubblewrap_problem() == "bwrap is not installed"

    def test_not_allowed(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        fake = tmp_path / "bwrap"
        fake.write_text("#!/bin/sh\necho 'No permissions to create new namespace' >&2\nexit 1\n")
        fake.chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path))
        assert "may not make its namespaces here (No permissions" in (bubblewrap_problem() or "")

    def test_a_mount_that_went_away_meanwhile(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        """As those of containers that end while bwrap goes through what is mounted."""
        fake, seen = tmp_path / "bwrap", tmp_path / "seen"
        fake.write_text(
            f"#!/bin/sh\nif [ -e {seen} ]; then exit 0; fi\n: > {seen}\n"
            "echo 'Unable to apply mount flags: No such file or directory' >&2\nexit 1\n"
        )
        fake.chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path))
        assert bubblewrap_problem() is None
        assert seen.exists()


class TestChoose:
    @pytest.fixture(autouse=True)
    def no_bwrap(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(module, "bubblewrap_problem", lambda: "bwrap is not installed")

    def test_auto_takes_bubblewrap_where_no_daemon_is(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(module, "bubblewrap_problem", lambda: None)
        assert choose("auto", "host", environment=NOWHERE) == "bubblewrap"

    def test_auto_takes_landlock_where_neither_is(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(module, "landlock_abi", lambda: 7)
        assert choose("auto", "host", environment=NOWHERE) == "landlock"

    def test_auto_takes_docker_first(self) -> None:
        with answering(b"HTTP/1.0 200 OK\r\n\r\nOK") as environment:
            assert choose("auto", "host", environment=environment) == "docker"

    def test_never_without_a_sandbox(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(module, "landlock_abi", lambda: -1)
        with pytest.raises(SandboxUnavailable) as caught:
            choose("auto", "host", environment=NOWHERE)
        message = str(caught.value)
        assert "none is done without" in message
        assert "docker: no daemon answers" in message
        assert "landlock: the kernel has no Landlock" in message

    def test_what_is_asked_for_is_not_replaced(self) -> None:
        with pytest.raises(SandboxUnavailable, match="--selfheal-sandbox=docker: no daemon"):
            choose("docker", "host", environment=NOWHERE)

    def test_a_plugins_own_name_is_left_to_it(self) -> None:
        assert choose("firecracker", "host", environment=dict(os.environ)) == "firecracker"
