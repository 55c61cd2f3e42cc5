"""A model of one's own: any program that reads a prompt and prints a reply.

`SELFHEAL_COMMAND` names it, with its arguments: `SELFHEAL_COMMAND="llm --no-stream"`.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pytest_selfheal.protocols import Model
    from pytest_selfheal.records import ModelUsage, Reply
    from pytest_selfheal.settings import Settings


class CommandModel:
    """Gives each prompt to a process of its own. Called from several threads."""

    def __init__(self, command: Sequence[str]) -> None:
        self.name = command[0]
        self._command = command
        self._lock = threading.Lock()
        self._requests = 0

    def ask(self, prompt: str, *, targets: Sequence[str], attempt: int) -> Reply:
        from pytest_selfheal.errors import ModelUnavailable
        from pytest_selfheal.model.reply import read_reply

        with self._lock:
            self._requests += 1
        try:
            done = subprocess.run(
                self._command,
                input=prompt,
                capture_output=True,
                encoding="utf-8",
                check=True,
                timeout=600,
            )
        except (OSError, subprocess.SubprocessError) as error:
            # One line; the stub ends unhealed with it.
            raise ModelUnavailable(f"{self.name} gave no reply: {error}") from error
        return read_reply(done.stdout)

    def usage(self) -> ModelUsage:
        from pytest_selfheal.records import ModelUsage

        return ModelUsage(name=self.name, requests=self._requests)

    def close(self) -> None:
        """Nothing is kept open."""


@pytest.hookimpl(optionalhook=True)
def pytest_selfheal_model(settings: Settings) -> Model | None:
    command = shlex.split(os.environ.get("SELFHEAL_COMMAND", ""))
    return CommandModel(command) if command else None
