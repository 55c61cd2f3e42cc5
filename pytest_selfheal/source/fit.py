"""Making a reply's code look like the file that it goes into."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import libcst as cst

from pytest_selfheal.errors import Unusable
from pytest_selfheal.source.places import Statement


def parse_statements(text: str, what: str) -> cst.Module:
    """Parse statements of a reply.

    Raises:
        Unusable: Python parses them (a reply is only read if it does), libcst does not.
    """
    try:
        return cst.parse_module(text)
    except (cst.ParserSyntaxError, RecursionError) as error:
        message = getattr(error, "message", "it is nested too deeply")
        raise Unusable(
            f"{what} cannot be put into a file ({' '.join(str(message).split())}): "
            "write it in plainer Python"
        ) from error


def fitted(
    text: str, what: str, *, file: cst.Module, block_indent: str | None, depth: str
) -> tuple[Statement, ...]:
    """Give statements of a reply indented and ended as those of a file.

    Args:
        text: The statements, dedented.
        what: How they are called in messages.
        file: The file that they go into.
        block_indent: One level's indentation where it differs from the file's usual one.
        depth: The whole indentation of the place that they go to.

    Raises:
        Unusable: As `parse_statements`.
    """
    unit = file.default_indent if block_indent is None else block_indent
    style = _Style(unit=unit, block_indent=block_indent, newline=file.default_newline, depth=depth)
    return _fitted(text, what, style)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Style:
    unit: str
    block_indent: str | None
    newline: str
    depth: str


# A file is made anew with each verification, mostly from code that was in it the last time.
@lru_cache(maxsize=512)
def _fitted(text: str, what: str, style: _Style) -> tuple[Statement, ...]:
    module = parse_statements(text, what)
    fitter = _Fitter(old_unit=module.default_indent, style=style)
    changed = module.visit(fitter)
    assert isinstance(changed, cst.Module)
    # Comments above a module's first statement belong to the module.
    body = list(changed.body)
    if body and changed.header:
        first = body[0]
        body[0] = first.with_changes(leading_lines=[*changed.header, *first.leading_lines])
    return tuple(body)


_SIGNATURE_COMMENT = re.compile(r"\s*#\s*type:\s*\(")
_TEXTS = (cst.SimpleString, cst.FormattedStringText)


class _Fitter(cst.CSTTransformer):
    def __init__(self, *, old_unit: str, style: _Style) -> None:
        super().__init__()
        self.old_unit = old_unit
        self.new_unit = style.unit
        self.block_indent = style.block_indent
        self.newline = style.newline
        self.depth = style.depth

    def on_leave(  # type: ignore[override]  # one method for the six kinds that change
        self, original_node: cst.CSTNode, updated_node: cst.CSTNode
    ) -> cst.CSTNode:
        if isinstance(updated_node, cst.IndentedBlock):
            return updated_node.with_changes(indent=self.block_indent)
        if isinstance(updated_node, cst.Newline):
            return updated_node.with_changes(value=None)
        if isinstance(updated_node, cst.SimpleWhitespace) and "\n" in updated_node.value:
            return updated_node.with_changes(value=self._continued(updated_node.value))
        if isinstance(updated_node, cst.ParenthesizedWhitespace):
            last = updated_node.last_line
            last = last.with_changes(value=self._in_units(last.value))
            return updated_node.with_changes(last_line=last)
        if isinstance(updated_node, _TEXTS):
            # Python reads every line end in a string as a newline: the file's own one does.
            text = updated_node.value.replace("\n", self.newline)
            return updated_node.with_changes(value=text)
        return updated_node

    def _continued(self, blanks: str) -> str:
        """A backslash's next line is kept as text, so its indentation is none of libcst's."""
        first, *others = blanks.split("\n")
        return self.newline.join([first, *(self.depth + self._in_units(line) for line in others)])

    def _in_units(self, blanks: str) -> str:
        if self.old_unit == self.new_unit or not self.old_unit:
            return blanks
        count, rest = divmod(len(blanks), len(self.old_unit))
        # More is no hanging indent: it lines up with something on the line above.
        is_hanging = count <= 2 and not rest and blanks == self.old_unit * count
        return self.new_unit * count if is_hanging else blanks


def body_of_text(
    stub: cst.FunctionDef, stand_in: cst.SimpleStatementLine, *, block_indent: str | None
) -> cst.BaseSuite:
    """Give a body for the stub that a statement stands in for, below the stub's docstring."""
    docstring = docstring_line(stub.body)
    body = [stand_in] if docstring is None else [docstring, stand_in]
    return _block(stub, body, (), block_indent)


