"""What is done with green code: applied, proposed, or only listed; and what is shown."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.harness import Project, python, require
from tests.scripted_server import ScriptedServer

LANDLOCK = "--selfheal-sandbox=landlock"

FILES = {
    "src/calc.py": """
        # selfheal
        def add(a: int, b: int) -> int:
            ...


        # selfheal
        def sub(a: int, b: int) -> int:
            ...


        # selfheal
        def mul(a: int, b: int) -> int:
            ...
    """,
    "src/more.py": """
        # selfheal
        def neg(a: int) -> int:
            ...
    """,
    "test_calc.py": """
        import calc
        import more


        def test_add():
            assert calc.add(1, 2) == 3


        def test_sub():
            assert calc.sub(3, 2) == 1


        def test_mul():
            assert calc.mul(3, 2) == 6


        def test_neg():
            assert more.neg(3) == -3


        def test_green():
            assert True
    """,
    "pytest.ini": "[pytest]\npythonpath = src\n",
}
REPLIES = {
    "src/calc.py::add": [python("def add(a: int, b: int) -> int:\n    return a + b\n")],
    "src/calc.py::sub": [python("def sub(a: int, b: int) -> int:\n    return a - b\n")],
    "src/calc.py::mul": [python("def mul(a: int, b: int) -> int:\n    return a * b\n")],
    "src/more.py::neg": [python("def neg(a: int) -> int:\n    return -a\n")],
}


@pytest.fixture
def project(tmp_path: Path) -> Project:
    require("landlock")
    return Project(tmp_path / "project", FILES)


# --- propose ---------------------------------------------------------------------------


def test_propose_leaves_the_tree_alone_and_writes_a_patch_for_git(project: Project) -> None:
    project.git("init", "-q")
    project.git("add", ".")
    project.git("commit", "-qm", "stubs")
    with ScriptedServer(REPLIES) as server:
        run = project.heal(LANDLOCK, "--selfheal-mode=propose", server=server)

    assert run.status == 1, "the tree is still red"
    assert list(run.changed) == ["selfheal.patch"]
    assert set(run.statuses().values()) == {"healed"}
    assert run.report is not None
    assert Path(run.report["patch"]).name == "selfheal.patch"
    assert "git apply" in run.output
    assert "4 failed, 1 passed" in run.output

    project.git("apply", "--check", "selfheal.patch")
    project.git("apply", "selfheal.patch")
    green = project.heal("--selfheal-mode=check")
    assert green.status == 0, green.output


def test_propose_writes_the_patch_where_it_is_asked_to(project: Project, tmp_path: Path) -> None:
    patch = tmp_path / "out" / "my.patch"
    with ScriptedServer(REPLIES) as server:
        run = project.heal(
            LANDLOCK,
            "--selfheal-mode=propose",
            f"--selfheal-patch={patch}",
            "-k",
            "neg",
            server=server,
        )
    assert run.status == 1
    assert run.changed == {}
    assert run.report is not None
    assert run.report["patch"] == str(patch)
    text = patch.read_text()
    assert "+    return -a" in text
    assert "calc.py" not in text


def test_propose_with_nothing_to_heal_is_green(project: Project) -> None:
    with ScriptedServer(REPLIES) as server:
        run = project.heal(LANDLOCK, "--selfheal-mode=propose", "-k", "green", server=server)
    assert run.status == 0
    assert run.statuses() == dict.fromkeys(REPLIES, "unreached")
    assert run.changed == {}
    assert server.requests == []


# --- check -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments", [(), ("-k", "green")], ids=["with-failures", "with-green-tests-alone"]
)
def test_check_lists_what_is_unhealed_and_calls_nobody(
    project: Project, arguments: Sequence[str]
) -> None:
    # No key, no endpoint and no sandbox are needed for it.
    run = project.heal(
        "--selfheal-mode=check",
        "--selfheal-sandbox=docker",
        *arguments,
        env={"DOCKER_HOST": "unix:///nonexistent/docker.sock"},
    )
    assert run.status == 1, run.output
    assert run.statuses() == dict.fromkeys(REPLIES, "unhealed")
    assert run.changed == {}
    for target in REPLIES:
        assert f"unhealed  {target}" in run.output
    assert run.report is not None
    assert run.report["model"]["requests"] == 0
    assert run.report["sandbox"] == {"backend": None, "verifications": 0}


# --- what is shown ---------------------------------------------------------------------


@pytest.mark.parametrize("flag", ["-q", "", "-v"], ids=["quiet", "plain", "verbose"])
def test_output_that_is_no_terminal(project: Project, flag: str) -> None:
    with ScriptedServer(REPLIES) as server:
        run = project.heal(LANDLOCK, "-k", "neg", *([flag] if flag else []), server=server)
    assert run.status == 0, run.output
    assert "\x1b" not in run.output, "control sequences where there is no terminal"
    assert "\r" not in run.output
    totals = [
        x
        for x in run.output.splitlines()
        if x.startswith("selfheal apply: 1 healed, 3 unreached; 1 req")
    ]
    assert len(totals) == 1
    assert ("= selfheal =" in run.output) == (flag != "-q")
    assert ("healed    src/more.py::neg" in run.output) == (flag != "-q")
    assert ("+    return -a" in run.output) == (flag == "-v")
    assert "FAILURES" not in run.output, "tests that are green now were told as failures"
    assert "1 healed" in run.output.splitlines()[-1]


# --- exit statuses ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        pytest.param(("-k", "green"), 0, id="green-from-the-start"),
        pytest.param(("-k", "nothing_like_it"), 5, id="no-tests"),
        pytest.param(("--co",), 0, id="collect-only"),
        pytest.param(("-k", "neg", "-x"), 0, id="stopped-at-the-first-failure"),
        pytest.param(("-k", "neg or green", "--maxfail=1", "-x"), 0, id="rest-not-run"),
        pytest.param(("-p", "no:selfheal"), 4, id="switched-off-its-options-are-unknown"),
        pytest.param(("test_calc.py::test_nowhere",), 4, id="no-such-test"),
    ],
)
def test_exit_status(project: Project, arguments: Sequence[str], status: int) -> None:
    with ScriptedServer(REPLIES) as server:
        run = project.heal(LANDLOCK, *arguments, server=server)
    assert run.status == status, run.output


def test_a_failure_that_no_stub_explains_stays_a_failure(project: Project) -> None:
    project.write({"test_other.py": "def test_other():\n    assert 1 == 2\n"})
    with ScriptedServer(REPLIES) as server:
        run = project.heal(LANDLOCK, "-k", "neg or other", server=server)
    assert run.status == 1, run.output
    assert run.statuses()["src/more.py::neg"] == "healed"
    assert run.report is not None
    assert run.report["tests"]["still_failing"] == ["test_other.py::test_other"]
    assert "1 failed, 4 deselected, 1 healed" in run.output
    assert "assert 1 == 2" in run.output
    assert len(server.requests) == 1


def test_tests_behind_the_first_failure_are_healed_too(project: Project) -> None:
    """With `-x` the rest was not run: the exit status counts every selected test."""
    with ScriptedServer(REPLIES) as server:
        run = project.heal(LANDLOCK, "-x", server=server)
    assert run.status == 0, run.output
    assert set(run.statuses().values()) == {"healed"}


# --- budgets ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("option", "most"),
    [("--selfheal-max-requests=2", 2), ("--selfheal-max-tokens=1", 1)],
    ids=["requests", "tokens"],
)
def test_a_budget_is_never_overdrawn(project: Project, option: str, most: int) -> None:
    with ScriptedServer(REPLIES, latency_seconds=0.2) as server:
        run = project.heal(LANDLOCK, option, server=server)
    assert run.status == 1
    assert len(server.requests) <= most
    assert run.report is not None
    assert run.report["model"]["requests"] == len(server.requests)
    left = [stub for stub in run.stubs.values() if stub["status"] == "unhealed"]
    assert len(left) == 4 - len(server.requests)
    assert all(option.partition("=")[0] in stub["reason"] for stub in left), left


def test_attempts_and_jobs_hold(project: Project) -> None:
    bad = {target: ["```python\nx = 1\n```"] for target in REPLIES}
    with ScriptedServer(bad, latency_seconds=0.1) as server:
        run = project.heal(LANDLOCK, "--selfheal-attempts=3", "--selfheal-jobs=1", server=server)
    assert run.status == 1
    assert server.max_concurrency == 1
    assert len(server.requests) == 4 * 3
    assert run.changed == {}
    assert run.report is not None
    assert run.report["sandbox"]["verifications"] == 1, "only the trace needs one"
