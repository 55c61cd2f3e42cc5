"""The supervisor: the first process of a sandbox, and the only way to the host.

It is sent as text through the sandbox's standard input and runs on the standard library
and pytest alone. It never runs project code: it puts the files in place, warms up,
forks the process that runs the tests (`inside_tests`), watches the clock, and relays
what that process said together with what it can see of it from outside.
"""

from __future__ import annotations

import contextlib
import gc
import hashlib
import importlib
import importlib.metadata
import importlib.util
import inspect
import io
import json
import os
import secrets
import select
import stat
import sys
import tarfile
import tempfile
import time
import types
import warnings
from typing import Any

MAX_ALONE = 8
"""How many tests are run again alone, to see what they lean on."""
MAX_DOUBTFUL = 3
"""How many of those are, that may have met what their neighbours left half made."""
MAX_JUDGE_MEBIBYTES = 64
"""Up to which size a file that judges is compared with what it was; no larger one is sent."""
Modules = dict[str, types.ModuleType]
"""Those made of the texts that were sent with this one, by short name."""


class Channel:
    """Frames over the two descriptors that lead to the host."""

    def __init__(self, read_fd: int, write_fd: int) -> None:
        self.read_fd = read_fd
        self.write_fd = write_fd

    def receive(self) -> bytes:
        """The next frame; ends the whole process when the host has gone."""
        return self._exactly(int.from_bytes(self._exactly(4), "big"))

    def send(self, message: dict[str, Any]) -> None:
        payload = json.dumps(message).encode()
        data = memoryview(len(payload).to_bytes(4, "big") + payload)
        while data:
            data = data[os.write(self.write_fd, data) :]

    def host_has_gone(self) -> bool:
        """Whether the stream from the host ended; the host sends nothing during a job."""
        readable, _, _ = select.select([self.read_fd], [], [], 0)
        return bool(readable)

    def close(self) -> None:
        os.close(self.read_fd)
        os.close(self.write_fd)

    def _exactly(self, size: int) -> bytes:
        parts: list[bytes] = []
        while size > 0:
            part = os.read(self.read_fd, min(size, 2**20))
            if not part:
                os._exit(0)
            parts.append(part)
            size -= len(part)
        return b"".join(parts)


def serve(reader: Any) -> None:
    """Park, run one job, answer; `reader` is an `inside_ahead.Ahead`."""
    # The descriptors are moved so that nothing that prints can reach the host.
    channel = Channel(os.dup(0), os.dup(1))
    null = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1):
        os.dup2(null, fd)
    setup = json.loads(channel.receive())
    confine = module_of_ours("selfheal_inside_confine", setup["sources"].pop("confine"))
    if setup["is_hidden"]:
        confine.set_readable(False)
    confine.adopt_orphans()
    try:
        if setup["has_files"]:
            unpack(channel.receive(), setup["root"])
        modules = {"confine": confine, **warm_up(setup, reader)}
        confine.put_handlers_aside()
    except Exception as error:  # noqa: BLE001 - whatever it is, the host must be told
        channel.send({"error": f"{type(error).__name__}: {error}"})
        return
    os.dup2(null, 2)
    os.close(null)
    noted = reader.noted() if setup["tells_what_it_reads"] else None
    channel.send({"ready": True, "read": noted})
    job = json.loads(channel.receive())
    channel.send(run(channel, setup, job, modules))


def unpack(data: bytes, root: str) -> None:
    """Put the project's files, a tar made by the host, in place."""
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        if hasattr(tarfile, "fully_trusted_filter"):
            archive.extractall(root, filter="fully_trusted")  # noqa: S202 - the host's own tar
        else:
            archive.extractall(root)  # noqa: S202


