"""Where the names in a tree belong, and what each is given there."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from pytest_selfheal.source.policy_dispatch import Dispatch

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
Key = tuple[int, str]
"""A variable: the identity of the function it belongs to (0 for the module), and its name."""


@dataclass(frozen=True, slots=True)
class Given:
    """One way by which a variable gets its value."""

    how: Literal["value", "each", "added", "unknown"]
    """It is the expression, one item of it, itself and the expression, or something else."""
    node: ast.AST | None = None
    part: int | None = None
    """Which part of each item, where a loop takes items apart."""


@dataclass(frozen=True, slots=True)
class Scopes:
    """The variables of one tree."""

    owners: Mapping[int, int]
    """The function that a `Name` node's variable belongs to; module variables are left out."""
    given: Mapping[Key, Sequence[Given]]
    """What variables are given, in the order of the source."""
    attributes: Mapping[str, Sequence[ast.expr]]
    """What attributes of that name are set to, on whatever object, and in class bodies."""
    functions: Mapping[str, Sequence[ast.AST]]
    """The tree's functions and named lambdas, by name."""

    @classmethod
    def of(cls, tree: ast.AST) -> Scopes:
        """Look through a tree."""
        gatherer = _Gatherer()
        for node in ast.iter_child_nodes(tree):
            gatherer.visit(node, {})
        gatherer.bind_arguments()
        return cls(gatherer.owners, gatherer.given, gatherer.attributes, gatherer.functions)

    def with_outer(self, outer: Scopes) -> Scopes:
        """Give these as they are inside of others: in code that runs from a string."""
        return Scopes(
            {**outer.owners, **self.owners},
            {**outer.given, **self.given},
            {**outer.attributes, **self.attributes},
            {**outer.functions, **self.functions},
        )

    def key(self, node: ast.Name) -> Key:
        """Give the variable that a name stands for."""
        return self.owners.get(id(node), 0), node.id


def local_names(tree: ast.AST) -> frozenset[int]:
    """Give the identities of the `Name` nodes that are some function's own variables."""
    return frozenset(Scopes.of(tree).owners)


class _Gatherer:
    def __init__(self) -> None:
        self.owners: dict[int, int] = {}
        self.given: dict[Key, list[Given]] = defaultdict(list)
        self.attributes: dict[str, list[ast.expr]] = defaultdict(list)
        self.functions: dict[str, list[ast.AST]] = defaultdict(list)
        self._classes: dict[str, ast.ClassDef] = {}
        self._reaching: list[ast.AST] = []

    def visit(self, node: ast.AST, scope: Mapping[str, int]) -> None:
        if isinstance(node, ast.Name) and node.id in scope:
            self.owners[id(node)] = scope[node.id]
        if isinstance(node, FUNCTIONS):
            inner = {**scope, **dict.fromkeys(_bound_in(node), id(node))}
            for name in _declared_global(node):
                inner.pop(name, None)
            self._defined(node, scope)
            scope = inner
        for child in ast.iter_child_nodes(node):
            self.visit(child, scope)
        self._note(node, scope)

    def _defined(self, node: ast.AST, scope: Mapping[str, int]) -> None:
        assert isinstance(node, FUNCTIONS)
        if not isinstance(node, ast.Lambda):
            self.functions[node.name].append(node)
            self.given[scope.get(node.name, 0), node.name].append(Given("unknown"))
        for argument, default in _parameters(node):
            self.given[id(node), argument].append(Given("unknown"))
            if default is not None:
                self.given[id(node), argument].append(Given("value", default))

    def _note(self, node: ast.AST, scope: Mapping[str, int]) -> None:
        if isinstance(node, ast.Assign):
            for target in node.targets:
                self._store(target, node.value, scope)
        elif isinstance(node, (ast.AnnAssign, ast.NamedExpr)) and node.value is not None:
            self._store(node.target, node.value, scope)
        elif isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
            key = scope.get(node.target.id, 0), node.target.id
            is_added = isinstance(node.op, ast.Add)
            self.given[key].append(Given("added" if is_added else "unknown", node.value))
        elif isinstance(node, (ast.For, ast.AsyncFor, ast.comprehension)):
            parts = node.target.elts if isinstance(node.target, ast.Tuple) else []
            for name in _names_in(node.target):
                is_known = name is node.target or name in parts
                part = parts.index(name) if name in parts else None
                given = Given("each", node.iter, part) if is_known else Given("unknown")
                self.given[scope.get(name.id, 0), name.id].append(given)
        elif isinstance(node, ast.withitem) and node.optional_vars is not None:
            for name in _names_in(node.optional_vars):
                self.given[scope.get(name.id, 0), name.id].append(Given("unknown"))
        elif isinstance(node, (ast.Call, ast.Subscript, ast.BinOp)):
            self._reaching.append(node)
        elif isinstance(node, ast.ClassDef):
            self._classes[node.name] = node
            for inner in node.body:
                if isinstance(inner, ast.Assign):
                    for target in inner.targets:
                        if isinstance(target, ast.Name):
                            self.attributes[target.id].append(inner.value)

    def _store(self, target: ast.expr, value: ast.expr, scope: Mapping[str, int]) -> None:
        if isinstance(target, ast.Name):
            self.given[scope.get(target.id, 0), target.id].append(Given("value", value))
            if isinstance(value, ast.Lambda):
                self.functions[target.id].append(value)
        elif isinstance(target, ast.Attribute):
            self.attributes[target.attr].append(value)
        elif isinstance(target, (ast.Tuple, ast.List)):
            is_pair = isinstance(value, (ast.Tuple, ast.List)) and not any(
                isinstance(each, ast.Starred) for each in (*target.elts, *value.elts)
            )
            if is_pair and len(value.elts) == len(target.elts):  # type: ignore[attr-defined]
                for one, other in zip(target.elts, value.elts, strict=True):  # type: ignore[attr-defined]
                    self._store(one, other, scope)
            else:
                for name in _names_in(target):
                    self.given[scope.get(name.id, 0), name.id].append(Given("unknown", value))

    def bind_arguments(self) -> None:
        """Note what the tree itself passes to its own functions."""
        values = {
            key: [each.node for each in given if isinstance(each.node, ast.expr)]
            for key, given in self.given.items()
        }
        dispatch = Dispatch(self.functions, self._classes, values, self.owners)
        for node in self._reaching:
            for function, arguments, keywords in dispatch.reached(node):
                for name, value in _passed(function, arguments, keywords):
                    self.given[id(function), name].append(Given("value", value))


