"""Every moment of writing a heal, with the process killed there.

`python -m tests.faults.kill_points` (`--twice`: the next run is killed as well).
A child is forked for each; what it left is looked at, put in order as the next run does
it, and looked at again. Prints what it counted as JSON.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pytest_selfheal.errors import EditConflict
from pytest_selfheal.records import Edit
from pytest_selfheal.source import replacing
from pytest_selfheal.source.locks import project_lock
from pytest_selfheal.source.write import recover, write_edits
from tests.faults.killing import Steps

OLD = b"def f():\n    raise NotImplementedError\n"
NEW = b'def f():\n    """Long enough to be torn."""\n    return 1\n'
PERSONS = b"# a person's line\n"
TREES = {
    "one": ["a.py"],
    "three": ["a.py", "pkg/b.py", "pkg/link.py"],
}


@dataclass
class Scene:
    """A project that is healed, over and over."""

    root: Path
    paths: list[str]
    state: Path = field(init=False)
    edits: list[Edit] = field(init=False)

    def __post_init__(self) -> None:
        self.state = self.root / ".pytest_cache" / "selfheal"
        self.edits = [Edit(path=path, before=OLD, after=NEW) for path in self.paths]

    def set_up(self) -> None:
        """Everything old."""
        shutil.rmtree(self.root, ignore_errors=True)
        for path in self.paths:
            file = self.root / path
            file.parent.mkdir(parents=True, exist_ok=True)
            if file.name.startswith("link"):
                (self.root / "linked.py").write_bytes(OLD)
                file.symlink_to(self.root / "linked.py")
            else:
                file.write_bytes(OLD)
        (self.root / "a.py").chmod(0o640)

    def write(self) -> None:
        """Heal."""
        write_edits(self.root, self.edits, state_dir=self.state)

    def write_in_vain(self) -> None:
        """Heal where the last file cannot be replaced, so that the others are undone."""
        last = (self.root / self.paths[-1]).resolve()
        plain = os.replace

        def failing(source: str, target: str) -> None:
            if Path(target) == last:
                raise OSError(errno.EIO, "Input/output error")
            plain(source, target)

        os.replace = failing  # type: ignore[assignment]
        with contextlib.suppress(EditConflict):
            self.write()

    def recover(self) -> None:
        """What the next run does at its beginning."""
        recover(self.root, self.state)

    def contents(self) -> list[bytes]:
        """What the sources hold."""
        return [(self.root / path).read_bytes() for path in self.paths]

    def leftovers(self) -> list[str]:
        """Files that were not there, and a lock that is held."""
        own = {*self.paths, "linked.py"}
        left = [
            path.relative_to(self.root).as_posix()
            for path in self.root.rglob("*")
            if not path.is_dir() and path.name != "write.lock"
        ]
        found = [name for name in left if name not in own]
        try:
            with project_lock(self.state, 0.2, lambda _: None):
                pass
        except EditConflict as error:
            found.append(str(error))
        return found


def killed_at(work: Callable[[], None], folder: Path, moment: int) -> int:
    """Do something in a child that is killed at a moment; how many moments there were.

    0 where it was killed.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        steps = Steps([folder], moment)
        work()
        os.write(writing, b"%d" % steps.moments)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as answers:
        answer = answers.read()
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return 0
    assert os.WEXITSTATUS(status) == 0, "the child failed by itself"
    return int(answer)


def moments(
    work: Callable[[], None],
    scene: Scene,
    set_up: Callable[[], object],
    first: int = 1,
    step: int = 1,
) -> Iterator[int]:
    """Kill at one moment after the other, each time with a fresh scene."""
    moment = first
    while True:
        set_up()
        if killed_at(work, scene.root, moment):
            return
        yield moment
        moment += step


class Count:
    """What is wrong after the kills, and how many there were."""

    def __init__(self) -> None:
        self.found: Counter[str] = Counter()
        self.examples: list[str] = []
        for name in ("kill points", "torn files", "lost edits", "leftovers", "unfinished"):
            self.found[name] = 0

    def wrong(self, what: str, where: str) -> None:
        """Note it."""
        self.found[what] += 1
        self.examples.append(f"{what}: {where}")

    def look(self, scene: Scene, where: str) -> None:
        """Right after a kill: each file is old or new, and compiles."""
        self.found["kill points"] += 1
        for path, content in zip(scene.paths, scene.contents(), strict=True):
            if content not in (OLD, NEW):
                self.wrong("torn files", f"{where}: {path}")
            compile(content, path, "exec")

    def finish(self, scene: Scene, where: str) -> None:
        """The next run puts in order, heals what is not healed, and leaves nothing."""
        scene.recover()
        if len(set(scene.contents())) != 1:
            self.wrong("unfinished", f"{where}: half a heal after putting in order")
        if found := scene.leftovers():
            self.wrong("leftovers", f"{where}: {found}")
        scene.write()
        if set(scene.contents()) != {NEW}:
            self.wrong("unfinished", where)
        if (scene.root / "a.py").stat().st_mode & 0o777 != 0o640:
            self.wrong("unfinished", f"{where}: the mode is lost")
        if found := scene.leftovers():
            self.wrong("leftovers", f"{where}: {found}")


def run(count: Count, scene: Scene, *, twice: bool) -> None:
    """Kill everywhere; with `twice`, the putting in order as well."""
    for kind, work in (("heal", scene.write), ("undo", scene.write_in_vain)):
        for moment in moments(work, scene, scene.set_up):
            where = f"{kind} of {len(scene.paths)} at {moment}"
            count.look(scene, where)
            count.finish(scene, where)

            def cut_off(moment: int = moment, work: Callable[[], None] = work) -> None:
                scene.set_up()
                killed_at(work, scene.root, moment)

            person_edits(count, scene, where, cut_off)
            if twice:
                # All pairs would be tens of thousands: each first one with some second ones.
                for second in moments(scene.recover, scene, cut_off, 1 + moment % 29, 29):
                    again = f"{where}, then at {second} of putting in order"
                    count.look(scene, again)
                    count.finish(scene, again)


def person_edits(count: Count, scene: Scene, where: str, cut_off: Callable[[], None]) -> None:
    """Somebody edits a file before the next run: what they wrote stays, to the letter."""
    for path in scene.paths[:2]:
        cut_off()
        file = scene.root / path
        edited = file.read_bytes() + PERSONS
        file.write_bytes(edited)
        scene.recover()
        if file.read_bytes() != edited:
            count.wrong("lost edits", f"{where}: {path}")
        others = {(scene.root / each).read_bytes() for each in scene.paths if each != path}
        if not others <= {OLD, NEW} or len(others) > 1:
            count.wrong("torn files", f"{where}, {path} edited: {others}")
        if found := scene.leftovers():
            count.wrong("leftovers", f"{where}, {path} edited: {found}")


def main(*, twice: bool) -> int:
    """Do all of it and print the counts; 1 where something is wrong."""
    count = Count()
    # In memory where that can be had: what a disk takes to sync is not what is looked at.
    memory = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(dir=memory if os.access(memory, os.W_OK) else None))
    try:
        for name, paths in TREES.items():
            run(count, Scene(folder / name, paths), twice=twice)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(json.dumps({**count.found, "examples": count.examples[:10]}))
    return int(bool(count.examples))


assert replacing.os is os, "what is counted is what is called"

if __name__ == "__main__":
    sys.exit(main(twice="--twice" in sys.argv))
