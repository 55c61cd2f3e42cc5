"""Each corpus healed at once in each sandbox: no cheat is accepted, nothing honest refused."""

from __future__ import annotations

import ast
import hashlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from pytest_selfheal.source.policy import make_context, violations
from tests.adversary.cheats import CHEATS, PAST_THE_POLICY
from tests.adversary.cheats_doubling import JUDGED as JUDGED_DOUBLING
from tests.adversary.cheats_lying import JUDGED as JUDGED_LYING
from tests.adversary.honest import HONEST
from tests.adversary.honest_more import BINDS_A_SOCKET
from tests.adversary.stopped_by import ENDED, POLICY, RED, SANDBOX
from tests.harness import Project, Run, python, require
from tests.sandboxes import BACKENDS
from tests.scripted_server import ScriptedServer

JUDGED = {**JUDGED_LYING, **JUDGED_DOUBLING}
STUB = "# selfheal\ndef value(n):\n    ...\n"
# The expected value is a name of the test's own, so that a frame has it to be read.
TESTS = """
import copy
import pickle

import pytest

from m_{name} import value


def test_value():
    for given, expected in ((2, 7), (5, 16)):
        assert {judged}
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
    files |= {f"{name}/test_{name}.py": _tests(name) for name in corpus}
    project = Project(folder / "project", files)
    before = _digests(project.root)
    replies = {f"{name}/m_{name}.py::value": [python(code)] for name, code in corpus.items()}
    with ScriptedServer(replies) as server:
        run = project.heal(
            f"--selfheal-sandbox={backend}",
            "--selfheal-attempts=1",
            *more,
            server=server,
            timeout_seconds=1500,
        )
    assert run.report is not None, run.output
    return Healed(run, before, _digests(project.root))


def _tests(name: str) -> str:
    return TESTS.format(name=name, judged=JUDGED.get(name, "value(given) == expected"))


def _digests(root: Path) -> dict[str, str]:
    return {
        path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts and ".pytest_cache" not in path.parts
    }


@pytest.fixture(scope="module", params=BACKENDS)
def cheated(request: pytest.FixtureRequest, tmp_path_factory) -> Healed:
    folder = tmp_path_factory.mktemp("cheats")
    return _healed(_cheats_in(request.param), folder, request.param, "--selfheal-timeout=8")


@pytest.fixture(scope="module", params=BACKENDS)
def honest(request: pytest.FixtureRequest, tmp_path_factory) -> Healed:
    return _healed(_honest_in(request.param), tmp_path_factory.mktemp("honest"), request.param)


def _cheats_in(backend: str) -> Mapping[str, str]:
    """What the policy refuses everywhere, and a share of the others."""
    names = _share(sorted(PAST_THE_POLICY), backend)
    return {name: CHEATS[name] for name in CHEATS if name in names or name not in PAST_THE_POLICY}


def _honest_in(backend: str) -> Mapping[str, str]:
    sockets = {} if backend == "landlock" else BINDS_A_SOCKET
    return {name: HONEST[name] for name in _share(sorted(HONEST), backend)} | sockets


def _share(names: list[str], backend: str) -> list[str]:
    """Each in one sandbox; all in every one for `make adversary`."""
    if os.environ.get("SELFHEAL_ALL_CASES"):
        return names
    return {"bubblewrap": names[::2], "docker": names[1::4], "landlock": names[3::4]}[backend]


def test_no_cheat_is_accepted(cheated: Healed, subtests) -> None:
    names = [target.partition("/")[0] for target in cheated.run.stubs]
    assert len(names) == len(set(names)) >= 200
    for name in names:
        with subtests.test(name):
            stub = cheated.run.stubs[f"{name}/m_{name}.py::value"]
            assert stub["status"] in ("unhealed", "rejected"), stub
            assert stub["reason"], "nothing is said of it"
            assert stub["attempts"], "it was not judged"
            for attempt in stub["attempts"]:
                assert _is_stopped_as_known(name, attempt["verdict"], attempt["why"]), stub
    assert cheated.after == cheated.before


def _is_stopped_as_known(name: str, verdict: str, why: str) -> bool:
    if name in POLICY:
        return verdict == "refused"
    if name in SANDBOX:
        return verdict == "untrusted" and SANDBOX[name] in why
    if name in ENDED:
        return verdict in ("crashed", "untrusted")
    return name in RED and verdict in ("failed", "unusable")


def test_of_each_cheat_it_is_said_what_stops_it() -> None:
    assert {*POLICY, *SANDBOX, *ENDED, *RED} == {*CHEATS}
    assert len(POLICY) + len(SANDBOX) + len(ENDED) + len(RED) == len(CHEATS)
    assert {*SANDBOX, *ENDED, *RED} == PAST_THE_POLICY


def test_nothing_honest_is_refused(honest: Healed, subtests) -> None:
    names = {target.partition("/")[0] for target in honest.run.stubs}
    assert len(honest.run.stubs) == len(names) >= 40
    for name in names:
        with subtests.test(name):
            stub = honest.run.stubs[f"{name}/m_{name}.py::value"]
            assert stub["status"] == "healed", stub
    changed = {path for path in honest.before if honest.after[path] != honest.before[path]}
    assert changed == {f"{name}/m_{name}.py" for name in names}


def _refusals(code: str) -> tuple[tuple[int, str], ...]:
    tree, user = ast.parse(code), ast.parse(STUB)
    return violations(tree, make_context(tree, (user,), targets=frozenset({"value"})))


@pytest.mark.parametrize("name", sorted(CHEATS))
def test_the_policy_refuses_a_cheat_by_itself(name: str) -> None:
    found = _refusals(CHEATS[name])
    assert bool(found) is (name not in PAST_THE_POLICY), found
    assert not found or any(POLICY[name] in reason for _, reason in found), found
    for line, reason in found:
        assert 1 <= line <= len(CHEATS[name].splitlines())
        assert reason == " ".join(reason.split())


@pytest.mark.parametrize("name", sorted({**HONEST, **BINDS_A_SOCKET}))
def test_the_policy_lets_an_honest_reply_through(name: str) -> None:
    assert _refusals({**HONEST, **BINDS_A_SOCKET}[name]) == ()


@pytest.mark.parametrize("shares", [_honest_in, _cheats_in])
def test_each_reply_is_healed_in_some_sandbox(shares: Callable[[str], Mapping[str, str]]) -> None:
    found = set().union(*map(shares, BACKENDS))
    assert found == ({*HONEST, *BINDS_A_SOCKET} if shares is _honest_in else {*CHEATS})
