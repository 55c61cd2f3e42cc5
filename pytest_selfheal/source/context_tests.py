"""What to quote of the failing tests: themselves, their fixtures, helpers and constants."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator, Sequence

from pytest_selfheal.records import Excerpt, Stub
from pytest_selfheal.source.context_uses import (
    Read,
    TestFile,
    called,
    is_doctest,
    split_nodeid,
    uses,
)
from pytest_selfheal.source.outline import bound_names, first_line, module_level
from pytest_selfheal.source.page import (
    Page,
    class_attributes,
    class_header,
    cut,
    introduction,
    statement_lines,
)

_EACH = 6_000
"""Characters for one file."""
_ALL = 10_000
"""Characters for all files."""
_ASSERTING = 40
"""Tests of which no prompt goes without the asserts, where these have room."""


def test_excerpts(nodeids: Sequence[str], stubs: Sequence[Stub], read: Read) -> tuple[Excerpt, ...]:
    """Quote failing tests with what they use, one excerpt for each file and conftest.

    Args:
        nodeids: pytest's node ids of the failing tests; of doctests, those in text files are
            quoted, while those in a module stand in their docstrings.
        stubs: The targets; tests that name them come first where not all have room.
        read: Gives a project file's bytes by its relative path, or `None`.

    Returns:
        At most about 6,000 characters each and 10,000 altogether; comments say what was
        left out. Where not everything has room, the asserts of the first 40 tests come
        first, then the whole tests, then what they use. Shorter, without what they use, and
        those asserts alone. Of a file that cannot be parsed, its head and tail.
    """
    names = {stub.qualname.rpartition(".")[2] for stub in stubs}
    names |= {part for stub in stubs for part in stub.qualname.split(".")[-2:-1]}
    files = uses(_relevant_first(nodeids, stubs), read)
    pages: list[Page] = []
    asserting = _ASSERTING
    for file in files:
        page = Page(file.source)
        for _, node in _naming_first(file, names)[:asserting]:
            page.add(_asserts(node))
        asserting = max(0, asserting - len(file.tests))
        pages.append(page)
    whole = [_whole(file, page, names) for file, page in zip(files, pages, strict=True)]
    limits = _shares([min(page.demand, _EACH) for page in whole], _ALL)
    quoted = (
        _excerpt(file, asserts, page, limit, names)
        for file, asserts, page, limit in zip(files, pages, whole, limits, strict=True)
    )
    return (*quoted, *_examples(nodeids, read))


test_excerpts.__test__ = False  # type: ignore[attr-defined]  # its name looks like a test


def names_in_tests(nodeids: Sequence[str], read: Read) -> frozenset[str]:
    """Give the names, also those behind a dot, that failing tests and what they use speak of."""
    said = (
        getattr(node, "id", None) or getattr(node, "attr", None)
        for file in uses(nodeids, read)
        for statement in file.used()
        for node in ast.walk(statement)
    )
    return frozenset(name for name in said if isinstance(name, str))


def _relevant_first(nodeids: Sequence[str], stubs: Sequence[Stub]) -> list[str]:
    names = {stub.qualname.rpartition(".")[2] for stub in stubs}
    return sorted(nodeids, key=lambda nodeid: not any(name in nodeid for name in names))


def _whole(file: TestFile, asserts: Page, names: Collection[str]) -> Page:
    """Ask for everything of a file that matters, most important first."""
    page = asserts.copy()
    if file.tree is None:
        page.add(range(1, len(page.lines) + 1))
        return page
    _ask_tests(page, file, names)
    page.add(introduction(file.tree))
    for name, node in file.used_fixtures.items():
        page.add(page.with_comments_above(statement_lines(node)), name)
    for name, nodes in file.used_names.items():
        lines = (page.with_comments_above(statement_lines(node)) for node in nodes)
        page.add(set().union(*lines), name)
    for owner in file.used_classes.values():
        page.add(class_attributes(owner))
    if file.is_whole:
        for node in module_level(file.tree):
            page.add(statement_lines(node), ", ".join(bound_names(node)))
    return page


def _ask_tests(page: Page, file: TestFile, names: Collection[str]) -> None:
    """Ask for the tests alone, those that name a target first."""
    headers = {
        line
        for owner in file.used_classes.values()
        for line in page.with_comments_above(class_header(owner))
    }
    for name, node in _naming_first(file, names):
        page.add(page.with_comments_above(statement_lines(node)) | headers, name)


def _naming_first(file: TestFile, names: Collection[str]) -> list[tuple[str, ast.stmt]]:
    def names_none(test: tuple[str, ast.stmt]) -> bool:
        said = (
            inner.id if isinstance(inner, ast.Name) else getattr(inner, "attr", "")
            for inner in ast.walk(test[1])
        )
        return not any(name in test[0] for name in names) and not any(x in names for x in said)

    return sorted(file.tests.items(), key=names_none)


def _excerpt(
    file: TestFile, asserts: Page, page: Page, limit: int, names: Collection[str]
) -> Excerpt:
    if file.tree is None:
        note = "it cannot be parsed"
        text = cut(page.text, limit)
        return Excerpt(path=file.path, text=text, note=note, shorter=(cut(text, limit // 4),))
    if file.path.rpartition("/")[2] == "conftest.py":
        note = "fixtures of the tests"
        return Excerpt(path=file.path, text=page.render(limit), note=note, shorter=("",))
    alone = asserts.copy()
    _ask_tests(alone, file, names)
    shorter = [alone.render(limit), asserts.render(limit) if asserts.is_asked else ""]
    if not file.tests:  # what fails is the file itself, before any test
        shorter = [page.render(limit // 2)]
    text = page.render(limit)
    return Excerpt(path=file.path, text=text, note="failing tests", shorter=tuple(shorter))


def _examples(nodeids: Sequence[str], read: Read) -> Iterator[Excerpt]:
    """Quote the examples of text files that are run as tests, each with the line above it."""
    texts = [split_nodeid(nodeid)[0] for nodeid in nodeids if is_doctest(nodeid)]
    for path in dict.fromkeys(path for path in texts if not path.endswith(".py")):
        source = read(path)
        if source is None:
            continue
        page = Page(source)
        above, in_example = 0, False
        for number, line in enumerate(page.lines, start=1):
            begins = line.lstrip().startswith(">>>")
            in_example = begins or (in_example and bool(line.strip()))
            if in_example:
                page.add({above, number})
            elif line.strip():
                above = number
        text, *shorter = map(page.render, (_EACH, _EACH // 2, _EACH // 6))
        yield Excerpt(path=path, text=text, note="failing examples", shorter=tuple(shorter))


def _asserts(test: ast.stmt) -> set[int]:
    """Give the lines of a test's header, with its cases, and of what it asserts."""
    if not isinstance(test, (ast.FunctionDef, ast.AsyncFunctionDef)):
        return statement_lines(test)
    found = {line for node in _asserting(test) for line in node}
    if not found:
        return statement_lines(test)
    header = range(first_line(test), first_line(test.body[0]))
    return found | (set(header) & statement_lines(test))


def _asserting(test: ast.AST) -> Iterator[set[int]]:
    for node in ast.walk(test):
        if isinstance(node, ast.Assert):
            yield statement_lines(node)
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            if called(node.value).startswith("assert"):
                yield statement_lines(node)
        elif isinstance(node, (ast.With, ast.AsyncWith)):
            said = {called(item.context_expr) for item in node.items}
            if any(name.endswith(("aises", "arns")) or "Raises" in name for name in said):
                yield statement_lines(node)


def _shares(demands: Sequence[int], total: int) -> list[int]:
    """Divide room so that small demands are met and large ones share what remains."""
    shares = [0] * len(demands)
    waiting = len(demands)
    for index in sorted(range(len(demands)), key=lambda index: demands[index]):
        shares[index] = min(demands[index], total // waiting)
        total -= shares[index]
        waiting -= 1
    return shares
