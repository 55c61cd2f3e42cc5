"""Checks of the static policy: nothing is hidden from it.

A name that hangs on data (a parameter, a file) may be anything, and honest code has many:
dispatch, plugins, parsers. A name that hangs on constants alone and yet is not written
out, nor comes out when they are folded, is hidden on purpose.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from pytest_selfheal.source.policy_context import Context, Violation
from pytest_selfheal.source.policy_names import Names
from pytest_selfheal.source.policy_scopes import Given
from pytest_selfheal.source.policy_tables import FORBIDDEN_NAMES, import_reason

_SENSITIVE_LIST = """
    sys builtins gc inspect os _thread signal importlib traceback threading pytest _pytest pluggy
    unittest ctypes
    """
_SENSITIVE = frozenset(_SENSITIVE_LIST.split())
_PURE_LIST = """
    base64 binascii codecs zlib gzip bz2 lzma string operator functools itertools struct re html
    textwrap quopri unicodedata hashlib json urllib.parse
    """
_PURE = frozenset(_PURE_LIST.split())
"""Modules whose functions give the same for the same constants."""
_IMPURE = frozenset(
    {"open", "input", "globals", "locals", "vars", "id", "hash", "dir", "__import__"}
)


def hidden_names(tree: ast.Module, context: Context) -> Iterator[Violation]:
    """Refuse attributes and modules whose names are put together so that nobody can read them."""
    names = context.names
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and names.imports(node):
            yield from _hidden_import(node, context)
        for owner, name in _looked_up(node, names):
            if names.folder.texts(name):
                continue  # it is judged by what it comes to
            bases = _SENSITIVE.intersection(names.meanings(owner))
            shown = ast.unparse(owner)
            if _is_closed(name, names, own_functions=bool(bases)):
                yield name.lineno, f"it hides which attribute of {shown!r} it uses: write it out"
            for base in sorted(bases):
                found = _may_become(base, name, names)
                if found and found not in context.user:
                    yield name.lineno, f"it may come to {found!r}: {FORBIDDEN_NAMES[found]}"


def _looked_up(node: ast.AST, names: Names) -> Iterator[tuple[ast.expr, ast.expr]]:
    """Give `(object, name)` where an attribute is named by an expression."""
    if isinstance(node, ast.Call) and len(node.args) > 1:
        called = names.dotted(node.func) or ""
        if called in ("builtins.getattr", "builtins.setattr") or called.endswith(
            (".__getattribute__", ".__setattr__", ".getattr_static")
        ):
            yield node.args[0], node.args[1]
    elif isinstance(node, ast.Subscript):
        if any(each.endswith(".__dict__") for each in names.meanings(node.value)):
            yield _owner_of_namespace(node.value), node.slice
    elif isinstance(node, ast.Call) and node.args:
        if isinstance(node.func, ast.Call):  # attrgetter(…)(sys)
            getter = names.dotted(node.func.func)
            if getter in ("operator.attrgetter", "operator.methodcaller") and node.func.args:
                yield node.args[0], node.func.args[0]
        elif isinstance(node.func, ast.Attribute) and node.func.attr == "__getattribute__":
            yield node.func.value, node.args[0]


def _owner_of_namespace(node: ast.expr) -> ast.expr:
    if isinstance(node, ast.Call) and node.args:
        return node.args[0]
    return node.value if isinstance(node, ast.Attribute) else node


def _hidden_import(node: ast.Call, context: Context) -> Iterator[Violation]:
    names = context.names
    given = [*node.args[:1], *(each.value for each in node.keywords if each.arg == "name")]
    for name in given:
        if names.folder.texts(name):
            continue
        if _is_closed(name, names, own_functions=False):
            yield name.lineno, "it hides which module it imports: write it out"
        package = _known_start(name, names).rpartition(".")[0]
        reason = import_reason(package, context) if package else None
        if reason:
            yield name.lineno, f"it imports from {package!r}: {reason}"


def _may_become(module: str, name: ast.expr, names: Names) -> str | None:
    """Give a forbidden name of a module that a name can come to, of which the start is known."""
    start = _known_start(name, names)
    return next(
        (each for each in FORBIDDEN_NAMES if start and each.startswith(f"{module}.{start}")), None
    )


def _known_start(node: ast.expr, names: Names) -> str:
    if isinstance(node, ast.JoinedStr) and node.values:
        node = node.values[0]
    elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return _known_start(node.left, names)
    elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mod):
        return next(iter(names.folder.texts(node.left)), "").partition("%")[0]
    return next(iter(names.folder.texts(node)), "")


# --- what hangs on constants alone -----------------------------------------------------


def _is_closed(node: ast.expr, names: Names, *, own_functions: bool, depth: int = 6) -> bool:
    """Whether an expression hangs on nothing but constants.

    Args:
        node: The expression.
        names: What its names stand for.
        own_functions: Whether what the tree's own functions give counts as such.
        depth: How many variables are followed.
    """
    if depth == 0:
        return False
    inner = {
        each.id
        for part in ast.walk(node)
        if isinstance(part, ast.comprehension)
        for each in ast.walk(part.target)
        if isinstance(each, ast.Name)
    }
    for each in ast.walk(node):
        if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Load) and each.id not in inner:
            dotted = names.dotted(each)
            if dotted is not None:
                if not _is_pure(dotted):
                    return False
            elif each.id in names.scopes.functions:
                if not own_functions:
                    return False
            elif not _is_closed_variable(each, names, own_functions, depth):
                return False
        elif isinstance(each, (ast.Await, ast.Yield, ast.YieldFrom)):
            return False
    return True


def _is_closed_variable(node: ast.Name, names: Names, own_functions: bool, depth: int) -> bool:
    given = names.scopes.given.get(names.scopes.key(node), ())

    def is_closed(each: Given) -> bool:
        return (
            (each.how != "each" or own_functions)
            and isinstance(each.node, ast.expr)
            and _is_closed(each.node, names, own_functions=own_functions, depth=depth - 1)
        )

    return bool(given) and all(map(is_closed, given))


def _is_pure(dotted: str) -> bool:
    package, _, rest = dotted.partition(".")
    if package == "builtins":
        return rest.partition(".")[0] not in _IMPURE
    return package in _PURE or dotted.startswith("urllib.parse")


# --- code ------------------------------------------------------------------------------

_RUNS_LIST = """
    builtins.eval builtins.exec builtins.compile timeit.timeit timeit.repeat timeit.Timer
    cProfile.run cProfile.runctx profile.run profile.runctx
    """
_RUNS = frozenset(_RUNS_LIST.split())
_LOADS_LIST = """
    pickle.loads _pickle.loads pickle.Unpickler marshal.loads marshal.load
    """
_LOADS = frozenset(_LOADS_LIST.split())
_FILE = re.compile(r"[/\\]|\.py$|^<frozen|^<selfheal")


def runs_code(node: ast.Call, names: Names) -> bool:
    """Tell whether a call runs, or compiles, the text that it is given first."""
    return not _RUNS.isdisjoint(names.meanings(node.func))


def hidden_code(tree: ast.Module, context: Context) -> Iterator[Violation]:
    """Refuse code that nobody can read, or that passes for another file's."""
    names = context.names
    for node in ast.walk(tree):
        if isinstance(node, (ast.Attribute, ast.Call)):
            yield from _changed_code(node, context)
        if not isinstance(node, ast.Call):
            continue
        called = {*names.meanings(node.func)} - context.user
        if "types.CodeType" in called:
            yield node.lineno, "it makes a code object: write the function"
        if not node.args:
            continue
        given = node.args[0]
        is_closed = _is_closed(given, names, own_functions=False)
        if called & _LOADS and is_closed and not _is_dumped(given, names):
            yield node.lineno, "it hides what it loads: write it out"
        if called & _RUNS and is_closed and not names.folder.values(given):
            yield node.lineno, "it hides the code that it runs: write it out"
        if "builtins.compile" in called:
            files = [*node.args[1:2], *(k.value for k in node.keywords if k.arg == "filename")]
            for text in (text for each in files for text in names.folder.texts(each)):
                if _FILE.search(text):
                    yield node.lineno, f"it gives out its code as that of the file {text!r}"