def body_of(
    stub: cst.FunctionDef, given: cst.FunctionDef, *, block_indent: str | None
) -> cst.BaseSuite:
    """Give the reply's body for the stub: under the stub's own header, with its docstring.

    It stays on the header's line where the stub and the reply both have it there. Comments
    below the stub's last statement stand outside of it, and stay.

    Args:
        stub: The stub as it stands in the file.
        given: The reply's definition, fitted to the file.
        block_indent: What one level of indentation is there, `None` for the file's usual.
    """
    docstring = docstring_line(stub.body)
    if (
        docstring is None
        and isinstance(stub.body, cst.SimpleStatementSuite)
        and isinstance(given.body, cst.SimpleStatementSuite)
    ):
        end = stub.body.trailing_whitespace
        return given.body.with_changes(
            trailing_whitespace=end if end.comment else given.body.trailing_whitespace
        )
    body = _without_signature_comment(_lines_of(given.body))
    if docstring is not None:
        if docstring_line(given.body) is not None:
            body = _without_docstring(body)
        body = [docstring, *body]
    given_footer = given.body.footer if isinstance(given.body, cst.IndentedBlock) else ()
    if _comments(given_footer) == comments_below(stub):
        given_footer = ()
    return _block(stub, body, given_footer, block_indent)


def _block(
    stub: cst.FunctionDef,
    body: Sequence[cst.BaseStatement],
    given_footer: Sequence[cst.EmptyLine],
    block_indent: str | None,
) -> cst.IndentedBlock:
    header = cst.TrailingWhitespace()
    footer: Sequence[cst.EmptyLine] = ()
    if isinstance(stub.body, cst.IndentedBlock):
        body = _with_signature_comment(stub.body, body)
        header = stub.body.header
        footer = stub.body.footer
    elif isinstance(stub.body, cst.SimpleStatementSuite):
        header = stub.body.trailing_whitespace
    return cst.IndentedBlock(
        body=body, header=header, indent=block_indent, footer=[*given_footer, *footer]
    )


def is_signature_comment(line: str) -> bool:
    """Whether it is `# type: (…) -> …`, which belongs to the header above it (PEP 484)."""
    return bool(_SIGNATURE_COMMENT.match(line))


def _is_signature_comment(line: cst.EmptyLine) -> bool:
    return line.comment is not None and is_signature_comment(line.comment.value)


def _with_signature_comment(
    stub: cst.IndentedBlock, body: Sequence[cst.BaseStatement]
) -> Sequence[cst.BaseStatement]:
    """Put a stub's comment of that kind above a body; a docstring has brought it along."""
    if docstring_line(stub) is not None:
        return body
    own = [line for line in _leading(stub.body[0]) if _is_signature_comment(line)]
    first = body[0].with_changes(leading_lines=[*own, *_leading(body[0])])
    return [first, *body[1:]]


def _without_signature_comment(body: Sequence[cst.BaseStatement]) -> list[cst.BaseStatement]:
    others = [line for line in _leading(body[0]) if not _is_signature_comment(line)]
    return [body[0].with_changes(leading_lines=others), *body[1:]]


def _leading(statement: cst.BaseStatement) -> Sequence[cst.EmptyLine]:
    lines: Sequence[cst.EmptyLine] = getattr(statement, "leading_lines", ())
    return lines


def _lines_of(body: cst.BaseSuite) -> Sequence[cst.BaseStatement]:
    if isinstance(body, cst.SimpleStatementSuite):
        return [
            cst.SimpleStatementLine(body=body.body, trailing_whitespace=body.trailing_whitespace)
        ]
    assert isinstance(body, cst.IndentedBlock)
    return body.body


def docstring_line(body: cst.BaseSuite) -> cst.SimpleStatementLine | None:
    """Give the docstring as a line of its own, what else is on its line left out."""
    first = body.body[0] if body.body else None
    line = None
    if isinstance(body, cst.SimpleStatementSuite):
        line = cst.SimpleStatementLine(body=body.body)
    elif isinstance(first, cst.SimpleStatementLine):
        line = first
    if line is None or not isinstance(line.body[0], cst.Expr):
        return None
    value = line.body[0].value
    is_text = isinstance(value, (cst.SimpleString, cst.ConcatenatedString)) and isinstance(
        value.evaluated_value, str
    )
    if not is_text:
        return None
    only = line.body[0].with_changes(semicolon=cst.MaybeSentinel.DEFAULT)
    return line.with_changes(body=[only])


def _without_docstring(body: list[cst.BaseStatement]) -> list[cst.BaseStatement]:
    first = body[0]
    assert isinstance(first, cst.SimpleStatementLine)
    rest = first.body[1:]  # `"""Text."""; x = 1`
    return [first.with_changes(body=rest), *body[1:]] if rest else body[1:]


def comments_below(stub: cst.FunctionDef) -> list[str]:
    """Give the comments below a stub's last statement that are indented like its body."""
    return _comments(stub.body.footer) if isinstance(stub.body, cst.IndentedBlock) else []


def _comments(footer: Sequence[cst.EmptyLine]) -> list[str]:
    return [line.comment.value for line in footer if line.comment is not None]
