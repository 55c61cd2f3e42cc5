"""Commits as mails, taken by the real `git am` in real repositories."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pytest_selfheal.delivery import _notes_on_commits
from pytest_selfheal.errors import Unusable
from pytest_selfheal.git import NEUTRAL, Identity, identity, object_format, uncommitted
from pytest_selfheal.healing.commits import MAX_TESTS, commits
from pytest_selfheal.records import Edit
from pytest_selfheal.report._files import is_mbox
from pytest_selfheal.report.mbox import Commit, mbox, write_mbox
from pytest_selfheal.report.patch import write_patch
from tests.harness import Project, python, require
from tests.scripted_server import ScriptedServer
from tests.test_patch import NAMES, ODD

AUTHOR = Identity(name="A U Thor", email="author@example.org")


class Repository:
    """A real one, out of reach of the user's own configuration."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.git("init", "-q", "-b", "main", *options)
        if "--bare" not in options:
            self.git("commit", "-q", "--allow-empty", "-m", "start")

    def git(self, *arguments: str, data: bytes = b"", cwd: Path | None = None) -> str:
        env = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        env |= {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
        command = ["git", "-c", "user.name=c", "-c", "user.email=c@example.org", *arguments]
        done = subprocess.run(
            command, cwd=cwd or self.folder, env=env, input=data, capture_output=True, check=False
        )
        assert done.returncode == 0, (arguments, done.stdout, done.stderr, data)
        return done.stdout.decode("utf-8", "replace")

    def commit(self, files: dict[str, bytes]) -> str:
        for name, content in files.items():
            file = self.folder / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
        self.git("add", "-A", "-f")
        self.git("commit", "-q", "--allow-empty", "-m", "files")
        return self.git("rev-parse", "HEAD").strip()

    def log(self, base: str, form: str) -> list[str]:
        out = self.git("log", "--reverse", f"--format={form}%x01", f"{base}..HEAD")
        return [each.strip("\n") for each in out.split("\x01")[:-1]]


def commit_of(path: str, before: bytes, after: bytes, subject: str = "", body: str = "") -> Commit:
    edit = Edit(path=path, before=before, after=after)
    return Commit(subject=subject or f"Heal {path}::f", body=body or "Written.", edit=edit)


def check(repository: Repository, commits: Sequence[Commit], *options: str) -> str:
    """Commit what the first of each file was made from, apply, compare; what it began at."""
    first: dict[str, bytes] = {}
    last: dict[str, bytes] = {}
    for each in commits:
        first.setdefault(each.edit.path, each.edit.before)
        last[each.edit.path] = each.edit.after
    base = repository.commit(first)
    mails = mbox(commits, repository.folder, author=AUTHOR, seconds=1_700_000_000)
    repository.git("am", "-q", *options, data=mails)
    for path, content in last.items():
        assert (repository.folder / path).read_bytes() == content
    assert repository.git("status", "--porcelain") == ""
    assert len(repository.log(base, "%h")) == len(commits)
    return base


CONTENTS = {
    "lf": (b"a\nb\n", b"a\nc\n"),
    "crlf": (b"a\r\nb\r\n", b"a\r\nc  \r\n\r\n"),
    "mixed ends": (b"a\r\nb\nc", b"a\nb\r\nc\r"),
    "no end": (b"a", b"b"),
    "latin-1": (b"# coding: latin-1\nx = '\xe4'\n", b"# coding: latin-1\nx = '\xf6'\n"),
    "like a mail": (b"\n", b"From me Mon Sep 17 00:00:00 2001\n---\ndiff --git a/x b/x\n-- \n"),
    "like a code": (b"x\r\n", b"=3D=\r\n=\r\n.\r\n\t \r\n"),
    "long": (b"x\r\n", b"#" * 1200 + "ä".encode() * 50 + b"\r\n"),
}


def test_every_name_and_every_content_in_one_series(tmp_path: Path) -> None:
    pairs = [
        (name, content)
        for number, name in enumerate(NAMES)
        for content in (list(CONTENTS.values())[number % len(CONTENTS)],)
    ]
    pairs += [(f"content/{name}.py", content) for name, content in CONTENTS.items()]
    commits = [commit_of(name, *content) for name, content in pairs]
    base = check(Repository(tmp_path), commits)
    subjects = Repository.log(Repository(tmp_path), base, "%s")
    assert "Heal größe/naïve.py::f" in subjects
    assert "Heal 日本/語.py::f" in subjects


@pytest.mark.parametrize("options", [[], ["-3"], ["--keep-cr"]], ids=repr)
def test_two_stubs_of_one_file_apply_in_order(tmp_path: Path, options: list[str]) -> None:
    steps = [b"def f():\r\n    ...\r\n\r\ndef g():\r\n    ...\r\n"]
    steps.append(steps[0].replace(b"    ...", b"    return 1", 1))
    steps.append(steps[1].replace(b"    ...", b"    return 2", 1))
    commits = [commit_of("a b.py", steps[0], steps[1]), commit_of("a b.py", steps[1], steps[2])]
    check(Repository(tmp_path), commits, *options)


@pytest.mark.parametrize("hash_name", ["sha1", "sha256"])
def test_a_file_that_was_renamed_meanwhile(tmp_path: Path, hash_name: str) -> None:
    repository = Repository(tmp_path, f"--object-format={hash_name}")
    filler = b"".join(b"x%d = %d\n" % (number, number) for number in range(30))
    steps = [b"def f():\n    ...\n\n\ndef g():\n    ...\n\n\n" + filler]
    steps.append(steps[0].replace(b"    ...", b"    return 1", 1))
    steps.append(steps[1].replace(b"    ...", b"    return 2", 1))
    repository.commit({"old name.py": steps[0]})
    file = tmp_path / "old name.py"
    file.chmod(0o755)
    base = repository.commit({})
    assert object_format(tmp_path) == hash_name
    series = tmp_path.parent / "series.mbox"
    commits = [commit_of(file.name, *steps[each : each + 2]) for each in (0, 1)]
    write_mbox(commits, series, tmp_path)
    assert b"100755\n" in series.read_bytes()
    repository.git("mv", "old name.py", "größe.py")
    (tmp_path / "größe.py").write_bytes(steps[0].replace(b"x20 = 20", b"x20 = 21"))
    repository.commit({})
    repository.git("am", "-q", "-3", str(series))
    assert (tmp_path / "größe.py").read_bytes() == steps[2].replace(b"x20 = 20", b"x20 = 21")
    assert len(repository.log(base, "%h")) == 3
    assert os.access(tmp_path / "größe.py", os.X_OK)


def test_a_plain_patch_where_the_file_changed_nearby(tmp_path: Path) -> None:
    repository = Repository(tmp_path)
    before, after = b"# a\n# b\ndef f():\n    ...\n", b"# a\n# b\ndef f():\n    return 1\n"
    repository.commit({"x y.py": before})
    patch = tmp_path.parent / "all.patch"
    write_patch([Edit(path="x y.py", before=before, after=after)], patch, tmp_path)
    repository.commit({"x y.py": before.replace(b"# a", b"# A")})
    repository.git("apply", "-3", str(patch))
    assert (tmp_path / "x y.py").read_bytes() == after.replace(b"# a", b"# A")


def test_line_ends_that_git_converts(tmp_path: Path) -> None:
    repository = Repository(tmp_path)
    repository.commit({".gitattributes": b"*.py text eol=crlf\n"})
    names = ["a b.py", "größe/ä.py", "[x]*.py"]
    repository.commit(dict.fromkeys(names, b"a\r\nb\r\n") | {"kept.txt": b"a\r\nb\r\n"})
    edited = [*names, "kept.txt"]
    write_mbox(
        [commit_of(name, b"a\r\nb\r\n", b"a\r\nc\r\n") for name in edited],
        tmp_path.parent / "converted.mbox",
        tmp_path,
    )
    repository.git("am", "-q", "-3", str(tmp_path.parent / "converted.mbox"))
    for name in edited:
        assert (tmp_path / name).read_bytes() == b"a\r\nc\r\n"
    assert repository.git("show", "HEAD:a b.py") == "a\nc\n"
    assert repository.git("status", "--porcelain") == ""


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    return Repository(tmp_path_factory.mktemp("shared"))


LETTERS = st.characters(codec="utf-8", exclude_characters="\0/", exclude_categories=["Cs"])
PLAIN = st.text(LETTERS, min_size=1, max_size=12)


@settings(max_examples=12, deadline=None)
@given(name=PLAIN, subject=st.text(LETTERS, max_size=90), body=st.text(max_size=80), after=ODD)
@example(name="=?utf-8?q?a?=", subject="[x] =?utf-8?q?a?= Re: y", body="x", after=b"\r\n")
@example(name="\u2028", subject="ä" * 200, body="---\ndiff --git a/x b/x\nFrom: x <y@z>", after=b"")
def test_whatever_it_is_called_and_says(
    shared: Repository, name: str, subject: str, body: str, after: bytes
) -> None:
    text = "\n".join(f"- {line}" for line in body.splitlines())
    path = f"files/{name.encode()[:200].decode('utf-8', 'ignore')}.py"
    base = check(shared, [commit_of(path, b"start\n" + after, after, f"Heal {subject}", text)])
    assert shared.log(base, "%s")[0].startswith("Heal")
    assert shared.log(base, "%an <%ae> %at") == ["A U Thor <author@example.org> 1700000000"]


@pytest.mark.parametrize("name", ["Zoë Müller, Junior", 'The "Nick" Name', "山田", "O'Neil (x)"])
def test_authors(shared: Repository, name: str) -> None:
    shared.git("config", "user.name", name)
    shared.git("config", "user.email", "someone@example.org")
    base = shared.commit({"a.py": b"1\n"})
    series = shared.folder.parent / "author.mbox"
    write_mbox([commit_of("a.py", b"1\n", b"2\n")], series, shared.folder)
    shared.git("am", "-q", str(series))
    assert shared.log(base, "%an <%ae>") == [f"{name} <someone@example.org>"]


def test_nobody_and_the_date(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    assert identity(tmp_path) == NEUTRAL
    assert object_format(tmp_path) == "sha1"
    for said in ("1600000000", "1600000000"):
        monkeypatch.setenv("SOURCE_DATE_EPOCH", said)
        write_mbox([commit_of("a.py", b"1\n", b"2\n")], tmp_path / f"{said}.mbox", tmp_path)
    text = (tmp_path / "1600000000.mbox").read_text()
    assert "\nDate: Sun, 13 Sep 2020 12:26:40 -0000\n" in text
    assert f"\nFrom: {NEUTRAL.name} <{NEUTRAL.email}>\n" in text
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "soon")
    write_mbox([commit_of("a.py", b"1\n", b"2\n")], tmp_path / "now.mbox", tmp_path)
    assert "12:26:40" not in (tmp_path / "now.mbox").read_text()
    monkeypatch.setenv("GIT_AUTHOR_NAME", "N")
    monkeypatch.setenv("GIT_AUTHOR_EMAIL", "n@example.org")
    assert identity(tmp_path) == Identity(name="N", email="n@example.org")


def test_files_that_are_not_committed_as_they_are(tmp_path: Path) -> None:
    inner = tmp_path / "repository" / "größe x"
    inner.mkdir(parents=True)
    paths = ["same.py", "[changed].py", "staged.py", "new.py", "crlf.py"]
    assert uncommitted(inner, paths) == [], "there is no repository"
    repository = Repository(tmp_path / "repository")
    repository.git("config", "core.autocrlf", "true")
    known = [each for each in paths if each != "new.py"]
    repository.commit({f"{inner.name}/{name}": b"1\r\n" for name in known})
    for name in paths[1:4]:
        (inner / name).write_bytes(b"2\n")
    repository.git("add", "staged.py", cwd=inner)
    assert uncommitted(inner, paths) == paths[1:4]
    assert uncommitted(inner, ["same.py"]) == uncommitted(inner, []) == []
    (note,) = _notes_on_commits(paths, inner)
    assert (
        note == "git am takes the commits once '[changed].py' and 2 more are committed as they are"
    )
    repository.commit({})
    assert _notes_on_commits(paths, inner) == []


def test_what_is_a_series() -> None:
    assert [is_mbox(name) for name in ("a.mbox", "B.MBOX", "a.patch", "mbox")] == [1, 1, 0, 0]


def heal_of(edits: Callable[[Mapping[str, str]], list[Edit]], tests: int = 2) -> Any:
    """What the making of commits looks at, of a heal at its end."""
    names = {"a.py": ["late", "f", "g"], "b.py": ["h"]}
    stubs = {
        f"{path}::{name}": SimpleNamespace(path=path, first_line=line, target=f"{path}::{name}")
        for path, here in names.items()
        for line, name in zip((9, 1, 5), here, strict=False)
    }
    reached = [f"t.py::test_{number}" for number in range(tests)]
    return SimpleNamespace(
        kit=SimpleNamespace(stubs=stubs, sources={"a.py": b"", "b.py": b""}, edits=edits),
        confirmed={key: key for key in reversed(stubs)},
        board=SimpleNamespace(
            history=dict.fromkeys(stubs, (1, 2, 3)),
            tests_reaching=lambda key: reached,
            flaky={"t.py::test_0"},
        ),
    )


def test_stubs_are_committed_in_their_places() -> None:
    def edits(pieces: Mapping[str, str]) -> list[Edit]:
        (path,) = {key.partition("::")[0] for key in pieces}
        return [Edit(path=path, before=b"", after=" ".join(sorted(pieces)).encode())]

    made = commits(heal_of(edits, tests=MAX_TESTS + 5), "m\n1", "docker")
    assert [each.subject for each in made] == [
        "Heal a.py::f",
        "Heal a.py::g",
        "Heal a.py::late",
        "Heal b.py::h",
    ]
    assert [each.edit.before for each in made] == [b"", b"a.py::f", b"a.py::f a.py::g", b""]
    assert made[2].edit.after == b"a.py::f a.py::g a.py::late"
    body = made[0].body
    assert body.startswith("Written by m 1 in 3 attempts:\n\n- a.py::f\n\nSeen green in a sandbox")
    assert body.endswith("\n- t.py::test_50\n- and 4 more\n\nHealed-by: pytest-selfheal")
    assert "test_0\n" not in body, "it is flaky"


def test_code_that_does_not_stand_alone_is_committed_with_the_next() -> None:
    def edits(pieces: Mapping[str, str]) -> list[Edit]:
        if "a.py::f" in pieces and "a.py::g" not in pieces:
            raise Unusable("it needs g")
        return [Edit(path="", before=b"", after=" ".join(sorted(pieces)).encode())]

    made = commits(heal_of(edits), "m", "docker")
    assert [each.subject for each in made] == [
        "Heal a.py::f and 1 more",
        "Heal a.py::late",
        "Heal b.py::h",
    ]
    assert "\n- a.py::f\n- a.py::g\n" in made[0].body
    assert made[1].edit.before == made[0].edit.after


FILES = {
    "größe x/calc.py": (
        b"import os\r\n\r\n\r\n# selfheal\r\ndef add(a, b):\r\n    ...\r\n\r\n\r\n"
        b"# selfheal\r\ndef quotient(a, b):\r\n    ...\r\n"
    ),
    "other.py": "# selfheal\ndef neg(a):\n    ...\n",
    "test_all.py": """
        import sys

        sys.path.insert(0, "größe x")
        import calc
        import other


        def test_add():
            assert calc.add(1, 2) == 3
            assert calc.quotient(7, 2) == 3


        def test_neg():
            assert other.neg(2) == -2
    """,
    ".gitignore": "__pycache__\n.pytest_cache\n*.mbox\n",
}
REPLIES = {
    "größe x/calc.py::add": [
        python("def add(a, b):\n    return 0\n"),
        python("def add(a, b):\n    return a + b\n"),
    ],
    "größe x/calc.py::quotient": [
        python("import math\n\n\ndef quotient(a, b):\n    return math.floor(a / b)\n")
    ],
    "other.py::neg": [python("def neg(a):\n    return -a\n")],
}


def test_propose_a_commit_for_each_stub(tmp_path: Path) -> None:
    require("landlock")
    repository = Repository(tmp_path / "repo")
    project = Project(tmp_path / "repo" / "services", FILES)
    base = repository.commit({})
    with ScriptedServer(REPLIES) as server:
        run = project.heal(
            "--selfheal-sandbox=landlock",
            "--selfheal-mode=propose",
            "--selfheal-patch=out.mbox",
            env={"SOURCE_DATE_EPOCH": "1600000000"},
            server=server,
        )
    assert run.status == 1, run.output
    assert "with: git am " in run.output
    repository.git("am", "-q", "out.mbox", cwd=project.root)
    assert repository.log(base, "%s") == [
        "Heal größe x/calc.py::add",
        "Heal größe x/calc.py::quotient",
        "Heal other.py::neg",
    ]
    files = project.files()
    assert files["größe x/calc.py"].count(b"\n") == files["größe x/calc.py"].count(b"\r\n")
    assert b"import math\r\n" in files["größe x/calc.py"]
    body = repository.log(base, "%b")[0]
    assert body.splitlines() == [
        f"Written by {server_model(run.report)} in 2 attempts:",
        "",
        "- größe x/calc.py::add",
        "",
        "Seen green in a sandbox (landlock), with this whole series in place:",
        "",
        "- test_all.py::test_add",
        "",
        "Healed-by: pytest-selfheal",
    ]
    assert repository.log(base, "%at") == ["1600000000"] * 3
    assert b"selfheal" not in files["größe x/calc.py"] + files["other.py"]


def server_model(report: object) -> str:
    assert isinstance(report, dict)
    return str(report["model"]["name"])
