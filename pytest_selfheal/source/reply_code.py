"""A reply's code as a parsed module whose statements can be quoted as they were written."""

from __future__ import annotations

import ast
import io
import tokenize
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pytest_selfheal.errors import Unusable
from pytest_selfheal.source.outline import first_line
from pytest_selfheal.source.parsing import parse_text

MAX_CODE_BYTES = 256 * 2**10
MAX_DEPTH = 150
"""How deep a reply's syntax tree may be: what libcst and `ast` take without overflowing."""

_DECORATED = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """The python blocks of a reply, joined and parsed."""

    text: str
    tree: ast.Module
    lines: tuple[str, ...]
    as_given: tuple[str, ...]
    """The same lines with the indentation that they had in the reply."""
    comments: dict[int, str]
    """The comments that stand on a line of their own, by 1-based line."""

    def quote(self, line: int) -> str:
        """Give one line's text without its indentation."""
        return self.lines[line - 1].strip() if 0 < line <= len(self.lines) else ""


def parse_code(blocks: Sequence[str], what: str = "the reply's code") -> Code:
    """Join and parse the blocks of a reply.

    Args:
        blocks: The blocks' contents, in order.
        what: How the code is called in messages.

    Raises:
        Unusable: It is too large, no Python, or nested too deeply to be worked on.
    """
    plain = [_plain(block) for block in blocks]
    text = "\n".join(_tidy(block) for block in plain)
    size = len(text.encode("utf-8", "surrogatepass"))
    if size > MAX_CODE_BYTES:
        raise Unusable(
            f"{what} has {size // 1024} KiB and may have {MAX_CODE_BYTES // 1024}: "
            "give the definitions asked for and nothing else"
        )
    tree = _parse(text, what)
    if _is_deeper_than(tree, MAX_DEPTH):
        raise Unusable(f"{what} is nested too deeply: use shorter expressions")
    return Code(
        text=text,
        tree=tree,
        lines=tuple(text.split("\n")),
        as_given=tuple("\n".join(plain).split("\n")),
        comments=dict(_own_line_comments(text)),
    )


def _plain(block: str) -> str:
    block = block.replace("\r\n", "\n").replace("\r", "\n").removeprefix("\ufeff")
    return block.strip("\n") + "\n"


def _tidy(block: str) -> str:
    first = next((line for line in block.split("\n") if line.strip()), "")
    return dedent_code(block, indent_of(first))


def _parse(text: str, what: str) -> ast.Module:
    tree = None
    try:
        tree = parse_text(text)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # The compiler knows errors that the parser does not: a `return` outside a
            # function, an `await` in a plain one. Nothing of it is run.
            compile(_without_future(tree), "<reply>", "exec", dont_inherit=True)
    except SyntaxError as error:
        if tree is None or "nonlocal" not in str(error.msg):  # of a function not shown
            raise Unusable(_describe(error, text, what)) from error
    except (RecursionError, MemoryError) as error:
        raise Unusable(f"{what} is nested too deeply: use shorter expressions") from error
    except ValueError as error:  # null bytes, lone surrogates
        reason = " ".join(str(error).split())
        raise Unusable(f"{what} cannot be parsed ({reason}): write plain text") from error
    return tree


def _without_future(tree: ast.Module) -> ast.Module:
    """Leave out what may stand at a file's beginning only: a reply may have many."""
    body = [
        node
        for node in tree.body
        if not (isinstance(node, ast.ImportFrom) and node.module == "__future__")
    ]
    return ast.Module(body=body, type_ignores=[])


def _describe(error: SyntaxError, text: str, what: str) -> str:
    lines = text.split("\n")
    line = error.lineno or 1
    quoted = lines[line - 1].strip() if line <= len(lines) else ""
    message = " ".join(str(error.msg).split())
    return f"{what} has a syntax error on its line {line}, {quoted!r}: {message}"


def _is_deeper_than(tree: ast.AST, limit: int) -> bool:
    level: list[ast.AST] = [tree]
    for _ in range(limit):
        level = [child for node in level for child in ast.iter_child_nodes(node)]
        if not level:
            return False
    return True


