"""Many runs at once on one project, and a person who saves files meanwhile.

`python -m tests.faults.soak --processes=16 --rounds=3`. The stubs overlap: every run is
after all of them, some share files. Prints what it counted as JSON.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from pathlib import Path

from tests.faults.kill_points import Count
from tests.harness import Project, containers_of, eventually, processes_of, python
from tests.scripted_server import ScriptedServer

FILES, STUBS = 3, 4


def project_files() -> dict[str, str]:
    """A few files with a few stubs each, and a function of the person's in each."""
    files = {}
    for file in range(FILES):
        stubs = "\n\n".join(
            f"# selfheal\ndef f{number}(a: int) -> int:\n    ...\n" for number in range(STUBS)
        )
        files[f"mod{file}.py"] = f'{stubs}\n\ndef persons() -> str:\n    return "0"\n'
        tests = "\n\n".join(
            f"def test_f{number}():\n    assert mod{file}.f{number}(3) == {3 + number}\n"
            for number in range(STUBS)
        )
        files[f"test_mod{file}.py"] = f"import mod{file}\n\n\n{tests}"
    return files


def answer(_: str, targets: tuple[str, ...], __: int) -> str:
    """The right code for whatever is asked for."""
    names = [target.rpartition("::")[2] for target in targets]
    code = [f"def {name}(a: int) -> int:\n    return a + {name[1:]}\n" for name in names]
    return "\n".join(map(python, code))


class Person(threading.Thread):
    """Opens a file, changes their own function in it, and saves, at random moments.

    As an editor that looks whether the file changed on the disk: it then loads it anew.
    """

    def __init__(self, root: Path, seed: int) -> None:
        super().__init__(daemon=True)
        self._root = root
        self._random = random.Random(seed)
        self._end = threading.Event()
        self.saved: dict[str, int] = {}
        """The last number that was saved in each file."""
        self.saves = 0

    def run(self) -> None:
        """Save until the end."""
        # Faster than a verification takes, nothing could ever be written: each save asks
        # for another one.
        while not self._end.wait(self._random.uniform(5, 40)):
            path = f"mod{self._random.randrange(FILES)}.py"
            file = self._root / path
            text = file.read_bytes()
            number = self.saved.get(path, 0)
            changed = text.replace(b'return "%d"' % number, b'return "%d"' % (number + 1))
            if changed == text:
                continue  # it is lost; whoever counts will see
            beside = file.with_name(f".{file.name}.swp")
            beside.write_bytes(changed)
            if file.read_bytes() == text:
                beside.replace(file)
                self.saved[path] = number + 1
                self.saves += 1
            else:
                beside.unlink()

    def end(self) -> None:
        """Save no more."""
        self._end.set()
        self.join()


def round_of(count: Count, folder: Path, processes: int, seed: int) -> Counter[str]:
    """One project, healed by many runs at once, then looked at."""
    project = Project(folder / f"project-{seed}", project_files())
    person = Person(project.root, seed)
    seen: Counter[str] = Counter()
    with ScriptedServer(answer) as server:
        person.start()
        for _ in range(4):  # who comes second is told to run again
            runs = [start(project, server, number) for number in range(processes)]
            for run in runs:
                output, _none = run.communicate()
                seen[f"status {run.returncode}"] += 1
                if "Traceback" in output or "INTERNALERROR" in output:
                    count.wrong("torn files", output[-2000:])
            if b"# selfheal" not in b"".join(contents(project)):
                break
        person.end()
        left = [pid for run in runs for pid in containers_of(run.pid)]
    for file, content in enumerate(contents(project)):
        where = f"round {seed}: mod{file}.py"
        text = content.decode()
        if f'return "{person.saved.get(f"mod{file}.py", 0)}"' not in text:
            count.wrong("lost edits", where)
        try:
            compile(text, where, "exec")
        except SyntaxError:
            count.wrong("torn files", where)
        for number in range(STUBS):
            if text.count(f"def f{number}(a: int) -> int:\n    return a + {number}\n") != 1:
                count.wrong("unfinished", f"{where}: f{number}")
    if not eventually(20, lambda: not processes_of(project)):
        count.wrong("leftovers", f"{processes_of(project)}")
    odd = [path for path in project.root.rglob("*") if path.suffix in (".tmp", ".swp", ".journal")]
    if left or odd or list(project.temporary.iterdir()):
        count.wrong("leftovers", f"{left} {odd} {list(project.temporary.iterdir())}")
    seen["saves"] += person.saves
    return seen


def contents(project: Project) -> list[bytes]:
    """The files that hold stubs."""
    return [(project.root / f"mod{file}.py").read_bytes() for file in range(FILES)]


def start(project: Project, server: ScriptedServer, number: int) -> subprocess.Popen[str]:
    """One of the runs; every other one with workers of xdist."""
    arguments = ["--selfheal-sandbox=landlock", "--selfheal-jobs=2"]
    arguments += ["-n", "2"] if number % 2 else ["-n", "0"]
    command = project.command(*arguments, server=server)
    return subprocess.Popen(
        [each for each in command if not each.startswith("--selfheal-report")],
        cwd=project.root,
        env=project.environment(server),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def main() -> int:
    """Do all rounds and print the counts; 1 where something is wrong."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--processes", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    count = Count()
    del count.found["kill points"]
    seen: Counter[str] = Counter()
    folder = Path(tempfile.mkdtemp())
    try:
        for seed in range(given.rounds):
            seen += round_of(count, folder, given.processes, seed)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(json.dumps({**count.found, "runs": seen, "examples": count.examples[:10]}))
    return int(bool(count.examples))


if __name__ == "__main__":
    sys.exit(main())
