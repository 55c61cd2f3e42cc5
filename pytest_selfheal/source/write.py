"""Edits onto the disk: whole, one after the other under a lock, or not at all."""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pytest_selfheal.errors import EditConflict
from pytest_selfheal.records import Edit

LOCK_NAME = "write.lock"
LOCK_TIMEOUT_SECONDS = 30.0
"""How long another run's writing is waited for; a write takes milliseconds."""


def check_writable(root: Path, path: str) -> str | None:
    """Say in one line why a file of the project could not be written, or give `None`.

    Args:
        root: The project's folder.
        path: The file's path relative to it.
    """
    file = root / path
    try:
        real = file.resolve(strict=True)
        mode = real.stat().st_mode
    except (OSError, RuntimeError) as error:  # RuntimeError: a circle of links, before 3.13
        reason = getattr(error, "strerror", None) or str(error)
        return f"{path!r} cannot be written: {reason}"
    if not real.is_relative_to(root.resolve()):
        return f"{path!r} is not written: it leads out of the project, to {str(real)!r}"
    if not stat.S_ISREG(mode):
        return f"{path!r} cannot be written: it is no regular file"
    if not _may_write(real, mode):
        return f"{path!r} cannot be written: the file is read-only; make it writable"
    if not _may_write(real.parent, real.parent.stat().st_mode):
        return f"{path!r} cannot be written: its folder is read-only; make it writable"
    return None


def _may_write(path: Path, mode: int) -> bool:
    # For root everything is writable; a file that nobody may write is meant so.
    return bool(mode & 0o222) and os.access(path, os.W_OK)


def write_edits(
    root: Path,
    edits: Sequence[Edit],
    *,
    lock_dir: Path,
    lock_timeout_seconds: float = LOCK_TIMEOUT_SECONDS,
) -> None:
    """Replace files by their edited contents, all or, as far as can be known before, none.

    Every file is checked, and every new content is on the disk beside its file, before
    the first file is replaced. Mode and, where permitted, owner are kept; a link inside
    the project stays a link and its target is written. A reader sees the old file or the
    new one, never a part.

    Args:
        root: The project's folder.
        edits: At most one for a file.
        lock_dir: A folder for the lock file that keeps two runs apart; made if missing.
        lock_timeout_seconds: How long another run is waited for.

    Raises:
        EditConflict: A file changed since its edit was made, or cannot be written; or
            another run holds the lock. The message says if some files were replaced.
    """
    if not edits:
        return
    with _lock(lock_dir, lock_timeout_seconds), contextlib.ExitStack() as temporaries:
        for edit in edits:
            _check(root, edit)
        _refuse_doubles(root, edits)
        replacements = []
        for edit in edits:
            real = (root / edit.path).resolve(strict=True)
            temporary = temporaries.enter_context(_temporary(real, edit))
            replacements.append(_Replacement(path=edit.path, real=real, temporary=temporary))
        for edit in edits:
            _check(root, edit)  # writing the others took its time
        _replace_all(replacements)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Replacement:
    path: str
    real: Path
    temporary: Path


@contextlib.contextmanager
def _lock(lock_dir: Path, timeout_seconds: float) -> Iterator[None]:
    from filelock import FileLock, Timeout

    file = lock_dir / LOCK_NAME
    try:
        lock_dir.mkdir(parents=True, exist_ok=True)
        lock = FileLock(file)
        lock.acquire(timeout=timeout_seconds)
    except Timeout as error:
        raise EditConflict(
            f"nothing is written: another run has held {str(file)!r} for "
            f"{timeout_seconds:g} seconds; let it end and run again"
        ) from error
    except OSError as error:
        raise EditConflict(
            f"nothing is written: the lock {str(file)!r} cannot be had ({error.strerror}); "
            "make its folder writable"
        ) from error
    try:
        yield
    finally:
        lock.release()


def _refuse_doubles(root: Path, edits: Sequence[Edit]) -> None:
    seen: dict[Path, str] = {}
    for edit in edits:
        real = (root / edit.path).resolve()
        if real in seen:
            raise EditConflict(
                f"nothing is written: {seen[real]!r} and {edit.path!r} are one file, with two edits"
            )
        seen[real] = edit.path


def _check(root: Path, edit: Edit) -> None:
    reason = check_writable(root, edit.path)
    if reason:
        raise EditConflict(reason)
    try:
        now = (root / edit.path).read_bytes()
    except OSError as error:
        raise EditConflict(f"{edit.path!r} cannot be read: {error.strerror}") from error
    if now != edit.before:
        raise EditConflict(
            f"{edit.path!r} changed meanwhile, so its healed code is not written: run again"
        )


@contextlib.contextmanager
def _temporary(real: Path, edit: Edit) -> Iterator[Path]:
    """Put the new content beside the file; gone at the end unless it was moved."""
    temporary: Path | None = None
    try:
        try:
            # Not NamedTemporaryFile: its name is not known if writing is interrupted.
            handle, name = tempfile.mkstemp(prefix=f".{real.name}.", suffix=".tmp", dir=real.parent)
            temporary = Path(name)
            with os.fdopen(handle, "wb") as file:
                file.write(edit.after)
                file.flush()
                os.fsync(file.fileno())
            _copy_rights(real, temporary)
        except OSError as error:
            raise EditConflict(
                f"{edit.path!r} cannot be written: {error.strerror or error}"
            ) from error
        yield temporary
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def _copy_rights(real: Path, temporary: Path) -> None:
    status = real.stat()
    if hasattr(os, "chown"):
        with contextlib.suppress(PermissionError):
            os.chown(temporary, status.st_uid, status.st_gid)
    # After chown, which clears the set-user-id bits.
    temporary.chmod(stat.S_IMODE(status.st_mode))


def _replace_all(replacements: Sequence[_Replacement]) -> None:
    done: list[str] = []
    for each in replacements:
        try:
            each.temporary.replace(each.real)
            _sync_folder(each.real.parent)
        except OSError as error:
            already = f"; written before it: {', '.join(done)}" if done else ""
            raise EditConflict(
                f"{each.path!r} cannot be written: {error.strerror or error}{already}"
            ) from error
        done.append(each.path)


def _sync_folder(folder: Path) -> None:
    """Make the renaming last through a power cut, where the system knows how."""
    if not hasattr(os, "O_DIRECTORY"):  # Windows
        return
    with contextlib.suppress(OSError):  # some network file systems cannot
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
