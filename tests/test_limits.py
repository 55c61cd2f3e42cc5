"""Budgets and rate limits, over many threads and several processes."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier, Event, Lock, Thread

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_selfheal.errors import BudgetExhausted, ModelUnavailable, UsageError
from pytest_selfheal.model.limits import BudgetedModel, RateLimitedModel
from pytest_selfheal.model.shared_rate import SharedRate
from pytest_selfheal.records import ModelUsage, Reply


class CountingModel:
    """Answers after a moment and counts as a service would."""

    name = "counting"

    def __init__(
        self, output_tokens: int = 50, *, fails: bool = False, counts_nothing: bool = False
    ) -> None:
        self.requests = 0
        self.tokens = 0
        self.closed = False
        self._output_tokens = output_tokens
        self._fails = fails
        self._counts_nothing = counts_nothing
        self._lock = Lock()

    def ask(self, prompt: str, *, targets: Sequence[str], attempt: int) -> Reply:
        with self._lock:
            self.requests += 1
        Event().wait(0.001)  # lets the other threads come
        if self._fails:
            raise ModelUnavailable("no answer")
        if self._counts_nothing:
            return Reply(text="x" * 4 * self._output_tokens)
        with self._lock:
            self.tokens += len(prompt) // 4 + self._output_tokens
        return Reply(text="", input_tokens=len(prompt) // 4, output_tokens=self._output_tokens)

    def usage(self) -> ModelUsage:
        return ModelUsage(name=self.name, requests=self.requests)

    def close(self) -> None:
        self.closed = True


def ask(model: BudgetedModel | RateLimitedModel, prompt: str = "x" * 400) -> Reply | None:
    """The reply, or None where the budget had no room for it."""
    try:
        return model.ask(prompt, targets=["a.py::f"], attempt=1)
    except BudgetExhausted:
        return None


def ask_at_once(model: BudgetedModel | RateLimitedModel, count: int) -> list[Reply | None]:
    start = Barrier(count)

    def one(_: int) -> Reply | None:
        start.wait()
        return ask(model)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(one, range(count)))


# --- budgets ---------------------------------------------------------------------------


@pytest.mark.parametrize("limit", [0, 1, 7, 31])
def test_no_more_requests_than_the_budget_with_32_threads(limit: int) -> None:
    inner = CountingModel()
    replies = ask_at_once(BudgetedModel(inner, limit, None), 32)
    assert inner.requests == limit
    assert sum(reply is not None for reply in replies) == limit


@pytest.mark.parametrize("output_tokens", [1, 50, 900, 9_000])
@pytest.mark.parametrize("limit", [9_200, 20_000, 100_000])
def test_no_more_tokens_than_the_budget_with_32_threads(limit: int, output_tokens: int) -> None:
    inner = CountingModel(output_tokens)
    ask_at_once(BudgetedModel(inner, None, limit), 32)
    assert 0 < inner.tokens <= limit
    # What the estimates set aside too much is given back: another one would not fit.
    assert inner.requests == 32 or inner.tokens + 100 + output_tokens > limit


@settings(max_examples=25)
@given(st.integers(1, 5_000), st.integers(0, 4_000), st.integers(1, 1_000))
def test_a_token_budget_is_kept_for_any_sizes(limit: int, prompt: int, output: int) -> None:
    inner = CountingModel(output)
    model = BudgetedModel(inner, None, limit)
    while inner.requests < 20 and ask(model, "x" * prompt):
        pass
    # Only the very first reply, of which nothing is known, can be larger than expected.
    assert inner.tokens <= limit or inner.requests == 1


@pytest.mark.parametrize(
    ("limits", "line"),
    [
        ((1, None), r"the budget of requests is used up \(1 of 1\): raise --selfheal-max-requests"),
        (
            (None, 200),
            r"the budget of tokens is used up \(150 of 200, and the next request needs about "
            r"150\): raise --selfheal-max-tokens",
        ),
    ],
    ids=["requests", "tokens"],
)
def test_the_line_says_which_budget_and_what_to_raise(
    limits: tuple[int | None, int | None], line: str
) -> None:
    model = BudgetedModel(CountingModel(), *limits)
    model.ask("x" * 400, targets=["a"], attempt=1)
    with pytest.raises(BudgetExhausted, match=line) as caught:
        model.ask("x" * 400, targets=["a"], attempt=2)
    assert caught.value.fatal


def test_a_prompt_over_the_whole_budget_is_never_sent() -> None:
    inner = CountingModel()
    assert ask(BudgetedModel(inner, None, 99)) is None
    assert inner.requests == 0


def test_a_failed_request_counts_and_leaves_nothing_set_aside() -> None:
    inner = CountingModel(fails=True)
    model = BudgetedModel(inner, 2, 1_200)
    for _ in range(2):
        with pytest.raises(ModelUnavailable, match="no answer"):
            ask(model)
    assert ask(model) is None
    assert inner.requests == 2


def test_a_service_that_counts_nothing_is_estimated() -> None:
    inner = CountingModel(100, counts_nothing=True)
    model = BudgetedModel(inner, None, 500)
    while ask(model):
        pass
    assert inner.requests == 2  # 100 for the prompt and 100 for the reply, each


def test_without_limits_everything_passes() -> None:
    inner = CountingModel()
    assert all(ask_at_once(BudgetedModel(inner, None, None), 8))
    model = BudgetedModel(inner, None, None)
    assert model.usage().requests == 8
    model.close()
    assert inner.closed


# --- rates -----------------------------------------------------------------------------


def test_the_rate_of_requests_is_kept_and_waits_are_told(tmp_path: Path) -> None:
    inner, waits, model = CountingModel(), [], None

    def on_wait(seconds: float, reason: str) -> None:
        waits.append((seconds, reason))
        assert model is not None
        model.close()  # instead of waiting for a minute

    model = RateLimitedModel(inner, 3, None, tmp_path / "state", on_wait)
    for _ in range(3):
        ask(model)
    with pytest.raises(ModelUnavailable, match="the run ended while a request waited"):
        ask(model)
    assert inner.requests == 3
    ((seconds, reason),) = waits
    assert 0 < seconds <= 60.1
    assert reason == "--selfheal-rpm=3"
    assert inner.closed


def test_the_rate_of_tokens_counts_prompts_and_replies(tmp_path: Path) -> None:
    waits: list[str] = []
    inner = CountingModel(800)
    model = RateLimitedModel(inner, None, 2_000, tmp_path, lambda _, reason: waits.append(reason))
    ask(model)  # 100 and a reserve of 1,000
    stopper = Thread(target=lambda: (Event().wait(0.2), model.close()))
    stopper.start()
    ask(model)  # 100 and 800, as has been seen
    with pytest.raises(ModelUnavailable, match="the run ended"):
        ask(model)
    stopper.join()
    assert inner.requests == 2
    assert waits == ["--selfheal-tpm=2000"]


def test_what_was_underestimated_is_taken_from_the_next_request(tmp_path: Path) -> None:
    inner = CountingModel(3_000)
    model = RateLimitedModel(inner, None, 10_000, tmp_path)
    ask(model)  # took 1,100, cost 3,100
    ask(model)  # takes 3,100 and the 2,000
    model.close()
    rate = SharedRate("tokens", 10_000, tmp_path)
    assert rate.take(10_000 - 1_100 - 5_100) == 0.0
    assert rate.take(100) > 0.0
    rate.close()


def test_a_request_over_the_limit_is_told_at_once(tmp_path: Path) -> None:
    model = RateLimitedModel(CountingModel(), None, 50, tmp_path)
    with pytest.raises(ModelUnavailable, match="over the limit of 50 a minute: raise"):
        ask(model)
    model.close()


def test_a_wait_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pytest_selfheal.model.limits._LONGEST_WAIT_SECONDS", 0.1)
    model = RateLimitedModel(CountingModel(), 1, None, tmp_path)
    ask(model)
    with pytest.raises(ModelUnavailable, match=r"no room .* in 0\.1 s: raise --selfheal-rpm"):
        ask(model)
    model.close()


def test_without_limits_nothing_is_written(tmp_path: Path) -> None:
    model = RateLimitedModel(CountingModel(), None, None, tmp_path / "state")
    assert ask(model)
    model.close()
    assert list(tmp_path.iterdir()) == []


def test_threads_share_the_rate(tmp_path: Path) -> None:
    rate = SharedRate("requests", 20, tmp_path)
    with ThreadPoolExecutor(32) as pool:
        taken = list(pool.map(lambda _: rate.take(1) == 0.0, range(64)))
    rate.close()
    assert taken.count(True) == 20


def test_processes_share_the_rate(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path\n"
        "from pytest_selfheal.model.shared_rate import SharedRate\n"
        "rate = SharedRate('requests', 10, Path(sys.argv[1]))\n"
        "print(sum(rate.take(1) == 0.0 for _ in range(8)))\n"
        "rate.close()\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    started = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    assert sum(int(process.communicate()[0]) for process in started) == 10


def test_a_large_limit_keeps_few_rows(tmp_path: Path) -> None:
    rate = SharedRate("tokens", 2_000_000, tmp_path)
    assert rate.take(2_000_000) == 0.0
    assert rate.take(1) > 0.0
    rate.close()
    (file,) = tmp_path.glob("*.sqlite")
    connection = sqlite3.connect(file)
    assert connection.execute("SELECT COUNT(*) FROM spent").fetchone() == (1_000,)
    connection.close()


def test_a_state_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match=r"the state of the rate limits in .* cannot be used"):
        SharedRate("requests", 1, tmp_path / "file" / "state")
    (tmp_path / "rate-requests-1.sqlite").write_text("no database" * 1_000)
    with pytest.raises(UsageError, match=r"cannot be used \(file is not a database\): delete"):
        SharedRate("requests", 1, tmp_path)
