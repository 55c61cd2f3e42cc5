"""The documentation's pages and the blocks in them, as a Markdown parser sees them.

A comment directly above a block says where it is not run, and why:

    <!-- not run: needs a daemon of Podman's -->

or with which status it rightly ends, and with it what was pasted so far:

    <!-- ends with 1: the tests are red -->
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt

ROOT = Path(__file__).resolve().parent.parent
PAGES = tuple(
    sorted(
        page
        for page in (
            *(ROOT / "docs").rglob("*.md"),
            *ROOT.glob("*.md"),
            ROOT / "example_project" / "README.md",
        )
        if "_build" not in page.parts
    )
)

SHELL = ("sh", "bash", "console")
_COMMANDS = ("cd", "docker", "export", "git", "make", "pip", "podman", "pytest", "python")
_NOT_RUN = re.compile(r"<!-- not run: (?P<why>[^\n]{5,}?) -->")
_ENDS = re.compile(r"<!-- ends with (?P<status>\d): [^\n]{5,}? -->")


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A block of code on a page."""

    page: str
    """From the repository's top, with forward slashes."""
    line: int
    """Its first line, from 1."""
    info: str
    """The words that it was opened with; for an indented block, what its text shows."""
    text: str
    """For `console`, the commands alone."""
    not_run: str | None = None
    """Why the tests do not run it."""
    status: int | None = None
    """With what it ends, where that is said."""

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def blocks_of(text: str, page: str) -> Iterator[Block]:
    """The blocks of a page's text, in order; those that a directive makes are left out."""
    above = ""
    for token in MarkdownIt().parse(text):
        if token.type in ("fence", "code_block"):
            assert token.map is not None
            info = token.info.strip() if token.type == "fence" else _kind(token.content)
            marked, ends = _NOT_RUN.fullmatch(above), _ENDS.fullmatch(above)
            if not info.startswith("{"):
                yield Block(
                    page=page,
                    line=token.map[0] + 1,
                    info=info,
                    text=_commands(token.content) if info == "console" else token.content,
                    not_run=marked["why"] if marked else None,
                    status=int(ends["status"]) if ends else None,
                )
        above = token.content.strip() if token.type == "html_block" else ""


def all_blocks(*infos: str) -> list[Block]:
    """The blocks of all pages that are opened with one of these."""
    return [
        block
        for page in PAGES
        for block in blocks_of(page.read_text("utf-8"), page.relative_to(ROOT).as_posix())
        if block.info in infos
    ]


def _kind(text: str) -> str:
    """What an indented block is: commands, an ini file, or anything else (`text`)."""
    first = text.split(maxsplit=1)[0] if text.strip() else ""
    if first in _COMMANDS and not re.search(r"[─│]", text):  # no drawing
        return "sh"
    if re.match(r"\[\w+\]\n|selfheal_\w+ = ", text):
        return "ini"
    return "text"


def _commands(text: str) -> str:
    """What was typed, of a session with prompts."""
    lines = text.splitlines()
    return "\n".join(line[2:] for line in lines if line.startswith(("$ ", "> "))) + "\n"
