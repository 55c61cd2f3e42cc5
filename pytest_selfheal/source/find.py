"""Finding what is marked: stubs, living definitions, and marks that cannot be followed."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pytest_selfheal.records import FoundStubs, MarkerOptions, SourceWarning, Stub
from pytest_selfheal.source.marks import (
    Mark,
    comment_marks,
    decorator_mark,
    is_heal,
    misplaced_comments,
    shown,
    source_lines,
)
from pytest_selfheal.source.outline import (
    Outlined,
    definitions,
    dotted_origin,
    first_line,
    import_origins,
    walk,
)
from pytest_selfheal.source.parsing import (
    UnparsableError,
    is_trivial_body,
    once_per_tree,
    parse,
)
from pytest_selfheal.source.project_files import source_files

__all__ = [
    "definitions",
    "find_in_project",
    "find_in_source",
    "is_trivial_body",
    "locate",
]

_NAME = b"selfheal"  # stands in every file that marks anything, in either way
_OVERLOAD = {"typing.overload", "typing_extensions.overload"}
_ABSTRACT = {
    f"abc.abstract{kind}" for kind in ("method", "property", "classmethod", "staticmethod")
}
_PROTOCOL = {"typing.Protocol", "typing_extensions.Protocol"}

MarkerKind = Literal["decorator", "comment", "class"]


def find_in_project(root: Path) -> FoundStubs:
    """Find what is marked in the Python files below a folder (see `source_files`).

    A file that cannot be read or parsed gives a warning and stops nothing; files that
    never say `selfheal` are not parsed.
    """
    stubs: list[Stub] = []
    warnings: list[SourceWarning] = []
    for path in source_files(root):
        try:
            source = (root / path).read_bytes()
        except OSError as error:
            why = f"cannot be read ({error.strerror}), so nothing in it is healed: check its access"
            warnings.append(SourceWarning(path=path, line=1, message=why))
            continue
        found = find_in_source(source, path)
        stubs.extend(found.stubs)
        warnings.extend(found.warnings)
    return FoundStubs(stubs=tuple(stubs), warnings=tuple(warnings))


def find_in_source(source: bytes, path: str) -> FoundStubs:
    """Find what is marked in one file.

    Args:
        source: The file's bytes.
        path: The file's path relative to the project, for the records.

    Returns:
        The stubs and warnings in source order; never raises for what the source holds.
    """
    if _NAME not in source:
        return FoundStubs()
    try:
        tree = parse(source)
    except UnparsableError as error:
        message = f"{error}, so nothing marked in it is healed: correct it or use another Python"
        warning = SourceWarning(path=path, line=error.line, message=message)
        return FoundStubs(warnings=(warning,))
    search = _Search(path, source_lines(source), import_origins(tree), comment_marks(source, tree))
    search.run(tree)
    for line in misplaced_comments(source):
        search.warn(
            line,
            "`# selfheal` at the end of a line marks nothing: put it on a line of its own above",
        )
    warnings = tuple(sorted(search.warnings, key=lambda warning: warning.line))
    return FoundStubs(stubs=tuple(search.stubs), warnings=warnings)


def locate(source: bytes, qualname: str, index: int) -> int | None:
    """Give a function's `co_firstlineno` in a source that may have changed since it was found.

    Returns:
        The 1-based line, or `None` where there is no such function or no parsable source.
    """
    try:
        tree = parse(source)
    except UnparsableError:
        return None
    return _first_lines(tree).get((qualname, index))


@once_per_tree
def _first_lines(tree: ast.Module) -> Mapping[tuple[str, int], int]:
    return {
        (found.qualname, found.index): first_line(found.node)
        for found in definitions(tree)
        if not isinstance(found.node, ast.ClassDef)
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class _Marking:
    """How a definition is marked, all its marks taken together."""

    kind: MarkerKind
    line: int
    options: MarkerOptions


@dataclass(slots=True)
class _Search:
    """One file's search; filled by `run`."""

    path: str
    lines: list[bytes]
    origins: Mapping[str, str]
    comments: dict[int, Mark]
    stubs: list[Stub] = field(default_factory=list)
    warnings: list[SourceWarning] = field(default_factory=list)
    marked_classes: dict[ast.ClassDef, MarkerOptions] = field(default_factory=dict)

    def warn(self, line: int, message: str) -> None:
        self.warnings.append(SourceWarning(path=self.path, line=line, message=message))

    def run(self, tree: ast.Module) -> None:
        for found in walk(tree):
            if isinstance(found, Outlined):
                self._definition(found)
            else:
                self._statement(found)
        for mark in self.comments.values():  # those that no definition has taken
            self.warn(
                mark.line,
                "`# selfheal` stands above no definition: "
                "put it directly above the first decorator, or above def or class",
            )

    def _definition(self, found: Outlined) -> None:
        marking = self._marking(found)
        if isinstance(found.node, ast.ClassDef):
            self._class(found, found.node, marking)
            return
        why_not = self._why_not(found)
        if marking is not None and why_not:
            self.warn(marking.line, f"{found.qualname!r} cannot be healed: {why_not}")
            return
        is_living = not is_trivial_body(found.node.body)
        inherited = self._inherited(found.classes)
        if marking is None and inherited is not None and not is_living and not why_not:
            marking = _Marking(kind="class", line=found.node.lineno, options=inherited)
        elif marking is not None and inherited is not None:
            options = _merged(marking.options, inherited)
            marking = _Marking(kind=marking.kind, line=marking.line, options=options)
        if marking is not None:
            wrapped = any(
                is_heal(decorator, self.origins)
                for node in (found.node, *found.classes)
                for decorator in node.decorator_list
            )
            stub = _stub(self.path, found, marking, is_living=is_living, is_wrapped=wrapped)
            self.stubs.append(stub)

    def _class(self, found: Outlined, node: ast.ClassDef, marking: _Marking | None) -> None:
        if marking is None:
            return
        if found.is_local:
            why = "it is defined inside a function: move it to the module"
            self.warn(marking.line, f"{found.qualname!r} cannot be healed: {why}")
        elif self._is_protocol(node):
            why = "a Protocol's methods stay empty: mark a class that implements it"
            self.warn(marking.line, f"{found.qualname!r} cannot be healed: {why}")
        else:
            inherited = self._inherited(found.classes) or MarkerOptions()
            self.marked_classes[node] = _merged(marking.options, inherited)

    def _marking(self, found: Outlined) -> _Marking | None:
        """Take together a definition's decorators and the comment above, and tell problems."""
        kind: MarkerKind = "comment"
        marks = [
            decorator_mark(decorator)
            for decorator in found.node.decorator_list
            if is_heal(decorator, self.origins)
        ]
        if marks:
            kind = "decorator"
        comment = self.comments.pop(self._header_line(found.node) - 1, None)
        if comment is not None:
            marks.append(comment)
        if not marks:
            return None
        options = MarkerOptions()
        for mark in marks:
            options = _merged(options, mark.options)
            for problem in mark.problems:
                self.warn(mark.line, problem)
        return _Marking(kind=kind, line=marks[0].line, options=options)

    def _header_line(self, node: ast.stmt) -> int:
        """Give the line of the first `@`, which a bracket may put above its decorator's own."""
        line = first_line(node)
        if line != node.lineno:
            while line > 1 and not self.lines[line - 1].lstrip().startswith(b"@"):
                line -= 1
        return line

    def _inherited(self, classes: tuple[ast.ClassDef, ...]) -> MarkerOptions | None:
        """Give the options of the innermost marked class around, if one is."""
        return next(
            (self.marked_classes[cls] for cls in reversed(classes) if cls in self.marked_classes),
            None,
        )

    def _why_not(self, found: Outlined) -> str:
        if found.is_local:
            return "it is defined inside a function: move it to the module or a class"
        decorators = {
            dotted_origin(decorator, self.origins) for decorator in found.node.decorator_list
        }
        if decorators & _OVERLOAD:
            return "it is an @overload signature: mark the implementation below it"
        if decorators & _ABSTRACT:
            return "it is abstract: mark the method of a class that implements it"
        if found.classes and self._is_protocol(found.classes[-1]):
            return "it belongs to a Protocol: mark the method of a class that implements it"
        return ""

    def _is_protocol(self, node: ast.ClassDef) -> bool:
        bases = (base.value if isinstance(base, ast.Subscript) else base for base in node.bases)
        return any(dotted_origin(base, self.origins) in _PROTOCOL for base in bases)

    def _statement(self, node: ast.stmt) -> None:
        """Warn of marks on what is assigned: there is no `def` whose body could be written."""
        value = node.value if isinstance(node, (ast.Assign, ast.AnnAssign)) else None
        if value is None:
            return
        if isinstance(value, ast.Lambda):
            if self.comments.pop(node.lineno - 1, None):
                self.warn(node.lineno, "a lambda cannot be healed: write it as a def")
        elif _calls(value, self.origins):
            self.warn(
                node.lineno,
                f"{shown(value)!r} cannot be healed: write a def with @heal above it",
            )


def _calls(node: ast.expr, origins: Mapping[str, str]) -> bool:
    """Whether it is `heal(…)` or `heal(…)(…)`."""
    while isinstance(node, ast.Call):
        if is_heal(node, origins):
            return True
        node = node.func
    return False


def _merged(own: MarkerOptions, inherited: MarkerOptions) -> MarkerOptions:
    return MarkerOptions(
        hint=inherited.hint if own.hint is None else own.hint,
        attempts=inherited.attempts if own.attempts is None else own.attempts,
        keep=own.keep or inherited.keep,
    )


def _stub(
    path: str, found: Outlined, marking: _Marking, *, is_living: bool, is_wrapped: bool
) -> Stub:
    node = found.node
    return Stub(
        path=path,
        qualname=found.qualname,
        index=found.index,
        first_line=first_line(node),
        def_line=node.lineno,
        end_line=node.end_lineno or node.lineno,
        is_async=isinstance(node, ast.AsyncFunctionDef),
        is_living=is_living,
        marker=marking.kind,
        is_wrapped=is_wrapped,
        options=marking.options,
    )
