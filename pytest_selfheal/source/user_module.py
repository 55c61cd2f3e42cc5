"""A file that stubs were found in, and what reading replies needs to know of it."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from pytest_selfheal.errors import EditConflict
from pytest_selfheal.source.names import Binding, is_main_guard, module_bindings
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
    """It imports `sys` and speaks of exiting, or it is the front end of a program."""


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
        may_exit=_is_front_end(path, tree, bindings)
        or (imports_sys and speaks_of_exit(source.decode("utf-8", "replace"))),
    )


_COMMAND_LINE = {"argparse", "optparse", "getopt", "click", "typer", "docopt", "fire"}


def _is_front_end(path: str, tree: ast.Module, bindings: Mapping[str, tuple[Binding, ...]]) -> bool:
    """Whether a module is what people start: ending the program is part of its work.

    Under pytest that ends nothing: `SystemExit` fails the test that it escapes to.
    """
    imported = {
        each.imported.module.partition(".")[0]
        for found in bindings.values()
        for each in found
        if each.imported is not None and not each.imported.level
    }
    return (
        path.rpartition("/")[2] == "__main__.py"
        or not imported.isdisjoint(_COMMAND_LINE)
        or any(is_main_guard(node) for node in tree.body)
    )


_EXIT = re.compile(r"exit", re.IGNORECASE)


def speaks_of_exit(text: str) -> bool:
    """Whether a text, a docstring say, has to do with ending the program."""
    return bool(_EXIT.search(text))
