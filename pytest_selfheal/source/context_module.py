"""What to quote of a stub's own module: what the stub and its tests touch, and a little more.

That little is what a reader would look at for the style of the place: a close sibling or
two, and the headers of the other definitions, nearest first.
"""

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
    header,
    introduction,
    short,
    statement_lines,
)
from pytest_selfheal.source.parsing import UnparsableError, is_trivial_body, parse

_WHOLE = 3_000
"""Characters up to which a module is quoted whole."""
_AROUND = 5_000
"""Characters that all but the targets of a reduced module may take."""
_LESS_AROUND = 2_500
"""The same where a prompt has little room."""
_CONSTANTS = 800
_HEADERS = 1_800
"""Characters of what nobody names."""
_WHOLE_DEFINITION = 30
"""Lines up to which a definition that the targets name is quoted whole."""
_STYLE = 14
"""Lines of a sibling that shows the style of the place."""
_STYLE_SIBLINGS = 2
_LONG_ANNOTATION = 200
"""Characters; a longer string is no annotation."""
_WORD = re.compile(r"[^\W\d]\w*")
# In prose: in backticks, called, or no plain word.
_CODE_WORD = re.compile(r"`+([^`]+)`+|([^\W\d]\w*(?=\())|(\w+_\w+|[A-Z]\w*[a-z][A-Z]\w*|[A-Z]\w+)")

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_DEFINITIONS = (*_FUNCTIONS, ast.ClassDef)


def module_excerpt(source: bytes, stubs: Sequence[Stub], *, names: Collection[str] = ()) -> Excerpt:
    """Quote a module whole if it is small, else what matters for some of its stubs.

    Args:
        source: The module's bytes.
        stubs: The targets, all of this module; at least one.
        names: Further names that matter, such as those that the failing tests use.

    Returns:
        The targets and at most about 5,000 characters of the rest, in source order, with
        comments for what is left out; shorter, the targets with their imports and what they
        name, and the targets alone. Of a module that cannot be parsed, its head and tail.
    """
    path = stubs[0].path
    page = Page(source)
    try:
        tree = parse(source)
    except UnparsableError:
        text = cut(page.text, 2 * _AROUND)
        note = "it cannot be parsed"
        return Excerpt(path=path, text=text, note=note, shorter=(cut(text, _AROUND),))
    asked = _Asked(page, tree, stubs, names)
    alone = page.copy()
    asked.targets(alone)
    touched = alone.copy()
    asked.what_they_touch(touched)
    shorter = (touched.render(alone.demand + _LESS_AROUND), alone.render(alone.demand))
    if len(page.text) <= _WHOLE:
        return Excerpt(path=path, text=page.text, note="the whole module", shorter=shorter)
    asked.targets(page)
    asked.what_they_touch(page)
    asked.what_is_near(page)
    text = page.render(alone.demand + _AROUND)
    return Excerpt(path=path, text=text, note="the module, in part", shorter=shorter)


