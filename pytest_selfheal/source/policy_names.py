"""What the names in a tree stand for, through imports, aliases, `getattr` and folded texts."""

from __future__ import annotations

import ast
import builtins
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from pytest_selfheal.source.names import ImportedName, imported_names, module_bindings
from pytest_selfheal.source.parsing import once_per_tree
from pytest_selfheal.source.policy_folding import Folder
from pytest_selfheal.source.policy_scopes import Scopes

_SAME = {"posix": "os", "nt": "os", "posixpath": "os.path", "ntpath": "os.path", "_io": "io"}
_IMPORTERS = {
    *("builtins.__import__", "importlib.import_module", "importlib.__import__"),
    "runpy.run_module",
}
_LOOKUPS = {
    *("builtins.getattr", "builtins.object.__getattribute__", "builtins.type.__getattribute__"),
    *("inspect.getattr_static", "types.ModuleType.__getattribute__"),
}
_ALIASED_BUILTINS_LIST = """
    getattr setattr delattr vars __import__ eval exec compile globals object type open exit quit
    __builtins__
    """
_ALIASED_BUILTINS = frozenset(_ALIASED_BUILTINS_LIST.split())
"""Builtins that are followed under other names; `default = None or int` is of no interest."""
_SEEN_INSIDE = frozenset({"sys", "os", "builtins", "gc", "inspect", "pytest", "_pytest"})
"""Modules that are told from what another module of the library imports: `random._os`."""
_MAX_MEANINGS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """The names of one tree, with those of the modules that it will become part of."""

    imported: Mapping[str, ImportedName]
    """What names stand for that an import binds, anywhere in the trees."""
    scopes: Scopes
    """The tree's variables and what they are given."""
    top_level: frozenset[str]
    """What the tree itself binds at module level, imports left out."""
    known: frozenset[str]
    """What the trees bind at module level: these names are no builtins."""
    _folders: list[Folder] = field(default_factory=list, compare=False)
    _meanings: dict[int, tuple[str, ...]] = field(default_factory=dict, compare=False)

    @classmethod
    def of(cls, tree: ast.Module, *others: ast.Module) -> Names:
        """Gather the names of a tree; where `others` bind the same ones, the tree's count."""
        imported: dict[str, ImportedName] = {}
        known: set[str] = set()
        for other in others:
            imports, bound = _bound_in_module(other)
            imported.update(imports)
            known |= bound
        imported.update(_imports_of(tree))
        known |= set(module_bindings(tree))
        return cls(
            imported=imported,
            scopes=Scopes.of(tree),
            top_level=frozenset(
                name
                for name, bindings in module_bindings(tree).items()
                if bindings[-1].kind != "import"
            ),
            known=frozenset(known),
        )

    def with_tree(self, tree: ast.Module) -> Names:
        """Give the names as code in `tree` sees them that is run among these."""
        inner = Names.of(tree)
        return replace(
            self,
            imported={**self.imported, **inner.imported},
            scopes=inner.scopes.with_outer(self.scopes),
            known=self.known | inner.known,
            _folders=[],
            _meanings={},
        )

    @property
    def modules(self) -> frozenset[str]:
        """The modules that are imported, each with the packages it is in."""
        found: set[str] = set()
        for imported in self.imported.values():
            parts = imported.module.split(".") if not imported.level else []
            found |= {".".join(parts[: count + 1]) for count in range(len(parts))}
        return frozenset(found)

    @property
    def folder(self) -> Folder:
        """What finds the constants that expressions stand for."""
        if not self._folders:
            self._folders.append(Folder(self.scopes, self.dotted))
        return self._folders[0]

    def is_local(self, node: ast.AST) -> bool:
        """Tell whether a `Name` is some function's own variable."""
        return id(node) in self.scopes.owners

    def dotted(self, node: ast.expr) -> str | None:
        """Give the dotted name of what an expression stands for, from its module on.

        A builtin's begins with `builtins.`; what is no chain of names that begins with
        something imported or built in has none. Of several, it is the first.
        """
        return next(iter(self.meanings(node)), None)

    def meanings(self, node: ast.expr) -> tuple[str, ...]:
        """Give every dotted name that an expression can stand for."""
        if not isinstance(node, (ast.Name, ast.Attribute, ast.Subscript, ast.Call, ast.IfExp)):
            return ()
        known = self._meanings.get(id(node))
        if known is None:
            self._meanings[id(node)] = ()  # of what leads back to itself, nothing is known
            found = dict.fromkeys(self._meanings_of(node))
            known = self._meanings[id(node)] = tuple(found)[:_MAX_MEANINGS]
        return known

    def _meanings_of(self, node: ast.expr) -> Iterator[str]:
        if isinstance(node, ast.Name):
            yield from self._of_name(node)
        elif isinstance(node, ast.Attribute):
            for base in self.meanings(node.value):
                yield _canonical(f"{base}.{node.attr}")
        elif isinstance(node, ast.Subscript):
            yield from self._of_item(node.value, node.slice)
        elif isinstance(node, ast.IfExp):
            yield from (*self.meanings(node.body), *self.meanings(node.orelse))
        elif isinstance(node, ast.Call):
            yield from self._of_call(node)

    def _of_name(self, node: ast.Name) -> Iterator[str]:
        for given in self.scopes.given.get(self.scopes.key(node), ()):
            values = [given.node] if given.how == "value" else []
            if given.how == "each" and isinstance(given.node, (ast.Tuple, ast.List, ast.Set)):
                values = list(given.node.elts)
            for value in values:
                if isinstance(value, ast.expr):
                    yield from filter(_is_followed, self.meanings(value))
        if self.is_local(node):
            return
        if node.id in self.imported:
            imported = self.imported[node.id]
            yield _canonical("." * imported.level + imported.origin(""))
        elif node.id not in self.known and (
            hasattr(builtins, node.id) or node.id == "__builtins__"
        ):
            yield _canonical(f"builtins.{node.id}")

    def _of_item(self, container: ast.expr, key: ast.expr) -> Iterator[str]:
        """Resolve `vars(os)["_exit"]`, `os.__dict__["_exit"]`, `sys.modules["os"]`."""
        for owner in self.given_to(container):
            if isinstance(owner, ast.Dict):
                wanted = self.folder.texts(key)
                for given, value in zip(owner.keys, owner.values, strict=True):
                    if given is not None and set(self.folder.texts(given)) & set(wanted):
                        yield from filter(_is_followed, self.meanings(value))
        bases = self.meanings(container)
        texts = self.folder.texts(key) if bases else ()
        for base in bases:
            for text in texts:
                if base == "sys.modules":
                    yield _canonical(text)
                elif base.endswith(".__dict__"):
                    yield _canonical(f"{base.removesuffix('.__dict__')}.{text}")
                elif base == "builtins.__builtins__":
                    yield f"builtins.{text}"

    def _of_call(self, node: ast.Call) -> Iterator[str]:
        """Resolve `getattr(os, "_exit")`, `__import__("os")`, `vars(os).get("_exit")`."""
        function, arguments = node.func, node.args
        for made in self.given_to(function):
            if isinstance(made, ast.Call) and arguments:  # attrgetter("_exit")(os)
                yield from self._of_getter(made, arguments)
        if isinstance(function, ast.Call):
            return
        if isinstance(function, ast.Attribute) and arguments:
            if function.attr in ("get", "pop", "__getitem__"):
                yield from self._of_item(function.value, arguments[0])
            elif function.attr == "__getattribute__" and len(arguments) == 1:
                yield from self._of_lookup(function.value, arguments[0])
        arguments = self.unpacked(arguments)
        yield from self._of_handed(arguments)
        for called in self.meanings(function):
            if called in _LOOKUPS and len(arguments) > 1:
                yield from self._of_lookup(arguments[0], arguments[1])
            elif called == "builtins.vars" and arguments:
                yield from (f"{base}.__dict__" for base in self.meanings(arguments[0]))
            elif called == "operator.getitem" and len(arguments) > 1:
                yield from self._of_item(arguments[0], arguments[1])
            elif called in ("pkgutil.resolve_name", "pydoc.locate") and arguments:
                for text in self.folder.texts(arguments[0]):
                    yield _canonical(text.replace(":", "."))
            elif called in _IMPORTERS:
                for module in self._imported_by(node):
                    is_package = called != "importlib.import_module" and len(arguments) < 4
                    is_package = is_package and not node.keywords
                    yield _canonical(module.partition(".")[0] if is_package else module)

    def unpacked(self, arguments: Sequence[ast.expr]) -> list[ast.expr]:
        """Give a call's arguments, those in `*(…)` among them, under a name too."""
        found: list[ast.expr] = []
        for each in arguments:
            values = self.given_to(each.value) if isinstance(each, ast.Starred) else (each,)
            for value in values:
                is_written = isinstance(value, (ast.Tuple, ast.List))
                if not isinstance(each, ast.Starred):
                    found.append(value)
                elif is_written:
                    found += value.elts  # type: ignore[attr-defined]
        return found

    def _of_handed(self, arguments: Sequence[ast.expr]) -> Iterator[str]:
        """Resolve `map(getattr, [os], ["_exit"])`, `pool.submit(getattr, os, "_exit")`."""
        for owner in self._handed(arguments):
            for name in self._handed(arguments):
                if name is not owner:
                    yield from self._of_lookup(owner, name)

    def _handed(self, arguments: Sequence[ast.expr]) -> list[ast.expr]:
        """Give what is handed to a call together with `getattr`, in lists and tuples too."""
        number = next(
            (n for n, each in enumerate(arguments) if _LOOKUPS.intersection(self.meanings(each))),
            None,
        )
        found: list[ast.expr] = []
        pending = list(arguments[number + 1 :]) if number is not None else []
        while pending:
            each = pending.pop(0)
            if isinstance(each, (ast.Tuple, ast.List)):
                pending += each.elts
            else:
                found.append(each)
        return found

    def _of_lookup(self, owner: ast.expr, name: ast.expr) -> Iterator[str]:
        bases = self.meanings(owner)
        texts = self.folder.texts(name) if bases else ()
        yield from (_canonical(f"{base}.{text}") for base in bases for text in texts)

    def given_to(self, node: ast.expr) -> Iterator[ast.expr]:
        """Give an expression, or what the variable is given that it is."""
        given = (
            self.scopes.given.get(self.scopes.key(node), ()) if isinstance(node, ast.Name) else ()
        )
        for each in given:
            if each.how == "value" and isinstance(each.node, ast.expr):
                yield each.node
        yield node

    def _of_getter(self, getter: ast.Call, arguments: list[ast.expr]) -> Iterator[str]:
        called, owner = self.dotted(getter.func), arguments[0]
        if called == "functools.partial" and getter.args:
            given = [*getter.args[1:], *arguments]
            if len(given) > 1 and _LOOKUPS.intersection(self.meanings(getter.args[0])):
                yield from self._of_lookup(given[0], given[1])
        if called in ("operator.attrgetter", "operator.methodcaller") and getter.args:
            yield from self._of_lookup(owner, getter.args[0])
        elif called == "operator.itemgetter" and getter.args:
            yield from self._of_item(owner, getter.args[0])

    def _imported_by(self, node: ast.Call) -> tuple[str, ...]:
        given = [*node.args[:1], *(each.value for each in node.keywords if each.arg == "name")]
        return tuple(text for each in given for text in self.folder.texts(each))

    def uses(self, tree: ast.AST) -> Iterator[tuple[int, str]]:
        """Give `(line, dotted name)` for every expression that has one, inner ones too."""
        for node in ast.walk(tree):
            if isinstance(node, (ast.Name, ast.Attribute, ast.Subscript, ast.Call)):
                for dotted in self.meanings(node):
                    yield node.lineno, dotted

    def from_imports(self, tree: ast.AST) -> Iterator[tuple[int, str]]:
        """Give `(line, dotted name)` for what `from module import name` names."""
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and not node.level:
                for alias in node.names:
                    yield node.lineno, _canonical(f"{node.module}.{alias.name}")

    def dynamic_imports(self, tree: ast.AST) -> Iterator[tuple[int, str]]:
        """Give `(line, module)` for `__import__("x")`, `importlib.import_module("x")`."""
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and self.imports(node):
                for module in self._imported_by(node):
                    yield node.lineno, module

    def imports(self, node: ast.Call) -> bool:
        """Tell whether a call imports the module that it is given the name of."""
        return not _IMPORTERS.isdisjoint(self.meanings(node.func))

    def attributes_named(self, node: ast.AST) -> tuple[str, ...]:
        """Give the attributes that a node names, by a dot, a text or a pattern."""
        if isinstance(node, ast.Attribute):
            return (node.attr,)
        if isinstance(node, ast.MatchClass):
            return tuple(node.kwd_attrs)
        if not isinstance(node, ast.Call):
            return ()
        called = self.meanings(node.func)
        named: list[ast.expr] = []
        if {*_LOOKUPS, "builtins.setattr", "builtins.delattr"}.intersection(called):
            named = self.unpacked(node.args)[1:2]
        elif {"operator.attrgetter", "operator.methodcaller"}.intersection(called):
            named = node.args
        elif isinstance(node.func, ast.Attribute) and node.func.attr == "__getattribute__":
            named = node.args[-1:]
        elif any(each.endswith(".__setattr__") for each in called):
            named = node.args[1:2]
        handed = [value for each in self._handed(node.args) for value in self.folder.values(each)]
        texts = [text for each in named for text in self.folder.texts(each)]
        texts += [
            part
            for value in handed
            for part in (value if isinstance(value, (list, tuple)) else [value])
            if isinstance(part, str)
        ]
        return tuple(part for text in texts for part in text.split("."))

    @staticmethod
    def is_stdlib(imported: ImportedName) -> bool:
        """Tell whether an import is from the standard library."""
        package = imported.module.partition(".")[0]
        return not imported.level and package in sys.stdlib_module_names


