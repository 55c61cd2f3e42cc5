"""Every block of code in the documentation: commands are run, settings read, code executed."""

from __future__ import annotations

import configparser
import itertools
import json
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from pytest_selfheal.option_table import OPTIONS
from pytest_selfheal.settings import read_settings
from pytest_selfheal.source.find import find_in_source
from tests.harness import python
from tests.pages import PAGES, ROOT, SHELL, Block, all_blocks, blocks_of
from tests.pasting import SANDBOX, make_commands, paste
from tests.sandboxes import require
from tests.scripted_server import ScriptedServer

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FLAGS = {option.flag for option in OPTIONS if option.flag}
KEYS = {option.ini for option in OPTIONS if option.ini}

KNOWN = {*SHELL, "text", "python", "python conftest", "json", "toml", "ini", "yaml", "dockerfile"}
"""`python conftest` blocks are run by `test_docs.py`, as conftest files."""

PASTED_WHOLE = {"docs/tutorial.md"}
"""Pages that `test_docs.py` pastes from the first block to the last; and there is what makes a
project of its own, as the README's example does."""


def ids(blocks: Iterable[Block]) -> list[Any]:
    return [pytest.param(block, id=str(block)) for block in blocks]


# --- the parser, and what holds for every block ----------------------------------------

SAMPLE = """\
# A page

<!-- not run: it takes a daemon -->
```sh
docker run x
```

- In a list:

  ```console
  $ pytest --selfheal
  1 healed
  $ cat > a <<EOF
  > text
  ```

Words

    pytest -q

Words

    [pytest]
    selfheal_jobs = 2

<!-- not run: this one is about something else -->

Words

    pytest run ─► failures

```{toctree}
a
```
"""


def test_blocks_are_seen() -> None:
    found = [(b.info, b.text, b.line, b.not_run) for b in blocks_of(SAMPLE, "a.md")]
    assert found[0] == ("sh", "docker run x\n", 4, "it takes a daemon")
    assert found[1][:2] == ("console", "pytest --selfheal\ncat > a <<EOF\ntext\n")
    assert [each[0] for each in found] == ["sh", "console", "sh", "ini", "text"]
    assert [each[3] for each in found[1:]] == [None] * 4
    (ending,) = blocks_of("<!-- ends with 1: it is red -->\n```sh\npytest\n```\n", "a.md")
    assert (ending.status, ending.not_run) == (1, None)


def test_every_block_says_what_it_is() -> None:
    every = [
        block
        for page in PAGES
        for block in blocks_of(page.read_text("utf-8"), page.relative_to(ROOT).as_posix())
    ]
    assert len(every) > 50
    assert [f"{block}: {block.info!r}" for block in every if block.info not in KNOWN] == []


def test_every_marker_is_above_a_block() -> None:
    marker = re.compile(r"^ *<!-- (?:not run|ends with)", re.MULTILINE)
    for page in PAGES:
        text = page.read_text("utf-8")
        marked = [b for b in blocks_of(text, page.name) if b.not_run or b.status is not None]
        assert len(marker.findall(text)) == len(marked), page


# --- names of options, wherever they stand ---------------------------------------------


def unknown_options(text: str) -> Iterator[str]:
    """What looks like an option of ours in a text and is none."""
    for found in re.finditer(r"--selfheal(?:-[a-z]+)*(?![\w-])(?:=([\w.-]+))?", text):
        flag = found[0].partition("=")[0]
        option = next((each for each in OPTIONS if each.flag == flag), None)
        if option is None or (
            option.choices and found[1] and found[1].islower() and found[1] not in option.choices
        ):
            yield found[0]
    for key in re.findall(r"(?m)(?:^\s*|`|-o )(selfheal_[a-z_]+)\b(?=`| ?=)", text):
        if key not in KEYS:
            yield key


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_options_that_are_named_exist(page: Path) -> None:
    assert list(unknown_options(page.read_text("utf-8"))) == []


def test_unknown_options_are_seen() -> None:
    text = "`--selfheal-mode=applied` --selfheal-jobbs=3, `selfheal_jobbs`\nselfheal_mod = 1\n"
    wrong = ["--selfheal-mode=applied", "--selfheal-jobbs=3", "selfheal_jobbs", "selfheal_mod"]
    assert list(unknown_options(text)) == wrong
    assert list(unknown_options("--selfheal-mode=review -o selfheal_mode=apply `selfheal`")) == []


# --- commands --------------------------------------------------------------------------

REPLY = python(
    """
    def split(cents: int, people: int) -> list[int]:
        share, rest = divmod(cents, people)
        return [share + (n < rest) for n in range(people)]
    """
)
OPTIONS_OF_COMMANDS = ("-p pytest_selfheal.plugin", "-p xdist.plugin", "-o selfheal_price=1,10")
"""The plugins that pages speak of, and the price of a model that no list has."""
_MAKES_ITS_OWN = re.compile(r"^mkdir \w+ && cd ", re.MULTILINE)


