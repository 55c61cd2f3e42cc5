"""Checks of the static policy: no change to what is not the reply's own."""

from __future__ import annotations

import ast
import builtins
import sys
from collections.abc import Iterator

from pytest_selfheal.source.names import module_bindings
from pytest_selfheal.source.policy_context import Context, Violation
from pytest_selfheal.source.policy_names import Names


def foreign_writes(tree: ast.Module, context: Context) -> Iterator[Violation]:
    """Refuse to change modules, and classes and functions that the reply does not define."""
    kept = {id(node) for node in _names_kept(tree)}
    for node in ast.walk(tree):
        if id(node) in kept or _is_meant_to_change(node, context):
            continue
        for changed in _changed_objects(node, context.names):
            reason = _foreign_reason(changed, context)
            if reason:
                shown = ast.unparse(changed)
                yield node.lineno, f"it changes {shown!r}: {reason}"  # type: ignore[attr-defined]


def _names_kept(tree: ast.Module) -> Iterator[ast.Subscript]:
    """Give where a module's `__getattr__` keeps what it found under the name it was asked for.

    PEP 562: it is called for names that the module lacks, so nothing is hidden by that.
    """
    for function in tree.body:
        if not isinstance(function, ast.FunctionDef) or function.name != "__getattr__":
            continue
        asked = [each.arg for each in (*function.args.posonlyargs, *function.args.args)][:1]
        names = [each for each in ast.walk(function) if isinstance(each, ast.Name)]
        if any(each.id in asked and not isinstance(each.ctx, ast.Load) for each in names):
            continue
        for node in ast.walk(function):
            if (
                isinstance(node, ast.Subscript)
                and isinstance(node.slice, ast.Name)
                and node.slice.id in asked
                and ast.unparse(node.value) == "globals()"
            ):
                yield node


_PROGRAMS_OWN = {
    *("sys.stdin", "sys.stdout", "sys.stderr", "sys.argv", "sys.ps1", "sys.ps2"),
    *("sys.last_type", "sys.last_value", "sys.last_traceback", "sys.last_exc"),
    *("sys.excepthook", "sys.tracebacklimit", "sys.dont_write_bytecode"),
    *("threading.excepthook", "logging.raiseExceptions", "logging.lastResort"),
    *("warnings.showwarning", "warnings.formatwarning", "tempfile.tempdir"),
}
"""What every program may set, as its documentation says: no verdict rests on it."""


def _is_meant_to_change(node: ast.AST, context: Context) -> bool:
    """Whether it sets what is there to be set: a stream, or a variable of the user's class."""
    if not isinstance(node, ast.Attribute) or not isinstance(node.ctx, (ast.Store, ast.Del)):
        return False
    owner = node.value
    is_users = isinstance(owner, ast.Name) and context.user_kinds.get(owner.id) == "class"
    if is_users and ast.unparse(node) in context.user_class_variables:
        return True
    return context.names.dotted(node) in _PROGRAMS_OWN


def _changed_objects(node: ast.AST, names: Names) -> Iterator[ast.expr]:
    """Give the objects whose attributes a statement or call sets or deletes."""
    if isinstance(node, ast.Attribute) and isinstance(node.ctx, (ast.Store, ast.Del)):
        yield node.value
    if isinstance(node, ast.Subscript) and isinstance(node.ctx, (ast.Store, ast.Del)):
        yield from _behind_namespace(node.value, names)
        yield from (node.value for each in names.meanings(node.value) if _is_private(each))
    if isinstance(node, ast.AugAssign):
        yield from _behind_namespace(node.target, names)  # vars(math) |= {…}, under a name
    if isinstance(node, ast.Call):
        yield from _changed_by_call(node, names)


_SETTERS = {
    *("builtins.setattr", "builtins.delattr"),
    *("builtins.object.__setattr__", "builtins.object.__delattr__"),
    *("builtins.type.__setattr__", "builtins.type.__delattr__"),
}


_APPLIERS = {"builtins.map", "functools.partial", "builtins.list", "itertools.starmap"}


def _is_private(dotted: str) -> bool:
    """Whether it is what a module of the library keeps for itself: `re._cache`."""
    package, _, rest = dotted.partition(".")
    is_library = package in sys.stdlib_module_names and package != "builtins"
    return is_library and rest[:1] == "_" and rest[:2] != "__"


def _changed_by_call(node: ast.Call, names: Names) -> Iterator[ast.expr]:
    called = {*names.meanings(node.func)}
    arguments = list(_arguments(node, names))
    if called & _SETTERS and arguments:
        yield arguments[0]
    if isinstance(node.func, ast.Attribute):
        owner, method = node.func.value, node.func.attr
        if method in ("update", "setdefault", "pop", "popitem", "clear", "__setitem__", "__ior__"):
            yield from _behind_namespace(owner, names)
            yield from (owner for each in names.meanings(owner) if _is_private(each))
            if names.dotted(owner) == "builtins.dict" and arguments:
                yield from _behind_namespace(arguments[0], names)
        elif method in ("__setattr__", "__delattr__"):
            is_bound = len(arguments) <= (2 if method == "__setattr__" else 1)
            yield owner if is_bound else arguments[0]
    if called & {"operator.setitem", "operator.delitem", "operator.ior"} and arguments:
        yield from _behind_namespace(arguments[0], names)
    if called & {"builtins.exec", "builtins.eval"}:
        for namespace in arguments[1:]:
            yield from _behind_namespace(namespace, names)
    if called & _APPLIERS and any(_SETTERS.intersection(names.meanings(a)) for a in arguments):
        for each in arguments:
            parts = each.elts if isinstance(each, (ast.Tuple, ast.List)) else [each]
            yield from (part for part in parts if not _SETTERS.intersection(names.meanings(part)))


