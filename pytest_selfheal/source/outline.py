"""Walking a module's statements in source order, and what the names in it stand for."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pytest_selfheal.source.parsing import once_per_tree

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlined:
    """A function or class statement of a module and its place in it."""

    node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
    qualname: str
    """Dotted, without `<locals>`."""
    index: int
    """Which definition of that kind (function or class) and name, from 0."""
    classes: tuple[ast.ClassDef, ...]
    """The classes around it, outermost first."""
    is_local: bool
    """It stands inside a function."""


@once_per_tree
def definitions(tree: ast.Module) -> Sequence[Outlined]:
    """Give every function and class that is not inside a function, in source order.

    Those under `if`, `try`, `with`, `for`, `while` and `match` are given as well.
    """
    return tuple(
        found for found in walk(tree) if isinstance(found, Outlined) and not found.is_local
    )


def walk(tree: ast.Module) -> Iterator[Outlined | ast.stmt]:
    """Give every definition, local ones too, and every other statement outside functions."""
    counts: Counter[tuple[bool, str]] = Counter()
    pending: list[tuple[ast.stmt, str, tuple[ast.ClassDef, ...], bool]]
    pending = [(statement, "", (), False) for statement in reversed(tree.body)]
    while pending:  # not recursive: a long `elif` chain nests as deep as it is long
        node, prefix, classes, is_local = pending.pop()
        inner: list[ast.stmt]
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            is_class = isinstance(node, ast.ClassDef)
            qualname = prefix + node.name
            index = 0 if is_local else counts[is_class, qualname]
            counts[is_class, qualname] += not is_local
            yield Outlined(
                node=node, qualname=qualname, index=index, classes=classes, is_local=is_local
            )
            prefix = qualname + "."
            if isinstance(node, ast.ClassDef):
                classes = (*classes, node)
            else:
                is_local = True
            inner = node.body
        else:
            if not is_local:
                yield node
            inner = list(_statements_in(node))
        pending.extend((statement, prefix, classes, is_local) for statement in reversed(inner))


def module_level(tree: ast.Module) -> Iterator[ast.stmt]:
    """Give the statements of a module, inside `if`, `try` and the like too, in source order."""
    pending = list(reversed(tree.body))
    while pending:
        node = pending.pop()
        yield node
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            pending.extend(reversed(list(_statements_in(node))))


def bound_names(node: ast.stmt) -> tuple[str, ...]:
    """Give the names that a definition, an assignment or a `type` statement binds."""
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return (node.name,)
    targets: list[ast.expr] = []
    if isinstance(node, ast.Assign):
        targets = node.targets
    elif isinstance(node, (ast.AnnAssign, ast.AugAssign)):
        targets = [node.target]
    elif type(node).__name__ == "TypeAlias":  # `type X = …`, from 3.12
        targets = [node.name]  # type: ignore[attr-defined]
    names = (name for target in targets for name in ast.walk(target))
    return tuple(name.id for name in names if isinstance(name, ast.Name))


def _statements_in(node: ast.stmt) -> Iterator[ast.stmt]:
    yield from getattr(node, "body", ())
    for part in (*getattr(node, "handlers", ()), *getattr(node, "cases", ())):
        yield from part.body
    yield from getattr(node, "orelse", ())
    yield from getattr(node, "finalbody", ())


def first_line(node: ast.stmt) -> int:
    """Give the 1-based line of the first decorator, or of `def`: as `co_firstlineno` does."""
    decorators: list[ast.expr] = getattr(node, "decorator_list", [])
    return decorators[0].lineno if decorators else node.lineno


@once_per_tree
def import_origins(tree: ast.Module) -> Mapping[str, str]:
    """Map the names that imports outside functions bind to what they stand for, dotted.

    `import a.b` binds `a`; relative imports keep their leading dots.
    """
    origins: dict[str, str] = {}
    for node in walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                bound = alias.name if alias.asname else alias.name.partition(".")[0]
                origins[alias.asname or bound] = bound
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            for alias in node.names:
                origins[alias.asname or alias.name] = f"{module}.{alias.name}"
                if alias.name == "*":
                    origins.update(_star_names(module))
    return origins


_STARS = {
    "pytest_selfheal": ("heal",),
    "typing": ("overload", "Protocol"),
    "typing_extensions": ("overload", "Protocol"),
    "abc": ("abstractmethod",),
}


def _star_names(module: str) -> dict[str, str]:
    return {name: f"{module}.{name}" for name in _STARS.get(module, ())}


def dotted_origin(node: ast.expr, origins: Mapping[str, str]) -> str:
    """Give the dotted name that an expression such as `t.overload` stands for, or ''."""
    attributes: list[str] = []
    while isinstance(node, ast.Attribute):
        attributes.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return ""
    return ".".join([origins.get(node.id, node.id), *reversed(attributes)])
