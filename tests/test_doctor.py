"""`--selfheal-doctor`: a line for each thing that a heal needs, and what to do about it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.harness import KEY, Project, Run, require
from tests.scripted_server import ScriptedServer

FILES = {
    "calc.py": """
        # selfheal
        def add(a, b): ...


        # selfheal
        def sub(a, b): return a - b
    """,
    "test_calc.py": "from pathlib import Path\nPath('was_collected').touch()\n",
}
NAMES = [
    "python", "pytest", "kernel", "docker", "bubblewrap", "landlock", "sandbox", "model", "key",
    "endpoint", "price", "budget", "limits", "project", "leftovers",
]  # fmt: skip
NO_DOCKER = {"DOCKER_HOST": "unix:///nonexistent/docker.sock"}


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path / "project", FILES)


def lines(run: Run) -> dict[str, tuple[str, str]]:
    """Grade and words by name."""
    split = [line.split(None, 2) for line in run.output.splitlines()]
    return {name: (grade, says) for grade, name, says in split}


def test_all_is_well(project: Project) -> None:
    require("landlock")
    with ScriptedServer({}) as server:
        run = project.heal(
            "--selfheal-doctor", "--selfheal-sandbox=landlock", "--selfheal-max-requests=9",
            server=server,
        )  # fmt: skip
        assert server.requests == []
    assert run.status == 0, run.output
    found = lines(run)
    assert list(found) == NAMES
    assert found["python"][1].startswith(".".join(map(str, sys.version_info[:3])))
    assert found["sandbox"] == ("ok", "landlock would be used (--selfheal-sandbox=landlock)")
    assert found["key"] == ("ok", "OPENAI_API_KEY is set")
    assert found["endpoint"] == ("ok", f"{server.base_url} takes connections")
    assert found["budget"] == ("ok", "--selfheal-max-requests=9")
    assert "1 stub and 1 living function marked" in found["project"][1]
    # Nothing was collected, run or written, and the harness saw the key nowhere.
    assert run.changed == {}
    assert run.report is None


def test_it_needs_no_other_option(project: Project) -> None:
    command = [sys.executable, "-m", "pytest", "--selfheal-doctor", "-p", "no:terminal"]
    done = subprocess.run(
        command,
        cwd=project.root,
        env=project.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    assert [line.split()[1] for line in done.stdout.splitlines()] == NAMES


def test_what_is_missing_and_what_to_do(project: Project) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]  # bound, but nobody listens
        run = project.heal(
            "--selfheal-doctor",
            "--selfheal-sandbox=docker",
            f"--selfheal-base-url=http://user:{KEY}@127.0.0.1:{port}/v1",
            env=NO_DOCKER,
        )
    assert run.status == 1
    found = lines(run)
    assert found["docker"][0] == "note"
    assert "no daemon answers at unix:///nonexistent/docker.sock" in found["docker"][1]
    assert found["sandbox"][0] == "problem"
    assert "name it with --selfheal-sandbox" in found["sandbox"][1]
    assert found["key"] == ("ok", "OPENAI_API_KEY is not set, and this endpoint may not need one")
    assert found["endpoint"][0] == "problem"
    assert "connection refused" in found["endpoint"][1]
    assert "check --selfheal-base-url" in found["endpoint"][1]
    assert found["budget"][0] == "note"


def test_no_key_where_one_is_needed(project: Project) -> None:
    found = lines(project.heal("--selfheal-doctor"))
    assert found["key"][0] == "problem"
    assert "OPENAI_API_KEY is not set" in found["key"][1]
    assert "set it, or use --selfheal-base-url" in found["key"][1]


def test_an_option_that_cannot_be_used_is_a_line_too(project: Project) -> None:
    run = project.heal("--selfheal-doctor", "-o", "selfheal_jobs=many")
    assert run.status == 1
    grade, says = lines(run)["options"]
    assert (grade, says) == ("problem", "selfheal_jobs: 'many' is not a whole number of at least 1")


def test_a_budget_of_money_is_one(project: Project) -> None:
    more = ("--selfheal-max-cost=1.5", "--selfheal-rpm=6", "-o", "selfheal_max_tokens_per_day=90")
    price = ("-o", "selfheal_price=1,2")
    found = lines(project.heal("--selfheal-doctor", *more, *price, env=NO_DOCKER))
    says = "--selfheal-max-cost=1.5, selfheal_max_tokens_per_day=90, --selfheal-rpm=6"
    assert found["budget"] == ("ok", says)
    unknown = "--selfheal-model=of-my-own"
    grade, says = lines(project.heal("--selfheal-doctor", *more, unknown, env=NO_DOCKER))["price"]
    assert grade == "problem"
    assert "'of-my-own'" in says
    assert "selfheal_price" in says


def test_more_memory_than_there_is(project: Project) -> None:
    run = project.heal("--selfheal-doctor", "--selfheal-memory=64t")
    grade, says = lines(run)["limits"]
    assert grade == "note"
    assert says.endswith("lower --selfheal-jobs or --selfheal-memory")


def test_a_recording_needs_neither_key_nor_endpoint(project: Project, tmp_path: Path) -> None:
    there = tmp_path / "replies.jsonl"
    there.write_text("")
    found = lines(project.heal("--selfheal-doctor", f"--selfheal-replay={there}"))
    assert found["model"] == ("ok", f"answers come from '{there}'")
    assert not {"key", "endpoint"} & found.keys()
    gone = lines(project.heal("--selfheal-doctor", f"--selfheal-replay={there}x"))
    assert gone["model"] == ("problem", f"answers come from '{there}x', which is no file")


def test_a_plugins_model_needs_none_of_ours(project: Project) -> None:
    project.write({"conftest.py": "def pytest_selfheal_model(settings): return None\n"})
    found = lines(project.heal("--selfheal-doctor"))
    assert found["model"] == ("ok", "a plugin, or conftest.py, supplies it")
    assert found["key"][0] == "ok"


def told(run: Run, name: str) -> list[tuple[str, str]]:
    """Grades and words of all lines of a name."""
    split = (line.split(None, 2) for line in run.output.splitlines())
    return [(grade, says) for grade, each, says in split if each == name]


def test_a_second_model_and_what_both_cost(project: Project) -> None:
    run = project.heal(
        "--selfheal-doctor",
        "--selfheal-escalate-model=large",
        "-oselfheal_price=0,0",
        "-oselfheal_escalate_price=1.5,2",
        "--selfheal-max-cost=3",
        "-oselfheal_max_requests_per_day=2000000",
    )
    assert told(run, "second") == [
        (
            "ok",
            "large (--selfheal-escalate-model), asked after 3 failed attempts at the latest, at "
            "the same endpoint",
        )
    ]
    assert told(run, "price") == [
        ("ok", "gpt-5.5: 0,0 dollars a million tokens (selfheal_price)"),
        ("ok", "large: 1.5,2 dollars a million tokens (selfheal_escalate_price)"),
    ]
    assert told(run, "budget") == [
        ("ok", "--selfheal-max-cost=3, selfheal_max_requests_per_day=2000000")
    ]


def test_a_second_model_whose_price_is_not_known_and_whose_turn_never_comes(
    project: Project,
) -> None:
    options = ("--selfheal-doctor", "--selfheal-escalate-model=large", "--selfheal-attempts=3")
    run = project.heal(*options, "-oselfheal_price=1,2", "--selfheal-max-cost=3")
    assert run.status == 1
    (second,) = told(run, "second")
    assert second[0] == "note"
    assert second[1].endswith("lower --selfheal-escalate-after, or raise --selfheal-attempts")
    listed, missing = told(run, "price")
    assert listed[0] == "ok"
    assert missing[0] == "problem"
    assert "the price of the model 'large' is not known: give it as selfheal_esc" in missing[1]


def test_leftovers_are_counted_and_left(project: Project) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    mine = project.temporary / f"pytest-selfheal-{os.getpid()}-x"
    dead = project.temporary / f"pytest-selfheal-{ended.pid}-x"
    mine.mkdir()
    dead.mkdir()
    grade, says = lines(project.heal("--selfheal-doctor", env=NO_DOCKER))["leftovers"]
    assert grade == "note"
    assert says == f"1 folder such as '{dead}' of runs that were killed: the next run clears " + (
        "them away"
    )
    assert dead.exists()


def test_nothing_marked_and_a_mark_that_cannot_be_followed(project: Project) -> None:
    project.write({"calc.py": "x = 1\n"})
    assert lines(project.heal("--selfheal-doctor"))["project"][0] == "note"
    project.write({"calc.py": "def f(): ...  # selfheal\n"})
    grade, says = lines(project.heal("--selfheal-doctor"))["project"]
    assert grade == "note"
    assert "calc.py:1: " in says