def _is_dumped(node: ast.expr, names: Names) -> bool:
    """Whether what is loaded is dumped at the same place: a copy."""
    return any(
        isinstance(each, ast.Call) and (names.dotted(each.func) or "").endswith(".dumps")
        for each in ast.walk(node)
    )


def _changed_code(node: ast.expr, context: Context) -> Iterator[Violation]:
    named: tuple[str, ...] = ()
    if isinstance(node, ast.Attribute) and isinstance(node.ctx, (ast.Store, ast.Del)):
        named = (node.attr,)
    elif isinstance(node, ast.Call):
        called = context.names.dotted(node.func) or ""
        if called == "builtins.setattr" or called.endswith(".__setattr__"):
            named = context.names.attributes_named(node)
        if any(each.arg and each.arg.startswith("co_") for each in node.keywords):
            yield node.lineno, "it makes a code object of another one: write the function"
    for name in named:
        if name in ("__code__", "cell_contents") and name not in context.user_attributes:
            yield node.lineno, f"it sets {name!r}: it changes a function from inside"


# --- sys.modules -----------------------------------------------------------------------

_TABLE = "it reaches what the test runner stands on"


def modules_table(tree: ast.Module, context: Context) -> Iterator[Violation]:
    """Refuse `sys.modules`, save to look up one module that is named."""
    names = context.names
    if "sys.modules" in context.user:
        return
    parents = {id(child): node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}
    for node in ast.walk(tree):
        if not isinstance(node, (ast.Name, ast.Attribute, ast.Subscript, ast.Call)):
            continue
        is_table = "sys.modules" in names.meanings(node)
        if not is_table or isinstance(getattr(node, "ctx", None), ast.Store):
            continue
        key, may = _asked(node, parents, names)
        if not may:
            yield node.lineno, f"it uses 'sys.modules': {_TABLE}"
        for text in names.folder.texts(key) if key is not None else ():
            reason = import_reason(text, context)
            if reason:
                yield node.lineno, f"it uses {text!r} of 'sys.modules': {reason}"


