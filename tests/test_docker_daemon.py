"""Where Docker's daemon is looked for, and what it is asked before any test runs."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import socket
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from pytest_selfheal.errors import SandboxUnavailable
from pytest_selfheal.records import Job
from pytest_selfheal.sandbox.choose import choose, docker_problem
from pytest_selfheal.sandbox.docker_daemon import Daemon, NoAnswer, find_daemon, is_podman
from tests.harness import Project, eventually, python
from tests.sandboxes import launcher, require
from tests.scripted_server import ScriptedServer

PODMAN_VERSION = {"Components": [{"Name": "Podman Engine", "Version": "5.2.0"}]}
DOCKER_VERSION = {"Components": [{"Name": "Engine", "Version": "27.0.1"}]}
USUAL = {"/_ping": "OK", "/info": {"Runtimes": {"runc": {}, "crun": {}, "io.containerd.x": {}}}}


@contextmanager
def daemon(answers: Mapping[str, Any]) -> Iterator[str]:
    """A daemon's socket that gives each path's answer, and 404 to any other."""
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as server:
        path = str(Path(folder) / "s")
        server.bind(path)
        server.listen()

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    asked = connection.recv(2**12).split()[1].decode()
                    known = asked in answers
                    body = json.dumps(answers.get(asked, {"message": "no such thing"}))
                    status = "200 OK" if known else "404 Not Found"
                    connection.sendall(f"HTTP/1.0 {status}\r\n\r\n{body}".encode())

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield path
        server.shutdown(socket.SHUT_RDWR)
        thread.join(5)


class TestWhere:
    def test_docker_host_comes_first(self, tmp_path: Path) -> None:
        found = find_daemon({"DOCKER_HOST": "unix:///x.sock", "DOCKER_CONTEXT": "other"})
        assert (found.address, found.named_by) == ("unix:///x.sock", "DOCKER_HOST")

    def context(self, home: Path, name: str, host: str, *, tls: bool = False) -> dict[str, str]:
        number = hashlib.sha256(name.encode()).hexdigest()
        folder = home / ".docker" / "contexts"
        (folder / "meta" / number).mkdir(parents=True)
        meta = {"Name": name, "Endpoints": {"docker": {"Host": host}}}
        (folder / "meta" / number / "meta.json").write_text(json.dumps(meta))
        if tls:
            (folder / "tls" / number).mkdir(parents=True)
        (home / ".docker" / "config.json").write_text(json.dumps({"currentContext": name}))
        return {"HOME": str(home)}

    def test_the_clients_current_context(self, tmp_path: Path) -> None:
        environment = self.context(tmp_path, "colima", "unix:///colima.sock")
        found = find_daemon(environment)
        assert found.where == "unix:///colima.sock (docker context 'colima')"
        assert "docker context 'colima'" in (docker_problem("host", environment) or "")

    def test_a_context_by_variable(self, tmp_path: Path) -> None:
        environment = self.context(tmp_path, "one", "unix:///one.sock")
        (tmp_path / ".docker" / "config.json").unlink()
        assert find_daemon({**environment, "DOCKER_CONTEXT": "one"}).address == "unix:///one.sock"

    def test_a_context_that_is_gone(self, tmp_path: Path) -> None:
        problem = docker_problem("host", {"HOME": str(tmp_path), "DOCKER_CONTEXT": "gone"})
        assert "the docker context 'gone' cannot be read" in (problem or "")

    def test_a_context_with_tls_says_what_to_set(self, tmp_path: Path) -> None:
        environment = self.context(tmp_path, "far", "tcp://far:2376", tls=True)
        problem = docker_problem("python:3", environment)
        assert "set DOCKER_HOST=tcp://far:2376, DOCKER_TLS_VERIFY=1" in (problem or "")

    @pytest.mark.parametrize("text", ["", "[]", "{", '{"currentContext": 7}', "\0"])
    def test_a_broken_configuration_is_none(self, tmp_path: Path, text: str) -> None:
        (tmp_path / ".docker").mkdir()
        (tmp_path / ".docker" / "config.json").write_text(text)
        assert isinstance(find_daemon({"HOME": str(tmp_path)}), Daemon)

    @pytest.mark.parametrize("name", ["docker.sock", "podman/podman.sock"])
    def test_a_users_own_daemon(self, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        from pytest_selfheal.sandbox import docker_daemon

        monkeypatch.setattr(docker_daemon, "DEFAULT_ADDRESS", "unix:///nowhere/docker.sock")
        with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as server:
            path = Path(folder) / name
            path.parent.mkdir(exist_ok=True)
            server.bind(str(path))
            found = find_daemon({"HOME": folder, "XDG_RUNTIME_DIR": folder})
            assert found.address == f"unix://{path}"


class TestQuestions:
    def test_a_runtime_that_is_there(self) -> None:
        with daemon(USUAL) as path:
            environment = {"DOCKER_HOST": f"unix://{path}"}
            assert docker_problem("host", environment, runtime="crun") is None

    @pytest.mark.parametrize("wanted", ["docker", "auto"])
    def test_one_that_is_not(self, wanted: str) -> None:
        with daemon(USUAL) as path, pytest.raises(SandboxUnavailable) as caught:
            choose(wanted, "host", runtime="runsc", environment={"DOCKER_HOST": f"unix://{path}"})
        assert str(caught.value) == (
            "selfheal_docker_runtime: the daemon has no runtime 'runsc' (it has crun, runc)"
        )

    def test_a_network_that_is_not_there(self) -> None:
        with daemon(USUAL) as path, pytest.raises(SandboxUnavailable, match="has no network 'db'"):
            choose("auto", "host", network="db", environment={"DOCKER_HOST": f"unix://{path}"})

    @pytest.mark.parametrize("network", ["host", "container:abc"])
    def test_the_machines_own_network_is_refused(self, network: str) -> None:
        with daemon(USUAL) as path, pytest.raises(SandboxUnavailable, match="share this machine's"):
            choose("docker", "host", network=network, environment={"DOCKER_HOST": f"unix://{path}"})

    @pytest.mark.parametrize(
        "address", ["nonsense", "tcp://host:port", "tcp://[::1", "ftp://x", "unix://", "http://"]
    )
    def test_addresses_that_are_none(self, address: str) -> None:
        problem = docker_problem("python:3", {"DOCKER_HOST": address})
        assert problem
        assert "\n" not in problem

    def test_what_is_no_web_server(self) -> None:
        with daemon({}) as path:
            status, _ = Daemon(f"unix://{path}").get("/x")
            assert status == 404
        with pytest.raises(NoAnswer):
            Daemon(f"unix://{path}").get("/x")

    def test_podman_is_known_by_its_version(self) -> None:
        assert is_podman(PODMAN_VERSION)
        assert not any(map(is_podman, (DOCKER_VERSION, {}, None, {"Components": None})))


STUB = {
    "app.py": """
        # selfheal
        def answer():
            ...


        # selfheal
        def fetched(address):
            ...
    """,
}
NEEDY = """
    import socket

    import app
    import pytest


    @pytest.mark.parametrize("address", ["10.255.255.1", "db.example.invalid"])
    def test_fetched(address):
        assert app.fetched(address) == 1


    def test_answer():
        assert app.answer() == 42