def _own_line_comments(text: str) -> Iterator[tuple[int, str]]:
    try:
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type == tokenize.COMMENT and not token.line[: token.start[1]].strip():
                yield token.start[0], token.string
    except (tokenize.TokenError, SyntaxError):
        return  # parsed, so what is missing is no more than comments


# --- quoting ---------------------------------------------------------------------------


def quote_as_given(code: Code, node: ast.stmt) -> str:
    """Give a definition's text without its decorators, indented as the reply has it."""
    last = last_comment_below(
        code, node.end_lineno or node.lineno, indent_of(code.lines[node.lineno - 1])
    )
    return "\n".join(code.as_given[node.lineno - 1 : last]) + "\n"


def quote_statement(code: Code, node: ast.stmt, *, decorators: bool) -> str:
    """Give a statement's text, dedented, with the comments that belong to it.

    Those are the ones directly above it (where its decorators are wanted), the one at
    the end of its last line, and those at the end of its body.

    Args:
        code: The reply.
        node: A statement of it.
        decorators: Whether a definition's decorators are part of the text.
    """
    if not isinstance(node, _DECORATED):
        return _quote_simple(code, node)
    first = first_line(node) if decorators else node.lineno
    indent = indent_of(code.lines[node.lineno - 1])  # the column counts form feeds too
    if decorators:
        first = _first_comment_above(code, first, indent)
    last = last_comment_below(code, node.end_lineno or node.lineno, indent)
    text = "\n".join(code.lines[first - 1 : last]) + "\n"
    return dedent_code(text, indent)


def _quote_simple(code: Code, node: ast.stmt) -> str:
    text = ast.get_source_segment(code.text, node) or ""
    end = node.end_lineno or node.lineno
    rest = code.lines[end - 1].encode()[node.end_col_offset or 0 :].decode().strip()
    if rest.startswith("#"):
        text = f"{text}  {rest}"
    indent = indent_of(code.lines[node.lineno - 1])
    is_alone = not code.lines[node.lineno - 1].encode()[: node.col_offset].strip()
    if is_alone:
        first = _first_comment_above(code, node.lineno, indent)
        above = [line.strip() for line in code.lines[first - 1 : node.lineno - 1]]
        text = "\n".join([*above, text])
    return dedent_code(text + "\n", indent)


def _first_comment_above(code: Code, line: int, indent: int) -> int:
    while line - 1 in code.comments and indent_of(code.lines[line - 2]) == indent:
        line -= 1
    return line


def last_comment_below(code: Code, line: int, indent: int) -> int:
    last = line
    for number in range(line + 1, len(code.lines) + 1):
        if number in code.comments and indent_of(code.lines[number - 1]) > indent:
            last = number
        elif code.lines[number - 1].strip():
            break
    return last


def indent_of(line: str) -> int:
    blanks = line[: len(line) - len(line.lstrip())]
    return len(blanks.rpartition("\f")[2])  # a form feed begins the line anew


def dedent_code(text: str, indent: int) -> str:
    """Take `indent` characters off the beginning of lines, save those inside strings."""
    inside = lines_inside_strings(text) if indent else set()
    lines = text.split("\n")
    for number, line in enumerate(lines, start=1):
        if number not in inside:
            there = indent_of(line)
            start = len(line) - len(line.lstrip()) - there
            lines[number - 1] = line[:start] + line[start + min(indent, there) :]
    return "\n".join(lines)


def lines_inside_strings(text: str) -> set[int]:
    """Give the lines that begin inside a string of several lines."""
    inside: set[int] = set()
    starts: list[int] = []
    wrapped = "if 1:\n" + text  # an indented piece is no module by itself
    try:
        for token in tokenize.generate_tokens(io.StringIO(wrapped).readline):
            kind = tokenize.tok_name[token.type]
            if kind == "STRING":
                inside.update(range(token.start[0], token.end[0]))
            elif kind in ("FSTRING_START", "TSTRING_START"):
                starts.append(token.start[0])
            elif kind in ("FSTRING_END", "TSTRING_END"):
                inside.update(range(starts.pop(), token.end[0]))
    except (tokenize.TokenError, SyntaxError, IndexError):
        pass
    return inside
