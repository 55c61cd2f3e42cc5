"""The processes that tests start: how they come to note what they enter.

Sent as text like `inside_tests`. A Python child runs the modules with watched functions
from bytecode that notes. It lies where Python keeps its own, with the hash of its source
in it: a child finds it without any change to its environment, and a changed source is
compiled as ever.
"""

from __future__ import annotations

import ast
import contextlib
import importlib.util
import marshal
import os
import sys
import tempfile
from collections.abc import Callable, Iterable

Instrument = Callable[[ast.Module, str], None]
Stubs = dict[tuple[str, int], int]


class Children:
    """The Python processes that are started from this one."""

    def __init__(
        self,
        files: Iterable[str],
        instrument: Instrument,
        stubs_in: Callable[[str], Stubs],
        call: str,
    ) -> None:
        """Nothing is made before the first of them starts.

        Args:
            files: The real paths of the modules that hold watched functions.
            instrument: Puts the calls into such a module's tree.
            stubs_in: Where a file's `@heal` stubs begin, with their numbers.
            call: What a module runs first, with a place left for these stubs.
        """
        self._files = list(files)
        self._instrument = instrument
        self._stubs_in = stubs_in
        self._call = call
        self._prefix = os.environ.get("PYTHONPYCACHEPREFIX") or None
        self._is_prepared = False

    def prepare(self) -> None:
        """Write the bytecode, once, before the first child starts."""
        if self._is_prepared:
            return
        self._is_prepared = True
        for path in self._files:
            with contextlib.suppress(OSError, SyntaxError, ValueError, RecursionError):
                self._write_bytecode(path)
        if self._prefix is not None:
            _link_caches(self._prefix)

    def _write_bytecode(self, path: str) -> None:
        with open(path, "rb") as file:
            source = file.read()
        tree = ast.parse(source, path)
        self._instrument(tree, path)
        text = self._call.replace("STUBS", repr(self._stubs_in(path)))
        call = f"__import__('builtins').exec({text!r}, {{'__name__': 'selfheal_inside_child'}})"
        statement = ast.parse(call).body[0]
        tree.body.insert(_after_header(tree), statement)
        code = compile(tree, path, "exec", dont_inherit=True)
        data = bytearray(importlib.util.MAGIC_NUMBER)
        data += (0b11).to_bytes(4, "little")  # named by the hash of its source, which is checked
        data += importlib.util.source_hash(source)
        data += marshal.dumps(code)
        cached = cached_path(path, self._prefix)
        os.makedirs(os.path.dirname(cached), exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(cached)
        with open(cached, "wb") as file:
            file.write(data)


def cached_path(path: str, prefix: str | None) -> str:
    """Where Python looks for a module's bytecode."""
    plain = importlib.util.cache_from_source(path)
    if prefix is None:
        return plain
    return os.path.join(prefix, os.path.dirname(path).lstrip(os.sep), os.path.basename(plain))


def _link_caches(prefix: str) -> None:
    """Let children that look for bytecode in another place find there what is known."""
    for module in list(sys.modules.values()):
        file, cached = getattr(module, "__file__", None), getattr(module, "__cached__", None)
        if isinstance(file, str) and isinstance(cached, str):
            link = cached_path(file, prefix)
            with contextlib.suppress(OSError):
                os.makedirs(os.path.dirname(link), exist_ok=True)
                if os.path.exists(cached):
                    os.symlink(cached, link)


def _after_header(tree: ast.Module) -> int:
    """The place behind a module's docstring and its `from __future__` imports."""
    place = int(ast.get_docstring(tree, clean=False) is not None)
    while place < len(tree.body):
        node = tree.body[place]
        if not (isinstance(node, ast.ImportFrom) and node.module == "__future__"):
            break
        place += 1
    return place


def choose_cache(files: Iterable[str]) -> None:
    """Have children look elsewhere for bytecode, where its own place is not to be had."""
    if "PYTHONPYCACHEPREFIX" in os.environ:
        return
    for folder in {os.path.dirname(path) for path in files}:
        try:
            os.listdir(os.path.join(folder, "__pycache__"))
        except FileNotFoundError:
            continue
        except OSError:
            os.environ["PYTHONPYCACHEPREFIX"] = tempfile.mkdtemp(prefix="selfheal-")
            return
