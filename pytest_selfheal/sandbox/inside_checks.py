"""The model's own asserts, run as a test beside the project's. Sent as text like `inside_tests`."""

from __future__ import annotations

import ast
import contextlib
import importlib
import linecache
import os
import sys
from typing import Any


def run(root: str, checks: dict[str, str]) -> None:
    """Run asserts in the names of the modules that they are about.

    Args:
        root: The project's folder.
        checks: The asserts, by the path of the module, relative to the root.
    """
    __tracebackhide__ = True
    for path, text in checks.items():
        module = module_of(os.path.join(root, path))
        if module is not None:
            run_checks(text, vars(module))


def run_checks(text: str, names: dict[str, Any]) -> None:
    """Run asserts in a copy of a module's names, explained as pytest explains its own."""
    from _pytest.assertion.rewrite import rewrite_asserts

    __tracebackhide__ = True
    name = "<checks>"
    linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
    tree = ast.parse(text, name)
    rewrite_asserts(tree, text.encode())
    exec(compile(tree, name, "exec", dont_inherit=True), dict(names))  # noqa: S102


def module_of(path: str) -> Any:
    """The module that was read from a file, imported if no test did; None if that fails."""
    real = os.path.realpath(path)
    for module in list(sys.modules.values()):
        file = getattr(module, "__file__", None)
        if isinstance(file, str) and os.path.realpath(file) == real:
            return module
    for folder in sys.path:
        start = os.path.join(os.path.realpath(folder), "")
        if real.startswith(start) and real.endswith(".py"):
            name = real[len(start) : -len(".py")].removesuffix("/__init__").replace(os.sep, ".")
            with contextlib.suppress(Exception):
                module = importlib.import_module(name)
                if os.path.realpath(module.__file__ or "") == real:
                    return module
    return None
