"""One library, stubbed, healed by a server that is always right, and looked over."""

from __future__ import annotations

import ast
import json
import os
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from benchmarks.libraries.catalog import Library
from benchmarks.libraries.fetch import ROOT, Environment, copy_project
from benchmarks.libraries.reach import FILE as REACH_FILE
from benchmarks.libraries.replies import Originals
from benchmarks.libraries.stubs import Function, Marker, functions, is_marker_import, stubbed
from benchmarks.measuring import BenchmarkError, Run, run_process
from benchmarks.projects import model_variables
from tests.scripted_server import ScriptedServer, ServedRequest

TRIAL_SECONDS = 1800.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Which functions are stubbed, and how."""

    share: float = 1.0
    """How many of those that the library's tests reach; at random below 1."""
    module: str = "*"
    """A pattern of the files that are meant."""
    marker: Marker = "decorator"
    body: str = "..."
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Lost:
    """A stub that did not come back, and why."""

    target: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What came of a library."""

    library: str
    reached: int
    """Functions that its tests enter and that can be stubs."""
    stubs: int
    healed: int
    unreached: tuple[str, ...]
    """Stubs that no test misses: with all others in place, all that enters them is green."""
    lost: tuple[Lost, ...]
    left_alone: tuple[Lost, ...]
    """Functions that are reached and were no stubs, by choice."""
    files: int
    """Files with stubs in them."""
    identical: int
    """Those of them that are what they were before, to the byte."""
    problems: tuple[str, ...]
    """What is not as it should be, beside stubs that did not come back."""
    requests: int
    tests: int
    verifications: int
    status: int
    seconds: float
    planning_seconds: float | None
    output: str


def try_library(
    library: Library,
    original: Path,
    environment: Environment,
    work: Path,
    choice: Choice,
    options: Sequence[str] = (),
    sent: list[ServedRequest] | None = None,
) -> Trial:
    """Stub a library, heal it, and hold the result against the original.

    Args:
        library: Which one.
        original: Its unpacked distribution.
        environment: Where its tests run.
        work: An empty folder of this trial's own.
        choice: What to stub.
        options: More of the command line of `pytest --selfheal`.
        sent: Takes what was asked.

    Raises:
        BenchmarkError: Its own tests are not green before, or nothing can be stubbed.
    """
    project = (work / library.name).resolve()
    copy_project(original, project)
    pytest = _Pytest(library=library, environment=environment, project=project)
    entered, passed = _reached(pytest, work)
    sources = {path: (project / path).read_bytes() for path in source_files(library, project)}
    reached = [
        each
        for path, source in sources.items()
        for each in functions(source, path)
        if entered & {(path, each.first_line), (path, each.def_line)}
    ]
    chosen = [each for each in _chosen(reached, choice) if each.target not in library.left_alone]
    if not chosen:
        raise BenchmarkError(f"{library.name}: nothing in {choice.module!r} can be a stub")
    before = _write_stubs(project, sources, chosen, choice)
    report_file = work / "report.json"
    originals = Originals(chosen)
    with ScriptedServer(originals.reply) as server:
        run = pytest.run(
            ["--selfheal", f"--selfheal-report={report_file}", "--tb=no", "-q", *options],
            model_variables(server.base_url),
            expect=range(256),
        )
        requests = len(server.requests)
        if sent is not None:
            sent += server.requests
    if not report_file.exists():
        raise BenchmarkError(f"{library.name}: no report was written:\n{run.output[-3000:]}")
    report = json.loads(report_file.read_text())
    statuses = {each["target"]: each for each in report["stubs"]}
    after = {path: (project / path).read_bytes() for path in before}
    plain = pytest.run(["-p", "no:selfheal", "-q", "--tb=line"], {}, range(256))
    unreached = tuple(t for t, each in statuses.items() if each["status"] == "unreached")
    return Trial(
        library=f"{library.name} {library.version}",
        reached=len(reached),
        stubs=len(chosen),
        healed=sum(each["status"] == "healed" for each in report["stubs"]),
        unreached=unreached,
        lost=tuple(
            Lost(target=each["target"], reason=f"{each['status']}: {each['reason']}")
            for each in report["stubs"]
            if each["status"] not in ("healed", "unreached")
        ),
        left_alone=tuple(
            Lost(target=target, reason=reason) for target, reason in library.left_alone.items()
        ),
        files=len(before),
        identical=sum(after[path] == sources[path] for path in before),
        problems=tuple(_problems(sources, before, after, chosen, report, run, plain)),
        requests=requests,
        tests=len(passed),
        verifications=report["sandbox"]["verifications"],
        status=run.status,
        seconds=run.seconds,
        planning_seconds=report.get("planning_seconds"),
        output=run.output,
    )


def source_files(library: Library, project: Path) -> list[str]:
    """Give the files whose functions may be stubbed."""
    found = {
        path.relative_to(project).as_posix()
        for pattern in library.sources
        for path in project.glob(pattern)
    }
    return sorted(
        path for path in found if not any(fnmatch(path, pattern) for pattern in library.not_sources)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pytest:
    """A library's own way to run its tests."""

    library: Library
    environment: Environment
    project: Path

    def run(
        self, arguments: Sequence[str], extra: Mapping[str, str], expect: Sequence[int] = (0,)
    ) -> Run:
        command = [str(self.environment.python), "-m", "pytest", *self.library.options]
        folders = [each.get("PYTHONPATH") for each in (extra, self.environment.variables)]
        path = {"PYTHONPATH": os.pathsep.join(each for each in folders if each)}
        return run_process(
            [*command, *arguments, *self.library.tests],
            self.project,
            expect=expect,
            extra={**self.environment.variables, **extra, **(path if any(folders) else {})},
            timeout_seconds=TRIAL_SECONDS,
        )


