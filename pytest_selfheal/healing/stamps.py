"""What a project's files were like at some moment, told without reading them."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from pytest_selfheal.source.project_files import project_files

Stamp = tuple[int, int, int]
"""What a file's status says of its content: when it was written, how long, which file."""


def stamps(root: Path, data: Collection[str] | None = None) -> dict[str, Stamp]:
    """The project's files as they are, hidden ones left out.

    Args:
        root: The project's folder.
        data: Which of those that are no Python; None for all.
    """
    found = {}
    for path in project_files(root, every_kind=data is None or bool(data)):
        if data is not None and not path.endswith(".py") and path not in data:
            continue
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
