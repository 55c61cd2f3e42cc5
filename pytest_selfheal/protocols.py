"""The two ports of the program: who writes code, and where it is run.

A plugin supplies another model or another sandbox by giving an object with these
methods through the hooks in `hookspecs.py`; the built-in ones come the same way.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from pytest_selfheal.records import Job, ModelUsage, Reply, RunOutcome


class Model(Protocol):
    """Answers prompts. Called from several threads at once."""

    name: str

    def ask(self, prompt: str, *, targets: Sequence[str], attempt: int) -> Reply:
        """Give the reply to a prompt.

        Args:
            prompt: The whole text of the request.
            targets: The targets that it asks for, in the prompt's order.
            attempt: 1 for the first request for these targets, then 2 and so on.

        Raises:
            ModelUnavailable: The service gave no reply; the message is one line.
        """

    def usage(self) -> ModelUsage:
        """What was asked so far."""

    def close(self) -> None:
        """Let go of connections and files."""


class Sandbox(Protocol):
    """A confined process with the project's files in place; good for one job."""

    def run(self, job: Job) -> RunOutcome:
        """Run a job to its end and say how it ended. Never raises for what the code does."""

    def close(self) -> None:
        """End everything inside and remove what was left; may be called twice."""


class Launcher(Protocol):
    """Starts sandboxes of one kind. Called from several threads at once."""

    name: str

    def launch(self) -> Sandbox:
        """Start a sandbox and wait until it is parked: pytest imported, files in place.

        Raises:
            SandboxFailed: It did not come up; the message is one line.
        """

    def close(self) -> None:
        """Let go of what all its sandboxes share."""
