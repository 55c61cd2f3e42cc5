"""Held-out cases from end to end: what a model is not shown judges it, and is not told to it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from tests.harness import Project, Run, code, python, require
from tests.sandboxes import BACKENDS
from tests.scripted_server import ScriptedServer

LANDLOCK = "--selfheal-sandbox=landlock"
TARGET = "mod.py::answer"
GENERAL = python("""
    def answer(number: int) -> int:
        return number * 7919
""")
STUB = """
    from pytest_selfheal import heal


    @heal
    def answer(number: int) -> int:
        ...
"""
NUMBERS = (1013, 2027, 3041, 4057, 5077, 6089, 7103, 8117)


def product(number: int) -> int:
    return number * 7919


def case(number: int) -> str:
    return f"({number}, {product(number)})"


LIST = ", ".join(map(case, NUMBERS))
LINES = "".join(f"    {case(number)},  # like no other\n" for number in NUMBERS)
TEST = "def test_answer(number, expected):\n    assert answer(number) == expected\n"
HEAD = "import pytest\nfrom mod import answer\n\n\n"

FORMS: Mapping[str, str] = {
    "one line": f'@pytest.mark.parametrize("number, expected", [{LIST}])\n{TEST}',
    "lines": f'@pytest.mark.parametrize(("number", "expected"), [\n{LINES}])\n{TEST}',
    "tuple": f'@pytest.mark.parametrize("number, expected", ({LIST}))\n{TEST}',
    "constant": f"CASES = [\n{LINES}]\n\n\n"
    f'@pytest.mark.parametrize("number, expected", CASES)\n{TEST}',
    "param": '@pytest.mark.parametrize("number, expected", ['
    + ", ".join(f"pytest.param({n}, {product(n)}, id='n{n}')" for n in NUMBERS)
    + f"])\n{TEST}",
    "ids": f'@pytest.mark.parametrize("number, expected", [{LIST}], '
    f"ids={[f'is{n}' for n in NUMBERS]})\n{TEST}",
    "stacked": f'@pytest.mark.parametrize("twice", [True, False])\n'
    f'@pytest.mark.parametrize("number, expected", [{LIST}])\n'
    "def test_answer(number, expected, twice):\n"
    "    assert answer(number) * (2 if twice else 1) == expected * (2 if twice else 1)\n",
    "class": f'@pytest.mark.parametrize("number, expected", [{LIST}])\nclass TestAnswer:\n'
    "    def test_it(self, number, expected):\n        assert answer(number) == expected\n",
    "fixture": f"@pytest.fixture(params=[{LIST}])\ndef pair(request):\n"
    "    return request.param\n\n\ndef test_answer(pair):\n    assert answer(pair[0]) == pair[1]\n",
    "asserts": "def test_answer():\n"
    + "".join(f"    assert answer({n}) == {product(n)}\n" for n in NUMBERS),
}


def shown_numbers(prompt: str) -> list[int]:
    """The numbers that a prompt holds anything of: themselves or what is expected of them."""
    return [n for n in NUMBERS if re.search(rf"{n}(?!\d)|{product(n)}", prompt)]


def lookup(numbers: Sequence[int]) -> str:
    """Code that knows these numbers' answers and no rule."""
    return python(f"""
        def answer(number: int) -> int:
            known = {{{", ".join(f"{n}: {product(n)}" for n in numbers)}}}
            return known.get(number, 0)
    """)


def heal(
    tmp_path: Path, tests: str, server: ScriptedServer, *arguments: str, stub: str = STUB
) -> Run:
    project = Project(tmp_path / "project", {"mod.py": stub, "test_mod.py": tests})
    return project.heal(*(arguments or (LANDLOCK,)), server=server)


@pytest.fixture(scope="module")
def healed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, Mapping[str, list[str]]]:
    """A run over all forms, each with a stub of its own, and the prompts for each."""
    require("landlock")

    def reply(prompt: str, targets: tuple[str, ...], number: int) -> str:
        return lookup(shown_numbers(prompt)) if number == 1 else GENERAL

    files = {}
    for form, tests in FORMS.items():
        name = form.replace(" ", "_")
        files[f"mod_{name}.py"] = STUB
        files[f"test_{name}.py"] = (HEAD + tests).replace("from mod ", f"from mod_{name} ")
    project = Project(tmp_path_factory.mktemp("forms") / "project", files)
    with ScriptedServer(reply) as server:
        run = project.heal(LANDLOCK, server=server)
    prompts: dict[str, list[str]] = {}
    for request in server.requests:
        (target,) = request.targets
        prompts.setdefault(target, []).append(json.dumps(request.payload))
    return run, prompts


@pytest.mark.parametrize("form", FORMS)
def test_a_table_of_what_was_shown_is_no_answer(
    healed: tuple[Run, Mapping[str, list[str]]], form: str
) -> None:
    """It is told so without values; the rule is then taken."""
    run, prompts = healed
    target = f"mod_{form.replace(' ', '_')}.py::answer"
    first, second = prompts[target]
    assert run.status == 0, run.output
    assert run.verdicts(target) == ["failed", "passed"]
    shown = shown_numbers(first)
    assert len(shown) == 6, first
    assert shown_numbers(second) == shown
    assert "judged and not shown" in first
    assert "do not special-case, implement the general rule" in second
    assert "do not special-case, implement the general rule" not in first


