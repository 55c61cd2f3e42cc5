"""`--selfheal-explain` and `--selfheal-show-prompt`: what would be asked, told without asking."""

from __future__ import annotations

import difflib
import io
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_selfheal.errors import SelfHealError, UsageError
from pytest_selfheal.model.size import estimated_tokens
from pytest_selfheal.records import Stub
from pytest_selfheal.report._text import count, one_line, visible

if TYPE_CHECKING:
    import pytest

    from pytest_selfheal.healing.explain import Explanation
    from pytest_selfheal.healing.session import SessionRecord
    from pytest_selfheal.preparation import Preparation
    from pytest_selfheal.settings import Settings


def find_target(root: Path, target: str) -> Stub:
    """Find a marked definition by its target, or by its name where no other has it.

    Raises:
        UsageError: There is none, or there are several.
    """
    from pytest_selfheal.source.find import find_in_project

    stubs = find_in_project(root).stubs
    found = [stub for stub in stubs if stub.target == target]
    found = found or [stub for stub in stubs if stub.qualname == target]
    if len({stub.target for stub in found}) == 1:
        return found[0]
    option = f"--selfheal-explain: {target!r}"
    if found:
        names = ", ".join(stub.target for stub in found)
        raise UsageError(f"{option} names more than one: give one of {names}")
    known = list(dict.fromkeys(stub.target for stub in stubs))
    if not known:
        raise UsageError(f"{option} is not marked, and nothing is below {str(root)!r}")
    near = difflib.get_close_matches(target, known, cutoff=0.3) or known
    raise UsageError(f"{option} is not marked: give one such as {', '.join(near[:3])}")


def explain(
    config: pytest.Config,
    settings: Settings,
    record: SessionRecord,
    preparation: Preparation,
    started: float,
    stub: Stub | None,
) -> list[str]:
    """Give the lines that tell what would happen to a stub after this run.

    Without a stub, the lines that show the prompts that would be sent first.

    Never raises for what others do: what stands in the way is told in a line.
    """
    from pytest_selfheal.conduct import Conduct
    from pytest_selfheal.healing.explain import explain as explain_key
    from pytest_selfheal.healing.explain import first_prompts
    from pytest_selfheal.healing.groups import key_of
    from pytest_selfheal.healing.run import Heal
    from pytest_selfheal.interrupts import Interrupts
    from pytest_selfheal.report.progress import Progress

    try:
        preparation.wait()
        conduct = Conduct(config, settings, record, preparation, started, Interrupts())
        with Progress(io.StringIO(), verbosity=-1) as progress:
            kit = conduct.kit(preparation.found, progress)
            if stub is None:
                return shown(first_prompts(Heal.of(kit, record)))
            key = key_of(stub)
            if key not in kit.stubs:
                return [f"{stub.path} cannot be written, so nothing would be asked for"]
            return lines(explain_key(Heal.of(kit, record), key))
    except SelfHealError as error:
        return [f"it cannot be told: {one_line(str(error))}"]


def lines(found: Explanation) -> list[str]:
    """Give an explanation as text, the prompt last."""
    told = [f"reached by {count(len(found.tests), 'failing test')}"]
    told += [f"  {one_line(test)}" for test in found.tests]
    if found.before:
        told.append(f"{count(found.before, 'other request')} would be planned first")
    if found.reason:
        return [*told, f"nothing would be asked for it: {found.reason}"]
    told.append(f"asked for in one request, with up to {count(found.attempts, 'attempt')}:")
    told += [f"  {one_line(target)}" for target in found.targets]
    told.append(f"judged by {count(len(found.judges), 'test')}:")
    told += [f"  {one_line(test)}" for test in found.judges]
    return [*told, *_prompt(found.prompt)]


def shown(found: Iterable[Explanation]) -> list[str]:
    """Give the prompts that would be sent, one below the other."""
    told: list[str] = []
    for number, each in enumerate(found, start=1):
        told += ["", f"request {number}:", *(f"  {one_line(target)}" for target in each.targets)]
        told += [f"nothing is sent: {each.reason}"] if each.reason else _prompt(each.prompt)
    return told[1:] or ["nothing would be asked for"]


def _prompt(prompt: str) -> list[str]:
    size = f"{len(prompt)} characters, at most about {estimated_tokens(prompt)} tokens"
    return [f"the prompt: {size}", "", *visible(prompt).rstrip("\n").split("\n")]


def write(reporter: pytest.TerminalReporter, stub: Stub | None, told: list[str]) -> None:
    """Write an explanation in a section of its own."""
    title = "prompts, none of them sent" if stub is None else one_line(stub.target)
    reporter.write_sep("=", f"selfheal: {title}")
    for line in told:
        reporter.write_line(line)