def warm_up(setup: dict[str, Any], reader: Any) -> Modules:
    """Import what every job needs, so that a job pays for a fork alone.

    Returns the modules made of the texts that the host sent.
    """
    for name in set(os.environ) - set(setup["variables"]):
        del os.environ[name]  # what launchers and their programs add of their own
    if setup["sys_path"] is not None:
        sys.path[:] = setup["sys_path"]
    # Where Python looked before the files were there, it would find nothing for good.
    importlib.invalidate_caches()
    sys.argv[:] = ["pytest"]
    gc.disable()  # all that is loaded now stays
    with reader:
        modules = {
            name: module_of_ours(f"selfheal_inside_{name}", source)
            for name, source in setup["sources"].items()
        }
        pytest = importlib.import_module("pytest")
    if setup["own_package"] and importlib.util.find_spec("pytest_selfheal") is None:
        provide_own_package(setup["own_package"])
        setup["args"] += ["-p", "pytest_selfheal.plugin"]
    remember_metadata(reader)
    # First the session: what pytest rewrites for its asserts must be imported by it.
    with reader:
        run_empty_session(pytest, setup["plugin_args"], modules["session"].Calm())
    modules["walls"].remember_runner()
    with warnings.catch_warnings(), reader:
        warnings.simplefilter("ignore")
        for name in setup["warm"]:
            with contextlib.suppress(Exception):
                importlib.import_module(name)
    reader.forget()
    remember_source_files(modules["tests"].__name__)
    gc.freeze()
    gc.enable()
    return modules


def module_of_ours(name: str, source: str) -> types.ModuleType:
    """Make a module of a text that the host sent."""
    module = types.ModuleType(name)
    sys.modules[name] = module
    exec(compile(source, "<selfheal>", "exec"), module.__dict__)  # noqa: S102 - the host's own text
    return module


def remember_metadata(reader: Any) -> None:
    """Read each package's metadata once: every session of pytest asks for all of it."""
    plain = importlib.metadata.PathDistribution.read_text
    texts: dict[tuple[str, str], str | None] = {}

    def read_text(self: Any, filename: Any) -> str | None:
        key = str(self._path), str(filename)
        if key not in texts:
            texts[key] = reader.text(*key) if reader.knows(*key) else plain(self, filename)
        return texts[key]

    importlib.metadata.PathDistribution.read_text = read_text  # type: ignore[method-assign]


def remember_source_files(tests_module: str) -> None:
    """Spare `inspect` from resolving every module's path for the first traceback."""
    known = getattr(inspect, "_filesbymodname", {})
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if isinstance(file, str):
            known[name] = file
            inspect.modulesbyfile[file] = name
    inspect.modulesbyfile["<selfheal>"] = tests_module


def provide_own_package(sources: dict[str, str]) -> None:
    """Make the marker and the options importable where the package is not installed."""
    folder = tempfile.mkdtemp(prefix="selfheal-")
    os.mkdir(os.path.join(folder, "pytest_selfheal"))
    for name, text in sources.items():
        with open(os.path.join(folder, "pytest_selfheal", name), "w", encoding="utf-8") as file:
            file.write(text)
    sys.path.append(folder)


def run_empty_session(pytest: Any, plugin_args: list[str], calm: object) -> None:
    """Load what pytest and its plugins load only in a session; nothing of it is shown."""
    with (
        tempfile.TemporaryDirectory() as empty,
        open(os.devnull, "w") as null,
        contextlib.redirect_stdout(null),
        contextlib.redirect_stderr(null),
        contextlib.suppress(Exception, SystemExit),
    ):
        arguments = ["-c", os.devnull, "--rootdir", empty, "--confcutdir", empty]
        arguments += ["-p", "no:cacheprovider", "--no-header", "--no-summary"]
        pytest.main([*plugin_args, *arguments, empty], plugins=[calm])


def run(
    channel: Channel, setup: dict[str, Any], job: dict[str, Any], modules: Modules
) -> dict[str, Any]:
    """Run one job in a forked process; say what was seen of it, from inside and outside."""
    root = setup["root"]
    job["originals"] = {path: text_of(os.path.join(root, path)) for path in job["overlay"]}
    for path, text in job["overlay"].items():
        write_overlay(root, path, text.encode("latin-1"))
        for link in setup["other_names"].get(path, ()):
            # Where it leads elsewhere by now, the tests see what is there.
            with contextlib.suppress(OSError), open(os.path.join(root, link), "wb") as file:
                file.write(text.encode("latin-1"))
    guarded = [os.path.join(root, path) for path in job["guarded"]]
    before = [digest(path) for path in guarded]
    kills_before = oom_kills()
    deadline = time.monotonic() + job["timeout_seconds"]
    watched = run_tests(channel, setup, job, deadline, modules)
    kills_after = oom_kills()
    alone: dict[str, list[str]] = {}
    if job["watch"] and watched.exit == 0:
        # The first run may have left no room for another, or records that the host is to judge.
        with contextlib.suppress(OSError, LookupError, TypeError, AttributeError):
            run_alone(channel, setup, job, deadline, modules, watched.lines, alone)
    return {
        "signal": watched.signal,
        "exit": watched.exit,
        "timed_out": watched.timed_out,
        "oom": None if kills_after is None else kills_after > (kills_before or 0),
        "lines": watched.lines,
        "honest": watched.honest,
        "alone": alone,
        "marked": watched.marked,
        "flooded": watched.flooded,
        "output": watched.output,
        "changed": [
            path
            for path, full, old in zip(job["guarded"], guarded, before, strict=True)
            if digest(full) != old
        ],
    }


