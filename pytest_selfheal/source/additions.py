"""What several pieces add to one file beside bodies: imports, helpers, members, once each."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from pytest_selfheal.errors import Unusable
from pytest_selfheal.records import Piece
from pytest_selfheal.source.hidden import line_groups
from pytest_selfheal.source.names import (
    Binding,
    ImportedName,
    imported_names,
    module_bindings,
    names_bound_by,
    names_needed,
    names_needed_at_once,
)
from pytest_selfheal.source.outline import Outlined
from pytest_selfheal.source.parsing import parse_text

_Key = tuple[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Additions:
    """What comes into a file."""

    imports: tuple[ImportedName, ...]
    helpers: Mapping[int, tuple[str, ...]]
    """Helpers by the position of the module's statement that they go above."""
    members: Mapping[_Key, tuple[str, ...]]
    """What goes below a stub in its class."""


def gather_additions(
    tree: ast.Module, pieces: Sequence[Piece], outlined: Mapping[_Key, Outlined]
) -> Additions:
    """Take together what the pieces of a file add to it.

    What the file has already is left out, so that an edit can be made twice.

    Args:
        tree: The file.
        pieces: The pieces in the order of their stubs in the file.
        outlined: The file's functions.

    Raises:
        Unusable: One name would stand for two things; the message names both sides.
    """
    gathering = _Gathering(tree=tree, outlined=outlined)
    for piece in pieces:
        gathering.add(piece)
    return Additions(
        imports=tuple(gathering.imports),
        helpers=_placed(tree, gathering.helpers),
        members={key: tuple(texts) for key, texts in gathering.members.items()},
    )


@dataclass(slots=True)
class _Helper:
    """A helper and the position of the first statement that needs it."""

    text: str
    node: ast.stmt
    host: int


@dataclass(slots=True, kw_only=True)
class _Gathering:
    tree: ast.Module
    outlined: Mapping[_Key, Outlined]
    imports: dict[ImportedName, None] = field(default_factory=dict)
    helpers: list[_Helper] = field(default_factory=list)
    members: dict[_Key, list[str]] = field(default_factory=dict)
    owners: dict[tuple[str, str], tuple[str, str]] = field(default_factory=dict)
    """By scope and name: what the name stands for, and the target that brought it."""
    bindings: Mapping[str, tuple[Binding, ...]] = field(default_factory=dict)
    seen: set[tuple[str, str]] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.bindings = module_bindings(self.tree)

    def add(self, piece: Piece) -> None:
        key = (piece.stub.qualname, piece.stub.index)
        for text in piece.imports:
            for node in parse_text(text).body:
                for imported in imported_names(node):
                    self._import(imported, piece)
        host = self._position(self.outlined[key])
        for text in piece.helpers:
            self._helper(text, host, piece)
        for text in piece.members:
            self._member(text, key, piece)

    def _position(self, found: Outlined) -> int:
        line = found.node.lineno
        return next(
            position
            for position, group in enumerate(line_groups(self.tree.body))
            if group[0].lineno <= line <= (group[-1].end_lineno or line)
        )

    def _import(self, imported: ImportedName, piece: Piece) -> None:
        path = piece.stub.path
        is_dotted = imported.name is None and imported.asname is None and "." in imported.module
        dump = imported.origin(path)
        for binding in self.bindings.get(imported.bound, ()):
            there = binding.imported
            if binding.for_typing_only:
                continue
            if there is None or not imported.is_same_thing(there, path):
                raise _taken(imported.bound, piece, binding)
            if not is_dotted or there.module == imported.module:
                return
        if any(
            each.bound == imported.bound and each.is_same_thing(imported, path) and not is_dotted
            for each in self.imports
        ):
            return
        if self._is_new("", imported.bound, dump, piece) or is_dotted:
            known = [each for node in self.tree.body for each in imported_names(node)]
            self.imports[imported.as_from(known, path)] = None

    def _helper(self, text: str, host: int, piece: Piece) -> None:
        (node,) = parse_text(text).body
        dump = ast.dump(node)
        names = names_bound_by([node])
        for name in sorted(names):
            for binding in self.bindings.get(name, ()):
                if ast.dump(binding.node) == dump:
                    return
                if not binding.for_typing_only:
                    raise _taken(name, piece, binding)
        fresh = [self._is_new("", name, dump, piece) for name in sorted(names)]
        if all(fresh):
            self.helpers.append(_Helper(text, node, host))

    def _member(self, text: str, key: _Key, piece: Piece) -> None:
        (node,) = parse_text(text).body
        dump = ast.dump(node)
        owner = self.outlined[key].classes[-1]
        scope = key[0].rpartition(".")[0]
        if any(ast.dump(each) == dump for each in owner.body):
            return
        names = names_bound_by([node])
        for each in self._lineage(owner):
            taken = sorted(names & names_bound_by(each.body))
            if taken:
                raise Unusable(
                    f"{taken[0]!r}, which the code for {piece.stub.target!r} adds to its class, "
                    f"is already defined in {each.name!r}: use another name"
                )
        fresh = [self._is_new(scope, name, dump, piece) for name in sorted(names)]
        if all(fresh):
            self.members.setdefault(key, []).append(text)

    def _lineage(self, owner: ast.ClassDef) -> list[ast.ClassDef]:
        """Give a class, the module's classes that it stands on, and those that stand on it."""
        by_name = {node.name: node for node in self.tree.body if isinstance(node, ast.ClassDef)}
        above = {name: _base_names(node) & by_name.keys() for name, node in by_name.items()}
        below = {name: {sub for sub in above if name in above[sub]} for name in by_name}
        names = _reached(owner.name, above) | _reached(owner.name, below)
        return [owner, *(by_name[name] for name in sorted(names - {owner.name}))]

    def _is_new(self, scope: str, name: str, dump: str, piece: Piece) -> bool:
        """Note what a name stands for; tell whether it is the first time.

        Raises:
            Unusable: It stands for something else already.
        """
        target = piece.stub.target
        known, other = self.owners.setdefault((scope, name), (dump, target))
        if known != dump:
            both = f"{target!r} and for {other!r} defines {name!r} differently"
            if target == other:
                both = f"{target!r} defines {name!r} twice, differently"
            raise Unusable(f"the code for {both}: use two names")
        is_first = (scope, name) not in self.seen
        self.seen.add((scope, name))
        return is_first