class _Asked:
    """What of a module matters for some of its stubs."""

    def __init__(
        self, page: Page, tree: ast.Module, stubs: Sequence[Stub], names: Collection[str]
    ) -> None:
        self._tree = tree
        self._all = list(definitions(tree))
        self._targets = _targets(tree, stubs)
        self._owners = _owners(self._targets)
        self._statements = [one for one in module_level(tree) if not isinstance(one, _DEFINITIONS)]
        own = _names(self._targets, self._owners)
        self._named = (own, set(names) - own)

    def targets(self, page: Page) -> None:
        """Ask for the targets, each within the headers of its classes."""
        for target in self._targets:
            # To the last line of a long docstring or table: it is what is asked for.
            own = range(first_line(target.node), (target.node.end_lineno or 0) + 1)
            lines = page.with_comments_above(own)
            headers = {line for owner in target.classes for line in class_header(owner)}
            page.add(lines | headers, target.qualname)

    def what_they_touch(self, page: Page) -> None:
        """Ask for imports, the classes' state, and the definitions and constants they name."""
        page.add(introduction(self._tree))
        for owner in self._owners:
            page.add(class_attributes(owner), f"the attributes of {owner.name}")
            for method in owner.body:
                if isinstance(method, _FUNCTIONS) and method.name in ("__init__", "__new__"):
                    page.add(short(page, method, _WHOLE_DEFINITION), f"{owner.name}.{method.name}")
        for names in self._named:
            for one in self._all:
                if not one.classes and one.node.name in names and one not in self._targets:
                    page.add(short(page, one.node, _WHOLE_DEFINITION), one.qualname)
            for node in self._statements:
                if names.intersection(bound_names(node)):
                    lines = page.with_comments_above(statement_lines(node))
                    page.add(lines, ", ".join(bound_names(node)))

    def what_is_near(self, page: Page) -> None:
        """Ask for a sibling or two, the headers of the others, and the other constants."""
        siblings = [one for one in self._all if one.classes and one.classes[-1] in self._owners]
        for one in self._style_examples(siblings):
            page.add(statement_lines(one.node), one.qualname)
        for one in siblings:
            page.add(header(page, one.node, with_docstring=True), one.qualname)
        others = sorted((one for one in self._all if one not in siblings), key=self._distance)
        page.add_within(_HEADERS, ((header(page, one.node), one.qualname) for one in others))
        bound = ((statement_lines(node), ", ".join(bound_names(node))) for node in self._statements)
        page.add_within(_CONSTANTS, ((lines, label) for lines, label in bound if label))

    def _style_examples(self, siblings: Sequence[Outlined]) -> list[Outlined]:
        """The nearest short functions beside the targets that have a body."""
        beside = siblings or [one for one in self._all if not one.classes]
        written = [
            one
            for one in beside
            if one not in self._targets
            and isinstance(one.node, _FUNCTIONS)
            and len(statement_lines(one.node)) <= _STYLE
            and not is_trivial_body(one.node.body)
        ]
        return sorted(written, key=self._distance)[:_STYLE_SIBLINGS]

    def _distance(self, one: Outlined) -> int:
        return min((abs(one.node.lineno - x.node.lineno) for x in self._targets), default=0)


def names_of(source: bytes, stubs: Sequence[Stub]) -> set[str]:
    """Give the names that a module's targets, and their classes, speak of."""
    try:
        targets = _targets(parse(source), stubs)
    except UnparsableError:
        return set()
    return _names(targets, _owners(targets))


def _targets(tree: ast.Module, stubs: Sequence[Stub]) -> list[Outlined]:
    wanted = {(stub.qualname, stub.index) for stub in stubs}
    return [
        one
        for one in definitions(tree)
        if isinstance(one.node, _FUNCTIONS) and (one.qualname, one.index) in wanted
    ]


def _owners(targets: Sequence[Outlined]) -> list[ast.ClassDef]:
    return list(dict.fromkeys(owner for one in targets for owner in one.classes))


def _names(targets: Sequence[Outlined], owners: Sequence[ast.ClassDef]) -> set[str]:
    """Give the names that the targets' headers and docstrings, and their classes, speak of."""
    spoken: list[ast.AST] = []
    texts: list[str] = []
    for target in targets:
        if isinstance(target.node, _FUNCTIONS):
            spoken += [target.node.args, *target.node.decorator_list]
            spoken += [target.node.returns] if target.node.returns else []
            spoken += [] if is_trivial_body(target.node.body) else target.node.body
            texts.append(ast.get_docstring(target.node) or "")
    for owner in owners:
        spoken += [*owner.bases, *owner.keywords, *owner.decorator_list]
        spoken += [node for node in owner.body if isinstance(node, (ast.Assign, ast.AnnAssign))]
        texts.append(ast.get_docstring(owner) or "")
    return {name for node in spoken for name in _names_in(node)} | {
        word
        for text in texts
        for groups in _CODE_WORD.findall(text)
        for part in groups
        for word in _WORD.findall(part)
    }


def names_said(node: ast.AST) -> Iterator[str]:
    """Give each name that code holds, and each attribute's."""
    for inner in ast.walk(node):
        if isinstance(inner, ast.Name):
            yield inner.id
        elif isinstance(inner, ast.Attribute):
            yield inner.attr


def _names_in(node: ast.AST) -> Iterator[str]:
    yield from names_said(node)
    for inner in ast.walk(node):
        if isinstance(inner, ast.Constant) and isinstance(inner.value, str):
            yield from _WORD.findall(inner.value[:_LONG_ANNOTATION])  # a quoted annotation
