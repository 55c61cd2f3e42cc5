"""The GitHub action and the GitLab template: linted, and their scripts run as they stand."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.harness import Project, python, require
from tests.test_ci_outputs import read_outputs
from tests.test_ci_request import TOOL
from tests.test_docs import ROOT, blocks
from tests.test_mbox import Repository
from tests.workflows import as_workflow, lint, shown, why_not

ACTION = ROOT / "action" / "action.yml"
REQUEST = ROOT / "action" / "pull-request" / "action.yml"
TEMPLATE = ROOT / "gitlab" / "selfheal.gitlab-ci.yml"
PAGE = ROOT / "docs" / "how-to" / "ci.md"
OURS = "example/pytest-selfheal/"
WORKFLOW, PIPELINE = blocks(PAGE, "yaml")


def load(text: str) -> Any:
    return yaml.safe_load(text)


def steps(action: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = load(action.read_text("utf-8"))["runs"]["steps"]
    return found


def runs() -> Iterator[tuple[str, str]]:
    """Every script that there is, as its shell gets it."""
    for action in (ACTION, REQUEST):
        for number, step in enumerate(steps(action)):
            if "run" in step:
                yield f"{action.parent.name}-{number}", step["run"]
    for name, job in load(TEMPLATE.read_text("utf-8")).items():
        if "script" in job:
            yield name, "\n".join(job["script"])


def tool(name: str, *arguments: str | Path) -> str:
    """Run a linter of this environment; what it says where it is not content."""
    done = subprocess.run(
        [Path(sys.executable).parent / name, *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    return "" if done.returncode == 0 else done.stdout + done.stderr


# --- linters ---------------------------------------------------------------------------


def test_the_pages_examples_are_of_their_schemas(tmp_path: Path) -> None:
    workflow, pipeline = tmp_path / "workflow.yml", tmp_path / "pipeline.yml"
    workflow.write_text(WORKFLOW)
    pipeline.write_text(PIPELINE)
    schema = "--builtin-schema"
    assert tool("check-jsonschema", schema, "vendor.github-workflows", workflow) == ""
    # One that hangs costs money.
    assert all("timeout-minutes" in job for job in load(WORKFLOW)["jobs"].values())
    assert tool("check-jsonschema", schema, "vendor.gitlab-ci", pipeline, TEMPLATE) == ""
    workflow.write_text(WORKFLOW.replace("runs-on:", "runs-at:"))
    assert "runs-at" in tool("check-jsonschema", schema, "vendor.github-workflows", workflow)


def test_the_pages_workflow_is_safe(tmp_path: Path) -> None:
    folder = tmp_path / ".github" / "workflows"
    folder.mkdir(parents=True)
    # Ours stand there for a commit that readers look up.
    pinned = re.sub(r"(example/\S+)@v0\.1\.0", rf"\1@{'a' * 40}", WORKFLOW)
    assert pinned.count("a" * 40) == 2
    (folder / "selfheal.yml").write_text(pinned)
    found = tool("zizmor", "--offline", "--quiet", folder / "selfheal.yml")
    assert found == ""
    (folder / "selfheal.yml").write_text(pinned.replace("permissions: {}\n", ""))
    (folder / "bad.yml").write_text(pinned.replace("  push:", "  pull_request_target:"))
    assert "dangerous-triggers" in tool("zizmor", "--offline", "--quiet", folder / "bad.yml")


@pytest.mark.parametrize("script", [each[1] for each in runs()], ids=[each[0] for each in runs()])
def test_no_text_of_others_stands_in_a_script(script: str, tmp_path: Path) -> None:
    assert "${{" not in script
    assert "eval" not in script
    file = tmp_path / "script.sh"
    # On GitLab a variable is taken apart, and a text left for git, on purpose.
    file.write_text(f"#!/bin/bash\n{script}\n")
    assert tool("shellcheck", "--exclude=SC2016,SC2086", file) == ""


TYPOS = [
    ("needs.heal.outputs.patch", "needs.heal.outputs.pitch", "docs/how-to/ci.md"),
    ("inputs.root ", "inputs.rot ", "action/action.yml"),
    ("steps.request.", "steps.reqest.", "action/pull-request/action.yml"),
]


def test_actionlint_sees_a_typo() -> None:
    """In the pages' workflows, and in the actions, which it cannot read as they are."""
    if (why := why_not()) and not os.environ.get("SELFHEAL_NO_SKIP"):
        pytest.skip(why)
    assert not why
    whole = [*shown(), *map(as_workflow, (ACTION, REQUEST))]
    given = [
        replace(workflow, data=workflow.data.replace(right, wrong, 1))
        for workflow, (right, wrong, _) in zip(whole, TYPOS, strict=True)
    ]
    for found, (right, wrong, path) in zip(lint(given), TYPOS, strict=True):
        place, line, told = re.split(r":(\d+):\d+: ", found, maxsplit=1)
        assert place == path
        assert "is not defined in object type" in told
        assert wrong in told
        if path.endswith(".md"):
            assert right in (ROOT / path).read_text("utf-8").split("\n")[int(line) - 1]


