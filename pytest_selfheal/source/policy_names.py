"""What the names in a tree stand for, through imports, aliases and `getattr`."""

from __future__ import annotations

import ast
import builtins
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from pytest_selfheal.source.names import ImportedName, imported_names, module_bindings
from pytest_selfheal.source.parsing import once_per_tree

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
_SAME = {"posix": "os", "nt": "os", "posixpath": "os.path", "ntpath": "os.path"}
_IMPORTERS = {"builtins.__import__", "importlib.import_module", "importlib.__import__"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """The names of one tree, with those of the modules that it will become part of."""

    imported: Mapping[str, ImportedName]
    """What names stand for that an import binds, anywhere in the trees."""
    aliases: Mapping[str, str]
    """Names assigned from something imported: `leave = os._exit` gives `os._exit`."""
    locals: frozenset[int]
    """Identities of the `Name` nodes that are some function's own variables."""
    top_level: frozenset[str]
    """What the tree itself binds at module level, imports left out."""
    known: frozenset[str]
    """What the trees bind at module level: these names are no builtins."""

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
        names = cls(
            imported=imported,
            aliases={},
            locals=local_names(tree),
            top_level=frozenset(
                name
                for name, bindings in module_bindings(tree).items()
                if bindings[-1].kind != "import"
            ),
            known=frozenset(known),
        )
        return replace(names, aliases=names._aliases_in(tree))

    def with_tree(self, tree: ast.Module) -> Names:
        """Give the names as code in `tree` sees them that is run among these."""
        inner = Names.of(tree)
        names = replace(
            self,
            imported={**self.imported, **inner.imported},
            locals=self.locals | inner.locals,
            known=self.known | inner.known,
        )
        return replace(names, aliases={**self.aliases, **names._aliases_in(tree)})

    @property
    def modules(self) -> frozenset[str]:
        """The modules that are imported, each with the packages it is in."""
        found: set[str] = set()
        for imported in self.imported.values():
            parts = imported.module.split(".") if not imported.level else []
            found |= {".".join(parts[: count + 1]) for count in range(len(parts))}
        return frozenset(found)

    def dotted(self, node: ast.expr) -> str | None:
        """Give the dotted name of what an expression stands for, from its module on.

        A builtin's begins with `builtins.`; what is no chain of names that begins with
        something imported or built in has none.
        """
        if isinstance(node, ast.Name):
            return self._dotted_name(node)
        if isinstance(node, ast.Attribute):
            base = self.dotted(node.value)
            return _canonical(f"{base}.{node.attr}") if base else None
        if isinstance(node, ast.Subscript):
            return self._dotted_item(node)
        if isinstance(node, ast.Call):
            return self._dotted_call(node)
        return None

    def _dotted_name(self, node: ast.Name) -> str | None:
        if node.id in self.aliases:
            return self.aliases[node.id]
        if id(node) in self.locals:
            return None
        if node.id in self.imported:
            imported = self.imported[node.id]
            return _canonical("." * imported.level + imported.origin(""))
        is_builtin = hasattr(builtins, node.id) or node.id == "__builtins__"
        return f"builtins.{node.id}" if is_builtin and node.id not in self.known else None

    def _dotted_item(self, node: ast.Subscript) -> str | None:
        """Resolve `vars(os)["_exit"]` and `os.__dict__["_exit"]`."""
        key = node.slice
        if not isinstance(key, ast.Constant) or not isinstance(key.value, str):
            return None
        base = None
        if isinstance(node.value, ast.Attribute) and node.value.attr == "__dict__":
            base = self.dotted(node.value.value)
        elif isinstance(node.value, ast.Call) and node.value.args:
            called = self.dotted(node.value.func)
            base = self.dotted(node.value.args[0]) if called == "builtins.vars" else None
        return _canonical(f"{base}.{key.value}") if base else None

    def _dotted_call(self, node: ast.Call) -> str | None:
        """Resolve `getattr(os, "_exit")` and `__import__("os")`."""
        if not node.args:
            return None
        called = self.dotted(node.func)
        if called == "builtins.getattr" and len(node.args) > 1:
            last, base = node.args[1], self.dotted(node.args[0])
            if base and isinstance(last, ast.Constant) and isinstance(last.value, str):
                return _canonical(f"{base}.{last.value}")
        if called in _IMPORTERS and isinstance(node.args[0], ast.Constant):
            module = str(node.args[0].value)
            return module.partition(".")[0] if called == "builtins.__import__" else module
        return None

    def uses(self, tree: ast.AST) -> Iterator[tuple[int, str]]:
        """Give `(line, dotted name)` for every expression that has one, inner ones too."""
        for node in ast.walk(tree):
            if isinstance(node, (ast.Name, ast.Attribute, ast.Subscript, ast.Call)):
                dotted = self.dotted(node)
                if dotted:
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
            if isinstance(node, ast.Call) and node.args and self.dotted(node.func) in _IMPORTERS:
                given = node.args[0]
                if isinstance(given, ast.Constant) and isinstance(given.value, str):
                    yield node.lineno, given.value

    @staticmethod
    def is_stdlib(imported: ImportedName) -> bool:
        """Tell whether an import is from the standard library."""
        package = imported.module.partition(".")[0]
        return not imported.level and package in sys.stdlib_module_names

    def _aliases_in(self, tree: ast.Module) -> dict[str, str]:
        found: dict[str, str] = {}
        for node in ast.walk(tree):
            if not isinstance(node, ast.Assign) or not isinstance(
                node.value, (ast.Name, ast.Attribute)
            ):
                continue
            dotted = self.dotted(node.value)
            for target in node.targets:
                # A builtin under another name (`default = None or int`) is honest; what
                # is dangerous there is refused where it is named.
                if dotted and isinstance(target, ast.Name) and "builtins." not in dotted:
                    found[target.id] = dotted
        return found


def _canonical(dotted: str) -> str:
    package, dot, rest = dotted.partition(".")
    return f"{_SAME.get(package, package)}{dot}{rest}"


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


# --- scopes ----------------------------------------------------------------------------


def local_names(tree: ast.AST) -> frozenset[int]:
    """Give the identities of the `Name` nodes that are some function's own variables."""
    found: set[int] = set()
    for node in ast.iter_child_nodes(tree):
        _gather_locals(node, frozenset(), found)
    return frozenset(found)


def _gather_locals(node: ast.AST, scope: frozenset[str], found: set[int]) -> None:
    if isinstance(node, ast.Name) and node.id in scope:
        found.add(id(node))
    if isinstance(node, _FUNCTIONS):
        scope = (scope | _bound_in(node)) - _declared_global(node)
    for child in ast.iter_child_nodes(node):
        _gather_locals(child, scope, found)


def _bound_in(function: ast.AST) -> frozenset[str]:
    """Give a function's parameters and the names it stores, those of inner ones left out."""
    names: set[str] = set()
    pending = list(ast.iter_child_nodes(function))
    while pending:
        node = pending.pop()
        if isinstance(node, ast.arg):
            names.add(node.arg)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif isinstance(node, ast.ExceptHandler) and node.name:
            names.add(node.name)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            names.add(node.name)
        elif not isinstance(node, ast.Lambda):
            pending += ast.iter_child_nodes(node)
    return frozenset(names)


def _declared_global(function: ast.AST) -> frozenset[str]:
    return frozenset(
        name for node in ast.walk(function) if isinstance(node, ast.Global) for name in node.names
    )
