"""Two models within the same budgets, rates and recording; and requests that nobody needs."""

from __future__ import annotations

import io
import json
import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from threading import Barrier, Event, Thread
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_selfheal.errors import BudgetExhausted, ModelUnavailable, UsageError
from pytest_selfheal.healing.code import Code
from pytest_selfheal.healing.group_loop import heal_group
from pytest_selfheal.healing.groups import Group, GroupEnd, key_of
from pytest_selfheal.healing.kit import Inquiry, Kit
from pytest_selfheal.healing.snapshot import Snapshot
from pytest_selfheal.healing.stuck import FIRST, Approach
from pytest_selfheal.model.accounts import Caps, DayAccount
from pytest_selfheal.model.budget import BudgetedModel
from pytest_selfheal.model.escalating import EscalatingModel, ask_second
from pytest_selfheal.model.limits import RateLimitedModel
from pytest_selfheal.model.openai_model import OpenAIModel
from pytest_selfheal.model.prices import GivenPrice
from pytest_selfheal.model.recording import RecordingModel, ReplayModel
from pytest_selfheal.model.retrying import RetryingModel
from pytest_selfheal.model.stack import check_budgets, limited
from pytest_selfheal.model.stored import StoringModel
from pytest_selfheal.model.wanted import Unwanted, only_while
from pytest_selfheal.protocols import Model
from pytest_selfheal.records import Attempt, Job, Reply, RunOutcome, TestResult
from pytest_selfheal.report.progress import Progress
from pytest_selfheal.settings import Settings
from pytest_selfheal.source.find import find_in_project
from pytest_selfheal.source.project_files import project_files
from tests import simulated
from tests.counting import CountingModel
from tests.scripted_server import ScriptedServer

DOLLAR = 10**9


class Named(CountingModel):
    """Counts under a name of its own, and writes what it was asked for."""

    def __init__(self, name: str, **more: object) -> None:
        super().__init__(**more)  # type: ignore[arg-type]
        self.name = name

    def ask_within(self, *given: object, **more: object) -> Reply:
        reply = super().ask_within(*given, **more)  # type: ignore[arg-type]
        return replace(reply, text=f"{self.name} {more['attempt']}")


def pair(caps: Caps, **more: object) -> tuple[EscalatingModel, Named, Named]:
    small, large = Named("small"), Named("large", output_tokens=500)
    first = BudgetedModel(small, caps, price=GivenPrice((Decimal(1), Decimal(2))), **more)  # type: ignore[arg-type]
    price = GivenPrice((Decimal(10), Decimal(20)))
    second = BudgetedModel(large, Caps(), price=price, purse=first.purse)
    return EscalatingModel(first, second), small, large


def ask(model: Model, attempt: int = 1, *, second: bool = False, prompt: str = "x" * 400) -> Reply:
    asked = ask_second if second else None
    if asked is not None:
        return asked(model, prompt, targets=["a.py::f"], attempt=attempt)
    return model.ask(prompt, targets=["a.py::f"], attempt=attempt)


# --- what both spend -------------------------------------------------------------------


@pytest.mark.parametrize(
    "caps", [Caps(requests=7), Caps(tokens=9_000), Caps(nanodollars=DOLLAR // 50)], ids=repr
)
def test_both_spend_from_the_same_budget_with_32_threads(caps: Caps) -> None:
    model, small, large = pair(caps, max_reply_tokens=600)
    start = Barrier(32)

    def one(number: int) -> bool:
        start.wait()
        try:
            ask(model, second=number % 2 == 1)
        except BudgetExhausted:
            return False
        return True

    with ThreadPoolExecutor(32) as pool:
        answered = sum(pool.map(one, range(32)))
    usage = model.usage()
    assert 0 < answered == small.requests + large.requests
    assert caps.requests is None or answered == caps.requests
    assert small.tokens + large.tokens <= (caps.tokens or 10**9)
    assert usage.cost is not None
    assert usage.cost * DOLLAR <= (caps.nanodollars or DOLLAR**2)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 40_000), st.lists(st.booleans(), max_size=20))
def test_a_budget_of_money_is_kept_at_two_prices(cents: int, asked: list[bool]) -> None:
    cap = cents * DOLLAR // 100_000
    model, _, _ = pair(Caps(nanodollars=cap))
    for is_second in asked:
        try:
            ask(model, second=is_second)
        except BudgetExhausted:
            continue
    assert (model.usage().cost or 0) * DOLLAR <= cap


