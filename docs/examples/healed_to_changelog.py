"""Leave a fragment for the changelog, for a person to word, with each stub that was healed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pytest_selfheal.records import StubReport

FOLDER = Path("changelog.d")


@pytest.hookimpl(optionalhook=True)
def pytest_selfheal_healed(stub: StubReport) -> None:
    FOLDER.mkdir(exist_ok=True)
    path, _, qualname = stub.target.partition("::")
    file = FOLDER / f"{qualname}.md"
    file.write_text(
        f"`{qualname}` in `{path}` is written: by a model, in {len(stub.attempts)} attempts, "
        f"held by {len(stub.tests)} tests.\n",
        encoding="utf-8",
    )
