"""What a function answers when it is asked about something that it knows nothing of.

Its body is followed without being run: `self` and everything around it are unknown, the
other side of a comparison is a plain value of a given type that equals nothing else.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass

from pytest_selfheal.source.policy_names import Names
from pytest_selfheal.source.policy_scopes import FUNCTIONS

_MAX_DEPTH = 4
PLAIN_TYPES = ("int", "str", "float", "list", "tuple", "dict")
"""The types of the plain values that comparisons are asked about."""
_ABSTRACT = {
    "numbers.Number": {"int", "float"},
    "numbers.Real": {"int", "float"},
    "numbers.Integral": {"int"},
    "numbers.Rational": {"int"},
    "numbers.Complex": {"int", "float"},
    "typing.Hashable": {"int", "str", "float", "tuple"},
    "collections.abc.Hashable": {"int", "str", "float", "tuple"},
    "collections.abc.Sequence": {"str", "list", "tuple"},
    "collections.abc.Iterable": {"str", "list", "tuple", "dict"},
    "collections.abc.Mapping": {"dict"},
    "builtins.object": set(PLAIN_TYPES),
}
_EVERYWHERE = frozenset(name for name in dir(object) if name != "__dict__")


@dataclass(frozen=True, slots=True)
class Known:
    """A value that is known: a constant, or one of the three marks below."""

    value: object


UNKNOWN = Known(object())
OTHER = Known(object())
NOT_IMPLEMENTED = Known(object())
_MARKS = (UNKNOWN, OTHER, NOT_IMPLEMENTED)
_MAY_FAIL = (ast.Call, ast.Attribute, ast.Subscript, ast.BinOp, ast.Compare, ast.Raise, ast.Assert)
_SAME_WAY = (ast.Eq, ast.Is, ast.LtE, ast.GtE)
_OTHER_WAY = (ast.NotEq, ast.IsNot, ast.Lt, ast.Gt)


def answers(function: ast.AST, names: Names, other_type: str) -> frozenset[Known]:
    """Give what a comparison may answer about a plain value of a type.

    Args:
        function: A method of two parameters, or a lambda.
        names: What the names in it stand for.
        other_type: The type's name, one of `PLAIN_TYPES`.
    """
    return _Follower(names, other_type).call(function, None)


def truth(answer: Known) -> bool | None:
    """Tell what an answer counts as, `None` where that is not known."""
    return None if answer in _MARKS else bool(answer.value)


@dataclass(slots=True)
class _Follower:
    names: Names
    other_type: str
    depth: int = 0

    def call(self, function: ast.AST, given: Sequence[Known] | None) -> frozenset[Known]:
        """Follow a function; without arguments its second parameter is the other side."""
        assert isinstance(function, FUNCTIONS)
        if isinstance(function, ast.AsyncFunctionDef):
            return frozenset({Known(True)})  # a coroutine, which counts as true
        parameters = [each.arg for each in (*function.args.posonlyargs, *function.args.args)]
        around: dict[str, Known] = {}
        if given is None:
            if len(parameters) > 1:
                around[parameters[1]] = OTHER
            elif len(parameters) == 1 and function.args.vararg:
                around[f"{function.args.vararg.arg}[0]"] = OTHER
        else:
            around.update(zip(parameters, given, strict=False))
        if isinstance(function, ast.Lambda):
            return frozenset({self._value(function.body, around)})
        if any(isinstance(each, (ast.Yield, ast.YieldFrom)) for each in _own_nodes(function)):
            return frozenset({Known(True)})  # a generator, which counts as true
        found: set[Known] = set()
        if self._run(function.body, around, found):
            found.add(Known(None))
        return frozenset(found)

    def _run(
        self, body: Sequence[ast.stmt], around: MutableMapping[str, Known], found: set[Known]
    ) -> bool:
        """Follow statements; whether what comes after them may be reached."""
        return all(self._step(node, around, found) for node in body)

    def _step(self, node: ast.stmt, around: MutableMapping[str, Known], found: set[Known]) -> bool:
        if isinstance(node, ast.Return):
            found.add(self._value(node.value, around) if node.value else Known(None))
            return False
        if isinstance(node, ast.Raise):
            return False
        if isinstance(node, ast.If):
            return self._branches(node, around, found)
        if isinstance(node, ast.Assign):
            value = self._value(node.value, around)
            self._forget(node, around)
            for target in node.targets:
                around[_place(target)] = value
        elif isinstance(node, (ast.AnnAssign, ast.AugAssign)):
            is_plain = isinstance(node, ast.AnnAssign) and node.value is not None
            value = self._value(node.value, around) if is_plain and node.value else UNKNOWN
            around[ast.unparse(node.target)] = value
        elif isinstance(node, ast.Expr):
            self._evaluate(node.value, around)
        elif isinstance(node, (ast.With, ast.AsyncWith)):
            return self._run(node.body, around, found)
        elif isinstance(node, ast.Try):
            return self._tried(node, around, found)
        elif isinstance(node, ast.Match):
            return self._matched(node, around, found)
        elif isinstance(node, ast.While) and truth(self._value(node.test, around)):
            return self._run(node.body, around, found)
        elif isinstance(node, (ast.For, ast.AsyncFor, ast.While)):
            self._forget(node, around)
            for block in (node.body, node.orelse):
                self._run(block, dict(around), found)
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            around.pop(node.name, None)
        return True

    def _branches(
        self, node: ast.If, around: MutableMapping[str, Known], found: set[Known]
    ) -> bool:
        known = truth(self._value(node.test, around))
        if known is not None:
            return self._run(node.body if known else node.orelse, around, found)
        ends = [self._run(each, dict(around), found) for each in (node.body, node.orelse)]
        self._forget(node, around)
        return any(ends)

    def _tried(self, node: ast.Try, around: MutableMapping[str, Known], found: set[Known]) -> bool:
        blocks = [[*node.body, *node.orelse]]
        if any(isinstance(each, _MAY_FAIL) for part in node.body for each in ast.walk(part)):
            blocks += [each.body for each in node.handlers]
        ends = [self._run(block, dict(around), found) for block in blocks]
        self._forget(node, around)
        return self._run(node.finalbody, around, found) and any(ends)

    def _matched(
        self, node: ast.Match, around: MutableMapping[str, Known], found: set[Known]
    ) -> bool:
        ends = [self._run(each.body, dict(around), found) for each in node.cases]
        self._forget(node, around)
        last = node.cases[-1]
        takes_all = isinstance(last.pattern, ast.MatchAs) and last.pattern.pattern is None
        return any(ends) or not (takes_all and last.guard is None)

    def _evaluate(self, node: ast.expr, around: MutableMapping[str, Known]) -> None:
        """Look at an expression for what it does: `setattr(self, "seen", other)`."""
        value = self._value(node, around)
        if isinstance(node, ast.Call) and node.keywords and isinstance(node.func, ast.Attribute):
            owner = node.func.value  # self.__dict__.update(seen=other)
            if isinstance(owner, ast.Attribute) and owner.attr == "__dict__":
                for each in node.keywords:
                    around[f"{ast.unparse(owner.value)}.{each.arg}"] = self._value(
                        each.value, around
                    )
        if isinstance(node, ast.Call) and len(node.args) == 3:
            for name in self.names.folder.texts(node.args[1]):
                value = self._value(node.args[2], around)
                around[f"{ast.unparse(node.args[0])}.{name}"] = value

    @staticmethod
    def _forget(node: ast.AST, around: MutableMapping[str, Known]) -> None:
        """What is set in a block that may not be run is not known after it."""
        for each in ast.walk(node):
            if isinstance(each, (ast.Name, ast.Attribute, ast.Subscript)) and isinstance(
                each.ctx, ast.Store
            ):
                around[ast.unparse(each)] = UNKNOWN

    # -- expressions --

    def _value(self, node: ast.expr, around: MutableMapping[str, Known]) -> Known:
        if isinstance(node, ast.Constant):
            return Known(node.value)
        if isinstance(node, (ast.Name, ast.Attribute, ast.Subscript)):
            return self._named(node, around)
        if isinstance(node, ast.NamedExpr):
            around[node.target.id] = self._value(node.value, around)
            return around[node.target.id]
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            known = truth(self._value(node.operand, around))
            return UNKNOWN if known is None else Known(not known)
        if isinstance(node, ast.BoolOp):
            return self._bool_op(node, around)
        if isinstance(node, ast.IfExp):
            known = truth(self._value(node.test, around))
            both = {self._value(each, around) for each in (node.body, node.orelse)}
            if known is not None:
                return self._value(node.body if known else node.orelse, around)
            return both.pop() if len(both) == 1 else UNKNOWN
        if isinstance(node, ast.Compare):
            return self._compare(node, around)
        if isinstance(node, ast.Call):
            return self._called(node, around)
        if isinstance(node, ast.Lambda):
            return Known(True)
        return self._constant(node)

    def _constant(self, node: ast.expr) -> Known:
        """Give what an expression comes to in which no variable takes part."""
        named = [each for each in ast.walk(node) if isinstance(each, ast.Name)]
        folded = self.names.folder.values(node) if all(map(self.names.dotted, named)) else ()
        if len(folded) != 1:
            return UNKNOWN
        return Known(folded[0]) if _is_hashable(folded[0]) else Known(repr(folded[0] or ""))

    def _named(self, node: ast.expr, around: Mapping[str, Known]) -> Known:
        text = ast.unparse(node)
        if text in around:
            return around[text]
        dotted = self.names.dotted(node)
        if dotted == "builtins.NotImplemented":
            return NOT_IMPLEMENTED
        if isinstance(node, ast.Attribute) and self._value(node.value, {**around}) is OTHER:
            return Known(True) if node.attr in ("__class__", "__doc__") else UNKNOWN
        values = self.names.folder.values(node) if isinstance(node, ast.Name) else ()
        given = self.names.scopes.given.get(self.names.scopes.key(node), ()) if values else ()  # type: ignore[arg-type]
        is_constant = len(values) == 1 and len(given) == 1
        return Known(values[0]) if is_constant and _is_hashable(values[0]) else UNKNOWN

    def _bool_op(self, node: ast.BoolOp, around: MutableMapping[str, Known]) -> Known:
        decides = isinstance(node.op, ast.Or)
        values = [self._value(each, around) for each in node.values]
        for value in values:
            if truth(value) is decides:
                return value
        if decides and _is_tautology(node.values):
            return Known(True)
        return values[-1] if all(truth(value) is not None for value in values) else UNKNOWN

    def _compare(self, node: ast.Compare, around: MutableMapping[str, Known]) -> Known:
        if len(node.ops) != 1:
            return UNKNOWN
        left, right, operator = node.left, node.comparators[0], node.ops[0]
        one, other = self._value(left, around), self._value(right, around)
        of_types = self._type_asked(left, around), self._type_asked(right, around)
        if True in of_types and isinstance(operator, (*_SAME_WAY, ast.In, *_OTHER_WAY, ast.NotIn)):
            asked = right if of_types[0] else left
            known = self._is_of(list(self._parts_of(asked)), exactly=True)
            negated = isinstance(operator, (*_OTHER_WAY, ast.NotIn))
            return UNKNOWN if known is None else Known(known is not negated)
        is_same = (one == other != UNKNOWN) or ast.dump(left) == ast.dump(right)
        if isinstance(operator, ast.In) and isinstance(right, (ast.Tuple, ast.List, ast.Set)):
            is_same = any(ast.dump(left) == ast.dump(each) for each in right.elts)
        if is_same and isinstance(operator, (*_SAME_WAY, ast.In)):
            return Known(True)
        if is_same and isinstance(operator, _OTHER_WAY):
            return Known(False)
        if OTHER in (one, other) and Known(None) in (one, other):
            return Known(isinstance(operator, (ast.NotEq, ast.IsNot)))
        if all(each not in _MARKS for each in (one, other)) and isinstance(
            operator, (ast.Eq, ast.NotEq)
        ):
            return Known((one == other) is isinstance(operator, ast.Eq))
        return UNKNOWN

    def _type_asked(self, node: ast.expr, around: MutableMapping[str, Known]) -> bool:
        """Whether it is `type(other)` or `other.__class__`."""
        if isinstance(node, ast.Call) and len(node.args) == 1:
            is_type = self.names.dotted(node.func) == "builtins.type"
            return is_type and self._value(node.args[0], around) is OTHER
        is_class = isinstance(node, ast.Attribute) and node.attr == "__class__"
        return is_class and self._value(node.value, around) is OTHER  # type: ignore[attr-defined]

    def _is_of(self, types: Sequence[ast.expr], *, exactly: bool) -> bool | None:
        """Whether the other side is of one of some types; None where they are not known."""
        seen = False
        for each in types:
            dotted = self.names.dotted(each) or ""
            if dotted.removeprefix("builtins.") == self.other_type:
                return True
            if not exactly and self.other_type in _ABSTRACT.get(dotted, ()):
                return True
            is_name = isinstance(each, (ast.Name, ast.Attribute, ast.Call))
            seen = seen or not is_name
        return None if seen else False

    def _parts_of(self, node: ast.expr) -> Iterator[ast.expr]:
        """Give the types that `isinstance` is given: `(int, str)`, `int | str`, `_NUMBERS`."""
        if isinstance(node, (ast.Tuple, ast.List, ast.Set)):
            for each in node.elts:
                yield from self._parts_of(each)
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
            yield from (*self._parts_of(node.left), *self._parts_of(node.right))
        elif isinstance(node, ast.Name):
            given = self.names.scopes.given.get(self.names.scopes.key(node), ())
            is_tuple = len(given) == 1 and isinstance(given[0].node, (ast.Tuple, ast.BinOp))
            yield from self._parts_of(given[0].node) if is_tuple else [node]  # type: ignore[arg-type]
        else:
            yield node

    def _called(self, node: ast.Call, around: MutableMapping[str, Known]) -> Known:
        called = (self.names.dotted(node.func) or "").removeprefix("builtins.")
        given = [self._value(each, around) for each in node.args]
        if called == "isinstance" and len(given) == 2:
            asked = list(self._parts_of(node.args[1]))
            if any(self.names.dotted(each) == "builtins.object" for each in asked):
                return Known(True)
            known = self._is_of(asked, exactly=False) if given[0] is OTHER else None
            return UNKNOWN if known is None else Known(known)
        if called == "hasattr" and len(given) == 2:
            return Known(True) if given[1].value in _EVERYWHERE else UNKNOWN
        if called in ("bool", "int") and len(given) == 1:
            known = truth(given[0])
            return UNKNOWN if known is None else Known(known)
        if called in ("type", "repr", "dir", "object") and len(given) < 2:
            return Known(object()) if called != "repr" else UNKNOWN  # something, which is true
        if self.depth < _MAX_DEPTH and isinstance(node.func, (ast.Name, ast.Lambda)):
            functions: Sequence[ast.AST] = (node.func,)
            if isinstance(node.func, ast.Name):
                functions = self.names.scopes.functions.get(node.func.id, ())
            if len(functions) == 1 and not node.keywords:
                inner = _Follower(self.names, self.other_type, self.depth + 1)
                found = inner.call(functions[0], given)
                return next(iter(found)) if len(found) == 1 else UNKNOWN
        return self._constant(node)


_NEGATIONS = {ast.Eq: ast.NotEq, ast.Lt: ast.GtE, ast.Gt: ast.LtE, ast.Is: ast.IsNot}


def _is_tautology(parts: Sequence[ast.expr]) -> bool:
    """Whether one of two parts must be true: `a == b or a != b`."""
    compared = [each for each in parts if isinstance(each, ast.Compare) and len(each.ops) == 1]
    return any(
        _NEGATIONS.get(type(one.ops[0])) is type(two.ops[0])
        and ast.dump(one.left) == ast.dump(two.left)
        and ast.dump(one.comparators[0]) == ast.dump(two.comparators[0])
        for one in compared
        for two in compared
    )


def _place(target: ast.expr) -> str:
    """Give where something is kept: `self.__dict__["seen"]` is `self.seen`."""
    if isinstance(target, ast.Subscript) and isinstance(target.slice, ast.Constant):
        owner = target.value
        if isinstance(owner, ast.Attribute) and owner.attr == "__dict__":
            return f"{ast.unparse(owner.value)}.{target.slice.value!s}"
        if isinstance(owner, ast.Call) and ast.unparse(owner.func) == "vars" and owner.args:
            return f"{ast.unparse(owner.args[0])}.{target.slice.value!s}"
    return ast.unparse(target)


def _is_hashable(value: object) -> bool:
    return isinstance(value, (str, bytes, int, float, bool, type(None)))


def _own_nodes(function: ast.AST) -> Iterator[ast.AST]:
    """Give the nodes of a function, those of inner functions left out."""
    for child in ast.iter_child_nodes(function):
        if not isinstance(child, FUNCTIONS):
            yield child
            yield from _own_nodes(child)
