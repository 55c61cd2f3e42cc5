"""Tests that expect something else than they do. Sent as text like `inside_tests`.

What is equal to what a test expects, and to something else of the same type as well, says
yes to more than it may; and code that gives what it finds in the test's own frame gives the
changed value, too. Neither can be told from an answer that is right but by such a test.
"""

from __future__ import annotations

import ast
import builtins
import math
from collections.abc import Callable, Iterator
from typing import Any

OTHER = "__selfheal_other__"
"""Gives another value of the type, or raises."""
JUDGED = "__selfheal_judged__"
"""Passes on what a test judges, or raises where it may equal what it likes."""
HELD = "__selfheal_held__"
"""As in `inside_twins`."""

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_SCOPES = (*_FUNCTIONS, ast.ClassDef, ast.Lambda)
_COMPARES_LIST = """
    assertEqual assertAlmostEqual assertListEqual assertTupleEqual assertDictEqual assertSetEqual
    assertSequenceEqual assertCountEqual assertMultiLineEqual
    """
_COMPARES = frozenset(_COMPARES_LIST.split())
_ENDS = frozenset({"startswith", "endswith"})
_NEAR = 0.25
"""Two numbers so near to one that another value of it is further away."""
_CONTAINERS = (ast.Tuple, ast.List, ast.Set)


class Unchangeable(BaseException):
    """There is no other value of which it is known that nothing honest equals it."""


def install(may_be_judged: Callable[[Any], bool]) -> None:
    """Give the changed tests what they call.

    Args:
        may_be_judged: Tells whether nothing in a value may equal what it likes.
    """

    def judged(value: Any) -> Any:
        if not may_be_judged(value):
            raise Unchangeable
        return value

    setattr(builtins, OTHER, other)
    setattr(builtins, JUDGED, judged)


def other(value: Any) -> Any:
    """Give a value of the same type that is unequal, its last part changed alone in a text.

    Raises:
        Unchangeable: It is of no plain type.
    """
    made = _made_of(value)
    if made is value or made == value:
        raise Unchangeable
    return made


def _made_of(value: Any) -> Any:
    kind = type(value)
    if kind is bool:
        return not value
    if kind is int:
        return value + 1
    if kind is float:
        return value * 1.5 + 1 if math.isfinite(value) else value
    if kind is str:
        return value[:-1] + _next(value[-1:])
    if kind is bytes:
        return value[:-1] + bytes([value[-1] ^ 1]) if value else b"x"
    if kind in (list, tuple, set, frozenset) and value:
        return kind(_or_itself(each) for each in value)
    if kind is dict and value:
        return {key: _or_itself(each) for key, each in value.items()}
    return value


def _or_itself(value: Any) -> Any:
    made = _made_of(value)
    return value if type(made) is not type(value) else made


def _next(character: str) -> str:
    """Another character of the kind."""
    if not character:
        return "x"
    made = (
        chr(ord(character) + 1)
        if character not in ("9", "z", "Z")
        else {"9": "0"}.get(character, chr(ord(character) - 1))
    )
    return made if made.isalnum() == character.isalnum() and made.isprintable() else "x"


def change(function: Any) -> bool:
    """Have a test function expect something else, in its own tree; whether there is anything.

    Args:
        function: The function, which is changed in place.
    """
    changing = _Changing(function)
    function.body = [changing.visit(each) for each in function.body]
    function.body = _flat(function.body)
    if changing.count:
        changing.bind(function)
    return bool(changing.count)


def _flat(body: list[Any]) -> list[ast.stmt]:
    return [each for one in body for each in (one if isinstance(one, list) else [one])]


