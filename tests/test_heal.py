"""Healing from end to end: real pytest processes, real sandboxes, a model over real HTTP."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.harness import KEY, Project, Run, python, require
from tests.sandboxes import BACKENDS
from tests.scripted_server import ScriptedServer, ServedRequest

LANDLOCK = "--selfheal-sandbox=landlock"


def sandbox(backend: str) -> str:
    """The option for a sandbox that this machine has."""
    require(backend)
    return f"--selfheal-sandbox={backend}"


def requests_for(server: ScriptedServer, target: str) -> list[ServedRequest]:
    return [request for request in server.requests if target in request.targets]


# --- one function: wrong first, then right ---------------------------------------------

ONE = {
    "src/tax.py": '''
        """Taxes."""
        from pytest_selfheal import heal

        RATE = 0.2


        @heal(hint="whole cents")
        def due(amount: int) -> int:
            """The tax that is due."""
            ...


        def untouched() -> int:   # odd   spacing
            return  1
    ''',
    "tests/test_tax.py": """
        import pytest
        from tax import due, untouched


        @pytest.mark.parametrize("amount, tax", [(100, 20), (250, 50)])
        def test_due(amount, tax):
            assert due(amount) == tax


        def test_untouched():
            assert untouched() == 1
    """,
    "conftest.py": """
        import sys
        from pathlib import Path

        sys.path.insert(0, str(Path(__file__).parent / "src"))
    """,
}
ONE_TARGET = "src/tax.py::due"
# The first reply looks for the key, and fails with all it can see in the message.
ONE_REPLIES = [
    python(
        """
        import os

        def due(amount: int) -> int:
            seen = dict(os.environ)
            for process in ("self", "1"):
                try:
                    with open(f"/proc/{process}/environ") as file:
                        seen[process] = file.read()
                except OSError as error:
                    seen[process] = str(error)
            raise LookupError("seen: " + "\\n".join(map(repr, seen.items())))
        """
    ),
    python(
        """
        def due(amount: int) -> int:
            \"\"\"The tax that is due.\"\"\"
            return int(amount * RATE)
        """,
        checks="""
        assert due(0) == 0
        assert due(1000) == 200
        """,
    ),
]


@pytest.mark.parametrize(
    ("backend", "api"),
    [
        ("docker", "responses"),
        ("docker", "chat"),
        ("landlock", "responses"),
        ("landlock", "chat"),
        ("bubblewrap", "chat"),
    ],
)
def test_one_function_is_healed_by_the_second_reply(tmp_path: Path, backend: str, api: str) -> None:
    project = Project(tmp_path / "project", ONE)
    recording = tmp_path / "recording.jsonl"
    with ScriptedServer({ONE_TARGET: ONE_REPLIES}) as server:
        run = project.heal(
            sandbox(backend),
            f"--selfheal-api={api}",
            f"--selfheal-record={recording}",
            "--selfheal-model=some-model",
            server=server,
        )

    assert run.status == 0, run.output
    assert run.statuses() == {ONE_TARGET: "healed"}
    assert list(run.changed) == ["src/tax.py"]
    assert run.text("src/tax.py") == (
        '"""Taxes."""\n\nRATE = 0.2\n\n\ndef due(amount: int) -> int:\n'
        '    """The tax that is due."""\n    return int(amount * RATE)\n\n\n'
        "def untouched() -> int:   # odd   spacing\n    return  1\n"
    )

    # What was sent: the right API with the key, the retry with the code and the traceback.
    assert [(r.api, r.model, r.has_key) for r in server.requests] == [(api, "some-model", True)] * 2
    first, second = (request.prompt for request in server.requests)
    assert first.count("\nTarget: ") == 1
    assert "whole cents" in first
    assert "tests/test_tax.py::test_due (2 cases)" in first
    assert 'raise LookupError("seen: " + "' in second
    assert "tests/test_tax.py:7: in test_due" in second
    assert "E   LookupError: seen: (" in second
    assert "PYTEST_SELFHEAL_SANDBOX" in second, "the environment was not seen at all"
    assert not any(KEY in prompt for prompt in (first, second))
    assert KEY not in recording.read_text()

    # What is reported.
    assert run.report is not None
    assert run.report["mode"] == "apply"
    assert run.report["model"] == {
        "name": "some-model",
        "requests": 2,
        "input_tokens": run.report["model"]["input_tokens"],
        "output_tokens": run.report["model"]["output_tokens"],
        "reasoning_tokens": 0,
        "cached_tokens": 0,
        "cost": None,
        "uncounted_requests": 0,
        "stored_replies": 0,
        "models": [],
    }
    assert run.report["model"]["input_tokens"] > 0
    assert run.report["sandbox"] == {"backend": backend, "verifications": 4}
    assert run.verdicts(ONE_TARGET) == ["failed", "passed"]
    stub = run.stubs[ONE_TARGET]
    assert "LookupError" in stub["attempts"][0]["why"]
    tests = ["tests/test_tax.py::test_due[100-20]", "tests/test_tax.py::test_due[250-50]"]
    assert stub["tests"] == tests
    assert run.report["tests"]["healed"] == tests
    assert run.report["tests"]["still_failing"] == []
    assert stub["diff"].startswith("--- a/src/tax.py\n+++ b/src/tax.py\n")
    assert "healed    src/tax.py::due  (2 attempts, 2 tests)" in run.output
    assert "1 passed, 2 healed" in run.output
    assert "1 failed" not in run.output


@pytest.mark.parametrize("backend", ["docker", "bubblewrap"])
def test_a_file_that_is_too_large_for_the_copy_is_named(tmp_path: Path, backend: str) -> None:
    project = Project(tmp_path / "project", ONE)
    with (project.root / "film.bin").open("wb") as file:
        file.truncate(33 * 2**20)
    with ScriptedServer({ONE_TARGET: ONE_REPLIES[-1:]}) as server:
        run = project.heal(sandbox(backend), server=server)
    assert run.statuses() == {ONE_TARGET: "healed"}
    assert run.report is not None
    note = "not in the sandbox, since over 32 MiB: film.bin"
    assert run.report["notes"] == [note]
    assert note in run.output


def test_a_recording_is_replayed_to_the_same_result_with_nobody_there(tmp_path: Path) -> None:
    recording = tmp_path / "recording.jsonl"
    recorded = Project(tmp_path / "recorded", ONE)
    with ScriptedServer({ONE_TARGET: ONE_REPLIES}) as server:
        first = recorded.heal(sandbox("landlock"), f"--selfheal-record={recording}", server=server)
        gone = server.base_url
    replayed = Project(tmp_path / "replayed", ONE)
    second = replayed.heal(
        LANDLOCK, f"--selfheal-replay={recording}", f"--selfheal-base-url={gone}"
    )

    assert (first.status, second.status) == (0, 0), second.output
    assert first.changed == second.changed
    assert second.verdicts(ONE_TARGET) == ["failed", "passed"]
    assert second.report is not None
    assert first.report is not None
    assert second.report["model"]["requests"] == first.report["model"]["requests"] == 2
    assert [json.loads(x).get("attempt") for x in recording.read_text().splitlines()] == [
        None,
        1,
        2,
    ]


# --- many kinds of stub in one run -----------------------------------------------------

MANY = {
    "shop/__init__.py": "",
    "shop/stack.py": """
        from pytest_selfheal import heal


        @heal
        class Stack:
            LIMIT = 3

            def __init__(self) -> None:
                self.items: list[int] = []

            def push(self, item: int) -> None:
                ...

            def pop(self) -> int:
                raise NotImplementedError

            @property
            def size(self) -> int:
                pass

            @staticmethod
            def limit() -> int:
                ...
    """,
    "shop/parity.py": """
        # selfheal
        def is_even(n: int) -> bool:
            ...


        # selfheal
        def is_odd(n: int) -> bool:
            ...
    """,
    "shop/codec.py": """
        # selfheal
        def encode(text: str) -> str:
            ...


        # selfheal
        def decode(text: str) -> str:
            ...
    """,
    "shop/alone.py": """
        from pytest_selfheal import heal


        @heal
        def unreached() -> int:
            ...


        # selfheal: keep, hint="a comment's hint, with a comma", attempts=2
        def kept(a: int) -> int:
            ...


        @heal(keep=True, attempts=1, hint="a decorator's hint")
        async def kept_too(a: int) -> int:
            ...


        @heal
        def connect() -> dict:
            ...


        @heal
        def odd(text: str) -> int:
            ...


        @heal
        def total(path: str) -> int:
            ...


        @heal
        def cased(a: int) -> int:
            ...
    """,
    "data/numbers.txt": "4\n8\n15\n",
    "test_shop.py": """
        import asyncio
        import unittest
        from pathlib import Path

        import pytest

        from shop import alone, codec, parity
        from shop.stack import Stack


        def test_stack():
            stack = Stack()
            stack.push(1)
            stack.push(2)
            assert stack.size == 2
            assert stack.pop() == 2
            assert stack.size == 1


        def test_limit():
            assert Stack.limit() == Stack.LIMIT


        def test_parity():
            assert parity.is_even(4) and parity.is_odd(3)
            assert not parity.is_even(3) and not parity.is_odd(4)


        @pytest.mark.parametrize("text", ["", "abc", "äöü ß"])
        def test_round_trip(text):
            assert codec.decode(codec.encode(text)) == text


        def test_encoded_is_another_text():
            assert codec.encode("abc") != "abc"


        def test_kept():
            assert alone.kept(2) == 3


        def test_kept_too():
            assert asyncio.run(alone.kept_too(2)) == 4


        @pytest.fixture
        def connection():
            return alone.connect()


        def test_connection(connection):
            assert connection["open"] is True


        @pytest.mark.parametrize("text", ["a::b", "a/b[c]", "x y\\n", "ä", "-k", "a.py::t"])
        def test_odd(text):
            assert alone.odd(text) == len(text)


        def test_total():
            assert alone.total(str(Path(__file__).parent / "data" / "numbers.txt")) == 27


        class TestCased(unittest.TestCase):
            def setUp(self):
                self.expected = 6

            def test_cased(self):
                self.assertEqual(alone.cased(3), self.expected)
                with self.subTest("again"):
                    self.assertEqual(alone.cased(0), 0)


        def test_green():
            assert True
    """,
}
MANY_REPLIES = {
    "shop/stack.py::Stack.push": [
        python("def push(self, item: int) -> None:\n    self.items.append(item)\n")
    ],
    "shop/stack.py::Stack.pop": [
        python("class Stack:\n    def pop(self) -> int:\n        return self.items.pop()\n")
    ],
    "shop/stack.py::Stack.size": [
        python(
            "class Stack:\n    @property\n    def size(self) -> int:\n"
            "        return len(self.items)\n"
        )
    ],
    "shop/stack.py::Stack.limit": [
        python(
            "class Stack:\n    @staticmethod\n    def limit() -> int:\n        return Stack.LIMIT\n"
        )
    ],
    "shop/parity.py::is_even": [
        python("def is_even(n: int) -> bool:\n    return n == 0 or is_odd(n - 1)\n")
    ],
    "shop/parity.py::is_odd": [
        python("def is_odd(n: int) -> bool:\n    return n != 0 and is_even(n - 1)\n")
    ],
    "shop/codec.py::encode": [
        # Good enough for the test that sees it alone; only the round trip shows the loss.
        python("def encode(text: str) -> str:\n    return '<' + text.upper()\n"),
        python("def encode(text: str) -> str:\n    return '<' + text\n"),
    ],
    "shop/codec.py::decode": [
        python("def decode(text: str) -> str:\n    return text[1:].lower()\n"),
        python("def decode(text: str) -> str:\n    return text[1:]\n"),
    ],
    "shop/alone.py::kept": [python("def kept(a: int) -> int:\n    return a + 1\n")],
    "shop/alone.py::kept_too": [python("async def kept_too(a: int) -> int:\n    return a * 2\n")],
    "shop/alone.py::connect": [python("def connect() -> dict:\n    return {'open': True}\n")],
    "shop/alone.py::odd": [python("def odd(text: str) -> int:\n    return len(text)\n")],
    "shop/alone.py::total": [
        python(
            """
            from pathlib import Path

            def total(path: str) -> int:
                return sum(map(int, Path(path).read_text().split()))
            """
        )
    ],
    "shop/alone.py::cased": [python("def cased(a: int) -> int:\n    return a * 2\n")],
}


@dataclass(frozen=True)
class Many:
    run: Run
    server: ScriptedServer
    project: Project


@pytest.fixture(
    scope="module", params=[("landlock", ()), ("docker", ("-n2",))], ids=["landlock", "docker-n2"]
)
def many(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Many]:
    """One run over all of them, looked at from several sides."""
    backend, arguments = request.param
    chosen = sandbox(backend)
    project = Project(tmp_path_factory.mktemp("many") / "project", MANY)
    with ScriptedServer(MANY_REPLIES, latency_seconds=0.3) as server:
        run = project.heal(chosen, *arguments, server=server)
        yield Many(run, server, project)


def test_all_that_is_reached_is_healed(many: Many) -> None:
    expected = dict.fromkeys(MANY_REPLIES, "healed") | {"shop/alone.py::unreached": "unreached"}
    assert many.run.statuses() == expected, many.run.output
    assert many.run.status == 0
    assert set(many.run.changed) == {
        "shop/stack.py",
        "shop/parity.py",
        "shop/codec.py",
        "shop/alone.py",
    }
    assert many.run.report is not None
    assert many.run.report["tests"]["still_failing"] == []
    assert not many.run.report.get("warnings")


def test_what_is_on_the_disk_afterwards_is_green(many: Many) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:selfheal"],
        cwd=many.project.root,
        env=many.project.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_independent_stubs_are_asked_for_at_the_same_time(many: Many) -> None:
    assert many.server.max_concurrency > 1


def test_an_unreached_stub_costs_no_request(many: Many) -> None:
    assert requests_for(many.server, "shop/alone.py::unreached") == []
    assert many.run.stubs["shop/alone.py::unreached"]["attempts"] == []
    assert "@heal\ndef unreached() -> int:" in many.run.text("shop/alone.py")


def test_the_methods_of_a_class_are_healed_and_it_is_no_stub_any_more(many: Many) -> None:
    text = many.run.text("shop/stack.py")
    assert "heal" not in text
    assert "return self.items.pop()" in text
    tests = many.run.stubs["shop/stack.py::Stack.limit"]["tests"]
    assert tests == ["test_shop.py::test_limit"]


def test_mutually_recursive_stubs_are_healed_together(many: Many) -> None:
    asked = {request.targets for request in requests_for(many.server, "shop/parity.py::is_odd")}
    assert all(len(targets) <= 2 for targets in asked)
    assert "selfheal" not in many.run.text("shop/parity.py")
    assert many.run.verdicts("shop/parity.py::is_odd")[-1] == "passed"


def test_a_pair_that_only_a_round_trip_judges_is_asked_for_again(many: Many) -> None:
    text = many.run.text("shop/codec.py")
    assert "return '<' + text\n" in text
    assert "return text[1:]\n" in text
    retries = [r.prompt for r in requests_for(many.server, "shop/codec.py::encode")[1:]]
    assert retries
    assert "text.upper()" in retries[-1]
    assert "test_round_trip" in retries[-1]


def test_markers_options_count_in_both_forms(many: Many) -> None:
    (kept,) = requests_for(many.server, "shop/alone.py::kept")
    assert "a comment's hint, with a comma" in kept.prompt
    (kept_too,) = requests_for(many.server, "shop/alone.py::kept_too")
    assert "a decorator's hint" in kept_too.prompt
    text = many.run.text("shop/alone.py")
    assert '# selfheal: keep, hint="a comment\'s hint, with a comma", attempts=2\ndef kept' in text
    assert '@heal(keep=True, attempts=1, hint="a decorator\'s hint")\nasync def kept_too' in text
    assert "from pytest_selfheal import heal" in text, "the kept marker needs it"


def test_a_setup_failure_is_healed_through_its_fixture(many: Many) -> None:
    assert many.run.stubs["shop/alone.py::connect"]["tests"] == ["test_shop.py::test_connection"]
    (request,) = requests_for(many.server, "shop/alone.py::connect")
    assert "def connection():" in request.prompt


def test_parametrized_ids_with_odd_characters_are_kept_apart(many: Many) -> None:
    tests = many.run.stubs["shop/alone.py::odd"]["tests"]
    assert len(tests) == 6
    assert "test_shop.py::test_odd[a::b]" in tests
    assert "test_shop.py::test_odd[-k]" in tests


def test_a_unittest_case_is_healed(many: Many) -> None:
    tests = many.run.stubs["shop/alone.py::cased"]["tests"]
    assert "test_shop.py::TestCased::test_cased" in tests


def test_imports_of_a_reply_come_into_the_module(many: Many) -> None:
    assert "from pathlib import Path" in many.run.text("shop/alone.py")


def test_targets_stand_on_lines_of_their_own_and_nowhere_else(many: Many) -> None:
    known = set(MANY_REPLIES)
    for request in many.server.requests:
        assert set(request.targets) <= known
        assert request.targets


# --- replies that are no good ----------------------------------------------------------


def _stub(name: str) -> str:
    return f"# selfheal: attempts=2\ndef {name}(a: int) -> int:\n    ...\n\n\n"


def _test(name: str) -> str:
    return f"def test_{name}():\n    assert mod.{name}(1) == 2\n\n\n"


def _good(name: str) -> str:
    return python(f"def {name}(a: int) -> int:\n    return a + 1\n")


SIMPLE_FIRST = {
    "checks_fail": python(
        "def checks_fail(a: int) -> int:\n    return 2\n", "assert checks_fail(5) == 6\n"
    ),
    "cannot": "I thought about it.\nCannot: the tests contradict each other\n",
    "no_block": "Certainly! I would return `a + 1`.",
    "syntax": python("def syntax(a: int) -> int:\n    return a +\n"),
    "missing": python("def other(a: int) -> int:\n    return a + 1\n"),
    "signature": python("def signature(a: int, b: int = 1) -> int:\n    return a + b\n"),
    "refused": python("import os\n\ndef refused(a: int) -> int:\n    os._exit(0)\n"),
    "hopeless": python("def hopeless(a: int) -> int:\n    return a\n"),
}


@pytest.fixture(scope="module")
def simple(tmp_path_factory: pytest.TempPathFactory) -> Many:
    """One run in which every first reply is bad in a way of its own."""
    chosen = sandbox("landlock")
    project = Project(
        tmp_path_factory.mktemp("simple") / "project",
        {
            "mod.py": "".join(map(_stub, SIMPLE_FIRST)),
            "test_mod.py": "import mod\n\n\n" + "".join(map(_test, SIMPLE_FIRST)),
        },
    )
    replies = {
        f"mod.py::{name}": [first, first if name == "hopeless" else _good(name)]
        for name, first in SIMPLE_FIRST.items()
    }
    with ScriptedServer(replies) as server:
        return Many(project.heal(chosen, server=server), server, project)


@pytest.mark.parametrize(
    ("name", "verdict", "why"),
    [
        ("checks_fail", "failed", "its own checks: assert 2 == 6"),
        ("no_block", "unusable", "no ```python block"),
        ("syntax", "unusable", "syntax"),
        ("missing", "unusable", "does not define 'missing'"),
        ("signature", "unusable", "(a: int) -> int"),
        ("refused", "refused", "os._exit"),
    ],
)
def test_the_model_is_told_exactly_why(simple: Many, name: str, verdict: str, why: str) -> None:
    target = f"mod.py::{name}"
    attempt, _ = simple.run.stubs[target]["attempts"]
    assert attempt["verdict"] == verdict
    assert why in attempt["why"]
    assert simple.run.verdicts(target)[1] == "passed"
    assert simple.run.statuses()[target] == "healed"
    _, retry = requests_for(simple.server, target)
    # The prompt folds a reason into one line, so compare what does not depend on that.
    assert attempt["why"][:150] in retry.prompt


def test_no_sandbox_is_started_for_replies_that_cannot_be_used(simple: Many) -> None:
    unverified = ["no_block", "syntax", "missing", "signature", "refused"]
    for name in unverified:
        assert simple.run.stubs[f"mod.py::{name}"]["attempts"][0]["seconds"] == 0
    assert simple.run.report is not None
    # The trace, the checks' two, the five second replies, the hopeless two, the confirmation.
    assert simple.run.report["sandbox"]["verifications"] == 1 + 2 + 5 + 2 + 1


def test_a_model_that_gives_up_ends_the_stub_with_its_reason(simple: Many) -> None:
    stub = simple.run.stubs["mod.py::cannot"]
    assert (stub["status"], stub["reason"]) == ("unhealed", "the tests contradict each other")
    assert len(requests_for(simple.server, "mod.py::cannot")) == 1
    assert "the tests contradict each other" in simple.run.output


def test_attempts_that_are_used_up_leave_the_stub_as_it_is(simple: Many) -> None:
    stub = simple.run.stubs["mod.py::hopeless"]
    assert stub["status"] == "unhealed"
    assert simple.run.verdicts("mod.py::hopeless") == ["failed", "failed"]
    assert "assert 1 == 2" in stub["reason"]
    assert "# selfheal: attempts=2\ndef hopeless(a: int) -> int:\n    ...\n" in simple.run.text(
        "mod.py"
    )


def test_stubs_that_cannot_be_healed_do_not_hold_up_the_others(simple: Many) -> None:
    assert simple.run.status == 1
    healed = [name for name, status in simple.run.statuses().items() if status == "healed"]
    assert len(healed) == 6
    assert simple.run.report is not None
    assert simple.run.report["tests"]["still_failing"] == [
        "test_mod.py::test_cannot",
        "test_mod.py::test_hopeless",
    ]
    assert "2 failed, 6 healed" in simple.run.output


# --- single stories --------------------------------------------------------------------


def test_code_that_breaks_a_green_test_is_a_failed_attempt(tmp_path: Path) -> None:
    project = Project(
        tmp_path / "project",
        {
            "mod.py": """
                SEEN = []


                # selfheal
                def add(a: int, b: int) -> int:
                    ...


                def safe_add(a: int, b: int) -> int:
                    try:
                        return add(a, b)
                    except (NotImplementedError, TypeError):
                        return -1
            """,
            "test_mod.py": """
                import mod


                def test_add():
                    assert mod.add(1, 2) == 3


                def test_the_answer_is_small():
                    assert (mod.safe_add(50, 50) or 0) < 90
            """,
        },
    )
    replies = [
        python("def add(a: int, b: int) -> int:\n    return a + b\n"),
        python("def add(a: int, b: int) -> int:\n    return min(a + b, 80)\n"),
    ]
    with ScriptedServer({"mod.py::add": replies}) as server:
        run = project.heal(sandbox("landlock"), server=server)
    assert run.status == 0, run.output
    assert run.verdicts("mod.py::add") == ["failed", "passed"]
    first = run.stubs["mod.py::add"]["attempts"][0]
    assert "breaks test_mod.py::test_the_answer_is_small" in first["why"]
    retry = server.requests[1].prompt
    assert "return a + b" in retry
    assert "E   assert ((100)) < 90\nE    +  where 100 = " in retry
    assert "min(a + b, 80)" in run.text("mod.py")


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_collection_error_is_healed(tmp_path: Path, backend: str) -> None:
    project = Project(
        tmp_path / "project",
        {
            "pkg/__init__.py": "",
            "pkg/mod.py": """
                from pytest_selfheal import heal


                @heal
                def table() -> dict:
                    ...
            """,
            "pkg/consts.py": "from pkg.mod import table\n\nTABLE = table()\n",
            "test_consts.py": """
                from pkg.consts import TABLE


                def test_one():
                    assert TABLE["one"] == 1


                def test_two():
                    assert TABLE["two"] == 2
            """,
            "test_other.py": "def test_other():\n    assert True\n",
        },
    )
    replies = [
        python("def table() -> dict:\n    return {'one': 1, 'two': 3}\n"),
        python("def table() -> dict:\n    return {'one': 1, 'two': 2}\n"),
    ]
    with ScriptedServer({"pkg/mod.py::table": replies}) as server:
        run = project.heal(sandbox(backend), server=server)
    assert run.status == 0, run.output
    assert run.verdicts("pkg/mod.py::table") == ["failed", "passed"]
    assert "assert 3 == 2" in server.requests[1].prompt
    assert run.report is not None
    assert run.report["tests"]["still_failing"] == []
    assert "test_consts.py::test_two" in run.report["tests"]["healed"]


def test_living_functions_and_selections(tmp_path: Path) -> None:
    """A red living function is healed again, a green one left alone, a deselected one too."""
    project = Project(
        tmp_path / "project",
        {
            "mod.py": """
                from pytest_selfheal import heal


                @heal(keep=True)
                def red(a: int) -> int:
                    return a - 1


                @heal(keep=True)
                def green(a: int) -> int:
                    return a


                @heal
                def deselected(a: int) -> int:
                    ...
            """,
            "test_mod.py": """
                import mod


                def test_red():
                    assert mod.red(1) == 2


                def test_green():
                    assert mod.green(1) == 1


                def test_slow_deselected():
                    assert mod.deselected(1) == 1
            """,
        },
    )
    replies = {
        "mod.py::red": [python("def red(a: int) -> int:\n    return a + 1\n")],
        "mod.py::green": [python("def green(a: int) -> int:\n    return a\n")],
    }
    with ScriptedServer(replies) as server:
        run = project.heal(sandbox("landlock"), "-k", "not slow", server=server)
    assert run.status == 0, run.output
    assert run.statuses() == {"mod.py::red": "healed", "mod.py::deselected": "unreached"}
    assert [request.targets for request in server.requests] == [("mod.py::red",)]
    assert "return a - 1" in server.requests[0].prompt
    text = run.text("mod.py")
    assert "@heal(keep=True)\ndef red(a: int) -> int:\n    return a + 1\n" in text
    assert "@heal\ndef deselected(a: int) -> int:\n    ...\n" in text
    assert "1 passed, 1 deselected, 1 healed" in run.output


def test_a_project_with_settings_and_plugins_of_its_own(tmp_path: Path) -> None:
    """Warnings as errors, xdist and no cache by addopts, options and hooks of a conftest."""
    project = Project(
        tmp_path / "project",
        {
            "pytest.ini": """
                [pytest]
                addopts = -n auto --strict-markers --strict-config -p no:cacheprovider -p own
                filterwarnings = error
                markers = fast: quick ones
                pythonpath = src plugins
                testpaths = checks
                python_files = check_*.py
            """,
            "plugins/own.py": """
                import pytest


                @pytest.fixture
                def factor():
                    return 3
            """,
            "checks/conftest.py": """
                import pytest


                def pytest_addoption(parser):
                    parser.addoption("--offset", type=int, default=0)


                @pytest.fixture
                def offset(request):
                    return request.config.getoption("--offset")


                @pytest.hookimpl(hookwrapper=True)
                def pytest_runtest_call(item):
                    yield
            """,
            "src/app/__init__.py": "",
            "src/app/core.py": """
                import warnings


                # selfheal
                def scaled(value: int, factor: int) -> int:
                    ...
            """,
            "checks/check_core.py": """
                import pytest
                from app.core import scaled

                pytestmark = pytest.mark.fast


                def test_scaled(factor, offset):
                    assert scaled(2, factor) + offset == 16
            """,
        },
    )
    target = "src/app/core.py::scaled"
    replies = [
        python(
            """
            def scaled(value: int, factor: int) -> int:
                warnings.warn("think twice", UserWarning)
                return value * factor
            """
        ),
        python("def scaled(value: int, factor: int) -> int:\n    return value * factor\n"),
    ]
    with ScriptedServer({target: replies}) as server:
        run = project.heal(sandbox("landlock"), "checks", "--offset=10", server=server)
    assert run.status == 0, run.output
    assert run.verdicts(target) == ["failed", "passed"]
    assert "UserWarning: think twice" in server.requests[1].prompt
    assert list(run.changed) == ["src/app/core.py"]
    assert not (project.root / ".pytest_cache").exists()


@pytest.mark.parametrize("backend", BACKENDS)
def test_candidates_that_attack_their_sandbox_are_verdicts(tmp_path: Path, backend: str) -> None:
    bodies = {
        "loops": "while True:\n        pass",
        "exits": "subprocess.run(['kill', '-15', str(os.getpid())])\n    return 7",
        "bombs": "data = [bytearray(64 * 2**20) for _ in range(64)]\n    return len(data)",
    }
    names = "\n".join(
        f"# selfheal: attempts=2\ndef {name}() -> int:\n    ...\n\n" for name in bodies
    )
    tests = "\n".join(f"def test_{name}():\n    assert mod.{name}() == 7\n" for name in bodies)
    project = Project(
        tmp_path / "project",
        {
            "mod.py": f"import os, subprocess\n\n\n{names}",
            "test_mod.py": f"import mod\n\n\n{tests}",
        },
    )
    replies = {
        f"mod.py::{name}": [
            f"```python\ndef {name}() -> int:\n    {body}\n```",
            f"```python\ndef {name}() -> int:\n    return 7\n```",
        ]
        for name, body in bodies.items()
    }
    with ScriptedServer(replies) as server:
        run = project.heal(
            sandbox(backend), "--selfheal-timeout=6", "--selfheal-memory=192m", server=server
        )
    assert run.status == 0, run.output
    assert {name: run.verdicts(f"mod.py::{name}")[0] for name in bodies} == {
        "loops": "timeout",
        "exits": "crashed",
        "bombs": "out-of-memory",
    }
    assert set(run.statuses().values()) == {"healed"}
    for name in bodies:
        first, second = requests_for(server, f"mod.py::{name}")
        why = run.stubs[f"mod.py::{name}"]["attempts"][0]["why"]
        assert why not in first.prompt
        assert why[:100] in second.prompt
    assert run.text("mod.py").count("return 7") == 3


def test_the_same_run_twice_changes_nothing_more(tmp_path: Path) -> None:
    """The second run is green, asks nobody and starts nothing."""
    project = Project(tmp_path / "project", ONE)
    with ScriptedServer({ONE_TARGET: ONE_REPLIES[1:]}) as server:
        runs = [project.heal(sandbox("landlock"), server=server) for _ in range(2)]
    assert [run.status for run in runs] == [0, 0]
    assert len(server.requests) == 1
    assert runs[1].changed == {}
    assert runs[1].report is not None
    assert runs[1].report["stubs"] == []
    assert runs[1].report["sandbox"] == {"backend": None, "verifications": 0}
    assert "selfheal" not in "\n".join(
        itertools.dropwhile(lambda line: "collected" not in line, runs[1].output.splitlines())
    )


def test_a_plugin_that_is_blocked_is_sent_no_options(tmp_path: Path) -> None:
    project = Project(
        tmp_path / "project",
        {
            "pytest.ini": "[pytest]\naddopts = -p no:xdist -p no:randomly\n",
            "app.py": "# selfheal\ndef answer() -> int:\n    raise NotImplementedError\n",
            "test_app.py": "import app\n\ndef test_answer():\n    assert app.answer() == 42\n",
        },
    )
    reply = python("def answer() -> int:\n    return 42\n")
    with ScriptedServer({"app.py::answer": [reply]}) as server:
        run = project.heal(LANDLOCK, server=server)
    assert run.status == 0, run.output
    assert run.statuses() == {"app.py::answer": "healed"}
