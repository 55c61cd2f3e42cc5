"""`selfheal_image = NAME`: an image with a Python and a pytest of its own, and nothing of ours.

No image can be pulled in CI, so one is put together from this machine's Python.
"""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
import sysconfig
import tarfile
from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path

import pytest

from pytest_selfheal.records import Job, Limits, Watch
from tests.sandboxes import require, workspace

LEFT_OUT = re.compile(
    r"/(site-packages|dist-packages|test|tests|idlelib|ensurepip|tkinter|config-.*|__pycache__)(/|$)"
)
WATCH = Watch(key="answer", path="app.py", first_line=3, compiled_in=False)
DISTRIBUTIONS = ("pytest", "pluggy", "iniconfig", "packaging", "pygments")


def shared_libraries(*binaries: Path) -> set[Path]:
    """The shared libraries that binaries need, as the loader finds them here."""
    printed = subprocess.run(
        ["ldd", *map(str, binaries)], capture_output=True, text=True, check=False
    ).stdout
    return {Path(path) for path in re.findall(r"(/\S+\.so[^\s:]*)(?!\S)", printed)} - set(binaries)


def image_tar() -> bytes:
    """A root file system with Python at /usr/local, and pytest's packages in /site."""
    python = Path(sys.executable).resolve()
    stdlib = Path(sysconfig.get_path("stdlib"))
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.add(python, "usr/local/bin/python3")
        archive.add(
            stdlib,
            f"usr/local/lib/{version}",
            filter=lambda info: None if LEFT_OUT.search(f"/{info.name}") else info,
        )
        extensions = sorted((stdlib / "lib-dynload").glob("*.so"))
        for library in sorted(shared_libraries(python, *extensions)):
            archive.add(library.resolve(), f"libraries/{library.name}")
        loader = next(iter(Path("/lib64").glob("ld-linux*")), None)
        if loader is not None:
            archive.add(loader.resolve(), f"lib64/{loader.name}")
        for name in DISTRIBUTIONS:
            for file in distribution(name).files or ():
                if ".." not in file.parts and file.suffix != ".pyc":
                    archive.add(file.locate(), f"site/{file}")
    return buffer.getvalue()


@pytest.fixture(scope="module")
def image() -> Iterator[str]:
    require("docker")
    import docker

    name = f"pytest-selfheal-test-{os.getpid()}"
    client = docker.APIClient(version="auto")
    client.import_image_from_data(
        image_tar(),
        repository=name,
        tag="latest",
        changes=["ENV PYTHONPATH=/site", "ENV LD_LIBRARY_PATH=/libraries"],
    )
    try:
        yield f"{name}:latest"
    finally:
        client.remove_image(f"{name}:latest", force=True)
        client.close()


def test_tests_run_in_an_image_of_the_users_own(image: str, tmp_path: Path) -> None:
    from pytest_selfheal.sandbox.docker import DockerLauncher

    (tmp_path / "app.py").write_text(
        "from pytest_selfheal import heal\n\n@heal\ndef answer(): ...\n"
    )
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = --selfheal\nselfheal_jobs = 2\n")
    (tmp_path / "test_app.py").write_text(
        "import os, sys, app\n"
        "def test_answer():\n"
        "    assert sys.prefix == '/usr/local'\n"
        "    assert os.getcwd() == os.path.dirname(__file__)\n"
        "    assert app.answer() == 42\n"
    )
    launcher = DockerLauncher(workspace(tmp_path), Limits(), image=image)
    try:
        sandbox = launcher.launch()
        traced = sandbox.run(Job(nodes=("test_app.py::test_answer",), watch=(WATCH,)))
        sandbox.close()
        sandbox = launcher.launch()
        overlay = {"app.py": b"def answer():\n    return 42\n"}
        outcome = sandbox.run(Job(nodes=("test_app.py::test_answer",), overlay=overlay))
        sandbox.close()
    finally:
        launcher.close()
    assert [each.entered for each in traced.results] == [("answer",)], traced
    assert outcome.ending == "completed", outcome
    assert [each.outcome for each in outcome.results] == ["passed"], outcome.results


def test_an_image_that_is_nowhere_is_one_clear_line(tmp_path: Path) -> None:
    require("docker")
    from pytest_selfheal.errors import SandboxUnavailable
    from pytest_selfheal.sandbox.docker import DockerLauncher

    name = "localhost:9/there/is/none:1"
    with pytest.raises(SandboxUnavailable, match=re.escape(f"Docker image {name!r}: ")) as caught:
        DockerLauncher(workspace(tmp_path), Limits(), image=name)
    assert "\n" not in str(caught.value)
