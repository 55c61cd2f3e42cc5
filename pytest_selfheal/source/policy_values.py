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
    r"(?:^|[/\\])(?:(?:test_\w+|\w+_test|conftest|sitecustomize|usercustomize)\.pyc?|\.?pytest\.(?:ini|toml))$"
)
_OPENERS = {
    *("builtins.open", "io.open", "os.open", "codecs.open", "io.FileIO", "tokenize.open"),
    *("linecache.getlines", "linecache.getline", "runpy.run_path", "os.rename", "os.replace"),
}
_IN_FORMAT = re.compile(rf"\{{[^{{}}]*[.\[](?:{'|'.join(FRAME_ATTRIBUTES)})\b")
_OWN_PROCESS = re.compile(r"^/proc/[^/]+/(?:mem|fd|maps)\b")


def knows_tests(tree: ast.Module, context: Context) -> Iterator[Violation]:
    """Refuse strings that name the runner's variables, the tests' files or `/proc/…/mem`."""
    docstrings = {id(node.value) for node in ast.walk(tree) if is_docstring(node)}  # type: ignore[attr-defined]
    opened = {id(node) for node in _opened_strings(tree, context.names)}
    for node in ast.walk(tree):
        if not isinstance(node, ast.Constant) or not isinstance(node.value, str):
            continue
        text = node.value
        if id(node) in docstrings:
            continue
        if text in _TEST_VARIABLES:
            yield node.lineno, f"it names {text!r}: the code may not know that it is tested"
        elif _OWN_PROCESS.match(text):
            yield node.lineno, f"it names {text!r}: it reaches into processes"
        elif _IN_FORMAT.search(text):
            yield node.lineno, f"it names {text!r}: {FRAMES}"
        elif id(node) in opened and _TEST_FILE.search(text):
            yield node.lineno, f"it reads {text!r}: the code may not read the tests"


def _opened_strings(tree: ast.Module, names: Names) -> Iterator[ast.AST]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            called = names.dotted(node.func) or ""
            if called in _OPENERS or called.startswith("pathlib."):
                yield from node.args