def sessions(blocks: Iterable[Block]) -> Iterator[tuple[str, list[Block]]]:
    """The blocks of each page, as they are pasted into one shell; one that ends it is the last."""
    for page, of_page in itertools.groupby(blocks, key=lambda block: block.page):
        session: list[Block] = []
        for block in of_page:
            session.append(block)
            if block.status is not None or re.search(r"^exit\b", block.text, re.MULTILINE):
                yield page, session
                session = []
        if session:
            yield page, session


def to_run() -> list[Block]:
    return [
        block
        for block in all_blocks(*SHELL)
        if not block.not_run
        and block.page not in PASTED_WHOLE
        and not _MAKES_ITS_OWN.search(block.text)
    ]


def test_there_are_commands_to_run() -> None:
    pages = {page for page, _ in sessions(to_run())}
    assert {"README.md", "docs/how-to/use-a-model.md", "docs/how-to/ci.md"} <= pages


def test_commands(tmp_path: Path) -> None:
    """Every page's commands, in one project that the first of them heals."""
    require(SANDBOX)
    (tmp_path / "bin").mkdir()
    commands = make_commands(tmp_path / "bin")
    project = make_project(tmp_path, commands)
    with ScriptedServer({"money.py::split": [REPLY]}) as server:
        env = {
            "OPENAI_BASE_URL": server.base_url,
            "OPENAI_API_KEY": "none",
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            "PYTEST_XDIST_AUTO_NUM_WORKERS": "1",
            **{
                f"GIT_{role}_{what}": value
                for role in ("AUTHOR", "COMMITTER")
                for what, value in (("NAME", "ci"), ("EMAIL", "ci@example.org"))
            },
        }
        failed = []
        for _, session in sessions(to_run()):
            script = "\n".join(f"echo '# {block}' >&2\n{block.text}" for block in session)
            # The one server stands for those that the pages name.
            script = re.sub(r"http://localhost:\d+/v1", server.base_url, script)
            if "--selfheal-explain=" in script:
                script = f"git checkout -q HEAD -- money.py\n{script}"
            result = paste(script, project, commands, *OPTIONS_OF_COMMANDS, env=env)
            if result.returncode != (session[-1].status or 0):
                failed.append(f"{session[0]}: {result.returncode}\n{result.stdout}{result.stderr}")
        assert not failed, "\n\n".join(failed)
        assert [request.targets for request in server.requests] == [("money.py::split",)]


def make_project(folder: Path, commands: Path) -> Path:
    """The README's project, committed, with a bare repository to push to."""
    readme = next(b.text for b in all_blocks("sh") if _MAKES_ITS_OWN.search(b.text))
    files = readme.partition("\npytest ")[0]
    script = f"""{files}
    git init -q -b main . && git add . && git -c user.name=a -c user.email=a@b.c commit -q -m start
    git init -q --bare -b main ../origin.git
    git remote add origin ../origin.git && git push -q origin main
    """
    made = paste(script, folder, commands)
    assert made.returncode == 0, made.stderr
    return folder / "fair"


@pytest.mark.parametrize("block", ids(all_blocks(*SHELL)))
def test_make_targets_exist(block: Block) -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    for target in re.findall(r"^\s*make ([a-z]+)", block.text, re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


# --- settings --------------------------------------------------------------------------


@pytest.mark.parametrize("block", ids(all_blocks("toml", "ini")))
def test_settings_are_accepted(
    block: Block, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    if block.info == "toml":
        table = tomllib.loads(block.text)
        table = table.get("tool", {}).get("pytest", {}).get("ini_options", table)
        head = "" if "[tool.pytest" in block.text else "[tool.pytest.ini_options]\n"
        pytester.makepyprojecttoml(head + block.text)
    else:
        parser = configparser.ConfigParser()
        parser.read_string(block.text)
        table = dict(parser["pytest"])
        pytester.makeini(block.text)
    ours = {key for key in table if key.startswith("selfheal_")}
    assert ours
    assert ours <= KEYS
    settings = read_settings(pytester.parseconfig())
    for key in ours:
        assert getattr(settings, key.removeprefix("selfheal_"), True) is not None


@pytest.mark.parametrize("block", ids(all_blocks("yaml")))
def test_yaml_is_what_it_says(block: Block) -> None:
    value = yaml.safe_load(block.text)
    assert value
    offered = {
        hook["id"] for hook in yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text("utf-8"))
    }
    for repo in value.get("repos", ()) if isinstance(value, dict) else ():
        assert {hook["id"] for hook in repo["hooks"]} <= offered


@pytest.mark.parametrize("block", ids(all_blocks("json")))
def test_json_can_be_read(block: Block) -> None:
    try:
        assert json.loads(block.text)
    except json.JSONDecodeError:  # lines of JSON
        assert [json.loads(line) for line in block.text.splitlines()]


# --- Python ----------------------------------------------------------------------------


@pytest.mark.parametrize("block", ids(b for b in all_blocks("python") if not b.not_run))
def test_python_runs(block: Block) -> None:
    exec(compile(block.text, str(block), "exec"), {"__name__": "documented"})
    if "selfheal" in block.text and "def " in block.text:
        found = find_in_source(block.text.encode(), "documented.py")
        assert found.stubs
        assert not found.warnings