def _is_followed(dotted: str) -> bool:
    """Whether a variable is followed that stands for it."""
    is_builtin = dotted.startswith("builtins.") and dotted.count(".") == 1
    return not is_builtin or dotted.rpartition(".")[2] in _ALIASED_BUILTINS


def _canonical(dotted: str) -> str:
    package, dot, rest = dotted.partition(".")
    package = _SAME.get(package, package)
    dotted = f"{package}{dot}{rest}"
    if package == "builtins" and rest.endswith(".__self__") and rest.count(".") == 1:
        return "builtins"  # print.__self__
    if rest and package in sys.stdlib_module_names and package != "builtins":
        parts = rest.split(".")
        for number, part in enumerate(parts):
            if part.lstrip("_") in _SEEN_INSIDE or part in _SEEN_INSIDE:
                found = part if part == "_pytest" else part.lstrip("_")
                return ".".join([found, *parts[number + 1 :]])
    return dotted


@once_per_tree
def _bound_in_module(tree: ast.Module) -> tuple[Mapping[str, ImportedName], frozenset[str]]:
    """Give a user's module's imports and names: many replies are read beside the same one."""
    return _imports_of(tree), frozenset(module_bindings(tree))


def _imports_of(tree: ast.Module) -> dict[str, ImportedName]:
    return {
        imported.bound: imported
        for node in ast.walk(tree)
        if isinstance(node, (ast.Import, ast.ImportFrom))
        for imported in imported_names(node)
    }
