"""The example plugins of `docs/examples`, each at work in a real heal."""

from __future__ import annotations

import contextlib
import inspect
import json
import re
import runpy
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from pytest_selfheal import hookspecs
from pytest_selfheal.errors import ModelUnavailable
from pytest_selfheal.records import Candidate, Job, Limits, Piece, Stub
from tests.harness import Project, python
from tests.sandboxes import require, workspace
from tests.scripted_server import ScriptedServer

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "docs" / "examples"
HOOKS_PAGE = (ROOT / "docs" / "reference" / "hooks.md").read_text("utf-8")

STUB = {
    "money.py": '''
        from pytest_selfheal import heal


        @heal
        def split(cents: int, people: int) -> list[int]:
            """Share an amount fairly; where it does not go up, the first pay a cent more."""
        ''',
    "test_money.py": """
        from money import split


        def test_even():
            assert split(90, 3) == [30, 30, 30]


        def test_remainder():
            assert split(100, 3) == [34, 33, 33]
        """,
}
RIGHT = python(
    """
    def split(cents: int, people: int) -> list[int]:
        share, rest = divmod(cents, people)
        return [share + (n < rest) for n in range(people)]
    """
)
WITH_NUMPY = python(
    """
    import numpy as np

    def split(cents: int, people: int) -> list[int]:
        return [len(part) for part in np.array_split(np.zeros(cents), people)]
    """
)


def project_with(plugins: tuple[str, ...], folder: Path, **files: str) -> Project:
    """The stub with these example plugins beside it, all of them loaded by a conftest."""
    names = [plugin.removesuffix(".py") for plugin in plugins]
    project = Project(folder / "project", {**STUB, "conftest.py": f"pytest_plugins = {names!r}\n"})
    for plugin in plugins:
        shutil.copy(EXAMPLES / plugin, project.root)
    project.write(files)
    return project


# --- all of them -----------------------------------------------------------------------


def test_each_example_is_on_the_page() -> None:
    shown = re.findall(r"^```\{literalinclude\} \.\./examples/(\S+)$", HOOKS_PAGE, re.MULTILINE)
    assert sorted(shown) == sorted(path.name for path in EXAMPLES.glob("*.py"))


def test_each_hook_has_an_example() -> None:
    specified = {
        name
        for name, _ in inspect.getmembers(hookspecs, inspect.isfunction)
        if name.startswith("pytest_selfheal_")
    }
    shown = {
        name
        for path in EXAMPLES.glob("*.py")
        for name in re.findall(r"^def (pytest_selfheal_\w+)\(", path.read_text("utf-8"), re.M)
    }
    documented = re.findall(r"^\.\. autofunction:: (\w+)$", HOOKS_PAGE, re.MULTILINE)
    assert shown == specified
    assert set(documented) == specified


def test_none_is_in_the_way_of_plain_pytest(pytester: pytest.Pytester) -> None:
    names = [path.stem for path in sorted(EXAMPLES.glob("*.py"))]
    for path in EXAMPLES.glob("*.py"):
        shutil.copy(path, pytester.path)
    pytester.makeconftest(f"pytest_plugins = {names!r}")
    pytester.makepyfile("def test_a(): pass")
    result = pytester.runpytest_subprocess("-q", "-p", "no:selfheal")
    result.assert_outcomes(passed=1)


# --- each ------------------------------------------------------------------------------


def test_prompt_veto_and_being_told(tmp_path: Path) -> None:
    """One heal with four plugins: a reply is refused, the next one is healed."""
    require("landlock")
    plugins = (
        "prompt_with_house_rules.py",
        "veto_new_dependencies.py",
        "attempts_as_lines.py",
        "healed_to_changelog.py",
    )
    rule = "Amounts of money are whole cents, never floats.\n"
    project = project_with(plugins, tmp_path, **{"house-rules.md": rule})
    target = "money.py::split"
    with ScriptedServer({target: [WITH_NUMPY, RIGHT]}) as server:
        run = project.heal("--selfheal-sandbox=landlock", server=server)
    assert run.status == 0, run.output
    why = "split imports 'numpy', which this project does not have"
    first, second = run.stubs[target]["attempts"]
    assert (first["verdict"], first["why"], second["verdict"]) == ("refused", why, "passed")

    assert [request.prompt.count(f"\n# House rules\n\n{rule}") for request in server.requests] == [
        1,
        1,
    ]
    assert why in server.requests[1].prompt

    lines = [json.loads(line) for line in run.text("attempts.jsonl").splitlines()]
    assert [(line["number"], line["verdict"], line["why"]) for line in lines] == [
        (1, "refused", why),
        (2, "passed", None),
    ]
    assert all(line["targets"] == [target] and line["tokens"] > 0 for line in lines)
    assert run.text("changelog.d/split.md") == (
        "`split` in `money.py` is written: by a model, in 2 attempts, held by 2 tests.\n"
    )


