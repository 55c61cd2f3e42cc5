"""Which files of a project are its own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

_NEVER = {"node_modules", "__pycache__", "__pypackages__", "site-packages", "CVS"}
_BUILT = {"build", "dist"}
_ENVIRONMENT_SIGNS = ("pyvenv.cfg", "conda-meta")


def project_files(root: Path, *, every_kind: bool = False) -> Iterator[str]:
    """Give the Python files below a folder, sorted within each folder, folders last.

    Left out are hidden folders (version control among them), virtual environments,
    caches, `build` and `dist` unless they are packages, linked folders, links to files
    outside, and links to files that are given themselves. A folder that cannot be listed
    counts as empty.

    Args:
        root: The folder to search; it may itself be hidden or a link.
        every_kind: Give files that are no Python as well, hidden ones left out.

    Yields:
        Paths relative to `root` with forward slashes.
    """
    real_root = root.resolve()
    pending = [""]
    while pending:
        folder = pending.pop()
        entries = _entries(root / folder)
        for entry in entries:
            if not (_is_of_kind(entry.name, every_kind) and _is_own_file(entry)):
                continue
            if not entry.is_symlink() or _is_only_name(Path(entry.path), real_root, every_kind):
                yield folder + entry.name
        inner = [entry.name for entry in entries if _is_own_folder(entry)]
        pending.extend(f"{folder}{name}/" for name in reversed(inner))


def is_own_path(real_root: Path, real: Path) -> bool:
    """Whether a path below a folder leads through nothing that `project_files` leaves out.

    Args:
        real_root: The folder, links resolved.
        real: The path, links resolved.
    """
    folders = real.relative_to(real_root).parts[:-1]
    if any(name.startswith(".") or name in _NEVER for name in folders):
        return False
    return not any(
        (real_root.joinpath(*folders[:depth]) / sign).exists()
        for depth in range(1, len(folders) + 1)
        for sign in _ENVIRONMENT_SIGNS
    )


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as found:
            return sorted(found, key=lambda entry: entry.name)
    except OSError:
        return []


def _is_of_kind(name: str, every_kind: bool) -> bool:
    return _is_text(name) and (name.endswith(".py") or (every_kind and not name.startswith(".")))


def _is_own_file(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_file()  # no link to nothing, no pipe, no folder called `x.py`
    except OSError:
        return False


def _is_only_name(link: Path, real_root: Path, every_kind: bool) -> bool:
    """Whether a link leads to a file below the root that is not given by its own name."""
    real = link.resolve()
    if not real.is_relative_to(real_root):
        return False
    folders = [real_root / each for each in real.relative_to(real_root).parents]
    is_built = any(
        folder.name in _BUILT and not (folder / "__init__.py").is_file() for folder in folders[:-1]
    )
    is_given = _is_of_kind(real.name, every_kind) and is_own_path(real_root, real)
    return is_built or not is_given


def _is_own_folder(entry: os.DirEntry[str]) -> bool:
    name = entry.name
    try:
        if not entry.is_dir(follow_symlinks=False):
            return False
    except OSError:
        return False
    if name.startswith(".") or name in _NEVER or not _is_text(name):
        return False
    folder = Path(entry.path)
    if any((folder / sign).exists() for sign in _ENVIRONMENT_SIGNS):
        return False
    return name not in _BUILT or (folder / "__init__.py").is_file()


def _is_text(name: str) -> bool:
    """A name that is no UTF-8 can be neither imported nor put into a report."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
