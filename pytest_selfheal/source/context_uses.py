"""What failing tests use of their own files: helpers by name, fixtures by argument."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from pytest_selfheal.source.outline import bound_names, module_level
from pytest_selfheal.source.parsing import UnparsableError, parse

Read = Callable[[str], bytes | None]
"""Gives a project file's bytes by its relative path, or `None` where there is none."""

_SET_UP = {
    *("setup_method", "teardown_method", "setup_class", "teardown_class"),
    *("setUp", "tearDown", "setUpClass", "tearDownClass", "asyncSetUp", "asyncTearDown"),
    *("setup_module", "teardown_module", "setup_function", "teardown_function"),
    *("setUpModule", "tearDownModule", "pytestmark"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fixture:
    """A fixture's function and the name that tests ask for it by."""

    name: str
    autouse: bool
    node: ast.stmt


@dataclass(slots=True)
class TestFile:
    """A test file or conftest, and what of it is used so far, in order of discovery."""

    path: str
    source: bytes
    tree: ast.Module | None
    """`None` where the file cannot be parsed."""
    fixtures: list[Fixture] = field(default_factory=list)
    bound: dict[str, list[ast.stmt]] = field(default_factory=dict)
    """The module-level statements that bind a name."""
    tests: dict[str, ast.stmt] = field(default_factory=dict)
    used_fixtures: dict[str, ast.stmt] = field(default_factory=dict)
    used_names: dict[str, list[ast.stmt]] = field(default_factory=dict)
    used_classes: dict[str, ast.ClassDef] = field(default_factory=dict)
    """Classes of which single methods are used."""
    is_whole: bool = False
    """The file itself fails, before any of its tests is reached."""

    __test__ = False  # its name looks like a test class to pytest

    def used(self) -> Iterator[ast.stmt]:
        """Give every statement that is used, most important first."""
        yield from self.tests.values()
        yield from self.used_fixtures.values()
        for statements in self.used_names.values():
            yield from statements


Chain = tuple[TestFile, ...]
"""A file and the conftests above it, nearest first: where its fixtures are looked for."""
Owners = tuple[ast.ClassDef, ...]


def uses(nodeids: Sequence[str], read: Read) -> tuple[TestFile, ...]:
    """Follow what failing tests use through their files and the conftests above them.

    Args:
        nodeids: pytest's node ids; those of doctests are passed over.
        read: Gives the project's files.

    Returns:
        The test files in the order of the node ids, then the conftests, nearest first.
    """
    walker = _Walker(read)
    for nodeid in nodeids:
        walker.follow(nodeid)
    return tuple(
        sorted(
            (file for file in walker.files.values() if file is not None and _matters(file)),
            key=lambda file: _is_conftest(file.path),
        )
    )


def split_nodeid(nodeid: str) -> tuple[str, tuple[str, ...]]:
    """Take a node id apart: the file and the names within it, parameters cut off."""
    path, _, rest = nodeid.partition("::")
    names = tuple(part for part in rest.partition("[")[0].split("::") if part)
    return path, names


def is_doctest(nodeid: str) -> bool:
    """Tell a doctest's node id, whose last part is dotted or is the file's own name."""
    path, names = split_nodeid(nodeid)
    return bool(names) and ("." in names[-1] or not path.endswith(".py"))


def _matters(file: TestFile) -> bool:
    return file.tree is None or not _is_conftest(file.path) or any(file.used())


def _is_conftest(path: str) -> bool:
    return path.rpartition("/")[2] == "conftest.py"


def _conftests(path: str) -> Iterator[str]:
    folders = path.split("/")[:-1]
    for depth in range(len(folders), -1, -1):
        yield "/".join([*folders[:depth], "conftest.py"])


class _Walker:
    """Follows names and fixtures from test to helper; each statement once for each chain."""

    def __init__(self, read: Read) -> None:
        self._read = read
        self.files: dict[str, TestFile | None] = {}
        self._seen: set[tuple[str, int]] = set()
        self._pending: list[tuple[Chain, ast.AST, Owners]] = []

    def follow(self, nodeid: str) -> None:
        path, names = split_nodeid(nodeid)
        if is_doctest(nodeid) or not path.endswith(".py"):
            return
        files = [self._file(one) for one in dict.fromkeys([path, *_conftests(path)])]
        if files[0] is None or files[0].tree is None:
            return
        chain = tuple(file for file in files if file is not None)
        self._use_test(chain, names)
        for level in range(len(chain)):
            self._use_set_up(chain[level:])
        while self._pending:
            self._look_into(*self._pending.pop())

    def _file(self, path: str) -> TestFile | None:
        if path not in self.files:
            source = self._read(path)
            self.files[path] = None if source is None else _outlined(path, source)
        return self.files[path]

    def _push(self, chain: Chain, node: ast.AST, owners: Owners = ()) -> None:
        if (chain[0].path, id(node)) not in self._seen:
            self._seen.add((chain[0].path, id(node)))
            self._pending.append((chain, node, owners))

    def _use_test(self, chain: Chain, names: Sequence[str]) -> None:
        file = chain[0]
        if not names:
            file.is_whole = True
        node, owners = _find_test(file, names)
        for owner in owners:
            self._use_owner(chain, owner)
        if node is not None:
            file.tests.setdefault(".".join(names), node)
            self._push(chain, node, owners)

    def _use_owner(self, chain: Chain, owner: ast.ClassDef) -> None:
        """A test's class counts with its header, its attributes, and what sets it up."""
        file = chain[0]
        file.used_classes.setdefault(owner.name, owner)
        for node in owner.body:
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                fixture = _as_fixture(node)
                if node.name in _SET_UP or (fixture is not None and fixture.autouse):
                    file.used_fixtures.setdefault(f"{owner.name}.{node.name}", node)
                    self._push(chain, node, (owner,))
            elif isinstance(node, (ast.Assign, ast.AnnAssign)):
                self._push(chain, node, (owner,))
        for expression in (*owner.decorator_list, *owner.bases):
            self._push(chain, expression, (owner,))

    def _use_set_up(self, chain: Chain) -> None:
        for name in chain[0].bound:
            if name in _SET_UP:
                self._use_name(chain, name)
        for fixture in chain[0].fixtures:
            if fixture.autouse:
                self._use_fixture(chain, fixture)

    def _look_into(self, chain: Chain, node: ast.AST, owners: Owners) -> None:
        for name in _names(node):
            self._use_name(chain, name)
        for name in _own_attributes(node):
            self._use_method(chain, name, owners)
        for name in _fixture_names(node):
            self._use_fixture_named(chain, name, owners, asking=node)

    def _use_name(self, chain: Chain, name: str) -> None:
        file = chain[0]
        found = file.bound.get(name, [])
        if name in file.used_names or any(node in file.used_classes.values() for node in found):
            return
        if found:
            file.used_names[name] = found
        for node in found:
            self._push(chain, node)

    def _use_method(self, chain: Chain, name: str, owners: Owners) -> None:
        for owner in owners:
            for node in owner.body:
                if name in bound_names(node):
                    chain[0].used_names.setdefault(f"{owner.name}.{name}", [node])
                    self._push(chain, node, owners)

    def _use_fixture_named(self, chain: Chain, name: str, owners: Owners, asking: ast.AST) -> None:
        found = list(_fixtures_named(chain, name, owners))
        nodes = [fixture.node for _, fixture, _ in found]
        # A fixture that asks for its own name means the next one, which it overrides.
        start = nodes.index(asking) + 1 if asking in nodes else 0
        for level, fixture, around in found[start : start + 1]:
            key = ".".join([*(owner.name for owner in around), fixture.name])
            level[0].used_fixtures.setdefault(key, fixture.node)
            self._push(level, fixture.node, around)

    def _use_fixture(self, chain: Chain, fixture: Fixture) -> None:
        chain[0].used_fixtures.setdefault(fixture.name, fixture.node)
        self._push(chain, fixture.node)


def _fixtures_named(
    chain: Chain, name: str, owners: Owners
) -> Iterator[tuple[Chain, Fixture, Owners]]:
    """Give the fixtures of a name, nearest first, each with the chain that it sees."""
    for owner in reversed(owners):
        for node in reversed(owner.body):
            fixture = _as_fixture(node)
            if fixture is not None and fixture.name == name:
                yield chain, fixture, owners
    for level, file in enumerate(chain):
        for fixture in file.fixtures:
            if fixture.name == name:
                yield chain[level:], fixture, ()


# --- reading one file ------------------------------------------------------------------


def _outlined(path: str, source: bytes) -> TestFile:
    try:
        tree = parse(source)
    except UnparsableError:
        return TestFile(path=path, source=source, tree=None)
    file = TestFile(path=path, source=source, tree=tree)
    for node in module_level(tree):
        for name in bound_names(node):
            file.bound.setdefault(name, []).append(node)
        fixture = _as_fixture(node)
        if fixture is not None:
            file.fixtures.insert(0, fixture)  # the last one of a name is the one in force
    return file


def _as_fixture(node: ast.AST) -> Fixture | None:
    """Read `@pytest.fixture`, bare or called, under whatever name it was imported."""
    if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        return None
    for decorator in node.decorator_list:
        if called(decorator).endswith("fixture"):
            keywords = decorator.keywords if isinstance(decorator, ast.Call) else []
            options = {
                keyword.arg: keyword.value.value
                for keyword in keywords
                if isinstance(keyword.value, ast.Constant)
            }
            name = options.get("name")
            return Fixture(
                name=name if isinstance(name, str) else node.name,
                autouse=options.get("autouse") is True,
                node=node,
            )
    return None


def _find_test(file: TestFile, names: Sequence[str]) -> tuple[ast.stmt | None, Owners]:
    """Find a test by its names; a method may be inherited from a class of the same file.

    Where the last name is found nowhere (it is inherited from another file, or made by a
    call), what the names lead to is given.
    """
    owners: list[ast.ClassDef] = []
    found: ast.stmt | None = None
    body: Sequence[ast.stmt] = [node for nodes in file.bound.values() for node in nodes]
    for name in names:
        node = _named(body, name) or _inherited(file, owners, name)
        if node is None:
            return found, tuple(owners[:-1])
        found = node
        if isinstance(node, ast.ClassDef):
            owners.append(node)
            body = node.body
    return found, tuple(owner for owner in owners if owner is not found)


def _named(body: Sequence[ast.stmt], name: str) -> ast.stmt | None:
    return next((node for node in reversed(body) if name in bound_names(node)), None)


def _inherited(file: TestFile, owners: Sequence[ast.ClassDef], name: str) -> ast.stmt | None:
    pending = list(owners[-1:])
    seen: list[ast.ClassDef] = []
    while pending:
        owner = pending.pop(0)
        if owner in seen:
            continue
        seen.append(owner)
        if (found := _named(owner.body, name)) is not None:
            return found
        for base in owner.bases:
            bound = file.bound.get(getattr(base, "id", ""), [])
            pending.extend(node for node in bound if isinstance(node, ast.ClassDef))
    return None


# --- what one statement names ----------------------------------------------------------


def _names(node: ast.AST) -> list[str]:
    return [inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name)]


def _own_attributes(node: ast.AST) -> list[str]:
    """Give what is asked of `self` or `cls`: methods and attributes of the test's class."""
    return [
        inner.attr
        for inner in ast.walk(node)
        if isinstance(inner, ast.Attribute) and getattr(inner.value, "id", "") in ("self", "cls")
    ]


def _fixture_names(node: ast.AST) -> list[str]:
    """Give the fixtures that a statement asks for: by argument or by a string in a call."""
    names: list[str] = []
    for inner in ast.walk(node):
        if isinstance(inner, (ast.FunctionDef, ast.AsyncFunctionDef)):
            arguments = inner.args
            names += [one.arg for one in (*arguments.args, *arguments.kwonlyargs)]
        elif isinstance(inner, ast.Call) and called(inner) in ("usefixtures", "getfixturevalue"):
            values = [getattr(one, "value", None) for one in inner.args]
            names += [value for value in values if isinstance(value, str)]
    return names


def called(node: ast.expr) -> str:
    """Give the last part of the name that a call, or a decorator without one, names."""
    if isinstance(node, ast.Call):
        node = node.func
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")