def test_usage_is_told_of_each_and_of_both() -> None:
    model, _, _ = pair(Caps())
    ask(model)
    assert model.usage().models == ()
    assert model.usage().name == "small"
    assert [ask(model, second=True).model, ask(model).model] == ["large", "small"]
    usage = model.usage()
    assert (usage.name, usage.requests) == ("small", 3)
    assert [(each.name, each.requests) for each in usage.models] == [("small", 2), ("large", 1)]
    first, second = (each.cost for each in usage.models)
    assert first is not None
    assert second is not None
    assert usage.cost == pytest.approx(first + second)
    assert second > first


def test_a_cost_that_is_known_in_part_is_not_known() -> None:
    priced = BudgetedModel(Named("small"), Caps(), price=GivenPrice((Decimal(1), Decimal(2))))
    model = EscalatingModel(priced, BudgetedModel(Named("large"), Caps(), purse=priced.purse))
    ask(model, second=True)
    assert model.usage().cost is None
    assert model.usage().models[0].cost == 0.0


def test_closing_ends_both() -> None:
    small, large = Named("small"), Named("large")
    EscalatingModel(small, large).close()
    assert small.closed
    assert large.closed


def test_a_model_alone_is_asked_as_ever() -> None:
    assert ask(Named("only"), second=True).text == "only 1"


# --- put together ----------------------------------------------------------------------


def test_a_recording_holds_both_and_says_who_wrote_what(tmp_path: Path) -> None:
    run = replace(
        simulated.settings(),
        model="small",
        escalate_model="large",
        max_requests=3,
        rpm=100,
        record=tmp_path / "r.jsonl",
    )
    small, large = Named("small"), Named("large")
    model = limited(small, run, tmp_path / "state", tmp_path / "limits", second=large)
    ask(model, 1)
    ask(model, 2, second=True)
    ask(model, 3)
    with pytest.raises(BudgetExhausted):
        ask(model, 4, second=True)
    model.close()
    assert (small.requests, large.requests) == (2, 1)
    lines = [json.loads(line) for line in (tmp_path / "r.jsonl").read_text().splitlines()]
    assert [line.get("model") for line in lines] == ["small", None, "large", None]
    replay = ReplayModel(tmp_path / "r.jsonl")
    replies = [ask(replay, number, second=number == 2) for number in (1, 2, 3)]
    assert [each.text for each in replies] == ["small 1", "large 2", "small 3"]
    assert [each.model for each in replies] == ["", "large", ""]


@pytest.mark.parametrize("name", [1, ["x"], {}])
def test_a_recordings_model_has_to_be_a_name(tmp_path: Path, name: object) -> None:
    path = tmp_path / "r.jsonl"
    model = RecordingModel(Named("small"), path)
    ask(model)
    model.close()
    text = path.read_text().replace('"attempt"', f'"model": {json.dumps(name)}, "attempt"')
    path.write_text(text)
    if name == {}:  # as good as none
        ReplayModel(path)
        return
    with pytest.raises(UsageError, match=r"line 2: its 'model' is no string"):
        ReplayModel(path)


def test_money_needs_the_price_of_both(tmp_path: Path) -> None:
    free = (Decimal(0), Decimal(0))
    run = replace(
        simulated.settings(), model="s", price=free, max_cost=1.0, escalate_model="unheard-of"
    )
    with pytest.raises(UsageError, match=r"'unheard-of' is not known: .* selfheal_escalate_price"):
        check_budgets(run, tmp_path, is_ours=True)
    check_budgets(replace(run, escalate_price=free), tmp_path, is_ours=True)


# --- samples have keys of their own ----------------------------------------------------


def test_samples_of_one_text_are_stored_apart_whatever_their_order(tmp_path: Path) -> None:
    first = StoringModel(Named("m"), tmp_path, {})
    replies = {number: ask(first, number).text for number in (2, 3, 1)}
    assert replies == {number: f"m {number}" for number in (1, 2, 3)}
    inner = Named("m")
    again = StoringModel(inner, tmp_path, {})
    numbers = [1, 2, 3]
    random.shuffle(numbers)
    assert {number: ask(again, number).text for number in numbers} == replies
    assert inner.requests == 0


# --- what nobody needs -----------------------------------------------------------------


def unwanted_after(wait: Callable[[], object]) -> Exception | None:
    """What a wait ends with that becomes pointless once it has begun."""
    wanted, found = Event(), []
    wanted.set()

    def run() -> None:
        with only_while(wanted.is_set):
            try:
                wait()
            except ModelUnavailable as error:
                found.append(error)

    thread = Thread(target=run, daemon=True)
    thread.start()
    thread.join(0.3)
    assert thread.is_alive(), "it did not wait"
    wanted.clear()
    thread.join(20)
    assert not thread.is_alive()
    return found[0] if found else None