def run_alone(
    channel: Channel,
    setup: dict[str, Any],
    job: dict[str, Any],
    deadline: float,
    modules: Modules,
    lines: list[dict[str, Any]],
    alone: dict[str, list[str]],
) -> None:
    """Run some tests that failed and did not say on what once more, each alone.

    What its neighbours set up, cached or left half made, each now has to do itself;
    `alone` is told what it entered.
    """
    reports = modules["reports"]
    bare = {each["key"] for each in job["watch"] if not each["has_code"]}
    doubtful = reports.doubtful(lines, bare)
    for node in [*reports.lost(lines)[:MAX_ALONE], *doubtful[:MAX_DOUBTFUL]]:
        single = {**job, "nodes": [node], "checks": {}, "shuffle_seed": None, "early_end": None}
        again = run_tests(channel, setup, single, deadline, modules)
        if again.timed_out:
            return
        alone[node] = reports.entered_alone(again.lines)
    found = [bare.intersection(alone[node]) for node in doubtful[:MAX_DOUBTFUL]]
    if all(found):  # then the others will not fare better
        for node in doubtful[MAX_DOUBTFUL:]:
            alone[node] = sorted(set().union(*found))


def run_tests(
    channel: Channel,
    setup: dict[str, Any],
    job: dict[str, Any],
    deadline: float,
    modules: Modules,
) -> Any:
    """Fork a process that runs a job's tests; returns its `inside_watch.Watched`, ended."""
    nonce = secrets.token_hex(16)
    marks_fd, marks_file = tempfile.mkstemp(prefix="selfheal-")
    os.write(marks_fd, bytes(len(job["watch"]) or 1))
    result_read, result_write = os.pipe()
    output_read, output_write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            channel.close()
            for fd in (result_read, output_read, marks_fd):
                os.close(fd)
            modules["confine"].confine(setup, output_write, modules["syscalls"])
            os.chdir(setup["cwd"])
            modules["tests"].run(setup, job, result_write, nonce, marks_file, modules)
        except BaseException as error:  # noqa: BLE001 - this process must never return
            sys.stderr.write(f"{type(error).__name__}: {error}\n")
            sys.stderr.flush()
            os._exit(70)
        os._exit(0)
    os.close(result_write)
    os.close(output_write)
    watched = modules["watch"].Watched(pid, result_read, output_read, nonce, has_all=True)
    watched.wait(channel, deadline)
    marks = os.pread(marks_fd, len(job["watch"]), 0)
    os.close(marks_fd)
    watched.marked = [w["key"] for w, mark in zip(job["watch"], marks, strict=False) if mark]
    return watched


def write_overlay(root: str, path: str, data: bytes) -> None:
    """Put a changed file over the project's, as a new file with no cached bytecode."""
    full = os.path.join(root, path)
    os.makedirs(os.path.dirname(full), exist_ok=True)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(full)
    with open(full, "wb") as file:
        file.write(data)


def text_of(path: str) -> str:
    """What a file holds, roughly: to look for words in it."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def digest(path: str) -> str | None:
    """A file's hash, None where it is none, cannot be read, or has grown out of all bounds.

    The tests may have put a pipe or a device in its place, or a link to one.
    """
    found = hashlib.sha256()
    with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        stack.callback(os.close, fd)
        if stat.S_ISREG(os.fstat(fd).st_mode):
            for _ in range(MAX_JUDGE_MEBIBYTES):
                part = os.read(fd, 2**20)
                if not part:
                    return found.hexdigest()
                found.update(part)
    return None


def oom_kills() -> int | None:
    """How many processes of this sandbox's memory group the kernel has killed so far."""
    for path in (
        "/sys/fs/cgroup/memory.events",
        "/sys/fs/cgroup/memory/memory.oom_control",
    ):
        with contextlib.suppress(OSError), open(path) as file:
            for line in file:
                name, _, value = line.partition(" ")
                if name == "oom_kill":
                    return int(value)
    return None
