"""The cases in failing tests that stand in the source one by one: parameters and asserts.

Only what can be cut out of a quotation is given: a list that is written out where it is
used, or as a constant of the module that nothing else uses.
"""

from __future__ import annotations

import ast
import builtins
import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from pytest_selfheal.source.case_kinds import kind_of
from pytest_selfheal.source.context_uses import Read, TestFile, called, uses
from pytest_selfheal.source.outline import FUNCTIONS, definitions, first_line
from pytest_selfheal.source.parsing import once_per_tree

Display = ast.List | ast.Tuple


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One of several cases of a test."""

    position: int
    text: str
    """What it says, however it is laid out."""
    kinds: tuple[str, str]
    """The fine kind and the coarse one."""
    may_be_held: bool = True
    """It is neither the same as another nor marked, and not used by what follows."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CaseList:
    """Values that tests, a class of them, or a fixture are parametrized by."""

    path: str
    cases: tuple[Case, ...]
    values: Display
    ids: Display | None
    """The cases' names, where these are written out as well."""
    line: int
    """The first line of the decorator, or of the constant."""
    uses: list[tuple[str, str]] = field(default_factory=list)
    """What takes its values (a node id without parameters, or a folder) and by which argument."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Asserts:
    """The plain asserts that stand directly in a test."""

    path: str
    owner: str
    """The test's node id, parameters cut off."""
    name: str
    """The function's own name."""
    line: int
    """The line of its first decorator, or of `def`."""
    cases: tuple[Case, ...]
    nodes: tuple[ast.Assert, ...]
    alone: frozenset[int]
    """Positions of those that use nothing which the test has made before."""
    at_end: frozenset[int]
    """Positions of those that nothing but asserts follows."""


def case_lists(nodeids: Sequence[str], read: Read) -> list[CaseList]:
    """Find what failing tests, their classes and their fixtures are parametrized by.

    Args:
        nodeids: pytest's node ids; a file's id stands for all in it.
        read: Gives a project file's bytes by its relative path, or `None`.
    """
    found: dict[int, CaseList | None] = {}
    for file in uses(nodeids, read):
        for node, owner in _parametrized(file):
            for decorator in node.decorator_list:
                if isinstance(decorator, ast.Call):
                    _take(file, node, decorator, owner, found)
    return [each for each in found.values() if each is not None]


def assert_lists(nodeids: Sequence[str], read: Read) -> list[Asserts]:
    """Find the asserts of failing tests that have several."""
    found = []
    for file in uses(nodeids, read):
        for owner, node in _tests(file).items():
            if isinstance(node, FUNCTIONS) and (asserts := _asserts(file.path, owner, node)):
                found.append(asserts)
    return found


def _tests(file: TestFile) -> dict[str, ast.stmt]:
    """A file's failing tests by node id; all that may be tests where the file itself fails."""
    tests: dict[str, ast.stmt] = {
        name.replace(".", "::"): node for name, node in file.tests.items()
    }
    if file.is_whole and file.tree is not None:
        for each in definitions(file.tree):
            if isinstance(each.node, FUNCTIONS):
                tests.setdefault(each.qualname.replace(".", "::"), each.node)
    return {f"{file.path}::{name}": node for name, node in tests.items()}


def _parametrized(
    file: TestFile,
) -> Iterator[tuple[ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef, str]]:
    tests = _tests(file)
    for owner, node in tests.items():
        if isinstance(node, (*FUNCTIONS, ast.ClassDef)):
            yield node, owner
    if file.tree is not None:
        classes = {each.qualname: each.node for each in definitions(file.tree)}
        names = {owner.rpartition("::")[0] for owner in tests}
        while names:
            owner = names.pop()
            name = owner.partition("::")[2]
            around = classes.get(name.replace("::", "."))
            if isinstance(around, ast.ClassDef):
                yield around, owner
            if "::" in name:
                names.add(owner.rpartition("::")[0])
    folder, _, name = file.path.rpartition("/")
    reach = (f"{folder}/" if folder else "") if name == "conftest.py" else file.path
    for fixture in file.used_fixtures.values():
        if isinstance(fixture, FUNCTIONS):
            yield fixture, reach


def _take(
    file: TestFile,
    node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef,
    decorator: ast.Call,
    owner: str,
    found: dict[int, CaseList | None],
) -> None:
    """Note what one decorator takes; None for a list that cannot be cut for all who take it."""
    given = _arguments(decorator)
    name = called(decorator)
    if given is None:
        return
    if name == "parametrize":
        argument, values = _first_name(given.get("argnames")), given.get("argvalues")
    elif name.endswith("fixture"):
        fixture = given.get("name", ast.Constant(node.name))
        argument, values = _first_name(fixture), given.get("params")
    else:
        return
    line, ids = decorator.lineno, given.get("ids")
    if isinstance(values, ast.Name):
        constant = _constant(file, values.id)
        if constant is None:
            return
        line, values = constant.lineno, constant.value
    if argument is None or not isinstance(values, (ast.List, ast.Tuple)):
        return
    key = id(values)
    if key not in found:
        found[key] = _case_list(file, values, ids, line)
    elif isinstance(ids, (ast.List, ast.Tuple)) or not _are_names(file, ids, len(values.elts)):
        found[key] = None
    known = found[key]
    if known is not None and (owner, argument) not in known.uses:
        known.uses.append((owner, argument))


def _case_list(file: TestFile, values: Display, ids: ast.expr | None, line: int) -> CaseList | None:
    cases = _cases(values)
    if cases is None or not _are_names(file, ids, len(cases)):
        return None
    names = ids if isinstance(ids, (ast.List, ast.Tuple)) else None
    return CaseList(path=file.path, cases=cases, values=values, ids=names, line=line)


