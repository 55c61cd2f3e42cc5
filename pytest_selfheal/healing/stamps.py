"""What a project's files were like at some moment, told without reading them."""

from __future__ import annotations

from pathlib import Path

from pytest_selfheal.source.project_files import project_files

Stamp = tuple[int, int, int]
"""What a file's status says of its content: when it was written, how long, which file."""


def stamps(root: Path) -> dict[str, Stamp]:
    """The project's files as they are, hidden ones left out."""
    found = {}
    for path in project_files(root, every_kind=True):
        stamp = stamp_of(root / path)
        if stamp is not None:
            found[path] = stamp
    return found


def stamp_of(file: Path) -> Stamp | None:
    """One file as it is, None where there is none."""
    try:
        status = file.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
