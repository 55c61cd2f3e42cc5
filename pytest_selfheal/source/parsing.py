"""Reading a body that nobody has written yet, and source that nobody can read."""

from __future__ import annotations

import ast
import io
import sys
import threading
import tokenize
import warnings
from collections import OrderedDict
from collections.abc import Callable
from functools import wraps
from typing import TypeVar
from weakref import WeakKeyDictionary

# CPython counts the depth of the trees that it makes in one place for all threads. Where one is
# made while another waits half-way, as it may while garbage is collected, both end in a
# SystemError.
_parsing = threading.RLock()

_KEPT_BYTES = 2 * 2**20
"""How much source is kept parsed; a tree takes about thirty times its source."""


class UnparsableError(ValueError):
    """Source that this Python cannot parse; the message is one line, `line` is 1-based."""

    def __init__(self, message: str, line: int) -> None:
        super().__init__(message)
        self.line = line


class _Kept:
    """The trees of the sources that were parsed last, so that each is parsed once.

    A heal looks at the same few files for each stub, each reply and each verification.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._trees: OrderedDict[bytes, ast.Module] = OrderedDict()
        self._size = 0

    def get(self, source: bytes) -> ast.Module | None:
        with self._lock:
            tree = self._trees.get(source)
            if tree is not None:
                self._trees.move_to_end(source)
            return tree

    def put(self, source: bytes, tree: ast.Module) -> ast.Module:
        """Keep a tree, and give the one that is kept for this source."""
        with self._lock:
            known = self._trees.setdefault(source, tree)
            if known is tree:
                self._size += len(source)
            while self._size > _KEPT_BYTES and len(self._trees) > 1:
                oldest, _ = self._trees.popitem(last=False)
                self._size -= len(oldest)
            return known

    def clear(self) -> None:
        with self._lock:
            self._trees.clear()
            self._size = 0


_kept = _Kept()
_Found = TypeVar("_Found")


def once_per_tree(look: Callable[[ast.Module], _Found]) -> Callable[[ast.Module], _Found]:
    """Keep what a function finds in a tree for as long as the tree is kept.

    The findings are looked at by many, and changed by nobody.
    """
    known: WeakKeyDictionary[ast.Module, _Found] = WeakKeyDictionary()

    @wraps(look)
    def looked(tree: ast.Module) -> _Found:
        found = known.get(tree)
        if found is None:
            found = known[tree] = look(tree)
        return found

    return looked


def parse(source: bytes) -> ast.Module:
    """Parse a file's bytes as an import would: BOM, cookie and line ends as they are.

    Returns:
        A tree that others may hold too: it is looked at, never changed.

    Raises:
        UnparsableError: It is no Python of this interpreter's version, or nested too deeply.
    """
    known = _kept.get(source)
    if known is not None:
        return known
    python = f"Python {sys.version_info[0]}.{sys.version_info[1]}"
    try:
        return _kept.put(source, parse_text(source))
    except SyntaxError as error:
        what = " ".join(str(error.msg).split())
        raise UnparsableError(f"{python} cannot parse it ({what})", error.lineno or 1) from error
    except ValueError as error:  # null bytes, before 3.12
        raise UnparsableError(f"{python} cannot parse it ({error})", 1) from error
    except (RecursionError, MemoryError) as error:
        raise UnparsableError(f"it is nested too deeply for {python} to parse", 1) from error


def forget_parsed() -> None:
    """Keep no trees any more: as long as there are any, each garbage collection visits them."""
    _kept.clear()


def parse_text(text: str | bytes) -> ast.Module:
    """Parse a piece of code without a word of what the compiler only warns of.

    Raises:
        SyntaxError: It is no Python; or ValueError, RecursionError, MemoryError.
    """
    with _parsing, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ast.parse(text)


def literal(text: str) -> object:
    """What a literal stands for.

    Raises:
        SyntaxError: It is no Python; or ValueError, where it is no literal.
    """
    with _parsing:
        return ast.literal_eval(text)


def encoding_of(source: bytes) -> str:
    """Give the encoding that a file declares, or UTF-8 where it declares none that is known."""
    try:
        return tokenize.detect_encoding(io.BytesIO(source).readline)[0]
    except SyntaxError:
        return "utf-8"


def is_trivial_body(body: list[ast.stmt]) -> bool:
    """Tell whether a body is docstring, `...`, `pass`, `raise NotImplementedError`, or those.

    A string anywhere counts like a docstring. `raise` may call the exception with one
    string and may end in `from None`. `return None` is a real body: somebody wrote it.
    """
    return all(_says_nothing(statement) for statement in body)


def _says_nothing(statement: ast.stmt) -> bool:
    if isinstance(statement, ast.Pass):
        return True
    if isinstance(statement, ast.Expr):
        value = statement.value
        return isinstance(value, ast.Constant) and (
            value.value is ... or isinstance(value.value, str)
        )
    return isinstance(statement, ast.Raise) and _raises_not_implemented(statement)


def _raises_not_implemented(statement: ast.Raise) -> bool:
    if statement.cause is not None and not _is_constant(statement.cause, type(None)):
        return False
    raised = statement.exc
    if isinstance(raised, ast.Call):
        if raised.keywords or len(raised.args) > 1:
            return False
        if raised.args and not _is_constant(raised.args[0], str):
            return False
        raised = raised.func
    return isinstance(raised, ast.Name) and raised.id == "NotImplementedError"


def _is_constant(node: ast.expr, kind: type) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, kind)