def test_a_wait_for_a_rate_ends_with_the_need_for_it(tmp_path: Path) -> None:
    inner = Named("m")
    model = RateLimitedModel(inner, 1, None, tmp_path)
    ask(model)
    assert isinstance(unwanted_after(lambda: ask(model)), Unwanted)
    assert inner.requests == 1


def test_a_wait_for_a_budget_ends_with_the_need_for_it(tmp_path: Path) -> None:
    for day in (None, DayAccount(Caps(tokens=900), tmp_path)):
        slow = Named("m", seconds=60)
        model = BudgetedModel(slow, Caps(tokens=900), day=day)
        Thread(target=ask, args=[model], daemon=True).start()
        while not slow.requests:
            Event().wait(0.01)
        assert isinstance(unwanted_after(lambda model=model: ask(model)), Unwanted)  # type: ignore[misc]
        assert slow.requests == 1


def test_a_pause_before_a_retry_ends_with_the_need_for_it() -> None:
    inner = Named("m", fails=ModelUnavailable("busy", retry_after=60.0))
    model = RetryingModel(inner)
    assert isinstance(unwanted_after(lambda: ask(model)), Unwanted)
    assert inner.requests == 1


def test_what_is_not_wanted_is_not_fatal_for_others() -> None:
    assert not Unwanted().fatal
    assert Unwanted().retry_after is None


# --- how a request is made -------------------------------------------------------------


class TwoFaced:
    """Two models, of which the second fails as told."""

    name = "first"

    def __init__(self, error: ModelUnavailable | None = None) -> None:
        self.prompts: list[tuple[str, str]] = []
        self._error = error

    def ask(self, prompt: str, *, targets: object, attempt: int) -> Reply:
        self.prompts.append(("first", prompt))
        return Reply(text="first")

    def ask_second(self, prompt: str, *, targets: object, attempt: int) -> Reply:
        self.prompts.append(("second", prompt))
        if self._error is not None:
            raise self._error
        return Reply(text="second")


class Plain:
    """The hooks, with nobody at them."""

    def change_prompt(self, prompt: str, targets: object) -> str:
        return prompt

    def veto(self, candidate: object) -> None: ...

    def attempted(self, *_: object) -> None: ...


