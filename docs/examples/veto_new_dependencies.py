"""A veto: healed code may import the standard library and what the project has already."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pytest_selfheal.records import Candidate

ALLOWED = sys.stdlib_module_names | {"money"}


def imported(code: str) -> Iterator[str]:
    """The top-level modules that a piece of code imports."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]


@pytest.hookimpl(optionalhook=True)
def pytest_selfheal_veto(candidate: Candidate) -> str | None:
    for piece in candidate.pieces:
        for code in (*piece.imports, *piece.helpers, *piece.members, piece.definition):
            for name in imported(code):
                if name not in ALLOWED:
                    return (
                        f"{piece.stub.qualname} imports {name!r}, which this project does not have"
                    )
    return None