def test_actions_of_others_are_named_by_their_commit() -> None:
    texts = [ACTION.read_text("utf-8"), REQUEST.read_text("utf-8"), WORKFLOW]
    used = re.findall(r"uses: (\S+)", "\n".join(texts))
    assert len(used) >= 6
    for each in used:
        assert each.startswith("example/") or re.fullmatch(r"actions/[\w-]+@[0-9a-f]{40}", each)


def test_what_the_page_passes_is_there() -> None:
    jobs = load(WORKFLOW)["jobs"]
    action = load(ACTION.read_text("utf-8"))
    used = [step for job in jobs.values() for step in job["steps"] if OURS in step.get("uses", "")]
    for step in used:
        folder = ROOT / step["uses"].removeprefix(OURS).partition("@")[0]
        inputs = load((folder / "action.yml").read_text("utf-8"))["inputs"]
        assert step.get("with", {}).keys() <= inputs.keys()
    assert len(used) == 2
    assert jobs["heal"]["permissions"] == {"contents": "read"}
    named = re.findall(r"steps\.heal\.outputs\.([\w-]+)", WORKFLOW)
    assert set(named) <= action["outputs"].keys()
    page = PAGE.read_text("utf-8")
    for output in action["outputs"]:
        assert f"`{output}`" in page
    assert load(PIPELINE).keys() >= {"selfheal", "selfheal-merge-request"}
    template = load(TEMPLATE.read_text("utf-8"))
    assert load(PIPELINE)["variables"].keys() == template["variables"].keys()


# --- the scripts, run ------------------------------------------------------------------

FILES = {
    "calc.py": "# selfheal\ndef add(a, b):\n    ...\n\n\n# selfheal\ndef lost():\n    ...\n",
    "test_calc.py": """
        import calc


        def test_add():
            print("\\n::error::not ours")
            assert calc.add(1, 2) == 3
    """,
    ".gitignore": "__pycache__\n.pytest_cache\nselfheal-out\n",
    "replies.jsonl": "\n".join(
        map(
            json.dumps,
            [
                {"selfheal_recording": 1, "model": "m"},
                {
                    "targets": ["calc.py::add"],
                    "attempt": 1,
                    "reply": python("def add(a, b):\n    return a + b\n"),
                },
            ],
        )
    ),
}
OPTIONS = ["--selfheal-sandbox=landlock", "--selfheal-replay=replies.jsonl", "-rN"]


class Runner:
    """A job's machine: a clone, the server's repository, the forges' tools, variables."""

    def __init__(self, folder: Path) -> None:
        require("landlock")
        if shutil.which("bash") is None:
            pytest.skip("bash is not installed")
        self.folder = folder
        self.server = Repository(folder / "server", "--bare")
        self.project = Project(folder / "clone", FILES)
        self.clone = Repository(folder / "clone")
        self.clone.commit({})
        self.clone.git("remote", "add", "origin", str(self.server.folder))
        self.clone.git("push", "-q", "origin", "main")
        tools = folder / "bin"
        tools.mkdir()
        programs = {name: TOOL.format(python=sys.executable, folder=str(folder)) for name in TOOLS}
        programs["python"] = f'#!/bin/sh\nexec "{sys.executable}" "$@"\n'
        for name, text in programs.items():
            (tools / name).write_text(text)
            (tools / name).chmod(0o755)
        self.temp = folder / "temp"
        self.temp.mkdir()
        outside = self.project.environment().items()
        self.environ = {
            name: value
            for name, value in outside
            if not name.startswith(("GIT_", "GITHUB_", "GITLAB_", "CI_"))
        } | {
            "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_NOSYSTEM": "1",
        }

    def bash(self, script: str, env: Mapping[str, str]) -> tuple[int, str]:
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script],
            cwd=self.project.root,
            env=self.environ | env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            timeout=300,
            check=False,
        )
        return done.returncode, done.stdout


TOOLS = ("gh", "glab")