def _passed(
    function: ast.AST, arguments: Sequence[ast.expr], keywords: Sequence[ast.keyword]
) -> Iterator[tuple[str, ast.expr]]:
    assert isinstance(function, FUNCTIONS)
    names = [each.arg for each in (*function.args.posonlyargs, *function.args.args)]
    if names[:1] in (["self"], ["cls"]):
        names = names[1:]
    if not any(isinstance(each, ast.Starred) for each in arguments):
        yield from zip(names, arguments, strict=False)
    for keyword in keywords:
        if keyword.arg is not None:
            yield keyword.arg, keyword.value
        elif isinstance(keyword.value, ast.Dict):
            for key, value in zip(keyword.value.keys, keyword.value.values, strict=True):
                if isinstance(key, ast.Constant) and isinstance(key.value, str):
                    yield key.value, value


def _parameters(function: ast.AST) -> Iterator[tuple[str, ast.expr | None]]:
    assert isinstance(function, FUNCTIONS)
    arguments = function.args
    plain = [*arguments.posonlyargs, *arguments.args]
    first = len(plain) - len(arguments.defaults)
    for number, each in enumerate(plain):
        yield each.arg, arguments.defaults[number - first] if number >= first else None
    for each, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        yield each.arg, default
    for rest in (arguments.vararg, arguments.kwarg):
        if rest is not None:
            yield rest.arg, None


def _names_in(target: ast.AST) -> Iterator[ast.Name]:
    for node in ast.walk(target):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node


def _bound_in(function: ast.AST) -> frozenset[str]:
    """Give a function's parameters and the names it stores, those of inner ones left out."""
    names: set[str] = set()
    pending = list(ast.iter_child_nodes(function))
    while pending:
        node = pending.pop()
        if isinstance(node, ast.arg):
            names.add(node.arg)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif isinstance(node, ast.ExceptHandler) and node.name:
            names.add(node.name)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            names.add(node.name)
        elif not isinstance(node, ast.Lambda):
            pending += ast.iter_child_nodes(node)
    return frozenset(names)


def _declared_global(function: ast.AST) -> frozenset[str]:
    return frozenset(
        name for node in ast.walk(function) if isinstance(node, ast.Global) for name in node.names
    )
