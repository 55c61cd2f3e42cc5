"""A file that stubs were found in, and what reading replies needs to know of it."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from pytest_selfheal.errors import EditConflict
from pytest_selfheal.source.names import Binding, module_bindings
from pytest_selfheal.source.outline import Outlined, definitions
from pytest_selfheal.source.parsing import UnparsableError, parse

_KEPT = 16
"""How many modules are kept: more than are asked for at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UserModule:
    """A target's file as it is."""

    path: str
    tree: ast.Module
    functions: Mapping[tuple[str, int], Outlined]
    bindings: Mapping[str, tuple[Binding, ...]]
    may_exit: bool
    """It imports `sys` and speaks of exiting."""


@lru_cache(maxsize=_KEPT)
def user_module(path: str, source: bytes) -> UserModule:
    """Parse a file that stubs were found in; its replies share what is found here.

    Raises:
        EditConflict: It does not parse any more.
    """
    try:
        tree = parse(source)
    except UnparsableError as error:
        raise EditConflict(
            f"{path!r} does not parse any more: {error}; correct it and run again"
        ) from error
    bindings = module_bindings(tree)
    imports_sys = any(
        binding.imported and binding.imported.module == "sys" for binding in bindings.get("sys", ())
    )
    return UserModule(
        path=path,
        tree=tree,
        functions={
            (found.qualname, found.index): found
            for found in definitions(tree)
            if not isinstance(found.node, ast.ClassDef)
        },
        bindings=bindings,
        may_exit=imports_sys and speaks_of_exit(source.decode("utf-8", "replace")),
    )


_EXIT = re.compile(r"exit", re.IGNORECASE)


def speaks_of_exit(text: str) -> bool:
    """Whether a text, a docstring say, has to do with ending the program."""
    return bool(_EXIT.search(text))