class _Changing(ast.NodeTransformer):
    """Changes the expectations of a function's assertions, not those of what is defined in it."""

    def __init__(self, function: Any) -> None:
        self.count = 0
        self._guards = 0
        self._names = self._expected_alone(function)

    def bind(self, function: Any) -> None:
        """Change the names that are nothing but expectations where they are bound."""
        for node in [function, *_own(function)]:
            if isinstance(node, (ast.For, ast.AsyncFor)):
                bound = [each.id for each in ast.walk(node.target) if isinstance(each, ast.Name)]
            elif node is function:
                bound = _parameters(function)
            else:
                continue
            start = int(node is function and ast.get_docstring(node, clean=False) is not None)
            for name in bound:
                if name in self._names:
                    node.body.insert(start, _placed(f"{name} = {OTHER}({name})", node.body[0]))

    def _expected_alone(self, function: Any) -> frozenset[str]:
        """The parameters and loop variables that stand nowhere but for what is expected."""
        bound = set(_parameters(function))
        loads: dict[str, int] = {}
        stores: dict[str, int] = {}
        for node in ast.walk(function):
            if isinstance(node, ast.Name):
                counted = loads if isinstance(node.ctx, ast.Load) else stores
                counted[node.id] = counted.get(node.id, 0) + 1
        for node in _own(function):
            if isinstance(node, (ast.For, ast.AsyncFor)):
                targets = [each.id for each in ast.walk(node.target) if isinstance(each, ast.Name)]
                bound |= {name for name in targets if stores[name] == 1}
        expected: dict[str, int] = {}
        for node in _own(function):
            for side in _expectations(node):
                for each in _names(side):
                    expected[each] = expected.get(each, 0) + 1
            if isinstance(node, ast.Assert) and node.msg is not None and _pair(node):
                for part in ast.walk(node.msg):
                    if isinstance(part, ast.Name):
                        expected[part.id] = expected.get(part.id, 0) + 1
        return frozenset(
            name
            for name in bound
            if loads.get(name) and loads[name] == expected.get(name) and not stores.get(name, 0) > 1
        )

    def _left(self, node: ast.AST) -> ast.AST:
        """What is defined in a test may never be called."""
        return node

    visit_FunctionDef = visit_AsyncFunctionDef = visit_ClassDef = visit_Lambda = _left  # noqa: N815

    def visit_With(self, node: ast.AST) -> Any:
        """What is in it may be caught."""
        return self._guarded(node)

    visit_AsyncWith = visit_Try = visit_TryStar = visit_With  # noqa: N815

    def visit_Assert(self, node: ast.Assert) -> Any:
        """Change what it expects."""
        pair = _pair(node)
        if pair is None:
            return node
        node.msg = None
        return self._changed(node, pair)

    def visit_Expr(self, node: ast.Expr) -> Any:
        """Change what one of unittest's expects."""
        pair = _pair(node)
        return node if pair is None else self._changed(node, pair)

    def _guarded(self, node: Any) -> Any:
        self._guards += 1
        self.generic_visit(node)
        self._guards -= 1
        return node

    def _changed(self, node: Any, pair: _Pair) -> Any:
        owner, places = pair
        expected = _expected_at(pair)
        for place in places:
            side = _get(owner, place)
            if place == expected:
                _set(owner, place, self._another(side))
            else:
                _set(owner, place, _call(JUDGED, side))
        self.count += 1
        return [node] if self._guards else [node, _placed(f"{HELD}()", node)]

    def _another(self, side: ast.expr) -> ast.expr:
        """What is expected, changed; at run time where it is no text of constants and names."""
        if _is_plain(side):
            if any(name not in self._names for name in _names(side)):
                return _call(OTHER, side)
            if _names(side) and not _has_constants(side):
                return side  # changed where it is bound
            changed: ast.expr = _Constants().visit(side)
            return changed
        return _call(OTHER, side)


_Pair = tuple[Any, tuple[Any, ...]]
"""A node, and where in it the sides stand that are compared."""


def _pair(node: ast.AST) -> _Pair | None:
    """What an assertion compares for equality; None where it is none of which that is known."""
    test: Any = None
    if isinstance(node, ast.Assert):
        test = node.test
    elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        call = node.value
        is_own = isinstance(call.func, ast.Attribute) and isinstance(call.func.value, ast.Name)
        if is_own and call.func.attr in _COMPARES and len(call.args) == 2 and not call.keywords:  # type: ignore[attr-defined]
            return call, (("args", 0), ("args", 1))
    return None if test is None else _pair_of_test(test)


def _pair_of_test(test: ast.expr) -> _Pair | None:
    if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.And):
        return next(filter(None, map(_pair_of_test, test.values)), None)
    if isinstance(test, ast.Compare) and len(test.ops) == 1:
        if isinstance(test.ops[0], ast.Eq):
            return test, ("left", ("comparators", 0))
        return _near(test)
    if isinstance(test, ast.Call) and not test.keywords and isinstance(test.func, ast.Attribute):
        if test.func.attr in _ENDS and len(test.args) == 1:
            return test, (("func", "value"), ("args", 0))
        if test.func.attr == "isclose" and len(test.args) == 2:
            return test, (("args", 0), ("args", 1))
    return None


