"""Add to each prompt what `house-rules.md` in the rootdir says."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

_rules = ""


def pytest_configure(config: pytest.Config) -> None:
    global _rules
    file = Path(config.rootpath, "house-rules.md")
    _rules = file.read_text("utf-8") if file.exists() else ""


@pytest.hookimpl(optionalhook=True)
def pytest_selfheal_prompt(prompt: str, targets: Sequence[str]) -> str | None:
    return f"{prompt}\n# House rules\n\n{_rules}" if _rules else None
