"""What to quote of the failing tests: themselves, their fixtures, helpers and constants."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_selfheal.records import Excerpt, Stub
from pytest_selfheal.source.context_uses import Read, TestFile, uses
from pytest_selfheal.source.outline import bound_names, module_level
from pytest_selfheal.source.page import (
    Page,
    class_attributes,
    class_header,
    cut,
    introduction,
    statement_lines,
)

_EACH = 8_000
"""Characters for one file."""
_ALL = 16_000
"""Characters for all files."""


def test_excerpts(nodeids: Sequence[str], stubs: Sequence[Stub], read: Read) -> tuple[Excerpt, ...]:
    """Quote failing tests with what they use, one excerpt for each file and conftest.

    Args:
        nodeids: pytest's node ids of the failing tests; doctests need no quoting.
        stubs: The targets; tests that name them come first where not all have room.
        read: Gives a project file's bytes by its relative path, or `None`.

    Returns:
        At most about 8,000 characters each and 16,000 altogether; comments say what was
        left out. Of a file that cannot be parsed, its head and tail.
    """
    files = uses(_relevant_first(nodeids, stubs), read)
    pages = [_page(file) for file in files]
    demands = [min(page.demand, _EACH) for page in pages]
    limits = _shares(demands, _ALL)
    return tuple(
        _excerpt(file, page, limit) for file, page, limit in zip(files, pages, limits, strict=True)
    )


test_excerpts.__test__ = False  # type: ignore[attr-defined]  # its name looks like a test


def _relevant_first(nodeids: Sequence[str], stubs: Sequence[Stub]) -> list[str]:
    names = {stub.qualname.rpartition(".")[2] for stub in stubs}
    return sorted(nodeids, key=lambda nodeid: not any(name in nodeid for name in names))


def _page(file: TestFile) -> Page:
    """Ask for everything of a file that matters, most important first."""
    page = Page(file.source)
    if file.tree is None:
        page.add(range(1, len(page.lines) + 1))
        return page
    headers = {
        line
        for owner in file.used_classes.values()
        for line in page.with_comments_above(class_header(owner))
    }
    for name, node in file.tests.items():
        page.add(page.with_comments_above(statement_lines(node)) | headers, name)
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


def _excerpt(file: TestFile, page: Page, limit: int) -> Excerpt:
    if file.tree is None:
        return Excerpt(path=file.path, text=cut(page.text, limit), note="it cannot be parsed")
    if file.path.rpartition("/")[2] == "conftest.py":
        return Excerpt(path=file.path, text=page.render(limit), note="fixtures of the tests")
    return Excerpt(path=file.path, text=page.render(limit), note="failing tests")


def _shares(demands: Sequence[int], total: int) -> list[int]:
    """Divide room so that small demands are met and large ones share what remains."""
    shares = [0] * len(demands)
    waiting = len(demands)
    for index in sorted(range(len(demands)), key=lambda index: demands[index]):
        shares[index] = min(demands[index], total // waiting)
        total -= shares[index]
        waiting -= 1
    return shares
