"""Replies that are kept: nothing is paid for twice, and nothing that is kept is believed."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Thread

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_selfheal.errors import ModelUnavailable
from pytest_selfheal.model.stored import StoringModel
from pytest_selfheal.model.varying import without_order, without_varying
from pytest_selfheal.records import ModelUsage, Reply
from tests.harness import Project, python
from tests.scripted_server import Answer, Fault, ScriptedServer


class Numbering:
    """Answers with the number of the request."""

    name = "numbering"

    def __init__(self, start: int = 1) -> None:
        self.requests = 0
        self._start = start

    def ask(self, prompt: str, *, targets: object, attempt: int) -> Reply:
        self.requests += 1
        return Reply(text=str(self._start + self.requests - 1), input_tokens=7, output_tokens=3)

    def usage(self) -> ModelUsage:
        return ModelUsage(name=self.name, requests=self.requests)

    def close(self) -> None: ...


def ask(model: StoringModel, prompt: str = "p") -> str:
    return model.ask(prompt, targets=["a"], attempt=1).text


def test_a_reply_is_asked_for_once(tmp_path: Path) -> None:
    folder = tmp_path / "d" / "replies"
    assert ask(StoringModel(Numbering(), folder, {})) == "1"
    inner = Numbering(9)
    again = StoringModel(inner, folder, {})
    assert ask(again) == "1"
    assert again.usage() == ModelUsage(name="numbering", requests=0, stored_replies=1)
    assert ask(again, "q") == "9"
    assert inner.requests == 1


def test_the_same_question_twice_in_a_run_wants_two_samples(tmp_path: Path) -> None:
    first = StoringModel(Numbering(), tmp_path, {})
    assert [ask(first), ask(first)] == ["1", "2"]
    second = StoringModel(Numbering(8), tmp_path, {})
    assert [ask(second) for _ in range(3)] == ["1", "2", "8"]


def test_what_else_makes_up_a_question(tmp_path: Path) -> None:
    ask(StoringModel(Numbering(), tmp_path, {"temperature": None}))
    assert ask(StoringModel(Numbering(5), tmp_path, {"temperature": 0.5})) == "5"


def test_what_varies_from_run_to_run_is_no_other_question(tmp_path: Path) -> None:
    before = "<C object at 0x7f3a5b2c1d90> /tmp/pytest-of-me/pytest-12/t0 in 0.31s 7"
    after = "<C object at 0x55e1aa00bb10> /tmp/pytest-of-me/pytest-13/t0 in 1.02s 7"
    before += " /tmp/pytest-selfheal-30914-m3nku4cd/tmpcqpvqxbf/t0"
    after += " /tmp/pytest-selfheal-31111-g1w8m8ar/tmpv9269p08/t0"
    assert without_varying(before) == without_varying(after)
    assert without_varying(before) != without_varying(after.replace("7", "8"))
    ask(StoringModel(Numbering(), tmp_path, {}), before)
    assert ask(StoringModel(Numbering(5), tmp_path, {}), after) == "1"


PROMPT = """\
## Module: m.py
```python
{code}
```

## Failed attempts
- Attempt 1: failed: assert {{{first}}} == {{'x'}}

