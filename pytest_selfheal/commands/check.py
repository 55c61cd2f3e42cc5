"""`check`: the unhealed stubs of some files, found in their text alone."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from pytest_selfheal.records import FoundStubs
from pytest_selfheal.report._text import count, one_line
from pytest_selfheal.source.find import find_in_source
from pytest_selfheal.source.project_files import source_files


def run(files: Sequence[str]) -> int:
    """List the stubs of these files, or of all below the current folder where none is named.

    Living functions are none: they have a body. A file that cannot be read or parsed is
    told of and holds no commit up; other tools do.

    Returns:
        1 where there is a stub, else 0.
    """
    stubs = 0
    for path, found in _found(files or source_files(Path())):
        for warning in found.warnings:
            _say(f"{path}:{warning.line}: warning: {warning.message}")
        for stub in found.stubs:
            if not stub.is_living:
                stubs += 1
                _say(f"{path}:{stub.def_line}: {stub.qualname} is marked and not written yet")
    if stubs:
        _say(f"{count(stubs, 'unhealed stub')}: pytest --selfheal writes them from failing tests")
    return 1 if stubs else 0


def _found(files: Sequence[str]) -> Iterator[tuple[str, FoundStubs]]:
    for name in files:
        path = name.replace(os.sep, "/")
        try:
            yield path, find_in_source(Path(name).read_bytes(), path)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            _say(f"{path}:1: warning: cannot be read ({reason})")


def _say(line: str) -> None:
    encoding = sys.stdout.encoding or "utf-8"
    sys.stdout.write(f"{one_line(line)}\n".encode(encoding, "replace").decode(encoding))
