"""What every sandbox must do, asked of each of them: one suite for all launchers."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import textwrap
import time
from pathlib import Path

import pytest

from pytest_selfheal.records import Job, Limits, RunOutcome, Watch
from tests.sandboxes import BACKENDS, launcher, require

FORTY_TWO = "def answer():\n    return 42\n"


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    require(request.param)
    return str(request.param)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    root.mkdir()
    (root / "pyproject.toml").write_text("[tool.pytest.ini_options]\n")
    (root / "code.py").write_text("def answer():\n    ...\n")
    (root / "test_code.py").write_text(
        "import app\n\ndef test_answer():\n    assert app.answer() == 42\n"
    )
    (root / "app.py").write_text("def answer():\n    ...\n")
    return root


def run(backend: str, root: Path, job: Job, limits: Limits | None = None) -> RunOutcome:
    with launcher(backend, root, limits) as made:
        sandbox = made.launch()
        try:
            return sandbox.run(job)
        finally:
            sandbox.close()


def run_test(backend: str, root: Path, body: str, limits: Limits | None = None) -> RunOutcome:
    """Run one test of the given body."""
    (root / "test_it.py").write_text("def test_it():\n" + textwrap.indent(body, "    "))
    return run(backend, root, Job(nodes=("test_it.py::test_it",)), limits)


def outcomes(outcome: RunOutcome) -> dict[str, str]:
    return {each.nodeid: each.outcome for each in outcome.results}


class TestOrdinaryRuns:
    def test_overlay_is_what_runs_and_the_tree_stays(self, backend: str, project: Path) -> None:
        job = Job(nodes=("test_code.py::test_answer",), overlay={"app.py": FORTY_TWO.encode()})
        before = (project / "app.py").read_bytes()
        outcome = run(backend, project, job)
        assert outcome.ending == "completed", outcome
        assert outcomes(outcome) == {"test_code.py::test_answer": "passed"}
        assert (project / "app.py").read_bytes() == before
        assert outcome.seconds > 0

    def test_the_traceback_is_pytests_own(self, backend: str, project: Path) -> None:
        outcome = run(backend, project, Job(nodes=("test_code.py::test_answer",)))
        (result,) = outcome.results
        assert result.outcome == "failed"
        assert "test_code.py:4: in test_answer" in result.longrepr
        assert "E   assert None == 42" in result.longrepr
        assert "where None = <function answer" in result.longrepr
        assert result.exception == "AssertionError"

    def test_nothing_is_truncated_and_captured_output_is_there(
        self, backend: str, project: Path
    ) -> None:
        outcome = run_test(
            backend,
            project,
            "print('seen by the model')\nassert list(range(60)) == list(range(1, 61))\n",
        )
        (result,) = outcome.results
        assert "seen by the model" in result.longrepr
        assert "Full diff" in result.longrepr
        assert "...Full output truncated" not in result.longrepr

    def test_only_what_is_asked_for_runs(self, backend: str, project: Path) -> None:
        (project / "test_two.py").write_text(
            "import pytest\n"
            "@pytest.mark.parametrize('n', [1, 2])\n"
            "def test_a(n): pass\n"
            "def test_b(): pass\n"
        )
        outcome = run(backend, project, Job(nodes=("test_two.py::test_a[2]",)))
        assert outcomes(outcome) == {"test_two.py::test_a[2]": "passed"}

    def test_a_file_stands_for_its_tests(self, backend: str, project: Path) -> None:
        (project / "test_two.py").write_text("def test_a(): pass\ndef test_b(): pass\n")
        outcome = run(backend, project, Job(nodes=("test_two.py",)))
        assert set(outcomes(outcome)) == {"test_two.py::test_a", "test_two.py::test_b"}

    def test_skipped_and_xfailed_are_no_passes(self, backend: str, project: Path) -> None:
        (project / "test_two.py").write_text(
            "import pytest\n"
            "def test_skip(): pytest.skip('no')\n"
            "@pytest.mark.xfail\n"
            "def test_xfail(): assert 0\n"
            "@pytest.mark.xfail\n"
            "def test_xpass(): pass\n"
        )
        outcome = run(backend, project, Job(nodes=("test_two.py",)))
        assert [each.outcome for each in outcome.results] == ["skipped", "xfailed", "xpassed"]

    def test_a_collection_error_is_the_files(self, backend: str, project: Path) -> None:
        (project / "test_two.py").write_text("import nothing_of_that_name\ndef test_a(): pass\n")
        outcome = run(backend, project, Job(nodes=("test_two.py::test_a",)))
        (result,) = outcome.results
        assert (result.nodeid, result.outcome, result.phase) == ("test_two.py", "failed", "collect")
        assert "nothing_of_that_name" in result.longrepr
        assert result.exception == "ModuleNotFoundError"

    def test_a_test_that_is_gone_is_unfinished(self, backend: str, project: Path) -> None:
        outcome = run(backend, project, Job(nodes=("test_code.py::test_gone",)))
        assert outcomes(outcome) == {"test_code.py::test_gone": "unfinished"}

    def test_another_order_with_a_seed(self, backend: str, project: Path) -> None:
        names = [f"test_{n}" for n in range(12)]
        (project / "test_two.py").write_text("".join(f"def {n}(): pass\n" for n in names))
        plain = run(backend, project, Job(nodes=("test_two.py",)))
        shuffled = run(backend, project, Job(nodes=("test_two.py",), shuffle_seed=3))
        assert sorted(outcomes(plain)) == sorted(outcomes(shuffled))
        assert list(outcomes(plain)) != list(outcomes(shuffled))

    def test_entered_functions_are_noted(self, backend: str, project: Path) -> None:
        (project / "app.py").write_text(
            "from pytest_selfheal import heal\n"
            "def plain(): ...\n"
            "@heal\n"
            "def marked(): ...\n"
            "def other(): return 1\n"
        )
        (project / "test_code.py").write_text(
            "import threading, app\n"
            "def test_all():\n"
            "    t = threading.Thread(target=app.plain); t.start(); t.join()\n"
            "    app.marked()\n"
            "def test_none(): pass\n"
        )
        watch = (
            Watch(key="plain", path="app.py", first_line=2),
            Watch(key="marked", path="app.py", first_line=3, compiled_in=False),
            Watch(key="other", path="app.py", first_line=5),
        )
        outcome = run(backend, project, Job(nodes=("test_code.py",), watch=watch))
        entered = {each.nodeid: each.entered for each in outcome.results}
        assert entered == {
            "test_code.py::test_all": ("plain", "marked"),
            "test_code.py::test_none": (),
        }
        assert outcome.results[0].exception == "StubCalled"

    def test_data_files_that_a_test_opens_are_noted(self, backend: str, project: Path) -> None:
        (project / "data").mkdir()
        (project / "data" / "rows.csv").write_text("a,b\n")
        (project / "test_code.py").write_text(
            "from pathlib import Path\n"
            "def test_rows():\n"
            "    name = 'rows'\n"
            "    assert (Path('data') / (name + '.csv')).read_text() == ''\n"
        )
        outcome = run(backend, project, Job(nodes=("test_code.py",)))
        assert outcome.results[0].opened == ("data/rows.csv",)

    def test_the_models_checks_run_beside_the_tests(self, backend: str, project: Path) -> None:
        job = Job(
            nodes=("test_code.py::test_answer",),
            overlay={"app.py": FORTY_TWO.encode()},
            checks={"app.py": "assert answer() == 42\nassert answer() == 43\n"},
        )
        outcome = run(backend, project, job)
        checks = [each for each in outcome.results if each.is_check]
        assert [each.outcome for each in checks] == ["failed"]
        assert "assert 42 == 43" in checks[0].longrepr
        assert "<selfheal>" not in checks[0].longrepr


class TestWhatCodeCannotDo:
    def test_no_network_and_no_environment(self, backend: str, project: Path) -> None:
        outcome = run_test(
            backend,
            project,
            "import os, socket, pytest\n"
            "with pytest.raises(OSError):\n"
            "    socket.create_connection(('127.0.0.1', 22), 1)\n"
            "with pytest.raises(OSError):\n"
            "    socket.create_connection(('10.255.255.1', 80), 1)\n"
            "assert os.geteuid() != 0\n"
            "assert not {'OPENAI_API_KEY', 'USER', 'PWD'} & set(os.environ)\n",
        )
        assert [each.outcome for each in outcome.results] == ["passed"], outcome

    def test_writes_vanish_and_places_outside_are_closed(
        self, backend: str, project: Path, tmp_path: Path
    ) -> None:
        secret = tmp_path / "secret.txt"
        secret.write_text("s")
        (project / ".git").mkdir()
        (project / ".git" / "HEAD").write_text("ref")
        (project / ".env").write_text("TOKEN=1")
        outcome = run_test(
            backend,
            project,
            "import os, pytest\n"
            "open('new.txt', 'w').write('x')\n"
            "open('app.py', 'a').write('# more')\n"
            "assert open('new.txt').read() == 'x'\n"
            f"for path in ({str(secret)!r}, '.git/HEAD', '.env', '/etc/shadow'):\n"
            "    with pytest.raises(OSError):\n"
            "        open(path).read()\n"
            "with pytest.raises(OSError):\n"
            "    open('/usr/selfheal', 'w')\n",
        )
        assert [each.outcome for each in outcome.results] == ["passed"], outcome
        assert not (project / "new.txt").exists()
        assert "more" not in (project / "app.py").read_text()

    def test_a_changed_judge_is_untrusted(self, backend: str, project: Path) -> None:
        outcome = run_test(backend, project, "open('conftest.py', 'w').write('')\n")
        assert outcome.ending == "untrusted"
        assert "conftest.py" in outcome.why


def gone_soon(pid_marker: str) -> bool:
    """Whether no process of this machine has the marker in its command line, within 5 s."""
    for _ in range(50):
        found = subprocess.run(["pgrep", "-f", pid_marker], capture_output=True, text=True)
        if not found.stdout.strip():
            return True
        time.sleep(0.1)
    return False


SMALL = Limits(timeout_seconds=4, memory_bytes=192 * 2**20, processes=24, disk_bytes=64 * 2**20)


def test_a_forked_child_that_falls_out_of_its_test_has_no_say(backend: str, project: Path) -> None:
    outcome = run_test(
        backend,
        project,
        "import os\n"
        "pid = os.fork()\n"
        "if pid == 0:\n"
        "    raise RuntimeError('in the child')\n"
        "os.waitpid(pid, 0)\n",
    )
    assert outcome.ending == "completed", outcome
    assert [each.outcome for each in outcome.results] == ["passed"]


class TestAbuse:
    """Each ends in its verdict, within the limits, and leaves nothing behind."""

    @pytest.mark.parametrize(
        ("body", "endings", "says"),
        [
            pytest.param("while True: pass\n", {"timeout"}, "test_it.py::test_it", id="loop"),
            pytest.param(
                "x = []\nwhile True: x.append(bytearray(2**22))\n",
                {"out-of-memory"},
                "192 MiB",
                id="memory-bomb",
            ),
            pytest.param("import os\nos.abort()\n", {"crashed"}, "SIGABRT", id="abort"),
            pytest.param(
                "import ctypes\nctypes.string_at(0)\n", {"crashed"}, "SIGSEGV", id="segfault"
            ),
            pytest.param("import os\nos._exit(0)\n", {"crashed"}, "exit status 0", id="exit-0"),
            pytest.param(
                "import os, time\n"
                "while True:\n"
                "    try:\n"
                "        if os.fork() == 0: time.sleep(30)\n"
                "    except OSError: pass\n",
                {"timeout", "crashed", "out-of-memory"},
                "",
                id="fork-bomb",
            ),
            pytest.param(
                "for _ in range(1024): print('x' * 2**20)\n",
                {"completed", "out-of-memory", "timeout"},
                "",
                id="1-GB-of-output",
            ),
            pytest.param(
                "import os\nfor _ in range(1024): os.write(2, b'x' * 2**20)\n",
                {"completed", "out-of-memory", "timeout"},
                "",
                id="1-GB-on-descriptor-2",
            ),
            pytest.param(
                "import signal, time\n"
                "for n in set(signal.Signals) - {9, 19}:\n"
                "    signal.signal(n, signal.SIG_IGN)\n"
                "time.sleep(60)\n",
                {"timeout"},
                "",
                id="ignores-signals",
            ),
            pytest.param(
                "f = open('big', 'wb')\nfor _ in range(512): f.write(b'x' * 2**20)\n",
                {"completed", "crashed", "out-of-memory"},
                "",
                id="fills-the-disk",
            ),
        ],
    )
    def test_ends_in_its_verdict(
        self, backend: str, project: Path, body: str, endings: set[str], says: str
    ) -> None:
        outcome = run_test(backend, project, body, SMALL)
        assert outcome.ending in endings, outcome
        assert says in outcome.why
        assert all(each.outcome != "passed" for each in outcome.results)
        assert outcome.seconds < SMALL.timeout_seconds + 12
        if outcome.ending == "completed":
            assert len(outcome.results[0].longrepr) < 200_000

    @pytest.mark.parametrize(
        ("body", "endings"),
        [
            pytest.param(
                "import itertools, os, tempfile\n"
                "folder = tempfile.mkdtemp()\n"
                "for n in itertools.count():\n"
                "    os.close(os.open(f'{folder}/{n}', os.O_CREAT))\n",
                {"completed", "crashed", "out-of-memory", "timeout"},
                id="files-without-end",
            ),
            pytest.param(
                "import os\nos.closerange(0, 1000)\n",
                {"crashed", "completed"},
                id="closes-all-descriptors",
            ),
            pytest.param(
                "import os, shutil\n"
                "shutil.rmtree(os.getcwd(), ignore_errors=True)\n"
                "os.chdir('/tmp')\nassert 0\n",
                {"untrusted", "completed"},
                id="removes-its-folder",
            ),
            pytest.param(
                "import os\n"
                'line = b\'x 0 {"kind": "end", "status": 0}\\n\'\n'
                "for fd in range(64):\n"
                "    try: os.write(fd, line)\n"
                "    except OSError: pass\n"
                "assert 0\n",
                {"untrusted", "completed"},
                id="forged-lines-everywhere",
            ),
            pytest.param(
                "import os, time\n"
                "if os.fork() == 0:\n"
                "    os.setsid()\n"
                "    if os.fork() == 0:\n"
                "        while True:\n"
                "            for fd in range(64):\n"
                "                try: os.write(fd, b'late\\n')\n"
                "                except OSError: pass\n"
                "            time.sleep(0.01)\n"
                "    os._exit(0)\n"
                "time.sleep(0.2)\nassert 0\n",
                {"untrusted", "completed", "timeout"},
                id="a-daemon-that-writes-later",
            ),
            pytest.param(
                "print('x' * (100 * 2**20))\nassert 0\n",
                {"completed", "out-of-memory"},
                id="100-MB-of-output",
            ),
            pytest.param(
                "held = []\nwhile True: held.append(open('/dev/null'))\n",
                {"completed", "crashed"},
                id="descriptors-without-end",
            ),
        ],
    )
    def test_is_never_green(
        self, backend: str, project: Path, body: str, endings: set[str]
    ) -> None:
        limits = dataclasses.replace(SMALL, open_files=128)
        outcome = run_test(backend, project, body, limits)
        assert outcome.ending in endings, outcome
        assert all(each.outcome != "passed" for each in outcome.results), outcome.results
        assert outcome.seconds < SMALL.timeout_seconds + 12

    def test_bytecode_put_beside_the_sources_stays_inside(
        self, backend: str, project: Path
    ) -> None:
        before = sorted(path for path in project.rglob("*") if path.is_file())
        run_test(
            backend,
            project,
            "import importlib.util, os, py_compile\n"
            "open('/tmp/evil.py', 'w').write('raise SystemExit')\n"
            "cached = importlib.util.cache_from_source('app.py')\n"
            "os.makedirs('__pycache__', exist_ok=True)\n"
            "py_compile.compile('/tmp/evil.py', cfile=cached)\n",
        )
        after = sorted(path for path in project.rglob("*") if path.is_file())
        assert set(after) - set(before) == {project / "test_it.py"}

    def test_a_daemon_does_not_outlive_its_sandbox(self, backend: str, project: Path) -> None:
        marker = f"selfheal-daemon-{os.getpid()}"
        outcome = run_test(
            backend,
            project,
            "import os, subprocess, sys\n"
            f"subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(99)', {marker!r}],"
            " start_new_session=True)\n",
        )
        assert [each.outcome for each in outcome.results] == ["passed"]
        assert gone_soon(marker)


class TestBubblewrapWithoutControlGroups:
    """Where no group can be made, each process is limited and their sum is watched."""

    @pytest.fixture(autouse=True)
    def no_groups(self, monkeypatch: pytest.MonkeyPatch) -> None:
        require("bubblewrap")
        from pytest_selfheal.sandbox import bubblewrap

        monkeypatch.setattr(bubblewrap, "make_group", lambda *_: None)

    def test_one_process_runs_out_of_memory(self, project: Path) -> None:
        outcome = run_test(
            "bubblewrap", project, "x = []\nwhile True: x.append(bytearray(2**22))\n", SMALL
        )
        assert outcome.ending == "out-of-memory" or outcome.results[0].exception == "MemoryError"

    def test_several_processes_together_do(self, project: Path) -> None:
        outcome = run_test(
            "bubblewrap",
            project,
            "import os, time\n"
            "for _ in range(8):\n"
            "    if os.fork() == 0:\n"
            "        x = bytearray(os.urandom(2**20)) * 40\n"
            "        time.sleep(30)\n"
            "time.sleep(30)\n",
            SMALL,
        )
        assert outcome.ending == "out-of-memory", outcome
        assert "in all its processes" in outcome.why

    def test_too_many_processes(self, project: Path) -> None:
        outcome = run_test(
            "bubblewrap",
            project,
            "import os, time\n"
            "for _ in range(60):\n"
            "    if os.fork() == 0:\n"
            "        time.sleep(30)\n"
            "time.sleep(30)\n",
            SMALL,
        )
        assert (outcome.ending, outcome.why) == ("crashed", "more than 24 processes")


def test_bubblewrap_counts_the_files(project: Path) -> None:
    require("bubblewrap")
    outcome = run_test(
        "bubblewrap",
        project,
        "import itertools, os, tempfile\n"
        "folder = tempfile.mkdtemp()\n"
        "for n in itertools.count():\n"
        "    os.close(os.open(f'{folder}/{n}', os.O_CREAT))\n",
        Limits(timeout_seconds=60),
    )
    assert (outcome.ending, outcome.why) == ("crashed", "more than 65536 files written")


def test_tmp_path_and_the_cache_work(backend: str, project: Path) -> None:
    (project / "test_two.py").write_text(
        "def test_tmp(tmp_path, request):\n"
        "    (tmp_path / 'x').write_text('x')\n"
        "    request.config.cache.set('a/b', 1)\n"
    )
    (project / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\n")
    outcome = run(backend, project, Job(nodes=("test_two.py",)))
    assert outcomes(outcome) == {"test_two.py::test_tmp": "passed"}, outcome.results


SUPERVISOR_ATTACKS = {
    "kill": "os.kill(supervisor, signal.SIGKILL)",
    "stop": "os.kill(supervisor, signal.SIGSTOP)",
    "interrupt": "os.kill(supervisor, signal.SIGINT)",
    "group": "os.killpg(os.getpgid(supervisor) or supervisor, signal.SIGKILL)",
    "thread": "assert libc.tgkill(supervisor, supervisor, 9) == 0",
    "one-thread": "assert libc.syscall(NUMBERS['tkill'], supervisor, 9) == 0",
    "queued": "assert libc.sigqueue(supervisor, 9, 0) == 0",
    "pidfd": "signal.pidfd_send_signal(os.pidfd_open(supervisor), signal.SIGKILL)",
    "owner-of-a-pipe": (
        "r, w = os.pipe()\n"
        "fcntl.fcntl(r, fcntl.F_SETOWN, supervisor)\n"
        "fcntl.fcntl(r, 10, signal.SIGKILL)\n"
        "fcntl.fcntl(r, fcntl.F_SETFL, os.O_ASYNC)\n"
        "os.write(w, b'x')\n"
        "time.sleep(0.2)\n"
        "raise PermissionError('nobody was signalled')"
    ),
    "time-limit": "resource.prlimit(supervisor, resource.RLIMIT_CPU, (0, 0))",
    "no-files": "resource.prlimit(supervisor, resource.RLIMIT_NOFILE, (0, 0))",
    "priority": "os.setpriority(os.PRIO_PROCESS, supervisor, 19)",
    "everybodys-priority": "os.setpriority(os.PRIO_USER, 0, 19)",
    "idle": "os.sched_setscheduler(supervisor, os.SCHED_IDLE, os.sched_param(0))",
    "processor": "os.sched_setaffinity(supervisor, {0})",
    "memory": "open(f'/proc/{supervisor}/mem', 'r+b')",
    "score": "open(f'/proc/{supervisor}/oom_score_adj', 'w').write('1000')",
    "descriptors": "open(f'/proc/{supervisor}/fd/3', 'rb')",
    "trace": "assert libc.ptrace(16, supervisor, 0, 0) == 0",
}


def test_the_supervisor_cannot_be_touched(backend: str, project: Path, subtests) -> None:
    """Not ended, stopped, slowed down or starved: it goes on to say what became of each try."""
    text = (
        "import ctypes, fcntl, os, platform, resource, signal, time\n"
        "import pytest\n"
        "supervisor = os.getppid()\n"
        "libc = ctypes.CDLL(None, use_errno=True)\n"
        "NUMBERS = {'tkill': 200 if platform.machine() == 'x86_64' else 130}\n"
    )
    attacks = dict(SUPERVISOR_ATTACKS)
    if backend == "bubblewrap" and os.geteuid() == 0:
        del attacks["score"]  # there the user inside is root's own: see docs/security.md
    for name, body in attacks.items():
        text += f"def test_{name.replace('-', '_')}():\n"
        text += "    with pytest.raises((OSError, AssertionError)):\n"
        text += textwrap.indent(body, " " * 8) + "\n"
    text += "def test_its_own_child_is_its_own():\n"
    text += "    pid = os.fork()\n    if pid == 0:\n        time.sleep(60)\n"
    text += "    os.kill(pid, signal.SIGKILL)\n    os.waitpid(pid, 0)\n"
    (project / "test_it.py").write_text(text)
    outcome = run(backend, project, Job(nodes=("test_it.py",)), SMALL)
    assert outcome.ending == "completed", outcome
    assert len(outcome.results) == len(attacks) + 1
    for each in outcome.results:
        with subtests.test(each.nodeid):
            assert each.outcome == "passed", each.longrepr


def test_everybody_killed_is_a_crash_of_the_tests_alone(backend: str, project: Path) -> None:
    outcome = run_test(backend, project, "import os\nos.kill(-1, 9)\nos.kill(os.getpid(), 9)\n")
    if outcome.ending == "completed":  # as the supervisor's own number with a minus
        assert outcome.results[0].exception == "PermissionError"
    else:
        assert outcome.ending in ("crashed", "out-of-memory"), outcome
        assert "test_it.py::test_it" in outcome.why


def test_what_a_run_leaves_is_ended_before_the_next_in_the_same_sandbox(
    backend: str, project: Path
) -> None:
    """A failing test that entered nothing runs once more, alone; the first run's daemon is gone."""
    (project / "test_it.py").write_text(
        "import os, time\n"
        "from pathlib import Path\n"
        "def test_it():\n"
        "    note = Path(os.environ.get('TMPDIR', '/tmp')) / 'pid'\n"
        "    if note.exists():\n"
        "        import app\n"
        "        pid = int(note.read_text())\n"
        "        try:\n"
        "            os.kill(pid, 0)\n"
        "        except ProcessLookupError:\n"
        "            app.answer()\n"
        "        assert False, 'the second time'\n"
        "    if os.fork() == 0:\n"
        "        os.setsid()\n"
        "        if os.fork() == 0:\n"
        "            note.write_text(str(os.getpid()))\n"
        "            time.sleep(60)\n"
        "        os._exit(0)\n"
        "    while not (note.exists() and note.read_text()):\n"
        "        time.sleep(0.01)\n"
        "    assert False, 'the first time'\n"
    )
    outcome = run(
        backend,
        project,
        Job(
            nodes=("test_it.py::test_it",),
            watch=(Watch(key="answer", path="app.py", first_line=1),),
        ),
    )
    (result,) = outcome.results
    assert result.entered == ("answer",), result.longrepr


