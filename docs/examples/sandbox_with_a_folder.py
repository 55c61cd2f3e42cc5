"""Let tests in a sandbox read a folder that lies outside the project.

`SELFHEAL_DATA` names it. Everything that is tested can read what is in there.
"""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pytest_selfheal.protocols import Launcher
    from pytest_selfheal.sandbox.workspace import Workspace
    from pytest_selfheal.settings import Settings


@pytest.hookimpl(optionalhook=True)
def pytest_selfheal_launcher(
    name: str, settings: Settings, workspace: Workspace
) -> Launcher | None:
    if "SELFHEAL_DATA" not in os.environ:
        return None
    from pytest_selfheal.defaults import pytest_selfheal_launcher as built_in

    folder = str(Path(os.environ["SELFHEAL_DATA"]).resolve())
    wider = dataclasses.replace(workspace, beside=(*workspace.beside, folder))
    return built_in(name=name, settings=settings, workspace=wider)
