"""What kinds of statements and functions there are in an `ast`."""

from __future__ import annotations

import ast
from collections.abc import Iterator

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef

PLAIN = "plain"
_KINDS = {"staticmethod": "static", "classmethod": "class", "overload": "overload"}
_ACCESSORS = {"setter", "deleter", "getter"}


def substatements(node: ast.AST) -> Iterator[ast.AST]:
    """Give the statements (handlers, cases) directly inside a compound statement."""
    for name in ("body", "handlers", "orelse", "finalbody", "cases"):
        value = getattr(node, name, None)
        if isinstance(value, list):
            yield from value


def kind_of(node: FunctionNode) -> str:
    """Say what a function's decorators make of it: `static`, `setter`, `property`, …"""
    for decorator in node.decorator_list:
        name = decorator_name(decorator)
        if name in _KINDS:
            return _KINDS[name]
        if name in _ACCESSORS and isinstance(decorator, ast.Attribute):
            return name
        if name.endswith("property"):
            return "property"
    return PLAIN


def decorator_name(decorator: ast.expr) -> str:
    """Give the last part of a decorator's name: `setter` of `@due.setter`."""
    if isinstance(decorator, ast.Call):
        decorator = decorator.func
    if isinstance(decorator, ast.Attribute):
        return decorator.attr
    return decorator.id if isinstance(decorator, ast.Name) else ""


def is_docstring(node: ast.AST) -> bool:
    """Tell a bare string from other statements."""
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )
