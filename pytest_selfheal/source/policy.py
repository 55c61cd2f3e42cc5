"""The static policy: what no candidate may hold, whatever its tests say.

A reply is refused before it costs a sandbox if it reaches for the means by which code
under test can change the verdict on itself. The walls that must hold alone stand in the
sandbox and around the verdict; this one turns away what an honest function never needs.

A check is a function that is given a parsed tree and its `Context` and yields
`(line, reason)`; adding one is writing it and naming it in `CHECKS`. Those about the
interpreter and the runner stand here, the others in the modules beside this one.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import replace

from pytest_selfheal.source.names import ImportedName, imported_names
from pytest_selfheal.source.parsing import parse_text
from pytest_selfheal.source.policy_context import Check, Context, Violation, make_context
from pytest_selfheal.source.policy_names import Names
from pytest_selfheal.source.policy_top import top_level_effects
from pytest_selfheal.source.policy_values import knows_tests, lying_classes
from pytest_selfheal.source.policy_writes import (
    foreign_globals,
    foreign_writes,
    shadowed_names,
)

__all__ = ["CHECKS", "Context", "first_violation", "make_context", "violations"]


def violations(tree: ast.Module, context: Context) -> tuple[Violation, ...]:
    """Give every `(line, reason)` against a tree, in the order of its lines."""
    return tuple(sorted({found for check in CHECKS for found in check(tree, context)}))


def first_violation(tree: ast.Module, context: Context) -> Violation | None:
    """Give the first `(line, reason)` against a tree, or `None`."""
    return next(iter(violations(tree, context)), None)


# --- imports ---------------------------------------------------------------------------

_FORBIDDEN_MODULES = {
    "pytest": "the code may not know that it is tested",
    "_pytest": "the code may not know that it is tested",
    "pluggy": "the code may not reach the test runner",
    "unittest": "the code may not reach a test runner",
    "conftest": "the code may not reach the tests' own files",
    "pytest_selfheal": "the code may not reach what heals it",
    "xdist": "the code may not reach the test runner",
    "ctypes": "it reaches into the interpreter's memory",
    "_ctypes": "it reaches into the interpreter's memory",
    "gc": "it finds objects that belong to the tests",
    "atexit": "it acts after the tests have ended",
}
_HARMLESS = {"pytest_selfheal.heal", "pytest_selfheal.StubCalled"}
_FOR_CHECKS = {"pytest", "pytest.raises", "pytest.approx", "pytest.warns"}
_TEST_MODULE = re.compile(r"(?:^|\.)(?:test_\w+|\w+_test|conftest)(?:\.|$)|^tests?(?:\.|$)")


def forbidden_imports(tree: ast.Module, context: Context) -> Iterator[Violation]:
    """Refuse to import the runner, the tests, and what reaches into the interpreter."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            for imported in imported_names(node):
                reason = _import_reason(_whole_name(imported), context)
                if reason:
                    yield node.lineno, f"it imports {_whole_name(imported)!r}: {reason}"
    for line, dotted in context.names.dynamic_imports(tree):
        reason = _import_reason(dotted, context)
        if reason:
            yield line, f"it imports {dotted!r}: {reason}"


def _whole_name(imported: ImportedName) -> str:
    return f"{imported.module}.{imported.name}" if imported.name else imported.module


def _import_reason(dotted: str, context: Context) -> str | None:
    package = dotted.partition(".")[0]
    if package in context.user or dotted in context.user or dotted in _HARMLESS:
        return None
    if context.is_checks and dotted in _FOR_CHECKS:
        return None
    if package in _FORBIDDEN_MODULES:
        return _FORBIDDEN_MODULES[package]
    if _TEST_MODULE.search(dotted):
        return "the code may not reach the tests' own files"
    return None


# --- names that change the verdict -----------------------------------------------------

_ENDS = "it ends the process, or the run, before the tests are done"
_RUNNER = "it reaches what the test runner stands on"
_FRAMES = "it reads its callers' frames"
_FORBIDDEN_NAMES = {
    "os._exit": _ENDS,
    "os.kill": _ENDS,
    "os.killpg": _ENDS,
    "_thread.interrupt_main": _ENDS,
    "signal.raise_signal": _ENDS,
    "sys.modules": _RUNNER,
    "sys.meta_path": _RUNNER,
    "sys.path_hooks": _RUNNER,
    "sys.addaudithook": _RUNNER,
    "sys.settrace": _RUNNER,
    "sys.setprofile": _RUNNER,
    "sys.monitoring": _RUNNER,
    "threading.settrace": _RUNNER,
    "threading.setprofile": _RUNNER,
    "threading.settrace_all_threads": _RUNNER,
    "threading.setprofile_all_threads": _RUNNER,
    "importlib.reload": _RUNNER,
    "builtins.__builtins__": _RUNNER,
    "sys._getframe": _FRAMES,
    "sys._getframemodulename": _FRAMES,
    "sys._current_frames": _FRAMES,
    "sys._current_exceptions": _FRAMES,
    "inspect.currentframe": _FRAMES,
    "inspect.stack": _FRAMES,
    "inspect.trace": _FRAMES,
    "inspect.getouterframes": _FRAMES,
    "inspect.getinnerframes": _FRAMES,
    "inspect.getframeinfo": _FRAMES,
    "traceback.walk_stack": _FRAMES,
    "traceback.walk_tb": _FRAMES,
    "traceback.extract_stack": _FRAMES,
}
_EXEC = re.compile(r"os\.exec[a-z]+$")


