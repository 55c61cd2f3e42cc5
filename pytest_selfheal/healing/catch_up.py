"""A project that changed while it was healed: what of the found code still has its place.

An edit is made from a text and goes into no other one. Where a file is another one by
now, the edit is made anew if its stub reads as it did.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from pytest_selfheal.errors import EditConflict, Unusable
from pytest_selfheal.healing.groups import key_of
from pytest_selfheal.healing.kit import Kit
from pytest_selfheal.healing.stamps import Stamp, stamps
from pytest_selfheal.records import Piece, Stub
from pytest_selfheal.source.find import find_in_source
from pytest_selfheal.source.outline import FUNCTIONS, definitions
from pytest_selfheal.source.parsing import UnparsableError, is_trivial_body, parse


def changed_files(
    kit: Kit,
    confirmed: Mapping[str, Piece],
    seen: Mapping[str, Stamp],
    data: Collection[str] = (),
) -> dict[str, bytes | None]:
    """The files that are other ones than at the beginning, and what those with stubs hold.

    Of these the content counts, of the other Python files, and of data, whether they were
    written. A file that holds its healed content already counts as it was.

    Args:
        kit: The tools of the run, with the files as they were read.
        confirmed: The code that is to be written.
        seen: All files at the beginning, see `stamps`.
        data: Those that are no Python and count.

    Returns:
        For a file with stubs its content, None where it is gone; None for any other.
    """
    now = stamps(kit.root, data)
    written = kit.overlay(confirmed)
    changed: dict[str, bytes | None] = {}
    for path in dict.fromkeys([*seen, *now, *kit.sources]):
        if path in kit.sources:
            content = _read(kit.root / path)
            if content != kit.sources[path] and (content is None or content != written.get(path)):
                changed[path] = content
        elif (path.endswith(".py") or path in data) and seen.get(path) != now.get(path):
            changed[path] = None
    return changed


def _read(file: Path) -> bytes | None:
    try:
        return file.read_bytes()
    except OSError:
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class CaughtUp:
    """The run's tools for the project as it is now."""

    kit: Kit
    lost: Mapping[str, str]
    """The stubs whose code has no place any more, and why."""


def catch_up(
    kit: Kit, confirmed: Mapping[str, Piece], changed: Mapping[str, bytes | None]
) -> CaughtUp:
    """Look for the stubs in the files as they are now.

    Args:
        kit: The tools of the run.
        confirmed: The code that is to be written.
        changed: The files that are other ones now, see `changed_files`.
    """
    sources = dict(kit.sources)
    stubs = dict(kit.stubs)
    lost: dict[str, str] = {}
    for path in changed.keys() & kit.sources.keys():
        content = changed[path]
        here = {key: stub for key, stub in kit.stubs.items() if stub.path == path}
        found = {key_of(each): each for each in find_in_source(content or b"", path).stubs}
        for key, stub in here.items():
            if content is None or key not in found:
                del stubs[key]
                lost[key] = _why(kit.root, path, stub, content)
                continue
            stubs[key] = found[key]
            is_same = _text(kit.sources[path], stub) == _text(content, found[key])
            if not is_same or stub.options != found[key].options:
                lost[key] = _why(kit.root, path, stub, content)
        if content is None:
            del sources[path]
        else:
            sources[path] = content
    caught_up = replace(kit, stubs=stubs, sources=sources, _without_tests={})
    affected = [key for key in confirmed if key not in lost and kit.stubs[key].path in changed]
    lost.update(_unfitting(caught_up, confirmed, affected))
    return CaughtUp(kit=caught_up, lost={key: why for key, why in lost.items() if key in confirmed})


def _unfitting(kit: Kit, confirmed: Mapping[str, Piece], keys: Iterable[str]) -> Mapping[str, str]:
    """The stubs whose code does not go into the new text, alone or with the others."""
    kept: dict[str, Piece] = {}
    lost = {}
    for key in keys:
        path = confirmed[key].stub.path
        here = {other: piece for other, piece in kept.items() if piece.stub.path == path}
        try:
            kit.overlay({**here, key: confirmed[key]})
        except (EditConflict, Unusable) as error:
            lost[key] = " ".join(str(error).split())
        else:
            kept[key] = confirmed[key]
    return lost


def _text(source: bytes, stub: Stub) -> list[bytes]:
    """A definition's lines, whatever their ends."""
    lines = source.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
    return lines[stub.first_line - 1 : stub.end_line]


def _why(root: Path, path: str, stub: Stub, content: bytes | None) -> str:
    if content is None:
        is_there = (root / path).exists()
        return f"{path!r} is {'no file that can be read any more' if is_there else 'gone'}"
    if _has_body(content, stub):
        return f"somebody else has written {stub.qualname!r} in {path!r} meanwhile"
    return f"{stub.qualname!r} in {path!r} changed meanwhile"


def _has_body(content: bytes, stub: Stub) -> bool:
    try:
        tree = parse(content)
    except UnparsableError:
        return False
    bodies = (
        found.node.body
        for found in definitions(tree)
        if isinstance(found.node, FUNCTIONS)
        if (found.qualname, found.index) == (stub.qualname, stub.index)
    )
    return any(_is_written(body) for body in bodies) and not stub.is_living


def _is_written(body: Collection[ast.stmt]) -> bool:
    return not is_trivial_body(list(body))