def _reached(pytest: _Pytest, work: Path) -> tuple[set[tuple[str, int]], list[str]]:
    """Run the original's tests; give the lines of the functions entered, and what passed."""
    file = work / "reach.json"
    arguments = ["-p", "no:selfheal", "-q", "--tb=short", "-p", "no:cacheprovider"]
    extra = {"PYTHONDONTWRITEBYTECODE": "1"}
    pytest.run(arguments, extra)
    # Being watched takes stack and time: tests of limits may fail then, and say nothing.
    extra |= {REACH_FILE: str(file), "PYTHONPATH": str(ROOT)}
    arguments += ["-p", "benchmarks.libraries.reach"]
    pytest.run(arguments, extra, expect=(0, 1))
    noted = json.loads(file.read_text())
    entered = set()
    for name, line in noted["entered"]:
        if Path(name).is_relative_to(pytest.project):
            entered.add((Path(name).relative_to(pytest.project).as_posix(), line))
    return entered, noted["passed"]


def _chosen(reached: Sequence[Function], choice: Choice) -> list[Function]:
    meant = [each for each in reached if fnmatch(each.path, choice.module)]
    if choice.share >= 1:
        return meant
    count = max(1, round(len(meant) * choice.share)) if meant else 0
    order = random.Random(choice.seed)
    picked = set(order.sample(range(len(meant)), count))
    return [each for number, each in enumerate(meant) if number in picked]


def _write_stubs(
    project: Path, sources: Mapping[str, bytes], chosen: Sequence[Function], choice: Choice
) -> dict[str, bytes]:
    written = {}
    for path in dict.fromkeys(each.path for each in chosen):
        here = [each for each in chosen if each.path == path]
        written[path] = stubbed(sources[path], here, choice.marker, choice.body)
        (project / path).write_bytes(written[path])
    return written


# --- looking it over -------------------------------------------------------------------


def _problems(
    sources: Mapping[str, bytes],
    before: Mapping[str, bytes],
    after: Mapping[str, bytes],
    chosen: Sequence[Function],
    report: Mapping[str, object],
    run: Run,
    plain: Run,
) -> list[str]:
    found = []
    if run.status != plain.status:
        found.append(f"exit status {run.status}, and plain pytest says {plain.status}")
    stubs: object = report["stubs"]
    assert isinstance(stubs, list)
    if len(stubs) != len(chosen):
        found.append(f"{len(chosen)} stubs were marked and {len(stubs)} are in the report")
    healed = {each["target"] for each in stubs if each["status"] == "healed"}
    for path, new in after.items():
        unhealed = [each for each in chosen if each.path == path and each.target not in healed]
        if new == sources[path]:
            continue
        try:
            tree = ast.dump(ast.parse(new))
        except SyntaxError as error:
            found.append(f"{path} does not compile: {error}")
            continue
        if not unhealed and tree != ast.dump(ast.parse(sources[path])):
            found.append(f"{path} is another tree than the original")
        if not unhealed and b"selfheal" in new:
            found.append(f"{path} still holds a marker")
        if _outside(before[path], marked=True) != _outside(new, marked=False, like=before[path]):
            found.append(f"{path} is changed outside the healed functions")
    return found


def _outside(source: bytes, *, marked: bool, like: bytes | None = None) -> list[bytes]:
    """Give the lines of a file that belong to no function that was marked."""
    names = {(q, i) for q, i, _ in _spans(like)} if like is not None else None
    drop: set[int] = set()
    for qualname, index, span in _spans(source, every=not marked):
        if names is None or (qualname, index) in names:
            drop.update(span)
    lines = source.split(b"\n")
    return [
        line
        for number, line in enumerate(lines, start=1)
        if number not in drop and not is_marker_import(line)
    ]


def _spans(source: bytes, *, every: bool = False) -> list[tuple[str, int, range]]:
    """Give name, index and lines of the marked functions of a file, or of all."""
    lines = source.split(b"\n")
    spans = []
    for each in functions_and_stubs(source):
        above = lines[each.first_line - 2].strip() if each.first_line > 1 else b""
        own = lines[each.first_line - 1].strip()
        is_marked = above.startswith(b"# selfheal") or own.startswith(b"@heal")
        if every or is_marked:
            first = each.first_line - above.startswith(b"# selfheal")
            spans.append((each.qualname, each.index, range(first, each.last_line + 1)))
    return spans


def functions_and_stubs(source: bytes) -> list[Function]:
    """Give all functions of a file, whatever their bodies."""
    return list(functions(source, "", every=True))
