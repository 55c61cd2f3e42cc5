"""Other programs, run to their end: git, and what speaks to a forge."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from pytest_selfheal.errors import SelfHealError


class ProgramFailed(SelfHealError):
    """A program that could not be run, or said no. Its message ends before what was said.

    `said` is that, as it was: lines of any kind, with an address and what is in it.
    """

    def __init__(self, message: str, said: str = "") -> None:
        super().__init__(message)
        self.said = said


def run_program(
    name: str,
    *arguments: str,
    folder: Path,
    seconds: float,
    env: Mapping[str, str] | None = None,
) -> str:
    """Run a program that asks nobody anything; its standard output.

    What is no UTF-8 in it is kept as surrogates.

    Args:
        name: The program, looked for as a shell does.
        arguments: Its own.
        folder: Where it runs.
        seconds: How long it may take.
        env: Variables on top of those that are set.

    Raises:
        ProgramFailed: It is not there, takes too long, or ends with another status than 0.
    """
    environ = {**os.environ, "GIT_TERMINAL_PROMPT": "0", "GH_PROMPT_DISABLED": "1", **(env or {})}
    try:
        done = subprocess.run(  # noqa: S603
            [name, *arguments],
            cwd=folder,
            env=environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="surrogateescape",
            timeout=seconds,
            check=False,
        )
    except FileNotFoundError:
        raise ProgramFailed(f"{name} is not installed, or {str(folder)!r} is no folder") from None
    except (OSError, ValueError) as error:
        raise ProgramFailed(f"{name} cannot be run", str(error)) from None
    except subprocess.TimeoutExpired:
        raise ProgramFailed(f"{name} took longer than {seconds:g} s") from None
    if done.returncode:
        words = next(each for each in arguments if not each.startswith("-") and "=" not in each)
        said = done.stderr.strip() or done.stdout.strip() or str(done.returncode)
        raise ProgramFailed(f"{name} {words} failed", said)
    return done.stdout
