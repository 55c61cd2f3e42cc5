"""Healing end to end where stubs, tests and groups get in each other's way: one real run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from pytest_selfheal.healing.groups import MAX_GROUP
from pytest_selfheal.records import Job
from tests.harness import Project, Run, python, require
from tests.sandboxes import BACKENDS, launcher
from tests.scripted_server import ScriptedServer

SILENT = [f"step_{number}" for number in range(12)]

FILES = {
    # Stubs that return None: one test goes through all of them before it can fail.
    "steps.py": "".join(f"# selfheal\ndef {name}(seen):\n    ...\n\n\n" for name in SILENT),
    "test_steps.py": (
        f"import steps\n\n\ndef test_steps():\n    seen = []\n"
        f"    for name in {SILENT!r}:\n        getattr(steps, name)(seen)\n"
        f"    assert seen == {SILENT!r}\n"
    ),
    # A function with a body, good for what it was written for.
    "living.py": '''
        from pytest_selfheal import heal


        @heal(keep=True)
        def width(text):
            """How wide a text is."""
            return len(text)
    ''',
    "test_living.py": """
        from living import width


        def test_letters():
            assert width("abc") == 3


        def test_tabs():
            assert width("a\\tb") == 9
    """,
    # Two that are asked for at the same time and each bring a `_table` of their own, which
    # cannot be renamed safely: a string says its name too.
    "tables.py": "# selfheal\ndef small(key):\n    ...\n\n\n# selfheal\ndef large(key):\n    ...\n",
    "test_tables.py": """
        from tables import large, small


        def test_small():
            assert small("a") == 1


        def test_large():
            assert large("a") == 100
    """,
    # One that looks right to its own test and ends the process in one that never calls it.
    "quits.py": "# selfheal\ndef half(number):\n    ...\n",
    "test_quits.py": """
        from quits import half


        def test_half():
            assert half(4) == 2
    """,
    "test_before.py": """
        import os

        import quits


        def test_names():
            if hasattr(quits, "HALVES"):
                os._exit(0)


        def test_green():
            assert True
    """,
}
TABLE = "_table = {{'a': {value}, '_table': 0}}\n\n\ndef {name}(key):\n    return _table[key]\n"
REPLIES = {
    **{
        f"steps.py::{name}": [python(f"def {name}(seen):\n    seen.append({name!r})\n")]
        for name in SILENT
    },
    "living.py::width": [
        python("def width(text):\n    return 9\n"),
        python("def width(text):\n    return len(text.expandtabs())\n"),
    ],
    "tables.py::small": [
        python(TABLE.format(name="small", value=1)),
        python(TABLE.format(name="small", value=1).replace("_table", "_small")),
    ],
    "tables.py::large": [
        python(TABLE.format(name="large", value=100)),
        python(TABLE.format(name="large", value=100).replace("_table", "_large")),
    ],
    "quits.py::half": [
        python("HALVES = 2\n\n\ndef half(number):\n    return number // HALVES\n"),
        python("def half(number):\n    return number // 2\n"),
    ],
}


@dataclass(frozen=True)
class Together:
    run: Run
    server: ScriptedServer

    def prompts(self, target: str) -> list[str]:
        return [each.prompt for each in self.server.requests if target in each.targets]


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Together]:
    """All of it in one run."""
    require("bubblewrap")
    project = Project(tmp_path_factory.mktemp("together") / "project", FILES)
    with ScriptedServer(REPLIES, latency_seconds=0.3) as server:
        yield Together(project.heal("--selfheal-sandbox=bubblewrap", server=server), server)


def test_all_are_healed(together: Together) -> None:
    assert together.run.status == 0, together.run.output
    assert together.run.statuses() == dict.fromkeys(REPLIES, "healed")
    assert together.run.report is not None
    assert together.run.report["tests"]["still_failing"] == []


def test_no_request_asks_for_more_than_the_bound(together: Together) -> None:
    asked = [each.targets for each in together.server.requests if "steps" in each.targets[0]]
    assert [len(targets) for targets in asked] == [MAX_GROUP, MAX_GROUP]


def test_a_living_function_is_asked_for_with_what_it_must_keep(together: Together) -> None:
    first, second = together.prompts("living.py::width")
    assert "return len(text)" in first
    assert "must still pass\n\n- test_living.py::test_letters\n" in first
    assert "test_tabs" in first.partition("## Failures")[2]
    # The code that broke it failed at once, in the verification that its own test passed.
    assert "test_living.py::test_letters" in second.partition("## Failed attempts")[2]
    assert "E   AssertionError: assert 9 == 3" in second
    assert together.run.verdicts("living.py::width") == ["failed", "passed"]


def test_what_does_not_go_together_is_told_and_asked_for_again(together: Together) -> None:
    attempts = {
        name: together.run.stubs[f"tables.py::{name}"]["attempts"] for name in ("small", "large")
    }
    (late,) = (each for each in attempts.values() if len(each) == 2)
    assert late[0]["verdict"] == "unusable"
    assert "'_table'" in late[0]["why"]
    assert sorted(map(len, attempts.values())) == [1, 2]


def test_who_ends_the_confirming_run_is_found_and_the_rest_is_kept(together: Together) -> None:
    first, _ = together.run.stubs["quits.py::half"]["attempts"]
    assert first["verdict"] == "crashed"
    assert first["why"].startswith("breaks test_before.py::test_names: ")
    assert len(together.prompts("quits.py::half")) == 2
    assert len(together.server.requests) == 2 + 2 + 3 + 2


@pytest.mark.parametrize("backend", BACKENDS)
def test_each_sandbox_has_another_hash_seed(tmp_path: Path, backend: str) -> None:
    require(backend)
    project = Project(
        tmp_path / "project", {"test_seed.py": "def test_seed():\n    assert hash('a') is None\n"}
    )
    job = Job(nodes=("test_seed.py::test_seed",))
    said = set()
    with launcher(backend, project.root) as made:
        for _ in range(2):
            sandbox = made.launch()
            try:
                (result,) = sandbox.run(job).results
            finally:
                sandbox.close()
            said.add(result.longrepr)
    assert len(said) == 2
