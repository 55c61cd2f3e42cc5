"""What constants an expression can stand for, without running any of it.

Names that are put together at run time (`"_ex" + "it"`, `chr(103) + "c"`, base64) are
read as what they come to. What is found are possible values, not all of them: of a
parameter those that the tree itself passes.
"""

from __future__ import annotations

import ast
import codecs
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pytest_selfheal.source.policy_constants import (
    CONVERSIONS,
    ENCODINGS,
    MAX_SIZE,
    MAX_VALUES,
    METHODS,
    NAMED_CONSTANTS,
    PURE_FUNCTIONS,
    WIDE,
    as_it_is,
    method_of,
    operation_of,
    parts_of,
    size_of,
    tried,
)
from pytest_selfheal.source.policy_scopes import FUNCTIONS, Given, Scopes

_MAX_STEPS = 5_000
_Values = tuple[Any, ...]


@dataclass(slots=True)
class Folder:
    """Gives the constants that a tree's expressions can stand for."""

    scopes: Scopes
    dotted: Callable[[ast.expr], str | None]
    """Gives the dotted name of what is called."""
    _known: dict[int, _Values] = field(default_factory=dict)
    _steps: int = 0

    def texts(self, node: ast.expr) -> tuple[str, ...]:
        """Give the texts that an expression can stand for."""
        return tuple(each for each in self.values(node) if isinstance(each, str))

    def values(self, node: ast.expr) -> _Values:
        """Give the constants that an expression can stand for; none where nothing is known."""
        if id(node) not in self._known:
            self._known[id(node)] = ()  # of what leads back to itself, nothing is known
            try:
                self._known[id(node)] = self._values(node, {})
            except RecursionError:  # no name is hidden that deep
                return ()
        return self._known[id(node)]

    def _values(self, node: ast.AST, bound: Mapping[str, Any]) -> _Values:
        self._steps += 1
        if self._steps > _MAX_STEPS:
            return ()
        found: dict[tuple[str, str], Any] = {}
        for value in self._found(node, bound):
            if size_of(value) <= MAX_SIZE:
                found.setdefault((type(value).__name__, repr(value)), value)
            if len(found) == MAX_VALUES:
                break
        return tuple(found.values())

    def _of(self, node: ast.AST, bound: Mapping[str, Any]) -> _Values:
        if bound or not isinstance(node, ast.expr):
            return self._values(node, bound)
        return self.values(node)

    def _found(self, node: ast.AST, bound: Mapping[str, Any]) -> Iterator[Any]:
        if isinstance(node, ast.Constant):
            yield node.value
        elif isinstance(node, ast.Name):
            if node.id in bound:
                yield bound[node.id]
            else:
                yield from self._of_variable(self.scopes.given.get(self.scopes.key(node), ()))
        elif isinstance(node, ast.Attribute):
            dotted = self.dotted(node)
            if dotted is not None and dotted in NAMED_CONSTANTS:
                yield NAMED_CONSTANTS[dotted]
            for value in self.scopes.attributes.get(node.attr, ()):
                yield from self._of(value, {})
            if node.attr == "value":  # of an enumeration's member
                yield from self._of(node.value, bound)
        elif isinstance(node, ast.NamedExpr):
            yield from self._of(node.value, bound)
        elif isinstance(node, ast.IfExp):
            yield from self._of(node.body, bound)
            yield from self._of(node.orelse, bound)
        elif isinstance(node, ast.BoolOp):
            for value in node.values:
                yield from self._of(value, bound)
        elif isinstance(node, (ast.JoinedStr, ast.FormattedValue)):
            yield from self._formatted(node, bound)
        elif isinstance(node, (ast.Tuple, ast.List, ast.Set, ast.Dict)):
            yield from self._containers(node, bound)
        elif isinstance(node, (ast.ListComp, ast.GeneratorExp, ast.SetComp)):
            yield from self._comprehended(node, bound)
        else:
            yield from self._computed(node, bound)

    def _of_variable(self, given: Iterable[Given]) -> Iterator[Any]:
        so_far: list[Any] = []
        for each in given:
            if each.node is None or each.how == "unknown":
                continue
            values = self._of(each.node, {})
            if each.how == "each":
                items = [item for value in values for item in parts_of(value)]
                if each.part is not None:
                    number = each.part
                    items = list(tried(lambda item, at=number: item[at], [(i,) for i in items]))
                values = tuple(items)
            elif each.how == "added":
                pairs = itertools.product(so_far[-MAX_VALUES:], values)
                values = tuple(tried(lambda a, b: a + b, pairs))
            so_far += values
        yield from reversed(so_far)  # where it is put together piece by piece, the whole first

    def _formatted(self, node: ast.AST, bound: Mapping[str, Any]) -> Iterator[Any]:
        if isinstance(node, ast.JoinedStr):
            for parts in itertools.product(*(self._of(each, bound) for each in node.values)):
                yield "".join(map(str, parts))
        elif isinstance(node, ast.FormattedValue):
            specs = self._of(node.format_spec, bound) if node.format_spec else ("",)
            convert = CONVERSIONS.get(node.conversion, as_it_is)
            for value, spec in itertools.product(self._of(node.value, bound), specs):
                if not WIDE.search(spec):
                    yield from tried(format, [(convert(value), spec)])

    def _containers(self, node: ast.AST, bound: Mapping[str, Any]) -> Iterator[Any]:
        if isinstance(node, ast.Dict):
            if all(node.keys):
                keys = [self._of(each, bound) for each in node.keys if each is not None]
                values = [self._of(each, bound) for each in node.values]
                yield from tried(
                    lambda *both: dict(zip(both[: len(keys)], both[len(keys) :], strict=True)),
                    itertools.product(*keys, *values),
                )
            return
        assert isinstance(node, (ast.Tuple, ast.List, ast.Set))
        parts: list[Iterable[list[Any]]] = []
        for each in node.elts:
            if isinstance(each, ast.Starred):
                parts.append([list(parts_of(value)) for value in self._of(each.value, bound)])
            else:
                parts.append([[value] for value in self._of(each, bound)])
        make = tuple if isinstance(node, ast.Tuple) else list
        for chosen in itertools.islice(itertools.product(*parts), MAX_VALUES):
            yield make(itertools.chain.from_iterable(chosen))

    def _comprehended(self, node: ast.AST, bound: Mapping[str, Any]) -> Iterator[Any]:
        assert isinstance(node, (ast.ListComp, ast.GeneratorExp, ast.SetComp))
        first, *others = node.generators
        if others or first.ifs:
            return
        for container in self._of(first.iter, bound):
            results: list[Any] = []
            for part in parts_of(container):
                inner = _bind(first.target, part)
                values = self._of(node.elt, {**bound, **inner}) if inner else ()
                if not values:
                    break
                results.append(values[0])
            else:
                yield results

    def _computed(self, node: ast.AST, bound: Mapping[str, Any]) -> Iterator[Any]:
        if isinstance(node, ast.BinOp):
            pairs = itertools.product(self._of(node.left, bound), self._of(node.right, bound))
            yield from tried(operation_of(node.op), pairs)
        elif isinstance(node, ast.UnaryOp):
            operation = {ast.USub: lambda a: -a, ast.Invert: lambda a: ~a, ast.Not: lambda a: not a}
            values = [(value,) for value in self._of(node.operand, bound)]
            yield from tried(operation.get(type(node.op), lambda a: a), values)
        elif isinstance(node, ast.Slice):
            ends = [
                self._of(each, bound) if each else (None,)
                for each in (node.lower, node.upper, node.step)
            ]
            yield from tried(slice, itertools.product(*ends))
        elif isinstance(node, ast.Subscript):
            containers, keys = self._of(node.value, bound), self._of(node.slice, bound)
            if keys:
                yield from tried(lambda a, b: a[b], itertools.product(containers, keys))
            elif not isinstance(node.slice, ast.Slice):
                for value in containers:  # whichever it is
                    if isinstance(value, (tuple, list, dict)):
                        yield from value.values() if isinstance(value, dict) else value
        elif isinstance(node, ast.Call):
            yield from self._called(node, bound)

    def _called(self, node: ast.Call, bound: Mapping[str, Any]) -> Iterator[Any]:
        yield from self._of_own_function(node)
        arguments = [self._of(each, bound) for each in node.args]
        called = self.dotted(node.func) or ""
        if called in ("builtins.map", "functools.reduce") and len(node.args) > 1:
            yield from self._mapped(called, node, bound)
        elif called in PURE_FUNCTIONS:
            yield from tried(PURE_FUNCTIONS[called], itertools.product(*arguments))
        elif called in ("codecs.decode", "codecs.encode"):
            convert = codecs.decode if called == "codecs.decode" else codecs.encode
            for each in itertools.product(*arguments):
                if len(each) < 2 or str(each[1]).lower() in ENCODINGS:
                    yield from tried(convert, [each])
        elif isinstance(node.func, ast.Attribute) and node.func.attr in METHODS:
            owners = self._of(node.func.value, bound)
            if called.startswith(("builtins.str.", "builtins.bytes.")):
                owners, arguments = arguments[0] if arguments else (), arguments[1:]
            named = {k.arg: self._of(k.value, bound)[:1] for k in node.keywords if k.arg}
            if all(named.values()):
                words = {name: values[0] for name, values in named.items()}
                for owner, *given in itertools.product(owners, *arguments):
                    yield from method_of(owner, node.func.attr, given, words)

    def _of_own_function(self, node: ast.Call) -> Iterator[Any]:
        functions: Iterable[ast.AST] = ()
        if isinstance(node.func, ast.Lambda):
            functions = (node.func,)
        elif isinstance(node.func, ast.Name):
            functions = self.scopes.functions.get(node.func.id, ())
        for function in functions:
            for answer in answers_of(function):
                yield from self._of(answer, {})

    def _mapped(self, called: str, node: ast.Call, bound: Mapping[str, Any]) -> Iterator[Any]:
        for items in self._of(node.args[1], bound):
            results: list[Any] = []
            for part in parts_of(items):
                if called == "builtins.map":
                    results += self._applied(node.args[0], part, bound)[:1]
                elif results:
                    results = list(tried(lambda a, b: a + b, [(*results, part)]))
                else:
                    results = [part]
            if called == "functools.reduce":
                yield from results
            elif len(results) == len(list(parts_of(items))):
                yield results

    def _applied(self, function: ast.expr, part: Any, bound: Mapping[str, Any]) -> list[Any]:
        if isinstance(function, ast.Lambda) and function.args.args:
            return list(self._of(function.body, {**bound, function.args.args[0].arg: part}))
        called = self.dotted(function) or ""
        if called in PURE_FUNCTIONS:
            return list(tried(PURE_FUNCTIONS[called], [(part,)]))
        if called.startswith(("builtins.str.", "builtins.bytes.")):
            return list(method_of(part, called.rpartition(".")[2], []))
        return []


def answers_of(function: ast.AST) -> Iterator[ast.expr]:
    """Give the expressions that a function, or a lambda, may return."""
    if isinstance(function, ast.Lambda):
        yield function.body
    elif isinstance(function, FUNCTIONS):
        for node in ast.walk(function):
            if isinstance(node, ast.Return) and node.value is not None:
                yield node.value


def _bind(target: ast.AST, part: Any) -> dict[str, Any]:
    if isinstance(target, ast.Name):
        return {target.id: part}
    if isinstance(target, (ast.Tuple, ast.List)) and isinstance(part, (tuple, list)):
        names = [each.id for each in target.elts if isinstance(each, ast.Name)]
        if len(names) == len(target.elts) == len(part):
            return dict(zip(names, part, strict=True))
    return {}
