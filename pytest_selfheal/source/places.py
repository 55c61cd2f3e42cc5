"""Where functions stand in a file's libcst tree, and putting others in their place."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import libcst as cst

Statement = cst.SimpleStatementLine | cst.BaseCompoundStatement


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A function that is not inside another one, counted as `outline.definitions` does."""

    qualname: str
    index: int
    node: cst.FunctionDef
    top: Statement
    """The module's statement that it is, or is inside of."""
    indents: tuple[str | None, ...]
    """The indents of the blocks around it, outermost first; `None` is the file's usual."""


def places(module: cst.Module) -> Iterator[Place]:
    """Give the functions of a module in source order."""
    counts: Counter[str] = Counter()
    for top in module.body:
        for qualname, node, indents in _walk([top], "", ()):
            yield Place(
                qualname=qualname, index=counts[qualname], node=node, top=top, indents=indents
            )
            counts[qualname] += 1


def classes(module: cst.Module) -> Iterator[tuple[str, int, cst.ClassDef]]:
    """Give the classes of a module that are not inside functions, in source order."""
    counts: Counter[str] = Counter()
    for qualname, node in _walk_classes(module.body, ""):
        yield qualname, counts[qualname], node
        counts[qualname] += 1


def _walk(
    body: Sequence[cst.CSTNode], prefix: str, indents: tuple[str | None, ...]
) -> Iterator[tuple[str, cst.FunctionDef, tuple[str | None, ...]]]:
    for node in body:
        if isinstance(node, cst.FunctionDef):
            yield prefix + node.name.value, node, indents
            continue
        inner = f"{prefix}{node.name.value}." if isinstance(node, cst.ClassDef) else prefix
        # The cases of a `match` are a level further in, without a block of their own.
        level = (*indents, node.indent) if isinstance(node, cst.Match) else indents
        for block in _blocks(node):
            yield from _walk(block.body, inner, (*level, block.indent))


def _walk_classes(body: Sequence[cst.CSTNode], prefix: str) -> Iterator[tuple[str, cst.ClassDef]]:
    for node in body:
        inner = prefix
        if isinstance(node, cst.ClassDef):
            yield prefix + node.name.value, node
            inner = f"{prefix}{node.name.value}."
        if not isinstance(node, cst.FunctionDef):
            for block in _blocks(node):
                yield from _walk_classes(block.body, inner)


def _blocks(node: cst.CSTNode) -> Iterator[cst.IndentedBlock]:
    """Give the blocks directly inside a compound statement, in source order."""
    body = getattr(node, "body", None)
    if isinstance(body, cst.IndentedBlock):
        yield body
    for part in (*getattr(node, "handlers", ()), *getattr(node, "cases", ())):
        yield from _blocks(part)
    for name in ("orelse", "finalbody"):
        part = getattr(node, name, None)
        if part is not None:
            yield from _blocks(part)


_CONTAINERS = (
    *(cst.Module, cst.IndentedBlock, cst.ClassDef, cst.If, cst.Else, cst.Try, cst.TryStar),
    *(cst.ExceptHandler, cst.ExceptStarHandler, cst.Finally, cst.With, cst.For, cst.While),
    *(cst.Match, cst.MatchCase),
)


class Replace(cst.CSTTransformer):
    """Puts other statements in the place of some, and looks at nothing else."""

    def __init__(self, replacements: Mapping[cst.CSTNode, Sequence[Statement]]) -> None:
        super().__init__()
        self.replacements = replacements

    def on_visit(self, node: cst.CSTNode) -> bool:
        return isinstance(node, _CONTAINERS)

    def on_leave(  # type: ignore[override]
        self, original_node: cst.CSTNode, updated_node: cst.CSTNode
    ) -> cst.CSTNode | cst.FlattenSentinel[Statement]:
        if original_node in self.replacements:
            return cst.FlattenSentinel(self.replacements[original_node])
        return updated_node


def replaced(
    module: cst.Module, replacements: Mapping[cst.CSTNode, Sequence[Statement]]
) -> cst.Module:
    """Give a module with some of its statements replaced; the others are the same objects."""
    changed = module.visit(Replace(replacements))
    assert isinstance(changed, cst.Module)
    return changed


# --- blank lines -----------------------------------------------------------------------


def with_blanks(node: Statement, count: int) -> Statement:
    """Give a statement with at least `count` blank lines above it and its comments."""
    lines = list(getattr(node, "leading_lines", ()))
    there = 0
    while there < len(lines) and lines[there].comment is None:
        there += 1
    missing = [cst.EmptyLine(indent=False) for _ in range(count - there)]
    return node.with_changes(leading_lines=[*missing, *lines]) if missing else node


def is_definition(node: cst.CSTNode) -> bool:
    """Tell functions and classes from other statements."""
    return isinstance(node, (cst.FunctionDef, cst.ClassDef))
