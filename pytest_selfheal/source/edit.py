"""Putting healed code into a file: bytes in, bytes out, and nothing else changed."""

from __future__ import annotations

import ast
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import libcst as cst

from pytest_selfheal.errors import EditConflict, Unusable
from pytest_selfheal.records import Piece
from pytest_selfheal.source.additions import Additions, gather_additions
from pytest_selfheal.source.check_edit import check_edit
from pytest_selfheal.source.find import find_in_source
from pytest_selfheal.source.fit import body_of, body_of_text, fitted
from pytest_selfheal.source.imports import Body, add_imports, drop_marker_imports, own_comments
from pytest_selfheal.source.lossless import parse_file
from pytest_selfheal.source.marks import comment_marks, is_heal
from pytest_selfheal.source.outline import (
    FUNCTIONS,
    Outlined,
    definitions,
    first_line,
    import_origins,
)
from pytest_selfheal.source.parsing import UnparsableError, parse
from pytest_selfheal.source.places import (
    Place,
    Statement,
    classes,
    is_definition,
    places,
    replaced,
    with_blanks,
)
from pytest_selfheal.source.renaming import without_clashes
from pytest_selfheal.source.verbatim import StandIns

_Key = tuple[str, int]


def rewrite(source: bytes, pieces: Sequence[Piece], *, keep_marker: bool = False) -> bytes:
    """Put the pieces' bodies in place of their stubs' bodies.

    Signature, decorators, comments around, and every byte outside stay; the stub's
    docstring wins over the reply's. Imports, helpers and members that the pieces need
    come in once. Markers go, and the marker's import with its last use. The result does
    not depend on the order of the pieces.

    Args:
        source: The file's bytes.
        pieces: What to put in; all of one file, at most one for a stub.
        keep_marker: Leave all markers; a stub whose own options say so keeps its in any case.

    Raises:
        EditConflict: A stub is not in the file any more, or the file cannot be edited.
        Unusable: The pieces need two different things of one name, or characters that
            the file's encoding lacks.
    """
    if not pieces:
        return source
    path = pieces[0].stub.path
    try:
        tree = parse(source)
        job = _Job.of(source, tree, pieces, keep_marker=keep_marker)
        after = _without_class_markers(job.rewritten(), job)
    except UnparsableError as error:
        raise EditConflict(f"{path!r} cannot be edited: {error}") from error
    except RecursionError as error:
        raise EditConflict(
            f"{path!r} cannot be edited: it is nested too deeply to be rewritten"
        ) from error
    except UnicodeEncodeError as error:
        lacking = error.object[error.start : error.end]
        raise Unusable(
            f"the code holds {lacking!r}, which the encoding of {path!r} ({error.encoding}) "
            "lacks: write it as an escape"
        ) from error
    check_edit(source, after, job.by_key, job.additions)
    return after


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    """One file's edit."""

    path: str
    source: bytes
    by_key: Mapping[_Key, Piece]
    """The pieces in the order of their stubs in the file."""
    outlined: Mapping[_Key, Outlined]
    unmarked: Collection[_Key]
    """The stubs whose markers go."""
    additions: Additions
    keep_marker: bool

    @classmethod
    def of(
        cls, source: bytes, tree: ast.Module, pieces: Sequence[Piece], *, keep_marker: bool
    ) -> _Job:
        path = pieces[0].stub.path
        outlined = {
            (found.qualname, found.index): found
            for found in definitions(tree)
            if isinstance(found.node, FUNCTIONS)
        }
        given: dict[_Key, Piece] = {}
        for piece in pieces:
            key = (piece.stub.qualname, piece.stub.index)
            if piece.stub.path != path:
                raise EditConflict(f"{piece.stub.path!r} and {path!r} are edited at once")
            if key not in outlined:
                raise EditConflict(
                    f"{path!r} no longer holds {piece.stub.qualname!r}: "
                    "it changed after the stub was found; run again"
                )
            if given.setdefault(key, piece) != piece:
                raise EditConflict(f"{piece.stub.target!r} is to be written twice, differently")
        in_order = [given[key] for key in outlined if key in given]
        by_key = {
            (piece.stub.qualname, piece.stub.index): piece
            for piece in without_clashes(tree, in_order)
        }
        unmarked = {
            key for key, piece in by_key.items() if not keep_marker and not piece.stub.options.keep
        }
        return cls(
            path=path,
            source=source,
            by_key=by_key,
            outlined=outlined,
            unmarked=unmarked,
            additions=gather_additions(tree, tuple(by_key.values()), outlined),
            keep_marker=keep_marker,
        )

    def rewritten(self) -> bytes:
        tree = parse(self.source)
        # A marker's comment is a line of its own, so it goes as one: libcst may count it
        # to the module, to the block above or to the definition.
        marks = comment_marks(self.source, tree)
        lines = {first_line(self.outlined[key].node) - 1 for key in self.unmarked}
        file = parse_file(
            self.source,
            self.path,
            shown={qualname for qualname, _ in self.by_key},
            without=lines & set(marks),
        )
        module = own_comments(file.module)
        found = {(place.qualname, place.index): place for place in places(module)}
        if self.by_key.keys() - found.keys():
            raise EditConflict(f"{self.path!r} is read differently by libcst and by Python")
        origins = import_origins(tree)
        tops = [found[key].top for key in self.by_key]
        texts = StandIns(file)
        replacements: dict[cst.CSTNode, list[Statement]] = {}
        for key in self.by_key:
            replacements[found[key].node] = self._in_place(module, found[key], key, origins, texts)
        changed = replaced(module, replacements)
        return texts.file.render(self._with_module_level(module, changed, tops))

    def _in_place(
        self,
        module: cst.Module,
        place: Place,
        key: _Key,
        origins: Mapping[str, str],
        texts: StandIns,
    ) -> list[Statement]:
        """Give what stands in the stub's place: the healed function and new members."""
        piece = self.by_key[key]
        indent = place.indents[-1] if place.indents else None
        if isinstance(place.node.body, cst.IndentedBlock):
            indent = place.node.body.indent
        depth = "".join(module.default_indent if each is None else each for each in place.indents)
        stand_in = texts.stand_in(piece, place.node, depth=depth, block_indent=indent)
        if stand_in is not None:
            body = body_of_text(place.node, stand_in, block_indent=indent)
        else:
            what = repr(piece.stub.qualname)
            given = fitted(piece.definition, what, file=module, block_indent=indent, depth=depth)
            definition = given[-1]
            assert isinstance(definition, cst.FunctionDef)
            body = body_of(place.node, definition, block_indent=indent)
        healed = place.node.with_changes(body=body)
        if key in self.unmarked:
            node = self.outlined[key].node
            healed = without_decorators(
                healed, [is_heal(each, origins) for each in node.decorator_list]
            )
        members: list[Statement] = []
        for text in self.additions.members.get(key, ()):
            what = "what the reply adds to the class"
            members += fitted(text, what, file=module, block_indent=indent, depth=depth)
        return [healed, *(with_blanks(member, 1) for member in members)]

    def _with_module_level(
        self,
        before: cst.Module,
        module: cst.Module,
        tops: Sequence[Statement],
    ) -> cst.Module:
        """Add helpers and imports; statements keep their positions up to here."""
        first = min(list(before.body).index(top) for top in tops)
        body: Body = list(module.body)
        for position, texts in sorted(self.additions.helpers.items(), reverse=True):
            helpers: list[Statement] = []
            for text in texts:
                what = "a helper of the reply"
                helpers += fitted(text, what, file=module, block_indent=None, depth="")
            _splice(body, position, helpers)
        host = body[min([first, *self.additions.helpers])]
        module = module.with_changes(body=body)
        return add_imports(module, self.additions.imports, before=host, path=self.path)


