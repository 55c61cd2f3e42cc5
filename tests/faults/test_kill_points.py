"""The short form of `make faults`: a heal's writing killed at every step, once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from pytest_selfheal.source.journal import Entry, write_journal
from pytest_selfheal.source.recovering import recover
from pytest_selfheal.source.replacing import new_name
from tests.faults.__main__ import details_of, line_of
from tests.faults.kill_points import NEW, OLD, PERSONS, Count, Scene

# What a power cut needs is an order of steps, seen in a process of its own since the
# counting replaces functions of `os`.
_ORDER = """
import json, sys
from pathlib import Path
from tests.faults.kill_points import Scene
from tests.faults.killing import Steps

scene = Scene(Path(sys.argv[1]), ["a.py", "pkg/b.py"])
scene.set_up()
steps = Steps([scene.root])
scene.write()
print(json.dumps(steps.calls))
"""


def python(*arguments: str) -> subprocess.CompletedProcess[str]:
    root = Path(__file__).parents[2]
    return subprocess.run(
        [sys.executable, *arguments], cwd=root, capture_output=True, text=True, check=False
    )


def test_every_step_of_writing() -> None:
    done = python("-m", "tests.faults.kill_points")
    assert done.stdout, done.stderr
    counts = json.loads(done.stdout)
    assert counts.pop("kill points") > 200
    assert counts.pop("of these, killed twice") == 0
    assert counts == {
        "torn files": 0, "lost edits": 0, "leftovers": 0, "unfinished": 0, "examples": []
    }  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_every_step_of_writing_what_is_kept_beside_the_sources() -> None:
    done = python("-m", "tests.faults.store_points")
    assert done.stdout, done.stderr
    counts = json.loads(done.stdout)
    assert counts.pop("kill points") > 30
    assert set(counts.pop("examples")) == set()
    assert set(counts.values()) == {0}


def test_what_counts_can_see_what_is_wrong(tmp_path: Path) -> None:
    """A torn file, half a heal, a file left: each is noticed."""
    scene = Scene(tmp_path / "project", ["a.py", "pkg/b.py"])
    count = Count()
    scene.set_up()
    (scene.root / "a.py").write_bytes(NEW[:30])  # which is no Python
    count.look(scene, "here")
    scene.set_up()
    (scene.root / "a.py").write_bytes(NEW)
    (scene.root / ".selfheal-0123456789abcdef.tmp").write_bytes(b"")
    count.finish(scene, "here")
    assert count.found["torn files"] == 1
    assert count.found["unfinished"] >= 1
    assert count.found["leftovers"] == 2


def test_the_table_tells_what_is_wrong() -> None:
    count = Count()
    count.wrong("torn files", "heal of 1 at 7:\na.py")
    counted = {**count.found, "at": {"write": 2, "unlink": 1}, "examples": count.examples}
    assert line_of("some", counted, 3.4).split() == ["some", "0", "1", "0", "0", "0", "-", "-", "3"]
    assert details_of("some", counted) == [
        "some: at: write 2, unlink 1",
        "some: WRONG: torn files: heal of 1 at 7: a.py",
    ]


def test_the_order_of_steps_outlives_a_power_cut(tmp_path: Path) -> None:
    """Content before its name, the journal before the first file, all of it before its end."""
    done = python("-c", _ORDER, str(tmp_path / "project"))
    assert done.returncode == 0, done.stderr
    root = os.path.realpath(tmp_path / "project")
    calls = [(name, [os.path.relpath(path, root) for path in paths])
             for name, paths in json.loads(done.stdout)]  # fmt: skip
    state = ".pytest_cache/selfheal"

    def at(name: str, path: str, after: int = 0) -> int:
        return next(
            number
            for number, (called, paths) in enumerate(calls)
            if number >= after and called == name and path in paths
        )

    journal = at("replace", f"{state}/heal.journal")
    assert at("fsync", f"{state}/heal.journal.tmp") < journal
    journal_is_safe = at("fsync", state, journal)
    replaced = [at("exchange", path) for path in ("a.py", "pkg/b.py")]
    for number in replaced:
        temporary = next(path for path in calls[number][1] if path.endswith(".tmp"))
        assert journal_is_safe < at("open", temporary) < at("fsync", temporary) < min(replaced)
    ended = at("unlink", f"{state}/heal.journal")
    for folder in (".", "pkg"):
        assert max(replaced) < at("fsync", folder, max(replaced)) < ended


def test_an_edit_after_the_kill_undoes_the_rest(tmp_path: Path) -> None:
    """`a.py` was replaced and then edited, `b.py` was not: no half heal is completed over it."""
    scene = Scene(tmp_path / "project", ["a.py", "b.py", "c.py"])
    scene.set_up()
    scene.state.mkdir(parents=True)
    entries = [
        Entry(path=each.path, temporary=new_name(), before=each.before, after=each.after)
        for each in scene.edits
    ]
    write_journal(scene.state, entries)
    (scene.root / "a.py").write_bytes(NEW + PERSONS)
    (scene.root / "b.py").write_bytes(NEW)
    said = recover(scene.root, scene.state)
    assert said == (
        "a heal was cut off; undone: 'b.py'; changed by others since, and left alone: 'a.py'"
    )
    assert scene.contents() == [NEW + PERSONS, OLD, OLD]
    assert scene.leftovers() == []
