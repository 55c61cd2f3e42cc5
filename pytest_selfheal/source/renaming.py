"""Two stubs' helpers of one name: the second one's gets another name, in its own code alone.

Stubs are healed at the same time, and neither reply knows of the other's helpers.
"""

from __future__ import annotations

import ast
import builtins
import itertools
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

from pytest_selfheal.records import Piece
from pytest_selfheal.source.kinds import is_docstring
from pytest_selfheal.source.names import (
    ImportedName,
    imported_names,
    module_bindings,
    names_bound_by,
    names_needed,
)
from pytest_selfheal.source.parsing import parse_text
from pytest_selfheal.source.policy_scopes import local_names

_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def without_clashes(tree: ast.Module, pieces: Sequence[Piece]) -> list[Piece]:
    """Rename what pieces bring to a module under a name that an earlier one uses otherwise.

    Args:
        tree: The file that they go into.
        pieces: In the order of their stubs in the file.

    Returns:
        The pieces in that order. What cannot be renamed safely is as it was, and is refused
        when it is to be added.
    """
    owners: dict[str, ImportedName | str] = {}
    resolved: list[Piece] = []
    for each in pieces:
        piece = _apart(each, owners, taken=module_bindings(tree).keys())
        owners |= _brings(piece)
        resolved.append(piece)
    return resolved


def _apart(piece: Piece, owners: dict[str, ImportedName | str], taken: Collection[str]) -> Piece:
    while True:
        brings = _brings(piece)
        clashes = [
            name
            for name, thing in sorted(brings.items())
            if name in owners and not _is_same(thing, owners[name], piece.stub.path)
        ]
        if not clashes:
            return piece
        used = {*taken, *owners, *brings, *_identifiers(piece), *dir(builtins)}
        names = (f"{clashes[0]}_{number}" for number in itertools.count(2))
        other = renamed(piece, clashes[0], next(name for name in names if name not in used))
        if other is None:
            return piece
        piece = other  # helpers that use it read differently now, and are looked at again


def _brings(piece: Piece) -> dict[str, ImportedName | str]:
    """Give what a piece binds at module level: imports, and helpers by what they say."""
    found: dict[str, ImportedName | str] = {}
    for text in piece.helpers:
        (node,) = parse_text(text).body
        found |= dict.fromkeys(names_bound_by([node]), ast.dump(node))
    for imported in _imports(piece):
        found[imported.bound] = imported
    return found


def _imports(piece: Piece) -> list[ImportedName]:
    nodes = (node for text in piece.imports for node in parse_text(text).body)
    return [imported for node in nodes for imported in imported_names(node)]


def _is_same(thing: ImportedName | str, other: ImportedName | str, path: str) -> bool:
    if isinstance(thing, ImportedName) and isinstance(other, ImportedName):
        return thing.is_same_thing(other, path)
    return thing == other


def _identifiers(piece: Piece) -> set[str]:
    code = "\n".join([piece.definition, *piece.helpers, *piece.members])
    return set(re.findall(r"\w+", code))


# --- one name --------------------------------------------------------------------------


def renamed(piece: Piece, old: str, new: str) -> Piece | None:
    """Give a piece in which a module-level name of its own is another; None if that is unsafe.

    It is unsafe where the name may be meant by more than the names that the compiler sees: in
    a string, by `global`, as a class's own.
    """
    imports = []
    for imported in _imports(piece):
        is_it = imported.bound == old
        if is_it and imported.name is None and imported.asname is None and "." in imported.module:
            return None
        imports.append((replace(imported, asname=new) if is_it else imported).text)
    definition = _renamed_text(piece.definition, old, new)
    helpers = [_renamed_text(text, old, new, is_helper=True) for text in piece.helpers]
    members = [_renamed_text(text, old, new) for text in piece.members]
    if definition is None or None in helpers or None in members:
        return None
    return replace(
        piece,
        definition=definition,
        as_given=piece.as_given if definition == piece.definition else "",
        imports=tuple(imports),
        helpers=tuple(text for text in helpers if text is not None),
        members=tuple(text for text in members if text is not None),
    )


def _renamed_text(text: str, old: str, new: str, *, is_helper: bool = False) -> str | None:
    tree = parse_text(text)
    if not _is_safe(tree, old):
        return None
    lines = [line.encode() for line in text.split("\n")]  # columns are counted in UTF-8
    places = list(_places(tree, old, lines, is_helper=is_helper))
    for line, column in sorted(places, reverse=True):
        end = column + len(old.encode())
        if lines[line - 1][column:end] != old.encode():  # within an f-string, before 3.12
            return None
        lines[line - 1] = lines[line - 1][:column] + new.encode() + lines[line - 1][end:]
    changed = "\n".join(line.decode() for line in lines)
    # The compiler has the last word on which names are the module's and which a function's own.
    needed = {new if name == old else name for name in names_needed(tree.body[-1])}
    return changed if names_needed(parse_text(changed).body[-1]) == needed else None


def _is_safe(tree: ast.Module, name: str) -> bool:
    if any(re.search(rf"\b{name}\b", text) for text in _texts(tree)):
        return False
    for node in ast.walk(tree):
        if isinstance(node, (ast.Global, ast.Nonlocal)) and name in node.names:
            return False
        if isinstance(node, ast.ClassDef) and name in names_bound_by(node.body):
            return False
    return True


def _texts(tree: ast.Module) -> Iterator[str]:
    """Give the strings in a piece of code, docstrings left out."""
    pending: list[ast.AST] = [tree]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
        elif not is_docstring(node):
            pending.extend(ast.iter_child_nodes(node))


def _places(
    tree: ast.Module, name: str, lines: Sequence[bytes], *, is_helper: bool
) -> Iterator[tuple[int, int]]:
    """Give the line and column of each mention of a module's name."""
    local = local_names(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id == name and id(node) not in local:
            yield node.lineno, node.col_offset
    for node in tree.body if is_helper else ():
        if isinstance(node, _DEFINITIONS) and node.name == name:
            head = re.compile(rb"\s*(?:async\s+def|def|class)\s+")
            match = head.match(lines[node.lineno - 1], node.col_offset)
            yield node.lineno, match.end() if match else 0
