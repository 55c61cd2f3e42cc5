"""Parked sandboxes: many in a row, many at once, of a large project, on a busy machine."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

from benchmarks.measuring import BenchmarkError, Figure, interleaved, medians, ratios
from benchmarks.projects import plain_pytest, write_project
from benchmarks.tasks import TASKS
from pytest_selfheal.protocols import Launcher, Sandbox
from pytest_selfheal.records import Job
from tests.sandboxes import launcher

PARKED_AT_ONCE = 8
BUSY_PROCESSES = 8
BUSY_SECONDS = 600
"""A process that keeps a processor busy ends by itself after so long, whatever happens."""
WARM_UPS = 12
"""So many verifications fill what is made once, above all the SDK's pool of connections."""
FILES = 2000
FILE_BYTES = 10 * 2**10


def _checked(sandbox: Sandbox, job: Job) -> float:
    """The seconds of a job in a parked sandbox, which must be green."""
    begun = time.perf_counter()
    outcome = sandbox.run(job)
    seconds = time.perf_counter() - begun
    if outcome.ending != "completed" or {r.outcome for r in outcome.results} != {"passed"}:
        raise BenchmarkError(f"a right solution was not green: {outcome!r}")
    return seconds


def _verified(made: Launcher, job: Job) -> float:
    sandbox = made.launch()
    try:
        return _checked(sandbox, job)
    finally:
        sandbox.close()


# --- a series --------------------------------------------------------------------------


def series(folder: Path, rounds: int, sandboxes: Sequence[str]) -> list[Figure]:
    """Verifications one after the other: nothing may grow."""
    project = write_project(folder, TASKS[:1], solved=False)
    return [figure for name in sandboxes for figure in _series(project, rounds, name)]


def _series(project: Path, rounds: int, name: str) -> Iterator[Figure]:
    job = TASKS[0].job()
    with launcher(name, project) as made:
        for _ in range(WARM_UPS):
            _verified(made, job)
        before = _held(name)
        for _ in range(rounds):
            _verified(made, job)
        after = _held(name)
    for what, unit, allowed in (
        ("memory", "MiB", 4.0),
        ("descriptors", "more", 0.0),
        ("containers", "more", 0.0),
        ("processes", "more", 0.0),
    ):
        yield Figure(
            name=f"{rounds} verifications in a row, {name}: growth of {what}",
            values=(after[what] - before[what],),
            unit=unit,
            target=allowed,
            detail=f"from {before[what]:g} to {after[what]:g}",
        )


def _held(name: str) -> dict[str, float]:
    """What this process holds just now, and what the daemon holds for it."""
    status = Path("/proc/self/status").read_text().splitlines()
    resident = next(line for line in status if line.startswith("VmRSS:"))
    return {
        "memory": round(int(resident.split()[1]) / 1024, 1),
        "descriptors": sum(1 for _ in Path("/proc/self/fd").iterdir()),
        "containers": len(_containers()) if name == "docker" else 0,
        "processes": len(_descendants(os.getpid())),
    }


