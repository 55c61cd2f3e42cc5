"""Test functions that tell of what leaves them, and their twins with inverted assertions.

Sent as text like `inside_tests`. A twin is made from the text that the test was read from,
and not from the function, which the code under test can get at.
"""

from __future__ import annotations

import ast
import copy
import types
from collections.abc import Callable, Collection, Iterator
from typing import Any, NamedTuple

LEFT = "__selfheal_left__"
"""What a function calls, of `builtins`, when it begins (False), and when an exception leaves it."""
HELD = "__selfheal_held__"
"""What a twin calls where an inverted assertion held that nothing could have caught."""

_OPPOSITES: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Eq: ast.NotEq, ast.Lt: ast.GtE, ast.Gt: ast.LtE, ast.Is: ast.IsNot, ast.In: ast.NotIn,
}  # fmt: skip
_OPPOSITES |= {other: one for one, other in _OPPOSITES.items()}
_METHODS = {
    "assertEqual": "assertNotEqual", "assertTrue": "assertFalse", "assertIs": "assertIsNot",
    "assertIsNone": "assertIsNotNone", "assertIn": "assertNotIn",
    "assertLess": "assertGreaterEqual", "assertGreater": "assertLessEqual",
    "assertIsInstance": "assertNotIsInstance", "assertAlmostEqual": "assertNotAlmostEqual",
}  # fmt: skip
_METHODS |= {other: one for one, other in _METHODS.items()}
_CATCH_NO_SENTINEL = frozenset(
    {"raises", "warns", "deprecated_call", "suppress", "assertRaises", "assertRaisesRegex",
     "assertWarns", "assertLogs", "open", "patch", "object", "dict", "context"}
)  # fmt: skip
"""Context managers that let pass what is no `Exception`, unless they are told to catch it."""


class Twin(NamedTuple):
    """What a test function's text gives."""

    inverted: types.CodeType | None
    """Its code with its assertions inverted; None where it has none of its own."""
    changed: types.CodeType | None
    """Its code with its expectations changed; None where it has none that can be."""
    swallows: bool
    """Something in it may catch whatever is raised."""


def make_tell(tree: ast.Module, names: Collection[str]) -> None:
    """Have the tests of a module tell when they begin, and when an exception leaves them.

    Args:
        tree: The module.
        names: Names of functions that are tests whatever they are called.
    """
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and (
            node.name in names or node.name.startswith("test")
        ):
            _tell(node)


def twin_of(
    function: types.FunctionType, text: bytes, change: Callable[[Any], bool]
) -> Twin | None:
    """Compile a test function's twins beside it, so that they see the same names.

    Args:
        function: The function, whose code says where it begins.
        text: The text of its module.
        change: Changes what a function expects; whether it expects anything.

    Returns:
        The twins; None where the function is not found, or they would not fit it.

    Raises:
        SyntaxError, ValueError, RecursionError: The text cannot be compiled.
    """
    code = function.__code__
    tree = ast.parse(text)
    tree.body = [
        each
        for each in tree.body
        if _first_line(each) <= code.co_firstlineno <= (each.end_lineno or 0)
        or (isinstance(each, ast.ImportFrom) and each.module == "__future__")
    ]
    found = next(_found_in(tree, code), None)
    if found is None:
        return None
    body, node = found
    swallows = any(map(_swallows, node.body))
    inverted, changed = copy.deepcopy(node), copy.deepcopy(node)
    inverting = _Inverting()
    inverted.body = inverting.inverted(inverted.body)
    twins = {}
    for kind, twin, is_one in (
        ("inverted", inverted, bool(inverting.count)),
        ("changed", changed, change(changed)),
    ):
        if is_one:
            twin.name = twins[kind] = f"{code.co_name}_selfheal_{kind}"
            twin.decorator_list = []
            _tell(twin)
            body.append(twin)
    if not twins:
        return Twin(inverted=None, changed=None, swallows=swallows)
    compiled = compile(tree, code.co_filename, "exec", dont_inherit=True)
    codes = {each.co_name: each for each in _codes(compiled)}
    made = {kind: codes.get(name) for kind, name in twins.items()}
    if any(each is None or each.co_freevars != code.co_freevars for each in made.values()):
        return None
    fitting = {kind: each.replace(co_name=code.co_name) for kind, each in made.items() if each}
    return Twin(inverted=fitting.get("inverted"), changed=fitting.get("changed"), swallows=swallows)


