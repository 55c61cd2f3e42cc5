"""What git knows of a folder, asked of git itself. Nothing here changes a repository."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pytest_selfheal.programs import ProgramFailed, run_program

_SECONDS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Whom a commit is by."""

    name: str
    email: str


NEUTRAL = Identity(name="pytest-selfheal", email="pytest-selfheal@localhost.invalid")
"""Where the user has told git of no name."""


def identity(folder: Path) -> Identity:
    """The author that git would give a commit here, `NEUTRAL` where none is configured."""
    # Without that setting git makes an address up from the names of the user and the machine.
    told = _ask(folder, "-c", "user.useConfigOnly=true", "var", "GIT_AUTHOR_IDENT")
    found = re.fullmatch(r"([^<>\n]*\S) <([^<>\n]+)> \d+ [+-]\d{4}", told.strip())
    return Identity(name=found[1], email=found[2]) if found else NEUTRAL


def object_format(folder: Path) -> str:
    """The hash of the repository's objects: `sha1`, also where there is no repository."""
    told = _ask(folder, "rev-parse", "--show-object-format").strip()
    return told if told in ("sha1", "sha256") else "sha1"


def converted(folder: Path, paths: Sequence[str]) -> frozenset[str]:
    """Which of these files git keeps with line feeds alone, though they have CRLF here."""
    if not paths:
        return frozenset()
    # Literally: a name may hold what is a pattern to git.
    told = _ask(folder, "--literal-pathspecs", "ls-files", "--eol", "-z", "--", *paths)
    found = (
        re.fullmatch(r"i/lf\s+w/(?:crlf|mixed)\s[^\t]*\t(.*)", each, re.DOTALL)
        for each in told.split("\0")
    )
    return frozenset(each[1] for each in found if each)


def unknown(folder: Path, pattern: str) -> list[str]:
    """The files of this pattern that git does not know and would not ignore, from the folder."""
    told = _ask(folder, "ls-files", "--others", "--exclude-standard", "-z", "--", pattern)
    return [each for each in told.split("\0") if each]


def uncommitted(folder: Path, paths: Sequence[str]) -> list[str]:
    """Which of these files `HEAD` has not, or not as they are; none outside a repository."""
    if not paths or not _ask(folder, "rev-parse", "--git-dir"):
        return []
    here = _ask(folder, "hash-object", "--", *paths).split()
    listed = _ask(folder, "ls-tree", "-z", "HEAD", "--", *paths).split("\0")
    # Each is `mode type name<tab>path`.
    found = (each.partition("\t") for each in listed[:-1])
    there = {path: about.split()[2] for about, _, path in found}
    return [path for path, name in zip(paths, here, strict=False) if there.get(path) != name]


def object_name(content: bytes, hash_name: str) -> str:
    """What git calls a file's content."""
    return hashlib.new(hash_name, b"blob %d\0" % len(content) + content).hexdigest()


def _ask(folder: Path, *arguments: str) -> str:
    """What git answers, nothing where it does not: without it there is less to say."""
    try:
        told = run_program("git", *arguments, folder=folder, seconds=_SECONDS)
    except ProgramFailed:
        return ""
    return told.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
