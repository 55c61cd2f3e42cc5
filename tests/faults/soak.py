"""Many runs at once on one project, and a person who saves files meanwhile.

`python -m tests.faults.soak --processes=16 --rounds=2`. The stubs overlap: each run is after
most of them, some share files, and each reply is another text, so that it is seen whose came
in. Prints what it counted as JSON.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

from pytest_selfheal.errors import EditConflict
from pytest_selfheal.source.locks import project_lock
from tests.faults.kill_points import Count
from tests.harness import Project, containers_of, eventually, processes_of, python
from tests.scripted_server import ScriptedServer

FILES, STUBS = 3, 2
PASSES = 4
"""A run whose file others have changed says `skipped`; so often all are started again."""
RUN_SECONDS = 1200
"""More than any run takes, however many there are: one that goes on hangs."""
HEALED = re.compile(r"def f(\d+)\(a: int\) -> int:\n    return (\d+) \+ a - (\d+)\n")


def project_files() -> dict[str, str]:
    """A few files with a few stubs each, and a function of the person's in each."""
    files = {}
    for file in range(FILES):
        stubs = "\n\n".join(
            f"# selfheal\ndef f{number}(a: int) -> int:\n    ...\n" for number in range(STUBS)
        )
        files[f"mod{file}.py"] = f'{stubs}\n\ndef persons() -> str:\n    return "0"\n'
        tests = "\n\n".join(
            f"def test_f{number}():\n    assert mod{file}.f{number}(3) == {3 - number}\n"
            for number in range(STUBS)
        )
        files[f"test_mod{file}.py"] = f"import mod{file}\n\n\n{tests}"
    return files


def answer(_: str, targets: tuple[str, ...], request: int) -> str:
    """Code that is right for whatever is asked for, and unlike that of any other request."""
    numbers = [int(target.rpartition("::f")[2]) for target in targets]
    code = [
        f"def f{number}(a: int) -> int:\n    return {request} + a - {request + number}\n"
        for number in numbers
    ]
    return "\n".join(map(python, code))


class Person(threading.Thread):
    """Looks at the files all the time, and saves a change of their own at random moments.

    As an editor that looks whether the file changed on the disk: it then loads it anew.
    """

    def __init__(self, count: Count, root: Path, seed: int) -> None:
        super().__init__(daemon=True)
        self._count = count
        self._root = root
        self._random = random.Random(seed)
        self._end = threading.Event()
        self.saved: Counter[str] = Counter()
        """How often each file was saved: the number that it has to hold."""
        self.healed: dict[tuple[str, str], str] = {}
        """Whose code was seen first, of each stub: it has to stay."""
        self.looks = 0

    def run(self) -> None:
        """Look and save until the end."""
        next_save = time.monotonic() + 2
        while not self._end.wait(0.05):
            for file in range(FILES):
                self.look(f"mod{file}.py")
            # Faster than a verification takes, nothing could ever be written: each save
            # asks for another one.
            if time.monotonic() > next_save:
                self._save(f"mod{self._random.randrange(FILES)}.py")
                next_save = time.monotonic() + self._random.uniform(5, 25)

    def look(self, path: str) -> str:
        """See that a file is whole and nothing in it is lost; its text."""
        text = (self._root / path).read_text()
        self.looks += 1
        try:
            compile(text, path, "exec")
        except SyntaxError:
            self._count.wrong("torn files", path)
        for number, request, _ in HEALED.findall(text):
            if self.healed.setdefault((path, number), request) != request:
                self._count.wrong("lost edits", f"{path}: f{number} was healed twice")
        gone = {key for key in self.healed if key[0] == path} - {
            (path, number) for number, _, _ in HEALED.findall(text)
        }
        if gone or f'return "{self.saved[path]}"' not in text:
            self._count.wrong("lost edits", f"{path}: {gone or 'a save'}")
        return text

    def _save(self, path: str) -> None:
        file = self._root / path
        text = self.look(path)
        number = self.saved[path]
        beside = file.with_name(f".{file.name}.swp")
        beside.write_text(text.replace(f'return "{number}"', f'return "{number + 1}"'))
        if file.read_text() == text:
            beside.replace(file)
            self.saved[path] = number + 1
        else:
            beside.unlink()

    def end(self) -> None:
        """Save no more."""
        self._end.set()
        self.join()


