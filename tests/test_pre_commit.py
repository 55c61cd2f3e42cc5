"""The pre-commit hooks under the real pre-commit, in a real repository."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_selfheal.git import unknown
from tests.harness import KEY, Project, python, require
from tests.scripted_server import ScriptedServer

ROOT = Path(__file__).parent.parent

FILES = {
    "calc.py": """
        # selfheal
        def add(a: int, b: int) -> int:
            ...


        def last() -> str:
            return "last"
    """,
    "test_calc.py": """
        import os

        import calc


        def test_add():
            assert calc.add(1, 2) == 3
            assert "GIT_INDEX_FILE" not in os.environ
    """,
    ".gitignore": "__pycache__\n.pytest_cache\n",
}
REPLIES = {"calc.py::add": [python("def add(a: int, b: int) -> int:\n    return a + b\n")]}
HEALED = "def add(a: int, b: int) -> int:\n    return a + b\n"


class Repository(Project):
    """A project under git, with our hooks installed for its commits."""

    def __init__(self, folder: Path, hook: str, server: ScriptedServer | None = None) -> None:
        super().__init__(folder / "project", FILES)
        self.server = server
        # As if this environment were activated.
        self.environ = self.environment(server) | {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PRE_COMMIT_HOME": str(folder / "pre-commit"),
            "PYTHONPATH": str(ROOT),
        }
        hooks = folder / "hooks"
        hooks.mkdir()
        (hooks / ".pre-commit-hooks.yaml").write_bytes(
            (ROOT / ".pre-commit-hooks.yaml").read_bytes()
        )
        self.run("git", "init", "-q", "-b", "main", cwd=hooks)
        self.commit_all(cwd=hooks)
        rev = self.run("git", "rev-parse", "HEAD", cwd=hooks).stdout.strip()
        url = f"--selfheal-base-url={server.base_url}" if server else ""
        options = f"args: [--selfheal-sandbox=landlock, {url}]" if server else ""
        self.write(
            {
                ".pre-commit-config.yaml": f"""
                repos:
                  - repo: {hooks}
                    rev: {rev}
                    hooks:
                      - id: {hook}
                        language: system
                        {options}
                """
            }
        )
        self.run("git", "init", "-q", "-b", "main")
        self.run(sys.executable, "-m", "pre_commit", "install")

    def run(
        self, *command: str, cwd: Path | None = None, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            command,
            cwd=cwd or self.root,
            env=self.environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=200,
            check=False,
        )
        assert not check or done.returncode == 0, done.stdout
        assert KEY not in done.stdout
        return done

    def commit_all(self, cwd: Path) -> None:
        self.run("git", "add", "-A", cwd=cwd)
        self.commit(cwd=cwd, check=True)

    def commit(
        self, cwd: Path | None = None, check: bool = False
    ) -> subprocess.CompletedProcess[str]:
        name = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
        return self.run("git", *name, "commit", "-m", "x", cwd=cwd, check=check)

    def read(self, name: str) -> str:
        return (self.root / name).read_text()

    def staged(self, name: str) -> str:
        return self.run("git", "show", f":{name}").stdout


@pytest.fixture
def repository(tmp_path: Path) -> Iterator[Repository]:
    require("landlock")
    with ScriptedServer(REPLIES) as server:
        yield Repository(tmp_path, "selfheal", server)


def test_a_stub_is_healed_and_the_commit_waits_for_it_to_be_staged(repository: Repository) -> None:
    repository.run("git", "add", "-A")
    first = repository.commit()
    assert first.returncode == 1, first.stdout
    assert "files were modified by this hook" in first.stdout
    assert "1 healed" in first.stdout
    assert HEALED in repository.read("calc.py")
    assert "# selfheal" in repository.staged("calc.py")

    repository.run("git", "add", "calc.py")
    second = repository.commit()
    assert second.returncode == 0, second.stdout
    assert "Passed" in second.stdout
    assert len(repository.server.requests) == 1


def test_what_is_not_staged_is_put_aside_and_comes_back(repository: Repository) -> None:
    repository.run("git", "add", "-A")
    mine = repository.read("calc.py").replace('return "last"', 'return "mine, not staged"')
    repository.write({"calc.py": mine})
    done = repository.commit()
    assert done.returncode == 1, done.stdout
    text = repository.read("calc.py")
    assert HEALED in text
    assert 'return "mine, not staged"' in text
    assert "mine" not in repository.staged("calc.py")


def test_unstaged_work_in_the_stub_itself_counts_for_more_than_the_heal(
    repository: Repository,
) -> None:
    repository.run("git", "add", "-A")
    mine = repository.read("calc.py").replace("    ...\n", "    return 'half an idea'\n")
    repository.write({"calc.py": mine})
    done = repository.commit()
    assert done.returncode == 1, done.stdout
    assert "Rolling back fixes" in done.stdout
    assert repository.read("calc.py") == mine
    assert "# selfheal" in repository.staged("calc.py")


def test_a_healed_file_that_git_does_not_know_holds_the_commit_up(repository: Repository) -> None:
    repository.run("git", "add", "test_calc.py", ".pre-commit-config.yaml", "pytest.ini")
    done = repository.commit()
    assert done.returncode == 1, done.stdout
    assert "selfheal: calc.py was healed and is not in git: add it" in done.stdout
    assert HEALED in repository.read("calc.py")


def test_what_git_ignores_is_not_looked_at(tmp_path: Path) -> None:
    """An environment in the project is thousands of files."""
    project = Project(tmp_path / "project", {"known.py": "", ".gitignore": ".venv\n"})
    project.git("init", "-q")
    project.git("add", "-A")
    project.write({".venv/lib/a.py": "# selfheal\n", "größe x/new.py": "", "new.txt": ""})
    assert unknown(project.root, "*.py") == ["größe x/new.py"]
    assert unknown(tmp_path, "*.py") == [], "there is no repository"


def test_a_commit_without_tests_asks_nobody(repository: Repository) -> None:
    repository.write({"test_nothing_yet.py": "X = 1\n"})
    repository.run("git", "add", "calc.py", "test_nothing_yet.py", ".pre-commit-config.yaml")
    done = repository.commit()
    assert done.returncode == 0, done.stdout
    assert repository.server.requests == []
    assert "# selfheal" in repository.read("calc.py")


def test_a_test_that_no_stub_explains_stops_the_commit(repository: Repository) -> None:
    repository.write({"test_calc.py": "def test_no():\n    assert 1 == 2\n"})
    repository.run("git", "add", "-A")
    done = repository.commit()
    assert done.returncode == 1, done.stdout
    assert "test_calc.py::test_no" in done.stdout
    assert "files were modified" not in done.stdout


def test_the_check_refuses_a_commit_with_stubs(tmp_path: Path) -> None:
    repository = Repository(tmp_path, "selfheal-check")
    repository.run("git", "add", "-A")
    # It is the staged text that counts.
    repository.write({"calc.py": "def add(a, b):\n    return a + b\n"})
    done = repository.commit()
    assert done.returncode == 1, done.stdout
    assert "calc.py:2: add is marked and not written yet" in done.stdout
    assert "1 unhealed stub: " in done.stdout
    repository.run("git", "add", "-A")
    assert repository.commit().returncode == 0


def command(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pytest_selfheal", *arguments],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_documented_configuration_is_one(tmp_path: Path) -> None:
    """By pre-commit's own judgement, and with hooks that there are."""
    page = (ROOT / "docs" / "how-to" / "pre-commit.md").read_text("utf-8")
    config = tmp_path / ".pre-commit-config.yaml"
    config.write_text(page.split("```yaml\n")[1].partition("```")[0])
    manifest = ROOT / ".pre-commit-hooks.yaml"
    for what, file in (("config", config), ("manifest", manifest)):
        done = subprocess.run(
            [sys.executable, "-m", "pre_commit", f"validate-{what}", file],
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stdout) == (0, ""), done.stdout
    hooks = re.findall(r"- id: (\S+)", manifest.read_text())
    assert hooks == re.findall(r"- id: (\S+)", config.read_text())


def test_check_of_a_whole_folder(tmp_path: Path) -> None:
    Project(tmp_path / "project", {**FILES, "bad.py": "# selfheal\ndef f(:\n"})
    done = command("check", cwd=tmp_path / "project")
    assert done.returncode == 1
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    assert lines[0].startswith("bad.py:2: warning: ")
    assert lines[1] == "calc.py:2: add is marked and not written yet"
    assert command("check", "nowhere.py", cwd=tmp_path).stdout == (
        "nowhere.py:1: warning: cannot be read (No such file or directory)\n"
    )


@pytest.mark.parametrize(
    ("arguments", "status", "stream"),
    [(["--help"], 0, "stdout"), ([], 4, "stderr"), (["heal"], 4, "stderr")],
    ids=["help", "nothing", "unknown"],
)
def test_commands_are_listed(
    tmp_path: Path, arguments: list[str], status: int, stream: str
) -> None:
    done = command(*arguments, cwd=tmp_path)
    assert done.returncode == status
    said = getattr(done, stream)
    assert "usage: python -m pytest_selfheal COMMAND" in said
    assert "staged" in said
    assert ("'heal' is no command" in said) == (arguments == ["heal"])
