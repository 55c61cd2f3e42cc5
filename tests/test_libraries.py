"""A slice of what `make libraries` does: well-known libraries, stubbed and healed whole.

Both come with the development environment, as wheels that hold tests: toolz has them
inside its package, the examples in more-itertools' docstrings are doctests.
"""

from __future__ import annotations

import importlib.util
import shutil
import sys
from pathlib import Path

import pytest

from benchmarks.libraries.catalog import Library
from benchmarks.libraries.fetch import Environment
from benchmarks.libraries.stubs import functions, stubbed
from benchmarks.libraries.trial import Choice, try_library
from tests.sandboxes import require

TOOLZ = Library(
    name="toolz",
    version="installed",
    sources=("toolz/*.py",),
    not_sources=("toolz/_version.py",),
    tests=("toolz/tests/test_dicttoolz.py", "toolz/tests/test_recipes.py"),
    options=("-o", "pythonpath=."),
)
MORE_ITERTOOLS = Library(
    name="more_itertools",
    version="installed",
    sources=("more_itertools/recipes.py",),
    tests=("more_itertools/recipes.py",),
    options=("-o", "pythonpath=.", "--doctest-modules"),
)


@pytest.mark.parametrize(
    ("library", "choice", "backend"),
    [
        pytest.param(
            TOOLZ, Choice(module="toolz/[dr]*toolz.py"), "docker", id="toolz-marked-by-decorators"
        ),
        pytest.param(
            MORE_ITERTOOLS,
            Choice(share=0.3, marker="comment"),
            "bubblewrap",
            id="more-itertools-marked-by-comments",
        ),
    ],
)
def test_a_library_comes_back_as_it_was(
    tmp_path: Path, library: Library, choice: Choice, backend: str
) -> None:
    require(backend)
    found = importlib.util.find_spec(library.name)
    assert found is not None
    assert found.origin is not None
    original = tmp_path / "original"
    shutil.copytree(Path(found.origin).parent, original / library.name)
    (original / "pytest.ini").write_text("[pytest]\n")
    work = tmp_path / "work"
    work.mkdir()
    environment = Environment(python=Path(sys.executable), variables={})
    options = [f"--selfheal-sandbox={backend}"]
    trial = try_library(library, original, environment, work, choice, options)
    assert trial.problems == ()
    assert trial.lost == (), trial.output
    assert trial.status == 0
    assert trial.stubs >= 10
    assert trial.healed == trial.stubs
    assert trial.identical == trial.files
    assert trial.requests <= 1.1 * trial.stubs


def test_the_harness_sees_what_it_is_to_see(tmp_path: Path) -> None:
    """Stubs are cut out so that putting the text back gives the file."""
    source = (
        b'"""Doc."""\n\nimport os\n\n\nclass C:\n    @property\n    def p(self):\n'
        b'        """Doc."""\n        # why\n        return 1\n        # end\n\n'
        b"    def one(self): return 2\n\n    def stub(self): ...\n"
    )
    found = list(functions(source, "c.py"))
    assert [each.qualname for each in found] == ["C.p", "C.one"]
    assert stubbed(source, found, "comment", "...") == (
        b'"""Doc."""\n\nimport os\n\n\nclass C:\n    # selfheal\n    @property\n'
        b'    def p(self):\n        """Doc."""\n        ...\n\n'
        b"    # selfheal\n    def one(self): ...\n\n    def stub(self): ...\n"
    )
    marked = stubbed(source, found[:1], "decorator", "pass")
    assert b"from pytest_selfheal import heal\nimport os\n" in marked
    assert b"    @heal\n    @property\n" in marked
