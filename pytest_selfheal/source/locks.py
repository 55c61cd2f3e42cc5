"""Locks around the writing of files: one for a project, and one for each file meanwhile.

Both are held for milliseconds, by the kernel where it can, so that those of a dead process
are gone with it. Nothing waits longer than it is told to.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from pytest_selfheal.errors import EditConflict
from pytest_selfheal.source.replacing import reason_of

LOCK_NAME = "write.lock"
SOFT_LOCK_NAME = "write.softlock"
LOCK_TIMEOUT_SECONDS = 30.0
"""How long another run's writing is waited for; a write takes milliseconds."""
PATIENCE_SECONDS = 1.0
"""How long is waited before a word is said of it."""
_POLL_SECONDS = 0.02
_CANNOT_LOCK = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL, errno.EBADF}
"""What file systems say whose `flock` does not work: network ones without a lock service."""

Say = Callable[[str], None]


def silent(_: str) -> None:
    """Tell nobody."""


@contextlib.contextmanager
def project_lock(folder: Path, timeout_seconds: float, say: Say) -> Iterator[None]:
    """Keep apart what runs of one project write.

    Where the file system has no kernel locks, a file that names its owner stands for one.

    Args:
        folder: Where the lock file is; made if missing.
        timeout_seconds: How long another run is waited for.
        say: Told in one line that it is waited for.

    Raises:
        EditConflict: Another run holds it, or it cannot be had.
    """
    from filelock import FileLock, SoftFileLock, Timeout

    file, soft = folder / LOCK_NAME, folder / SOFT_LOCK_NAME
    try:
        folder.mkdir(parents=True, exist_ok=True)
        mode = _mode_for(folder)
        lock: FileLock | SoftFileLock = FileLock(file, mode=mode, fallback_to_soft=False)
        try:
            _acquire(lock, timeout_seconds, say)
        except OSError as error:
            if isinstance(error, Timeout) or error.errno not in _CANNOT_LOCK:
                raise
            file, lock = soft, SoftFileLock(soft)
            _acquire(lock, timeout_seconds, say)
    except Timeout as error:
        removal = f", or delete {str(soft)!r} if there is none" if file == soft else ""
        raise EditConflict(
            f"nothing is written: another run has held {str(file)!r} for "
            f"{timeout_seconds:g} seconds; let it end and run again{removal}"
        ) from error
    except (OSError, RuntimeError, ValueError) as error:
        said = getattr(error, "strerror", None) or " ".join(str(error).split())
        raise EditConflict(
            f"nothing is written: the lock {str(file)!r} cannot be had ({said}); "
            "make it and its folder writable"
        ) from error
    try:
        yield
    finally:
        with contextlib.suppress(OSError):  # what was written is written
            lock.release()


def _mode_for(folder: Path) -> int:
    """Whoever may write in the folder may lock, whatever the umask of who was first."""
    rights = stat.S_IMODE(folder.stat().st_mode)
    return 0o600 | (0o060 if rights & 0o020 else 0) | (0o006 if rights & 0o002 else 0)


def _acquire(lock: object, timeout_seconds: float, say: Say) -> None:
    from filelock import BaseFileLock, Timeout

    assert isinstance(lock, BaseFileLock)
    first = min(PATIENCE_SECONDS, timeout_seconds)
    try:
        lock.acquire(timeout=first, poll_interval=_POLL_SECONDS)
    except Timeout:
        if timeout_seconds <= first:
            raise
        say(f"waiting up to {timeout_seconds:g} s for another run that writes its files")
        lock.acquire(timeout=timeout_seconds - first, poll_interval=_POLL_SECONDS)


@contextlib.contextmanager
def file_locks(files: Mapping[str, Path], deadline: float, say: Say) -> Iterator[None]:
    """Hold source files themselves while they are replaced.

    The project's lock does not keep out a run with another rootdir, or another user's.
    These lie on the files, so they leave nothing behind. Windows would not let a locked
    file be replaced, and some network file systems have no such locks: there the
    project's lock has to do.

    Args:
        files: The files, links resolved, by what they are called in an error.
        deadline: Of the monotonic clock, until when other holders are waited for.
        say: Told in one line that one is.

    Raises:
        EditConflict: One was held all the time, or cannot be opened.
    """
    held: list[int] = []
    try:
        # In one order everywhere, so that two runs never wait for each other.
        for path in sorted(files, key=lambda each: str(files[each])):
            if sys.platform != "win32" and not _is_among(held, files[path]):
                held.append(_file_lock(files[path], path, deadline, say))
        yield
    finally:
        for descriptor in held:
            os.close(descriptor)  # the lock goes with it


def _is_among(held: Sequence[int], file: Path) -> bool:
    """Whether a file is locked by another of its names (hard links): it would wait for itself."""
    with contextlib.suppress(OSError):
        status = file.stat()
        return any(os.path.samestat(os.fstat(each), status) for each in held)
    return False


def _file_lock(file: Path, path: str, deadline: float, say: Say) -> int:
    try:
        descriptor = _locked(file, min(time.monotonic() + PATIENCE_SECONDS, deadline))
        if descriptor is None and time.monotonic() < deadline:
            say(f"waiting for another program, which keeps {path!r} locked")
            descriptor = _locked(file, deadline)
    except OSError as error:
        raise EditConflict(f"{path!r} cannot be written: {reason_of(error)}") from error
    if descriptor is None:
        raise EditConflict(f"{path!r} is not written: another program keeps it locked")
    return descriptor


def _locked(file: Path, deadline: float) -> int | None:
    """A descriptor of the file that holds its lock, None where it cannot be had in time."""
    from filelock import lock_descriptor

    while True:
        descriptor = os.open(file, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            try:
                is_held = lock_descriptor(descriptor, blocking=False)
            except OSError as error:
                if error.errno not in _CANNOT_LOCK:
                    raise
                is_held = True
            # Whoever held it may have put another file in its place.
            if is_held and os.path.samestat(os.fstat(descriptor), file.stat()):
                kept, descriptor = descriptor, -1
                return kept
        finally:
            if descriptor >= 0:
                os.close(descriptor)
        if time.monotonic() >= deadline:
            return None
        time.sleep(_POLL_SECONDS)
