"""The code that is in place at some moment: a value, shared file by file with its successors."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from pytest_selfheal.records import Piece


class FilePieces(dict[str, Piece]):
    """One file's pieces by stub; not changed once a `Code` holds it."""

    __slots__ = ("_identity",)
    _identity: frozenset[tuple[str, int]]

    @property
    def identity(self) -> frozenset[tuple[str, int]]:
        """Which pieces these are: equal for the same ones alone."""
        try:
            return self._identity
        except AttributeError:
            self._identity = frozenset((key, id(piece)) for key, piece in self.items())
            return self._identity


class Code(Mapping[str, Piece]):
    """Pieces by stub, never changed. Making another one costs what differs.

    Pieces are told apart by identity: a test that was seen with a stub's code was seen
    with this very piece, and what was found again word by word is another one.
    """

    __slots__ = ("_files", "_size")

    def __init__(self, files: Mapping[str, FilePieces] | None = None) -> None:
        self._files = files or {}
        self._size = sum(map(len, self._files.values()))

    @property
    def files(self) -> Mapping[str, FilePieces]:
        """The pieces of each file that has any."""
        return self._files

    def including(self, pieces: Mapping[str, Piece]) -> Code:
        """The same with these, in the place of others of their stubs where there are."""
        if not pieces:
            return self
        files = dict(self._files)
        touched: dict[str, FilePieces] = {}
        for key, piece in pieces.items():
            path = piece.stub.path
            if path not in touched:
                touched[path] = FilePieces(files.get(path, ()))
            touched[path][key] = piece
        return Code(files | touched)

    def without(self, keys: Iterable[str]) -> Code:
        """The same without these stubs' code."""
        there = [key for key in keys if key in self]
        if not there:
            return self
        files = dict(self._files)
        for key in there:
            path = _path_of(key)
            files[path] = FilePieces(files[path])
            del files[path][key]
            if not files[path]:
                del files[path]
        return Code(files)

    def only(self, keys: Iterable[str]) -> Code:
        """The same with no other stubs' code than these."""
        return Code().including({key: self[key] for key in keys if key in self})

    def of_files(self, paths: Iterable[str]) -> Code:
        """The same for some files alone."""
        return Code({path: self._files[path] for path in paths if path in self._files})

    def __getitem__(self, key: str) -> Piece:
        return self._files[_path_of(key)][key]

    def find(self, key: str) -> Piece | None:
        """A stub's piece, None where it has none; what `get` does, and no slower than a dict."""
        pieces = self._files.get(_path_of(key))
        return None if pieces is None else pieces.get(key)

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and self.find(key) is not None

    def __iter__(self) -> Iterator[str]:
        return (key for pieces in self._files.values() for key in pieces)

    def __len__(self) -> int:
        return self._size


def _path_of(key: str) -> str:
    return key.partition("::")[0]
