"""A file system that ignores the case of names and knows links: another folder, seen so.

    python -m tests.faults.caseless FOLDER MOUNTPOINT

It runs until it is unmounted. Each call of the kernel's is passed on to the folder, under the
name that a file has there.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from typing import Any

import mfusepy

_COPIED = ("st_ino", "st_mode", "st_nlink", "st_uid", "st_gid", "st_size", "st_blocks")


class Caseless(mfusepy.Operations):  # type: ignore[misc]  # it has no types
    """The calls, as `mfusepy` names them: paths begin at the mount point."""

    use_ns = True

    def __init__(self, folder: str) -> None:
        self._folder = folder

    def _real(self, path: str) -> str:
        found = self._folder
        for name in path.strip("/").split("/"):
            if name and not os.path.lexists(f"{found}/{name}"):
                names = os.listdir(found) if os.path.isdir(found) else []
                alike = (each for each in names if each.casefold() == name.casefold())
                name = next(alike, name)
            found = os.path.join(found, name)
        return found

    def getattr(self, path: str, fh: int | None = None) -> dict[str, int]:
        status = os.lstat(self._real(path))
        times = {f"st_{each}time": getattr(status, f"st_{each}time_ns") for each in "amc"}
        return {name: getattr(status, name) for name in _COPIED} | times

    def readdir(self, path: str, fh: int) -> Iterator[tuple[str, dict[str, int], int]]:
        real = self._real(path)
        for name in os.listdir(real):
            status = os.lstat(f"{real}/{name}")
            yield name, {"st_ino": status.st_ino, "st_mode": status.st_mode}, 0

    def open(self, path: str, flags: int) -> int:
        return os.open(self._real(path), flags)

    def create(self, path: str, mode: int, fi: Any = None) -> int:
        return os.open(self._real(path), os.O_RDWR | os.O_CREAT | os.O_EXCL, mode)

    def read(self, path: str, size: int, offset: int, fh: int) -> bytes:
        return os.pread(fh, size, offset)

    def write(self, path: str, data: bytes, offset: int, fh: int) -> int:
        return os.pwrite(fh, data, offset)

    def fsync(self, path: str, datasync: int, fh: int) -> None:
        os.fsync(fh)

    def release(self, path: str, fh: int) -> None:
        os.close(fh)

    def truncate(self, path: str, length: int, fh: int | None = None) -> None:
        os.truncate(self._real(path), length)

    def readlink(self, path: str) -> str:
        return os.readlink(self._real(path))

    def symlink(self, target: str, source: str) -> None:
        os.symlink(source, self._real(target))

    def link(self, target: str, source: str) -> None:
        os.link(self._real(source), self._real(target))

    def rename(self, old: str, new: str) -> None:
        os.rename(self._real(old), self._real(new))

    def unlink(self, path: str) -> None:
        os.unlink(self._real(path))

    def mkdir(self, path: str, mode: int) -> None:
        os.mkdir(self._real(path), mode)

    def rmdir(self, path: str) -> None:
        os.rmdir(self._real(path))

    def chmod(self, path: str, mode: int) -> None:
        os.chmod(self._real(path), mode)

    def chown(self, path: str, uid: int, gid: int) -> None:
        os.lchown(self._real(path), uid, gid)

    def utimens(self, path: str, times: tuple[int, int] | None = None) -> None:
        os.utime(self._real(path), ns=times)


if __name__ == "__main__":
    mfusepy.FUSE(
        Caseless(sys.argv[1]),
        sys.argv[2],
        foreground=True,
        nothreads=True,
        default_permissions=True,
        # One file has one number, whichever way its name is spelled, and nothing is remembered.
        use_ino=True,
        attr_timeout=0,
        entry_timeout=0,
        negative_timeout=0,
        # What is replaced while it is open goes at once, and not by another name.
        hard_remove=True,
    )