def round_of(
    count: Count, folder: Path, processes: int, seed: int, sandboxes: list[str]
) -> Counter[str]:
    """One project, healed by many runs at once, then looked at."""
    project = Project(folder / f"project-{seed}", project_files())
    person = Person(count, project.root, seed)
    seen: Counter[str] = Counter()
    pids: list[int] = []
    with ScriptedServer(answer) as server:
        person.start()
        for _ in range(PASSES):
            runs = [
                start(project, server, number, sandboxes[number // 2 % len(sandboxes)])
                for number in range(processes)
            ]
            pids += [run.pid for run in runs]
            for run in runs:
                seen[ended(count, run)] += 1
            if b"# selfheal" not in b"".join(contents(project)):
                break
        person.end()
    for file, content in enumerate(contents(project)):
        where = f"round {seed}: mod{file}.py"
        text = person.look(f"mod{file}.py")
        found = sorted(int(number) for number, _, _ in HEALED.findall(text))
        if found != list(range(STUBS)) or b"# selfheal" in content:
            count.wrong("unfinished", f"{where}: {found}")
    look_for_leftovers(count, project, pids)
    seen["saves"] = person.saved.total()
    seen["looks"] = person.looks
    return seen


def look_for_leftovers(count: Count, project: Project, pids: list[int]) -> None:
    """Containers, processes, control groups, locks and files that no run owns any more."""
    if not eventually(30, lambda: not processes_of(project)):
        count.wrong("leftovers", f"{processes_of(project)}")
    left: list[object] = [each for pid in pids for each in containers_of(pid)]
    groups = Path("/sys/fs/cgroup")
    left += [each for pid in pids for each in groups.rglob(f"pytest-selfheal-{pid}-*")]
    left += [path for path in project.root.rglob("*") if path.suffix in (".tmp", ".swp")]
    # pytest itself keeps the folders of the last tests.
    left += [each for each in project.temporary.iterdir() if "pytest-of-" not in each.name]
    state = project.root / ".pytest_cache" / "selfheal"
    left += state.glob("heal.journal*")
    try:
        with project_lock(state, 0.5, lambda _: None):
            pass
    except EditConflict as error:
        left.append(str(error))
    if left:
        count.wrong("leftovers", f"{left}")


def contents(project: Project) -> list[bytes]:
    """The files that hold stubs."""
    return [(project.root / f"mod{file}.py").read_bytes() for file in range(FILES)]


def start(
    project: Project, server: ScriptedServer, number: int, sandbox: str
) -> subprocess.Popen[str]:
    """One of the runs: of all the tests or of some, with two workers of xdist."""
    arguments = [f"--selfheal-sandbox={sandbox}", "--selfheal-jobs=2", "--tb=no", "-n", "2"]
    if number % 4:
        arguments += [f"test_mod{file}.py" for file in range(FILES) if file != number % FILES]
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


def ended(count: Count, run: subprocess.Popen[str]) -> str:
    """Wait for a run; how it ended."""
    try:
        output, _ = run.communicate(timeout=RUN_SECONDS)
    except subprocess.TimeoutExpired:
        run.kill()
        output, _ = run.communicate()
        count.wrong("hung", output[-2000:])
        return "hung"
    # 1: somebody else has healed a stub, or changed it, and this run's code was left out.
    if run.returncode not in (0, 1) or "Traceback" in output or "internal error" in output:
        count.wrong("failed runs", output[-2000:])
    return f"status {run.returncode}"


def main() -> int:
    """Do all rounds and print the counts; 1 where something is wrong."""
    global STUBS
    parser = argparse.ArgumentParser()
    parser.add_argument("--processes", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--stubs", type=int, default=STUBS, help="in each file")
    parser.add_argument("--sandboxes", default="landlock,bubblewrap,docker")
    given = parser.parse_args()
    STUBS = given.stubs
    count = Count()
    del count.found["kill points"]
    count.found.update({"hung": 0, "failed runs": 0})
    seen: Counter[str] = Counter()
    folder = Path(tempfile.mkdtemp())
    try:
        for seed in range(given.rounds):
            sandboxes = given.sandboxes.split(",")
            seen += round_of(count, folder, given.processes, seed, sandboxes)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(json.dumps({**count.found, "runs": seen, "examples": count.examples[:10]}))
    return int(bool(count.examples))


if __name__ == "__main__":
    sys.exit(main())
