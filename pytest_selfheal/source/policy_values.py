"""Checks of the static policy: no knowledge of the tests, no values that lie to them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from pytest_selfheal.source.kinds import is_docstring
from pytest_selfheal.source.names import stored_names
from pytest_selfheal.source.policy_context import Context, Violation
from pytest_selfheal.source.policy_names import Names

_TEST_VARIABLES = {"PYTEST_CURRENT_TEST", "PYTEST_VERSION", "PYTEST_XDIST_WORKER"}
_TEST_FILE = re.compile(r"(?:^|[/\\])(?:test_\w+|\w+_test|conftest)\.pyc?$")
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
        elif id(node) in opened and _TEST_FILE.search(text):
            yield node.lineno, f"it reads {text!r}: the code may not read the tests"


def _opened_strings(tree: ast.Module, names: Names) -> Iterator[ast.AST]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            called = names.dotted(node.func) or ""
            if called in ("builtins.open", "io.open", "os.open") or called.startswith("pathlib."):
                yield from node.args


# --- lying values ----------------------------------------------------------------------

_COMPARISONS = {"__eq__", "__ne__", "__bool__", "__lt__", "__le__", "__gt__", "__ge__"}


def lying_classes(tree: ast.Module, context: Context) -> Iterator[Violation]:
    """Refuse comparisons that answer the same whatever they are compared with."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            yield from _lying_methods(node, context)
        elif isinstance(node, ast.Dict):  # type("Any", (), {"__eq__": lambda self, other: True})
            for key, value in zip(node.keys, node.values, strict=True):
                if isinstance(key, ast.Constant) and _is_lying(str(key.value), value):
                    yield value.lineno, _lying(str(key.value))


def _lying_methods(node: ast.ClassDef, context: Context) -> Iterator[Violation]:
    for member in node.body:
        if isinstance(member, (ast.FunctionDef, ast.AsyncFunctionDef)):
            is_target = f"{node.name}.{member.name}" in {
                ".".join(target.split(".")[-2:]) for target in context.targets
            }
            if not is_target and _is_lying(member.name, member):
                yield member.lineno, _lying(member.name)
        elif isinstance(member, ast.Assign):
            for name in stored_names(member):
                if _is_lying(name, member.value):
                    yield member.lineno, _lying(name)


def _lying(name: str) -> str:
    return f"its {name!r} gives the same answer whatever it is asked"


def _is_lying(name: str, node: ast.AST) -> bool:
    if name not in _COMPARISONS:
        return False
    if isinstance(node, ast.Lambda):
        answers = [node.body]
    elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        returns = [each for each in ast.walk(node) if isinstance(each, ast.Return)]
        answers = [each.value for each in returns if each.value is not None]
    else:
        return False
    return (
        bool(answers)
        and len({_constant_answer(each) for each in answers} - {None}) == 1
        and all(_constant_answer(each) is not None for each in answers)
    )


def _constant_answer(node: ast.expr) -> str | None:
    """Give an answer's text if no argument takes part in it (`NotImplemented` is honest)."""
    named = {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}
    return ast.dump(node) if named <= {"bool", "int", "True", "False"} else None
