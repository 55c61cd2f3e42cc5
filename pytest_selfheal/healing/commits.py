"""A heal's confirmed code as a series of commits, one for each stub."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pytest_selfheal.errors import EditConflict, Unusable
from pytest_selfheal.records import Edit
from pytest_selfheal.report._text import count, one_line
from pytest_selfheal.report.mbox import Commit

if TYPE_CHECKING:
    from pytest_selfheal.healing.run import Heal

MAX_TESTS = 50
"""How many tests a message names."""
SIGNATURE = "Healed-by: pytest-selfheal"
"""The line that ends each message; commits without it are somebody else's."""


def commits(heal: Heal, model: str, backend: str) -> list[Commit]:
    """Give the confirmed code as commits: file by file, each stub in its place.

    A stub whose code does not stand without that of the next is in one commit with it.

    Args:
        heal: One that is at its end.
        model: Who wrote it.
        backend: Where it was verified.
    """
    by_path: dict[str, list[str]] = {}
    for key, stub in heal.kit.stubs.items():
        if key in heal.confirmed:
            by_path.setdefault(stub.path, []).append(key)
    made = []
    for path in sorted(by_path):
        before = heal.kit.sources[path]
        placed: list[str] = []
        new: list[str] = []
        for key in sorted(by_path[path], key=lambda each: heal.kit.stubs[each].first_line):
            new.append(key)
            after = _with(heal, [*placed, *new])
            if after is not None and after != before:
                edit = Edit(path=path, before=before, after=after)
                subject, body = _message(heal, new, model, backend)
                made.append(Commit(subject=subject, body=body, edit=edit))
                placed += new
                before, new = after, []
    return made


def _with(heal: Heal, keys: Sequence[str]) -> bytes | None:
    """A file with these stubs' code in it, None where that cannot be made."""
    try:
        return heal.kit.edits({key: heal.confirmed[key] for key in keys})[0].after
    except (Unusable, EditConflict):
        return None


def _message(heal: Heal, keys: Sequence[str], model: str, backend: str) -> tuple[str, str]:
    targets = [heal.kit.stubs[key].target for key in keys]
    more = f" and {len(targets) - 1} more" if len(targets) > 1 else ""
    attempts = max(len(heal.board.history.get(key, ())) for key in keys)
    tests = list(dict.fromkeys(test for key in keys for test in heal.board.tests_reaching(key)))
    green = [test for test in tests if test not in heal.board.flaky]
    lines = [f"Written by {one_line(model)} in {count(attempts, 'attempt')}:", ""]
    lines += [f"- {one_line(target)}" for target in targets]
    series = ", with this whole series in place" if len(heal.confirmed) > len(keys) else ""
    lines += ["", f"Seen green in a sandbox ({one_line(backend)}){series}:", ""]
    lines += [f"- {one_line(test)}" for test in green[:MAX_TESTS]]
    if len(green) > MAX_TESTS:
        lines.append(f"- and {len(green) - MAX_TESTS} more")
    return f"Heal {targets[0]}{more}", "\n".join([*lines, "", SIGNATURE])