@pytest.fixture
def root(tmp_path: Path) -> Path:
    files = {
        "pack/__init__.py": "",
        "pack/mod.py": "from pack import rates\nfrom .deep import inner\n\n\n"
        "def g():\n    return rates, inner\n\n\n# selfheal\ndef f(a):\n    ...\n",
        "pack/rates.py": "RATE = 19  # per cent\n",
        "pack/deep.py": "inner = 7  # the inner one\n",
        "pack/other.py": "UNRELATED = 1\n",
        "test_mod.py": "import pack.mod\n\n\ndef test_f():\n    assert pack.mod.f(1) == 2\n"
        "\n\ndef test_more():\n    assert True  # beside it\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


class Judging:
    """A pool in which a test passes where its stub's module holds the right body."""

    def prepare(self, count: int) -> None: ...

    def run(self, job: Job, *, ahead: int) -> RunOutcome:
        is_right = b"return a + 1" in job.overlay["pack/mod.py"]
        result = replace(RED, outcome="passed", longrepr="") if is_right else RED
        return RunOutcome(ending="completed", results=(result,))


def kit_of(root: Path, model: object, more: Settings | None = None) -> Kit:
    (stub,) = find_in_project(root).stubs
    return Kit(
        settings=more or simulated.settings(),
        model=cast(Model, model),
        pool=cast(Any, Judging()),
        progress=Progress(io.StringIO(), verbosity=-1),
        relay=Plain(),
        root=root,
        stubs={key_of(stub): stub},
        sources={stub.path: (root / stub.path).read_bytes()},
        files=frozenset(project_files(root, every_kind=True)),
    )


RED = TestResult(
    nodeid="test_mod.py::test_f", outcome="failed", longrepr="E   red", entered=("pack/mod.py::f",)
)
GROUP = Group(keys=("pack/mod.py::f",), tests=("test_mod.py::test_f",))
TRIED = Attempt(verdict="failed", why="it is wrong", code="WRONG = 1", traceback="E   wrong")


def ask_kit(kit: Kit, approach: Approach, count: int = 1) -> Reply:
    attempts = [TRIED] * count
    return kit.ask(
        Inquiry(group=GROUP, results=[RED], provisional={}, attempts=attempts, approach=approach)
    )


def prompt_of(kit: Kit, approach: Approach, count: int = 1) -> str:
    ask_kit(kit, approach, count)
    return cast(TwoFaced, kit.model).prompts[-1][1]


def test_what_a_way_of_asking_tells(root: Path) -> None:
    kit = kit_of(root, TwoFaced())
    retry = prompt_of(kit, Approach(strategy="retry"))
    assert "WRONG = 1" in retry
    assert "19  # per cent" not in retry
    fresh = prompt_of(kit, Approach(strategy="fresh", told_from=2), count=3)
    assert fresh.count("it is wrong") == 1
    assert "WRONG = 1" in fresh
    assert "E   wrong" in fresh
    assert "Take a different approach" in fresh.splitlines()[-1]
    wide = prompt_of(kit, Approach(strategy="more-context"))
    assert "WRONG = 1" in wide
    for quoted in ("19  # per cent", "7  # the inner one", "True  # beside it"):
        assert wide.count(quoted) == 1
        assert quoted not in retry
    assert "UNRELATED" not in wide
    assert wide.count("\nTarget: ") == 1


def test_a_second_model_that_cannot_be_asked_leaves_it_to_the_first(root: Path) -> None:
    model = TwoFaced(ModelUnavailable("no such model", fatal=True))
    kit = kit_of(root, model)
    second = Approach(strategy="second-model", is_second=True)
    for _ in range(2):
        assert ask_kit(kit, second).text == "first"
    assert [who for who, _ in model.prompts] == ["second", "first", "first"]
    assert kit.halt.reason is None
    assert kit.halt.second_reason == "no such model"


def test_a_budget_ends_the_asking_of_both(root: Path) -> None:
    kit = kit_of(root, TwoFaced(BudgetExhausted("used up")))
    with pytest.raises(BudgetExhausted):
        ask_kit(kit, Approach(strategy="fresh", is_second=True))
    assert kit.halt.reason == "used up"
    with pytest.raises(ModelUnavailable, match="used up"):
        ask_kit(kit, FIRST)


def test_a_fault_of_the_second_model_ends_that_stub_alone(root: Path) -> None:
    kit = kit_of(root, TwoFaced(ModelUnavailable("it timed out")))
    with pytest.raises(ModelUnavailable, match="timed out"):
        ask_kit(kit, Approach(strategy="retry", is_second=True))
    assert (kit.halt.reason, kit.halt.second_reason) == (None, None)


# --- several at once, within the limits ------------------------------------------------


def answering(*bodies: str) -> ScriptedServer:
    replies = [f"```python\ndef f(a):\n    {body}\n```\n" for body in bodies]
    return ScriptedServer({"pack/mod.py::f": replies})


def heal_at_once(root: Path, server: ScriptedServer, **more: object) -> GroupEnd:
    """Heal the stub with three candidates at once, of a real server through all layers."""
    run = replace(
        simulated.settings(),
        model="m",
        base_url=server.base_url,
        candidates=3,
        **more,  # type: ignore[arg-type]
    )
    model = limited(
        OpenAIModel(name="m", base_url=server.base_url), run, root / "state", root / "limits"
    )
    with ThreadPoolExecutor(8) as executor:
        kit = replace(kit_of(root, model, run), executor=executor)
        end = heal_group(kit, replace(GROUP, left=6), Snapshot(results=(RED,), code=Code()))
    model.close()
    return end


def test_no_more_candidates_than_the_budget_allows(root: Path) -> None:
    with answering("return a", "return a + 1") as server:
        end = heal_at_once(root, server, max_requests=1)
    assert len(server.requests) == len(end.attempts) == 1
    assert end.reason is not None
    assert "budget of requests is used up (1 of 1)" in end.reason


def test_a_rate_holds_for_candidates_and_a_green_one_waits_for_none(root: Path) -> None:
    with answering("return a + 1") as server:
        end = heal_at_once(root, server, rpm=1)
    assert end.pieces
    assert len(server.requests) == 1


def test_a_run_that_is_repeated_pays_for_no_attempt_again(root: Path) -> None:
    with answering("return a", "return a - 1", "return a * 7", "return a + 1") as server:
        first = heal_at_once(root, server)
        again = heal_at_once(root, server)
    # Of the winning turn, what was under way when the first run ended may be news.
    assert len(server.requests) <= 6
    assert first.pieces
    assert again.pieces
    assert {each.code for each in again.attempts[:3]} == {each.code for each in first.attempts[:3]}
    assert again.attempts[2].number == first.attempts[2].number
