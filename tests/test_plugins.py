"""Other plugins beside us, the real ones: a heal with each, and with all of them at once.

What is seen here is what docs/plugins.md says of them.
"""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.harness import Project, Run, python, require
from tests.sandboxes import WITHOUT_PLUGINS
from tests.scripted_server import ScriptedServer

FILES = {
    "src/calc.py": """
        CALLS = []


        # selfheal
        def double(x):
            ...


        def half(x):
            return x / 2
    """,
    "test_calc.py": """
        import calc


        def test_double():
            assert calc.double(2) == 4


        def test_half():
            assert calc.half(4) == 2
    """,
    "pytest.ini": "[pytest]\npythonpath = src\n",
}
KINDS = {
    "test_kinds.py": """
        import pytest
        from hypothesis import given
        from hypothesis import strategies as st

        import calc


        @pytest.mark.asyncio
        async def test_asyncio():
            assert calc.double(3) == 6


        @pytest.mark.anyio
        async def test_anyio(anyio_backend_name):
            assert calc.double(4) == 8


        @pytest.fixture
        def anyio_backend():
            return "asyncio"


        def test_mock(mocker):
            mocker.patch("calc.half", return_value=21)
            assert calc.double(calc.half(0)) == 42


        @given(st.integers())
        def test_hypothesis(x):
            assert calc.double(x) == x + x
    """
}
RIGHT = python("def double(x):\n    return x * 2\n")
# Wrong at its first call: what runs a test again would make it green.
AT_SECOND = python(
    "def double(x):\n    CALLS.append(x)\n    return x * 2 if len(CALLS) > 1 else None\n"
)
HANGS = python("def double(x):\n    while True:\n        pass\n")


def heal(project: Project, *arguments: str, plugins: str = "", replies: tuple[str, ...]) -> Run:
    """Heal with these plugins of those that are installed."""
    wanted = plugins.split()
    off = [name for name in re.findall(r"-p no:(\S+)", WITHOUT_PLUGINS) if name not in wanted]
    addopts = " ".join(f"-p no:{name}" for name in off)
    with ScriptedServer({"src/calc.py::double": list(replies)}) as server:
        return project.heal(
            "--selfheal-sandbox=landlock",
            *arguments,
            server=server,
            env={"PYTEST_ADDOPTS": addopts},
        )


def in_junit(project: Project, run: Run) -> None:
    suite = ET.parse(project.root / "out.xml").getroot()[0]
    assert (suite.get("tests"), suite.get("failures")) == ("2", "1"), "not the run's own"


def in_html(project: Project, run: Run) -> None:
    page = (project.root / "out.html").read_text()
    assert "1 Failed" in page
    assert "1 Passed" in page


def in_json(project: Project, run: Run) -> None:
    told = json.loads((project.root / "out.json").read_text())
    assert told["summary"]["failed"] == told["summary"]["passed"] == 1
    assert told["exitcode"] == run.status, "not the exit status that pytest ends with"


def in_coverage(project: Project, run: Run) -> None:
    found = ET.parse(project.root / "cov.xml").getroot().find(".//class")
    assert found is not None
    assert float(found.get("line-rate", "0")) == 1.0, "a stub's `...` counts"


def seen_with_a_seed(project: Project, run: Run) -> None:
    assert "Using --randomly-seed=7" in run.output


def failed_first(project: Project, run: Run) -> None:
    assert run.verdicts("src/calc.py::double") == ["failed", "passed"]


def timed_out_alone(project: Project, run: Run) -> None:
    failed_first(project, run)
    why = run.stubs["src/calc.py::double"]["attempts"][0]["why"]
    assert "Timeout" in why, why


def nothing_more(project: Project, run: Run) -> None:
    assert "1 passed, 1 healed" in run.output


CASES: dict[str, tuple[str, list[str], tuple[str, ...], Callable[[Project, Run], None]]] = {
    "junit-xml": ("", ["--junitxml=out.xml"], (RIGHT,), in_junit),
    "html": ("html metadata", ["--html=out.html", "--self-contained-html"], (RIGHT,), in_html),
    "json-report": (
        "pytest_jsonreport metadata",
        ["--json-report", "--json-report-file=out.json"],
        (RIGHT,),
        in_json,
    ),
    "cov": ("pytest_cov", ["--cov=src", "--cov-report=xml:cov.xml"], (RIGHT,), in_coverage),
    "xdist": ("", ["-n2", "--dist=loadfile"], (RIGHT,), nothing_more),
    "randomly": ("randomly", ["--randomly-seed=7"], (RIGHT,), seen_with_a_seed),
    "timeout": ("timeout", ["--timeout=2"], (HANGS, RIGHT), timed_out_alone),
    "rerunfailures": ("rerunfailures", ["--reruns=2"], (AT_SECOND, RIGHT), failed_first),
}


@pytest.fixture
def project(tmp_path: Path) -> Project:
    require("landlock")
    return Project(tmp_path / "project", FILES)


@pytest.mark.parametrize("name", CASES)
def test_a_plugin_beside_us(project: Project, name: str) -> None:
    plugins, arguments, replies, look = CASES[name]
    run = heal(project, *arguments, plugins=plugins, replies=replies)
    assert run.status == 0, run.output
    assert run.statuses() == {"src/calc.py::double": "healed"}
    assert "return x * 2\n" in run.text("src/calc.py")
    look(project, run)


def test_all_of_them_at_once(project: Project) -> None:
    project.write(KINDS)
    every = " ".join(re.findall(r"-p no:(\S+)", WITHOUT_PLUGINS))
    arguments = [each for _, given, _, _ in CASES.values() for each in given]
    run = heal(
        project,
        *(each for each in arguments if each != "--timeout=2"),
        "--timeout=120",
        *("-o", "asyncio_default_fixture_loop_scope=function"),
        plugins=every,
        replies=(AT_SECOND, RIGHT),
    )
    assert run.status == 0, run.output
    assert run.statuses() == {"src/calc.py::double": "healed"}
    assert run.report is not None
    assert sorted(run.report["tests"]["healed"]) == [
        "test_calc.py::test_double",
        "test_kinds.py::test_anyio",
        "test_kinds.py::test_asyncio",
        "test_kinds.py::test_hypothesis",
        "test_kinds.py::test_mock",
    ]
    for name in ("out.xml", "out.html", "out.json", "cov.xml"):
        assert (project.root / name).exists(), name
