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

from pytest_selfheal.source.names import ImportedName, imported_names, is_main_guard
from pytest_selfheal.source.parsing import parse_text
from pytest_selfheal.source.policy_context import Check, Context, Violation, make_context
from pytest_selfheal.source.policy_hidden import (
    hidden_code,
    hidden_names,
    modules_table,
    runs_code,
)
from pytest_selfheal.source.policy_lies import lying_classes
from pytest_selfheal.source.policy_names import Names
from pytest_selfheal.source.policy_processes import forking_lines, signals
from pytest_selfheal.source.policy_tables import (
    ENDS,
    FRAME_ATTRIBUTES,
    FRAMES,
    import_reason,
    name_reason,
)
from pytest_selfheal.source.policy_top import top_level_effects
from pytest_selfheal.source.policy_values import knows_tests
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


def forbidden_imports(tree: ast.Module, context: Context) -> Iterator[Violation]:
    """Refuse to import the runner, the tests, and what reaches into the interpreter."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            for imported in imported_names(node):
                reason = import_reason(_whole_name(imported), context)
                if reason:
                    yield node.lineno, f"it imports {_whole_name(imported)!r}: {reason}"
    for line, dotted in context.names.dynamic_imports(tree):
        reason = import_reason(dotted, context)
        if reason:
            yield line, f"it imports {dotted!r}: {reason}"


def _whole_name(imported: ImportedName) -> str:
    return f"{imported.module}.{imported.name}" if imported.name else imported.module


# --- names that change the verdict -----------------------------------------------------


def forbidden_names(tree: ast.Module, context: Context) -> Iterator[Violation]:
    """Refuse the functions that end the run, reach the runner, or read frames."""
    forking = forking_lines(tree, context)
    for line, dotted in (*context.names.uses(tree), *context.names.from_imports(tree)):
        reason = name_reason(dotted, context)
        if reason and not (dotted == "os._exit" and line in forking):
            yield line, f"it uses {dotted.removeprefix('builtins.')!r}: {reason}"


def frame_attributes(tree: ast.Module, context: Context) -> Iterator[Violation]:
    """Refuse the attributes that lead from an object to a frame or to its globals."""
    for node in ast.walk(tree):
        for name in context.names.attributes_named(node):
            if name in FRAME_ATTRIBUTES and name not in context.user_attributes:
                yield node.lineno, f"it uses {name!r}: {FRAMES}"  # type: ignore[attr-defined]


def all_objects(tree: ast.Module, context: Context) -> Iterator[Violation]:
    """Refuse to find other people's classes as subclasses of what all classes come from."""
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Attribute)
            and node.attr == "__subclasses__"
            and "__subclasses__" not in context.user_attributes
            and _BASES.search(ast.unparse(node.value))
        ):
            yield node.lineno, "it uses '__subclasses__': it finds classes that belong to the tests"


_BASES = re.compile(r"(?:__base__|__bases__\[.*\]|__mro__\[.*\]|mro\(\)\[.*\])$")

# --- leaving ---------------------------------------------------------------------------

_EXITS = {"sys.exit", "builtins.exit", "builtins.quit"}


def exits(tree: ast.Module, context: Context) -> Iterator[Violation]:
    """Refuse to leave the program, save where the stub or its module speaks of it."""
    allowed = _lines_of_programs(tree, context)
    if context.may_exit:
        allowed |= _lines_in_functions(tree)
    uses = [(line, dotted) for line, dotted in context.names.uses(tree) if dotted in _EXITS]
    for line, dotted in uses + list(_raised_exits(tree, context.names)):
        if line not in allowed:
            name = dotted.removeprefix("builtins.")
            yield line, f"it uses {name!r}: {ENDS}; raise an exception of its own kind"


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


def _lines_of_programs(tree: ast.Module, context: Context) -> set[int]:
    """Give the lines of `main` and under `if __name__ == "__main__":`, which tests do not run."""
    lines: set[int] = set()
    for node in tree.body:
        is_main = isinstance(node, ast.FunctionDef) and node.name == "main"
        is_main = is_main and "main" not in context.targets
        if is_main or is_main_guard(node):
            lines.update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return lines


def _lines_in_functions(tree: ast.Module) -> set[int]:
    lines: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            lines.update(range(node.body[0].lineno, (node.end_lineno or node.lineno) + 1))
    return lines


# --- code in strings -------------------------------------------------------------------


def code_in_strings(tree: ast.Module, context: Context) -> Iterator[Violation]:
    """Apply the other checks to the code given to `eval`, `exec` and `compile` as a constant."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and node.args and runs_code(node, context.names):
            for text in context.names.folder.values(node.args[0]):
                if isinstance(text, (str, bytes)):
                    yield from _in_string(text, node.lineno, context)


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
    all_objects,
    exits,
    signals,
    foreign_writes,
    foreign_globals,
    shadowed_names,
    modules_table,
    hidden_names,
    hidden_code,
    knows_tests,
    lying_classes,
    code_in_strings,
    no_top_level_effects,
)
