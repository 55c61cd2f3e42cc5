"""The user's own editor on a piece of text."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from pytest_selfheal.errors import SelfHealError

_USUAL = ("sensible-editor", "nano", "vim", "vi", "notepad")


def editor_of(environ: Mapping[str, str]) -> list[str]:
    """The command of the user's editor: `VISUAL`, `EDITOR`, or one that is usual.

    Raises:
        SelfHealError: There is none, or the variable is no command line.
    """
    for name in ("VISUAL", "EDITOR"):
        given = environ.get(name, "").strip()
        if not given:
            continue
        if shutil.which(given):  # a path with blanks in it
            return [given]
        try:
            return shlex.split(given)
        except ValueError as error:
            raise SelfHealError(f"{name}={given!r} is no command line: {error}") from error
    found = next(filter(None, map(shutil.which, _USUAL)), None)
    if found is None:
        raise SelfHealError("no editor is there: set EDITOR to the command of one")
    return [found]


def edit_text(text: str, name: str, environ: Mapping[str, str] = os.environ) -> str:
    """Let the user change a text, and give what it is afterwards.

    Args:
        text: What the editor opens.
        name: What the text is of; a part of the file's name.
        environ: Where the editor is named.

    Raises:
        SelfHealError: The editor could not be started, said that it failed, or left no text.
    """
    command = editor_of(environ)
    with tempfile.TemporaryDirectory(prefix="selfheal-review-") as folder:
        file = Path(folder, re.sub(r"\W+", "_", name)[:60] + ".py")
        file.write_text(text, encoding="utf-8")
        try:
            with _interrupts_left_to_it():
                status = subprocess.run([*command, str(file)], check=False).returncode  # noqa: S603
        except OSError as error:
            raise SelfHealError(
                f"the editor {command[0]!r} cannot be started: {error.strerror}; set EDITOR"
            ) from error
        if status:
            raise SelfHealError(f"the editor {command[0]!r} ended with status {status}")
        try:
            return file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise SelfHealError(f"the edited file cannot be read: {error}") from error


@contextmanager
def _interrupts_left_to_it() -> Iterator[None]:
    """Let Ctrl-C reach the editor alone, which shares the terminal."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    # A handler, and not SIG_IGN, which the editor would inherit.
    former = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, former)
