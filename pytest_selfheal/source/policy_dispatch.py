"""Which of a tree's own functions a call reaches, and with what.

A dispatcher hands a name on: a function, a method, an object that is called, indexed or
divided, a lambda in a table, a `partial`. What it is given there is what its parameters are.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_MAX_DEPTH = 5
_OPERATORS: Mapping[type[ast.operator], str] = {
    ast.Add: "add", ast.Sub: "sub", ast.Mult: "mul", ast.Div: "truediv", ast.MatMult: "matmul",
    ast.FloorDiv: "floordiv", ast.Mod: "mod", ast.Pow: "pow", ast.LShift: "lshift",
    ast.RShift: "rshift", ast.BitAnd: "and", ast.BitOr: "or", ast.BitXor: "xor",
}  # fmt: skip
Passed = tuple[ast.AST, Sequence[ast.expr], Sequence[ast.keyword]]
"""A function, and what it is called with."""


@dataclass(frozen=True, slots=True)
class Dispatch:
    """Resolves calls among the functions and classes of one tree."""

    functions: Mapping[str, Sequence[ast.AST]]
    classes: Mapping[str, ast.ClassDef]
    values: Mapping[Any, Sequence[ast.expr]]
    """What variables are given, by the function that they belong to and their name."""
    owners: Mapping[int, int]

    def reached(self, node: ast.AST) -> Iterator[Passed]:
        """Give the functions that an expression reaches, with what it hands to them."""
        if isinstance(node, ast.Call):
            yield from self._called(node.func, node.args, node.keywords, _MAX_DEPTH)
        elif isinstance(node, ast.Subscript):
            yield from self._method(node.value, "__getitem__", [node.slice])
        elif isinstance(node, ast.BinOp):
            name = _OPERATORS.get(type(node.op), "")
            yield from self._method(node.left, f"__{name}__", [node.right])
            yield from self._method(node.right, f"__r{name}__", [node.left])

    def _method(self, owner: ast.expr, name: str, given: list[ast.expr]) -> Iterator[Passed]:
        for kind in self._kinds(owner, _MAX_DEPTH):
            for method in _methods(kind, name):
                yield method, given, ()

    def _called(
        self,
        function: ast.expr,
        arguments: Sequence[ast.expr],
        keywords: Sequence[ast.keyword],
        depth: int,
    ) -> Iterator[Passed]:
        if depth == 0:
            return
        for kind in self._kinds(function, depth):  # an object that is called
            for method in _methods(kind, "__call__"):
                yield method, arguments, keywords
        if isinstance(function, ast.Lambda):
            yield function, arguments, keywords
        elif isinstance(function, ast.Name):
            for each in self.functions.get(function.id, ()):
                yield each, arguments, keywords
            made = self.classes.get(function.id)
            for method in _methods(made, "__init__", "__new__") if made else ():
                yield method, arguments, keywords
            for value in self._given(function):
                if not isinstance(value, ast.Lambda):
                    yield from self._called(value, arguments, keywords, depth - 1)
        elif isinstance(function, ast.Attribute):
            for each in self.functions.get(function.attr, ()):
                yield each, arguments, keywords
        elif isinstance(function, ast.Call):
            if function.args and ast.unparse(function.func).rpartition(".")[2] == "partial":
                first, *rest = function.args
                both = [*function.keywords, *keywords]
                yield from self._called(first, [*rest, *arguments], both, depth - 1)
        elif isinstance(function, ast.Subscript):
            for container in (*self._given(function.value), function.value):
                for value in _items(container):
                    yield from self._called(value, arguments, keywords, depth - 1)
        elif isinstance(function, ast.IfExp):
            for value in (function.body, function.orelse):
                yield from self._called(value, arguments, keywords, depth - 1)

    def _given(self, node: ast.expr) -> Sequence[ast.expr]:
        if not isinstance(node, ast.Name):
            return ()
        return self.values.get((self.owners.get(id(node), 0), node.id), ())

    def _kinds(self, node: ast.expr, depth: int) -> Iterator[ast.ClassDef]:
        """Give the tree's own classes that an expression may be an object of."""
        if depth == 0:
            return
        made = node.func if isinstance(node, ast.Call) else None
        if isinstance(made, ast.Name) and made.id in self.classes:
            yield self.classes[made.id]
        for value in self._given(node):
            yield from self._kinds(value, depth - 1)


def _methods(kind: ast.ClassDef, *names: str) -> Iterator[ast.AST]:
    for each in kind.body:
        if isinstance(each, (ast.FunctionDef, ast.AsyncFunctionDef)) and each.name in names:
            yield each


def _items(container: ast.expr) -> Sequence[ast.expr]:
    if isinstance(container, ast.Dict):
        return container.values
    return container.elts if isinstance(container, (ast.List, ast.Tuple)) else ()