```python
{code}
```
```
E   assert {{{first}}} == {{'x'}}
E     Extra items in the left set:
{lines}
```
"""


@given(st.permutations(["'a'", "'b c'", "'d, e'", "'f'"]), st.integers(0, 3))
def test_in_which_order_a_set_is_printed_is_no_other_question(
    items: list[str], folded: int
) -> None:
    def asked(items: list[str], folded: int, code: str = "f = 1") -> str:
        lines = ["E   frozenset({" + ", ".join(items)[:7] + "...})"]
        lines += [f"E     {item}" for item in items]
        if folded:
            lines = [*lines[:-folded], f"[... {folded} lines as in the first failure ...]"]
        return without_order(
            PROMPT.format(code=code, first=", ".join(items), lines="\n".join(lines))
        )

    plain = asked(sorted(items), 0)
    assert asked(items, folded) == plain
    assert asked(items, folded, "f = 2") != plain
    assert asked([*items, "'z'"], folded) != plain


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("datetime.datetime(2026, 1, 2, 3, 4)", "datetime.datetime(2027, 5, 6, 7, 8, 9)"),
        ("d41d8cd98f00b204e9800998ecf8427e", "0cc175b9c0f1b6a831c399e269772661"),
        ("at 1795675205.80 in Thread-5", "at 1795675999.1 in Thread-12"),
        ("<f at 0x7fb893b12345>", "<f at 0x7f9876543210>"),
    ],
)
def test_what_varies_counts_in_code_and_not_in_what_was_printed(one: str, other: str) -> None:
    def asked(printed: str, code: str) -> str:
        return without_order(PROMPT.format(code=code, first=printed, lines=f"E {printed}"))

    assert asked(one, "f = 1") == asked(other, "f = 1")
    assert "0x" in one or asked(one, one) != asked(one, other)


def test_fresh_starts_over(tmp_path: Path) -> None:
    ask(StoringModel(Numbering(), tmp_path, {}))
    for path in tmp_path.iterdir():
        os.utime(path, (1, 1))
    assert ask(StoringModel(Numbering(5), tmp_path, {}, is_fresh=True)) == "5"
    assert ask(StoringModel(Numbering(9), tmp_path, {})) == "5"


def test_only_the_owner_may_read_them(tmp_path: Path) -> None:
    folder = tmp_path / "replies"
    ask(StoringModel(Numbering(), folder, {}))
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert all(stat.S_IMODE(path.stat().st_mode) & 0o077 == 0 for path in folder.iterdir())


def test_the_folder_has_a_bound(tmp_path: Path) -> None:
    model = StoringModel(Numbering(), tmp_path, {}, max_bytes=2_000)
    for number in range(40):
        ask(model, str(number))
    files = list(tmp_path.glob("*.json"))
    assert 0 < sum(path.stat().st_size for path in files) <= 2_000


@settings(max_examples=80, deadline=None)
@given(
    st.binary(max_size=60)
    | st.dictionaries(
        st.sampled_from(["selfheal_reply", "key", "text", "input_tokens", "output_tokens"]),
        st.none() | st.integers() | st.text(max_size=4),
    ).map(lambda x: json.dumps(x).encode())
    | st.just(b"[" * 50_000)
)
def test_a_file_that_is_damaged_is_asked_for_again(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    folder = tmp_path_factory.mktemp("replies")
    ask(StoringModel(Numbering(), folder, {}))
    (file,) = folder.glob("*.json")
    file.write_bytes(data)
    assert ask(StoringModel(Numbering(6), folder, {})) == "6"
    assert ask(StoringModel(Numbering(9), folder, {})) == "6"


def test_without_a_folder_everything_is_asked(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    model = StoringModel(Numbering(), tmp_path / "file" / "replies", {})
    assert [ask(model), ask(model, "q")] == ["1", "2"]


def test_a_request_that_failed_stores_nothing(tmp_path: Path) -> None:
    class Failing(Numbering):
        def ask(self, prompt: str, *, targets: object, attempt: int) -> Reply:
            raise ModelUnavailable("no")

    with pytest.raises(ModelUnavailable):
        ask(StoringModel(Failing(), tmp_path, {}))
    assert ask(StoringModel(Numbering(), tmp_path, {})) == "1"


_PROCESS = """
import sys, time
from pathlib import Path
from pytest_selfheal.model.stored import StoringModel
from pytest_selfheal.records import ModelUsage, Reply

class Slow:
    name = "slow"
    def ask(self, prompt, *, targets, attempt):
        print("asked", prompt, flush=True)
        time.sleep(1.0)
        return Reply(text=prompt)
    def usage(self): return ModelUsage()
    def close(self): pass

