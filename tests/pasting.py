"""Blocks of the documentation, pasted into a shell."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SANDBOX = "landlock"

# Stands for pip: nothing is installed, but what it was asked for must be there, extras too.
_PIP = """
import sys
from importlib.metadata import metadata
from packaging.requirements import Requirement

command, *wanted = sys.argv[1:]
assert command == "install", command
for text in wanted:
    required = Requirement(text)
    extras = metadata(required.name).get_all("Provides-Extra") or []
    assert required.extras <= set(extras), f"{text}: there are only {extras}"
"""
_PYTHON = f"""\
#!/bin/sh
if [ "$1 $2" = "-m pip" ]; then
    shift 2
    exec pip "$@"
fi
exec "{sys.executable}" "$@"
"""
_OTHERS = ("ollama", "vllm")
"""Programs that a block starts before the command that it is about; they do nothing here."""


def make_commands(folder: Path) -> Path:
    """Fill a folder for PATH: `pytest`, `python` and `pip`, as this very Python has them."""
    (folder / "pip.py").write_text(_PIP)
    texts = {
        "pytest": f'#!/bin/sh\nexec "{sys.executable}" -m pytest "$@"\n',
        "python": _PYTHON,
        "pip": f'#!/bin/sh\nexec "{sys.executable}" "{folder}/pip.py" "$@"\n',
        **dict.fromkeys(_OTHERS, "#!/bin/sh\n"),
    }
    for name, text in texts.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    return folder


def paste(
    script: str,
    folder: Path,
    commands: Path,
    *options: str,
    env: Mapping[str, str] | None = None,
    shell: str = "sh",
) -> subprocess.CompletedProcess[str]:
    """Run a block in a shell, its pytest with the tests' sandbox and these options.

    Args:
        script: What is pasted.
        folder: Where.
        commands: A folder made by `make_commands`.
        options: Put before those of each pytest in the script.
        env: More variables.
        shell: Which one.
    """
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("OPENAI_", "PYTEST_", "GITHUB_"))
    }
    addopts = ["-p", "no:cacheprovider", f"--selfheal-sandbox={SANDBOX}", *options]
    return subprocess.run(
        [shell, "-euc", script],
        cwd=folder,
        env={
            **environment,
            "PATH": f"{commands}{os.pathsep}{environment['PATH']}",
            "PYTHONPATH": str(ROOT),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTEST_ADDOPTS": " ".join(addopts),
            **(env or {}),
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=600,
    )
