"""Rate limits, over many threads and several processes."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event, Thread

import pytest

from pytest_selfheal.errors import ModelUnavailable, UsageError
from pytest_selfheal.model.accounts import Caps
from pytest_selfheal.model.budget import BudgetedModel
from pytest_selfheal.model.limits import RateLimitedModel
from pytest_selfheal.model.shared_rate import SharedRate
from pytest_selfheal.records import Reply
from tests.counting import CountingModel


def ask(model: RateLimitedModel, prompt: str = "x" * 400) -> Reply:
    return model.ask(prompt, targets=["a.py::f"], attempt=1)


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


def test_a_wait_ends_before_the_budget_of_time_does(tmp_path: Path) -> None:
    inner = CountingModel()
    rated = RateLimitedModel(inner, 1, 5_000, tmp_path)
    model = BudgetedModel(rated, Caps(), max_seconds=50)
    model.ask("x", targets=["a"], attempt=1)
    with pytest.raises(ModelUnavailable, match="raise --selfheal-max-seconds or --selfheal-rpm"):
        model.ask("x", targets=["a"], attempt=1)
    with pytest.raises(ModelUnavailable, match="raise --selfheal-max-seconds or --selfheal-tpm"):
        model.ask("x" * 18_000, targets=["a"], attempt=1)
    assert inner.requests == 1
    (bound,) = inner.bounds
    assert bound.seconds is not None
    assert 0 < bound.seconds < 50
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


@pytest.mark.parametrize("jump_seconds", [-3_600, 3_600])
def test_a_clock_that_is_set_makes_nobody_wait_an_hour(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, jump_seconds: int
) -> None:
    rate = SharedRate("requests", 2, tmp_path)
    assert [rate.take(1) == 0.0 for _ in range(3)] == [True, True, False]
    plain = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: plain() + jump_seconds * 10**9)
    assert [rate.take(1) == 0.0 for _ in range(3)] == [True, True, False]
    rate.close()


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
