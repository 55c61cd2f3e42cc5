"""What never gets into a prompt, and showing prompts without sending them."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from pytest_selfheal.source.private import Private
from tests.harness import Project, require
from tests.scripted_server import ScriptedServer

LANDLOCK = "--selfheal-sandbox=landlock"


def git(root: Path, *arguments: str) -> None:
    subprocess.run(["git", *arguments], cwd=root, check=True, capture_output=True)


@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
    [
        ("*.csv", "a.csv", True),
        ("*.csv", "deep/er/a.csv", True),
        ("*.csv", "a.csv.txt", False),
        ("private", "data/private/a.txt", True),
        ("private/", "private/a.txt", True),
        ("data/private", "data/private/deep/a.txt", True),
        ("data/private/*", "data/private/deep/a.txt", True),
        ("data/private", "other/data/private/a.txt", False),
        ("data/*.txt", "data/a.txt", True),
        ("rivate", "private/a.txt", False),
        ("A.txt", "a.txt", False),
    ],
)
def test_what_a_pattern_names(tmp_path: Path, pattern: str, path: str, expected: bool) -> None:
    assert (path in Private(tmp_path, [pattern])) is expected


def test_what_git_ignores_is_private_unless_it_is_tracked(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    for name in ("kept.txt", "made/a.txt", "secret.ini", "odd\nname.txt", "-dash.txt", "ü.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    (tmp_path / ".gitignore").write_text("made/\n*.ini\nodd*\n-dash*\n\u00fc*\ntracked.txt\n")
    (tmp_path / "tracked.txt").write_text("x")
    git(tmp_path, "add", "-f", "tracked.txt")
    private = Private(tmp_path)
    paths = ["kept.txt", "made/a.txt", "secret.ini", "odd\nname.txt", "-dash.txt", "ü.txt"]
    assert private.without([*paths, "tracked.txt"]) == ["kept.txt", "tracked.txt"]
    assert "made/b.txt" in private
    assert "other.txt" not in private


def test_without_git_nothing_is_ignored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert Private(tmp_path).without(["a.txt"]) == ["a.txt"]  # no repository
    monkeypatch.setenv("PATH", str(tmp_path))
    assert Private(tmp_path).without(["a.txt"]) == ["a.txt"]  # no git


FILES = {
    ".gitignore": "made.csv\nlocal_helper.py\n",
    ".env": "NAME=dotenv-canary\n",
    "pytest.ini": "[pytest]\nselfheal_exclude =\n    named.csv\n    closed/\n"
    "selfheal_redact = customer_number\n",
    "calc.py": """
        customer_number = "plain-canary"


        # selfheal
        def add(a, b):
            "The sum."
            ...


        # selfheal
        def count(path):
            "The rows."
            ...
    """,
    "closed/__init__.py": "",
    "closed/code.py": "# selfheal\ndef closed():\n    ...\n",
    "conftest.py": "from local_helper import *\n",
    "local_helper.py": "import pytest\n\n\n@pytest.fixture\ndef made():\n    return 'made.csv'\n",
    "open.csv": "open-canary\n",
    "made.csv": "ignored-canary\n",
    "named.csv": "excluded-canary\n",
    "test_calc.py": """
        import pytest

        import calc
        from closed.code import closed


        def test_add():
            assert calc.add(1, 1) == 2


        @pytest.mark.parametrize("name", ["open.csv", "made.csv", "named.csv", ".env"])
        def test_count(name):
            open(name).close()
            assert calc.count(name) == 1


        def test_closed():
            assert closed() == 1
    """,
}


def test_prompts_are_shown_and_not_sent_and_hold_nothing_private(tmp_path: Path) -> None:
    require("landlock")
    project = Project(tmp_path / "project", FILES)
    git(project.root, "init", "-q")
    with ScriptedServer({}) as server:
        run = project.heal(LANDLOCK, "--selfheal-show-prompt", server=server)
    assert run.status == 1, run.output
    assert server.requests == []
    assert run.changed == {}
    assert " selfheal: prompts, none of them sent ==" in run.output
    shown = run.output[run.output.index("prompts, none of them sent") :]
    assert re.findall(r"^Target: (.*)", shown, re.MULTILINE) == ["calc.py::add", "calc.py::count"]
    assert re.search(r"^the prompt: \d+ characters, at most about \d+ tokens$", shown, re.MULTILINE)
    assert "open-canary" in shown
    for canary in ("ignored", "excluded", "dotenv", "plain"):
        assert f"{canary}-canary" not in shown
    assert 'customer_number = "[redacted]"' in shown
