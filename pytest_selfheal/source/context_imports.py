"""What to quote of other modules: the definitions that targets and tests import and name."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from pytest_selfheal.records import Excerpt, Stub
from pytest_selfheal.source.context_module import names_of, names_said
from pytest_selfheal.source.context_uses import Read, uses
from pytest_selfheal.source.context_wide import files_of
from pytest_selfheal.source.outline import bound_names, module_level
from pytest_selfheal.source.page import Page, short, statement_lines
from pytest_selfheal.source.parsing import UnparsableError, parse

_ALL = 3_000
"""Characters of all that is quoted."""
_LINES = 20
"""Up to which a definition is quoted whole."""
_STEPS = 4
"""Modules that a name is followed through, from one that passes it on to the next."""

_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


@dataclass(frozen=True, slots=True)
class _Found:
    """A statement that binds a name in a file."""

    path: str
    name: str
    node: ast.stmt


def imported_definitions(
    targets: Mapping[str, Sequence[Stub]],
    nodeids: Sequence[str],
    read: Read,
    files: Collection[str],
) -> tuple[Excerpt, ...]:
    """Quote the definitions of other modules that targets, and then their tests, speak of.

    A target speaks of what its header, its docstring and its class name, and of what its
    module imports and uses nowhere: that can only be meant for a stub.

    Args:
        targets: The targets of each module, by its path.
        nodeids: pytest's node ids of the failing tests.
        read: Gives a project file's bytes by its relative path, or `None`.
        files: All files of the project that may be quoted.

    Returns:
        At most about 3,000 characters altogether. Nothing of the targets' modules nor of
        the tests' files, which are quoted anyway.
    """
    tests = uses(nodeids, read)
    known = {*targets, *(file.path for file in tests)}
    project = _Project(read, files)
    found: list[_Found] = []
    for path, stubs in targets.items():
        found += project.named(path, names_of(read(path) or b"", stubs), with_unused=True)
    for file in tests:
        spoken = (name for statement in file.used() for name in names_said(statement))
        found += project.named(file.path, frozenset(spoken))
    room = _ALL
    pages: dict[str, Page] = {}
    for each in dict.fromkeys(found):
        if each.path in known:
            continue
        page = pages.get(each.path) or Page(read(each.path) or b"")
        before = page.demand if page.is_asked else 0
        page.add_within(room, [(_lines(page, each.node), each.name)])
        if page.is_asked:
            pages[each.path] = page
            room -= page.demand - before
    return tuple(
        Excerpt(path=path, text=page.render(_ALL), note="what is named of it")
        for path, page in pages.items()
    )


def _lines(page: Page, node: ast.stmt) -> set[int]:
    if isinstance(node, _DEFINITIONS):
        return short(page, node, _LINES)
    return page.with_comments_above(statement_lines(node))


class _Project:
    """Looks up what names stand for, from file to file."""

    def __init__(self, read: Read, files: Collection[str]) -> None:
        self._read = read
        self._files = files

    def named(
        self, path: str, names: Collection[str], *, with_unused: bool = False
    ) -> Iterator[_Found]:
        """Give the definitions that a file imports and that are among these names.

        Args:
            path: The file.
            names: Those of definitions, also behind a module's name.
            with_unused: And those that it imports without using them.
        """
        tree = self._tree(path)
        if tree is None:
            return
        unused = _unused(tree) if with_unused and not path.endswith("__init__.py") else ()
        for node in _imports(tree):
            for alias in node.names:
                bound = alias.asname or alias.name.partition(".")[0]
                if bound not in names and bound not in unused:
                    continue
                is_name = isinstance(node, ast.ImportFrom)
                found = list(self._followed(path, node, alias)) if is_name else []
                # A module's name, behind which others stand.
                yield from found or self._inside(path, node, alias, names)

    def _followed(
        self, path: str, node: ast.Import | ast.ImportFrom, alias: ast.alias, steps: int = _STEPS
    ) -> Iterator[_Found]:
        """Give what a name stands for, in the module that defines it."""
        module = self._module(path, node)
        tree = None if module is None else self._tree(module)
        if module is None or tree is None or not steps:
            return
        own = [each for each in module_level(tree) if alias.name in bound_names(each)]
        yield from (_Found(module, alias.name, each) for each in own)
        for inner in () if own else _imports(tree):
            for each in inner.names:
                if isinstance(inner, ast.ImportFrom) and (each.asname or each.name) == alias.name:
                    yield from self._followed(module, inner, each, steps - 1)

    def _inside(
        self,
        path: str,
        node: ast.Import | ast.ImportFrom,
        alias: ast.alias,
        names: Collection[str],
    ) -> Iterator[_Found]:
        module = self._module(path, node, alias)
        tree = None if module is None else self._tree(module)
        if module is None or tree is None:
            return
        for each in module_level(tree):
            for name in bound_names(each):
                if name in names:
                    yield _Found(module, name, each)

    def _module(
        self, path: str, node: ast.Import | ast.ImportFrom, alias: ast.alias | None = None
    ) -> str | None:
        """The project's file that is imported from or, with an alias, that it names."""
        if isinstance(node, ast.Import):
            one: ast.stmt = ast.Import(names=[alias] if alias is not None else node.names)
        elif alias is None:
            one = ast.ImportFrom(module=node.module, names=[], level=node.level)
        else:
            inner = ".".join(filter(None, (node.module, alias.name)))
            one = ast.ImportFrom(module=inner, names=[], level=node.level)
        return next(files_of(one, path, self._files), None)

    def _tree(self, path: str) -> ast.Module | None:
        source = self._read(path)
        if source is None:
            return None
        try:
            return parse(source)
        except UnparsableError:
            return None


def _imports(tree: ast.Module) -> Iterator[ast.Import | ast.ImportFrom]:
    return (node for node in ast.walk(tree) if isinstance(node, (ast.Import, ast.ImportFrom)))


def _unused(tree: ast.Module) -> set[str]:
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    bound = (alias.asname or alias.name for node in _imports(tree) for alias in node.names)
    return {name for name in bound if name not in used}
