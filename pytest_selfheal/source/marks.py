"""The two ways to mark a definition, as they stand in source: `@heal` and `# selfheal`."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace

from pytest_selfheal.records import MarkerOptions
from pytest_selfheal.source.outline import dotted_origin
from pytest_selfheal.source.parsing import encoding_of, literal, once_per_tree

_HEAL = {"pytest_selfheal.heal", "pytest_selfheal.marker.heal"}
_QUOTED = 60
"""Characters."""
_KNOWN = 'known are hint="…", attempts=N and keep'

_COMMENT = re.compile(rb"[ \t\f]*#[ \t]*selfheal[ \t]*(?::(?P<options>.*))?")
_TRAILING = re.compile(
    rb"\s*(?:@|def\s|async\s+def\s|class\s)[^#]*#[ \t]*selfheal[ \t]*(?::[^'\"]*)?$"
)
_OPTION = re.compile(
    r"""\s*(?P<name>\w+)\s*
        (?:=\s*(?P<value>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|[^,\s"']+)\s*)?
        (?:,|$)""",
    re.VERBOSE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A marker and what it says; `problems` are one line each."""

    line: int
    options: MarkerOptions
    problems: tuple[str, ...] = ()


def is_heal(node: ast.expr, origins: Mapping[str, str]) -> bool:
    """Tell whether an expression is `heal`, or a call of it, through the file's imports."""
    if isinstance(node, ast.Call):
        node = node.func
    return dotted_origin(node, origins) in _HEAL


def decorator_mark(node: ast.expr) -> Mark:
    """Read the options of an `@heal` that `is_heal` recognised."""
    options = MarkerOptions()
    problems: list[str] = []
    if isinstance(node, ast.Call):
        problems.extend(
            f"@heal is given {shown(argument)!r} without a name: {_KNOWN}" for argument in node.args
        )
        for keyword in node.keywords:
            options, problem = _with_decorator_option(options, keyword)
            problems.extend(problem)
    return Mark(line=node.lineno, options=options, problems=tuple(problems))


def _with_decorator_option(
    options: MarkerOptions, keyword: ast.keyword
) -> tuple[MarkerOptions, list[str]]:
    if keyword.arg is None:
        return options, ["@heal(**…) hides its options: write them out as literals"]
    try:
        value = ast.literal_eval(keyword.value)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        problem = (
            f"{keyword.arg}={shown(keyword.value)} in @heal is no literal, so the default is used: "
        )
        return options, [problem + "write the value itself"]
    return _with_option(options, keyword.arg, value)


def shown(node: ast.expr) -> str:
    """Quote an expression in one line that is short enough for a message."""
    try:
        text = " ".join(ast.unparse(node).split())
    except RecursionError:
        return "…"
    return text if len(text) <= _QUOTED else text[: _QUOTED - 1] + "…"


def _with_option(
    options: MarkerOptions, name: str, value: object
) -> tuple[MarkerOptions, list[str]]:
    if name == "hint":
        if value is None or isinstance(value, str):
            return replace(options, hint=value), []
        return options, [f"hint={value!r} is no string: put the hint in quotes"]
    if name == "attempts":
        if value is None or (type(value) is int and value >= 1):
            return replace(options, attempts=value), []
        return options, [f"attempts={value!r} is no number from 1 up, so the default is used"]
    if name == "keep":
        if isinstance(value, bool):
            return replace(options, keep=value), []
        return options, [f"keep={value!r} is neither True nor False, so it is left out"]
    return options, [f"{name!r} is no option of a marker: {_KNOWN}"]


def comment_marks(source: bytes, tree: ast.Module) -> dict[int, Mark]:
    """Give the `# selfheal` comments that have a line of their own, by 1-based line."""
    if not re.search(rb"#[ \t]*selfheal", source):
        return {}
    encoding = encoding_of(source)
    in_strings = _lines_in_strings(tree)
    marks: dict[int, Mark] = {}
    for number, line in enumerate(source_lines(source), 1):
        match = _COMMENT.fullmatch(line.rstrip())
        if match is None or number in in_strings:
            continue
        options, problems = _comment_options((match["options"] or b"").decode(encoding, "replace"))
        marks[number] = Mark(line=number, options=options, problems=tuple(problems))
    return marks


def _comment_options(text: str) -> tuple[MarkerOptions, list[str]]:
    options = MarkerOptions()
    problems: list[str] = []
    position = 0
    while text[position:].strip():
        match = _OPTION.match(text, position)
        if match is None:
            rest = text[position:].strip()
            problems.append(f"{rest!r} in a `# selfheal` comment cannot be read: {_KNOWN}")
            break
        position = match.end()
        options, problem = _with_comment_option(options, match["name"], match["value"])
        problems.extend(problem)
    return options, problems


def _with_comment_option(
    options: MarkerOptions, name: str, raw: str | None
) -> tuple[MarkerOptions, list[str]]:
    if raw is None:
        if name == "keep":
            return replace(options, keep=True), []
        if name in ("hint", "attempts"):
            return options, [f"{name!r} in a `# selfheal` comment has no value: {_KNOWN}"]
        return _with_option(options, name, None)
    if name == "keep" and raw in ("true", "false"):
        return replace(options, keep=raw == "true"), []
    value: object = raw
    # A bare word is no literal; told as it stands, its own text says what is wrong.
    with suppress(ValueError, SyntaxError):
        value = literal(raw)
    if name == "hint" and value is raw:
        return options, [f"hint={raw} is no string: put the hint in quotes"]
    return _with_option(options, name, value)


@once_per_tree
def _lines_in_strings(tree: ast.Module) -> Collection[int]:
    """Give the lines that continue a string begun above: what looks like a comment is none."""
    inside: set[int] = set()
    pending: list[ast.AST] = [tree]
    while pending:
        node = pending.pop()
        start = getattr(node, "lineno", 0)
        end = getattr(node, "end_lineno", 0)
        if start == end != 0:  # most of a module; decorators have their own lines
            pending.extend(getattr(node, "decorator_list", ()))
        elif isinstance(node, ast.JoinedStr) or (
            isinstance(node, ast.Constant) and isinstance(node.value, (str, bytes))
        ):
            inside.update(range(start + 1, end + 1))
        else:
            pending.extend(ast.iter_child_nodes(node))
    return inside


def misplaced_comments(source: bytes) -> Iterator[int]:
    """Give the lines of definitions that end in a `# selfheal` comment, where it marks nothing."""
    for number, line in enumerate(source_lines(source), 1):
        if b"selfheal" in line and _TRAILING.match(line):
            yield number


def source_lines(source: bytes) -> list[bytes]:
    """Split as Python's own tokenizer does: a form feed or a NEL ends no line."""
    return re.split(rb"\r\n|\r|\n", source.removeprefix(b"\xef\xbb\xbf"))
