"""Which statements may stand at the top level of a reply: those that do nothing."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator, Sequence

from pytest_selfheal.source.kinds import is_docstring
from pytest_selfheal.source.names import is_main_guard, is_typing_guard
from pytest_selfheal.source.policy_names import Names

_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_LIST = """
    frozenset set list dict tuple str int float bool bytes bytearray complex object range
    sorted reversed enumerate zip map filter min max sum len abs round pow divmod ord chr
    repr hash type slice super property staticmethod classmethod
    re.compile re.escape
    decimal.Decimal decimal.Context fractions.Fraction
    datetime.date datetime.datetime datetime.time datetime.timedelta datetime.timezone
    zoneinfo.ZoneInfo uuid.UUID ipaddress.ip_network ipaddress.ip_address
    collections.namedtuple collections.defaultdict collections.OrderedDict
    collections.Counter collections.deque collections.ChainMap
    types.MappingProxyType types.SimpleNamespace
    typing.TypeVar typing.ParamSpec typing.TypeVarTuple typing.NewType typing.NamedTuple
    typing.TypedDict typing.cast
    typing_extensions.TypeVar typing_extensions.ParamSpec
    enum.Enum enum.IntEnum enum.auto enum.StrEnum enum.Flag enum.IntFlag
    dataclasses.field dataclasses.make_dataclass
    logging.getLogger logging.NullHandler
    pathlib.Path pathlib.PurePath pathlib.PurePosixPath pathlib.PureWindowsPath
    struct.Struct struct.calcsize string.Template
    operator.itemgetter operator.attrgetter operator.methodcaller
    functools.partial functools.lru_cache functools.cache functools.cached_property
    functools.cmp_to_key
    itertools.chain itertools.product itertools.count itertools.cycle
    itertools.combinations itertools.permutations itertools.accumulate itertools.repeat
    threading.Lock threading.RLock threading.local threading.Event threading.Condition
    threading.Semaphore asyncio.Lock contextvars.ContextVar
    weakref.WeakKeyDictionary weakref.WeakValueDictionary weakref.WeakSet
    random.Random array.array json.JSONEncoder json.JSONDecoder
"""
_HARMLESS_CALLS = frozenset(_LIST.split())
_HARMLESS_MODULES = ("math.", "cmath.", "string.", "operator.", "unicodedata.")


def top_level_effects(
    tree: ast.Module, names: Names, targets: Collection[str] = ()
) -> Iterator[tuple[int, str]]:
    """Give `(line, reason)` for each statement that acts when the module is imported.

    Args:
        tree: The reply.
        names: What its names stand for.
        targets: Qualified names of the definitions asked for: of these the bodies alone
            are taken, and their signatures are the user's own.
    """
    own = frozenset(names.top_level)
    asked = frozenset(target.rpartition(".")[2] for target in targets)
    for node in tree.body:
        if is_main_guard(node) or _is_typing_block(node):
            continue
        yield from _effects(node, names, own, asked)


def _is_typing_block(node: ast.stmt) -> bool:
    return (
        isinstance(node, ast.If)
        and is_typing_guard(node)
        and all(isinstance(each, (ast.Import, ast.ImportFrom, ast.Pass)) for each in node.body)
        and not node.orelse
    )


def _effects(
    node: ast.stmt, names: Names, own: frozenset[str], asked: frozenset[str]
) -> Iterator[tuple[int, str]]:
    if isinstance(node, ast.ClassDef):
        for inner in node.body:
            yield from _effects(inner, names, own | _methods(node), asked)
    elif isinstance(node, (ast.Assign, ast.AnnAssign)):
        yield from _effects_of_value(node, names, own)
    elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        if node.name not in asked:
            yield from _bad_calls([*node.args.defaults, *node.args.kw_defaults], names, own)
    elif not _does_nothing(node):
        yield (
            node.lineno,
            "at the top level only imports, definitions and constants may stand, and "
            "nothing may happen when the module is imported",
        )


def _methods(node: ast.ClassDef) -> frozenset[str]:
    return frozenset(each.name for each in node.body if isinstance(each, _DEFINITIONS))


def _does_nothing(node: ast.stmt) -> bool:
    is_ellipsis = (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and node.value.value is Ellipsis
    )
    is_type_alias = type(node).__name__ == "TypeAlias"  # since Python 3.12
    is_import = isinstance(node, (ast.Import, ast.ImportFrom))
    return (
        is_docstring(node)
        or is_ellipsis
        or is_type_alias
        or is_import
        or isinstance(node, ast.Pass)
    )


def _effects_of_value(
    node: ast.Assign | ast.AnnAssign, names: Names, own: frozenset[str]
) -> Iterator[tuple[int, str]]:
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    for target in targets:
        for inner in ast.walk(target):
            if isinstance(inner, (ast.Attribute, ast.Subscript)):
                yield inner.lineno, "at the top level it changes something that exists already"
                return
    yield from _bad_calls([node.value], names, own)


def _bad_calls(
    values: Sequence[ast.expr | None], names: Names, own: frozenset[str]
) -> Iterator[tuple[int, str]]:
    for value in values:
        for call in _calls_made(value) if value is not None else ():
            if not _is_harmless(call, names, own):
                shown = ast.unparse(call.func)
                yield call.lineno, f"it calls {shown!r} when the module is imported"


def _calls_made(node: ast.AST) -> Iterator[ast.Call]:
    """Give the calls made when an expression is evaluated, not those of its lambdas."""
    if isinstance(node, ast.Call):
        yield node
    for child in ast.iter_child_nodes(node):
        if not isinstance(node, ast.Lambda):
            yield from _calls_made(child)


def _is_harmless(call: ast.Call, names: Names, own: frozenset[str]) -> bool:
    function = call.func
    dotted = names.dotted(function)
    if dotted is not None:
        short = dotted.removeprefix("builtins.")
        return (
            short in _HARMLESS_CALLS
            or ".".join(short.split(".")[:2]) in _HARMLESS_CALLS
            or short.split(".")[0] in _HARMLESS_CALLS
            or short.startswith(_HARMLESS_MODULES)
        )
    if isinstance(function, ast.Name):
        return function.id in own or function.id in names.known
    if isinstance(function, ast.Attribute):  # "a b".split(), _Table.of(…), _RATES.keys()
        return _is_harmless_base(function.value, names, own)
    return isinstance(function, ast.Lambda)


def _is_harmless_base(node: ast.expr, names: Names, own: frozenset[str]) -> bool:
    if isinstance(node, ast.Attribute):
        return _is_harmless_base(node.value, names, own)
    if isinstance(node, ast.Name):
        return names.dotted(node) is None  # no module, nor a builtin
    return True  # a literal, or a call that was judged by itself