def _asked(
    node: ast.expr, parents: dict[int, ast.AST], names: Names
) -> tuple[ast.expr | None, bool]:
    """Give what `sys.modules` is asked for, and whether it may be used so."""
    parent = parents.get(id(node))
    if isinstance(parent, ast.Compare) and isinstance(parent.ops[-1], (ast.In, ast.NotIn)):
        return parent.left, True
    if isinstance(parent, ast.Assign) and parent.value is node:
        return None, True  # another name for it, of which the uses are looked at
    if isinstance(parent, ast.Subscript) and parent.value is node:
        key, is_read = parent.slice, isinstance(parent.ctx, ast.Load)
        is_loader = isinstance(parent.ctx, ast.Store) and any(
            "importlib.util.module_from_spec" in names.meanings(call.func)
            for call in _calls_beside(parent, parents)
        )
        return key, (is_read or is_loader) and not _is_unreadable(key, names)
    if isinstance(parent, ast.Attribute) and parent.attr in ("get", "__getitem__", "__contains__"):
        call = parents.get(id(parent))
        if isinstance(call, ast.Call) and call.args:
            return call.args[0], not _is_unreadable(call.args[0], names)
    return None, False


def _is_unreadable(key: ast.expr, names: Names) -> bool:
    is_own = isinstance(key, ast.Name) and key.id == "__name__"
    is_closed = _is_closed(key, names, own_functions=True)
    return is_closed and not is_own and not names.folder.texts(key)


def _calls_beside(node: ast.AST, parents: dict[int, ast.AST]) -> Iterator[ast.Call]:
    """Give the calls in the function around a node."""
    around: ast.AST | None = node
    while around is not None and not isinstance(around, (ast.FunctionDef, ast.AsyncFunctionDef)):
        around = parents.get(id(around))
    for each in ast.walk(around) if around is not None else ():
        if isinstance(each, ast.Call):
            yield each
