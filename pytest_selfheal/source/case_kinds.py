"""What kind of case an expression is: roughly what it would take to expect its like.

Two cases of one kind differ in values alone, so that who has seen one can be asked for the
other. `(1, "I")` and `(4, "IV")` are of one kind, `(0, "")` is of another.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable


def kind_of(node: ast.AST, *, is_fine: bool) -> str:
    """Name the kind of an expression or an assert; equal names mean the same kind.

    Args:
        node: What stands in the source.
        is_fine: Texts are told apart by the sorts of characters in them as well, and not
            only by whether there are any.
    """
    if isinstance(node, ast.Constant):
        return _constant(node.value, is_fine)
    if isinstance(node, (ast.List, ast.Set)):
        return f"{type(node).__name__}{_each(node.elts, is_fine)}"
    if isinstance(node, ast.Dict):
        return f"Dict{_each([*filter(None, node.keys), *node.values], is_fine)}"
    parts = [type(node).__name__]
    for name, value in ast.iter_fields(node):
        if isinstance(value, ast.AST):
            parts.append(kind_of(value, is_fine=is_fine))
        elif isinstance(value, list):
            inner = [each for each in value if isinstance(each, ast.AST) and not _is_id(each)]
            parts.append(f"[{', '.join(kind_of(each, is_fine=is_fine) for each in inner)}]")
        elif name != "kind":
            parts.append(repr(value))
    return f"({' '.join(parts)})"


def _is_id(node: ast.AST) -> bool:
    """`pytest.param`'s name for a case says nothing about it."""
    return isinstance(node, ast.keyword) and node.arg == "id"


def _each(nodes: Iterable[ast.AST], is_fine: bool) -> str:
    """However many there are, as long as there are any."""
    return f"{{{', '.join(sorted({kind_of(node, is_fine=is_fine) for node in nodes}))}}}"


def _constant(value: object, is_fine: bool) -> str:
    if isinstance(value, (str, bytes)):
        text = value.decode("latin-1") if isinstance(value, bytes) else value
        sorts = "".join(sorted(set(map(_sort_of, text)))) if is_fine else "*" * bool(text)
        return f"{type(value).__name__}<{sorts}>"
    if isinstance(value, (int, float, complex)) and not isinstance(value, bool):
        return f"{type(value).__name__}{'+' if value else '0'}"
    return repr(value)


def _sort_of(character: str) -> str:
    if not character.isascii():
        return "é" if character.isalpha() else "€"
    if character.isalpha():
        return "a" if character.islower() else "A"
    return "0" if character.isdigit() else character