def _containers() -> list[str]:
    listed = subprocess.run(
        ["docker", "ps", "-aq", "--filter", "label=pytest-selfheal"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return listed.stdout.split()


# --- eight at once ---------------------------------------------------------------------


def at_once(folder: Path, rounds: int, sandboxes: Sequence[str]) -> list[Figure]:
    """Eight parked sandboxes: how long until all stand, and the memory of all."""
    project = write_project(folder, TASKS[:1], solved=False)
    figures = []
    for name in sandboxes:
        seconds, memory = [], []
        for _ in range(rounds):
            taken = _eight(project, name)
            seconds.append(taken[0])
            memory.append(taken[1])
        figures += [
            Figure(
                name=f"{PARKED_AT_ONCE} parked, {name}: until all stand",
                values=tuple(seconds),
                unit="s",
                floor="3.2" if name == "docker" else "",
            ),
            Figure(
                name=f"{PARKED_AT_ONCE} parked, {name}: memory of all",
                values=tuple(memory),
                unit="MB",
                floor="200" if name == "docker" else "",
                target=300.0,
                detail="proportional (PSS), the control processes on the host included",
            ),
        ]
    return figures


def _eight(project: Path, name: str) -> tuple[float, float]:
    others = _all_processes()
    with launcher(name, project) as made, ExitStack() as stack:
        # Sandboxes end with the thread that started them, so these threads stay.
        executor = stack.enter_context(ThreadPoolExecutor(PARKED_AT_ONCE))
        begun = time.perf_counter()
        parked = list(executor.map(lambda _: made.launch(), range(PARKED_AT_ONCE)))
        seconds = time.perf_counter() - begun
        for each in parked:
            stack.callback(each.close)
        ours = _descendants(os.getpid())
        if name == "docker":  # the daemon's, and of those only what has come since
            ours |= {pid for pid in _all_processes() - others if _is_of_a_container(pid)}
        return seconds, sum(map(_proportional_bytes, ours)) / 10**6


def _all_processes() -> set[int]:
    return {int(each.name) for each in Path("/proc").iterdir() if each.name.isdigit()}


def _proportional_bytes(pid: int) -> int:
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0  # gone, or not ours to read
    return sum(int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:")) * 1024


def _is_of_a_container(pid: int) -> bool:
    """Whether a process runs in a container, or keeps one."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes()
        return b"containerd-shim" in words or "docker" in Path(f"/proc/{pid}/cgroup").read_text()
    except OSError:
        return False


def _descendants(pid: int) -> set[int]:
    parents = {}
    for each in _all_processes():
        try:
            fields = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if fields[0] != "Z":
            parents[each] = int(fields[1])
    found: set[int] = set()
    while True:
        more = {each for each, parent in parents.items() if parent in found | {pid}} - found
        if not more:
            return found
        found |= more


# --- a large project -------------------------------------------------------------------


def large_project(folder: Path, rounds: int, sandboxes: Sequence[str]) -> list[Figure]:
    """A parked job in a project of 2,000 files and 20 MB against one in a project of two."""
    small = write_project(folder, TASKS[:1], solved=False)
    large = write_project(folder, TASKS[:1], solved=False)
    for number in range(FILES):
        (large / f"data{number // 100}").mkdir(exist_ok=True)
        (large / f"data{number // 100}" / f"{number}.bin").write_bytes(os.urandom(FILE_BYTES))
    job = TASKS[0].job()
    with ExitStack() as stack:
        sides: dict[str, Callable[[], float]] = {}
        for name in sandboxes:
            for size, project in (("small", small), ("large", large)):
                made = stack.enter_context(launcher(name, project))
                sides[f"{name} {size}"] = partial(_verified, made, job)
        measured = list(interleaved(sides, rounds))
    return [
        Figure(
            name=f"a parked job, {name}: {FILES:,} files / two files",
            values=ratios(measured, f"{name} large", f"{name} small"),
            target=1.15,
            detail=medians(measured, f"{name} large", f"{name} small"),
        )
        for name in sandboxes
    ]


# --- a busy machine --------------------------------------------------------------------


def under_load(folder: Path, rounds: int, sandboxes: Sequence[str]) -> list[Figure]:
    """A parked job against a plain run while eight processes want the processors."""
    tasks = TASKS[:1]
    project = write_project(folder, tasks, solved=False)
    job = TASKS[0].job()
    with ExitStack() as stack:
        sides: dict[str, Callable[[], float]] = {
            "plain": lambda: plain_pytest(folder, tasks).seconds
        }
        for name in sandboxes:
            made = stack.enter_context(launcher(name, project))
            sides[name] = partial(_verified, made, job)
        stack.enter_context(_busy(BUSY_PROCESSES))
        measured = list(interleaved(sides, rounds))
    return [
        Figure(
            name=f"with {BUSY_PROCESSES} busy processes, {name} parked: job / plain pytest",
            values=ratios(measured, name, "plain"),
            floor={"docker": "0.69", "bubblewrap": "0.17", "landlock": "0.23"}.get(name, ""),
            target=1.0,
            detail=medians(measured, name, "plain"),
        )
        for name in sandboxes
    ]


@contextmanager
def _busy(count: int) -> Iterator[None]:
    code = (
        f"import time\nend = time.monotonic() + {BUSY_SECONDS}\nwhile time.monotonic() < end: pass"
    )
    started = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(count)]
    try:
        yield
    finally:
        for each in started:
            each.kill()
        for each in started:
            each.wait()
