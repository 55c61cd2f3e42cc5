"""Putting imports where a person would put them, and taking the marker's away."""

from __future__ import annotations

import re
import sys
from collections.abc import Collection, Sequence

import libcst as cst

from pytest_selfheal.source.names import ImportedName
from pytest_selfheal.source.places import Statement, is_definition, with_blanks

_LONGEST_LINE = 88
_FUTURE, _STDLIB, _THIRD_PARTY, _LOCAL = range(4)
_COOKIE = re.compile(r"#!|#.*coding[:=]")

Body = list[Statement]


def add_imports(
    module: cst.Module, wanted: Sequence[ImportedName], *, before: cst.CSTNode, path: str
) -> cst.Module:
    """Give a module with imports added that it does not have.

    Each goes into a `from` import of the same module, or else among the imports of its
    kind (standard library, third party, local) in their order; never above the docstring
    or `from __future__`, never into a block.

    Args:
        module: The file.
        wanted: What to import.
        before: The file's statement that needs them first.
        path: The file's path, which tells local packages from others.
    """
    for imported in sorted(wanted, key=lambda each: (_sort_key(each), each.text)):
        body: Body = list(module.body)
        region = _import_region(body, before)
        if not _merge(body, region, imported):
            module = _insert(module, body, region, imported, path)
        else:
            module = module.with_changes(body=body)
    return module


def own_comments(module: cst.Module) -> cst.Module:
    """Give the first statement its comments back: libcst counts them to the module."""
    if not module.body or not is_definition(module.body[0]):
        return module
    header = list(module.header)
    start = len(header)
    while start and header[start - 1].comment is not None and not _is_cookie(header, start - 1):
        start -= 1
    while start and header[start - 1].comment is None:
        start -= 1
    first = module.body[0]
    lines = [*header[start:], *getattr(first, "leading_lines", ())]
    return module.with_changes(
        header=header[:start],
        body=[first.with_changes(leading_lines=lines), *module.body[1:]],
    )


def _is_cookie(header: Sequence[cst.EmptyLine], position: int) -> bool:
    comment = header[position].comment
    return position < 2 and comment is not None and bool(_COOKIE.match(comment.value))


def _import_region(body: Body, before: cst.CSTNode) -> int:
    """Give how many of the first statements may be looked at: those above definitions."""
    for position, node in enumerate(body):
        if node is before or is_definition(node):
            return position
    return len(body)


# --- into an import that is there ------------------------------------------------------


def _merge(body: Body, region: int, imported: ImportedName) -> bool:
    if imported.name is None:
        return False
    for position in range(region - 1, -1, -1):
        line = body[position]
        if not isinstance(line, cst.SimpleStatementLine) or len(line.body) != 1:
            continue
        node = line.body[0]
        if isinstance(node, cst.ImportFrom) and _imports_from(node, imported):
            merged = _with_name(node, imported)
            line = line.with_changes(body=[merged])
            if merged.lpar is None and _width(line) > _LONGEST_LINE:
                line = line.with_changes(body=[_in_parentheses(merged)])
            body[position] = line
            return True
    return False


def _imports_from(node: cst.ImportFrom, imported: ImportedName) -> bool:
    return (
        not isinstance(node.names, cst.ImportStar)
        and len(node.relative) == imported.level
        and (cst.Module([]).code_for_node(node.module) if node.module else "") == imported.module
    )


def _alias(imported: ImportedName) -> cst.ImportAlias:
    assert imported.name is not None
    asname = None
    if imported.asname:
        asname = cst.AsName(name=cst.Name(imported.asname))
    return cst.ImportAlias(name=cst.Name(imported.name), asname=asname)


def _with_name(node: cst.ImportFrom, imported: ImportedName) -> cst.ImportFrom:
    assert not isinstance(node.names, cst.ImportStar)
    names = list(node.names)
    keys = [_name_key(name) for name in names]
    new = _alias(imported)
    position = len(names)
    if keys == sorted(keys):
        position = sum(key <= _name_key(new) for key in keys)
    between = _separator(node)
    if position < len(names):
        names.insert(position, new.with_changes(comma=between))
    else:
        names = _appended(names, new, between)
    return node.with_changes(names=names)


def _separator(node: cst.ImportFrom) -> cst.Comma:
    """Give the comma that stands between two names in this import's layout."""
    opening = node.lpar.whitespace_after if node.lpar else None
    if isinstance(opening, cst.ParenthesizedWhitespace):
        # What stands beside the bracket is its own.
        plain = opening.with_changes(first_line=cst.TrailingWhitespace(), empty_lines=[])
        return cst.Comma(whitespace_after=plain)
    return cst.Comma(whitespace_after=cst.SimpleWhitespace(" "))