def forbidden_names(tree: ast.Module, context: Context) -> Iterator[Violation]:
    """Refuse the functions that end the run, reach the runner, or read frames."""
    names = context.names
    for line, dotted in (*names.uses(tree), *names.from_imports(tree)):
        if dotted in context.user:
            continue
        reason = _FORBIDDEN_NAMES.get(dotted) or (_ENDS if _EXEC.match(dotted) else None)
        package = dotted.partition(".")[0]
        if reason is None and package in _FORBIDDEN_MODULES and "." in dotted:
            reason = _import_reason(dotted, context)
        if reason:
            yield line, f"it uses {dotted.removeprefix('builtins.')!r}: {reason}"


_FRAME_ATTRIBUTES = {
    *("f_back", "f_locals", "f_globals", "f_builtins", "tb_frame"),
    *("gi_frame", "cr_frame", "ag_frame", "__globals__", "__builtins__"),
}


def frame_attributes(tree: ast.Module, context: Context) -> Iterator[Violation]:
    """Refuse the attributes that lead from an object to a frame or to its globals."""
    for node in ast.walk(tree):
        name = _attribute_of(node, context.names)
        if name in _FRAME_ATTRIBUTES and name not in context.user_attributes:
            yield node.lineno, f"it uses {name!r}: {_FRAMES}"  # type: ignore[attr-defined]


def _attribute_of(node: ast.AST, names: Names) -> str | None:
    if isinstance(node, ast.Attribute):
        return node.attr
    if isinstance(node, ast.Call) and len(node.args) > 1:
        called, given = names.dotted(node.func), node.args[1]
        is_lookup = called in ("builtins.getattr", "builtins.setattr", "builtins.delattr")
        if is_lookup and isinstance(given, ast.Constant) and isinstance(given.value, str):
            return given.value
    return None


# --- leaving ---------------------------------------------------------------------------

_EXITS = {"sys.exit", "builtins.exit", "builtins.quit"}


def exits(tree: ast.Module, context: Context) -> Iterator[Violation]:
    """Refuse to leave the program, save where the stub or its module speaks of it."""
    allowed = _lines_in_functions(tree) if context.may_exit else set()
    uses = [(line, dotted) for line, dotted in context.names.uses(tree) if dotted in _EXITS]
    for line, dotted in uses + list(_raised_exits(tree, context.names)):
        if line not in allowed:
            name = dotted.removeprefix("builtins.")
            yield line, f"it uses {name!r}: {_ENDS}; raise an exception of its own kind"


def _raised_exits(tree: ast.Module, names: Names) -> Iterator[Violation]:
    for node in ast.walk(tree):
        raised = node.exc if isinstance(node, ast.Raise) else None
        if isinstance(node, ast.Call):
            raised = node.func
        elif isinstance(raised, ast.Call):
            continue  # walked as a call of its own
        dotted = names.dotted(raised) if raised is not None else None
        if dotted in ("builtins.SystemExit", "builtins.KeyboardInterrupt"):
            yield node.lineno, dotted  # type: ignore[attr-defined]


def _lines_in_functions(tree: ast.Module) -> set[int]:
    lines: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            lines.update(range(node.body[0].lineno, (node.end_lineno or node.lineno) + 1))
    return lines


# --- code in strings -------------------------------------------------------------------


def code_in_strings(tree: ast.Module, context: Context) -> Iterator[Violation]:
    """Apply the other checks to the literal code given to `eval`, `exec` and `compile`."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not node.args:
            continue
        called, given = context.names.dotted(node.func), node.args[0]
        if called not in ("builtins.eval", "builtins.exec", "builtins.compile"):
            continue
        if isinstance(given, ast.Constant) and isinstance(given.value, (str, bytes)):
            yield from _in_string(given.value, node.lineno, context)


def _in_string(text: str | bytes, line: int, context: Context) -> Iterator[Violation]:
    try:
        inner = parse_text(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return  # it fails in the sandbox, too
    inside = replace(context, names=context.names.with_tree(inner))
    for check in CHECKS:
        if check not in (no_top_level_effects, shadowed_names):  # it is no module
            for _, reason in check(inner, inside):
                yield line, f"in the code that it runs from a string, {reason}"


def no_top_level_effects(tree: ast.Module, context: Context) -> Iterator[Violation]:
    """Refuse statements at module level that do something when the module is imported."""
    if not context.is_checks:
        yield from top_level_effects(tree, context.names, context.targets)


CHECKS: tuple[Check, ...] = (
    forbidden_imports,
    forbidden_names,
    frame_attributes,
    exits,
    foreign_writes,
    foreign_globals,
    shadowed_names,
    knows_tests,
    lying_classes,
    code_in_strings,
    no_top_level_effects,
)