def _near(test: ast.Compare) -> _Pair | None:
    """The sides of `abs(value - 7) < 1e-6`: no second number is as near as that."""
    limit, distance = test.comparators[0], test.left
    if (
        isinstance(test.ops[0], (ast.Lt, ast.LtE))
        and isinstance(limit, ast.Constant)
        and isinstance(limit.value, (int, float))
        and limit.value <= _NEAR
        and isinstance(distance, ast.Call)
        and isinstance(distance.func, ast.Name)
        and distance.func.id == "abs"
        and isinstance(difference := next(iter(distance.args), None), ast.BinOp)
        and isinstance(difference.op, ast.Sub)
    ):
        return difference, ("left", "right")
    return None


def _expected_at(pair: _Pair) -> Any:
    """Which side of a pair is the expected one: the one that is written out, else the second."""
    owner, places = pair
    second, first = _get(owner, places[1]), _get(owner, places[0])
    is_first = _is_plain(first) and not (_is_plain(second) and _has_constants(second))
    is_first = is_first and (_has_constants(first) or not _is_plain(second))
    return places[0] if is_first else places[1]


def _expectations(node: ast.AST) -> Iterator[ast.expr]:
    pair = _pair(node)
    if pair is not None:
        side = _get(pair[0], _expected_at(pair))
        if _is_plain(side):
            yield side


def _get(owner: Any, place: Any) -> Any:
    if isinstance(place, str):
        return getattr(owner, place)
    name, part = place
    inner = getattr(owner, name)
    return getattr(inner, part) if isinstance(part, str) else inner[part]


def _set(owner: Any, place: Any, value: ast.expr) -> None:
    if isinstance(place, str):
        setattr(owner, place, value)
        return
    name, part = place
    if isinstance(part, str):
        setattr(getattr(owner, name), part, value)
    else:
        getattr(owner, name)[part] = value


def _is_approx(node: ast.AST) -> bool:
    if not isinstance(node, ast.Call) or len(node.args) != 1 or node.keywords:
        return False
    function = node.func
    name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    return name == "approx"


def _is_plain(node: ast.expr) -> bool:
    """Whether it is put together of constants and names alone."""
    if isinstance(node, ast.Constant):
        return type(node.value) in (int, float, str, bytes, bool)
    if isinstance(node, ast.UnaryOp):
        return isinstance(node.op, ast.USub) and isinstance(node.operand, ast.Constant)
    if isinstance(node, _CONTAINERS):
        return bool(node.elts) and all(map(_is_plain, node.elts))
    if isinstance(node, ast.Dict):
        return bool(node.values) and all(node.keys) and all(map(_is_plain, node.values))
    if _is_approx(node):
        return _is_plain(node.args[0])  # type: ignore[attr-defined]
    return isinstance(node, ast.Name)


def _has_constants(node: ast.expr) -> bool:
    return any(isinstance(each, ast.Constant) for each in _values(node))


def _names(node: ast.expr) -> list[str]:
    """The names that a plain side is put together of, the function `approx` left out."""
    return [each.id for each in _values(node) if isinstance(each, ast.Name)]


def _values(node: ast.expr) -> Iterator[ast.expr]:
    if isinstance(node, _CONTAINERS):
        for each in node.elts:
            yield from _values(each)
    elif isinstance(node, ast.Dict):
        for each in node.values:
            yield from _values(each)
    elif isinstance(node, ast.UnaryOp):
        yield node.operand
    elif _is_approx(node):
        yield from _values(node.args[0])  # type: ignore[attr-defined]
    else:
        yield node


class _Constants(ast.NodeTransformer):
    """Changes the constants in a plain side; the code object then holds no trace of the old."""

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        """Put another in its place."""
        made = _made_of(node.value)
        return (
            _call(OTHER, node)
            if made == node.value
            else ast.copy_location(ast.Constant(made), node)
        )

    def visit_Dict(self, node: ast.Dict) -> ast.AST:
        """Change the values alone."""
        node.values = [self.visit(each) for each in node.values]
        return node


def _call(name: str, argument: ast.expr) -> ast.expr:
    made = ast.Call(ast.Name(name, ast.Load()), [argument], [])
    for each in (made, made.func):
        ast.copy_location(each, argument)
    return made


def _own(function: ast.AST) -> Iterator[ast.AST]:
    """The nodes of a function, those of what is defined in it left out."""
    for child in ast.iter_child_nodes(function):
        yield child
        if not isinstance(child, _SCOPES):
            yield from _own(child)


def _parameters(function: Any) -> list[str]:
    arguments = function.args
    return [each.arg for each in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]


def _placed(text: str, where: Any) -> Any:
    """A statement that stands where another one does."""
    made = ast.parse(text).body[0]
    for each in ast.walk(made):
        ast.copy_location(each, where)
    return made
