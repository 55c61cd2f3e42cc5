"""Files that are never read for a prompt: those that git ignores, and those the user names."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from threading import Lock

_GIT_SECONDS = 30.0


class Private:
    """Tells which files of a project are private. Safe to use from several threads."""

    def __init__(self, root: Path, patterns: Sequence[str] = ()) -> None:
        """Note where and what; git is asked when there are files to ask about.

        Args:
            root: The project's folder; that git may be missing, or know nothing of it, is fine.
            patterns: As `selfheal_exclude` has them.
        """
        self._root = root
        self._patterns = tuple(patterns)
        self._ignored: dict[str, bool] = {}
        self._lock = Lock()

    def __contains__(self, path: object) -> bool:
        """Whether a file, relative to the root, is private."""
        return not self.without([str(path)])

    def is_excluded(self, path: str) -> bool:
        """Whether a pattern names the file, or a folder that it is in."""
        parts = path.split("/")
        above = ["/".join(parts[: depth + 1]) for depth in range(len(parts))]
        return any(
            fnmatchcase(name, pattern.rstrip("/"))
            for pattern in self._patterns
            for name in (above if "/" in pattern.rstrip("/") else parts)
        )

    def without(self, paths: Iterable[str]) -> list[str]:
        """Give the paths that are not private."""
        open_ones = [path for path in paths if not self.is_excluded(path)]
        with self._lock:
            unknown = [path for path in open_ones if path not in self._ignored]
            if unknown:
                ignored = _ignored_by_git(self._root, unknown)
                self._ignored.update((path, path in ignored) for path in unknown)
            return [path for path in open_ones if not self._ignored[path]]


def _ignored_by_git(root: Path, paths: Sequence[str]) -> frozenset[str]:
    """Those that git ignores; what is tracked is not ignored, whatever its patterns say."""
    # Git's own speed-up may run a program that the repository names.
    command = ["git", "-c", "core.fsmonitor=false", "check-ignore", "-z", "--stdin"]
    asked = "".join(f"./{path}\0" for path in paths)
    try:
        done = subprocess.run(  # noqa: S603 - no part of it comes from outside
            command,
            cwd=root,
            env={name: value for name, value in os.environ.items() if not name.startswith("GIT_")},
            input=asked.encode("utf-8", "surrogateescape"),
            capture_output=True,
            timeout=_GIT_SECONDS,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return frozenset()
    said = done.stdout.decode("utf-8", "surrogateescape").split("\0")
    return frozenset(path.removeprefix("./") for path in said if path)
