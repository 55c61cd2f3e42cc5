"""The request with a run's patch: real git and a real remote, and stand-ins for gh and glab."""

from __future__ import annotations

import json
import os
import shutil
import stat
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pytest_selfheal.commands import main
from pytest_selfheal.healing.commits import SIGNATURE
from pytest_selfheal.records import Edit
from pytest_selfheal.report.json_report import write_json
from pytest_selfheal.report.mbox import Commit, write_mbox
from pytest_selfheal.report.patch import write_patch
from tests.test_ci_outputs import REPORT, stub
from tests.test_mbox import Repository

# Notes what it was called with, and keeps what a server would: the requests by branch.
TOOL = """#!{python}
import json, os, pathlib, sys
folder = pathlib.Path({folder!r})
name = pathlib.Path(sys.argv[0]).name
files = {{each.partition("=")[0].lstrip("-"): pathlib.Path(each.partition("=")[2]).read_text()
         for each in sys.argv[1:] if each.startswith(("--body-file=", "--input="))}}
with (folder / "calls").open("a") as calls:
    calls.write(json.dumps([name, sys.argv[1:], files]) + "\\n")
if (folder / "fail").exists():
    sys.exit("HTTP 403: not permitted\\n(https://user:secret@example.org/x)")
requests = folder / "requests"
if sys.argv[2] == "list":
    print(requests.read_text() if requests.exists() else "[]")
elif sys.argv[2] == "create":
    requests.write_text(json.dumps([
        {{"number": 7, "iid": 7, "url": "https://example.org/pull/7",
          "web_url": "https://example.org/pull/7", "isCrossRepository": False,
          "source_project_id": 1, "target_project_id": 1}}]))
    print("Creating request\\nhttps://example.org/pull/7")
"""


