"""The documentation says what is so: its tables, links and examples, checked and run."""

from __future__ import annotations

import inspect
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest

from pytest_selfheal import hookspecs
from pytest_selfheal.option_table import DEFAULT_MODEL, OPTIONS
from pytest_selfheal.options import Option
from pytest_selfheal.records import (
    Attempt,
    HealReport,
    ModelUsage,
    SourceWarning,
    Status,
    Strategy,
    StubReport,
    Verdict,
)
from pytest_selfheal.report.json_report import as_json
from tests.pages import PAGES, ROOT
from tests.pasting import SANDBOX, make_commands, paste
from tests.sandboxes import require

README = ROOT / "README.md"
REFERENCE = ROOT / "docs" / "reference.md"

_BLOCK = re.compile(r"^```(?P<info>[^\n`]*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\((?P<target>[^)\s]+)\)")


def page_id(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def blocks(page: Path, info: str) -> list[str]:
    """The texts of a page's fenced blocks that were opened with these words."""
    text = page.read_text(encoding="utf-8")
    return [found["text"] for found in _BLOCK.finditer(text) if found["info"] == info]


def section(page: Path, heading: str) -> str:
    """What stands under a heading, up to the next one of its rank or a higher one."""
    text = page.read_text(encoding="utf-8")
    rank = len(heading) - len(heading.lstrip("#"))
    after = text.split(f"\n{heading}\n", 1)[1]
    return re.split(rf"^#{{1,{rank}}} ", after, maxsplit=1, flags=re.MULTILINE)[0]


def example_json(heading: str) -> Any:
    found = _BLOCK.search(section(REFERENCE, heading))
    assert found is not None
    return json.loads(found["text"])


# --- what stands in the reference ------------------------------------------------------


NONE = "\N{EN DASH}"


def option_row(option: Option) -> str:
    value = f"={option.metavar}" if option.metavar else ""
    cells = (
        f"`{option.flag}{value}`" if option.flag else NONE,
        f"`{option.ini}`" if option.ini else NONE,
        shown_default(option),
        option.help,
    )
    return f"| {' | '.join(cells)} |"


def shown_default(option: Option) -> str:
    if option.kind == "flag":
        return "off"
    if option.default is None:
        return NONE
    return f"`{str(option.default).lower() if option.kind == 'bool' else option.default}`"


def option_table() -> str:
    """The table as `option_table.py` has it: copy it into the reference after a change there."""
    head = "| command line | ini | default | meaning |\n| --- | --- | --- | --- |"
    return "\n".join([head, *map(option_row, OPTIONS)])


def test_option_table_is_that_of_the_code() -> None:
    text = REFERENCE.read_text(encoding="utf-8")
    table = re.search(r"<!-- options:.*?-->\n(.*?)\n<!-- end of options -->", text, re.DOTALL)
    assert table is not None
    assert table[1] == option_table()


def test_every_hook_has_a_section_with_an_example() -> None:
    hooks = [name for name, _ in inspect.getmembers(hookspecs, inspect.isfunction)]
    named = re.findall(r"^### (pytest_selfheal_\w+)$", section(REFERENCE, "## Hooks"), re.MULTILINE)
    assert sorted(named) == sorted(name for name in hooks if name.startswith("pytest_selfheal_"))
    for name in named:
        assert f"def {name}(" in section(REFERENCE, f"### {name}")


@pytest.mark.parametrize(
    ("heading", "values"),
    [
        pytest.param("| a stub's `status` | meaning |", get_args(Status), id="statuses"),
        pytest.param("| an attempt's `verdict` | meaning |", get_args(Verdict), id="verdicts"),
        pytest.param(
            "| an attempt's `strategy` | how it was asked for |",
            get_args(Strategy),
            id="strategies",
        ),
    ],
)
def test_values_of_the_report_are_listed(heading: str, values: tuple[str, ...]) -> None:
    text = section(REFERENCE, "## The JSON report")
    table = text.split(heading, 1)[1].split("\n\n", 1)[0]
    assert sorted(re.findall(r"^\| `([\w-]+)` \|", table, re.MULTILINE)) == sorted(values)


def keys_of(value: Any) -> Any:
    """The shape of a JSON value: names, and the shape of a list's first item."""
    if isinstance(value, dict):
        return {name: keys_of(inner) for name, inner in value.items()}
    if isinstance(value, list) and value:
        return [keys_of(value[0])]
    return None


def test_json_report_is_shown_as_it_is() -> None:
    report = HealReport(
        mode="apply",
        exit_status=0,
        seconds=1.0,
        model=ModelUsage(),
        backend="docker",
        verifications=1,
        stubs=(
            StubReport(
                target="a.py::f",
                status="healed",
                attempts=(Attempt(verdict="passed"),),
                tests=("t",),
            ),
        ),
        healed_tests=("t",),
        warnings=(SourceWarning(path="a.py", line=1, message="m"),),
        notes=("n",),
    )
    assert keys_of(example_json("## The JSON report")) == keys_of(as_json(report))


def test_default_model_is_named_in_the_readme() -> None:
    assert f"--selfheal-model={DEFAULT_MODEL}" in README.read_text(encoding="utf-8")


# --- what holds for every page ---------------------------------------------------------


def headings(page: Path) -> set[str]:
    """The anchors of a page, as GitHub makes them."""
    text = _BLOCK.sub("", page.read_text(encoding="utf-8"))
    found = re.findall(r"^#{1,6} (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in found}


def broken_links(page: Path) -> Iterator[str]:
    for found in _LINK.finditer(_BLOCK.sub("", page.read_text(encoding="utf-8"))):
        target = found["target"]
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        if not file.exists() or (anchor and anchor not in headings(file)):
            yield target


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_links_lead_somewhere(page: Path) -> None:
    assert list(broken_links(page)) == []


def test_broken_links_are_seen(tmp_path: Path) -> None:
    page = tmp_path / "a.md"
    page.write_text("# A B\n[1](a.md#a-b) [2](#a-b) [3](b.md) [4](#c) [5](https://example.org)\n")
    assert list(broken_links(page)) == ["b.md", "#c"]


def test_every_page_can_be_reached_from_the_readme() -> None:
    seen: set[Path] = set()
    pending = [README]
    while pending:
        page = pending.pop()
        seen.add(page)
        for found in _LINK.finditer(page.read_text(encoding="utf-8")):
            path = (page.parent / found["target"].partition("#")[0]).resolve()
            if path.suffix == ".md" and path.exists() and path not in seen:
                pending.append(path)
    # The site's own copies of pages that lie elsewhere are for the site alone.
    unseen = [page for page in set(PAGES) - seen if not page.read_text().startswith("```{include}")]
    assert sorted(map(page_id, unseen)) == []


_MACHINE_PATH = re.compile(r"(?<![\w.])/(?:home|Users|root|work|tmp|srv|opt|mnt|private)/[\w.-]+")


@pytest.mark.parametrize(
    "page",
    sorted({*PAGES, *(f for f in (ROOT / "docs").rglob("*") if f.suffix in (".svg", ".py"))}),
    ids=page_id,
)
def test_no_path_of_a_machine(page: Path) -> None:
    assert _MACHINE_PATH.findall(page.read_text(encoding="utf-8")) == []


def test_make_targets_in_the_readme_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    named = set(re.findall(r"`make (\w+)`", README.read_text(encoding="utf-8")))
    assert named == {"demo", "docs", "test"}
    assert all(re.search(rf"^{target}:", makefile, re.MULTILINE) for target in named)


def test_picture_shows_a_whole_heal() -> None:
    picture = ROOT / "docs" / "pictures" / "terminal.svg"
    text = re.sub(r"<[^>]*>", "", picture.read_text(encoding="utf-8")).replace("&#160;", " ")
    assert "$ pytest --selfheal --selfheal-replay=recording.jsonl" in text
    assert re.search(r"selfheal apply: 9 healed; \d+ requests to demo", text)
    assert re.search(r"45 passed, 83 healed in [\d.]+s", text)


# --- what is pasted --------------------------------------------------------------------


@pytest.fixture(scope="module")
def commands(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `pytest` and more, as this very Python has them."""
    return make_commands(tmp_path_factory.mktemp("bin"))


def readme_example() -> str:
    example = next(block for block in blocks(README, "sh") if block.startswith("mkdir"))
    assert example.count("\npytest ") == 1
    return example


def test_readme_example_heals(tmp_path: Path, commands: Path) -> None:
    require(SANDBOX)
    result = paste(readme_example(), tmp_path, commands)
    assert result.returncode == 0, result.stdout + result.stderr
    assert re.search(r"^=+ 2 healed in [\d.]+s", result.stdout, re.MULTILINE)
    healed = (tmp_path / "fair" / "money.py").read_text()
    assert result.stdout.endswith(healed)
    assert "heal" not in healed
    assert "share, rest = divmod(cents, people)" in healed


def test_readme_example_is_short() -> None:
    assert len(readme_example().splitlines()) <= 25


def test_tutorial_can_be_pasted(tmp_path: Path, commands: Path) -> None:
    require(SANDBOX)
    tutorial = ROOT / "docs" / "tutorial.md"
    result = paste("\n".join(blocks(tutorial, "sh")), tmp_path, commands)
    assert result.returncode == 0, result.stdout + result.stderr
    runs = re.findall(r"^=+ (\d+ \w+) in [\d.]+s", result.stdout, re.MULTILINE)
    assert runs == ["7 failed", "7 failed", "7 healed", "7 passed"]
    assert "healed    parking.py::fee  (2 attempts, 7 tests)" in result.stdout
    assert "healed    parking.py::fee  (2 attempts, 7 tests)" in tutorial.read_text("utf-8")
    healed = (tmp_path / "parking" / "parking.py").read_text()
    assert healed.startswith("import math\n")
    assert "pytest_selfheal" not in healed


def test_ci_script_proposes_on_a_branch(tmp_path: Path, commands: Path) -> None:
    """The page's own scripts, in a clone of a repository that stands for the server's."""
    require(SANDBOX)
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    paste(readme_example().partition("\npytest ")[0], tmp_path, commands)
    prepare = """
    git init -q -b main fair && cd fair && git add . && git commit -q -m start && cd ..
    git init -q --bare -b main origin.git
    cd fair && git remote add origin ../origin.git && git push -q origin main
    """
    config = "\n".join(
        f"export GIT_{role}_{what}={value}"
        for role in ("AUTHOR", "COMMITTER")
        for what, value in (("NAME", "ci"), ("EMAIL", "ci@example.org"))
    )
    result = paste(f"{config}\n{prepare}", tmp_path, commands)
    assert result.returncode == 0, result.stderr
    propose, push, show, check = blocks(ROOT / "docs" / "how-to" / "ci.md", "sh")
    folder = tmp_path / "fair"
    options = ["--selfheal-replay=replies.jsonl", "--selfheal-report=selfheal.json"]
    result = paste(f"{config}\n{propose}\n{push}", folder, commands, *options)
    assert result.returncode == 1, result.stdout + result.stderr
    shown = paste("git show origin/selfheal/main:money.py; git status --short", folder, commands)
    assert "divmod" in shown.stdout, result.stdout + result.stderr
    log = paste("git log -1 --format=%s origin/selfheal/main", folder, commands)
    assert log.stdout == "Heal stubs from their failing tests\n"

    paste("git checkout -q main", folder, commands)
    result = paste(show, folder, commands)
    assert result.returncode == 0, result.stderr
    assert "## selfheal propose: 1 healed\n" in result.stdout
    assert "\n::notice file=money.py,title=selfheal%3A healed,line=" in result.stdout
    assert "\nselfheal: selfheal/main -> main: Heal 1 stub from failing tests\n" in result.stdout
    (finding,) = json.loads((folder / "code-quality.json").read_text())
    assert finding["location"]["path"] == "money.py"
    assert paste(check, folder, commands).returncode == 1


# --- the hook examples -----------------------------------------------------------------


MAKES_PROJECT = readme_example().partition("\npytest ")[0]


def run_hook(
    name: str, folder: Path, commands: Path, replay: str = "--selfheal-replay=replies.jsonl"
) -> tuple[subprocess.CompletedProcess[str], Path]:
    """The README's project with a hook's example as its conftest, healed."""
    require(SANDBOX)
    found = _BLOCK.search(section(REFERENCE, f"### {name}"))
    assert found is not None
    assert found["info"] == "python conftest"
    assert paste(MAKES_PROJECT, folder, commands).returncode == 0
    project = folder / "fair"
    (project / "conftest.py").write_text(found["text"], encoding="utf-8")
    (project / "answers").mkdir()
    replies = [json.loads(line) for line in (project / "replies.jsonl").read_text().splitlines()]
    for each in replies[1:]:
        (project / "answers" / f"split.{each['attempt']}.md").write_text(each["reply"])
    return paste(f"pytest --selfheal {replay} --selfheal-report=r.json", project, commands), project


def make_anew(folder: Path, commands: Path) -> None:
    """Put the project's files back as they were before the heal."""
    made = paste(MAKES_PROJECT.replace("mkdir fair &&", ""), folder, commands)
    assert made.returncode == 0, made.stderr


def report_of(project: Path) -> Any:
    return json.loads((project / "r.json").read_text())


def test_model_hook(tmp_path: Path, commands: Path) -> None:
    result, project = run_hook("pytest_selfheal_model", tmp_path, commands, replay="")
    assert result.returncode == 0, result.stdout + result.stderr
    assert report_of(project)["model"]["name"] == "a folder"
    assert report_of(project)["model"]["requests"] == 2


def test_model_hook_without_an_answer(tmp_path: Path, commands: Path) -> None:
    _, project = run_hook("pytest_selfheal_model", tmp_path, commands, replay="")
    make_anew(tmp_path, commands)
    (project / "answers" / "split.1.md").unlink()
    result = paste("pytest --selfheal", project, commands)
    assert result.returncode == 1
    assert "there is no answer 'split.1.md': write one" in result.stdout


def test_launcher_hook(tmp_path: Path, commands: Path) -> None:
    result, project = run_hook("pytest_selfheal_launcher", tmp_path, commands)
    assert result.returncode == 0, result.stdout + result.stderr
    assert report_of(project)["sandbox"]["backend"] == "timed landlock"
    starts = [float(line) for line in (project / "starts.txt").read_text().splitlines()]
    assert len(starts) >= report_of(project)["sandbox"]["verifications"]


def test_prompt_hook(tmp_path: Path, commands: Path) -> None:
    result, project = run_hook("pytest_selfheal_prompt", tmp_path, commands)
    assert result.returncode == 0, result.stdout + result.stderr
    conftest = project / "conftest.py"
    conftest.write_text(conftest.read_text() + KEEPS_PROMPTS, encoding="utf-8")
    make_anew(tmp_path, commands)
    result = paste("pytest --selfheal --selfheal-replay=replies.jsonl", project, commands)
    assert result.returncode == 0, result.stdout + result.stderr
    prompts = (project / "prompts.txt").read_text()
    assert prompts.count("\nAmounts of money are whole cents in this house, never floats.\n") == 2
    assert prompts.count("\nTarget: money.py::split\n") == 2


# A recording looks at no prompt, so that what is sent has to be kept by somebody else.
KEEPS_PROMPTS = """

@pytest.hookimpl(optionalhook=True)
def pytest_selfheal_model(settings):
    from pytest_selfheal.model.recording import ReplayModel

    class Keeper(ReplayModel):
        def ask(self, prompt, *, targets, attempt):
            with open("prompts.txt", "a", encoding="utf-8") as file:
                file.write(prompt)
            return super().ask(prompt, targets=targets, attempt=attempt)

    return Keeper(settings.replay)
"""


def test_veto_hook(tmp_path: Path, commands: Path) -> None:
    result, project = run_hook("pytest_selfheal_veto", tmp_path, commands)
    assert result.returncode == 0, result.stdout + result.stderr
    first, second = report_of(project)["stubs"][0]["attempts"]
    assert first["verdict"] == "refused"
    assert first["why"] == "split uses '//': write divmod, which shows the rest as well"
    assert second["verdict"] == "passed"


def test_attempt_hook(tmp_path: Path, commands: Path) -> None:
    result, project = run_hook("pytest_selfheal_attempt", tmp_path, commands)
    assert result.returncode == 0, result.stdout + result.stderr
    told = (project / "attempts.txt").read_text()
    assert told == "money.py::split 1 failed\nmoney.py::split 2 passed\n"


def test_healed_hook(tmp_path: Path, commands: Path) -> None:
    result, project = run_hook("pytest_selfheal_healed", tmp_path, commands)
    assert result.returncode == 0, result.stdout + result.stderr
    told = (project / "healed.txt").read_text()
    assert told.startswith("money.py::split after 2 attempts\n--- a/money.py\n")


@pytest.mark.parametrize(
    "name", re.findall(r"^### (pytest_selfheal_\w+)$", REFERENCE.read_text("utf-8"), re.MULTILINE)
)
def test_hook_example_does_no_harm_without_the_plugin(
    name: str, tmp_path: Path, commands: Path
) -> None:
    found = _BLOCK.search(section(REFERENCE, f"### {name}"))
    assert found is not None
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / "conftest.py").write_text(found["text"], encoding="utf-8")
    (tmp_path / "test_a.py").write_text("def test_a():\n    pass\n")
    script = "unset PYTEST_ADDOPTS\npytest -q -p no:selfheal"
    result = paste(script, tmp_path, commands)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "1 passed" in result.stdout
