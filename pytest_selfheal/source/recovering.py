"""A heal that was cut off in the middle of its writing, and what the next run does about it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from pathlib import Path

from pytest_selfheal.errors import EditConflict
from pytest_selfheal.source import journal
from pytest_selfheal.source.journal import Entry
from pytest_selfheal.source.locks import (
    LOCK_TIMEOUT_SECONDS,
    Say,
    file_locks,
    project_lock,
    silent,
)
from pytest_selfheal.source.replacing import (
    clear_beside,
    put_beside,
    put_in_place,
    reason_of,
    sync_folder,
    undo_name,
)


def recover(
    root: Path,
    state_dir: Path,
    *,
    lock_timeout_seconds: float = LOCK_TIMEOUT_SECONDS,
    say: Say = silent,
) -> str | None:
    """Complete or undo a heal that was cut off in the middle of its writing.

    Where some of its files were replaced, the rest is, too; where none was, or where one
    was changed by others since, all get their old content back. A file that holds neither
    the old content nor the new one is left as it is.

    Returns:
        What was done, in one line; None where there was nothing to do.

    Raises:
        EditConflict: Its journal cannot be followed, or a file cannot be written.
    """
    if not journal.is_there(state_dir):
        return None
    with project_lock(state_dir, lock_timeout_seconds, say):
        return put_in_order(root, state_dir, time.monotonic() + lock_timeout_seconds, say)


def put_in_order(root: Path, state_dir: Path, deadline: float, say: Say) -> str | None:
    """Do what `recover` does, under the project's lock."""
    entries = journal.read_journal(state_dir, root)
    there = [entry for entry in entries if (root / entry.path).exists()]
    reals = {entry.path: (root / entry.path).resolve(strict=True) for entry in there}
    with file_locks(reals, deadline, say):
        for entry in entries:
            _clear(entry, (root / entry.path).resolve())
        said = _settled(entries, reals)
        for folder in sorted({real.parent for real in reals.values()}):
            sync_folder(folder)
    journal.remove_journal(state_dir)
    return said


def _settled(entries: Sequence[Entry], reals: dict[str, Path]) -> str | None:
    """Complete or undo what a journal holds; its temporary files are gone."""
    old, new, other = _sorted_out(entries, reals)
    names = ", ".join(repr(entry.path) for entry in entries)
    if not new and not other:
        return (
            f"a heal was cut off before it wrote; nothing of it is left: {names}" if old else None
        )
    if not old and not other:
        return f"a heal was cut off after it had written {names}; it is complete"
    is_undone = bool(other)
    for entry in new if is_undone else old:
        try:
            is_in_place = _put(entry, reals[entry.path], is_undone=is_undone)
        except OSError as error:
            with contextlib.suppress(OSError):
                _clear(entry, reals[entry.path])
            raise EditConflict(
                f"a heal was cut off, and {entry.path!r} cannot be written to put it in order: "
                f"{reason_of(error)}"
            ) from error
        if not is_in_place:  # somebody saved it in this very moment
            return _settled(entries, reals)
    if not is_undone:
        return f"a heal was cut off in the middle; it is complete now: {names}"
    left = ", ".join(repr(entry.path) for entry in other)
    undone = ", ".join(repr(entry.path) for entry in new) or "nothing"
    return f"a heal was cut off; undone: {undone}; changed by others since, and left alone: {left}"


def _put(entry: Entry, real: Path, *, is_undone: bool) -> bool:
    name = undo_name(entry.temporary) if is_undone else entry.temporary
    old, new = (entry.after, entry.before) if is_undone else (entry.before, entry.after)
    put_beside(real, name, new)
    return put_in_place(real, name, old=old, new=new)


def _clear(entry: Entry, real: Path) -> None:
    clear_beside(real, entry.temporary, old=entry.before, new=entry.after)
    clear_beside(real, undo_name(entry.temporary), old=entry.after, new=entry.before)


def _sorted_out(
    entries: Sequence[Entry], reals: dict[str, Path]
) -> tuple[list[Entry], list[Entry], list[Entry]]:
    """The entries whose files hold the old content, the new one, and anything else."""
    old: list[Entry] = []
    new: list[Entry] = []
    other: list[Entry] = []
    for entry in entries:
        content = content_of(reals[entry.path]) if entry.path in reals else None
        known = {entry.before: old, entry.after: new}
        known.get(content, other).append(entry) if content is not None else other.append(entry)
    return old, new, other


def content_of(file: Path) -> bytes | None:
    """What a file holds, None where it cannot be read."""
    try:
        return file.read_bytes()
    except OSError:
        return None
