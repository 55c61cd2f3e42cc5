"""What is run beside pytest: by pre-commit before a commit, and by CI after a run.

Each command is a module with a `run`, which takes the arguments and gives the exit status.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module

from pytest_selfheal.errors import SelfHealError

COMMANDS = {
    "staged": "heal what the staged tests need; arguments are pytest's (a pre-commit hook)",
    "check": "list the unhealed stubs of these files, or of all (a pre-commit hook)",
    "ci": "show a run in CI, from its JSON report: ci --help lists how",
}
"""Every command and what it does, in the order in which they are listed."""

MISUSED = 4


def main(arguments: Sequence[str]) -> int:
    """Run a command; 4 with a line on standard error where it cannot be."""
    name, rest = (arguments[0], arguments[1:]) if arguments else ("", [])
    if name in ("-h", "--help"):
        sys.stdout.write(_usage())
        return 0
    if name not in COMMANDS:
        sys.stderr.write(f"selfheal: {name!r} is no command\n{_usage()}" if name else _usage())
        return MISUSED
    try:
        status: int = import_module(f"{__name__}.{name}").run(rest)
    except SelfHealError as error:
        sys.stderr.write(f"selfheal {name}: {error}\n")
        return MISUSED
    return status


def _usage() -> str:
    lines = [f"  {name:<8} {what}" for name, what in COMMANDS.items()]
    return "\n".join(["usage: python -m pytest_selfheal COMMAND …", *lines, ""])
