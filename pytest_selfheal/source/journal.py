"""What a heal is about to write, on the disk before it writes: so that half of it is seen.

A journal is there exactly while files are being replaced. It is read as untrusted data:
whatever it says, nothing is touched but Python sources of the project's own whose
content is what the journal knows of them, and files that are named as ours.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from pytest_selfheal.errors import EditConflict
from pytest_selfheal.source.replacing import (
    check_writable,
    is_temporary_name,
    remove,
    sync_folder,
    write_all,
)

NAME = "heal.journal"
_UNFINISHED = "heal.journal.tmp"
_MAX_BYTES = 256 * 2**20
_SCHEMA = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One file of a heal."""

    path: str
    temporary: str
    """The name, in the file's own folder, of what its new content is first put into."""
    before: bytes
    after: bytes


def write_journal(folder: Path, entries: Sequence[Entry]) -> None:
    """Put a journal on the disk, whole, readable for its owner alone.

    Raises:
        OSError: It cannot be written; there is none then.
    """
    files = [
        {
            "path": entry.path,
            "temporary": entry.temporary,
            "before": base64.b64encode(entry.before).decode(),
            "after": base64.b64encode(entry.after).decode(),
        }
        for entry in entries
    ]
    content = json.dumps({"schema": _SCHEMA, "files": files}).encode()
    unfinished = folder / _UNFINISHED
    remove(unfinished)
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)
        descriptor = os.open(unfinished, flags | getattr(os, "O_BINARY", 0), 0o600)
        try:
            write_all(descriptor, content)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.replace(unfinished, folder / NAME)  # noqa: PTH105 - one system call, as it is counted
    except BaseException:
        remove(unfinished)
        raise
    sync_folder(folder)


def remove_journal(folder: Path) -> None:
    """Take the journal away, and what there may be of one that was never finished."""
    remove(folder / NAME)
    remove(folder / _UNFINISHED)
    sync_folder(folder)


def is_there(folder: Path) -> bool:
    """Whether a heal was cut off."""
    return (
        (folder / NAME).is_symlink() or (folder / NAME).exists() or (folder / _UNFINISHED).exists()
    )


def read_journal(folder: Path, root: Path) -> tuple[Entry, ...]:
    """Read a journal, for files below a root alone.

    Returns:
        Its entries; none where it was never finished, so that nothing was touched.

    Raises:
        EditConflict: It cannot be followed; one line that says why.
    """
    try:
        content = _content(folder / NAME)
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise _not_followed(folder, f"it cannot be read ({error.strerror or error})") from error
    try:
        data: Any = json.loads(content)
        if data["schema"] != _SCHEMA:
            raise ValueError
        entries = tuple(map(_entry, data["files"]))
    except (ValueError, TypeError, KeyError, RecursionError, binascii.Error) as error:
        raise _not_followed(folder, "it is no journal of ours, or damaged") from error
    seen: set[Path] = set()
    for entry in entries:
        problem = _problem(root, entry)
        if problem:
            raise _not_followed(folder, problem)
        real = (root / entry.path).resolve()
        if real in seen:
            raise _not_followed(folder, f"it names {entry.path!r} twice")
        seen.add(real)
    return entries


def _content(file: Path) -> bytes:
    descriptor = os.open(file, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | _NONBLOCK)
    with os.fdopen(descriptor, "rb") as opened:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_size > _MAX_BYTES:
            raise OSError("it is no regular file, or too large")
        # A version control system, or an archive, cannot have brought one along.
        if hasattr(os, "geteuid") and status.st_uid != os.geteuid():
            raise OSError("it is another user's; let them run pytest --selfheal")
        if os.name == "posix" and status.st_mode & 0o077:
            raise OSError("others have access to it, as to none of ours")
        return opened.read(_MAX_BYTES)


_NONBLOCK = getattr(os, "O_NONBLOCK", 0)  # a pipe in its place is not waited for


def _entry(given: Any) -> Entry:
    path, temporary = given["path"], given["temporary"]
    if not isinstance(path, str) or not isinstance(temporary, str):
        raise TypeError
    return Entry(
        path=path,
        temporary=temporary,
        before=base64.b64decode(given["before"], validate=True),
        after=base64.b64decode(given["after"], validate=True),
    )


def _problem(root: Path, entry: Entry) -> str | None:
    path = PurePosixPath(entry.path)
    if "\0" in entry.path or path.is_absolute() or ".." in path.parts or path.suffix != ".py":
        return f"{entry.path!r} is no path of a source in the project"
    if not is_temporary_name(entry.temporary):
        return f"{entry.temporary!r} is no temporary file of ours"
    file = root / entry.path
    try:
        if not file.exists() and not file.is_symlink():
            # Its folder still says where the temporary file may be.
            return check_folder(root, entry.path)
    except OSError as error:
        return f"{entry.path!r}: {error.strerror}"
    return check_writable(root, entry.path)


def check_folder(root: Path, path: str) -> str | None:
    """Say why a file that is gone has no folder inside the project, or give `None`."""
    parent = (root / path).parent.resolve()
    if parent.is_relative_to(root.resolve()):
        return None
    return f"{path!r} leads out of the project"


def _not_followed(folder: Path, why: str) -> EditConflict:
    return EditConflict(
        f"a heal was cut off, and its journal {str(folder / NAME)!r} is not followed: {why}; "
        "look at what version control says of your files, then delete it"
    )
