"""`--selfheal-explain` and `--selfheal-show-prompt`: what would be asked, told without asking."""

from __future__ import annotations

import difflib
import io
import os
from collections.abc import Iterable, Sequence
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


def find_target(root: Path, here: Path, given: str) -> tuple[Stub, ...]:
    """Find what is marked by its target, or by its name where no other has it.

    Args:
        root: pytest's rootdir.
        here: Where pytest was started; a path may count from there as well.
        given: As the user wrote it.

    Returns:
        The definitions of one target: several for a property with its setter.

    Raises:
        UsageError: There is none, or there are several targets.
    """
    from pytest_selfheal.source.find import find_in_project

    marked = find_in_project(root)
    stubs = marked.stubs
    target = _from_root(root, here, given)
    found = (
        tuple(stub for stub in stubs if stub.target == given)
        or tuple(stub for stub in stubs if stub.target == target)
        or tuple(stub for stub in stubs if stub.qualname == given)
    )
    names = dict.fromkeys(stub.target for stub in found)
    if len(names) == 1:
        return found
    option = f"--selfheal-explain: {given!r}"
    if names:
        raise UsageError(f"{option} names more than one: give one of {', '.join(names)}")
    known = list(dict.fromkeys(stub.target for stub in stubs))
    slips = [each for each in marked.warnings if each.path == target.partition("::")[0]]
    why = f" (line {slips[0].line}: {slips[0].message})" if slips else ""
    if not known:
        raise UsageError(f"{option} is not marked{why}, and nothing else is below {str(root)!r}")
    near = difflib.get_close_matches(target, known, cutoff=0.3) or known
    raise UsageError(f"{option} is not marked{why}: give one such as {', '.join(near[:3])}")


def _from_root(root: Path, here: Path, given: str) -> str:
    """A target whose path counts from another folder than the rootdir."""
    path, separator, name = given.partition("::")
    file = Path(os.path.normpath(here / path))
    if not separator or not file.is_relative_to(root):
        return given
    return f"{file.relative_to(root).as_posix()}::{name}"


def explain(
    config: pytest.Config,
    settings: Settings,
    record: SessionRecord,
    preparation: Preparation,
    started: float,
    stubs: Sequence[Stub],
) -> list[str]:
    """Give the lines that tell what would happen to a target after this run.

    It is given as its definitions. Without any, the lines show the prompts that would be
    sent first.

    Never raises for what others do: what stands in the way is told in a line.
    """
    from pytest_selfheal.conduct import Conduct
    from pytest_selfheal.healing.explain import explain as explain_keys
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
            if not stubs:
                return shown(first_prompts(Heal.of(kit, record)))
            keys = [key for key in map(key_of, stubs) if key in kit.stubs]
            if not keys:
                return [f"{stubs[0].path} cannot be written, so nothing would be asked for"]
            return lines(explain_keys(Heal.of(kit, record), keys))
    except SelfHealError as error:
        return [f"it cannot be told: {one_line(str(error))}"]


def lines(found: Explanation) -> list[str]:
    """Give an explanation as text, the prompt last."""
    told = [f"reached by {count(len(found.tests), 'failing test')}"]
    told += [f"  {one_line(test)}" for test in found.tests]
    if found.reason:
        return [*told, f"nothing would be asked for it: {found.reason}"]
    if found.before:
        told.append(f"{count(found.before, 'other request')} would be planned first")
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


def write(reporter: pytest.TerminalReporter, stubs: Sequence[Stub], told: list[str]) -> None:
    """Write an explanation in a section of its own."""
    title = one_line(stubs[0].target) if stubs else "prompts, none of them sent"
    reporter.write_sep("=", f"selfheal: {title}")
    for line in told:
        reporter.write_line(line)
