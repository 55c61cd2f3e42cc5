"""What of a machine and a project gets into a sandbox, and what never does."""

from __future__ import annotations

import io
import os
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest

from pytest_selfheal.errors import SandboxFailed
from pytest_selfheal.sandbox.workspace import (
    MAX_FILE_BYTES,
    Workspace,
    base_environment,
    is_secret,
    left_out,
    notes_on,
    other_names,
    snapshot,
    third_party_modules,
)


def names_in(data: bytes) -> set[str]:
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        return {each.name for each in archive if not each.isdir()}


def make(root: Path, *paths: str) -> None:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text("x")


class TestSnapshot:
    def test_holds_the_project_and_not_its_history_caches_or_secrets(self, tmp_path: Path) -> None:
        make(
            tmp_path,
            "src/a.py", "data/b.csv", ".hidden/c.py", ".env.example",
            ".git/HEAD", "src/__pycache__/a.pyc", ".env", ".env.local", "sub/.netrc", "id_rsa",
            "env/pyvenv.cfg", "env/lib/x.py", ".venv/y.py", "node_modules/z.js",
        )  # fmt: skip
        assert names_in(snapshot(tmp_path, 2**20)) == {
            "src/a.py", "data/b.csv", ".hidden/c.py", ".env.example",
        }  # fmt: skip

    def test_links_stay_links(self, tmp_path: Path) -> None:
        make(tmp_path, "a.py")
        (tmp_path / "link.py").symlink_to("a.py")
        with tarfile.open(fileobj=io.BytesIO(snapshot(tmp_path, 2**20))) as archive:
            assert archive.getmember("link.py").issym()

    def test_links_to_python_files_are_known(self, tmp_path: Path) -> None:
        root = (tmp_path / "root").resolve()
        make(root, "src/a.py", "data.csv", ".venv/pyvenv.cfg", ".venv/b.py")
        make(tmp_path, "outside.py")
        (root / "one.py").symlink_to("src/a.py")
        (root / "src/two.py").symlink_to(root / "one.py")
        (root / "out.py").symlink_to(tmp_path / "outside.py")
        (root / "gone.py").symlink_to("nowhere.py")
        (root / "round.py").symlink_to("round.py")
        (root / "data2.csv").symlink_to("data.csv")
        (root / ".venv/c.py").symlink_to(root / "src/a.py")
        (root / "linked").symlink_to("src")
        assert other_names(root, set(left_out(root))) == {"src/a.py": ["one.py", "src/two.py"]}

    def test_hard_links_are_files_of_their_own(self, tmp_path: Path) -> None:
        make(tmp_path, "a.py")
        (tmp_path / "b.py").hardlink_to(tmp_path / "a.py")
        with tarfile.open(fileobj=io.BytesIO(snapshot(tmp_path, 2**20))) as archive:
            assert all(archive.getmember(name).isreg() for name in ("a.py", "b.py"))

    @pytest.mark.parametrize("swap", ["link", "pipe"])
    def test_what_is_put_in_a_files_place_meanwhile_is_not_read(
        self, tmp_path: Path, swap: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        root, secret = tmp_path / "project", tmp_path / "key"
        make(root, "a.py", "b.py", "c.py")
        secret.write_text("selfheal-canary")
        looked_at = tarfile.TarFile.gettarinfo

        def and_swapped(*arguments: Any, **named: Any) -> tarfile.TarInfo:
            info = looked_at(*arguments, **named)
            if info.name == "b.py":
                (root / "b.py").unlink()
                if swap == "link":
                    (root / "b.py").symlink_to(secret)
                else:
                    os.mkfifo(root / "b.py")
            return info

        monkeypatch.setattr(tarfile.TarFile, "gettarinfo", and_swapped)
        data = snapshot(root, 2**20)
        assert names_in(data) == {"a.py", "c.py"}
        assert b"selfheal-canary" not in data

    def test_a_file_that_grows_or_shrinks_meanwhile_breaks_nothing(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        make(tmp_path, "a.py", "b.py", "c.py")
        looked_at = tarfile.TarFile.gettarinfo

        def and_written(*arguments: Any, **named: Any) -> tarfile.TarInfo:
            info = looked_at(*arguments, **named)
            (tmp_path / "a.py").write_text("longer than it was")
            (tmp_path / "b.py").write_text("")
            return info

        monkeypatch.setattr(tarfile.TarFile, "gettarinfo", and_written)
        with tarfile.open(fileobj=io.BytesIO(snapshot(tmp_path, 2**20))) as archive:
            found = {each.name: archive.extractfile(each) for each in archive}
            assert {name: file.read() for name, file in found.items() if file} == {
                "a.py": b"longer than it was",
                "b.py": b"",
                "c.py": b"x",
            }

    def test_no_file_runs_as_another_user(self, tmp_path: Path) -> None:
        make(tmp_path, "a.py", "tools/b.py")
        (tmp_path / "a.py").chmod(0o6755)
        (tmp_path / "tools").chmod(0o3755)
        with tarfile.open(fileobj=io.BytesIO(snapshot(tmp_path, 2**20))) as archive:
            assert {each.name: each.mode for each in archive} == {
                "a.py": 0o755,
                "tools": 0o755,
                "tools/b.py": 0o644,
            }

    def test_files_over_the_bound_are_left_out_and_named(self, tmp_path: Path) -> None:
        make(tmp_path, "a.py")
        for name in ("video.bin", "dump.bin"):
            with (tmp_path / name).open("wb") as file:
                file.truncate(MAX_FILE_BYTES + 1)
        left: list[str] = []
        assert names_in(snapshot(tmp_path, 2**20, left)) == {"a.py"}
        assert sorted(left) == ["dump.bin", "video.bin"]
        assert notes_on(left) == ["not in the sandbox, since over 32 MiB: dump.bin and 1 more"]
        assert notes_on(()) == []

    def test_too_large_says_what_to_do(self, tmp_path: Path) -> None:
        (tmp_path / "big").write_bytes(b"x" * 2**20)
        with pytest.raises(SandboxFailed, match="raise selfheal_disk"):
            snapshot(tmp_path, 2**19)

    def test_left_out_names_what_is_hidden(self, tmp_path: Path) -> None:
        make(tmp_path, ".git/HEAD", ".env", "a.py")
        assert {path.name for path in left_out(tmp_path)} == {".git", ".env"}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (".env", True),
        (".env.production", True),
        (".env.example", False),
        (".environment", False),
        (".netrc", True),
        ("id_rsa", True),
        ("environment.py", False),
        ("settings.py", False),
    ],
)
def test_is_secret(name: str, expected: bool) -> None:
    assert is_secret(name) is expected