class _Inverting(ast.NodeTransformer):
    """Inverts the assertions of a function, not those of what is defined in it."""

    def __init__(self) -> None:
        self.count = 0
        self._guards = 0

    def inverted(self, body: list[ast.stmt]) -> list[ast.stmt]:
        """Give a function's statements with the assertions inverted."""
        new: list[ast.stmt] = []
        for each in body:
            made = self.visit(each)
            new += made if isinstance(made, list) else [made]
        return new

    def _left(self, node: ast.AST) -> ast.AST:
        """What is defined in a test may never be called."""
        return node

    visit_FunctionDef = visit_AsyncFunctionDef = visit_ClassDef = visit_Lambda = _left  # noqa: N815

    def visit_With(self, node: ast.AST) -> Any:
        """What is in it may be caught."""
        return self._guarded(node)

    visit_AsyncWith = visit_Try = visit_TryStar = visit_With  # noqa: N815

    def visit_Assert(self, node: ast.Assert) -> Any:
        """Invert an `assert`, by its operator where it has one."""
        test = node.test
        if isinstance(test, ast.Compare) and len(test.ops) == 1:
            test.ops = [_OPPOSITES[type(test.ops[0])]()]
        else:
            node.test = ast.copy_location(ast.UnaryOp(ast.Not(), test), test)
        node.msg = None
        return self._noted(node)

    def visit_Expr(self, node: ast.Expr) -> Any:
        """Invert one of unittest's."""
        call = node.value
        if (
            isinstance(call, ast.Call)
            and isinstance(call.func, ast.Attribute)
            and isinstance(call.func.value, ast.Name)
            and call.func.value.id == "self"
            and call.func.attr in _METHODS
        ):
            call.func.attr = _METHODS[call.func.attr]
            return self._noted(node)
        return node

    def _guarded(self, node: Any) -> Any:
        self._guards += 1
        self.generic_visit(node)
        self._guards -= 1
        return node

    def _noted(self, node: ast.stmt) -> list[ast.stmt]:
        self.count += 1
        return [node] if self._guards else [node, _placed(f"{HELD}()", node)]


def _tell(node: Any) -> None:
    """Have a function tell, its docstring left in its place."""
    start = int(ast.get_docstring(node, clean=False) is not None)
    body = node.body[start:]
    if not body:
        return
    guarded = _placed(f"try: pass\nexcept: {LEFT}(True); raise", body[0])
    guarded.body = body
    node.body[start:] = [_placed(f"{LEFT}(False)", body[0]), guarded]


def _placed(text: str, where: ast.stmt) -> Any:
    """A statement that stands where another one does."""
    made = ast.parse(text).body[0]
    for each in ast.walk(made):
        ast.copy_location(each, where)
    return made


def _found_in(tree: ast.Module, code: types.CodeType) -> Iterator[tuple[list[ast.stmt], Any]]:
    """The function that a code object was compiled from, with the list that it stands in."""
    for parent in ast.walk(tree):
        for field in ("body", "orelse", "finalbody"):
            body: Any = getattr(parent, field, None)
            for each in body if isinstance(body, list) else ():
                if (
                    isinstance(each, (ast.FunctionDef, ast.AsyncFunctionDef))
                    and each.name == code.co_name
                    and _first_line(each) == code.co_firstlineno
                ):
                    yield body, each


def _codes(code: types.CodeType) -> Iterator[types.CodeType]:
    for each in code.co_consts:
        if isinstance(each, types.CodeType):
            yield each
            yield from _codes(each)


def _swallows(node: ast.AST) -> bool:
    """Whether a statement, or anything in it, may keep any exception from going on."""
    for each in ast.walk(node):
        if isinstance(each, ast.ExceptHandler):
            if each.type is None or "BaseException" in ast.dump(each.type):
                return True
        elif isinstance(each, (ast.With, ast.AsyncWith)):
            if not all(map(_lets_pass, each.items)):
                return True
        else:
            # Of a `try`: leaving from there drops the exception.
            last = [part for end in getattr(each, "finalbody", ()) for part in ast.walk(end)]
            if any(isinstance(part, _LEAVING) for part in last):
                return True
    return False


_LEAVING = (ast.Return, ast.Break, ast.Continue)


def _lets_pass(item: ast.withitem) -> bool:
    call = item.context_expr
    if not isinstance(call, ast.Call) or "BaseException" in ast.dump(call):
        return False
    function = call.func
    name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    return name in _CATCH_NO_SENTINEL


def _first_line(node: Any) -> int:
    return int(min([node.lineno, *(each.lineno for each in getattr(node, "decorator_list", ()))]))