@pytest.mark.parametrize("judge", ["os.mkfifo({0})", "os.symlink('/dev/zero', {0})"])
def test_a_judge_that_cannot_be_read_to_its_end_is_untrusted(
    backend: str, project: Path, judge: str
) -> None:
    body = "import os\nos.unlink('pyproject.toml')\n" + judge.format("'pyproject.toml'") + "\n"
    outcome = run_test(backend, project, body, SMALL)
    if backend == "landlock" and outcome.ending == "completed":
        # Neither may be made there; the test says so and the file is gone or the old one.
        assert outcome.results[0].outcome == "failed", outcome
    else:
        assert outcome.ending == "untrusted", outcome
    assert outcome.seconds < SMALL.timeout_seconds


def test_a_package_beside_the_project_can_be_imported_and_its_neighbours_not_read(
    backend: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a checkout whose package is installed in place, with the project within it."""
    root = tmp_path / "checkout" / "project"
    root.mkdir(parents=True)
    beside = root.parent / "beside_the_project"
    beside.mkdir()
    (beside / "__init__.py").write_text("VALUE = 7\n")
    (root.parent / "secret.txt").write_text("s")
    monkeypatch.syspath_prepend(str(root.parent))
    outcome = run_test(
        backend,
        root,
        "import pytest, beside_the_project\n"
        "assert beside_the_project.VALUE == 7\n"
        "with pytest.raises(OSError):\n"
        "    open('../secret.txt').read()\n",
    )
    assert [each.outcome for each in outcome.results] == ["passed"], outcome
