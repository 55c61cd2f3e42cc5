"""Which files of a project are its own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

_NEVER = {"node_modules", "__pycache__", "__pypackages__", "site-packages", "cvs"}
_BUILT = {"build", "dist"}
_ENVIRONMENT_SIGNS = ("pyvenv.cfg", "conda-meta")


def project_files(root: Path, *, every_kind: bool = False) -> Iterator[str]:
    """Give the Python files below a folder, sorted within each folder, folders last.

    Left out are hidden folders (version control among them), virtual environments,
    caches, `build` and `dist` unless they are packages, linked folders, and links to
    files outside. A folder that cannot be listed counts as empty.

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
            if _is_of_kind(entry.name, every_kind) and _is_own_file(entry, real_root):
                yield folder + entry.name
        inner = [entry.name for entry in entries if _is_own_folder(entry)]
        pending.extend(f"{folder}{name}/" for name in reversed(inner))


def source_files(root: Path) -> list[str]:
    """The files that `project_files` gives, each by one name: no links from one to another."""
    paths = list(project_files(root))
    links = [path for path in paths if os.path.islink(f"{root}/{path}")]  # noqa: PTH114 - of many
    if not links:
        return paths
    real_root = root.resolve()
    own = {real_root / path for path in paths}
    others = {path for path in links if (root / path).resolve() in own}
    return [path for path in paths if path not in others]


def is_own_path(real_root: Path, real: Path) -> bool:
    """Whether a path below a folder leads through nothing that `project_files` leaves out.

    Args:
        real_root: The folder, links resolved.
        real: The path, links resolved.
    """
    folders = real.relative_to(real_root).parts[:-1]
    if any(name.startswith(".") or _is_never(name) for name in folders):
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
    return is_text(name) and (name.endswith(".py") or (every_kind and not name.startswith(".")))


def _is_own_file(entry: os.DirEntry[str], real_root: Path) -> bool:
    try:
        if not entry.is_file():  # a link to nothing, a pipe, a folder called `x.py`
            return False
    except OSError:
        return False
    if not entry.is_symlink():
        return True
    return Path(entry.path).resolve().is_relative_to(real_root)


def _is_own_folder(entry: os.DirEntry[str]) -> bool:
    name = entry.name
    try:
        if not entry.is_dir(follow_symlinks=False):
            return False
    except OSError:
        return False
    if name.startswith(".") or _is_never(name) or not is_text(name):
        return False
    folder = Path(entry.path)
    if any((folder / sign).exists() for sign in _ENVIRONMENT_SIGNS):
        return False
    return name not in _BUILT or (folder / "__init__.py").is_file()


def _is_never(name: str) -> bool:
    # A link may spell a folder in another way where the file system ignores case.
    return name.casefold() in _NEVER


def is_text(name: str) -> bool:
    """Whether a name is UTF-8: one that is none can be neither imported nor put into a report."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
