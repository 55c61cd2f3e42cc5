"""What the host makes of answers that no supervisor of ours gives."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_selfheal.records import Job, Limits, RunOutcome
from pytest_selfheal.sandbox.frames import pack, pack_json
from pytest_selfheal.sandbox.inside_watch import MAX_DEPTH, checked_lines
from pytest_selfheal.sandbox.parked import ParkedSandbox, _own_package
from tests.sandboxes import workspace


class Stream:
    """A channel whose other end has said all that it ever says."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def send(self, data: bytes, deadline: float) -> None:
        pass

    def receive(self, size: int, deadline: float) -> bytes:
        if not self.data:
            raise EOFError
        part, self.data = self.data[:size], self.data[size:]
        return part

    def destroy(self) -> None:
        pass

    def explain_death(self) -> tuple[str, str]:
        return "crashed", "it has gone"


def answered(root: Path, payload: bytes) -> RunOutcome:
    stream = Stream(pack_json({"ready": True}) + pack(payload))
    sandbox = ParkedSandbox(stream, workspace(root), Limits(), files=None)
    return sandbox.run(Job(nodes=("t.py",)))


DEEP = 100_000


@pytest.mark.parametrize(
    "payload",
    [
        pytest.param(b"[" * DEEP + b"]" * DEEP, id="list"),
        pytest.param(b'{"lines": ' + b"[" * DEEP + b"]" * DEEP + b"}", id="in-its-place"),
        pytest.param(b'{"a":' * DEEP + b"1" + b"}" * DEEP, id="object"),
    ],
)
def test_an_answer_that_is_nested_too_deeply_is_untrusted(tmp_path: Path, payload: bytes) -> None:
    outcome = answered(tmp_path, payload)
    assert outcome.ending == "untrusted"
    assert "nested too deeply" in outcome.why


WORDS = st.sampled_from(["t.py::a", "t.py", "call", "teardown", "passed", "failed", "f"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-1, 9) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=2),
    max_leaves=5,
)
KINDS = ("collected", "imported", "start", "report", "collect", "controls", "decided", "tampered",
         "session", "end")  # fmt: skip
PARTS = ("id", "ids", "cases", "entered", "when", "outcome", "status", "what", "subtest")
RECORDS = st.fixed_dictionaries(
    {"kind": st.sampled_from(KINDS)}, optional=dict.fromkeys(PARTS, JSON)
)
ORDERLY = {
    "signal": None, "exit": 0, "timed_out": False, "oom": None, "honest": True, "alone": {},
    "marked": [], "flooded": False, "output": "", "changed": [], "lines": [],
}  # fmt: skip


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    changed=st.dictionaries(st.sampled_from(sorted(ORDERLY)), JSON, max_size=2),
    lines=st.lists(RECORDS, max_size=6),
)
def test_whatever_the_answer_is_it_is_an_outcome(
    changed: dict[str, object], lines: list[object]
) -> None:
    answer = {**ORDERLY, "lines": lines, **changed}
    outcome = answered(Path(), json.dumps(answer).encode())
    assert outcome.why if outcome.ending != "completed" else not outcome.ended_early


def line(record: object, number: int = 0) -> bytes:
    return f"nonce {number} {json.dumps(record)}\n".encode()


def test_records_are_as_deep_as_ours_and_no_deeper() -> None:
    record: object = "told"
    for _ in range(MAX_DEPTH):
        record = {"kind": record}
    assert checked_lines(line(record), "nonce") == ([record], True)
    assert checked_lines(line({"kind": record}), "nonce") == ([], False)
    assert checked_lines(line([record]), "nonce") == ([], False)
    deep = b"nonce 0 " + b"[" * DEEP + b"]" * DEEP + b"\n"
    assert checked_lines(deep, "nonce") == ([], False)


def test_another_python_is_sent_what_a_plain_pytest_imports(tmp_path: Path) -> None:
    (tmp_path / "pytest.ini").touch()
    (tmp_path / "test_a.py").write_text(
        """
import sys

def test_modules():
    package = sys.modules["pytest_selfheal"].__path__[0] + "/"
    files = (getattr(module, "__file__", None) or "" for module in sys.modules.values())
    print(*(file.removeprefix(package) for file in files if file.startswith(package)))
"""
    )
    command = [sys.executable, "-m", "pytest", "-qs", "-p", "no:cacheprovider"]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert set(ran.stdout.splitlines()[0].split()) == set(_own_package())
