"""One file's new content: beside it and on the disk first, then in its place in one step."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
import stat
from pathlib import Path

from pytest_selfheal.source.exchange import exchange
from pytest_selfheal.source.project_files import is_own_path

_TEMPORARY = re.compile(r"\.selfheal-[0-9a-f]{16}\.tmp")
_NO_FOLLOW, _NO_WAIT, _BINARY = (
    getattr(os, name, 0) for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_BINARY")
)
_MOUNTED = {errno.EBUSY, errno.EXDEV}
_ONE_STEP = (
    "it is mounted by itself, so it cannot be replaced in one step; mount its folder, not the file"
)
_ACCESS_LIST = "system.posix_acl_access"


def check_writable(root: Path, path: str) -> str | None:
    """Say in one line why a file of the project could not be written, or give `None`.

    Args:
        root: The project's folder.
        path: The file's path relative to it.
    """
    file = root / path
    try:
        real = file.resolve(strict=True)
        status, folder = real.stat(), real.parent.stat()
        real_root = root.resolve()
    except (OSError, RuntimeError, ValueError) as error:  # RuntimeError: links, before 3.13
        reason = getattr(error, "strerror", None) or str(error)
        return f"{path!r} cannot be written: {reason}"
    if not real.is_relative_to(real_root):
        return f"{path!r} is not written: it leads out of the project, to {str(real)!r}"
    if not stat.S_ISREG(status.st_mode):
        return f"{path!r} cannot be written: it is no regular file"
    if not is_own_path(real_root, real):
        return f"{path!r} is not written: {str(real)!r} is no source of the project's own"
    if not _may_write(real, status.st_mode):
        return f"{path!r} cannot be written: the file is read-only; make it writable"
    if not _may_write(real.parent, folder.st_mode):
        return f"{path!r} cannot be written: its folder is read-only; make it writable"
    if not _may_replace(status, folder):
        return (
            f"{path!r} cannot be written: another user's file in a sticky folder is theirs to "
            "replace; run as its owner, or take the sticky bit away"
        )
    if _is_mounted(real):
        return f"{path!r} cannot be written: {_ONE_STEP}"
    return None


def _may_write(path: Path, mode: int) -> bool:
    # For root everything is writable; a file that nobody may write is meant so.
    return bool(mode & 0o222) and os.access(path, os.W_OK)


def _may_replace(status: os.stat_result, folder: os.stat_result) -> bool:
    if not folder.st_mode & stat.S_ISVTX or not hasattr(os, "geteuid"):
        return True
    return os.geteuid() in (0, status.st_uid, folder.st_uid)


def _is_mounted(file: Path) -> bool:
    """Whether a file is a mount point, as those are that containers are given one by one."""
    try:
        mounts = Path("/proc/self/mountinfo").read_bytes()
    except OSError:  # no Linux
        return False
    name = os.fsencode(file)
    for each in b"\\ \t\n":  # as they are told there
        name = name.replace(bytes([each]), b"\\%03o" % each)
    return any(line.split(b" ")[4] == name for line in mounts.splitlines())


def new_name() -> str:
    """A name for a temporary file: short, whatever it stands beside, and known as ours."""
    return f".selfheal-{secrets.token_hex(8)}.tmp"


def undo_name(name: str) -> str:
    """The temporary file that an old content comes back by, where `name` brought the new one.

    Another one, so that what was found in either is known.
    """
    return f"{name.removesuffix('.tmp')}.undo.tmp"


def is_temporary_name(name: str) -> bool:
    """Whether `new_name` made it."""
    return bool(_TEMPORARY.fullmatch(name))


def put_beside(real: Path, name: str, content: bytes) -> list[str]:
    """Write a new content into a file of its own beside the one that it is for.

    It is on the disk when this returns, with the owner, mode, access list and other
    attributes of the file as far as that is allowed.

    Returns:
        What of these could not be kept, a few words each.

    Raises:
        OSError: It cannot be written; what there is of it is left to whoever gave the name.
    """
    temporary = real.parent / name
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)
    descriptor = os.open(temporary, flags | getattr(os, "O_BINARY", 0), 0o600)
    try:
        write_all(descriptor, content)
        lost = _copy_attributes(real, temporary)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    return lost


def write_all(descriptor: int, content: bytes) -> None:
    """Write to a descriptor however many pieces the system makes of it."""
    view = memoryview(content)
    while view:
        view = view[os.write(descriptor, view) :]


def _copy_attributes(real: Path, temporary: Path) -> list[str]:
    status = real.stat()
    mode = stat.S_IMODE(status.st_mode)
    lost: list[str] = []
    if hasattr(os, "chown"):
        try:
            os.chown(temporary, status.st_uid, status.st_gid)
        except OSError:
            with contextlib.suppress(OSError):  # a group of one's own may be given
                os.chown(temporary, -1, status.st_gid)
            made = temporary.stat()
            if made.st_uid != status.st_uid:
                lost.append("its owner")
            if made.st_gid != status.st_gid:
                lost.append("its group")
            mode &= ~(stat.S_ISUID | stat.S_ISGID)
    if hasattr(os, "listxattr"):
        lost += _copy_extended(real, temporary)
    try:  # after chown, which clears the set-user-id bits
        temporary.chmod(mode)
    except OSError:  # FAT, and shared folders of virtual machines, know few modes or none
        if stat.S_IMODE(temporary.stat().st_mode) != mode:
            lost.append("its mode")
    return lost


def _copy_extended(real: Path, temporary: Path) -> list[str]:
    lost: list[str] = []
    try:
        names = os.listxattr(real)
        # A folder may have given the new file one, which would let in who was kept out.
        if _ACCESS_LIST in os.listxattr(temporary) and _ACCESS_LIST not in names:
            os.removexattr(temporary, _ACCESS_LIST)
    except OSError:
        return []
    for name in names:
        try:
            os.setxattr(temporary, name, os.getxattr(real, name))
        except OSError:
            if name.startswith("system.") and "acl" in name:  # NFS and SMB have their own
                lost.append("its access list")
            elif name.startswith("user."):
                lost.append(f"its attribute {name!r}")
    return lost


def put_in_place(real: Path, name: str, *, old: bytes, new: bytes) -> bool:
    """Let a file that was put beside another take its place: a reader sees one or the other.

    Where the system can exchange two files, what comes out is looked at: what somebody
    saved since the last look goes back. Elsewhere such a save would be lost.

    Args:
        real: The file.
        name: What is beside it, and gone afterwards.
        old: What the file is expected to hold.
        new: What is beside it.

    Returns:
        False where the file held something else, which it then still does, or is gone.

    Raises:
        OSError: The system does not do it; nothing has changed then.
    """
    temporary = real.parent / name
    try:
        if not exchange(temporary, real):
            os.replace(temporary, real)  # noqa: PTH105 - one system call, as it is counted
            return True
    except FileNotFoundError:
        remove(temporary)
        return False
    out = _held(temporary)
    if out is None and _held(real) == new:
        return True  # some FUSE file systems take an exchange for a renaming
    if out != old:
        _give_back(real, temporary, out, new)
    remove(temporary)
    return out == old


def clear_beside(real: Path, name: str, *, old: bytes, new: bytes) -> None:
    """Take away what was put beside a file, at whatever moment its way into place was cut off.

    Where it was in its place already, the other one is what came out of there: if somebody
    had saved that, it goes back. Arguments as of `put_in_place`.
    """
    temporary = real.parent / name
    out = _held(temporary)
    is_begun = out is None or (isinstance(out, bytes) and new.startswith(out))
    if not is_begun and out != old and _held(real) == new:
        _give_back(real, temporary, out, new)
    remove(temporary)


def _give_back(real: Path, temporary: Path, out: object, put: object) -> None:
    """Exchange again, and again where another save came in between: the last one stays."""
    is_back = False
    while not is_back:
        try:
            if not exchange(temporary, real):
                raise FileNotFoundError
        except FileNotFoundError:  # better there again than lost
            os.replace(temporary, real)  # noqa: PTH105 - as above
            return
        now = _held(temporary)
        is_back = now == put
        out, put = now, out


def _held(file: Path) -> object:
    """A regular file's content, what can be told of any other kind, None where there is none."""
    try:
        descriptor = os.open(file, os.O_RDONLY | _NO_FOLLOW | _NO_WAIT | _BINARY)
    except OSError:
        try:
            return str(file.readlink())
        except OSError:
            return str(file) if os.path.lexists(file) else None
    with os.fdopen(descriptor, "rb") as opened:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return str(file)
        return opened.read()


def remove(file: Path) -> None:
    """Remove a file of ours, which may be gone."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(file)  # noqa: PTH108 - as above


def sync_folder(folder: Path) -> None:
    """Make renamings in a folder last through a power cut, where the system knows how."""
    if not hasattr(os, "O_DIRECTORY"):  # Windows
        return
    with contextlib.suppress(OSError):  # some network file systems cannot
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def reason_of(error: OSError) -> str:
    """Say why a file could not be replaced, and what to do where that is known."""
    said = error.strerror or " ".join(str(error).split())
    if error.errno in _MOUNTED:
        return f"{said}: {_ONE_STEP}"
    if error.errno in (errno.ENOSPC, getattr(errno, "EDQUOT", None)):
        return f"{said}: make room and run again"
    if error.errno in (errno.EPERM, errno.EACCES):
        return f"{said}: look at the rights and attributes (lsattr) of it and its folder"
    return said