def _arguments(call: ast.Call) -> dict[str, ast.expr] | None:
    """A decorator's arguments by name, None where they are unpacked from elsewhere."""
    if any(isinstance(each, ast.Starred) for each in call.args):
        return None
    given: dict[str, ast.expr] = dict(zip(("argnames", "argvalues"), call.args, strict=False))
    for keyword in call.keywords:
        if keyword.arg is None:
            return None
        given[keyword.arg] = keyword.value
    return given


def _first_name(node: ast.expr | None) -> str | None:
    if isinstance(node, (ast.List, ast.Tuple)):
        node = node.elts[0] if node.elts else None
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value.partition(",")[0].strip()
    return None


def _constant(file: TestFile, name: str) -> ast.Assign | ast.AnnAssign | None:
    """The statement that gives a list its name, where nothing but parameters uses it."""
    bound = file.bound.get(name, [])
    if (
        file.tree is None
        or len(bound) != 1
        or not isinstance(bound[0], (ast.Assign, ast.AnnAssign))
    ):
        return None
    node = bound[0]
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    if len(targets) != 1 or not isinstance(targets[0], ast.Name) or node not in file.tree.body:
        return None
    named, as_values = _mentions(file.tree)
    return node if named[name] == as_values[name] + 1 else None


@once_per_tree
def _mentions(tree: ast.Module) -> tuple[Mapping[str, int], Mapping[str, int]]:
    """How often each name stands in a module, and how often as what parametrizes something."""
    named: Counter[str] = Counter()
    as_values: Counter[str] = Counter()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            named[node.id] += 1
        elif isinstance(node, (ast.Global, ast.Nonlocal)):
            named.update(node.names)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            named[node.value] += 1  # `__all__`, `globals()[…]`
        elif isinstance(node, ast.Call) and called(node) in ("parametrize", "fixture"):
            given = _arguments(node) or {}
            for name in ("argvalues", "params"):
                if isinstance(value := given.get(name), ast.Name):
                    as_values[value.id] += 1
    return named, as_values


def _are_names(file: TestFile, ids: ast.expr | None, count: int) -> bool:
    """Whether the cases' names go on fitting once cases are cut out."""
    if isinstance(ids, (ast.List, ast.Tuple)):
        return len(ids.elts) == count and not any(isinstance(x, ast.Starred) for x in ids.elts)
    if isinstance(ids, ast.Name):
        bound = file.bound.get(ids.id, [])
        if not bound:
            return hasattr(builtins, ids.id)
        return all(isinstance(node, FUNCTIONS) for node in bound)
    return ids is None or isinstance(ids, (ast.Lambda, ast.Attribute, ast.Constant))


def _cases(values: Display) -> tuple[Case, ...] | None:
    """A list's elements, None where they are unpacked from elsewhere or nested too deeply."""
    if any(isinstance(each, ast.Starred) for each in values.elts):
        return None
    try:
        return tuple(_with_twins_kept(values.elts, _is_marked))
    except RecursionError:
        return None


def _is_marked(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and any(each.arg in ("marks", None) for each in node.keywords)


def _with_twins_kept(nodes: Sequence[ast.AST], stays: Callable[[ast.AST], bool]) -> Iterator[Case]:
    texts = [ast.dump(node) for node in nodes]
    counts = Counter(texts)
    for position, (node, text) in enumerate(zip(nodes, texts, strict=True)):
        yield Case(
            position=position,
            text=text,
            kinds=(kind_of(node, is_fine=True), kind_of(node, is_fine=False)),
            may_be_held=counts[text] == 1 and not stays(node),
        )


# --- asserts ---------------------------------------------------------------------------


def _asserts(
    path: str, owner: str, function: ast.FunctionDef | ast.AsyncFunctionDef
) -> Asserts | None:
    nodes = tuple(node for node in function.body if isinstance(node, ast.Assert))
    if len(nodes) < 2:
        return None
    own = _own_names(function)
    alone = frozenset(
        position
        for position, node in enumerate(nodes)
        if own.isdisjoint(each.id for each in ast.walk(node) if isinstance(each, ast.Name))
    )
    try:
        cases = tuple(_with_twins_kept(nodes, _does_more_than_look))
    except RecursionError:
        return None
    end = len(list(itertools.takewhile(_is_assert, reversed(function.body))))
    return Asserts(
        path=path,
        owner=owner,
        name=function.name,
        line=first_line(function),
        cases=cases,
        nodes=nodes,
        alone=alone,
        at_end=frozenset(range(len(nodes) - end, len(nodes))),
    )


def _is_assert(node: ast.stmt) -> bool:
    return isinstance(node, ast.Assert)


def _does_more_than_look(node: ast.AST) -> bool:
    """Whether an assert binds a name, or calls nothing."""
    inner = list(ast.walk(node))
    return any(isinstance(each, ast.NamedExpr) for each in inner) or not any(
        isinstance(each, ast.Call) for each in inner
    )


def _own_names(function: ast.FunctionDef | ast.AsyncFunctionDef) -> set[str]:
    """The names that a test is given or makes."""
    arguments = function.args
    given: Iterable[ast.arg | None] = (
        *arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs,
        arguments.vararg, arguments.kwarg,
    )  # fmt: skip
    names = {each.arg for each in given if each is not None}
    for node in ast.walk(function):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif isinstance(node, (*FUNCTIONS, ast.ClassDef)):
            names.add(node.name)
    return names - {function.name}
