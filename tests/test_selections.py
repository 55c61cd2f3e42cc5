"""Runs that choose tests by what is remembered, under settings in each of pytest's files."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.harness import Project, python, require
from tests.scripted_server import ScriptedServer

FILES = {
    "shop.py": """
        # selfheal
        def price(cents):
            ...

        def label(name):
            return name.title()
    """,
    "test_shop.py": """
        from shop import label, price

        def test_price():
            assert price(250) == "2.50"

        def test_label():
            assert label("tea") == "Tea"
    """,
}
REPLY = python("def price(cents):\n    return f'{cents / 100:.2f}'\n")


@pytest.mark.parametrize(
    ("settings", "text", "options"),
    [
        pytest.param("setup.cfg", "[tool:pytest]\naddopts = -q\n", ["--lf"], id="last-failed"),
        pytest.param("tox.ini", "[pytest]\naddopts = -q\n", ["--ff", "--nf"], id="failed-first"),
        pytest.param(
            "pyproject.toml",
            '[tool.pytest.ini_options]\naddopts = "-q"\n',
            ["-n2", "--dist=each"],
            id="each-worker-all-tests",
        ),
    ],
)
def test_a_stub_is_healed_however_its_test_is_chosen(
    tmp_path: Path, settings: str, text: str, options: list[str]
) -> None:
    require("bubblewrap")
    project = Project(tmp_path / "project", {**FILES, settings: text})
    (project.root / "pytest.ini").unlink()
    before = [*project.command()[:3], "-p", "no:selfheal"]  # what failed is remembered
    done = subprocess.run(
        before, cwd=project.root, env=project.environment(), capture_output=True, check=False
    )
    assert done.returncode == 1
    with ScriptedServer({"shop.py::price": [REPLY]}) as server:
        run = project.heal("--selfheal-sandbox=bubblewrap", *options, server=server)
        assert len(server.requests) == 1
    assert run.status == 0, run.output
    assert run.statuses() == {"shop.py::price": "healed"}
    assert run.report is not None
    assert run.report["tests"]["healed"] == ["test_shop.py::test_price"]
    assert list(run.changed) == ["shop.py"]
