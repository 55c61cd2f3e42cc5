"""What one sandbox read while it started is given to the next in one piece."""

from __future__ import annotations

import importlib
import marshal
import sys
from pathlib import Path

import pytest

from pytest_selfheal.records import Job, Limits
from pytest_selfheal.sandbox import inside_ahead
from pytest_selfheal.sandbox.landlock import LandlockLauncher
from pytest_selfheal.sandbox.read_ahead import ReadAhead
from tests.sandboxes import require, workspace

NOTHING: dict[str, list[str]] = {"files": [], "folders": [], "stats": []}


@pytest.fixture
def libraries(tmp_path: Path) -> Path:
    folder = tmp_path / "libraries"
    folder.mkdir()
    (folder / "module_a.py").write_text("VALUE = 'a'\n")
    return folder


def test_holds_what_may_be_read_and_nothing_else(tmp_path: Path, libraries: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("hidden")
    (libraries / "link").symlink_to(secret)
    ahead = ReadAhead(tmp_path / "ahead", [str(libraries)])
    known, missing = str(libraries / "module_a.py"), str(libraries / "none")
    ahead.learn(
        {
            "files": [known, missing, str(secret), str(libraries / "link"), "relative", 3],
            "folders": [str(libraries), str(tmp_path)],
            "stats": [known, missing, str(secret)],
        }
    )
    assert ahead.file is not None
    files, folders, stats = marshal.loads(Path(ahead.file).read_bytes())
    assert files == {known: b"VALUE = 'a'\n", missing: None}
    assert folders.keys() == {str(libraries)}
    assert stats.keys() == {known, missing}
    assert stats[missing] is None


@pytest.mark.parametrize(
    "noted", [None, {}, {"files": 3, "folders": [], "stats": []}, {"files": []}]
)
def test_does_without_what_it_cannot_make(tmp_path: Path, noted: dict[str, object] | None) -> None:
    ahead = ReadAhead(tmp_path / "ahead", [str(tmp_path)])
    ahead.learn(noted)
    assert ahead.file is None


def test_is_made_once(tmp_path: Path, libraries: Path) -> None:
    ahead = ReadAhead(tmp_path / "ahead", [str(libraries)])
    ahead.learn(NOTHING)
    before = Path(str(ahead.file)).read_bytes()
    ahead.learn(NOTHING | {"folders": [str(libraries)]})
    assert Path(str(ahead.file)).read_bytes() == before


def test_does_without_where_the_folder_cannot_be_written(tmp_path: Path) -> None:
    ahead = ReadAhead(tmp_path / "none" / "ahead", [str(tmp_path)])
    ahead.learn(NOTHING)
    assert ahead.file is None


def test_imports_what_was_read_ahead_and_leaves_imports_as_they_were(
    tmp_path: Path, libraries: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(libraries))
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    noting = inside_ahead.Ahead(None)
    with noting:
        importlib.import_module("module_a")
    monkeypatch.delitem(sys.modules, "module_a")
    ahead = ReadAhead(tmp_path / "ahead", [str(libraries)])
    ahead.learn(noting.noted())
    # The source is gone from where it was, and its bytecode too: only the file has them.
    libraries.rename(tmp_path / "elsewhere")
    importlib.invalidate_caches()
    sys.path_importer_cache.pop(str(libraries), None)
    with inside_ahead.Ahead(ahead.file):
        assert importlib.import_module("module_a").VALUE == "a"
    monkeypatch.delitem(sys.modules, "module_a")
    importlib.invalidate_caches()
    sys.path_importer_cache.pop(str(libraries), None)
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("module_a")


def test_the_second_sandbox_starts_from_it(tmp_path: Path) -> None:
    require("landlock")
    (tmp_path / "test_a.py").write_text(
        "import json, pytest\n"
        "from importlib.machinery import SourceFileLoader\n"
        "def test_a():\n"
        "    assert type(json.__loader__) is type(pytest.__loader__) is SourceFileLoader\n"
        '    assert json.__loader__.get_data(json.__file__).startswith(b\'r"""JSON\')\n'
    )
    launcher = LandlockLauncher(workspace(tmp_path), Limits())
    try:
        outcomes = []
        for _ in range(2):
            sandbox = launcher.launch()
            outcomes.append(sandbox.run(Job(nodes=("test_a.py::test_a",))))
            sandbox.close()
        (made,) = launcher._premises.folder.glob("importable/read-ahead")
        files, _, stats = marshal.loads(made.read_bytes())
    finally:
        launcher.close()
    assert [[each.outcome for each in one.results] for one in outcomes] == [["passed"]] * 2
    assert any(name.endswith(".pyc") and "_pytest" in name for name in files)
    assert pytest.__file__ in stats
    assert not any(name.startswith(str(tmp_path)) for name in files)
