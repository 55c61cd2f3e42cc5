"""The built-in models and sandboxes, registered through the same hooks as anyone's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pluggy

from pytest_selfheal.errors import SandboxUnavailable
from pytest_selfheal.source.project_files import is_text

if TYPE_CHECKING:
    from pytest_selfheal.protocols import Launcher, Model
    from pytest_selfheal.sandbox.workspace import Workspace
    from pytest_selfheal.settings import Settings

hookimpl = pluggy.HookimplMarker("pytest")


@hookimpl(trylast=True)
def pytest_selfheal_model(settings: Settings) -> Model:
    """A recording where one is given, else the endpoint."""
    if settings.replay is not None:
        from pytest_selfheal.model.recording import ReplayModel

        return ReplayModel.load(settings.replay)
    from pytest_selfheal.model.openai_model import OpenAIModel

    return OpenAIModel(
        name=settings.model,
        base_url=settings.base_url,
        api=settings.api,
        temperature=settings.temperature,
        reasoning_effort=settings.reasoning_effort,
    )


@hookimpl(trylast=True)
def pytest_selfheal_launcher(
    name: str, settings: Settings, workspace: Workspace
) -> Launcher | None:
    """Docker, bubblewrap or Landlock.

    Raises:
        SandboxUnavailable: The first and the last take paths as text, and the project's is none.
    """
    root = str(workspace.root)
    if name in ("docker", "landlock") and not is_text(root):
        raise SandboxUnavailable(
            f"{name} cannot be told of {root!r}, which is no UTF-8: rename it, or use "
            "--selfheal-sandbox=bubblewrap"
        )
    if name == "docker":
        from pytest_selfheal.sandbox.docker import DockerLauncher

        return DockerLauncher(
            workspace,
            settings.limits,
            image=settings.image,
            runtime=settings.docker_runtime,
            network=settings.docker_network,
        )
    if name == "bubblewrap":
        from pytest_selfheal.sandbox.bubblewrap import BubblewrapLauncher

        return BubblewrapLauncher(workspace, settings.limits)
    if name == "landlock":
        from pytest_selfheal.sandbox.landlock import LandlockLauncher

        return LandlockLauncher(workspace, settings.limits)
    return None