"""
ANSWERS = {
    "app.py::answer": [python("def answer():\n    return 42\n")],
    "app.py::fetched": [
        python(
            """
            import socket


            def fetched(address):
                with socket.create_connection((address, 5432), 30) as connection:
                    return connection.recv(1)
            """
        )
    ]
    * 5,
}


@pytest.mark.parametrize("backend", ["docker", "bubblewrap", "landlock"])
def test_a_test_that_needs_the_network_is_named_and_hangs_nothing(
    tmp_path: Path, backend: str
) -> None:
    require(backend)
    project = Project(tmp_path / "project", {**STUB, "test_app.py": NEEDY})
    with ScriptedServer(ANSWERS) as server:
        run = project.heal(f"--selfheal-sandbox={backend}", "--selfheal-attempts=2", server=server)
    assert run.statuses() == {"app.py::answer": "healed", "app.py::fetched": "unhealed"}
    assert run.verdicts("app.py::fetched") == ["failed", "failed"], run.output
    assert "selfheal_docker_network" in run.stubs["app.py::fetched"]["reason"]
    line = next(
        line for line in run.output.splitlines() if "the network or a database, and" in line
    )
    assert "what tests app.py::fetched needs" in line
    assert all(attempt["seconds"] < 25 for attempt in run.stubs["app.py::fetched"]["attempts"])


def test_code_reaches_what_is_in_a_network_that_is_named(tmp_path: Path) -> None:
    require("docker")
    gateway = subprocess.run(
        [
            "docker",
            "network",
            "inspect",
            "bridge",
            "--format",
            "{{(index .IPAM.Config 0).Gateway}}",
        ],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    with socket.create_server(("", 0)) as service:

        def serve() -> None:
            while True:
                try:
                    connection, _ = service.accept()
                except OSError:
                    return
                with connection:
                    connection.sendall(b"7")

        threading.Thread(target=serve, daemon=True).start()
        port = service.getsockname()[1]
        project = Project(
            tmp_path / "project",
            {
                "pytest.ini": "[pytest]\nselfheal_docker_network = bridge\n",
                "app.py": "# selfheal\ndef fetched(address):\n    ...\n",
                "test_app.py": (
                    "import app\n\n\ndef test_fetched():\n"
                    f"    assert app.fetched(({gateway!r}, {port})) == b'7'\n"
                ),
            },
        )
        code = """
            import socket


            def fetched(address):
                with socket.create_connection(address, 5) as connection:
                    return connection.recv(1)
        """
        with ScriptedServer({"app.py::fetched": [python(code)]}) as server:
            run = project.heal("--selfheal-sandbox=docker", server=server)
        service.shutdown(socket.SHUT_RDWR)
    assert run.status == 0, run.output
    assert "code under test can reach Docker's network 'bridge'" in run.output


@pytest.mark.parametrize(
    ("ini", "says"),
    [
        ("selfheal_docker_runtime = nonsense", "has no runtime 'nonsense'"),
        ("selfheal_docker_network = nonsense", "has no network 'nonsense'"),
    ],
)
def test_what_docker_has_not_ends_the_run_before_its_tests(
    tmp_path: Path, ini: str, says: str
) -> None:
    require("docker")
    project = Project(
        tmp_path / "project",
        {**STUB, "test_app.py": NEEDY, "pytest.ini": f"[pytest]\n{ini}\n"},
    )
    with ScriptedServer({}) as server:
        run = project.heal("--selfheal-sandbox=auto", server=server)
    assert run.status == 4
    assert says in run.output
    assert "test_app.py" not in run.output
    assert os.listdir(project.temporary) == []


@pytest.mark.skipif(shutil.which("podman") is None, reason="podman is not installed")
def test_podmans_service_runs_sandboxes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "project"
    root.mkdir()
    (root / "test_it.py").write_text(
        "import os, signal, pytest\n\n\n"
        "def test_the_supervisor_is_first():\n"
        "    assert os.getppid() == 1\n"
        "    with pytest.raises(PermissionError):\n"
        "        os.kill(1, signal.SIGKILL)\n\n\n"
        "def test_limits():\n"
        "    assert os.geteuid() != 0\n"
        "    assert os.statvfs('.').f_frsize * os.statvfs('.').f_blocks == 128 * 2**20\n"
    )
    with tempfile.TemporaryDirectory() as folder:
        address = f"unix://{folder}/podman.sock"
        service = subprocess.Popen(["podman", "system", "service", "--time=0", address])
        try:
            assert eventually(20, Path(folder, "podman.sock").exists)
            monkeypatch.setenv("DOCKER_HOST", address)
            with launcher("docker", root) as made:
                sandbox = made.launch()
                outcome = sandbox.run(Job(nodes=("test_it.py",)))
                sandbox.close()
        finally:
            service.terminate()
            service.wait(10)
    assert outcome.ending == "completed", outcome
    assert [each.longrepr for each in outcome.results if each.outcome != "passed"] == []
