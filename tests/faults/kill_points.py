"""Every moment of writing a heal, with the process killed there.

`python -m tests.faults.kill_points` (`--twice`: the next run is killed as well, in a sample
of pairs, and all is done again as where files cannot be exchanged). A child is forked for
each; what it left is looked at, put in order as the next run does it, and looked at again.
Prints what it counted as JSON.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import json
import os
import random
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pytest_selfheal.errors import EditConflict
from pytest_selfheal.records import Edit
from pytest_selfheal.source import journal, replacing
from pytest_selfheal.source.locks import project_lock
from pytest_selfheal.source.recovering import recover
from pytest_selfheal.source.write import write_edits
from tests.faults.killing import Steps

OLD = b"def f():\n    raise NotImplementedError\n"
NEW = b'def f():\n    """Long enough to be torn."""\n    return 1\n'
ours: Any = replacing
"""Whose functions are replaced here."""
PAIRS = 150
"""With `--twice`, of each tree: all would be tens of thousands."""
PERSONS = b"# a person's line\n"
SAVED = PERSONS + OLD
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

        def failing(plain: Callable[[Path, Path], Any]) -> Callable[[Path, Path], Any]:
            def replace(source: Path, target: Path) -> Any:
                if target == last:
                    raise OSError(errno.EIO, "Input/output error")
                return plain(source, target)

            return replace

        os.replace = failing(os.replace)  # type: ignore[assignment]
        ours.exchange = failing(ours.exchange)
        with contextlib.suppress(EditConflict):
            self.write()

    def write_while_saving(self) -> None:
        """Heal, with somebody who saves each file between the last look at it and its end."""
        plain = ours.exchange
        saved = set()

        def exchange(one: Path, other: Path) -> bool:
            if other not in saved:
                saved.add(other)
                save(other)
            return plain(one, other)

        ours.exchange = exchange
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


def save(file: Path) -> None:
    """As an editor does it that writes a file beside and renames it."""
    beside = file.with_name("saved.swp")
    beside.write_bytes(SAVED)
    beside.rename(file)


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
) -> Iterator[int]:
    """Kill at one moment after the other, each time with a fresh scene."""
    for moment in itertools.count(1):
        set_up()
        if killed_at(work, scene.root, moment):
            return
        yield moment


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
            if content in (OLD, NEW):
                compile(content, path, "exec")
            else:
                self.wrong("torn files", f"{where}: {path}")

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


def run(count: Count, scene: Scene) -> None:
    """Kill everywhere."""
    for kind, work in (("heal", scene.write), ("undo", scene.write_in_vain)):
        for moment in moments(work, scene, scene.set_up):
            where = f"{kind} of {len(scene.paths)} at {moment}"
            count.look(scene, where)
            count.finish(scene, where)

            def cut_off(moment: int = moment, work: Callable[[], None] = work) -> None:
                scene.set_up()
                killed_at(work, scene.root, moment)

            person_edits(count, scene, where, cut_off)


def run_with_saves(count: Count, scene: Scene) -> None:
    """Kill everywhere while somebody saves in the worst moment: what they saved stays."""
    is_saved = False
    for moment in moments(scene.write_while_saving, scene, scene.set_up):
        where = f"save in the heal of {len(scene.paths)} at {moment}"
        count.found["kill points"] += 1
        for _ in range(2):  # as it was left, and as the next run leaves it
            for path, content in zip(scene.paths, scene.contents(), strict=True):
                if content not in (OLD, NEW, SAVED):
                    count.wrong("torn files", f"{where}: {path}")
            scene.recover()
        # The first one is saved before anything is in place, so that nothing may be.
        found = set(scene.contents())
        if found - {OLD, SAVED} or (is_saved and SAVED not in found):
            count.wrong("lost edits", f"{where}: {scene.contents()}")
        is_saved |= SAVED in found
        (scene.root / "saved.swp").unlink(missing_ok=True)
        if left := scene.leftovers():
            count.wrong("leftovers", f"{where}: {left}")
    if not is_saved:
        count.wrong("unfinished", f"nothing was saved in the heal of {len(scene.paths)}")


def run_twice(count: Count, scene: Scene, pairs: int) -> None:
    """Kill, and kill the putting in order as well: a sample, the same one each time."""
    chosen = random.Random(len(scene.paths))
    works = (("heal", scene.write), ("undo", scene.write_in_vain))
    all_moments = {}
    for kind, work in works:
        scene.set_up()
        all_moments[kind] = killed_at(work, scene.root, 0)
    while pairs:
        kind, work = chosen.choice(works)
        first = chosen.randint(1, all_moments[kind])
        scene.set_up()
        killed_at(work, scene.root, first)
        if not (there_are := killed_at(scene.recover, scene.root, 0)):
            continue
        second = chosen.randint(1, there_are)
        scene.set_up()
        killed_at(work, scene.root, first)
        assert killed_at(scene.recover, scene.root, second) == 0
        where = f"{kind} of {len(scene.paths)} at {first}, then at {second} of putting in order"
        count.look(scene, where)
        count.finish(scene, where)
        pairs -= 1


def person_edits(count: Count, scene: Scene, where: str, cut_off: Callable[[], None]) -> None:
    """Somebody edits a file before the next run: what they wrote stays, to the letter.

    The others are all healed where the heal had come to its end, or none is.
    """
    for path in scene.paths[:2]:
        cut_off()
        file = scene.root / path
        edited = file.read_bytes() + PERSONS
        file.write_bytes(edited)
        allowed = {OLD} if journal.is_there(scene.state) else {OLD, NEW}
        scene.recover()
        if file.read_bytes() != edited:
            count.wrong("lost edits", f"{where}: {path}")
        others = {(scene.root / each).read_bytes() for each in scene.paths if each != path}
        if not others <= allowed or len(others) > 1:
            count.wrong("torn files", f"{where}, {path} edited: {others}")
        if found := scene.leftovers():
            count.wrong("leftovers", f"{where}, {path} edited: {found}")


@contextlib.contextmanager
def without_exchange() -> Iterator[None]:
    """As on a system that cannot exchange files, where one is renamed over the other."""
    plain = ours.exchange
    ours.exchange = lambda *_: False
    try:
        yield
    finally:
        ours.exchange = plain


def main(*, pairs: int) -> int:
    """Do all of it and print the counts; 1 where something is wrong."""
    count = Count()
    # In memory where that can be had: what a disk takes to sync is not what is looked at.
    memory = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(dir=memory if os.access(memory, os.W_OK) else None))
    try:
        for name, paths in TREES.items():
            scene = Scene(folder / name, paths)
            run(count, scene)
            run_with_saves(count, scene)
            if pairs:
                with without_exchange():
                    run(count, scene)
            before = count.found["kill points"]
            run_twice(count, scene, pairs)
            count.found["of these, killed twice"] += count.found["kill points"] - before
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(json.dumps({**count.found, "examples": count.examples[:10]}))
    return int(bool(count.examples))


assert ours.os is os, "what is counted is what is called"

if __name__ == "__main__":
    sys.exit(main(pairs=PAIRS if "--twice" in sys.argv else 0))
