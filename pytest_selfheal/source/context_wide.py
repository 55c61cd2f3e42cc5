"""What to quote where the usual did not suffice: whole files, and the modules they import."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

from pytest_selfheal.records import Excerpt
from pytest_selfheal.source.context_uses import Read
from pytest_selfheal.source.page import Page, cut
from pytest_selfheal.source.parsing import UnparsableError, parse

_EACH = 24_000
"""Characters of one file."""
_IMPORTED = 24_000
"""Characters of all imported modules."""


def widened(
    modules: Sequence[Excerpt], tests: Sequence[Excerpt], read: Read, files: Collection[str]
) -> tuple[list[Excerpt], tuple[Excerpt, ...]]:
    """Quote the same files whole, and the project's modules that they import after them.

    Args:
        modules: The targets' modules as they are quoted otherwise.
        tests: The test files.
        read: Gives a project file's bytes by its relative path, or `None`.
        files: All files of the project that may be quoted.

    Returns:
        The modules and the tests; of a file that is too long, its head and tail.
    """
    wide = [_whole(excerpt, read) for excerpt in modules]
    known = {excerpt.path for excerpt in (*modules, *tests)}
    room = _IMPORTED
    for path in dict.fromkeys(
        found for excerpt in (*modules, *tests) for found in imported(excerpt.path, read, files)
    ):
        source = None if path in known else read(path)
        if source and (text := Page(source).text).strip() and len(text) <= room:
            wide.append(Excerpt(path=path, text=text, note="imported"))
            room -= len(text)
    return wide, tuple(_whole(excerpt, read) for excerpt in tests)


def imported(path: str, read: Read, files: Collection[str]) -> Iterator[str]:
    """Give the project's files that a file of it imports, in the file's order."""
    source = read(path)
    if source is None:
        return
    try:
        tree = parse(source)
    except UnparsableError:
        return
    for node in ast.walk(tree):
        yield from files_of(node, path, files)


def files_of(node: ast.AST, path: str, files: Collection[str]) -> Iterator[str]:
    """Give the project's files that an import in a file names."""
    for dotted, folder in _modules_of(node, path):
        name = dotted.replace(".", "/")
        places = [f"{name}.py", f"{name}/__init__.py"] if name else ["__init__.py"]
        if folder is not None:
            places = [f"{folder}/{place}".lstrip("/") for place in places]
            yield from (place for place in places if place in files)
        else:
            # From whatever folder it is imported: `src`, or the rootdir.
            ends = tuple(f"/{place}" for place in places)
            yield from sorted(f for f in files if f in places or f.endswith(ends))[:1]


def _modules_of(node: ast.AST, path: str) -> Iterator[tuple[str, str | None]]:
    """The modules that an import names, each with the folder that it is looked for in."""
    if isinstance(node, ast.Import):
        yield from ((alias.name, None) for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        folder = None
        if node.level:
            parts = path.split("/")
            if node.level > len(parts):
                return
            folder = "/".join(parts[: -node.level])
        module = node.module or ""
        if module or not node.names:
            yield module, folder
        for alias in node.names:  # which may be a module of the package
            yield ".".join(filter(None, (module, alias.name))), folder


def _whole(excerpt: Excerpt, read: Read) -> Excerpt:
    source = read(excerpt.path)
    if source is None:
        return excerpt
    text = Page(source).text
    note = excerpt.note if len(text) > _EACH else "the whole file"
    return replace(excerpt, text=cut(text, _EACH), note=note)
