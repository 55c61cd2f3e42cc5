"""Where a project's locks and journal are, and what is done about a heal that was cut off.

Looked at by every run with `--selfheal`, so it imports nothing until there is a journal.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_selfheal.errors import SelfHealError, UsageError

if TYPE_CHECKING:
    import pytest

    from pytest_selfheal.settings import Settings


def temporary_state_dir(config: pytest.Config) -> Path:
    """This user's folder for a project that has no cache, or none that they may write to.

    Raises:
        UsageError: It cannot be made, or is somebody else's.
    """
    folder = _temporary(config)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        is_ours = not hasattr(os, "getuid") or folder.parent.lstat().st_uid == os.getuid()
    except OSError as error:
        raise UsageError(
            f"{str(folder)!r} cannot be made ({error.strerror}): make the project's cache "
            "folder writable, or set TMPDIR"
        ) from error
    if not is_ours:
        raise UsageError(f"{str(folder.parent)!r} is another user's: delete it, or set TMPDIR")
    return folder


def heal_dir(config: pytest.Config) -> Path:
    """The folder for the lock and the journal of what is written in this project.

    Beside pytest's cached values and not among them, so that `--cache-clear` leaves it.

    Raises:
        UsageError: There is none that can be written to.
    """
    cached = _cached(config)
    if cached is not None:
        try:
            cached.mkdir(parents=True, exist_ok=True)
        except OSError:
            pass
        else:
            if os.access(cached, os.W_OK) and _may_lock(cached / _LOCK):
                return cached
    return temporary_state_dir(config)


def recover_cut_off(config: pytest.Config, settings: Settings) -> list[tuple[str, bool]]:
    """Complete or undo what an earlier run did not end.

    Modes that leave the tree alone say only that there is something to do.

    Returns:
        Lines for the user, and whether each tells of something that is not in order.
    """
    said: list[tuple[str, bool]] = []
    for folder in filter(None, (_cached(config), _temporary(config))):
        if not any(os.path.lexists(folder / name) for name in _JOURNALS):
            continue
        if settings.mode not in ("apply", "review"):
            line = (
                "a heal was cut off while it wrote its files; "
                "the next run with --selfheal-mode=apply puts them in order"
            )
            said.append((line, True))
            continue
        from pytest_selfheal.source.recovering import recover

        try:
            done = recover(config.rootpath, folder, say=partial(_note, said))
        except (SelfHealError, OSError) as error:
            said.append((" ".join(str(error).split()), True))
        else:
            said += [(done, False)] if done else []
    return said


def _note(said: list[tuple[str, bool]], line: str) -> None:
    said.append((line, False))


def _may_lock(file: Path) -> bool:
    # Root's, in a user's folder, is closed to that user; the files' own locks keep them apart.
    return not file.exists() or os.access(file, os.R_OK | os.W_OK)


_LOCK = "write.lock"  # as in `source.locks`
_JOURNALS = ("heal.journal", "heal.journal.tmp")  # as in `source.journal`


def _cached(config: pytest.Config) -> Path | None:
    cache = getattr(config, "cache", None)
    folder: Path | None = getattr(cache, "_cachedir", None)
    return folder / "selfheal" if folder is not None else None


def _temporary(config: pytest.Config) -> Path:
    user = os.getuid() if hasattr(os, "getuid") else os.environ.get("USERNAME", "user")
    project = hashlib.sha256(os.fsencode(config.rootpath)).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"pytest-selfheal-state-{user}" / project