def test_the_last_attempt_sees_everything(tmp_path: Path) -> None:
    require("landlock")

    def reply(prompt: str, targets: tuple[str, ...], number: int) -> str:
        return lookup(shown_numbers(prompt))

    with ScriptedServer(reply) as server:
        run = heal(tmp_path, HEAD + FORMS["lines"], server, LANDLOCK, "--selfheal-attempts=3")
    prompts = [request.prompt for request in server.requests]
    assert run.verdicts(TARGET) == ["failed", "failed", "passed"]
    assert [len(shown_numbers(prompt)) for prompt in prompts] == [6, 6, 8]
    assert "judged and not shown" not in prompts[2]
    held = set(NUMBERS) - set(shown_numbers(prompts[0]))
    for number in held:  # with the failure as pytest printed it
        assert f"E   assert 0 == {product(number)}\n" in prompts[2]


def test_a_single_attempt_sees_no_more(tmp_path: Path) -> None:
    require("landlock")
    with ScriptedServer(lambda prompt, *_: lookup(shown_numbers(prompt))) as server:
        run = heal(tmp_path, HEAD + FORMS["lines"], server, LANDLOCK, "--selfheal-attempts=1")
    assert run.status == 1
    assert run.verdicts(TARGET) == ["failed"]
    assert not run.changed
    assert len(shown_numbers(server.requests[0].prompt)) == 6


@pytest.mark.parametrize("backend", BACKENDS)
def test_what_fails_in_sight_is_told_as_printed(tmp_path: Path, backend: str) -> None:
    """Of the unseen ones only that there are some; the order is such that none can be carried."""
    require(backend)
    nosy = python(
        """
        SEEN = []

        def answer(number: int) -> int:
            SEEN.append(number)
            print("seen so far", SEEN)
            return sum(SEEN)
        """,
        checks="assert answer(0) < 0, SEEN\n",
    )
    with ScriptedServer({TARGET: [nosy, GENERAL]}) as server:
        run = heal(tmp_path, HEAD + FORMS["lines"], server, f"--selfheal-sandbox={backend}")
    first, second = (request.prompt for request in server.requests)
    assert run.verdicts(TARGET) == ["failed", "passed"]
    shown = shown_numbers(first)
    assert len(shown) == 6
    assert shown_numbers(second) == shown
    assert "and it fails 2 that were not shown" in second
    assert "the checks that you wrote" in second
    assert f"E   assert {shown[0]} == {product(shown[0])}\n" in second
    assert "seen so far" in second


def test_nothing_is_held_out_where_that_is_turned_off(tmp_path: Path) -> None:
    require("landlock")
    with ScriptedServer(lambda prompt, *_: lookup(shown_numbers(prompt))) as server:
        run = heal(tmp_path, HEAD + FORMS["lines"], server, LANDLOCK, "--selfheal-holdout=0")
    assert run.verdicts(TARGET) == ["passed"]
    prompt = server.requests[0].prompt
    assert shown_numbers(prompt) == list(NUMBERS)
    assert code(FORMS["lines"]) in prompt


# --- other kinds of stubs and tests ----------------------------------------------------

OTHERS = {
    "living.py": """
        from pytest_selfheal import heal


        @heal
        def answer(number: int) -> int:
            return {1013: 8021947, 2027: 16051813}.get(number, 0)
    """,
    "test_living.py": f"import pytest\nfrom living import answer\n\n\n{FORMS['lines']}",
    "methods.py": """
        from pytest_selfheal import heal


        class Table:
            @heal
            def answer(self, number: int) -> int:
                ...

            @heal
            def back(self, number: int) -> int:
                ...
    """,
    "test_methods.py": "import pytest\nfrom methods import Table\n\n\n"
    "class TestTable:\n"
    f'    @pytest.mark.parametrize("number, expected", [{LIST}])\n'
    "    def test_both(self, number, expected):\n"
    "        table = Table()\n"
    "        found = table.answer(number), table.back(expected)\n"
    "        assert found == (expected, number)\n",
    "early.py": STUB,
    "test_early.py": "import pytest\nfrom early import answer\n\nFIRST = answer(1)\n\n\n"
    f"{FORMS['one line']}",
}


def table(name: str, pairs: Mapping[int, int]) -> str:
    return f"def {name}(self, number: int) -> int:\n        return {dict(pairs)}.get(number, 0)\n"


def methods(numbers: Sequence[int]) -> str:
    """Both methods as tables."""
    there = {n: product(n) for n in numbers}
    back = {product(n): n for n in numbers}
    return "class Table:\n    " + table("answer", there) + "\n    " + table("back", back)


def test_living_functions_methods_and_files_that_fail_as_a_whole(tmp_path: Path) -> None:
    require("landlock")
    general = (
        "class Table:\n    def answer(self, number):\n        return number * 7919\n\n"
        "    def back(self, number):\n        return number // 7919\n"
    ).replace("number)", "number: int) -> int")

    def reply(prompt: str, targets: tuple[str, ...], number: int) -> str:
        if targets[0].startswith("methods.py"):
            is_told = "implement the general rule" in prompt
            return python(general if is_told else methods(shown_numbers(prompt)))
        return lookup(shown_numbers(prompt)) if number == 1 else GENERAL

    project = Project(tmp_path / "project", OTHERS)
    with ScriptedServer(reply) as server:
        run = project.heal(LANDLOCK, server=server)
    assert run.status == 0, run.output
    for file in ("living.py", "methods.py", "early.py"):
        prompts = [x.prompt for x in server.requests if x.targets[0].startswith(file)]
        shown = [shown_numbers(prompt) for prompt in prompts]
        assert all(len(each) < len(NUMBERS) for each in shown), (file, shown)
        # Whichever request it was, the same ones were held out.
        assert len(set().union(*shown)) < len(NUMBERS), (file, shown)
        assert any("implement the general rule" in prompt for prompt in prompts), file
