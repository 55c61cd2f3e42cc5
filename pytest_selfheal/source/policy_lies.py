"""Checks of the static policy: no comparison that says yes without looking.

A constant answer is a lie only where it can pass for a right one. A Null object that is
false, a NaN that equals nothing, an infinity above everything say what they are: a test
that takes one of them for its value is taken in by a plain constant as well.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from pytest_selfheal.source.policy_answers import PLAIN_TYPES, UNKNOWN, answers, truth
from pytest_selfheal.source.policy_context import Context, Violation
from pytest_selfheal.source.policy_folding import answers_of
from pytest_selfheal.source.policy_names import Names
from pytest_selfheal.source.policy_scopes import FUNCTIONS

_LESS, _GREATER = ("__lt__", "__le__"), ("__gt__", "__ge__")
_COMPARISONS = frozenset({"__eq__", "__ne__", *_LESS, *_GREATER})
_MEMBERSHIP = frozenset(
    {"__contains__", "__instancecheck__", "__subclasscheck__", "__subclasshook__"}
)
_DIFFERENCES = frozenset({"__sub__", "__rsub__", "__abs__"})
_NUMBERS_LIST = """
    builtins.int builtins.float builtins.complex decimal.Decimal fractions.Fraction
    """
_NUMBERS = frozenset(_NUMBERS_LIST.split())
_OPPOSITES = {
    "__eq__": ("__ne__", "ne", "is_not", "__lt__", "__gt__", "callable", "__class__"),
    "__ne__": ("__eq__", "eq", "is_"),
}


def lying_classes(tree: ast.Module, context: Context) -> Iterator[Violation]:
    """Refuse comparisons that answer the same whatever they are compared with."""
    for node in ast.walk(tree):
        members = list(_members(node, context))
        for line, name, value in members:
            if _lies(name, value, context.names):
                yield line, f"its {name!r} gives the same answer whatever it is asked"
        if isinstance(node, ast.ClassDef):
            yield from _of_class(node, members, context)
        yield from _on_others(node, context)
    yield from _all_containing(tree, context)


_Member = tuple[int, str, ast.AST]


def _members(node: ast.AST, context: Context) -> Iterator[_Member]:
    """Give `(line, name, value)` of what a node binds as an attribute of a class."""
    names = context.names
    pairs: list[tuple[str, ast.AST]] = []
    if isinstance(node, ast.ClassDef):
        asked = {".".join(target.split(".")[-2:]) for target in context.targets}
        for member in node.body:
            if isinstance(member, (ast.FunctionDef, ast.AsyncFunctionDef)):
                if f"{node.name}.{member.name}" not in asked:
                    pairs.append((member.name, member))
            elif isinstance(member, ast.Assign):
                pairs += [(each.id, member.value) for each in _names(member.targets)]
    elif isinstance(node, ast.Dict):  # type("Any", (), {"__eq__": lambda self, other: True})
        for key, given in zip(node.keys, node.values, strict=True):
            pairs += [(text, given) for text in names.folder.texts(key)] if key else []
    elif isinstance(node, ast.Call):
        pairs += [(each.arg, each.value) for each in node.keywords if each.arg]
        if len(node.args) == 3:
            pairs += [(name, node.args[2]) for name in names.attributes_named(node)]
    elif isinstance(node, ast.Assign):
        for target in node.targets:
            if isinstance(target, ast.Attribute):
                pairs.append((target.attr, node.value))
            elif isinstance(target, ast.Subscript):
                pairs += [(text, node.value) for text in names.folder.texts(target.slice)]
    for name, value in pairs:
        if name[:2] == "__":
            yield getattr(value, "lineno", 1), name, value


def _names(targets: list[ast.expr]) -> list[ast.Name]:
    return [each for each in targets if isinstance(each, ast.Name)]


def _functions(value: ast.AST, names: Names) -> list[ast.AST]:
    """Give the functions that a value may be: itself, a named one, a wrapped one."""
    if isinstance(value, (ast.FunctionDef, ast.AsyncFunctionDef)) and value.decorator_list:
        wrappers = [
            inner
            for each in value.decorator_list
            if isinstance(each, ast.Name)
            for wrapper in names.scopes.functions.get(each.id, ())
            for answer in answers_of(wrapper)
            for inner in _functions(answer, names)
        ]
        return wrappers or [value]
    if isinstance(value, FUNCTIONS):
        return [value]
    if isinstance(value, ast.Attribute) and names.dotted(value) is None:
        return list(names.scopes.functions.get(value.attr, ()))
    if isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and not value.args:
        of_class = names.scopes.given.get(names.scopes.key(value.func), ())
        return [] if of_class else list(names.scopes.functions.get("__call__", ()))
    if isinstance(value, ast.Name):
        return list(names.scopes.functions.get(value.id, ()))
    if isinstance(value, ast.Call) and value.args:
        wraps = names.dotted(value.func) in ("builtins.staticmethod", "builtins.property")
        return _functions(value.args[0], names) if wraps else []
    return []


def _says(value: ast.AST, names: Names, other_type: str) -> bool | None:
    """Give the one answer about a plain value of a type; None where it may be another."""
    functions = _functions(value, names)
    found = {truth(each) for one in functions for each in answers(one, names, other_type)}
    return found.pop() if len(found) == 1 else None


def _lies(name: str, value: ast.AST, names: Names) -> bool:
    if name == "__class__":
        return _is_another_class(value, names)
    if name not in ("__eq__", "__ne__"):
        return False
    named = value.attr if isinstance(value, ast.Attribute) else getattr(value, "id", "")
    if named in _OPPOSITES[name] and not _functions(value, names):
        return True
    if any(_never_looks(each) for each in _functions(value, names)):
        return True
    wanted = name == "__eq__"
    if wanted and any(_sizes_up(each, names) for each in _functions(value, names)):
        return True
    return any(_says(value, names, each) is wanted for each in PLAIN_TYPES)


def _never_looks(function: ast.AST) -> bool:
    """Whether a comparison gives an answer that hangs on something else than the other side."""
    if isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef)):
        body: list[ast.AST] = [*function.body]
    elif isinstance(function, ast.Lambda):
        body = [function.body]
    else:
        return False
    arguments = function.args
    if len(arguments.posonlyargs + arguments.args) != 2 or arguments.vararg or arguments.kwarg:
        return False
    other = [*arguments.posonlyargs, *arguments.args][1].arg
    named = {each.id for one in body for each in ast.walk(one) if isinstance(each, ast.Name)}
    if other in named or named & {"locals", "vars", "NotImplemented", "super"}:
        return False
    return any(not isinstance(each, ast.Constant) for each in answers_of(function))


def _sizes_up(function: ast.AST, names: Names) -> bool:
    """Whether equality is told from the other side alone: `5 < other < 20`.

    To equal some constants, or what is of some type of one's own, is honest without a look
    at oneself.
    """
    if not isinstance(function, (ast.FunctionDef, ast.Lambda)):
        return False
    parameters = [each.arg for each in (*function.args.posonlyargs, *function.args.args)]
    if len(parameters) != 2:
        return False
    nodes = [each for one in answers_of(function) for each in ast.walk(one)]
    every = {each.id for each in ast.walk(function) if isinstance(each, ast.Name)}
    if parameters[0] in every or every & {"super", "locals", "vars"}:
        return False
    orders = any(
        isinstance(each, ast.Compare)
        and any(isinstance(op, (ast.Lt, ast.LtE, ast.Gt, ast.GtE)) for op in each.ops)
        for each in nodes
    )
    asks = any(
        isinstance(each, ast.Call)
        and (names.dotted(each.func) or "") not in _ABOUT_TYPES
        and parameters[1] in {n.id for n in ast.walk(each) if isinstance(n, ast.Name)}
        for each in nodes
    )
    unknown = any(UNKNOWN in answers(function, names, each) for each in PLAIN_TYPES)
    return unknown and (orders or asks)


_ABOUT_TYPES = {
    *("builtins.isinstance", "builtins.type", "builtins.hasattr", "builtins.getattr"),
    "builtins.issubclass",
}


def _is_another_class(value: ast.AST, names: Names) -> bool:
    """Whether an object's `__class__` is said to be one of Python's own, whatever it is."""
    said = [each for one in _functions(value, names) for each in answers_of(one)]
    said = said or ([value] if isinstance(value, ast.expr) else [])
    dotted = {names.dotted(each) or "" for each in said}
    return bool(dotted) and all(each.startswith("builtins.") for each in dotted)


def _of_class(node: ast.ClassDef, members: list[_Member], context: Context) -> Iterator[Violation]:
    names = context.names
    for each in PLAIN_TYPES:
        yes = {name: line for line, name, value in members if _says(value, names, each)}
        less, greater = yes.keys() & {*_LESS}, yes.keys() & {*_GREATER}
        if less and greater:  # both below and above: no infinity
            name = max(less | greater, key=lambda name: yes[name])
            yield yes[name], f"its {name!r} gives the same answer whatever it is asked"
            return
    if any(names.dotted(base) in _NUMBERS for base in node.bases):
        for line, name, value in members:
            if name in _DIFFERENCES and _is_constant(value, names):
                yield line, f"its {name!r} gives the same answer whatever it is asked"


def _is_constant(value: ast.AST, names: Names) -> bool:
    found = [
        each for one in _functions(value, names) for each in answers(one, names, PLAIN_TYPES[0])
    ]
    return len(found) == 1 and found[0] != UNKNOWN and isinstance(found[0].value, (int, float))


def _on_others(node: ast.AST, context: Context) -> Iterator[Violation]:
    """Refuse to give comparisons to the class of an object that came from elsewhere."""
    changed: list[tuple[ast.expr, str]] = []
    if isinstance(node, ast.Attribute) and isinstance(node.ctx, (ast.Store, ast.Del)):
        changed = [(node.value, node.attr)]
    elif isinstance(node, ast.Call) and len(node.args) == 3:
        changed = [(node.args[0], name) for name in context.names.attributes_named(node)]
    for owner, name in changed:
        is_type = isinstance(owner, ast.Call) and context.names.dotted(owner.func) == (
            "builtins.type"
        )
        is_class = isinstance(owner, ast.Attribute) and owner.attr == "__class__"
        if name in _COMPARISONS | _MEMBERSHIP and (is_type or is_class):
            yield (
                owner.lineno,
                f"it changes {name!r} of {ast.unparse(owner)!r}: that is not its own",
            )


def _all_containing(tree: ast.Module, context: Context) -> Iterator[Violation]:
    """Refuse a target that gives nothing but an object that everything is in, or of.

    As a helper such a class is honest: a set of everything, a type of anything.
    """
    lying: dict[str, tuple[int, str]] = {}
    classes = [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    for node in classes:
        for line, name, value in _members(node, context):
            says = {_says(value, context.names, each) for each in PLAIN_TYPES}
            if name in _MEMBERSHIP and says == {True}:
                lying[node.name] = line, name
    for node in classes:
        for base in (*node.bases, *(each.value for each in node.keywords)):
            if isinstance(base, ast.Name) and base.id in lying:
                lying.setdefault(node.name, lying[base.id])
    asked = {target.rpartition(".")[2] for target in context.targets}
    for function in ast.walk(tree) if lying else ():
        if not isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef)):
            continue
        given = [_made(each) for each in answers_of(function)] if function.name in asked else []
        if given and all(each in lying for each in given):
            line, name = lying[given[0]]
            yield line, f"its {name!r} gives the same answer whatever it is asked"


def _made(node: ast.expr) -> str:
    made = node.func if isinstance(node, ast.Call) else node
    return made.id if isinstance(made, ast.Name) else ""
