"""Code that a reply leaves out, with something in its place that says so.

Told by its form alone, and narrowly: an honest `...` stands in Protocols, overloads, abstract
methods, annotations and indices, and code that is merely wrong is for the tests to find.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from pytest_selfheal.source.kinds import FunctionNode
from pytest_selfheal.source.outline import first_line
from pytest_selfheal.source.reply_code import Code, indent_of, last_comment_below

# Narrow on purpose: an honest comment may speak of codes, bodies and remainders too.
_OUT = (
    r"(?:(?:is|are|remains?|stays?)[ ])?"
    r"(?:unchanged|the[ ]same|as[ ]before|omitted|as[ ]is|here)"
)
PLACEHOLDER = re.compile(
    rf"""\#\s*[\[(<]?\s*(?:
        (?:\.\.\.|…)\s*
        | (?:\.\.\.|…).*\b(?:existing|rest|unchanged|same|remaining|omitted|implementation|code)\b.*
        | (?:the[ ])?(?:rest|remainder)[ ]of[ ](?:the[ ]|this[ ])?
          (?:(?:function|method|class|implementation|code|file|module)
             (?:[ ]{_OUT})?
            | body[ ]{_OUT}) [\s.…]*
        | (?:the[ ])?(?:existing|previous|original|remaining|same)[ ]
          (?:code|body|implementation|logic)
          (?:[ ](?:{_OUT}|goes[ ]here) [\s.…]* | \s*(?:\.\.\.|…).*)
        | (?:the[ ])?(?:rest|remainder|others?)[ ]{_OUT} [\s.…]*
        | (?:unchanged|same[ ]as[ ]before) [\s.…]*
        | (?:(?:your|the)[ ])?(?:implementation|code)[ ](?:goes[ ])?here [\s.…]*
    )[\])>]?\s*$""",
    re.IGNORECASE | re.VERBOSE,
)
_TODO = re.compile(
    r"#\s*(?:TODO|FIXME|XXX|placeholder|implement\b|add\b.*\bhere|your code|to be implemented)",
    re.IGNORECASE,
)
_HONEST_DECORATORS = ("overload", "abstractmethod", "abstractproperty")
_HONEST_BASES = ("Protocol", "ABC", "NamedTuple", "TypedDict", "Enum")
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def left_out(code: Code, node: ast.stmt) -> str | None:
    """Give what stands for code left out in a definition, as it is written; None if nothing does.

    Args:
        code: The reply.
        node: A statement of it: a target, a helper or a member that is to be taken.
    """
    comment = placeholder(code, node)
    if comment is not None:
        return comment
    for found in _dots(node):
        return code.quote(found.lineno)
    for statement in _statements(node):
        if _is_idle(statement) and _says_so(code, statement):
            return code.quote(statement.lineno)
    return None


def placeholder(code: Code, node: ast.stmt) -> str | None:
    """Give a comment inside a definition that stands for code left out, if there is one."""
    indent = indent_of(code.lines[node.lineno - 1])
    last = last_comment_below(code, node.end_lineno or node.lineno, indent)
    for line in range(first_line(node), last + 1):
        if line not in code.comments or not PLACEHOLDER.match(code.comments[line]):
            continue
        if not {line - 1, line + 1} <= code.comments.keys():  # in the midst of prose it is prose
            return code.comments[line]
    return None


def _dots(node: ast.stmt) -> Iterator[ast.stmt | ast.expr]:
    """Ellipses that stand for statements, for a whole body, or for the rest of a list."""
    for function in _functions(node):
        body = function.body[1:] if _is_docstring(function.body[0]) else function.body
        if len(body) == 1 and _is_idle(body[0]):
            if not isinstance(body[0], ast.Pass) and not _returns_nothing(function):
                yield body[0]
        else:
            yield from filter(_is_dots, body)
    for inner in ast.walk(node):
        if isinstance(inner, ast.List) and _trails_off(inner):
            yield inner


def _functions(node: ast.AST) -> Iterator[FunctionNode]:
    """A definition and the functions in it, but for those that may honestly have no body."""
    if isinstance(node, _FUNCTIONS):
        if any(_last_name(each) in _HONEST_DECORATORS for each in node.decorator_list):
            return
        yield node
    if isinstance(node, ast.ClassDef):
        # A base class's methods are there to be overridden.
        for function in node.body:
            if isinstance(function, _FUNCTIONS) and not _is_all_idle(function.body):
                yield from _functions(function)
        return
    for child in ast.iter_child_nodes(node):
        yield from _functions(child)


def _statements(node: ast.AST, *, is_honest: bool = False) -> Iterator[ast.stmt]:
    """The statements in a definition, but for those of an `except` clause or an open class."""
    if isinstance(node, ast.ClassDef):
        is_honest = any(_last_name(each) in _HONEST_BASES for each in node.bases)
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ExceptHandler) or is_honest:
            continue
        if isinstance(child, _FUNCTIONS) and any(
            _last_name(each) in _HONEST_DECORATORS for each in child.decorator_list
        ):
            continue
        if isinstance(child, ast.stmt):
            yield child
        yield from _statements(child)


def _says_so(code: Code, statement: ast.stmt) -> bool:
    """Whether the comment behind a statement says that there is something to be written."""
    line = code.lines[(statement.end_lineno or statement.lineno) - 1]
    rest = line.encode()[statement.end_col_offset or 0 :].decode("utf-8", "replace").strip()
    return bool(_TODO.match(rest) or PLACEHOLDER.match(rest))


def _is_idle(statement: ast.stmt) -> bool:
    if isinstance(statement, ast.Raise):
        raised = statement.exc.func if isinstance(statement.exc, ast.Call) else statement.exc
        return isinstance(raised, ast.Name) and raised.id == "NotImplementedError"
    return isinstance(statement, ast.Pass) or _is_dots(statement)


def _is_all_idle(body: list[ast.stmt]) -> bool:
    return all(_is_idle(each) or _is_docstring(each) for each in body)


def _is_dots(statement: ast.stmt) -> bool:
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and statement.value.value is ...
    )


def _is_docstring(statement: ast.stmt) -> bool:
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )


def _returns_nothing(function: FunctionNode) -> bool:
    returns = function.returns
    return isinstance(returns, ast.Constant) and returns.value is None


def _trails_off(node: ast.List) -> bool:
    """Whether a list of plain values goes on with dots: `[1, 2, 3, ...]`."""
    values = [each.value for each in node.elts if isinstance(each, ast.Constant)]
    plain = [each for each in values if each is not ...]
    return len(values) == len(node.elts) and len(plain) >= 2 and len(plain) == len(values) - 1


def _last_name(node: ast.expr) -> str:
    if isinstance(node, (ast.Call, ast.Subscript)):
        return _last_name(node.func if isinstance(node, ast.Call) else node.value)
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""
