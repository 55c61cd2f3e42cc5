"""Where a report's stubs are: from the top of the repository, with their lines."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pytest_selfheal.records import StubReport
from pytest_selfheal.report.patch import git_prefix
from pytest_selfheal.source.find import find_in_source


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A stub with its place in the repository."""

    stub: StubReport
    path: str
    """From the top of the repository."""
    name: str
    nth: int
    """Which one of that name in that file, from 0."""
    line: int | None
    """1-based line of its `def`; None where it is not there any more."""


def places(stubs: Sequence[StubReport], root_dir: Path) -> list[Place]:
    """Find stubs in the files as they are now; none of these is imported.

    Args:
        stubs: From a report.
        root_dir: pytest's rootdir, which their paths count from.
    """
    prefix = git_prefix(root_dir)
    known: dict[str, dict[str, list[int]]] = {}
    seen: Counter[str] = Counter()
    found = []
    for stub in stubs:
        path, _, name = stub.target.rpartition("::")
        if path not in known:
            known[path] = _lines(root_dir, path)
        lines, nth = known[path].get(name, []), seen[stub.target]
        seen[stub.target] += 1
        line = lines[nth] if nth < len(lines) else None
        found.append(Place(stub=stub, path=prefix + path, name=name, nth=nth, line=line))
    return found


def _lines(root_dir: Path, path: str) -> dict[str, list[int]]:
    """The lines of what is marked in a file, by name; nothing where it cannot be read."""
    lines: defaultdict[str, list[int]] = defaultdict(list)
    try:
        file = (root_dir / path).resolve()
        if not file.is_relative_to(root_dir.resolve()) or not file.is_file():
            return lines
        for stub in find_in_source(file.read_bytes(), path).stubs:
            lines[stub.qualname].append(stub.def_line)
    except (OSError, ValueError, RecursionError):
        pass
    return lines
