"""Which of a project's modules a test leans on: a module's body runs once, whoever imports it.

Sent as text like `inside_tests`. Import statements are read off the source text: what is
found too much does no harm, and it costs nothing while tests run.
"""

from __future__ import annotations

import contextlib
import inspect
import os
import re
import sys
from collections.abc import Iterable, Iterator
from opcode import opmap
from typing import Any

_IMPORT = re.compile(
    rb"^[ \t]*(?:from[ \t]+([.\w]+)[ \t]+import[ \t]*(\([^)]*\)|[^\n;#]*)|import[ \t]+([^\n;#]+))",
    re.MULTILINE,
)
_IMPORT_NAME = opmap["IMPORT_NAME"]


class Imports:
    """The modules below a folder that have been imported, and what these import."""

    def __init__(self, root: str) -> None:
        self._root = os.path.realpath(root) + os.sep
        self._real: dict[str, tuple[str, str]] = {}
        self._named: dict[str, list[str]] = {}

    def reached_from(self, paths: Iterable[str]) -> Iterator[str]:
        """The real paths of files, of what they import when they are run, and so on."""
        modules = self._modules()
        packages = {path: _package(name) for name, path in modules.items()}
        seen: set[str] = set()
        pending = [os.path.realpath(path) for path in paths]
        while pending:
            path = pending.pop()
            if path in seen:
                continue
            seen.add(path)
            yield path
            names = self._names_in(path, packages.get(path, ""))
            pending += [modules[name] for name in names if name in modules]

    def imported_in(self, function: Any) -> list[str]:
        """The real paths of the modules that a function's own lines import."""
        function = inspect.unwrap(function)
        code = getattr(function, "__code__", None)
        if code is None or not _has_import(code):
            return []
        package = _package(getattr(function, "__module__", None) or "")
        with contextlib.suppress(OSError, TypeError, SyntaxError):
            source = inspect.getsource(function).encode()
            modules = self._modules()
            names = imported_names(source, package, in_functions=True)
            return [modules[name] for name in names if name in modules]
        return []

    def _modules(self) -> dict[str, str]:
        """The real paths of the project's modules, by name."""
        found = {}
        for name, module in list(sys.modules.items()):
            file = getattr(module, "__file__", None)
            if not isinstance(file, str):
                continue
            if self._real.get(name, ("", ""))[0] != file:
                self._real[name] = file, os.path.realpath(file)
            real = self._real[name][1]
            if real.startswith(self._root):
                found[name] = real
        return found

    def _names_in(self, path: str, package: str) -> list[str]:
        if path not in self._named:
            self._named[path] = []
            with contextlib.suppress(OSError), open(path, "rb") as file:
                self._named[path] = list(imported_names(file.read(), package))
        return self._named[path]


def _package(name: str) -> str:
    package = getattr(sys.modules.get(name), "__package__", None)
    return package if isinstance(package, str) else ""


def _has_import(code: Any) -> bool:
    return _IMPORT_NAME in code.co_code[::2] or any(
        _has_import(inner) for inner in code.co_consts if hasattr(inner, "co_code")
    )


def imported_names(source: bytes, package: str, *, in_functions: bool = False) -> Iterator[str]:
    """Each module that a source text may import, and the packages that these lie in.

    What functions import when they are called is left out, unless that is asked for.
    """
    for match in _IMPORT.finditer(source):
        if not in_functions and _is_in_function(source, match.start()):
            continue
        start, names, plain = (
            part.decode("utf-8", "replace") if part else "" for part in match.groups()
        )
        listed = [part.split() for part in (names or plain).strip("()").split(",")]
        found = [part[0] for part in listed if part]
        if start:
            base = start.lstrip(".")
            level = len(start) - len(base)
            if level:
                above = package.split(".")[: len(package.split(".")) - (level - 1)]
                base = ".".join([*above, *([base] if base else [])])
            found = [base, *(f"{base}.{name}" for name in found)]
        for name in found:
            parts = name.split(".")
            yield from (".".join(parts[: n + 1]) for n in range(len(parts)))


def _is_in_function(source: bytes, place: int) -> bool:
    """Whether the line that begins here is indented below a `def`."""
    indent = _indent(source[place : source.find(b"\n", place) + 1 or None])
    while indent > 0 and place > 0:
        end, place = place - 1, source.rfind(b"\n", 0, place - 1) + 1
        line = source[place:end]
        if line.strip() and _indent(line) < indent and not line.lstrip().startswith(b"#"):
            indent = _indent(line)
            if line.lstrip().startswith((b"def ", b"async def ")):
                return True
    return False


def _indent(line: bytes) -> int:
    line = line.expandtabs()
    return len(line) - len(line.lstrip())
