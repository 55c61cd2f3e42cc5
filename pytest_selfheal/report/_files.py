"""Files of reports: what their names say, and writing them whole or not at all."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from pytest_selfheal.errors import SelfHealError
from pytest_selfheal.temporary import temporary_beside


def is_mbox(path: str | Path) -> bool:
    """Whether a patch of this name is a series of commits."""
    return Path(path).suffix.lower() == ".mbox"


def write_whole(path: Path, content: bytes, what: str) -> None:
    """Replace a file's content in one step, making its folder where there is none.

    Args:
        path: Where to; a link is followed.
        content: All of it.
        what: What the file is, for the error: "the JSON report".

    Raises:
        SelfHealError: It cannot be written; one line.
    """
    target = Path(os.path.realpath(path))
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = temporary_beside(target)
        try:
            # Opened as any file is, so that the user's umask decides who may read it.
            temporary.write_bytes(content)
            temporary.replace(target)
        except OSError:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise SelfHealError(
            f"{what} cannot be written to {str(path)!r}: {reason}; choose another path"
        ) from error
