"""Which definition of a reply is meant for which stub."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pytest_selfheal.errors import Unusable
from pytest_selfheal.records import Stub
from pytest_selfheal.source.kinds import kind_of
from pytest_selfheal.source.names import names_bound_by
from pytest_selfheal.source.outline import FUNCTIONS, Outlined, definitions
from pytest_selfheal.source.parsing import once_per_tree
from pytest_selfheal.source.reply_code import Code
from pytest_selfheal.source.user_module import UserModule

_ACCESSORS = ("setter", "deleter")


def match_targets(
    code: Code, stubs: Sequence[Stub], users: Mapping[str, UserModule]
) -> tuple[Outlined, ...]:
    """Give the reply's definition for each stub, in the order of `stubs`.

    A method may stand in its class, or bare where its name can mean one target alone.

    Args:
        code: The reply.
        stubs: What was asked for.
        users: The stubs' modules, by path.

    Raises:
        Unusable: A target is missing, or stands there more than once.
    """
    given = [found for found in definitions(code.tree) if isinstance(found.node, FUNCTIONS)]
    known = {stub: _Namesakes.of(stub, users[stub.path]) for stub in stubs}
    return tuple(_find(stub, stubs, known, given) for stub in stubs)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Namesakes:
    """What a stub's file has of its name."""

    role: str
    """Which of a property's functions the stub is, if it is one."""
    indexes: tuple[int, ...]
    """The definitions of this name and role: in the branches of an `if`, say."""

    @classmethod
    def of(cls, stub: Stub, user: UserModule) -> _Namesakes:
        found = user.functions.get((stub.qualname, stub.index))
        role = _role(found) if found is not None else ""
        alike = (
            index
            for (qualname, index), each in user.functions.items()
            if qualname == stub.qualname and _role(each) == role
        )
        return cls(role=role, indexes=tuple(sorted(alike)))


def _role(found: Outlined) -> str:
    assert isinstance(found.node, FUNCTIONS)
    kind = kind_of(found.node)
    return kind if kind in (*_ACCESSORS, "overload") else ""


def _find(
    stub: Stub,
    stubs: Sequence[Stub],
    known: Mapping[Stub, _Namesakes],
    given: Sequence[Outlined],
) -> Outlined:
    named = _named(stub, stubs, given)
    rivals = [each for each in stubs if each.qualname == stub.qualname]
    if len(rivals) == len(named) == 1:
        return named[0]
    role, indexes = known[stub].role, known[stub].indexes
    matching = [found for found in named if _role(found) == role]
    rivals = [each for each in rivals if known[each].role == role]
    if not matching:
        what = f" ({role})" if role else ""
        raise Unusable(
            f"the reply does not define {stub.qualname!r}{what}: give its complete definition"
        )
    if len(matching) == len(indexes) and stub.index in indexes:
        return matching[indexes.index(stub.index)]  # the reply restates them all
    if len(matching) != len(rivals):
        lines = ", ".join(str(found.node.lineno) for found in matching)
        raise Unusable(
            f"the reply defines {stub.qualname!r} {len(matching)} times, on lines {lines} "
            f"of its code, where {len(rivals)} was asked for: give it once"
        )
    return matching[rivals.index(stub)]


def _named(stub: Stub, stubs: Sequence[Stub], given: Sequence[Outlined]) -> list[Outlined]:
    """Give the definitions of a stub's full name; failing that, of a part that is clear."""
    parts = stub.qualname.split(".")
    for start in range(len(parts)):
        name = ".".join(parts[start:])
        claimants = {each.qualname for each in stubs if f".{each.qualname}".endswith(f".{name}")}
        is_clear = start == 0 or (claimants == {stub.qualname} and name not in _full(stubs))
        found = [each for each in given if each.qualname == name]
        if found and is_clear:
            return found
    return []


def _full(stubs: Sequence[Stub]) -> set[str]:
    return {stub.qualname for stub in stubs}


# --- what is restated ------------------------------------------------------------------


def without_restated(tree: ast.Module, users: Sequence[ast.Module]) -> ast.Module:
    """Leave out the statements that the users' modules hold word by word.

    They are the user's, do not enter the file a second time, and are not the model's to
    answer for.
    """
    known = [_statements(user) for user in users]
    body = [_pruned(node, (), known) for node in tree.body if not _is_known(node, (), known)]
    return ast.Module(body=body, type_ignores=[])


_Place = tuple[tuple[str, ...], str, str]
_Known = Mapping[_Place, Sequence[ast.stmt]]


def _place(node: ast.stmt, classes: Sequence[ast.ClassDef]) -> _Place:
    """Give what statements that are the same have in common, and few others have."""
    name = getattr(node, "name", None) or min(names_bound_by([node]), default="")
    return tuple(each.name for each in classes), type(node).__name__, str(name)


@once_per_tree
def _statements(user: ast.Module) -> _Known:
    known: dict[_Place, list[ast.stmt]] = {}
    for node in user.body:
        known.setdefault(_place(node, ()), []).append(node)
    for found in definitions(user):
        if found.classes:
            known.setdefault(_place(found.node, found.classes), []).append(found.node)
    return known


def _is_known(node: ast.stmt, classes: Sequence[ast.ClassDef], known: Sequence[_Known]) -> bool:
    place = _place(node, classes)
    alike = [each for statements in known for each in statements.get(place, ())]
    return bool(alike) and ast.dump(node) in map(ast.dump, alike)


def _pruned(node: ast.stmt, classes: tuple[ast.ClassDef, ...], known: Sequence[_Known]) -> ast.stmt:
    if not isinstance(node, ast.ClassDef):
        return node
    inside = (*classes, node)
    body = [
        _pruned(each, inside, known) for each in node.body if not _is_known(each, inside, known)
    ]
    parts = {name: getattr(node, name) for name in node._fields}
    parts["body"] = body or [ast.Pass(lineno=node.lineno, col_offset=0)]
    return ast.copy_location(ast.ClassDef(**parts), node)