class Job:
    """A CI job's clone, its server's repository, and the forge's tool on PATH."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in [*os.environ]:
            if name.startswith(("GIT_", "GITHUB_", "CI_", "GITLAB_", "GH_")):
                monkeypatch.delenv(name)
        monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
        monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
        self.folder = folder
        self.server = Repository(folder / "server", "--bare")
        self.clone = Repository(folder / "clone")
        self.clone.git("remote", "add", "origin", "../server")
        self.root = self.clone.folder / "ser vices"
        tools = folder / "bin"
        tools.mkdir()
        for name in ("gh", "glab"):
            file = tools / name
            file.write_text(TOOL.format(python=sys.executable, folder=str(folder)))
            file.chmod(file.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("PATH", f"{tools}{os.pathsep}{os.environ['PATH']}")
        self.setenv: Callable[[str, str], None] = monkeypatch.setenv
        self.put({"a b.py": BEFORE, "größe.py": BEFORE, "data.txt": b"1\n"})
        monkeypatch.chdir(self.root)

    def put(self, files: dict[str, bytes]) -> None:
        self.clone.commit({f"ser vices/{name}": content for name, content in files.items()})
        self.clone.git("push", "-q", "origin", "HEAD:refs/heads/main")

    def propose(self, name: str, edits: list[Edit], targets: list[str]) -> None:
        """Write what a run in propose leaves."""
        if name.endswith(".mbox"):
            commits = [
                Commit(subject=f"Heal {each.path}", body=f"Written.\n\n{SIGNATURE}", edit=each)
                for each in edits
            ]
            write_mbox(commits, self.root / name, self.root)
        else:
            write_patch(edits, self.root / name, self.root)
        stubs = tuple(stub(target, diff="+1\n") for target in targets)
        report = replace(REPORT, stubs=stubs, patch=str(self.root / name))
        write_json(report, self.root / "selfheal.json")

    def calls(self) -> list[Any]:
        file = self.folder / "calls"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    def state(self) -> str:
        """What the command must leave alone in the clone."""
        words = ("status", "branch", "worktree"), ("--porcelain", "--list", "list")
        return "".join(self.clone.git(*pair) for pair in zip(*words, strict=True))


BEFORE = b"def f():\r\n    ...\r\n\r\n\r\ndef g():\r\n    ...\r\n"
AFTER = BEFORE.replace(b"...", b"return 1", 1)
LAST = AFTER.replace(b"...", b"return 2", 1)
STEPS = [
    Edit(path="a b.py", before=BEFORE, after=AFTER),
    Edit(path="a b.py", before=AFTER, after=LAST),
    Edit(path="größe.py", before=BEFORE, after=AFTER),
]
WHOLE = [replace(STEPS[0], after=LAST), STEPS[2]]
TARGETS = ["a b.py::f", "a b.py::g", "größe.py::f"]
BRANCH = "selfheal/main"


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Job:
    return Job(tmp_path, monkeypatch)


def run(capfd: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    status = main(["ci", "pull-request", *arguments])
    out, err = capfd.readouterr()
    assert not (out and err)
    return status, out + err


@pytest.mark.parametrize("name", ["selfheal.patch", "selfheal.mbox"])
@pytest.mark.parametrize("forge", ["github", "gitlab"])
def test_one_request_whatever_often_it_runs(
    job: Job, capfd: pytest.CaptureFixture[str], name: str, forge: str
) -> None:
    if forge == "github":
        job.setenv("GITHUB_ACTIONS", "true")
        job.setenv("GITHUB_REF_TYPE", "branch")
        job.setenv("GITHUB_REF_NAME", "main")
        job.setenv("GITHUB_OUTPUT", str(job.folder / "output"))
    else:
        job.setenv("GITLAB_CI", "true")
        job.setenv("CI_COMMIT_BRANCH", "main")
        job.clone.git("checkout", "-q", "--detach")
    is_series = name.endswith(".mbox")
    job.propose(name, STEPS if is_series else WHOLE, TARGETS)
    before = job.state()

    status, said = run(capfd)
    assert status == 0, said
    assert said == (
        "selfheal: selfheal/main is pushed; the request for main: https://example.org/pull/7\n"
    )
    assert job.state() == before
    tip = job.server.git("rev-parse", BRANCH)
    assert job.server.git("show", f"{BRANCH}:ser vices/a b.py").encode() == LAST
    assert job.server.git("show", f"{BRANCH}:ser vices/größe.py").encode() == AFTER
    subjects = job.server.git("log", "--format=%s", f"main..{BRANCH}").splitlines()
    if is_series:
        assert subjects == ["Heal größe.py", "Heal a b.py", "Heal a b.py"]
    else:
        assert subjects == ["Heal 3 stubs from failing tests"]
        assert "- größe.py::f\n" in job.server.git("log", "-1", "--format=%B", BRANCH)

    status, said = run(capfd)
    assert (status, said) == (
        0,
        "selfheal: selfheal/main is up to date; the request for main: https://example.org/pull/7\n",
    )
    assert job.server.git("rev-parse", BRANCH) == tip

    job.propose(name, STEPS[:1], TARGETS[:1])
    status, said = run(capfd)
    assert status == 0, said
    assert job.server.git("show", f"{BRANCH}:ser vices/a b.py").encode() == AFTER
    assert job.server.git("show", f"{BRANCH}:ser vices/größe.py").encode() == BEFORE

    words = [call[1][:2] for call in job.calls()]
    kind = "pr" if forge == "github" else "mr"
    update = ["api", "--method=PATCH"] if forge == "github" else ["mr", "update"]
    assert words == [
        [kind, "list"],
        [kind, "create"],
        [kind, "list"],
        update,
        [kind, "list"],
        update,
    ]
    _, created, files = job.calls()[1]
    if forge == "github":
        assert created[2:5] == [
            "--head=selfheal/main",
            "--base=main",
            "--title=Heal 3 stubs from failing tests",
        ]
        body = files["body-file"]
        _, updated, files = job.calls()[5]
        assert updated[-1] == "repos/{owner}/{repo}/pulls/7"
        assert json.loads(files["input"])["title"] == "Heal 1 stub from failing tests"
        told = (job.folder / "output").read_text()
        assert told.count("pull-request-url<<") == 3
        assert told.count("\nhttps://example.org/pull/7\n") == 3
    else:
        assert created[2:5] == [
            "--source-branch=selfheal/main",
            "--target-branch=main",
            "--title=Heal 3 stubs from failing tests",
        ]
        body = created[5].removeprefix("--description=")
        assert created[6] == "--yes"
        assert job.calls()[5][1][2:4] == ["7", "--title=Heal 1 stub from failing tests"]
    assert "| ✅ healed | `größe.py::f` |" in body


def test_a_branch_that_holds_work_of_people_is_left_alone(
    job: Job, capfd: pytest.CaptureFixture[str]
) -> None:
    job.propose("selfheal.patch", WHOLE, TARGETS)
    assert run(capfd, "--forge=github")[0] == 0
    job.clone.git("fetch", "-q", "origin", BRANCH)
    job.clone.git("checkout", "-q", "-f", "FETCH_HEAD")
    job.clone.commit({"more.txt": b"by a person"})
    job.clone.git("push", "-q", "origin", f"HEAD:refs/heads/{BRANCH}")
    tip = job.server.git("rev-parse", BRANCH)
    job.clone.git("checkout", "-q", "-f", "main")
    job.propose("selfheal.patch", WHOLE[:1], TARGETS[:2])
    status, said = run(capfd, "--forge=github")
    assert status == 4
    assert said == (
        "selfheal ci: the branch 'selfheal/main' of 'origin' ends in a commit of somebody else's: "
        "merge it or delete it, or name another with --branch\n"
    )
    assert job.server.git("rev-parse", BRANCH) == tip
    assert len(job.calls()) == 2
    assert run(capfd, "--forge=github", "--branch=selfheal/two")[0] == 0
    assert job.server.git("show", "selfheal/two:ser vices/größe.py").encode() == BEFORE


def test_from_a_shallow_clone(
    job: Job, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    job.put({"data.txt": b"2\n"})
    shallow = job.folder / "shallow"
    url = f"file://{job.server.folder}"
    job.clone.git("clone", "-q", "--depth=1", "--branch=main", url, str(shallow))
    job.clone.folder, job.root = shallow, shallow / "ser vices"
    monkeypatch.chdir(job.root)
    for edits in (WHOLE, WHOLE, WHOLE[:1]):
        job.propose("selfheal.patch", edits, TARGETS)
        status, said = run(capfd, "--forge=gitlab")
        assert status == 0, said
    assert job.server.git("show", f"{BRANCH}:ser vices/größe.py").encode() == BEFORE
    assert len(job.server.git("log", "--format=%h", BRANCH).split()) == 4


def test_requests_from_forks_are_not_ours(job: Job, capfd: pytest.CaptureFixture[str]) -> None:
    job.propose("selfheal.patch", WHOLE, TARGETS)
    theirs = [{"number": 3, "url": "https://example.org/pull/3", "isCrossRepository": True}]
    (job.folder / "requests").write_text(json.dumps(theirs))
    assert "https://example.org/pull/7" in run(capfd, "--forge=github")[1]
    assert job.calls()[1][1][:2] == ["pr", "create"]


def test_the_repositorys_hooks_do_not_run(job: Job, capfd: pytest.CaptureFixture[str]) -> None:
    for name in ("post-checkout", "pre-commit", "pre-push", "applypatch-msg", "post-commit"):
        hook = job.clone.folder / ".git" / "hooks" / name
        hook.write_text(f"#!/bin/sh\ntouch '{job.folder}/ran-{name}'\nexit 1\n")
        hook.chmod(0o755)
    job.propose("selfheal.mbox", STEPS, TARGETS)
    assert run(capfd, "--forge=github")[0] == 0
    assert list(job.folder.glob("ran-*")) == []


def test_a_report_from_another_machine(job: Job, capfd: pytest.CaptureFixture[str]) -> None:
    job.propose("selfheal.patch", WHOLE, TARGETS)
    elsewhere = job.folder / "artifact"
    elsewhere.mkdir()
    for name in ("selfheal.json", "selfheal.patch"):
        (job.root / name).rename(elsewhere / name)
    status, said = run(capfd, str(elsewhere / "selfheal.json"), "--forge=github")
    assert status == 0, said
    assert job.server.git("show", f"{BRANCH}:ser vices/größe.py").encode() == AFTER


DATA = Edit(path="data.txt", before=b"1\n", after=b"2\n")
ABOVE = b"diff --git a/x.py b/x.py\nnew file mode 100644\n--- /dev/null\n+++ b/x.py\n"
ABOVE += b"@@ -0,0 +1 @@\n+1\n"
NEW = ABOVE.replace(b" a/", b" a/ser vices/").replace(b"b/x.py\nn", b"b/ser vices/x.py\nn")
NEW = NEW.replace(b"+++ b/x.py", b"+++ b/ser vices/x.py\t")
MODE = b'diff --git "a/ser vices/a b.py" "b/ser vices/a b.py"\nold mode 100644\nnew mode 100755\n'
LINK = b"""diff --git a/ser vices/a b.py b/ser vices/a b.py
deleted file mode 100644
--- a/ser vices/a b.py\t
+++ /dev/null
@@ -1,6 +0,0 @@
-def f():\r
-    ...\r
-\r
-\r
-def g():\r
-    ...\r
diff --git a/ser vices/a b.py b/ser vices/a b.py
new file mode 120000
--- /dev/null
+++ b/ser vices/a b.py\t
@@ -0,0 +1 @@
+/etc/passwd
\\ No newline at end of file
"""


@pytest.mark.parametrize(
    ("patch", "message"),
    [
        ([*WHOLE, DATA], "the patch changes 'ser vices/data.txt', which is no file of a healed"),
        (ABOVE, "the patch changes nothing here: is it in already?"),
        (NEW, "the patch changes 'ser vices/x.py', which is no file of a healed stub"),
        (MODE, "the patch changes 'ser vices/a b.py', which is no file of a healed stub"),
        (LINK, "the patch changes 'ser vices/a b.py', which is no file of a healed stub"),
        ([replace(WHOLE[0], before=b"x\n")], "git apply failed: error: patch failed"),
        (b"--- a/../../x.py\n+++ b/../../x.py\n@@ -1 +1 @@\n-a\n+b\n", "git apply failed: error"),
        (b"no patch", "git apply failed: error: "),
    ],
    ids=["data", "above", "new", "mode", "link", "stale", "outside", "none"],
)
def test_a_patch_may_change_what_was_healed_and_nothing_else(
    job: Job, capfd: pytest.CaptureFixture[str], patch: list[Edit] | bytes, message: str
) -> None:
    job.propose("selfheal.patch", patch if isinstance(patch, list) else WHOLE, TARGETS)
    if isinstance(patch, bytes):
        (job.root / "selfheal.patch").write_bytes(patch)
    before = job.state()
    status, said = run(capfd, "--forge=github")
    assert status == 4
    assert said.startswith(f"selfheal ci: {message}")
    assert said.count("\n") == 1
    assert job.calls() == []
    assert job.state() == before
    assert "selfheal/" not in job.server.git("branch", "--list")


def test_each_commit_of_a_series_is_looked_at(job: Job, capfd: pytest.CaptureFixture[str]) -> None:
    undone = replace(DATA, before=DATA.after, after=DATA.before)
    job.propose("selfheal.mbox", [STEPS[0], DATA, undone], TARGETS)
    status, said = run(capfd, "--forge=github")
    assert status == 4
    assert "the patch changes 'ser vices/data.txt', which is no file of a healed stub" in said
    assert job.calls() == []


@pytest.mark.parametrize(
    ("environ", "arguments", "status", "message"),
    [
        ({}, [], 4, "this is no CI job that is known: say --forge=github or gitlab"),
        ({}, ["--forge=github", "--patch=x"], 4, "there is no patch at 'x': name it with --pa"),
        ({}, ["--forge=github", "--branch=a..b"], 4, "'a..b' is no name for a branch"),
        ({}, ["--forge=github", "--branch=main"], 4, "--branch=main is the branch that the"),
        ({}, ["--forge=github", "--remote=--upload-pack=x"], 4, "git ls-remote failed: "),
        ({}, ["--forge=github", "--base=selfheal/x"], 0, "'selfheal/x' is itself a proposal"),
        ({}, ["--forge=github", "--root=nowhere"], 4, "git is not installed, or 'nowhere' is no"),
        ({"GITHUB_REF": "refs/pull/1/merge"}, ["--forge=github"], 4, "HEAD is GitHub's trial"),
        ({"CI_MERGE_REQUEST_EVENT_TYPE": "merge_train"}, ["--forge=gitlab"], 4, "HEAD is GitLab"),
    ],
    ids=lambda value: str(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_brought(
    job: Job,
    capfd: pytest.CaptureFixture[str],
    environ: dict[str, str],
    arguments: list[str],
    status: int,
    message: str,
) -> None:
    job.propose("selfheal.patch", WHOLE, TARGETS)
    for name, value in environ.items():
        job.setenv(name, value)
    job.setenv("GITHUB_SHA", job.clone.git("rev-parse", "HEAD").strip())
    came, said = run(capfd, *arguments)
    assert (came, said.count("\n")) == (status, 1)
    assert message in said
    assert job.calls() == []


def test_nothing_to_propose(job: Job, capfd: pytest.CaptureFixture[str]) -> None:
    write_json(replace(REPORT, patch=None), job.root / "selfheal.json")
    assert run(capfd) == (0, "selfheal: there is no patch to propose\n")
    job.propose("selfheal.patch", [], TARGETS)
    assert run(capfd) == (0, "selfheal: there is no patch to propose\n")


def test_a_dry_run_shows_the_request(job: Job, capfd: pytest.CaptureFixture[str]) -> None:
    job.propose("selfheal.patch", WHOLE, TARGETS)
    status, said = run(capfd, "--forge=github", "--dry-run", "--title=Mine\n::error::")
    assert status == 0
    assert said.startswith("selfheal: selfheal/main -> main: Mine ::error::\n\nThese stubs were")
    assert job.calls() == []
    assert "selfheal/" not in job.server.git("branch", "--list")


def test_what_the_tool_says_is_told_without_secrets(
    job: Job, capfd: pytest.CaptureFixture[str]
) -> None:
    job.propose("selfheal.patch", WHOLE, TARGETS)
    (job.folder / "fail").touch()
    status, said = run(capfd, "--forge=github")
    assert status == 4
    assert said == (
        "selfheal ci: gh pr failed: HTTP 403: not permitted (https://…@example.org/x)\n"
    )


def test_without_the_tool(
    job: Job, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    job.propose("selfheal.patch", WHOLE, TARGETS)
    git = shutil.which("git")
    assert git is not None
    for each in (job.folder / "bin").iterdir():
        each.unlink()
    (job.folder / "bin" / "git").symlink_to(git)
    monkeypatch.setenv("PATH", str(job.folder / "bin"))
    status, said = run(capfd, "--forge=gitlab")
    assert status == 4
    assert said.startswith("selfheal ci: glab is not installed")