def _splice(
    body: Body,
    position: int,
    helpers: Sequence[Statement],
) -> None:
    """Put helpers above a module's statement, with blank lines as PEP 8 has them."""
    previous = body[position - 1] if position else None
    spaced: list[Statement] = []
    for helper in helpers:
        if previous is not None:
            is_apart = is_definition(helper) or is_definition(previous)
            gap = 2 if is_apart else 0 if spaced else 1
            helper = with_blanks(helper, gap)
        spaced.append(helper)
        previous = helper
    if position < len(body):
        gap = 2 if is_definition(body[position]) or is_definition(spaced[-1]) else 1
        body[position] = with_blanks(body[position], gap)
    body[position:position] = spaced


# --- markers ---------------------------------------------------------------------------


_Decorated = TypeVar("_Decorated", cst.FunctionDef, cst.ClassDef)


def without_decorators(node: _Decorated, is_marker: Sequence[bool]) -> _Decorated:
    """Take a definition's markers away, and keep the comments between its decorators."""
    kept: list[cst.Decorator] = []
    leading = list(node.leading_lines)
    pending: list[cst.EmptyLine] = []
    decorator: cst.Decorator
    for decorator, goes in zip(node.decorators, is_marker, strict=True):
        if goes:
            pending += decorator.leading_lines
        elif kept or not pending:
            lines = [*pending, *decorator.leading_lines]
            kept.append(decorator.with_changes(leading_lines=lines))
            pending = []
        else:
            leading += pending
            kept.append(decorator)
            pending = []
    return node.with_changes(
        leading_lines=leading,
        decorators=kept,
        lines_after_decorators=[*pending, *node.lines_after_decorators],
    )


