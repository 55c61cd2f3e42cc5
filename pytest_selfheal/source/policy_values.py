"""Checks of the static policy: no knowledge of the tests."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from pytest_selfheal.source.kinds import is_docstring
from pytest_selfheal.source.policy_context import Context, Violation
from pytest_selfheal.source.policy_names import Names
from pytest_selfheal.source.policy_tables import FRAME_ATTRIBUTES, FRAMES

_TEST_VARIABLES = {"PYTEST_CURRENT_TEST", "PYTEST_VERSION", "PYTEST_XDIST_WORKER"}
_TEST_FILE = re.compile(
    r"(?:^|[/\\])"
    r"(?:(?:test_\w+|\w+_test|conftest|sitecustomize|usercustomize)\.pyc?|\.?pytest\.(?:ini|toml))$"
)
_OPENERS = {
    *("builtins.open", "io.open", "os.open", "codecs.open", "io.FileIO", "tokenize.open"),
    *("shutil.copy", "shutil.copy2", "shutil.copyfile", "shutil.move"),
    *("importlib.util.spec_from_file_location", "importlib.machinery.SourceFileLoader"),
    *("linecache.getlines", "linecache.getline", "runpy.run_path", "os.rename", "os.replace"),
}
_IN_FORMAT = re.compile(rf"\{{[^{{}}]*[.\[](?:{'|'.join(FRAME_ATTRIBUTES)})\b")
_KNOWS = "the code may not know that it is tested"
_OWN_PROCESS = re.compile(r"^/proc/[^/]+/(?:mem|fd|maps)\b")


def knows_tests(tree: ast.Module, context: Context) -> Iterator[Violation]:
    """Refuse texts that name the runner's variables, the tests' files or `/proc/…/mem`."""
    docstrings = {id(node.value) for node in ast.walk(tree) if is_docstring(node)}  # type: ignore[attr-defined]
    for node in ast.walk(tree):
        is_text = isinstance(node, ast.Constant) and isinstance(node.value, str)
        if is_text and id(node) not in docstrings:
            reason = _reason(node.value)  # type: ignore[attr-defined]
            if reason:
                yield node.lineno, reason  # type: ignore[attr-defined]
        for text in _asked_for(node, context.names):
            if text in _TEST_VARIABLES or text in ("PYTEST", "PYTEST_", "pytest"):
                yield node.lineno, f"it asks for {text!r}: {_KNOWS}"  # type: ignore[attr-defined]
        for text in _opened(node, context.names):
            if _TEST_FILE.search(text):
                yield node.lineno, f"it opens {text!r}: the code may not reach the tests' files"  # type: ignore[attr-defined]


def _reason(text: str) -> str | None:
    if text in _TEST_VARIABLES:
        return f"it names {text!r}: {_KNOWS}"
    if _OWN_PROCESS.match(text):
        return f"it names {text!r}: it reaches into processes"
    if _IN_FORMAT.search(text):
        return f"it names {text!r}: {FRAMES}"
    return None


def _asked_for(node: ast.AST, names: Names) -> Iterator[str]:
    """Give the texts, put together too, that the environment or the program's name is asked for."""
    asked: list[ast.expr] = []
    if isinstance(node, ast.Subscript) and names.dotted(node.value) == "os.environ":
        asked = [node.slice]
    elif isinstance(node, ast.Call) and node.args:
        called = names.dotted(node.func) or ""
        if called == "os.getenv" or called.startswith("os.environ."):
            asked = node.args[:1]
        elif isinstance(node.func, ast.Attribute) and node.func.attr == "startswith":
            yield from (text for text in names.folder.texts(node.args[0]) if text != "pytest")
    elif isinstance(node, ast.Compare) and isinstance(node.ops[0], (ast.In, ast.NotIn)):
        parts = [each for each in ast.walk(node.comparators[0]) if isinstance(each, ast.expr)]
        if any(names.dotted(each) in ("os.environ", "sys.argv") for each in parts):
            asked = [node.left]
    for each in asked:
        yield from names.folder.texts(each)


def _opened(node: ast.AST, names: Names) -> Iterator[str]:
    """Give the paths that a call opens, moves or speaks of, put together too."""
    if isinstance(node, ast.Call):
        called = names.dotted(node.func) or ""
        if called in _OPENERS or called.startswith("pathlib."):
            for each in node.args:
                yield from names.folder.texts(each)
        elif called.startswith("subprocess.") or called in ("os.system", "os.popen"):
            for value in (value for each in node.args for value in names.folder.values(each)):
                for part in value if isinstance(value, (list, tuple)) else [value]:
                    yield from str(part).split()