def _appended(
    names: list[cst.ImportAlias], new: cst.ImportAlias, between: cst.Comma
) -> list[cst.ImportAlias]:
    last = names[-1]
    if isinstance(last.comma, cst.Comma):
        old = last.comma.whitespace_after
        after = between.whitespace_after
        closing: cst.BaseParenthesizableWhitespace = old
        if isinstance(old, cst.ParenthesizedWhitespace):
            # The comment behind the last name stays with it.
            if isinstance(after, cst.ParenthesizedWhitespace):
                after = after.with_changes(first_line=old.first_line)
            closing = old.with_changes(first_line=cst.TrailingWhitespace())
        comma = last.comma.with_changes(whitespace_after=after)
        new = new.with_changes(comma=cst.Comma(whitespace_after=closing))
        return [*names[:-1], last.with_changes(comma=comma), new]
    return [*names[:-1], last.with_changes(comma=between), new]


def _in_parentheses(node: cst.ImportFrom) -> cst.ImportFrom:
    assert not isinstance(node.names, cst.ImportStar)
    inner = cst.ParenthesizedWhitespace(
        indent=True, last_line=cst.SimpleWhitespace("    "), first_line=cst.TrailingWhitespace()
    )
    outer = inner.with_changes(last_line=cst.SimpleWhitespace(""))
    names = [name.with_changes(comma=cst.Comma(whitespace_after=inner)) for name in node.names[:-1]]
    last = node.names[-1].with_changes(comma=cst.Comma(whitespace_after=outer))
    return node.with_changes(
        names=[*names, last], lpar=cst.LeftParen(whitespace_after=inner), rpar=cst.RightParen()
    )


def _width(line: cst.SimpleStatementLine) -> int:
    bare = line.with_changes(leading_lines=[], trailing_whitespace=cst.TrailingWhitespace())
    return len(cst.Module([]).code_for_node(bare).rstrip("\r\n"))


def _name_key(alias: cst.ImportAlias) -> tuple[int, str]:
    name = alias.evaluated_name
    rank = 0 if name.isupper() and len(name) > 1 else 1 if name[:1].isupper() else 2
    return rank, name.lower()


# --- as a statement of its own ---------------------------------------------------------


def _insert(
    module: cst.Module, body: Body, region: int, imported: ImportedName, path: str
) -> cst.Module:
    new = cst.parse_statement(imported.text, config=module.config_for_parsing)
    rank = _rank(imported.module, imported.level, path)
    lines = [
        (position, _rank_of(body[position], path), _key_of(body[position]))
        for position in range(region)
        if _is_import(body[position])
    ]
    group = [(position, key) for position, each, key in lines if each == rank]
    if group:
        _insert_in_group(body, group, new, _sort_key(imported))
        return module.with_changes(body=body)
    lower = [position for position, each, _ in lines if each < rank]
    higher = [position for position, each, _ in lines if each > rank]
    if lower:
        body.insert(lower[-1] + 1, with_blanks(new, 1))
        _set_apart(body, lower[-1] + 2)
    elif higher:
        first = body[higher[0]]
        body.insert(higher[0], new.with_changes(leading_lines=_blanks_of(first)))
        body[higher[0] + 1] = with_blanks(_without_blanks(first), 1)
    else:
        module = _insert_first(module, body, new)
    return module.with_changes(body=body)


def _insert_in_group(
    body: Body,
    group: Sequence[tuple[int, tuple[int, str]]],
    new: Statement,
    key: tuple[int, str],
) -> None:
    before = [position for position, each in group if each <= key]
    if before:
        body.insert(before[-1] + 1, new)
        return
    first = body[group[0][0]]
    if any(line.comment for line in getattr(first, "leading_lines", ())):
        body.insert(group[0][0] + 1, new)  # the comment heads the group, or is the first's
        return
    body.insert(group[0][0], new.with_changes(leading_lines=_blanks_of(first)))
    body[group[0][0] + 1] = _without_blanks(first)


def _insert_first(module: cst.Module, body: Body, new: Statement) -> cst.Module:
    """Put the file's first import below its docstring, or below its opening comments."""
    position = 1 if module.get_docstring(clean=False) is not None else 0
    if position or (module.header and module.header[-1].comment is not None):
        new = with_blanks(new, 1)
    body.insert(position, new)
    _set_apart(body, position + 1)
    return module


def _set_apart(body: Body, position: int) -> None:
    """See to the blank lines below a new last import."""
    if position < len(body):
        body[position] = with_blanks(body[position], 2 if is_definition(body[position]) else 1)


def _blanks_of(node: cst.CSTNode) -> list[cst.EmptyLine]:
    lines: Sequence[cst.EmptyLine] = getattr(node, "leading_lines", ())
    blanks = []
    for line in lines:
        if line.comment is not None:
            break
        blanks.append(line)
    return blanks


def _without_blanks(node: Statement) -> Statement:
    lines = getattr(node, "leading_lines", ())
    return node.with_changes(leading_lines=lines[len(_blanks_of(node)) :])


