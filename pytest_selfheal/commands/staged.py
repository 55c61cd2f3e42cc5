"""`staged`: the pre-commit hook that heals what the staged tests need.

pre-commit has put aside what is not staged before it calls this, and puts it back
afterwards; what was healed it shows as a file that the hook modified. Files that git does
not know it neither puts aside nor looks at, so these are looked at here.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from pytest_selfheal.git import unknown
from pytest_selfheal.report._text import one_line

_TESTS_FAILED, _NOTHING_COLLECTED = 1, 5


def run(arguments: Sequence[str]) -> int:
    """Heal in place from the tests that the arguments name.

    Args:
        arguments: pytest's: options first, then the staged test files.

    Returns:
        pytest's exit status, where files without a test are no failure; 1 where a file
        was healed that git does not know, since the commit would be without it.
    """
    before = _unknown_to_git()
    command = [sys.executable, "-m", "pytest", "--selfheal", "-q", "--no-header"]
    if not any(each.startswith("--selfheal-mode") for each in arguments):
        command.append("--selfheal-mode=apply")
    status = _wait([*command, *arguments])
    healed = [path for path, data in before.items() if _content(path) != data]
    for path in healed:
        sys.stdout.write(f"selfheal: {one_line(path)} was healed and is not in git: add it\n")
    if status == _NOTHING_COLLECTED:
        status = 0
    return _TESTS_FAILED if healed and not status else status


def _wait(command: Sequence[str]) -> int:
    """Run a command to its end, also where Ctrl-C is pressed: it has things to clear away."""
    with subprocess.Popen(command, env=_environment(os.environ)) as process:  # noqa: S603
        while True:
            try:
                return process.wait()
            except KeyboardInterrupt:
                continue


def _environment(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment without what git tells its hooks: the tests' own git must not see it."""
    told = {"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_OBJECT_DIRECTORY"}
    return {name: value for name, value in environ.items() if name not in told}


def _unknown_to_git() -> dict[str, bytes]:
    """The Python files with marks that git does not know, and their content."""
    contents = ((path, _content(path)) for path in unknown(Path(), "*.py"))
    return {path: data for path, data in contents if b"selfheal" in data}


def _content(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError:
        return b""
