"""Confirmed code on its way into the tree: for the text that is there, or not at all."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_selfheal.errors import FileChanged, SelfHealError
from pytest_selfheal.git import uncommitted
from pytest_selfheal.healing.catch_up import catch_up, changed_files
from pytest_selfheal.healing.commits import commits
from pytest_selfheal.healing.stamps import stamps
from pytest_selfheal.recovery import heal_dir, temporary_state_dir
from pytest_selfheal.report._files import is_mbox
from pytest_selfheal.report.mbox import write_mbox
from pytest_selfheal.report.patch import write_patch
from pytest_selfheal.source.write import write_edits

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from pytest_selfheal.healing.kit import Kit
    from pytest_selfheal.healing.run import Heal
    from pytest_selfheal.preparation import Preparation
    from pytest_selfheal.records import Edit, Piece

MAX_ROUNDS = 10
"""How often code is verified anew for files that go on changing."""
MAX_KEPT = 20
"""How many patches of code that could not be written are kept."""


class Delivery:
    """One heal's writing. What it does not write is in `skipped`, with the reason."""

    def __init__(
        self,
        config: pytest.Config,
        preparation: Preparation,
        heal: Heal,
        say: Callable[[str], None],
    ) -> None:
        self.skipped: dict[str, str] = {}
        self.notes: list[str] = []
        self._config = config
        self._preparation = preparation
        self._heal = heal
        self._say = say
        self._seen = preparation.stamps
        self._restless: set[str] = set()
        """Data that changed before: a log would have everything verified again for ever."""

    def catch_up(self) -> None:
        """Where the project changed meanwhile, make the edits anew and verify them there.

        Afterwards the heal's confirmed code is for the files as they are.
        """
        heal = self._heal
        for _ in range(MAX_ROUNDS):
            if not heal.confirmed:
                return
            data = self._data() - self._restless
            changed = changed_files(heal.kit, heal.confirmed, self._seen, data)
            if not changed:
                return
            self._restless |= data & changed.keys()
            names = ", ".join(sorted(changed)[:3]) + (", …" if len(changed) > 3 else "")
            self._say(f"changed meanwhile: {names}; verifying again")
            self._seen = stamps(heal.kit.root)
            old, before = heal.kit, dict(heal.confirmed)
            caught_up = catch_up(old, before, changed)
            if caught_up.lost:
                heal.drop(list(caught_up.lost), "its file changed meanwhile")
                needed = dict.fromkeys(
                    before.keys() - heal.confirmed.keys(),
                    "its tests need code that could not be written",
                )
                self._skip({**needed, **caught_up.lost}, old, before)
            if heal.confirmed:
                self._verify_again(caught_up.kit, min(changed))
        self.leave_out("its files changed again and again")

    def write(self) -> bool:
        """Write the confirmed code; False where none was."""
        for _ in range(MAX_ROUNDS):
            self.catch_up()
            if not self._heal.confirmed:
                return False
            kit = self._heal.kit
            try:
                self.notes += write_edits(
                    kit.root,
                    kit.edits(self._heal.confirmed),
                    state_dir=heal_dir(self._config),
                    say=self._say,
                )
            except FileChanged:
                continue  # between the look and the lock
            except (SelfHealError, OSError) as error:
                self.leave_out(" ".join(str(error).split()))
                return False
            return True
        self.leave_out("its files changed again and again")
        return False

    def propose(self, path: Path) -> str | None:
        """Write the confirmed code as a patch, or as commits where the name ends in `.mbox`.

        Returns:
            Where, None where there was no such code.
        """
        # A patch of an earlier run is not what this one proposes.
        path.unlink(missing_ok=True)
        self.catch_up()
        heal = self._heal
        if not heal.confirmed:
            return None
        edits = heal.kit.edits(heal.confirmed)
        if is_mbox(path):
            self.notes += _notes_on_commits([edit.path for edit in edits], heal.kit.root)
            pool, model = self._preparation.pool, self._preparation.model.usage().name
            backend = pool.backend if pool is not None else "sandbox"
            write_mbox(
                commits(heal, model or heal.kit.settings.model, backend), path, heal.kit.root
            )
        else:
            write_patch(edits, path, heal.kit.root)
        return str(path)

    def leave_out(self, reason: str) -> None:
        """Write nothing, for one reason; keep it as a patch."""
        keys = list(self._heal.confirmed)
        self._skip(dict.fromkeys(keys, reason), self._heal.kit, self._heal.confirmed)
        self._heal.confirmed = {}

    def _data(self) -> set[str]:
        """The files that are no code and were seen to be opened by the tests."""
        return {path for test in self._heal.board.tests.values() for path in test.result.opened}

    def _verify_again(self, kit: Kit, first_changed: str) -> None:
        heal = self._heal
        old, before = heal.kit, dict(heal.confirmed)
        try:
            heal.kit = replace(kit, pool=self._preparation.renew_pool())
            heal.confirm_again()
        except SelfHealError as error:
            heal.confirmed = {}
            heal.problem = str(error)
        lost = [key for key in before if key not in heal.confirmed]
        why = heal.problem or f"not seen green after {first_changed!r} changed meanwhile"
        self._skip(dict.fromkeys(lost, why), old, before)

    def _skip(self, reasons: Mapping[str, str], kit: Kit, code: Mapping[str, Piece]) -> None:
        """Leave stubs out, each with a reason, and keep what was found for them as a patch."""
        if not reasons:
            return
        where = self._keep(kit, {key: code[key] for key in reasons})
        kept = f"its code is kept in {where}" if where else "its code could not be kept"
        self.skipped.update((key, f"{reason}; {kept}") for key, reason in reasons.items())

    def _keep(self, kit: Kit, code: Mapping[str, Piece]) -> str | None:
        """Write a patch for the text that the code was made from; None where that fails."""
        try:
            edits = kit.edits(code)
        except SelfHealError:
            return None
        # The project's disk may be what is full.
        for folder_of in (heal_dir, temporary_state_dir):
            with contextlib.suppress(SelfHealError, OSError):
                file = _kept(folder_of(self._config) / "kept", edits, kit.root)
                inside = file.is_relative_to(kit.root)
                return str(file.relative_to(kit.root) if inside else file)
        return None


def _kept(folder: Path, edits: Sequence[Edit], root: Path) -> Path:
    """Write a patch into a folder that holds a limited number of them."""
    digest = hashlib.sha256(repr(edits).encode()).hexdigest()[:12]
    file = folder / f"{digest}.patch"
    # What others may not read in the project, they may not read here.
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_patch(edits, file, root)
    oldest_first = sorted(folder.glob("*.patch"), key=lambda each: each.stat().st_mtime_ns)
    for each in oldest_first[:-MAX_KEPT]:
        each.unlink(missing_ok=True)
    return file


def _notes_on_commits(paths: Sequence[str], root: Path) -> list[str]:
    """What has to be done before `git am`, which goes by what is committed."""
    found = uncommitted(root, paths)
    if not found:
        return []
    more = f" and {len(found) - 1} more are" if len(found) > 1 else " is"
    they = "they are" if len(found) > 1 else "it is"
    return [f"git am takes the commits once {found[0]!r}{more} committed as {they}"]