def _is_import(node: cst.CSTNode) -> bool:
    return isinstance(node, cst.SimpleStatementLine) and all(
        isinstance(small, (cst.Import, cst.ImportFrom)) for small in node.body
    )


def _module_of(node: cst.CSTNode) -> tuple[str, int, bool]:
    assert isinstance(node, cst.SimpleStatementLine)
    small = node.body[0]
    if isinstance(small, cst.ImportFrom):
        name = cst.Module([]).code_for_node(small.module) if small.module else ""
        return name, len(small.relative), True
    assert isinstance(small, cst.Import)
    return small.names[0].evaluated_name, 0, False


def _rank_of(node: cst.CSTNode, path: str) -> int:
    module, level, _ = _module_of(node)
    return _rank(module, level, path)


def _key_of(node: cst.CSTNode) -> tuple[int, str]:
    module, _, is_from = _module_of(node)
    return int(is_from), module.lower()


def _sort_key(imported: ImportedName) -> tuple[int, str]:
    return int(imported.name is not None), imported.module.lower()


def _rank(module: str, level: int, path: str) -> int:
    package = module.partition(".")[0]
    if package == "__future__":
        return _FUTURE
    parts = path.removesuffix(".py").split("/")
    if level or package in parts:
        return _LOCAL
    return _STDLIB if package in sys.stdlib_module_names else _THIRD_PARTY


# --- away with the marker's ------------------------------------------------------------


def drop_marker_imports(module: cst.Module, unused: Collection[str]) -> cst.Module:
    """Give a module without the top-level imports from `pytest_selfheal` of some names.

    Args:
        module: The file.
        unused: Names that the file binds to something of `pytest_selfheal` and never uses.
    """
    body: Body = []
    held: Sequence[cst.EmptyLine] | None = None
    is_first = False
    for position, line in enumerate(module.body):
        kept = _without_names(line, unused)
        if kept is None:
            held = held or line.leading_lines
            is_first = is_first or position == 0
            continue
        if held is not None:
            kept = _taking_over(kept, held, is_first=is_first and not module.header)
            held, is_first = None, False
        body.append(kept)
    return module.with_changes(body=body)


def _without_names(line: Statement, unused: Collection[str]) -> Statement | None:
    if not isinstance(line, cst.SimpleStatementLine):
        return line
    smalls = [_small_without(small, unused) for small in line.body]
    kept = [small for small in smalls if small is not None]
    if len(kept) == len(line.body):
        return line.with_changes(body=kept) if kept != list(line.body) else line
    if not kept:
        return None
    kept[-1] = kept[-1].with_changes(semicolon=cst.MaybeSentinel.DEFAULT)
    return line.with_changes(body=kept)


def _small_without(
    small: cst.BaseSmallStatement, unused: Collection[str]
) -> cst.BaseSmallStatement | None:
    if not isinstance(small, (cst.Import, cst.ImportFrom)):
        return small
    if isinstance(small.names, cst.ImportStar):
        return small
    module = ""
    if isinstance(small, cst.ImportFrom):
        module = cst.Module([]).code_for_node(small.module) if small.module else ""
        if small.relative:
            return small
    kept = [alias for alias in small.names if not _is_unused(alias, module, unused)]
    if len(kept) == len(small.names):
        return small
    if not kept:
        return None
    if kept[-1] is not small.names[-1]:
        kept[-1] = kept[-1].with_changes(comma=small.names[-1].comma)
    return small.with_changes(names=kept)


def _is_unused(alias: cst.ImportAlias, module: str, unused: Collection[str]) -> bool:
    name = alias.evaluated_name
    origin = f"{module}.{name}" if module else name
    bound = alias.evaluated_alias or (name if module else name.partition(".")[0])
    is_exported = alias.evaluated_alias == name  # `import heal as heal` says: for others
    is_ours = origin.partition(".")[0] == "pytest_selfheal"
    return is_ours and bound in unused and not is_exported


def _taking_over(node: Statement, held: Sequence[cst.EmptyLine], *, is_first: bool) -> Statement:
    """Give the next statement the comments of one that went, and the larger gap of the two."""
    own = list(getattr(node, "leading_lines", ()))
    below = _gap(held[::-1])
    if 0 < below < len(held):
        # The comments stand apart from what went: they stay where they are.
        between = held[len(held) - below :] if below > _gap(own) else own[: _gap(own)]
        kept = [*held[: len(held) - below], *between, *own[_gap(own) :]]
        return node.with_changes(leading_lines=kept)
    comments = [line for line in held if line.comment is not None]
    larger = held if _gap(held) > _gap(own) else own
    rest = own[_gap(own) :]
    blanks = [] if is_first else larger[: _gap(larger)]
    return node.with_changes(leading_lines=[*blanks, *comments, *rest])


def _gap(lines: Sequence[cst.EmptyLine]) -> int:
    count = 0
    while count < len(lines) and lines[count].comment is None:
        count += 1
    return count
