"""What the site is made with: links, docstrings, entries of options; and its pictures.

The site itself is built by `make docs`, which takes every warning for an error.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pytest_selfheal.option_table import OPTIONS
from pytest_selfheal.options import Option
from tests.pages import PAGES, ROOT

sys.path.insert(0, str(ROOT / "docs" / "_ext"))
docstrings = pytest.importorskip("docstrings")
outside_pages = pytest.importorskip("outside_pages")
selfheal_options = pytest.importorskip("selfheal_options")
selfheal_report = pytest.importorskip("selfheal_report")

PICTURES = ROOT / "docs" / "pictures"


# --- links -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("page", "link", "expected"),
    [
        pytest.param("docs/index.md", "../README.md", "index.md", id="readme"),
        pytest.param("docs/how-to/ci.md", "../../CHANGELOG.md", "../changelog.md", id="deeper"),
        pytest.param("README.md", "docs/how-to/ci.md", "how-to/ci.md", id="from outside"),
        pytest.param(
            "example_project/README.md", "../docs/security.md", "security.md", id="from a folder"
        ),
        pytest.param(
            "CONTRIBUTING.md", "docs/security.md#what-is-trusted", "security.md#what-is-trusted",
            id="with an anchor",
        ),
        pytest.param("docs/index.md", "tutorial.md", "tutorial.md", id="within"),
        pytest.param("docs/a.md", "../LICENSE", "../LICENSE", id="a file"),
        pytest.param("README.md", "https://example.org/README.md", "https://example.org/README.md",
                     id="an address"),
        pytest.param("README.md", "#modes", "#modes", id="an anchor alone"),
    ],
)  # fmt: skip
def test_links_lead_to_pages_of_the_site(page: str, link: str, expected: str) -> None:
    assert outside_pages.rewrite(f"See [it]({link}).", page) == f"See [it]({expected})."


def test_every_page_outside_has_its_place() -> None:
    outside = [page for page in PAGES if not page.is_relative_to(ROOT / "docs")]
    for page in outside:
        name = page.relative_to(ROOT).as_posix()
        assert (ROOT / "docs" / outside_pages.PAGES[name]).is_file(), name


# --- docstrings ------------------------------------------------------------------------


def test_docstrings_have_fields() -> None:
    text = """\
    Do `it`, with ```` ```python ````.

    Args:
        name: What it is: a name,
            or two.
        other: The other.

    Returns:
        A thing, or None.

    Raises:
        SandboxFailed: It did not come up.
    """
    given = [line[4:] for line in text.splitlines()]
    assert docstrings.as_rst(given) == [
        "Do ``it``, with `````python``.",
        "",
        ":param name: What it is: a name,",
        "        or two.",
        ":param other: The other.",
        "",
        ":returns:",
        "    A thing, or None.",
        "",
        ":raises SandboxFailed: It did not come up.",
        "",
    ]


def test_docstrings_without_sections_stay() -> None:
    assert docstrings.as_rst(["One: two.", "", "Three."]) == ["One: two.", "", "Three."]


# --- options ---------------------------------------------------------------------------


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.name)
def test_entry_has_all_of_an_option(option: Option) -> None:
    text = selfheal_options.entry(option)
    assert option.help in text
    for name in (option.flag, option.ini):
        assert name is None or f"`{name}" in text
    for choice in option.choices:
        assert f"`{choice}`" in text


def test_every_option_has_one_entry() -> None:
    page = (ROOT / "docs" / "reference" / "options.md").read_text("utf-8")
    named = [
        name
        for names in re.findall(r"^```\{selfheal-options\} (.*)$", page, re.MULTILINE)
        for name in names.split()
    ]
    assert sorted(named) == sorted(option.name for option in OPTIONS)


# --- order, and dashes -----------------------------------------------------------------


def test_the_sites_menu_has_the_order_of_its_first_page() -> None:
    page = (ROOT / "docs" / "index.md").read_text("utf-8")
    listed = re.findall(r"^- \[[^\]]+\]\((how-to/[\w-]+)\.md\)", page, re.MULTILINE)
    assert listed == re.findall(r"^(how-to/[\w-]+)$", page, re.MULTILINE)
    assert len(listed) == len(list((ROOT / "docs" / "how-to").iterdir()))


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.name)
def test_no_option_gets_a_dash(option: Option) -> None:
    """The site writes help texts as they stand, and makes a dash of two hyphens."""
    assert "--" not in option.help


# --- the report's keys ------------------------------------------------------------------


def test_every_key_of_the_report_is_told_of() -> None:
    page = (ROOT / "docs" / "reference" / "report.md").read_text("utf-8")
    named = re.findall(r"^```\{selfheal-report\} (.*)$", page, re.MULTILINE)
    text = "\n".join(map(selfheal_report.table, named))
    told = re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE)
    assert sorted(told) == sorted(keys_of(selfheal_report.schema()))
    for target in re.findall(r"\]\(#(\w+)\)", text):
        assert f"\n## {target}\n" in page


def keys_of(schema: Any) -> Iterator[str]:
    """All keys that the schema describes, wherever they stand."""
    if isinstance(schema, dict):
        yield from schema.get("properties", ())
        for value in schema.values():
            yield from keys_of(value)


def test_values_of_the_report_are_put_in_words() -> None:
    report, stub = map(selfheal_report.table, ("report", "stub"))
    assert "| `stubs` | a list of objects, see [stub](#stub) |" in report
    assert "| `notes` | a list of lines |" in report
    assert "| `patch` | a text or `null` |" in report
    assert "| `tests` | a list of node ids |" in stub
    assert selfheal_report.table("nonsense") == ""


# --- pictures --------------------------------------------------------------------------


def test_pictures_are_small() -> None:
    pictures = [path for path in PICTURES.iterdir() if path.suffix in (".svg", ".png")]
    assert {path.name for path in pictures} == {"terminal.svg", "tutorial.svg", "report.png"}
    assert sum(path.stat().st_size for path in pictures) < 300_000


@pytest.mark.parametrize("name", ["terminal.svg", "tutorial.svg"])
def test_drawn_pictures_load_nothing(name: str) -> None:
    text = (PICTURES / name).read_text("utf-8")
    text = text.replace('xmlns="http://www.w3.org/2000/svg"', "")
    assert not re.search(r"https?:|@import|<script|href=", text)


def test_tutorials_picture_shows_its_heal() -> None:
    drawn = (PICTURES / "tutorial.svg").read_text("utf-8")
    text = re.sub(r"<[^>]*>", "", drawn).replace("&#160;", " ")
    assert "$ pytest --selfheal --selfheal-replay=replies.jsonl" in text
    assert "healed    parking.py::fee  (2 attempts, 7 tests)" in text
    assert re.search(r"7 healed in [\d.]+s", text)


def test_photograph_is_a_picture() -> None:
    data = (PICTURES / "report.png").read_bytes()
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = (int.from_bytes(data[at : at + 4], "big") for at in (16, 20))
    assert (width, height) == (900, 760)


@pytest.mark.parametrize("page", ["README.md", "docs/tutorial.md"])
def test_pictures_are_shown_with_words(page: str) -> None:
    text = (ROOT / page).read_text("utf-8")
    shown = re.findall(r"^!\[([^\]]{30,})\]\((\S+)\)$", text, re.MULTILINE)
    assert len(shown) == 2
    for _, target in shown:
        assert Path(ROOT / page).parent.joinpath(target).is_file()
