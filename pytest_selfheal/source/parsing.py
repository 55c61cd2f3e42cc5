"""Reading a body that nobody has written yet, and source that nobody can read."""

from __future__ import annotations

import ast
import io
import sys
import tokenize
import warnings


class UnparsableError(ValueError):
    """Source that this Python cannot parse; the message is one line, `line` is 1-based."""

    def __init__(self, message: str, line: int) -> None:
        super().__init__(message)
        self.line = line


def parse(source: bytes) -> ast.Module:
    """Parse a file's bytes as an import would: BOM, cookie and line ends as they are.

    Raises:
        UnparsableError: It is no Python of this interpreter's version, or nested too deeply.
    """
    python = f"Python {sys.version_info[0]}.{sys.version_info[1]}"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an invalid escape is the importer's to tell
            return ast.parse(source)
    except SyntaxError as error:
        what = " ".join(str(error.msg).split())
        raise UnparsableError(f"{python} cannot parse it ({what})", error.lineno or 1) from error
    except ValueError as error:  # null bytes, before 3.12
        raise UnparsableError(f"{python} cannot parse it ({error})", 1) from error
    except (RecursionError, MemoryError) as error:
        raise UnparsableError(f"it is nested too deeply for {python} to parse", 1) from error


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
