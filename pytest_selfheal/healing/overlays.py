"""The project's files with code in place, made anew only where their own code differs."""

from __future__ import annotations

import ast
import threading
from collections import OrderedDict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from pytest_selfheal.healing.code import Code, FilePieces
from pytest_selfheal.records import Piece, Stub, Watch
from pytest_selfheal.source.edit import rewrite
from pytest_selfheal.source.outline import definitions, first_line
from pytest_selfheal.source.parsing import UnparsableError, parse

MAX_KEPT_BYTES = 32 * 2**20
"""How much of the files made lately is kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """A file with some code in place."""

    pieces: tuple[Piece, ...]
    """Held here so that nothing else can come to have their identities."""
    data: bytes
    watch: tuple[Watch, ...]
    """Where its stubs are now."""


_Made = tuple[str, frozenset[tuple[str, int]]]


class Overlays:
    """Makes files, from several threads at once, and remembers the latest."""

    def __init__(
        self, stubs: Mapping[str, Stub], sources: Mapping[str, bytes], *, keep_marker: bool
    ) -> None:
        """Take the stubs and the files that hold them as they were read."""
        self._stubs = stubs
        self._sources = sources
        self._keep_marker = keep_marker
        self._keys: dict[str, list[str]] = {}
        for key, stub in stubs.items():
            self._keys.setdefault(stub.path, []).append(key)
        self._bare = {path: tuple(self._watch(path, None, ())) for path in self._keys}
        self._made: OrderedDict[_Made, File] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def files(self, pieces: Mapping[str, Piece]) -> dict[str, File]:
        """The files that have code in place.

        Raises:
            Unusable: The pieces do not go together.
            EditConflict: A file cannot take them.
        """
        code = pieces if isinstance(pieces, Code) else Code().including(pieces)
        return {path: self._file(path, here) for path, here in code.files.items()}

    def watch(self, files: Mapping[str, File]) -> tuple[Watch, ...]:
        """Every marked function, where it is with these files in place."""
        watched = self._bare | {path: file.watch for path, file in files.items()}
        return tuple(each for here in watched.values() for each in here)

    def _file(self, path: str, here: FilePieces) -> File:
        made = path, here.identity
        with self._lock:
            known = self._made.get(made)
            if known is not None:
                self._made.move_to_end(made)
                return known
        pieces = tuple(here.values())
        data = rewrite(self._sources[path], pieces, keep_marker=self._keep_marker)
        file = File(pieces=pieces, data=data, watch=tuple(self._watch(path, data, here)))
        with self._lock:
            if made not in self._made:
                self._made[made] = file
                self._bytes += len(data)
            while self._bytes > MAX_KEPT_BYTES and len(self._made) > 1:
                self._bytes -= len(self._made.popitem(last=False)[1].data)
        return file

    def _watch(self, path: str, data: bytes | None, with_code: Collection[str]) -> Iterator[Watch]:
        """What is watched in a file: as it was read, or as `data` where that is given."""
        lines = _lines(data) if data is not None else {}
        for key in self._keys[path]:
            stub = self._stubs[key]
            line = stub.first_line if data is None else lines.get((stub.qualname, stub.index))
            if line is None:
                continue
            is_stub = stub.is_wrapped and not stub.is_living and key not in with_code
            yield Watch(
                key=key,
                path=path,
                first_line=line,
                compiled_in=not is_stub,
                has_code=stub.is_living or key in with_code,
            )


def _lines(data: bytes) -> dict[tuple[str, int], int]:
    """The first line of each function of a file, as `co_firstlineno` has it."""
    try:
        tree = parse(data)
    except UnparsableError:
        return {}
    return {
        (found.qualname, found.index): first_line(found.node)
        for found in definitions(tree)
        if not isinstance(found.node, ast.ClassDef)
    }