def _base_names(node: ast.ClassDef) -> set[str]:
    bases = (base.value if isinstance(base, ast.Subscript) else base for base in node.bases)
    return {base.id for base in bases if isinstance(base, ast.Name)}


def _reached(start: str, steps: Mapping[str, set[str]]) -> set[str]:
    found: set[str] = set()
    pending = [start]
    while pending:
        name = pending.pop()
        if name not in found:
            found.add(name)
            pending += steps.get(name, ())
    return found


def _taken(name: str, piece: Piece, binding: Binding) -> Unusable:
    return Unusable(
        f"{name!r}, which the code for {piece.stub.target!r} needs, is already defined in "
        f"{piece.stub.path!r}, as a {binding.kind} on line {binding.node.lineno}: "
        "use another name"
    )


# --- where helpers go ------------------------------------------------------------------


def _placed(tree: ast.Module, helpers: Sequence[_Helper]) -> dict[int, tuple[str, ...]]:
    """Place each helper above the first statement that needs it.

    One that needs something at once which the file defines only later (a class in an
    annotation, a base) goes below that instead; so does what needs that helper at once.
    """
    evaluated = not _has_future_annotations(tree)
    at_once = [_at_once(helper, helpers, annotations=evaluated) for helper in helpers]
    positions = [
        max([helper.host, *_later(tree, names, helper.host)])
        for helper, names in zip(helpers, at_once, strict=True)
    ]
    found: dict[int, list[str]] = {}
    binders = [names_bound_by([helper.node]) for helper in helpers]
    for number, helper in enumerate(helpers):
        for earlier in range(number):
            if binders[earlier] & at_once[number]:
                positions[number] = max(positions[number], positions[earlier])
        found.setdefault(positions[number], []).append(helper.text)
    return {position: tuple(texts) for position, texts in found.items()}


def _has_future_annotations(tree: ast.Module) -> bool:
    return any(
        isinstance(node, ast.ImportFrom)
        and node.module == "__future__"
        and any(alias.name == "annotations" for alias in node.names)
        for node in tree.body
    )


def _at_once(helper: _Helper, helpers: Sequence[_Helper], *, annotations: bool) -> set[str]:
    """Give the names needed when a helper is defined, also by the helpers that it calls."""
    names = names_needed_at_once(helper.node, annotations=annotations)
    pending = list(names)
    while pending:
        name = pending.pop()
        for other in helpers:
            if other is not helper and name in names_bound_by([other.node]):
                fresh = names_needed(other.node) - names
                names |= fresh
                pending += fresh
    return names


def _later(tree: ast.Module, names: set[str], host: int) -> Iterator[int]:
    """Give the positions below the statements that bind names only from `host` on."""
    first: dict[str, int] = {}
    for position, group in enumerate(line_groups(tree.body)):
        for name in names_bound_by(group):
            first.setdefault(name, position)
    return (first[name] + 1 for name in names if first.get(name, -1) >= host)