class GitHub(Runner):
    """Runs the scripts of a composite action in order, with what they read and write."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.values = {"runner.temp": str(self.temp), "github.server_url": "https://example.org"}
        self.values |= {"github.token": "t"}
        self.summary = folder / "summary.md"
        self.environ |= {
            "GITHUB_ACTIONS": "true",
            "GITHUB_EVENT_NAME": "push",
            "GITHUB_REF_TYPE": "branch",
            "GITHUB_REF_NAME": "main",
            "GITHUB_STEP_SUMMARY": str(self.summary),
            "RUNNER_TEMP": str(self.temp),
        }

    def run(self, action: Path, inputs: Mapping[str, str]) -> list[tuple[str, int, str]]:
        """The name, status and output of each step that has a script."""
        given = {name: each.get("default", "") for name, each in self.inputs(action).items()}
        self.values |= {f"inputs.{name}": value for name, value in {**given, **inputs}.items()}
        done = []
        for step in steps(action):
            if "run" not in step:
                continue
            file = self.folder / "output"
            file.write_text("")
            env = {name: self.filled(value) for name, value in step.get("env", {}).items()}
            status, said = self.bash(step["run"], env | {"GITHUB_OUTPUT": str(file)})
            name = step.get("id", "end")
            done.append((name, status, said))
            simple = dict(re.findall(r"^([\w-]+)=(.*)$", file.read_text(), re.MULTILINE))
            outputs = simple or read_outputs(file.read_text())
            self.values |= {f"steps.{name}.outputs.{key}": val for key, val in outputs.items()}
        return done

    def inputs(self, action: Path) -> dict[str, Any]:
        found: dict[str, Any] = load(action.read_text("utf-8"))["inputs"]
        return found

    def filled(self, text: str) -> str:
        """A text with its expressions, all of which are names of values."""
        return re.sub(r"\$\{\{ ([\w.-]+) \}\}", lambda found: self.values[found[1]], text)


def test_the_action_on_github(tmp_path: Path) -> None:
    github = GitHub(tmp_path)
    before = github.project.files()
    # What pytest is given is what stands on the line, whatever a shell would make of it.
    odd = tmp_path / "$(touch x) 'y'; `z` *.json"
    arguments = [*OPTIONS, "", "-k", "add or no", f"--selfheal-report={odd}"]
    inputs = {"python": sys.executable, "args": "\n".join(arguments)}
    (run, show, request, end) = github.run(ACTION, inputs)
    assert (run[1], show[1], request[1], end[1]) == (0, 0, 0, 1), (run, show, request)
    stopped, _, after = run[2].partition("::stop-commands::")[2].partition("\n")
    assert "::error::not ours" in after.split(f"\n::{stopped}::")[0]
    assert "::notice file=calc.py,title=selfheal%3A healed,line=2::add is written" in show[2]
    assert "| ✅ healed | `calc.py::add` | 1 | 1 |" in github.summary.read_text("utf-8")
    assert github.values["steps.show.outputs.targets"] == '["calc.py::add"]'
    assert "selfheal/main is pushed" in request[2]
    assert github.values["steps.request.outputs.pull-request-url"] == "https://example.org/pull/7"
    assert "return a + b" in github.server.git("show", "selfheal/main:calc.py")
    assert odd.is_file()
    assert github.project.files() == before
    assert {each.name for each in (github.temp / "selfheal").iterdir()} == {
        "selfheal.mbox",
        "selfheal.json",
        "selfheal.html",
    }

    # The other job has the artifact alone, and a project that would stand in for the plugin.
    github.project.write({"pytest_selfheal.py": "raise SystemExit('not ours')\n"})
    ((_, status, said),) = github.run(REQUEST, {"python": sys.executable, "title": "$(x) `y`"})
    assert status == 0, said
    assert "selfheal/main is up to date" in said
    calls = [json.loads(line) for line in (tmp_path / "calls").read_text().splitlines()]
    assert json.loads(calls[-1][2]["input"])["title"] == "$(x) `y`"


def test_the_action_refuses_what_gives_keys_away(tmp_path: Path) -> None:
    github = GitHub(tmp_path)
    github.environ["GITHUB_EVENT_NAME"] = "pull_request_target"
    run, show, *_ = steps(ACTION)
    status, said = github.bash(run["run"], {"SELFHEAL_PYTHON": "false"})
    assert status == 4
    assert said.startswith("::error::pull_request_target gives secrets")
    # Nor is anything made of a run that ended before its report.
    assert github.bash(show["run"], {"SELFHEAL_PYTHON": "false"}) == (0, "")


def test_the_template_on_gitlab(tmp_path: Path) -> None:
    gitlab = Runner(tmp_path)
    first, second = (
        "\n".join(load(TEMPLATE.read_text("utf-8"))[name]["script"])
        for name in ("selfheal", "selfheal-merge-request")
    )
    env = {
        "GITLAB_CI": "true",
        "CI_COMMIT_BRANCH": "main",
        "CI_PROJECT_URL": f"file://{tmp_path}/server",
        "CI_SERVER_URL": "https://example.org",
        "SELFHEAL_ARGS": " ".join(OPTIONS),
    }
    status, said = gitlab.bash(second, env)
    assert (status, said) == (0, "")
    status, said = gitlab.bash(first, env)
    assert status == 1, said
    out = gitlab.project.root / "selfheal-out"
    findings = json.loads((out / "code-quality.json").read_text())
    assert [(each["severity"], each["location"]["path"]) for each in findings] == [
        ("info", "calc.py"),
        ("minor", "calc.py"),
    ]
    assert "| ✅ healed | `calc.py::add` |" in (out / "summary.md").read_text("utf-8")
    status, said = gitlab.bash(second, env)
    assert (status, said) == (0, "There is no SELFHEAL_TOKEN to open a merge request with.\n")
    (tmp_path / "server").rename(tmp_path / "server.git")
    gitlab.server.folder = tmp_path / "server.git"
    status, said = gitlab.bash(second, env | {"SELFHEAL_TOKEN": "glpat-secret"})
    assert status == 0, said
    assert "selfheal/main is pushed; the request for main: https://example.org/pull/7" in said
    assert "glpat-secret" not in said
    assert "return a + b" in gitlab.server.git("show", "selfheal/main:calc.py")
