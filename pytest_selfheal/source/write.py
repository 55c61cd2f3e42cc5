"""Edits onto the disk: all of a heal's files or none, each whole at every moment.

In this order: the project's lock, the files' own locks, a check that each still is what
its edit was made from, a journal, the new contents beside the files, the check again, the
files replaced one by one, the journal removed. Where that is cut off, `recovering` completes
or undoes it.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pytest_selfheal.errors import EditConflict, FileChanged
from pytest_selfheal.records import Edit
from pytest_selfheal.source import journal
from pytest_selfheal.source.journal import Entry
from pytest_selfheal.source.locks import (
    LOCK_NAME,
    LOCK_TIMEOUT_SECONDS,
    Say,
    file_locks,
    project_lock,
    silent,
)
from pytest_selfheal.source.recovering import content_of, put_in_order
from pytest_selfheal.source.replacing import (
    check_writable,
    clear_beside,
    new_name,
    put_beside,
    put_in_place,
    reason_of,
    sync_folder,
    undo_name,
)

__all__ = ["LOCK_NAME", "check_writable", "write_edits"]


def write_edits(
    root: Path,
    edits: Sequence[Edit],
    *,
    state_dir: Path,
    lock_timeout_seconds: float = LOCK_TIMEOUT_SECONDS,
    say: Say = silent,
) -> list[str]:
    """Replace files by their edited contents, all or none.

    Owner, mode, access list and attributes are kept where permitted; a link inside the
    project stays a link and its target is written; other names of the file (hard links)
    keep the old content. A file that holds its new content already is left alone.

    Args:
        root: The project's folder.
        edits: At most one for a file.
        state_dir: A folder for the lock and the journal; made if missing.
        lock_timeout_seconds: How long other runs are waited for.
        say: Told in one line that they are.

    Returns:
        What is to be said of files that were written, a line each.

    Raises:
        FileChanged: Files are no longer what their edits were made from.
        EditConflict: A file cannot be written, or another run holds a lock.
    """
    if not edits:
        return []
    deadline = time.monotonic() + lock_timeout_seconds
    with project_lock(state_dir, lock_timeout_seconds, say):
        if journal.is_there(state_dir):
            put_in_order(root, state_dir, deadline, say)
        for edit in edits:
            _refuse(root, edit.path)
        _refuse_doubles(root, edits)
        reals = {edit.path: (root / edit.path).resolve(strict=True) for edit in edits}
        with file_locks(reals, deadline, say):
            swaps = [
                _Swap(path=edit.path, real=reals[edit.path], old=edit.before, new=edit.after)
                for edit in _unwritten(root, edits)
            ]
            return _Writing(root, state_dir, swaps).run() if swaps else []


@dataclass(frozen=True, slots=True, kw_only=True)
class _Swap:
    path: str
    real: Path
    old: bytes
    new: bytes


class _Writing:
    """Everything between the locks."""

    def __init__(self, root: Path, state_dir: Path, swaps: Sequence[_Swap]) -> None:
        self._root = root
        self._state_dir = state_dir
        self._swaps = swaps
        self._names = [new_name() for _ in swaps]
        self._done: list[_Swap] = []

    def run(self) -> list[str]:
        """Write all.

        Raises:
            EditConflict: Nothing is written; or the journal is left, and the message says so.
        """
        notes = [note for swap in self._swaps for note in _notes_on_links(swap, self._swaps)]
        entries = [
            Entry(path=swap.path, temporary=name, before=swap.old, after=swap.new)
            for swap, name in zip(self._swaps, self._names, strict=True)
        ]
        try:
            journal.write_journal(self._state_dir, entries)
        except OSError as error:
            raise EditConflict(
                f"nothing is written: no journal can be kept in {str(self._state_dir)!r} "
                f"({reason_of(error)})"
            ) from error
        try:
            notes += self._put_beside()
            for swap in self._swaps:
                _check_still(self._root, swap)  # writing the others took its time
            self._put_in_place()
        except BaseException:
            self._undo()
            raise
        self._clear()
        return notes

    def _put_beside(self) -> list[str]:
        notes = []
        for swap, name in zip(self._swaps, self._names, strict=True):
            try:
                lost = put_beside(swap.real, name, swap.new)
            except OSError as error:
                raise _cannot(swap, error) from error
            if lost:
                notes.append(f"{swap.path!r} was written, but could not keep {', '.join(lost)}")
        return notes

    def _put_in_place(self) -> None:
        for swap, name in zip(self._swaps, self._names, strict=True):
            _check_still(self._root, swap)
            # Noted before: an interrupt between the two must not forget it.
            self._done.append(swap)
            try:
                is_in_place = put_in_place(swap.real, name, old=swap.old, new=swap.new)
            except OSError as error:
                raise _cannot(swap, error) from error
            if not is_in_place:
                raise _changed([swap.path])

    def _clear(self) -> None:
        self._sync()
        journal.remove_journal(self._state_dir)

    def _sync(self) -> None:
        for folder in sorted({swap.real.parent for swap in self._swaps}):
            sync_folder(folder)

    def _undo(self) -> None:
        """Give the files their old content again.

        Raises:
            EditConflict: One of them cannot take it; the journal stays for the next run.
        """
        pairs = list(zip(self._swaps, self._names, strict=True))
        for swap, name in pairs:  # before anything that may need their room
            with contextlib.suppress(OSError):
                clear_beside(swap.real, name, old=swap.old, new=swap.new)
        for swap, name in pairs:
            back = undo_name(name)
            try:
                if swap in self._done and content_of(swap.real) == swap.new:
                    put_beside(swap.real, back, swap.old)
                    put_in_place(swap.real, back, old=swap.new, new=swap.old)
            except OSError as error:
                with contextlib.suppress(OSError):
                    clear_beside(swap.real, back, old=swap.new, new=swap.old)
                raise EditConflict(
                    f"{swap.path!r} was written and cannot be undone ({reason_of(error)}); "
                    "the next pytest --selfheal does what is left to do"
                ) from error
        self._clear()


# --- checks ----------------------------------------------------------------------------


def _refuse(root: Path, path: str) -> None:
    if not os.path.lexists(root / path):
        raise _changed([path])  # the other files' code may still have its place
    reason = check_writable(root, path)
    if reason:
        raise EditConflict(reason)


def _refuse_doubles(root: Path, edits: Sequence[Edit]) -> None:
    seen: dict[object, str] = {}
    for edit in edits:
        real = (root / edit.path).resolve()
        for identity in _identities(real):
            if identity in seen:
                raise EditConflict(
                    f"nothing is written: {seen[identity]!r} and {edit.path!r} are one file, "
                    "with two edits"
                )
            seen[identity] = edit.path


def _identities(real: Path) -> Iterator[object]:
    """What two paths of one file have in common, where names differ in case alone as well."""
    yield real
    status = real.stat()
    if status.st_nlink == 1 and status.st_ino:
        yield status.st_dev, status.st_ino


def _unwritten(root: Path, edits: Sequence[Edit]) -> list[Edit]:
    """The edits whose files do not hold the result already.

    Raises:
        FileChanged: Files hold something else than what their edits were made from.
    """
    unwritten, changed = [], []
    for edit in edits:
        now = _read(root, edit.path)
        if now == edit.before:
            unwritten.append(edit)
        elif now != edit.after:
            changed.append(edit.path)
    if changed:
        raise _changed(changed)
    return [edit for edit in unwritten if edit.before != edit.after]


def _check_still(root: Path, swap: _Swap) -> None:
    _refuse(root, swap.path)
    if (root / swap.path).resolve() != swap.real or _read(root, swap.path) != swap.old:
        raise _changed([swap.path])


def _changed(paths: Sequence[str]) -> FileChanged:
    names = ", ".join(map(repr, paths))
    return FileChanged(
        f"{names} changed meanwhile, so its healed code is not written: run again", paths
    )


def _read(root: Path, path: str) -> bytes:
    try:
        return (root / path).read_bytes()
    except OSError as error:
        raise EditConflict(f"{path!r} cannot be read: {error.strerror}") from error


def _cannot(swap: _Swap, error: OSError) -> EditConflict:
    return EditConflict(f"{swap.path!r} cannot be written: {reason_of(error)}")


def _notes_on_links(swap: _Swap, swaps: Sequence[_Swap]) -> list[str]:
    # Written in place, all names would change, and a reader could see half a file.
    others = swap.real.stat().st_nlink - 1
    if others < 1:
        return []
    healed = [each.path for each in swaps if each is not swap and each.real.samefile(swap.real)]
    notes = []
    if healed:
        names = ", ".join(map(repr, healed))
        notes = [f"{swap.path!r} was one file with {names} (hard links), and is one of its own now"]
    left = others - len(healed)
    if left:
        names = "another name" if left == 1 else f"{left} other names"
        notes.append(f"{swap.path!r} had {names} (hard links), which keep the old content")
    return notes
