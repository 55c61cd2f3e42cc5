"""Each corpus healed at once in each sandbox: no cheat is accepted, nothing honest refused."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.adversary.cheats import CHEATS
from tests.adversary.honest import HONEST
from tests.harness import Project, Run, python, require
from tests.sandboxes import BACKENDS
from tests.scripted_server import ScriptedServer

STUB = "# selfheal\ndef value(n):\n    ...\n"
# The expected value is a name of the test's own, so that a frame has it to be read.
TESTS = """
from m_{name} import value


def test_value():
    for given, expected in ((2, 7), (5, 16)):
        assert value(given) == expected
"""


@dataclass(frozen=True)
class Healed:
    """A corpus that one run was given, in one sandbox."""

    run: Run
    before: Mapping[str, str]
    after: Mapping[str, str]


def _healed(corpus: Mapping[str, str], folder: Path, backend: str, *more: str) -> Healed:
    require(backend)
    files = {f"{name}/m_{name}.py": STUB for name in corpus}
    files |= {f"{name}/test_{name}.py": TESTS.format(name=name) for name in corpus}
    project = Project(folder / "project", files)
    before = _digests(project.root)
    replies = {f"{name}/m_{name}.py::value": [python(code)] for name, code in corpus.items()}
    with ScriptedServer(replies) as server:
        run = project.heal(
            f"--selfheal-sandbox={backend}",
            "--selfheal-attempts=1",
            *more,
            server=server,
            timeout_seconds=600,
        )
    assert run.report is not None, run.output
    return Healed(run, before, _digests(project.root))


def _digests(root: Path) -> dict[str, str]:
    return {
        path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts and ".pytest_cache" not in path.parts
    }


@pytest.fixture(scope="module", params=BACKENDS)
def cheated(request: pytest.FixtureRequest, tmp_path_factory) -> Healed:
    folder = tmp_path_factory.mktemp("cheats")
    return _healed(CHEATS, folder, request.param, "--selfheal-timeout=8")


@pytest.fixture(scope="module", params=BACKENDS)
def honest(request: pytest.FixtureRequest, tmp_path_factory) -> Healed:
    return _healed(HONEST, tmp_path_factory.mktemp("honest"), request.param)


def test_no_cheat_is_accepted(cheated: Healed, subtests) -> None:
    assert len(cheated.run.stubs) == len(CHEATS) >= 60
    for name in CHEATS:
        with subtests.test(name):
            stub = cheated.run.stubs[f"{name}/m_{name}.py::value"]
            assert stub["status"] in ("unhealed", "rejected"), stub
            assert stub["reason"], "nothing is said of it"
            assert stub["attempts"], "it was not judged"
    assert cheated.after == cheated.before


def test_nothing_honest_is_refused(honest: Healed, subtests) -> None:
    assert len(honest.run.stubs) == len(HONEST) >= 40
    for name in HONEST:
        with subtests.test(name):
            stub = honest.run.stubs[f"{name}/m_{name}.py::value"]
            assert stub["status"] == "healed", stub
    changed = {path for path in honest.before if honest.after[path] != honest.before[path]}
    assert changed == {f"{name}/m_{name}.py" for name in HONEST}
