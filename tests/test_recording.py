"""Recordings: what is written down, what is refused, and what a replay answers."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pytest_selfheal.errors import ModelUnavailable, UsageError
from pytest_selfheal.model.recording import RecordingModel, ReplayModel
from pytest_selfheal.model.reply import read_reply
from pytest_selfheal.records import ModelUsage, Reply

HEADER = {"selfheal_recording": 1, "model": "m-1"}
A, B, C = "src/a.py::f", "src/b.py::K.g", "src/c.py::h"


def block(name: str) -> str:
    return f"```python\n{name} = 1\n```\n"


class EchoModel:
    """Answers with the prompt, at once."""

    name = "echo"

    def __init__(self) -> None:
        self.closed = 0

    def ask(self, prompt: str, *, targets: Sequence[str], attempt: int) -> Reply:
        return read_reply(prompt, 10, 2)

    def usage(self) -> ModelUsage:
        return ModelUsage(name=self.name, requests=7)

    def close(self) -> None:
        self.closed += 1


def exchange(targets: Sequence[str], attempt: int, reply: str, **more: object) -> dict[str, object]:
    return {"targets": list(targets), "attempt": attempt, "reply": reply, **more}


def recorded(path: Path, *lines: object) -> ReplayModel:
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines), "utf-8")
    return ReplayModel.load(path)


def answer(model: ReplayModel, targets: Sequence[str], attempt: int = 1) -> Reply:
    return model.ask("whatever is asked", targets=targets, attempt=attempt)


# --- recording -------------------------------------------------------------------------


def test_what_was_recorded_is_replayed(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "r.jsonl"
    recording = RecordingModel(EchoModel(), path)
    asked = [
        recording.ask(block("x"), targets=[B, A], attempt=1),
        recording.ask("ä\u2028\ud800", targets=[A], attempt=2),
    ]
    recording.close()
    replay = ReplayModel(path)
    assert replay.name == "echo"
    assert answer(replay, [A, B], 1) == asked[0]
    assert answer(replay, [A], 2) == asked[1]
    assert replay.usage() == ModelUsage(name="echo", requests=2, input_tokens=20, output_tokens=4)


def test_the_lines_are_as_documented(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    recording = RecordingModel(EchoModel(), path)
    recording.ask("text", targets=[B, A], attempt=3)
    recording.close()
    header, line = map(json.loads, path.read_text("ascii").splitlines())
    assert header == {"selfheal_recording": 1, "model": "echo"}
    assert line == {
        "targets": [A, B],
        "attempt": 3,
        "prompt": "text",
        "reply": "text",
        "input_tokens": 10,
        "output_tokens": 2,
    }


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")
@pytest.mark.parametrize("existing", [False, True], ids=["new", "older-file"])
def test_only_the_owner_may_read_it(tmp_path: Path, existing: bool) -> None:
    path = tmp_path / "r.jsonl"
    if existing:
        path.write_text("old\n")
        path.chmod(0o644)
    RecordingModel(EchoModel(), path).close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "old" not in path.read_text()


def test_threads_do_not_mix_their_lines(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    recording = RecordingModel(EchoModel(), path)
    with ThreadPoolExecutor(16) as pool:
        list(
            pool.map(
                lambda n: recording.ask(f"{n} " * 20_000, targets=[f"a.py::f{n}"], attempt=1),
                range(64),
            )
        )
    recording.close()
    replay = ReplayModel(path)
    for n in range(64):
        assert answer(replay, [f"a.py::f{n}"]).text == f"{n} " * 20_000


def test_an_unwritable_path_is_refused_early(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"cannot be written \(Is a directory\): give another"):
        RecordingModel(EchoModel(), tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot be written"):
        RecordingModel(EchoModel(), tmp_path / "file" / "r.jsonl")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_is_no_silent_gap() -> None:
    with pytest.raises(UsageError, match="No space left on device"):
        RecordingModel(EchoModel(), Path("/dev/full"))


def test_closing_and_usage_are_passed_on(tmp_path: Path) -> None:
    inner = EchoModel()
    recording = RecordingModel(inner, tmp_path / "r.jsonl")
    assert recording.usage().requests == 7
    recording.close()
    recording.close()
    assert inner.closed == 2


# --- replaying -------------------------------------------------------------------------


def test_a_group_recorded_singly_gets_all_replies(tmp_path: Path) -> None:
    model = recorded(
        tmp_path / "r",
        HEADER,
        exchange([A], 1, "```python\na = 1\n", input_tokens=1, output_tokens=2),
        exchange([B], 1, block("b"), input_tokens=3, output_tokens=4),
    )
    reply = answer(model, [A, B])
    assert reply.blocks == ("a = 1\n", "b = 1\n")
    assert (reply.input_tokens, reply.output_tokens) == (4, 6)
    assert reply.text == "```python\na = 1\n\n\n" + block("b")


def test_a_target_recorded_in_a_group_gets_its_reply(tmp_path: Path) -> None:
    model = recorded(
        tmp_path / "r",
        HEADER,
        exchange([A, B, C], 1, block("abc")),
        exchange([A, B], 1, block("ab")),
    )
    assert answer(model, [A]).blocks == ("ab = 1\n",)
    assert answer(model, [C]).blocks == ("abc = 1\n",)
    assert answer(model, [C, A]).blocks == ("abc = 1\n",)


def test_the_exact_group_goes_first(tmp_path: Path) -> None:
    model = recorded(
        tmp_path / "r", HEADER, exchange([A, B], 1, block("ab")), exchange([A], 1, block("a"))
    )
    assert answer(model, [A]).blocks == ("a = 1\n",)
    assert answer(model, [B, A]).blocks == ("ab = 1\n",)


def test_giving_up_is_replayed(tmp_path: Path) -> None:
    lines = [exchange([A], 1, "Cannot: x"), exchange([B], 1, "Cannot: y")]
    model = recorded(tmp_path / "r", HEADER, *lines)
    assert answer(model, [A]).gave_up == "x"
    assert answer(model, [A, B]).gave_up == "x; y"


@pytest.mark.parametrize(
    ("targets", "attempt", "words"),
    [
        ([A], 3, f"no reply for '{A}' at attempt 3 (it ends at attempt 2)"),
        ([C], 1, f"no reply for '{C}' at attempt 1 (that target is not in it)"),
        ([A, C], 1, f"no reply for '{C}' at attempt 1"),
    ],
    ids=["attempt-beyond", "unknown-target", "group-with-unknown"],
)
def test_what_is_not_recorded_is_unavailable(
    tmp_path: Path, targets: list[str], attempt: int, words: str
) -> None:
    model = recorded(
        tmp_path / "r", HEADER, exchange([A], 1, block("a")), exchange([A], 2, block("a"))
    )
    with pytest.raises(ModelUnavailable) as caught:
        answer(model, targets, attempt)
    assert words in str(caught.value)
    assert not caught.value.fatal
    assert model.usage().requests == 0


def test_the_prompt_may_be_missing_and_blank_lines_stand(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    lines = [json.dumps(HEADER), "", json.dumps(exchange([A], 1, block("a"), prompt="")), "", ""]
    path.write_bytes(b"\xef\xbb\xbf" + "\r\n".join(lines).encode())
    assert answer(ReplayModel(path), [A]).blocks == ("a = 1\n",)


@pytest.mark.parametrize(
    ("content", "line", "words"),
    [
        ("", 1, "it is empty"),
        (b"\xff\xfe\x00", 1, "it is not text"),
        ("hello\n", 1, "its first line has no 'selfheal_recording'"),
        ("{}\n", 1, "its first line has no 'selfheal_recording'"),
        ('{"selfheal_recording": 2}\n', 1, "its version is 2, this program reads 1"),
        ('{"selfheal_recording": true}\n', 1, "its version is True, this program reads 1"),
        ('{"selfheal_recording": 1, "model": 3}\n', 1, "its 'model' is 3, not a string"),
        ("H\n\nE\n" + '{"targets": ["a', 4, "it is cut off"),
        ("H\nnot json\nE\n", 2, "that line is no JSON"),
        ("H\n[]\n", 2, "that line is no JSON object"),
        ('H\n{"attempt": 1, "reply": ""}\n', 2, "its 'targets' is no list of strings"),
        ('H\n{"targets": [], "attempt": 1, "reply": ""}\n', 2, "its 'targets' is no list"),
        ('H\n{"targets": [1], "attempt": 1, "reply": ""}\n', 2, "its 'targets' is no list"),
        ('H\n{"targets": ["a"], "attempt": 0, "reply": ""}\n', 2, "its 'attempt' is no number"),
        ('H\n{"targets": ["a"], "attempt": "1", "reply": ""}\n', 2, "its 'attempt' is no number"),
        ('H\n{"targets": ["a"], "attempt": 1}\n', 2, "its 'reply' is no string"),
        (
            'H\n{"targets": ["a"], "attempt": 1, "reply": "", "input_tokens": -1}\n',
            2,
            "its 'input_tokens' is no number",
        ),
    ],
)
def test_what_is_no_recording_is_refused(
    tmp_path: Path, content: str | bytes, line: int, words: str
) -> None:
    path = tmp_path / "r.jsonl"
    if isinstance(content, str):
        content = content.replace("H\n", json.dumps(HEADER) + "\n")
        content = content.replace("E\n", json.dumps(exchange([A], 1, "")) + "\n").encode()
    path.write_bytes(content)
    with pytest.raises(UsageError) as caught:
        ReplayModel.load(path)
    assert f"the recording {str(path)!r} cannot be used, line {line}: {words}" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_recording_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"cannot be read \(No such file or directory\): check"):
        ReplayModel.load(tmp_path / "none.jsonl")


def test_a_recording_of_another_project_is_told(tmp_path: Path) -> None:
    model = recorded(tmp_path / "r", HEADER, exchange([A, B], 1, ""), exchange([C], 1, ""))
    problem = model.problem_for(tmp_path)
    assert problem is not None
    assert (
        "is of another project: none of its files ('src/a.py', 'src/b.py', 'src/c.py')" in problem
    )
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "b.py").write_text("")
    assert model.problem_for(tmp_path) is None


@pytest.mark.parametrize("path", ["../r", "/etc/passwd", "a\0b"])
def test_a_recorded_path_does_not_lead_outside(tmp_path: Path, path: str) -> None:
    (tmp_path / "project").mkdir()
    model = recorded(tmp_path / "r", HEADER, exchange([f"{path}::f"], 1, ""))
    assert model.problem_for(tmp_path / "project") is not None


def test_an_empty_recording_is_of_every_project(tmp_path: Path) -> None:
    assert recorded(tmp_path / "r", HEADER).problem_for(tmp_path) is None
