"""What other plugins may supply or change, under pytest's own plugin manager.

A hook is implemented like any of pytest's: a function of that name in a plugin or in the
rootdir's `conftest.py`. None is called without `--selfheal`. They may be called from
other threads than the main one, each call from one thread alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pytest_selfheal.protocols import Launcher, Model
    from pytest_selfheal.records import Attempt, Candidate, StubReport
    from pytest_selfheal.sandbox.workspace import Workspace
    from pytest_selfheal.settings import Settings


@pytest.hookspec(firstresult=True)
def pytest_selfheal_model(settings: Settings) -> Model | None:
    """Supply the model that is asked for code.

    Called once, before the first request, and once more for the second model where there
    is one: `settings.model` says which is wanted. Budgets, rate limits and the recording are
    put around whatever is returned. The built-in implementation comes last and gives
    the recording of `--selfheal-replay`, else the OpenAI-compatible endpoint.

    Args:
        settings: The options of this run.

    Returns:
        A model, or None to leave it to the next plugin.
    """


@pytest.hookspec(firstresult=True)
def pytest_selfheal_launcher(
    name: str, settings: Settings, workspace: Workspace
) -> Launcher | None:
    """Supply the launcher of sandboxes.

    Called once, before the first sandbox is started.

    Args:
        name: What was chosen: `docker`, `bubblewrap` or `landlock`. A plugin that has
            another technique takes the place of one of them.
        settings: The options of this run, limits included.
        workspace: What a sandbox must mirror.

    Returns:
        A launcher, or None to leave it to the next plugin.
    """


@pytest.hookspec
def pytest_selfheal_prompt(prompt: str, targets: Sequence[str]) -> str | None:
    """Add to a prompt, or change it.

    Called before each request, once for every plugin; each is given what the one before
    made of it. The lines that begin with `Target:` must stay.

    Args:
        prompt: The whole text of the request.
        targets: What it asks for, as `path::qualname`.

    Returns:
        The text to send instead, or None to leave it as it is.
    """


@pytest.hookspec(firstresult=True)
def pytest_selfheal_veto(candidate: Candidate) -> str | None:
    """Object to a candidate before it is run.

    Called for each reply that the static policy lets through.

    Args:
        candidate: The definitions, imports and helpers that were read from the reply.

    Returns:
        One line that says why not, which the model is told; or None to let it pass.
    """


@pytest.hookspec
def pytest_selfheal_attempt(targets: Sequence[str], number: int, attempt: Attempt) -> None:
    """Be told of an attempt once its verdict is there.

    Args:
        targets: What was asked for.
        number: 1 for the first.
        attempt: The verdict, why, and the code.
    """


@pytest.hookspec
def pytest_selfheal_healed(stub: StubReport) -> None:
    """Be told of a stub that was healed: its code is confirmed and, in apply mode, written.

    Args:
        stub: Its report, with the diff.
    """
