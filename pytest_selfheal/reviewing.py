"""Review mode: between the confirmed code and its delivery, what its reader says of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from pytest_selfheal.assemble import uncaptured
from pytest_selfheal.errors import SelfHealError
from pytest_selfheal.healing.revise import HINT_LIMIT, Reviser, Revision
from pytest_selfheal.report.editor import edit_text
from pytest_selfheal.report.patch import unified_diff
from pytest_selfheal.report.review import Shown, Tried, review
from pytest_selfheal.threads import DaemonExecutor

if TYPE_CHECKING:
    import pytest

    from pytest_selfheal.healing.run import Heal
    from pytest_selfheal.interrupts import Interrupts
    from pytest_selfheal.report.progress import Progress


class Reviewing:
    """One heal's review. What it leaves out is in `skipped`, by key, with the reason."""

    def __init__(
        self,
        config: pytest.Config,
        heal: Heal,
        interrupts: Interrupts,
        make_progress: Callable[[], Progress],
    ) -> None:
        """Begin with all the confirmed code.

        Args:
            config: pytest's.
            heal: What was healed; what is taken stays confirmed in it.
            interrupts: Those of the run.
            make_progress: Gives what shows how a verification goes.
        """
        self.skipped: dict[str, str] = {}
        self._config = config
        self._heal = heal
        self._interrupts = interrupts
        self._make_progress = make_progress
        self._reviser = Reviser(heal)
        self._drafts: dict[str, str] = {}
        """Edits that were not taken, to be gone on with."""

    def run(self) -> None:
        """Ask for each stub, in the order in which they stand in the project."""
        keys = [key for key in self._heal.kit.stubs if key in self._heal.confirmed]
        reporter: Any = self._config.pluginmanager.get_plugin("terminalreporter")
        unanswered = review(reporter, keys, self, ask=self._ask)
        self._drop(unanswered, "nobody answered for it; run again, its code costs nothing now")

    # --- what the conversation asks for ---------------------------------------------------

    def shown(self, key: str) -> Shown | None:
        """A stub as it stands now."""
        heal = self._heal
        piece = heal.confirmed.get(key)
        if piece is None:
            return None
        return Shown(
            target=heal.kit.stubs[key].target,
            diff=unified_diff(heal.kit.edits({key: piece})[0]),
            code=self._reviser.code(key),
            tests=heal.board.tests_reaching(key),
            attempts=heal.board.history.get(key, ()),
        )

    def leave_out(self, key: str) -> Sequence[str]:
        """Leave a stub as it is, and with it those whose tests need it."""
        lost = self._drop([key], "the reviewer said no")
        return [self._heal.kit.stubs[other].target for other in lost]

    def edit(self, key: str) -> Tried:
        """Open the code in the user's editor, and verify what comes of it."""
        present = self._reviser.code(key)
        name = self._heal.kit.stubs[key].qualname
        try:
            with uncaptured(self._config), self._interrupts.allowed():
                edited = edit_text(self._drafts.get(key, present), name)
        except SelfHealError as error:
            return Tried(problem=str(error))
        if not edited.strip() or edited == present:
            self._drafts.pop(key, None)
            return Tried(problem="nothing was changed")
        self._drafts[key] = edited
        return self._revise(key, lambda: self._reviser.edited(key, edited))

    def retry(self, key: str, hint: str) -> Tried:
        """Ask the model again, with a hint."""
        if len(hint) > HINT_LIMIT:
            return Tried(problem=f"a hint has at most {HINT_LIMIT} characters, and no more fits")
        return self._revise(key, lambda: self._reviser.asked_again(key, hint))

    # --- how it is done ------------------------------------------------------------------

    def _ask(self, prompt: str) -> str:
        with uncaptured(self._config), self._interrupts.allowed():
            try:
                return input(prompt)
            except UnicodeDecodeError:  # no letter that was asked for
                return ""

    def _drop(self, keys: Sequence[str], reason: str) -> list[str]:
        """Leave stubs out; give the others that this takes along."""
        before = list(self._heal.confirmed)
        self._heal.drop(keys, reason)
        lost = [key for key in before if key not in self._heal.confirmed and key not in keys]
        self.skipped |= dict.fromkeys(keys, reason)
        self.skipped |= dict.fromkeys(lost, "its tests need code that the reviewer did not take")
        return lost

    def _revise(self, key: str, work: Callable[[], Revision]) -> Tried:
        """Try other code in a thread, so that an interrupt need not wait for it."""
        heal = self._heal
        executor = DaemonExecutor(1, "selfheal-review")
        with self._make_progress() as progress:
            progress.count(heal.board.counts())
            heal.kit = dataclasses.replace(heal.kit, progress=progress)
            try:
                future = executor.submit(work)
                with self._interrupts.allowed():
                    revision = future.result()
                is_taken = self._reviser.put_in_place(key, revision)
            except SelfHealError as error:
                return Tried(problem=str(error))
            finally:
                executor.shutdown(wait=False, cancel_futures=True)
        if is_taken:
            self._drafts.pop(key, None)
            return Tried()
        problem = revision.problem or "its tests turned out to be no evidence for it"
        return Tried(problem=problem, traceback=revision.traceback)