def _arguments(node: ast.Call, names: Names) -> Iterator[ast.expr]:
    """Give a call's arguments, those in `*(…)` among them."""
    for each in node.args:
        if isinstance(each, ast.Starred):
            for value in names.given_to(each.value):
                if isinstance(value, (ast.Tuple, ast.List)):
                    yield from value.elts
        else:
            yield each


def _behind_namespace(node: ast.expr, names: Names) -> Iterator[ast.expr]:
    """Give the object of `vars(x)` and `x.__dict__`, under a name too, and `globals()` itself."""
    if isinstance(node, ast.Attribute) and node.attr == "__dict__":
        yield node.value
    elif isinstance(node, ast.Call) and names.dotted(node.func) in (
        *("builtins.globals", "builtins.vars", "builtins.locals"),
    ):
        called = names.dotted(node.func)
        if called == "builtins.vars" and node.args:
            yield node.args[0]
        elif called == "builtins.globals":
            yield node
    elif any(each.endswith(".__dict__") for each in names.meanings(node)):
        yield node
    elif isinstance(node, ast.Name):
        for given in names.scopes.given.get(names.scopes.key(node), ()):
            is_globals = isinstance(given.node, ast.Call) and given.how == "value"
            if is_globals and names.dotted(given.node.func) == "builtins.globals":  # type: ignore[union-attr]
                yield given.node  # type: ignore[misc]


def _foreign_reason(changed: ast.expr, context: Context) -> str | None:
    names = context.names
    if isinstance(changed, ast.Call) and names.dotted(changed.func) == "builtins.globals":
        return "names of the module are bound by statements alone"
    root = _root_name(changed)
    dotted = names.dotted(changed)
    if dotted is None:
        return _user_reason(changed, context)
    if not _is_certain(changed, dotted, names):
        return None
    if dotted == "builtins" or dotted.startswith("builtins."):
        return "builtins are everybody's"
    return _imported_reason(root, dotted, context)


def _is_certain(changed: ast.expr, dotted: str, names: Names) -> bool:
    """Whether a change is one to what `dotted` names: a variable may be that, or something else.

    With a module there is no doubt: nothing else is passed where modules are.
    """
    given = (
        names.scopes.given.get(names.scopes.key(changed), ())
        if isinstance(changed, ast.Name)
        else ()
    )
    is_one = all(each.how == "value" for each in given) and len(given) < 2
    is_module = dotted in names.modules or dotted in sys.stdlib_module_names
    return is_one or is_module or dotted.endswith(".__dict__")


def _root_name(node: ast.expr) -> str:
    while isinstance(node, (ast.Attribute, ast.Subscript, ast.Call)):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else ""


def _imported_reason(root: str, dotted: str, context: Context) -> str | None:
    imported = context.names.imported.get(root)
    is_users_value = (
        imported is not None
        and imported.name is not None
        and not imported.name[:1].isupper()
        and context.user_kinds.get(root) == "import"
        and not context.names.is_stdlib(imported)
    )
    if is_users_value:  # an object that the user's module imports to work with
        return None
    return f"{dotted!r} is imported, and others use it too"


def _user_reason(changed: ast.expr, context: Context) -> str | None:
    root = changed.id if isinstance(changed, ast.Name) else ""
    is_local = context.names.is_local(changed) or root in context.names.top_level
    if is_local or context.user_kinds.get(root) not in ("class", "function"):
        return None
    if any(target.split(".")[0] == root for target in context.targets):
        return None
    return f"{root!r} is the module's own and not asked for"


def foreign_globals(tree: ast.Module, context: Context) -> Iterator[Violation]:
    """Refuse `global` on what the module has and is no variable, and on everybody's names."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Global):
            continue
        for name in node.names:
            kind = context.user_kinds.get(name)
            if kind is None and name not in context.names.top_level:
                is_new = not _is_everybodys(name) and name[:2] != "__"
                kind = "variable" if is_new else "builtin"
            if kind not in (None, "variable"):
                yield node.lineno, f"it rebinds {name!r}: that is no variable of the module"


def shadowed_names(tree: ast.Module, context: Context) -> Iterator[Violation]:
    """Refuse module-level names that would hide a builtin, or the runner, from the module.

    In a `conftest.py` a function called `pytest_…` is a hook: it speaks to the runner.
    """
    if context.is_checks:
        return
    for name, bindings in module_bindings(tree).items():
        known = name in context.user_kinds or any(
            target.split(".")[-1] == name for target in context.targets
        )
        if not _is_everybodys(name) or known:
            continue
        if bindings[0].kind == "import":
            imported = bindings[0].imported
            is_renamed = imported is not None and imported.asname is not None
            is_renamed = is_renamed and imported.name != name  # type: ignore[union-attr]
            if is_renamed or name[:6] == "pytest":
                yield bindings[0].node.lineno, f"it imports {name!r}, which everybody else knows"
            elif f"builtins.{name}" in context.user:
                reason = f"it imports {name!r} over the builtin, which the module uses"
                yield bindings[0].node.lineno, f"{reason}: import it under another name"
        else:
            yield bindings[0].node.lineno, f"it defines {name!r}, which everybody else knows"


def _is_everybodys(name: str) -> bool:
    """Whether a module's name would be taken for a builtin, for the runner, or for its hook."""
    is_builtin = hasattr(builtins, name) and name[:1] != "_"
    return is_builtin or name == "pytest" or name.startswith("pytest_")
