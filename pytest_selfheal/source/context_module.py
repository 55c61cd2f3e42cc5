"""What to quote of a stub's own module."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterator, Sequence

from pytest_selfheal.records import Excerpt, Stub
from pytest_selfheal.source.outline import (
    Outlined,
    bound_names,
    definitions,
    first_line,
    module_level,
)
from pytest_selfheal.source.page import (
    Page,
    class_attributes,
    class_header,
    cut,
    introduction,
    statement_lines,
)
from pytest_selfheal.source.parsing import UnparsableError, parse

_WHOLE = 6_000
"""Characters up to which a module is quoted whole."""
_REDUCED = 12_000
"""Characters that a reduced module may take."""
_WHOLE_DEFINITION = 60
"""Lines up to which a definition that the targets name is quoted whole."""
_WORD = re.compile(r"[^\W\d]\w*")

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_DEFINITIONS = (*_FUNCTIONS, ast.ClassDef)


def module_excerpt(source: bytes, stubs: Sequence[Stub], *, names: Collection[str] = ()) -> Excerpt:
    """Quote a module whole if it is small, else what matters for some of its stubs.

    Args:
        source: The module's bytes.
        stubs: The targets, all of this module; at least one.
        names: Further names that matter, such as those that the failing tests use.

    Returns:
        At most about 12,000 characters, in source order, with comments for what is left
        out; of a module that cannot be parsed, its head and tail.
    """
    path = stubs[0].path
    page = Page(source)
    if len(page.text) <= _WHOLE:
        return Excerpt(path=path, text=page.text, note="the whole module")
    try:
        tree = parse(source)
    except UnparsableError:
        return Excerpt(path=path, text=cut(page.text, _REDUCED), note="it cannot be parsed")
    _ask(page, tree, stubs, names)
    return Excerpt(path=path, text=page.render(_REDUCED), note="the module, in part")


def _ask(page: Page, tree: ast.Module, stubs: Sequence[Stub], names: Collection[str]) -> None:
    wanted = {(stub.qualname, stub.index) for stub in stubs}
    found = list(definitions(tree))
    targets = [one for one in found if isinstance(one.node, _FUNCTIONS) and _key(one) in wanted]
    owners = list(dict.fromkeys(owner for target in targets for owner in target.classes))
    for target in targets:
        lines = page.with_comments_above(statement_lines(target.node))
        headers = {line for owner in target.classes for line in class_header(owner)}
        page.add(lines | headers, target.qualname)
    statements = [one for one in module_level(tree) if not isinstance(one, _DEFINITIONS)]
    page.add(introduction(tree))
    for owner in owners:
        page.add(class_attributes(owner), f"the attributes of {owner.name}")
        for method in owner.body:
            if isinstance(method, _FUNCTIONS) and method.name in ("__init__", "__new__"):
                page.add(statement_lines(method), f"{owner.name}.{method.name}")
    _ask_named(page, statements, found, set(names) | _names(targets, owners))
    _ask_constants(page, statements)
    siblings = [one for one in found if one.classes and one.classes[-1] in owners]
    for one in [*siblings, *(one for one in found if one not in siblings)]:
        page.add(_signature(page, one.node), one.qualname)


def _key(one: Outlined) -> tuple[str, int]:
    return one.qualname, one.index


def _ask_named(
    page: Page, statements: Sequence[ast.stmt], found: Sequence[Outlined], names: set[str]
) -> None:
    for one in found:
        if one.classes or one.node.name not in names:
            continue
        lines = statement_lines(one.node)
        if len(lines) <= _WHOLE_DEFINITION:
            page.add(page.with_comments_above(lines), one.qualname)
        elif isinstance(one.node, ast.ClassDef):
            page.add(class_header(one.node) | class_attributes(one.node), one.qualname)
    for node in statements:
        if names.intersection(bound_names(node)):
            lines = page.with_comments_above(statement_lines(node))
            page.add(lines, ", ".join(bound_names(node)))


def _ask_constants(page: Page, statements: Sequence[ast.stmt]) -> None:
    for node in statements:
        if bound := bound_names(node):
            page.add(statement_lines(node), ", ".join(bound))


def _names(targets: Sequence[Outlined], owners: Sequence[ast.ClassDef]) -> set[str]:
    """Give the names that the targets' headers and docstrings, and their classes, speak of."""
    spoken: list[ast.AST] = []
    texts: list[str] = []
    for target in targets:
        if isinstance(target.node, _FUNCTIONS):
            spoken += [target.node.args, *target.node.decorator_list]
            spoken += [target.node.returns] if target.node.returns else []
            texts.append(ast.get_docstring(target.node) or "")
    for owner in owners:
        spoken += [*owner.bases, *owner.keywords, *owner.decorator_list]
        spoken += [node for node in owner.body if isinstance(node, (ast.Assign, ast.AnnAssign))]
        texts.append(ast.get_docstring(owner) or "")
    return {name for node in spoken for name in _names_in(node)} | {
        word for text in texts for word in _WORD.findall(text)
    }


def _names_in(node: ast.AST) -> Iterator[str]:
    for inner in ast.walk(node):
        if isinstance(inner, ast.Name):
            yield inner.id
        elif isinstance(inner, ast.Constant) and isinstance(inner.value, str):
            yield from _WORD.findall(inner.value)  # a quoted annotation


def _signature(page: Page, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> set[int]:
    """Give the lines of a definition's header and its docstring's first line."""
    body = node.body[0]
    lines = set(range(first_line(node), max(first_line(body) - 1, node.lineno) + 1))
    docstring = ast.get_docstring(node)
    if docstring and body.lineno > node.lineno:
        lines.add(body.lineno)
        if body.end_lineno != body.lineno:
            indent = " " * body.col_offset
            page.replace(body.lineno, f'{indent}"""{docstring.splitlines()[0]} …"""')
    return lines
