"""Which names a module binds, and which names a piece of code needs."""

from __future__ import annotations

import ast
import copy
import dis
import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from types import CodeType
from typing import Literal

from pytest_selfheal.source.kinds import FunctionNode, substatements
from pytest_selfheal.source.parsing import once_per_tree, parse_text

_GLOBAL_OPS = {
    "LOAD_GLOBAL",
    "LOAD_NAME",
    "LOAD_FROM_DICT_OR_GLOBALS",
    "STORE_GLOBAL",
    "DELETE_GLOBAL",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedName:
    """One name that an import statement binds."""

    level: int = 0
    """How many leading dots; 0 for an absolute import."""
    module: str = ""
    name: str | None = None
    """What `from module import` names; `None` for `import module`."""
    asname: str | None = None

    @property
    def bound(self) -> str:
        """The name that the importing module gets."""
        return self.asname or self.name or self.module.partition(".")[0]

    @property
    def text(self) -> str:
        """The statement that imports this name alone."""
        tail = f" as {self.asname}" if self.asname else ""
        if self.name is None:
            return f"import {self.module}{tail}"
        return f"from {'.' * self.level}{self.module} import {self.name}{tail}"

    def origin(self, path: str) -> str:
        """Give the dotted name of what is bound; a relative one as seen from a file."""
        parts = [part for part in (self.module, self.name) if part]
        if self.name is None and self.asname is None:
            parts = [self.module.partition(".")[0]]
        if self.level:
            folders = path.split("/")[:-1]
            parts = folders[: len(folders) - self.level + 1] + parts
        return ".".join(parts)

    def is_same_thing(self, other: ImportedName, path: str) -> bool:
        """Tell whether both bind the same object, in the file `path` or one beside it.

        A relative import is known by its folders only, so `src.ledger.x` counts as
        `ledger.x`: where packages begin is not known here. Only that they begin with a
        folder around the file is: `json` is not the `.json` beside it.
        """
        mine, theirs = self.origin(path), other.origin(path)
        if bool(self.level) == bool(other.level):
            return mine == theirs
        absolute, relative = (theirs, mine) if self.level else (mine, theirs)
        is_around = absolute.partition(".")[0] in path.split("/")[:-1]
        return is_around and f".{relative}".endswith(f".{absolute}")

    def as_from(self, others: Iterable[ImportedName], path: str) -> ImportedName:
        """Give the same import as a file writes it that has a `from` import of the module."""
        if self.name is None:
            return self
        mine = replace(self, name=None, asname="_")
        for other in others:
            theirs = replace(other, name=None, asname="_")
            if other.name is not None and mine.is_same_thing(theirs, path):
                return replace(self, level=other.level, module=other.module)
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """What a name at module level stands for."""

    name: str
    kind: Literal["import", "function", "class", "variable"]
    node: ast.stmt
    imported: ImportedName | None = None
    for_typing_only: bool = False
    """It is bound inside `if TYPE_CHECKING:` and does not exist at run time."""


def imported_names(node: ast.stmt) -> tuple[ImportedName, ...]:
    """Give what an import statement imports, a star as the name `*`; else nothing."""
    if isinstance(node, ast.Import):
        return tuple(ImportedName(module=a.name, asname=a.asname) for a in node.names)
    if isinstance(node, ast.ImportFrom):
        return tuple(
            ImportedName(level=node.level, module=node.module or "", name=a.name, asname=a.asname)
            for a in node.names
        )
    return ()


@once_per_tree
def module_bindings(tree: ast.Module) -> Mapping[str, tuple[Binding, ...]]:
    """Give the names that a module binds outside its functions and classes.

    Statements inside `if`, `try`, `with` and loops count. The values are in source order.
    """
    found: dict[str, tuple[Binding, ...]] = {}
    for binding in _bindings(tree.body, for_typing_only=False):
        found[binding.name] = (*found.get(binding.name, ()), binding)
    return found


def names_bound_by(body: list[ast.stmt]) -> set[str]:
    """Give the names that statements bind in the block they stand in."""
    return {binding.name for binding in _bindings(body, for_typing_only=False)}


def _bindings(body: list[ast.stmt], *, for_typing_only: bool) -> Iterator[Binding]:
    for node in body:
        for name, kind, imported in _bound_by(node):
            yield Binding(
                name=name,
                kind=kind,
                node=node,
                imported=imported,
                for_typing_only=for_typing_only,
            )
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield from _nested_bindings(node, for_typing_only=for_typing_only)


def _nested_bindings(node: ast.stmt, *, for_typing_only: bool) -> Iterator[Binding]:
    guarded = is_typing_guard(node)
    for part in substatements(node):
        inner = [part] if isinstance(part, ast.stmt) else list(substatements(part))
        in_guard = guarded and isinstance(node, ast.If) and part in node.body
        statements = [each for each in inner if isinstance(each, ast.stmt)]
        yield from _bindings(statements, for_typing_only=for_typing_only or in_guard)


def is_typing_guard(node: ast.AST) -> bool:
    """Tell `if TYPE_CHECKING:` from other statements."""
    if not isinstance(node, ast.If):
        return False
    test = node.test
    name = test.attr if isinstance(test, ast.Attribute) else getattr(test, "id", "")
    return bool(name == "TYPE_CHECKING")


def is_main_guard(node: ast.AST) -> bool:
    """Tell `if __name__ == "__main__":` from other statements."""
    return (
        isinstance(node, ast.If)
        and isinstance(node.test, ast.Compare)
        and any(
            isinstance(side, ast.Name) and side.id == "__name__"
            for side in (node.test.left, *node.test.comparators)
        )
    )


_Kind = Literal["import", "function", "class", "variable"]


def _bound_by(node: ast.stmt) -> Iterator[tuple[str, _Kind, ImportedName | None]]:
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        yield node.name, "function", None
    elif isinstance(node, ast.ClassDef):
        yield node.name, "class", None
    elif isinstance(node, (ast.Import, ast.ImportFrom)):
        for imported in imported_names(node):
            yield imported.bound, "import", imported
    else:
        for name in stored_names(node):
            yield name, "variable", None


def stored_names(node: ast.stmt) -> Iterator[str]:
    """Give the names that a statement's own targets store, not those of its blocks."""
    targets: list[ast.AST] = []
    for field in ("targets", "target", "name", "items", "value", "test", "iter", "subject"):
        value = getattr(node, field, None)
        targets += value if isinstance(value, list) else [value] if value is not None else []
    for target in targets:
        if isinstance(target, ast.AST):
            for inner in ast.walk(target):
                if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Store):
                    yield inner.id


