"""What code in a sandbox cannot get at, as seen from inside and from the host."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pytest_selfheal.records import Job, RunOutcome
from tests.adversary.abuses import ABUSES, NOT_STOPPED
from tests.sandboxes import BACKENDS, launcher, require

CANARY = "selfheal-canary-of-the-host"
HEAD = """
import ctypes, glob, json, mmap, os, platform, resource, shutil, signal, socket, stat
import subprocess, sys, tempfile, time

libc = ctypes.CDLL(None, use_errno=True)
host = json.loads({host!r})


kept = []


def addressof(data):
    kept.append(ctypes.create_string_buffer(data))
    return ctypes.addressof(kept[-1])


def left_the_machine(address):
    # Where there is no network a connection is refused at once; else it takes its time.
    try:
        socket.create_connection((address, 80), 1)
    except TimeoutError:
        return True
    return True


def call(on_x86_64, on_aarch64, *arguments):
    # Whether it is let through: it works, or fails over its arguments alone.
    number = on_x86_64 if platform.machine() == 'x86_64' else on_aarch64
    ctypes.set_errno(0)
    result = libc.syscall(ctypes.c_long(number), *map(ctypes.c_long, arguments))
    return result >= 0 or ctypes.get_errno() not in (1, 13, 38)  # EPERM, EACCES, ENOSYS


def got_through(attack):
    try:
        return bool(attack(host))
    except Exception:
        return False
"""
EXECUTABLE_SLEEP = "import time  # selfheal-outside\ntime.sleep(600)"


class Outside:
    """Things on the host that nothing in a sandbox may reach."""

    def __init__(self, folder: Path) -> None:
        self.outside = folder / "outside"
        self.home = folder / "home"
        self.project = folder / "project"
        for each in (self.outside, self.home, self.project):
            each.mkdir()
        (self.outside / "file").write_text("mine")
        (self.home / "key").write_text(CANARY)
        (self.home / ".ssh").mkdir()
        (self.home / ".ssh" / "id_ed25519").write_text(CANARY)
        (self.project / ".env").write_text(CANARY)
        (self.project / "recording.jsonl").write_text('{"selfheal_recording": 1}\n')
        tells_user = shutil.which("id")
        assert tells_user is not None
        shutil.copy(tells_user, self.project / "set-uid")
        (self.project / "set-uid").chmod(0o6755)
        (self.project / ".git").mkdir()
        (self.project / ".git" / "config").write_text(CANARY)
        self.tcp = socket.create_server(  # on every address of this machine
            ("", 0), family=socket.AF_INET6, dualstack_ipv6=socket.has_dualstack_ipv6()
        )
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind(("127.0.0.1", 0))
        self.abstract = socket.socket(socket.AF_UNIX)
        self.abstract.bind(f"\0selfheal-{os.getpid()}-{id(self)}")
        self.path_socket = socket.socket(socket.AF_UNIX)
        self.path_socket.bind(str(self.outside / "socket"))
        for each in (self.abstract, self.path_socket):
            each.listen()
        self.process = subprocess.Popen(
            [sys.executable, "-c", EXECUTABLE_SLEEP], env={**os.environ, "CANARY": CANARY}
        )

    def told(self) -> dict[str, Any]:
        return {
            "port": self.tcp.getsockname()[1],
            "udp": self.udp.getsockname()[1],
            "abstract": self.abstract.getsockname()[1:].decode(),
            "path_socket": str(self.outside / "socket"),
            "secret": str(self.home / "key"),
            "project": str(self.project),
            "outside": str(self.outside),
            "pid": self.process.pid,
            "canary": CANARY,
        }

    def was_called(self) -> list[str]:
        found = []
        for name in ("tcp", "abstract", "path_socket"):
            listener = getattr(self, name)
            listener.settimeout(0.05)
            try:
                listener.accept()[0].close()
                found.append(name)
            except TimeoutError:
                pass
        self.udp.settimeout(0.05)
        try:
            self.udp.recv(10)
            found.append("udp")
        except TimeoutError:
            pass
        return found

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        for each in (self.tcp, self.udp, self.abstract, self.path_socket):
            each.close()


@pytest.fixture
def outside(tmp_path: Path) -> Iterator[Outside]:
    made = Outside(tmp_path.resolve())
    yield made
    made.close()


def probed(backend: str, root: Path) -> RunOutcome:
    """What became of a project's `test_probe.py` in a sandbox."""
    with launcher(backend, root) as made:
        sandbox = made.launch()
        try:
            return sandbox.run(Job(nodes=("test_probe.py",)))
        finally:
            sandbox.close()


def _tree(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.mark.parametrize("backend", BACKENDS)
def test_nothing_gets_out(backend: str, outside: Outside, monkeypatch, subtests) -> None:
    require(backend)
    monkeypatch.setenv("OPENAI_API_KEY", CANARY)
    text = HEAD.format(host=json.dumps(outside.told()))
    for name, body in ABUSES.items():
        text += f"\n\ndef test_{name}():\n    def attack(host):\n"
        text += textwrap.indent(body, " " * 8)
        text += "\n    assert not got_through(attack)\n"
    text += "\n\ndef test_the_probes_work():\n    assert not got_through(lambda host: True)\n"
    (outside.project / "test_probe.py").write_text(text)
    before = _tree(outside.project), _tree(outside.outside)
    outcome = probed(backend, outside.project)
    assert outcome.ending == "completed", outcome.why
    results = {each.nodeid.partition("::test_")[2]: each for each in outcome.results}
    assert results["the_probes_work"].outcome == "failed", "what gets through would not be seen"
    assert len(ABUSES) >= 40
    for name in ABUSES:
        with subtests.test(name):
            passed = results[name].outcome == "passed"
            assert passed == (name not in NOT_STOPPED[backend]), results[name]
    assert outside.was_called() == []
    assert outside.process.poll() is None, "a process of the host was ended"
    assert (_tree(outside.project), _tree(outside.outside)) == before
    assert not Path("/usr/selfheal-was-here").exists()


@pytest.mark.parametrize("backend", ["docker", "bubblewrap"])
def test_the_supervisors_memory_files_and_variables_are_out_of_reach(
    backend: str, tmp_path: Path
) -> None:
    require(backend)
    root = tmp_path.resolve() / "project"
    root.mkdir()
    (root / "test_probe.py").write_text(
        "import ctypes, os, pytest\n\n"
        "parent = f'/proc/{os.getppid()}'\n\n\n"
        "@pytest.mark.parametrize('name', ['mem', 'environ', 'maps', 'auxv'])\n"
        "def test_file(name):\n"
        "    with pytest.raises(PermissionError):\n"
        "        open(f'{parent}/{name}', 'rb').read(1)\n\n\n"
        "def test_descriptors():\n"
        "    for number in range(40):\n"
        "        with pytest.raises(OSError):\n"
        "            open(f'{parent}/fd/{number}', 'rb')\n"
        "        with pytest.raises(OSError):\n"
        "            os.readlink(f'{parent}/fd/{number}')\n\n\n"
        "def test_ptrace():\n"
        "    assert ctypes.CDLL(None).ptrace(16, os.getppid(), 0, 0) == -1\n\n\n"
        "def test_its_own_are_its_own():\n"
        "    assert os.listdir('/proc/self/fd')\n"
        "    assert open('/proc/self/environ', 'rb').read()\n"
    )
    outcome = probed(backend, root)
    assert outcome.ending == "completed", outcome.why
    assert len(outcome.results) == 7
    assert [each for each in outcome.results if each.outcome != "passed"] == []