def _without_class_markers(source: bytes, job: _Job) -> bytes:
    """Take away the markers of classes that hold no stub any more, and unused imports."""
    if job.keep_marker or b"selfheal" not in source:
        return source
    tree = parse(source)
    done = _done_classes(source, tree, job)
    after = _without_class_marks(source, tree, done, job.path) if done else source
    unused = _unused_marker_names(job.source, after)
    if not unused:
        return after
    file = parse_file(after, job.path, shown=())
    return file.render(drop_marker_imports(file.module, unused))


def _without_class_marks(
    source: bytes, tree: ast.Module, done: Mapping[_Key, Outlined], path: str
) -> bytes:
    marks = comment_marks(source, tree)
    lines = {first_line(found.node) - 1 for found in done.values()} & set(marks)
    shown = {qualname for qualname, _ in done}
    file = parse_file(source, path, shown=shown, without=lines)
    module = file.module
    origins = import_origins(tree)
    for key, found in done.items():
        markers = [is_heal(each, origins) for each in found.node.decorator_list]
        if any(markers):
            # Looked for each time: a class around another one is replaced whole.
            node = next(each for *name, each in classes(module) if tuple(name) == key)
            module = replaced(module, {node: [without_decorators(node, markers)]})
    return file.render(module)


def _done_classes(source: bytes, tree: ast.Module, job: _Job) -> dict[_Key, Outlined]:
    """Give the classes around healed stubs in which nothing is left to heal."""
    if not any("." in qualname for qualname, _ in job.unmarked):
        return {}
    open_stubs = [stub for stub in find_in_source(source, job.path).stubs if not stub.is_living]
    done: dict[_Key, Outlined] = {}
    for found in definitions(tree):
        if not isinstance(found.node, ast.ClassDef):
            continue
        around = f"{found.qualname}."
        is_around = any(key[0].startswith(around) for key in job.unmarked)
        is_open = any(stub.qualname.startswith(around) for stub in open_stubs)
        keeps = any(
            piece.stub.options.keep and key[0].startswith(around)
            for key, piece in job.by_key.items()
        )
        if is_around and not is_open and not keeps:
            done[found.qualname, found.index] = found
    return done


def _unused_marker_names(before: bytes, after: bytes) -> set[str]:
    """Give the names of the marker that the file used before and does not use now."""
    origins = import_origins(parse(before))
    ours = {name for name, origin in origins.items() if origin.split(".")[0] == "pytest_selfheal"}
    return (ours & _used_names(before)) - _used_names(after) if ours else set()


def _used_names(source: bytes) -> set[str]:
    """Give the names that a module uses; a string of that very text counts (`__all__`)."""
    names: set[str] = set()
    for node in ast.walk(parse(source)):
        if isinstance(node, ast.Name):
            names.add(node.id)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            names.add(node.value)
    return names