def test_environment_is_made_and_not_inherited() -> None:
    source = {"OPENAI_API_KEY": "k", "HOME": "/home/me", "DB_URL": "x", "PYTHONPATH": "/p"}
    environment = base_environment(source, ["DB_URL", "NOT_SET"], "/tmp")
    assert environment["HOME"] == "/tmp"
    assert environment["DB_URL"] == "x"
    assert environment["PYTHONPATH"] == "/p"
    assert "OPENAI_API_KEY" not in environment
    assert "NOT_SET" not in environment


class TestReadPaths:
    def workspace(self, root: Path, *sys_path: Path) -> Workspace:
        return Workspace(root=root, cwd=root, sys_path=tuple(map(str, sys_path)), environment={})

    def test_never_the_home_or_a_folder_above_the_project(self, tmp_path: Path) -> None:
        root = tmp_path / "project"
        root.mkdir()
        make(tmp_path, "secret.txt", "beside/__init__.py", "module.py", ".git/HEAD")
        paths = self.workspace(root, tmp_path, Path.home(), Path("/")).read_paths
        assert str(tmp_path) not in paths
        assert str(Path.home()) not in paths
        assert "/" not in paths
        assert {str(tmp_path / "beside"), str(tmp_path / "module.py")} <= set(paths)
        assert not any("secret" in path or ".git" in path for path in paths)

    def test_the_project_itself_is_not_mounted_but_an_environment_in_it_is(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        environment = tmp_path / "env"
        environment.mkdir()
        monkeypatch.setattr(sys, "prefix", str(environment))
        make(tmp_path, "src/a.py")
        paths = self.workspace(tmp_path, tmp_path, tmp_path / "src").read_paths
        assert str(environment) in paths
        assert str(tmp_path) not in paths
        assert str(tmp_path / "src") not in paths

    def test_folders_within_others_are_left_out(self, tmp_path: Path) -> None:
        outside = tmp_path / "lib"
        make(tmp_path, "lib/inner/a.py", "project/b.py")
        paths = self.workspace(tmp_path / "project", outside, outside / "inner").read_paths
        assert str(outside) in paths
        assert str(outside / "inner") not in paths


def test_warm_modules_are_installed_ones_that_are_not_ours() -> None:
    names = third_party_modules(sys.modules, Path("/nowhere"))
    assert "hypothesis" in names or "libcst" in names or "iniconfig" in names
    assert not any(name.partition(".")[0] in ("pytest", "_pytest", "openai") for name in names)
