"""A whole `pytest --selfheal`, killed at the system calls by which it changes the tree.

`python -m tests.faults.whole_runs --kills=16` (0: at every one). strace counts the calls
of the main thread, which does all writing, in a run that ends; then it kills further runs
(signal 9) as they enter a chosen one. After each: every source is old or new and compiles,
the next run finishes the work, and nothing is left over. Prints what it counted as JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.faults.kill_points import Count
from tests.faults.soak import look_for_leftovers
from tests.harness import Project, python
from tests.scripted_server import ScriptedServer

CALLS = (
    "openat,creat,write,pwrite64,rename,renameat,renameat2,unlink,unlinkat,mkdir,mkdirat,rmdir,"
    "fsync,fdatasync,chmod,fchmod,fchmodat,chown,fchown,fchownat,truncate,ftruncate,link,linkat,"
    "symlink,symlinkat,setxattr,fsetxattr,utimensat,flock"
)
OPTIONS = ("--selfheal-sandbox=bubblewrap", "--selfheal-report=report.json")
STUB = "# selfheal\ndef {name}(a: int) -> int:\n    ...\n"
HEALED = "def {name}(a: int) -> int:\n    return a + {number}\n"
SOURCES = {"mod.py": ("f", 1), "pkg/other.py": ("g", 2)}
TESTS = """
import mod
from pkg import other


def test_f():
    assert mod.f(1) == 2


def test_g():
    assert other.g(1) == 3
"""


def project(folder: Path) -> Project:
    """Two files to heal."""
    stubs = {path: STUB.format(name=name) for path, (name, _) in SOURCES.items()}
    return Project(folder, {**stubs, "pkg/__init__.py": "", "test_both.py": TESTS})


def answer(_: str, targets: tuple[str, ...], __: int) -> str:
    """The right code."""
    numbers = dict(SOURCES.values())
    names = [target.rpartition("::")[2] for target in targets]
    return "\n".join(python(HEALED.format(name=name, number=numbers[name])) for name in names)


class Runs:
    """Runs of the same heal, whole ones and cut off ones."""

    def __init__(self, folder: Path, server: ScriptedServer) -> None:
        self._folder = folder
        self._server = server
        self.count = Count()
        self.killed: Counter[str] = Counter()
        """At which calls."""

    def points(self) -> list[tuple[str, int]]:
        """The calls that change the tree, in a run that ends: name, and number of its kind."""
        whole = project(self._folder / "whole")
        status, log = self._traced(whole)
        assert status == 0, "the run that is to be cut off heals nothing"
        seen: Counter[str] = Counter()
        found = []
        for line in log:
            name = line.partition("(")[0]
            seen[name] += 1
            if changes(line, whole.root):
                found.append((name, seen[name]))
        return found

    def kill(self, name: str, number: int) -> None:
        """Cut a run off, look, and let the next one finish."""
        cut = project(self._folder / f"{name}-{number}")
        where = f"{name} {number}"
        status, log = self._traced(cut, "-e", f"inject={name}:signal=KILL:when={number}")
        if status != -9:
            self.killed["not reached"] += 1  # the counts are not the same in each run
        else:
            last = [line for line in log if not line.startswith(("+++", "---"))][-1]
            self.killed[name if changes(last, cut.root) else "elsewhere"] += 1
            self.count.found["kill points"] += 1
        for path, text in self._texts(cut).items():
            if text not in self._allowed(path):
                self.count.wrong("torn files", f"{where}: {path}")
        run = cut.heal(*OPTIONS, server=self._server)
        texts = self._texts(cut)
        if run.status or any(texts[path] != self._allowed(path)[1] for path in SOURCES):
            self.count.wrong("unfinished", f"{where}: {run.output[-600:]}")
        look_for_leftovers(self.count, cut, [])

    @staticmethod
    def _texts(cut: Project) -> dict[str, str]:
        return {path: (cut.root / path).read_text() for path in SOURCES}

    @staticmethod
    def _allowed(path: str) -> tuple[str, str]:
        name, number = SOURCES[path]
        return STUB.format(name=name), HEALED.format(name=name, number=number)

    def _traced(self, one: Project, *arguments: str) -> tuple[int, list[str]]:
        log = one.root.with_name(f"{one.root.name}.strace")
        tracing = ["strace", "-y", "-s", "0", "-e", f"trace={CALLS}", "-o", str(log), *arguments]
        command = one.command(*OPTIONS, server=self._server)
        done = subprocess.run(
            [*tracing, *command],
            cwd=one.root,
            env=one.environment(self._server, {"PYTHONHASHSEED": "0"}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=False,
        )
        return done.returncode, log.read_text(errors="replace").splitlines()


def changes(line: str, root: Path) -> bool:
    """Whether a line of strace's is a call that changes something in a folder."""
    name, _, arguments = line.partition("(")
    if "= -1 E" in line or (name == "openat" and not re.search("O_(WRONLY|RDWR|CREAT)", line)):
        return False
    # In quotes a path, in angles a descriptor's; that of AT_FDCWD is no argument.
    named = re.findall(r'"([^"]*)"|\d<([^>]*)>', arguments.rpartition(") = ")[0] or arguments)
    return any(Path(path).is_relative_to(root) for pair in named for path in pair if path)


def problem() -> str | None:
    """Why nothing can be traced here."""
    if shutil.which("strace") is None:
        return "strace is not installed"
    done = subprocess.run(["strace", "true"], capture_output=True, text=True, check=False)
    return f"strace may not trace: {done.stderr[-200:]}" if done.returncode else None


def main() -> int:
    """Kill, print the counts; 1 where something is wrong."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=16)
    given = parser.parse_args()
    if why := problem():
        print(json.dumps({"kill points": 0, "why": why}))
        return 0
    folder = Path(tempfile.mkdtemp())
    try:
        with ScriptedServer(answer) as server:
            runs = Runs(folder, server)
            points = runs.points()
            chosen = points
            if 0 < given.kills < len(points):
                chosen = random.Random(0).sample(points, given.kills)
            with ThreadPoolExecutor(os.cpu_count()) as executor:
                for done in [executor.submit(runs.kill, *point) for point in chosen]:
                    done.result()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    count = runs.count
    counts = {**count.found, "of": len(points), "at": runs.killed}
    print(json.dumps({**counts, "examples": count.examples[:10]}))
    return int(bool(count.examples))


if __name__ == "__main__":
    sys.exit(main())