def test_veto_lets_the_standard_library_pass() -> None:
    veto = runpy.run_path(str(EXAMPLES / "veto_new_dependencies.py"))["pytest_selfheal_veto"]
    stub = Stub(path="a.py", qualname="f", first_line=1, def_line=1, end_line=2, marker="comment")
    good = "def f():\n    import money\n    from . import other\n    return os.getcwd()\n"
    piece = Piece(stub=stub, definition=good, imports=("import os",))
    assert veto(Candidate(pieces=(piece,))) is None
    bad = "def f():\n    from attrs.validators import in_\n"
    assert "'attrs'" in veto(Candidate(pieces=(Piece(stub=stub, definition=bad),)))


def test_model_and_sandbox_of_ones_own(tmp_path: Path) -> None:
    """A program answers, first with code that looks about, and the sandbox shows it nothing."""
    require("bubblewrap")
    secret = tmp_path / "secret.txt"
    secret.write_text("s3cret")
    probe = python(
        f"""
        import os
        import socket

        def split(cents: int, people: int) -> list[int]:
            seen = [os.path.exists({str(secret)!r}), os.path.exists("/etc/shadow")]
            seen.append(len([each for each in os.listdir("/proc") if each.isdigit()]) > 5)
            try:
                socket.create_connection(("127.0.0.1", 9), timeout=1)
            except OSError as error:
                seen.append("refused" in str(error))
            raise ValueError(f"seen: {{seen}}")
        """
    )
    project = project_with(("model_from_a_command.py", "sandbox_of_ones_own.py"), tmp_path)
    folder = project.temporary
    (folder / "first.md").write_text(probe)
    (folder / "second.md").write_text(RIGHT)
    program = folder / "ask"
    program.write_text(
        f"""#!/bin/sh
        cd '{folder}'
        cat > prompt.txt
        cat first.md
        mv -f second.md first.md 2>/dev/null || true
        """
    )
    program.chmod(0o755)
    run = project.heal(
        "--selfheal-sandbox=bubblewrap", env={"SELFHEAL_COMMAND": f"'{program}' --quiet"}
    )
    assert run.status == 0, run.output
    assert run.report is not None
    assert run.report["model"]["name"] == str(program)
    assert run.report["model"]["requests"] == 2
    assert run.report["sandbox"]["backend"] == "my bwrap"
    assert "divmod" in run.text("money.py")
    prompt = (folder / "prompt.txt").read_text()
    assert "Target: money.py::split\n" in prompt
    assert "ValueError: seen: [False, False, False, True]" in prompt


def test_model_of_ones_own_that_fails() -> None:
    made = runpy.run_path(str(EXAMPLES / "model_from_a_command.py"))["CommandModel"]
    with pytest.raises(ModelUnavailable, match=r"^false gave no reply: .* exit status 1\.$"):
        made(["false"]).ask("", targets=["a.py::f"], attempt=1)
    with pytest.raises(ModelUnavailable, match=r"^no-such gave no reply: .*No such file"):
        made(["no-such"]).ask("", targets=["a.py::f"], attempt=1)


def test_sandbox_with_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    require("landlock")
    data = tmp_path / "data"
    data.mkdir()
    (data / "people.txt").write_text("3")
    root = tmp_path / "project"
    root.mkdir()
    (root / "test_it.py").write_text(
        f"def test_it():\n    assert open({str(data / 'people.txt')!r}).read() == '3'\n"
    )
    hook = runpy.run_path(str(EXAMPLES / "sandbox_with_a_folder.py"))["pytest_selfheal_launcher"]
    around = workspace(root)
    settings = SimpleNamespace(limits=Limits())
    monkeypatch.delenv("SELFHEAL_DATA", raising=False)
    assert hook("landlock", settings, around) is None

    monkeypatch.setenv("SELFHEAL_DATA", str(data))
    with (
        contextlib.closing(hook("landlock", settings, around)) as launcher,
        contextlib.closing(launcher.launch()) as sandbox,
    ):
        outcome = sandbox.run(Job(nodes=("test_it.py::test_it",)))
    assert [result.outcome for result in outcome.results] == ["passed"], outcome