# --- what code needs -------------------------------------------------------------------


def names_needed_by_body(node: FunctionNode) -> set[str]:
    """Give the global names that a function's body uses; its signature does not count."""
    bare = copy.deepcopy(node)
    bare.decorator_list = []
    bare.returns = None
    arguments = bare.args
    arguments.defaults = [ast.Constant(None) for _ in arguments.defaults]
    arguments.kw_defaults = [each and ast.Constant(None) for each in arguments.kw_defaults]
    for argument in ast.walk(arguments):
        if isinstance(argument, ast.arg):
            argument.annotation = None
    return names_needed(bare)


def names_needed(node: ast.stmt) -> set[str]:
    """Give the global names that a statement uses, annotations in quotes included."""
    module = ast.fix_missing_locations(ast.Module(body=[node], type_ignores=[]))
    try:
        # Compiled, never run: the compiler's own scopes are the exact ones.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            code = compile(module, "<reply>", "exec", dont_inherit=True)
    except (SyntaxError, ValueError):  # `nonlocal` of a function around it
        return {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}
    return _globals_of(code) | _names_in_quoted_annotations(node)


def _globals_of(code: CodeType) -> set[str]:
    names = {
        instruction.argval
        for instruction in dis.get_instructions(code)
        if instruction.opname in _GLOBAL_OPS
    }
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            names |= _globals_of(constant)
    return names


def _names_in_quoted_annotations(node: ast.stmt) -> set[str]:
    names: set[str] = set()
    for inner in ast.walk(node):
        for field in ("annotation", "returns"):
            annotation = getattr(inner, field, None)
            if isinstance(annotation, ast.expr):
                names |= _quoted_names(annotation)
    return names


def _quoted_names(annotation: ast.expr) -> set[str]:
    names: set[str] = set()
    for part in ast.walk(annotation):
        if isinstance(part, ast.Constant) and isinstance(part.value, str):
            try:
                quoted = parse_text(f"({part.value}\n)")
            except (SyntaxError, ValueError, RecursionError, MemoryError):
                continue  # a Literal's text, say
            names |= {each.id for each in ast.walk(quoted) if isinstance(each, ast.Name)}
    return names


def names_needed_at_once(node: ast.stmt, *, annotations: bool) -> set[str]:
    """Give the names that must exist when a definition is executed, not when it is called.

    Args:
        node: A definition or a constant.
        annotations: Whether annotations are evaluated there (no `from __future__`).
    """
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        parts: list[ast.AST | None] = [*node.decorator_list, *node.args.defaults]
        parts += node.args.kw_defaults
        if annotations:
            parts += [node.returns]
            parts += [each.annotation for each in ast.walk(node.args) if isinstance(each, ast.arg)]
        return _loaded(parts)
    if isinstance(node, ast.ClassDef):
        names = _loaded([*node.decorator_list, *node.bases, *node.keywords])
        for inner in node.body:
            names |= names_needed_at_once(inner, annotations=annotations)
        return names
    if isinstance(node, ast.AnnAssign) and not annotations:
        return _loaded([node.value])
    return _loaded([node])


def _loaded(parts: list[ast.AST | None]) -> set[str]:
    return {
        inner.id
        for part in parts
        if part is not None
        for inner in ast.walk(part)
        if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Load)
    }
