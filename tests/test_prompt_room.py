"""What a prompt leaves out to keep to its bound, and what requests on one stub share."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise, takewhile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_selfheal.errors import PromptTooLong
from pytest_selfheal.model import prompt as prompt_module
from pytest_selfheal.model.prompt import render
from pytest_selfheal.model.size import estimated_tokens
from pytest_selfheal.records import Attempt, Excerpt, Failure, Question
from tests.harness import Project, python, require
from tests.prompt_shapes import LARGE, LARGE_WRONG, SHAPES
from tests.scripted_server import ScriptedServer
from tests.test_prompt import GOLDEN_DIR, QUESTION, UNUSABLE, WRONG

ALL = {**SHAPES, "small": (QUESTION, WRONG)}
OTHER = replace(WRONG, verdict="timeout", why="no end after 60 s", traceback="no end after 60 s\n")


def lines_of(number: int) -> str:
    return "".join(f"line {n} of {number}\n" for n in range(120))


ASSERTS = LARGE.tests[0].shorter[-1]

IMPORTED = tuple(Excerpt(path=f"m{n}.py", text=f"M = {n}\n" * 200, note="imported") for n in (1, 2))

# More than fits, of everything that a prompt may hold.
FULL = replace(
    LARGE,
    modules=(*LARGE.modules, *IMPORTED),
    tests=(
        Excerpt(
            path="test_ledger.py",
            text="# a helper\n" * 200 + ASSERTS,
            shorter=("# what a test does\n" * 60 + ASSERTS, ASSERTS),
        ),
    ),
    data=(Excerpt(path="a.csv", text="1,2\n" * 1_000),),
    provisional=(Excerpt(path="b.py", text="def b(): ...\n" * 300),),
    passing=tuple(f"test_ledger.py::test_kept_{n}" for n in range(60)),
    failures=tuple(
        Failure(nodeid=f"t.py::t{n}", phase="call", longrepr=lines_of(n)) for n in range(8)
    ),
)


@pytest.mark.parametrize(
    ("name", "question", "tokens"),
    [
        pytest.param("large-class", LARGE, 12_000, id="large-class"),
        pytest.param(
            "large-class-retry", replace(LARGE, attempts=(LARGE_WRONG,)), 12_000, id="its-retry"
        ),
        pytest.param("joint", SHAPES["joint"][0], 12_000, id="joint"),
        pytest.param("held-out", SHAPES["held-out"][0], 12_000, id="held-out"),
        pytest.param("after-drops", FULL, 1_300, id="after-drops"),
    ],
)
def test_golden(name: str, question: Question, tokens: int) -> None:
    golden = GOLDEN_DIR / f"{name}.txt"
    prompt = render(question, tokens)
    if os.environ.get("SELFHEAL_RECORD_PROMPTS"):
        golden.write_bytes(prompt.encode())
    assert prompt == golden.read_bytes().decode()


# --- the bound -------------------------------------------------------------------------


def test_what_helps_least_is_left_out_first() -> None:
    """With less and less room the list of what is left out grows at its end."""
    names = [name for name, _ in prompt_module._STEPS]
    seen: list[int] = []
    for tokens in range(12_000, 1_000, -40):
        try:
            prompt = render(FULL, tokens)
        except PromptTooLong:
            break
        assert estimated_tokens(prompt) <= tokens
        said = [line for line in prompt.splitlines() if line.startswith("Left out for length: ")]
        left_out = said[0].removeprefix("Left out for length: ") if said else ""
        count = next(
            n for n in range(len(names) + 1) if ", ".join(names[:n]) + "." * bool(n) == left_out
        )
        seen.append(count)
    assert seen == sorted(seen)
    assert {0, len(names)} <= set(seen)


def test_what_is_never_left_out() -> None:
    prompt = render(FULL, 1_100)
    assert "Reply in Markdown:" in prompt
    assert "Target: ledger.py::Account.transfer\n" in prompt
    assert "class Account:\n" in prompt
    assert "            NotEnough: The balance does not cover amount and fee.\n" in prompt
    for line in ("assert poor.balance == 10", "with pytest.raises(NotEnough):"):
        assert f"    {line}\n" in prompt
    for gone in ("a.csv", "test_kept", "m1.py", "def b()", "### ", "report_", "def rich"):
        assert gone not in prompt


def test_what_does_not_fit_is_said_in_one_line() -> None:
    with pytest.raises(PromptTooLong) as caught:
        render(replace(FULL, modules=(Excerpt(path="ledger.py", text="x = 1\n" * 600),)), 1_000)
    line = str(caught.value)
    assert "\n" not in line
    assert line.startswith("the prompt for ledger.py::Account.transfer does not fit into 1,000 ")
    assert line.endswith("raise selfheal_prompt_tokens")
    assert caught.value.retry_after is None
    assert not caught.value.fatal


def test_imported_modules_are_left_out_from_the_last() -> None:
    question = replace(LARGE, modules=(*LARGE.modules, *IMPORTED))
    less = next(
        prompt
        for tokens in range(6_000, 1_000, -50)
        if "M = 2\n" not in (prompt := render(question, tokens))
    )
    assert "M = 1\n" in less
    assert "Left out for length: modules that are imported.\n" in less


def test_a_prompt_with_room_is_whole() -> None:
    assert "Left out for length" not in render(FULL, 100_000)


LONG = st.text(st.sampled_from("aß界🐍\n `"), max_size=300).map(lambda text: text * 40)
ATTEMPTS = st.lists(
    st.builds(
        Attempt,
        verdict=st.sampled_from(["failed", "unusable", "timeout"]),
        why=LONG,
        code=LONG,
        traceback=LONG,
    ),
    max_size=8,
)


@settings(deadline=None, max_examples=60)
@given(st.integers(1_000, 9_000), LONG, ATTEMPTS)
def test_no_prompt_is_over_its_bound(tokens: int, text: str, attempts: list[Attempt]) -> None:
    question = replace(
        QUESTION,
        data=(Excerpt(path="a.txt", text=text),),
        failures=(Failure(nodeid="t.py::t", phase="call", longrepr=text),),
        attempts=tuple(attempts),
    )
    try:
        prompt = render(question, tokens)
    except PromptTooLong:
        assert tokens < 2_000  # there is always room for what is needed
        return
    assert estimated_tokens(prompt) <= tokens
    assert "Target: src/slug.py::slugify\n" in prompt


def test_the_estimate_is_on_the_high_side() -> None:
    """Of the texts here, in the vocabularies of today: four characters to a token of code."""
    assert estimated_tokens("def f(x):\n") == 4
    assert estimated_tokens("界") == 2
    assert estimated_tokens("") == 0


def test_a_stub_whose_prompt_does_not_fit_costs_nothing_and_the_others_go_on(
    tmp_path: Path,
) -> None:
    require("landlock")
    long = "".join(f"    {n} is not to be forgotten.\n" for n in range(300))
    files = {
        "long.py": f'# selfheal\ndef long():\n    """Say 1.\n\n{long}    """\n    ...\n',
        "short.py": "# selfheal\ndef short():\n    ...\n",
        "test_both.py": "import long\nimport short\n\n\ndef test_long():\n"
        "    assert long.long() == 1\n\n\ndef test_short():\n    assert short.short() == 1\n",
    }
    project = Project(tmp_path / "project", files)
    script = {"short.py::short": [python("def short():\n    return 1\n")]}
    with ScriptedServer(script) as server:
        run = project.heal(
            "--selfheal-sandbox=landlock", "--selfheal-prompt-tokens=1500", server=server
        )
    assert run.status == 1, run.output
    assert run.statuses() == {"long.py::long": "unhealed", "short.py::short": "healed"}
    assert [request.targets for request in server.requests] == [("short.py::short",)]
    line = "the prompt for long.py::long does not fit into 1,500 tokens, a quarter of which"
    assert run.stubs["long.py::long"]["reason"].startswith(line)
    assert line in run.output


# --- attempts --------------------------------------------------------------------------


def test_of_many_attempts_the_oldest_go_first() -> None:
    attempts = [replace(WRONG, why=f"reason {n} {'x' * 500}", code=f"c{n} = 1") for n in range(12)]
    prompt = render(replace(QUESTION, attempts=tuple(attempts)), 2_400)
    assert "earlier, left out for length\n- Attempt 9: failed: reason 8 " in prompt
    assert "c11 = 1" in prompt
    assert "c10 = 1" not in prompt


def test_of_what_pytest_printed_the_middle_goes_before_the_code() -> None:
    code = "".join(f"x{n} = {n}\n" for n in range(100))
    long = replace(WRONG, code=code, traceback="HEAD\n" + "noise\n" * 2_000 + "TAIL")
    prompt = render(replace(QUESTION, attempts=(long,)), 2_000)
    assert code in prompt
    assert "HEAD\n" in prompt
    assert "TAIL\n" in prompt
    assert "characters left out" in prompt


def test_long_values_and_repeated_failures_are_folded() -> None:
    text = "_____ t.py::a _____\n" + "\n".join(f"line {n}" for n in range(9))
    text += f"\nE   assert [{'1, ' * 2_000}]\n\n" + text.replace("t.py::a", "t.py::b")
    prompt = render(replace(QUESTION, attempts=(replace(WRONG, traceback=text),)))
    assert "characters ...]" in prompt
    assert "_____ t.py::b _____\n[... 9 lines as in the first failure ...]\n" in prompt


# --- what requests share ---------------------------------------------------------------


def shared(prompts: Sequence[str]) -> float:
    """Of each request's characters, those that the next one begins with, over all of them."""
    pairs = list(pairwise(prompts))
    same = sum(
        sum(1 for _ in takewhile(lambda both: both[0] == both[1], zip(*pair, strict=False)))
        for pair in pairs
    )
    return same / sum(len(before) for before, _ in pairs)


@pytest.mark.parametrize("tokens", [12_000, 2_500])
@pytest.mark.parametrize("name", ALL)
def test_requests_on_one_stub_begin_alike(name: str, tokens: int) -> None:
    question, wrong = ALL[name]
    attempts = [wrong, UNUSABLE, replace(wrong, why="another reason", code=wrong.code + "# 2\n")]
    prompts = [
        render(replace(question, attempts=tuple(attempts[:number])), tokens)
        for number in range(len(attempts) + 1)
    ]
    assert all(each.startswith(prompts[0]) for each in prompts)
    assert shared(prompts) > 0.8


@pytest.mark.parametrize("name", ALL)
def test_a_retry_is_not_much_longer(name: str) -> None:
    question, wrong = ALL[name]
    first, retry = render(question), render(replace(question, attempts=(wrong,)))
    assert len(retry) <= 2.5 * len(first)