model = StoringModel(Slow(), Path(sys.argv[1]), {}, on_wait=lambda _, why: print(why))
sys.stdin.readline()
for prompt in "ab":
    assert model.ask(prompt, targets=["t"], attempt=1).text == prompt
"""


def test_processes_that_ask_the_same_do_it_once(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _PROCESS, str(tmp_path)]
    started = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    with ThreadPoolExecutor(4) as pool:
        output = "".join(pool.map(lambda process: process.communicate("go\n")[0], started))
    assert all(process.returncode == 0 for process in started)
    assert sorted(x for x in output.splitlines() if x.startswith("asked")) == ["asked a", "asked b"]


# --- whole runs ------------------------------------------------------------------------

FILES = {
    "mod.py": """
        # selfheal
        def add(a: int, b: int) -> int:
            ...


        # selfheal
        def sub(a: int, b: int) -> int:
            ...
    """,
    "test_mod.py": """
        import mod

        WORDS = {"one", "two", "three", "four", "five"}


        def test_add(tmp_path):
            assert mod.add(1, 2) == 3, (object(), tmp_path, WORDS)


        def test_sub():
            assert mod.sub(3, 2) == 1
    """,
}
ADD, SUB = "mod.py::add", "mod.py::sub"
LANDLOCK = "--selfheal-sandbox=landlock"


def add(sign: str) -> str:
    return python(f"def add(a: int, b: int) -> int:\n    return a {sign} b\n")


SUB_REPLY = python("def sub(a: int, b: int) -> int:\n    return a - b\n")


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path / "project", FILES)


def test_a_used_up_budget_loses_nothing(project: Project) -> None:
    script: dict[str, list[Answer]] = {ADD: [add("-"), add("*"), add("+")], SUB: [SUB_REPLY]}
    with ScriptedServer(script) as server:
        options = (LANDLOCK, "--selfheal-jobs=1", "-k", "add")
        first = project.heal(*options, "--selfheal-max-requests=2", server=server)
        assert first.status == 1
        assert first.verdicts(ADD) == ["failed", "failed"]
        second = project.heal(*options, "--selfheal-max-requests=2", server=server)
    assert second.status == 0, second.output
    assert second.verdicts(ADD) == ["failed", "failed", "passed"]
    assert len(server.requests) == 3
    assert second.report is not None
    assert second.report["model"]["requests"] == 1
    assert second.report["model"]["stored_replies"] == 2
    assert "(--selfheal-fresh asks anew)" in second.output


def test_an_interrupted_run_goes_on_where_it_stopped(project: Project) -> None:
    script: dict[str, list[Answer]] = {
        ADD: [add("-"), Fault(hang_seconds=600), add("+")],
        SUB: [SUB_REPLY],
    }
    options = (LANDLOCK, "--selfheal-jobs=1", "-k", "add")
    with ScriptedServer(script) as server:
        with project.started(*options, server=server) as process:
            while len(server.requests) < 2:
                assert process.poll() is None
            os.killpg(process.pid, signal.SIGINT)
            process.communicate(timeout=60)
        run = project.heal(*options, server=server)
    assert run.status == 0, run.output
    assert run.verdicts(ADD) == ["failed", "passed"]
    assert len(server.requests) == 3, "the first reply was not asked for again"


def test_a_run_that_is_killed_at_each_request_repeats_none(project: Project) -> None:
    """Each time while it waits for a reply: that one never came, and all before it are kept."""
    hang = Fault(hang_seconds=600)
    script: dict[str, list[Answer]] = {ADD: [hang, add("-"), hang, add("*"), hang, add("+")]}
    options = (LANDLOCK, "--selfheal-jobs=1", "-k", "add")
    with ScriptedServer(script) as server:
        for answered in (0, 1, 2):
            with project.started(*options, server=server) as process:
                while len(server.requests) < 2 * answered + 1:
                    assert process.poll() is None
                    time.sleep(0.02)
                os.killpg(process.pid, signal.SIGKILL)
                process.communicate(timeout=60)
        run = project.heal(*options, server=server)
    assert run.status == 0, run.output
    assert run.verdicts(ADD) == ["failed", "failed", "passed"]
    prompts = [without_order(request.prompt) for request in server.requests]
    assert len(prompts) == 6
    assert prompts[0::2] == prompts[1::2], "what was cut off is asked for again as it was"
    assert len(set(prompts)) == 3, "and nothing else is"
    assert run.report is not None
    assert run.report["model"]["requests"] == 1


def test_fresh_asks_for_everything_again(project: Project) -> None:
    before = project.files()["mod.py"]
    with ScriptedServer({ADD: [add("+")], SUB: [SUB_REPLY]}) as server:
        assert project.heal(LANDLOCK, server=server).status == 0
        project.write({"mod.py": before})
        assert project.heal(LANDLOCK, server=server).status == 0
        assert len(server.requests) == 2
        project.write({"mod.py": before})
        assert project.heal(LANDLOCK, "--selfheal-fresh", server=server).status == 0
    assert len(server.requests) == 4


def test_a_poisoned_reply_does_not_make_a_stub_green(project: Project) -> None:
    before = project.files()["mod.py"]
    with ScriptedServer({ADD: [add("+")], SUB: [SUB_REPLY]}) as server:
        assert project.heal(LANDLOCK, server=server).status == 0
        project.write({"mod.py": before})
        for path in project.root.glob(".pytest_cache/d/selfheal/replies/*.json"):
            data = json.loads(path.read_text())
            data["text"] = data["text"].replace("a + b", "a * b")
            path.write_text(json.dumps({**data, "verdict": "passed"}))
        run = project.heal(LANDLOCK, "--selfheal-attempts=1", server=server)
    assert run.status == 1
    assert run.statuses() == {ADD: "unhealed", SUB: "healed"}
    assert run.verdicts(ADD) == ["failed"]


def test_a_replay_neither_reads_nor_writes_them(project: Project, tmp_path: Path) -> None:
    recording = tmp_path / "r.jsonl"
    before = project.files()["mod.py"]
    with ScriptedServer({ADD: [add("+")], SUB: [SUB_REPLY]}) as server:
        project.heal(LANDLOCK, f"--selfheal-record={recording}", server=server)
        project.write({"mod.py": before})
        # A stored reply is in the recording as well.
        again = project.heal(LANDLOCK, f"--selfheal-record={recording}", server=server)
    assert again.status == 0
    assert len(recording.read_text().splitlines()) == 3
    project.write({"mod.py": before})
    replies = project.root / ".pytest_cache/d/selfheal/replies"
    for path in replies.iterdir():
        path.unlink()
    assert project.heal(LANDLOCK, f"--selfheal-replay={recording}").status == 0
    assert list(replies.iterdir()) == []


def test_a_cache_elsewhere_is_followed(project: Project, tmp_path: Path) -> None:
    with ScriptedServer({ADD: [add("+")], SUB: [SUB_REPLY]}) as server:
        project.heal(LANDLOCK, f"-ocache_dir={tmp_path / 'elsewhere'}", server=server)
    assert len(list((tmp_path / "elsewhere/d/selfheal/replies").glob("*.json"))) == 2


def test_waiting_for_another_process_ends_with_the_run(tmp_path: Path) -> None:
    from filelock import FileLock

    waits: list[str] = []
    model = StoringModel(Numbering(), tmp_path, {}, on_wait=lambda _, why: waits.append(why))
    ask(StoringModel(Numbering(), tmp_path, {}))
    (file,) = tmp_path.glob("*.json")
    file.unlink()
    with FileLock(file.with_suffix(".lock")):
        Thread(target=lambda: (signal.sigtimedwait([], 0.3), model.close())).start()
        with pytest.raises(ModelUnavailable, match="while another process asked the same"):
            ask(model)
    assert waits == ["another process asks the same"]
