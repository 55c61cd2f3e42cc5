"""Whether a file can hold tests at all, as far as its text tells."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from fnmatch import fnmatch

from pytest_selfheal.source.parsing import UnparsableError, parse


def may_hold_tests(source: bytes, names: Sequence[str]) -> bool:
    """Whether a file has anything that pytest might take for a test.

    Where it has not, that it can be collected is all that can be asked of it. In doubt
    it may: a file whose tests went missing must not pass for one without any.

    Args:
        source: The file's bytes.
        names: The prefixes and patterns that make functions and classes tests, as pytest's
            `python_functions` and `python_classes` have them.
    """
    if b">>>" in source:
        return True
    try:
        tree = parse(source)
    except UnparsableError:
        return True
    return any(_is_like_a_test(node, names) for node in ast.walk(tree))


def _is_like_a_test(node: ast.AST, names: Sequence[str]) -> bool:
    if isinstance(node, ast.ImportFrom) and any(alias.name == "*" for alias in node.names):
        return True  # it may import tests
    bound: list[str] = []
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        bound.append(node.name)
    elif isinstance(node, (ast.Import, ast.ImportFrom)):
        bound += [alias.asname or alias.name for alias in node.names]
    elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
        bound.append(node.id)
    if isinstance(node, ast.ClassDef):
        bound += [ast.unparse(base) for base in node.bases]
    return any(
        "TestCase" in name or name.startswith(given) or fnmatch(name, given)
        for name in bound
        for given in names
    )
