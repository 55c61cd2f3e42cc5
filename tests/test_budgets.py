"""Budgets of a run and of a day, over many threads and several processes: never passed."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from threading import Barrier, Thread

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_selfheal.errors import BudgetExhausted, ModelUnavailable, UsageError
from pytest_selfheal.model.accounts import Amount, Caps, DayAccount, today
from pytest_selfheal.model.budget import BudgetedModel
from pytest_selfheal.model.prices import GivenPrice, price_of
from pytest_selfheal.model.retrying import RetryingModel
from pytest_selfheal.records import Reply
from tests.counting import CountingModel
from tests.harness import Project, python
from tests.scripted_server import Fault, ScriptedServer, chat_body

DOLLAR = 10**9


def ask(model: BudgetedModel, prompt: str = "x" * 400) -> Reply | None:
    """The reply, or None where the budget had no room for it."""
    try:
        return model.ask(prompt, targets=["a.py::f"], attempt=1)
    except BudgetExhausted:
        return None


def ask_at_once(model: BudgetedModel, count: int) -> list[Reply | None]:
    start = Barrier(count)

    def one(_: int) -> Reply | None:
        start.wait()
        return ask(model)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(one, range(count)))


# --- a run's ---------------------------------------------------------------------------


@pytest.mark.parametrize("limit", [0, 1, 7, 31])
def test_no_more_requests_than_the_budget_with_32_threads(limit: int) -> None:
    inner = CountingModel()
    replies = ask_at_once(BudgetedModel(inner, Caps(requests=limit)), 32)
    assert inner.requests == limit
    assert sum(reply is not None for reply in replies) == limit


@pytest.mark.parametrize("output_tokens", [1, 50, 900, 9_000, 90_000])
@pytest.mark.parametrize("limit", [9_600, 20_000, 100_000])
def test_no_more_tokens_than_the_budget_with_32_threads(limit: int, output_tokens: int) -> None:
    inner = CountingModel(output_tokens)
    ask_at_once(BudgetedModel(inner, Caps(tokens=limit)), 32)
    assert 0 < inner.tokens <= limit
    # What was set aside too much is given back: another one would not have fitted.
    assert inner.requests == 32 or inner.tokens + 232 + max(64, output_tokens) > limit


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 5_000), st.integers(0, 4_000), st.integers(1, 40_000))
def test_a_token_budget_is_kept_for_any_sizes(limit: int, prompt: int, output: int) -> None:
    inner = CountingModel(output, seconds=0)
    model = BudgetedModel(inner, Caps(tokens=limit))
    while inner.requests < 20 and ask(model, "x" * prompt):
        pass
    assert inner.tokens <= limit


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 50_000),
    st.lists(st.tuples(st.integers(0, 4_000), st.integers(1, 40_000)), max_size=12),
    st.decimals(0, 100, places=3),
    st.decimals(0, 100, places=3),
)
def test_a_money_budget_is_kept_for_any_sizes_and_prices(
    cents: int, sizes: list[tuple[int, int]], asked: Decimal, replied: Decimal
) -> None:
    price, spent = GivenPrice((asked, replied)), 0
    cap = cents * DOLLAR // 100
    inner = CountingModel(seconds=0)
    model = BudgetedModel(inner, Caps(nanodollars=cap), price=price)
    for prompt, output in sizes:
        inner._output_tokens = output
        reply = ask(model, "x" * prompt)
        if reply is not None:
            spent += price.of(reply.input_tokens, reply.output_tokens)
    assert spent <= cap


@pytest.mark.parametrize(
    ("caps", "line"),
    [
        (
            Caps(requests=1),
            r"the budget of requests is used up \(1 of 1\): raise --selfheal-max-requests",
        ),
        (
            Caps(tokens=560),
            r"the budget of tokens is used up \(150 of 560, and the next request may need 496\): "
            r"raise --selfheal-max-tokens",
        ),
        (
            Caps(nanodollars=600_000),
            r"the budget of money is used up \(\$0\.0002 of \$0\.0006, and the next request may "
            r"need \$0\.0006\): raise --selfheal-max-cost",
        ),
    ],
    ids=["requests", "tokens", "money"],
)
def test_the_line_says_which_budget_and_what_to_raise(caps: Caps, line: str) -> None:
    model = BudgetedModel(CountingModel(), caps, price=GivenPrice((Decimal(1), Decimal(2))))
    model.ask("x" * 400, targets=["a"], attempt=1)
    with pytest.raises(BudgetExhausted, match=line) as caught:
        model.ask("é" * 200, targets=["a"], attempt=2)
    assert caught.value.fatal


def test_a_prompt_over_the_whole_budget_is_never_sent() -> None:
    inner = CountingModel()
    assert ask(BudgetedModel(inner, Caps(tokens=399))) is None
    assert inner.requests == 0


def test_a_failed_request_counts_and_leaves_nothing_set_aside() -> None:
    inner = CountingModel(fails=ModelUnavailable("no answer"))
    model = BudgetedModel(inner, Caps(requests=2, tokens=1_200))
    for _ in range(2):
        with pytest.raises(ModelUnavailable, match="no answer"):
            ask(model)
    assert ask(model) is None
    assert inner.requests == 2


def test_a_reply_that_never_arrived_counts_as_large_as_it_could_be() -> None:
    inner = CountingModel(fails=ModelUnavailable("cut", may_have_cost=True))
    model = BudgetedModel(inner, Caps(tokens=20_000))
    with pytest.raises(ModelUnavailable, match="cut"):
        ask(model)
    with pytest.raises(ModelUnavailable, match="cut"):
        ask(model)
    assert [bound.reply_tokens for bound in inner.bounds] == [16_000, 20_000 - 16_432 - 432]
    assert ask(model) is None


def test_what_was_counted_for_a_reply_of_no_use_is_spent() -> None:
    error = ModelUnavailable("cut off at its limit", input_tokens=100, output_tokens=900)
    model = BudgetedModel(CountingModel(fails=error), Caps(tokens=2_000))
    with pytest.raises(ModelUnavailable, match="cut off"):
        ask(model)
    inner = model._model
    with pytest.raises(ModelUnavailable, match="cut off"):
        ask(model)
    assert isinstance(inner, CountingModel)
    assert inner.bounds[1].reply_tokens == 2_000 - 1_000 - 432


def test_a_service_that_counts_nothing_is_estimated() -> None:
    inner = CountingModel(100, counts_nothing=True)
    model = BudgetedModel(inner, Caps(tokens=1_000))
    while ask(model):
        pass
    # 134 for the prompt and 134 for the reply, each; room for twice the prompt.
    assert inner.requests == 3


def test_what_nobody_counted_is_in_the_budget_and_not_in_the_cost() -> None:
    price = GivenPrice((Decimal(1), Decimal(1)))
    lost = CountingModel(fails=ModelUnavailable("broken off", may_have_cost=True))
    model = BudgetedModel(lost, Caps(nanodollars=20_000_000), price=price)
    with pytest.raises(ModelUnavailable, match="broken off"):
        ask(model)
    assert model.usage().cost == 0.0
    with pytest.raises(ModelUnavailable, match="broken off"):
        ask(model)
    with pytest.raises(BudgetExhausted, match=r"\$0\.0200 of \$0\.0200"):
        model.ask("x", targets=["a"], attempt=1)


def test_a_bound_is_sent_only_where_a_budget_or_the_user_wants_one() -> None:
    inner = CountingModel()
    ask(BudgetedModel(inner, Caps(requests=5)))
    ask(BudgetedModel(inner, Caps(requests=5), max_reply_tokens=77))
    ask(BudgetedModel(inner, Caps(tokens=50_000)))
    ask(BudgetedModel(inner, Caps(tokens=50_000), max_reply_tokens=77))
    free = GivenPrice((Decimal(0), Decimal(0)))
    ask(BudgetedModel(inner, Caps(nanodollars=0), price=free))
    assert [x.reply_tokens for x in inner.bounds] == [None, 77, 16_000, 77, None]
    assert [x.is_strict for x in inner.bounds] == [False, False, True, True, False]


def test_without_limits_everything_passes() -> None:
    inner = CountingModel()
    model = BudgetedModel(inner, Caps())
    assert all(ask_at_once(model, 8))
    assert model.usage().requests == 8
    assert model.usage().cost is None
    model.close()
    assert inner.closed


def test_a_wait_for_room_is_told_and_ends_with_the_run() -> None:
    waits: list[str] = []
    inner = CountingModel(seconds=0.3)
    model = BudgetedModel(inner, Caps(tokens=1_000), on_wait=lambda _, reason: waits.append(reason))
    first = Thread(target=ask, args=(model,))
    first.start()
    while not inner.requests:
        time.sleep(0.005)
    Thread(target=lambda: (time.sleep(0.05), model.close())).start()
    with pytest.raises(ModelUnavailable, match="the run ended while a request waited"):
        ask(model)
    first.join()
    assert waits == ["a budget: requests under way may leave room"]


def test_seconds_are_counted_from_the_first_request() -> None:
    inner = CountingModel(seconds=0.05)
    model = BudgetedModel(inner, Caps(), max_seconds=0.3)
    time.sleep(0.35)
    assert ask(model)
    while ask(model):
        pass
    assert 1 < inner.requests <= 7
    assert all(bound.seconds and 0 < bound.seconds <= 0.3 for bound in inner.bounds)
    with pytest.raises(
        BudgetExhausted, match=r"of time is used up \(0\.3 s\): raise --selfheal-max"
    ):
        model.ask("", targets=["a"], attempt=1)


def test_no_pause_is_longer_than_what_is_left_of_the_time() -> None:
    inner = CountingModel(fails=ModelUnavailable("limits the rate", retry_after=120.0))
    model = RetryingModel(BudgetedModel(inner, Caps(), max_seconds=100))
    with pytest.raises(ModelUnavailable, match=r"rate \(it asks for 120 s, and the budget of ti"):
        model.ask("", targets=["a"], attempt=1)
    assert inner.requests == 1


# --- money -----------------------------------------------------------------------------


def test_a_price_is_given_or_listed_or_not_known() -> None:
    given = price_of((Decimal("1.25"), Decimal(10), Decimal("0.125")), "any", None)
    assert given is not None
    assert given.of(1_000_000, 0) == 1_250_000_000
    assert given.of(1_000_000, 100_000, cached_tokens=400_000) == 1_800_000_000
    listed = price_of(None, "gpt-5.5", None)
    assert listed is not None
    assert listed.of(1_000, 1_000) > listed.of(1_000, 0) > listed.of(1_000, 0, 1_000) > 0
    europe = price_of(None, "gpt-5.5", "https://eu.api.openai.com/v1")
    assert europe is not None
    assert price_of(None, "no-such-model-at-all", None) is None
    # What a server on this machine calls so may be anything.
    assert price_of(None, "gpt-5.5", "http://localhost:11434/v1") is None


def test_no_price_is_fetched() -> None:
    code = (
        "import socket\n"
        "def refuse(*a, **k): raise SystemExit('it wants the network')\n"
        "socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse\n"
        "from pytest_selfheal.model.prices import price_of\n"
        "print(price_of(None, 'gpt-5.5', None).of(1000, 1000) > 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout, done.returncode) == ("True\n", 0), done.stdout + done.stderr


def test_an_unknown_price_and_a_price_of_nothing_are_not_the_same() -> None:
    with pytest.raises(UsageError, match=r"of money was set, .* 'counting' is not known: give it"):
        BudgetedModel(CountingModel(), Caps(nanodollars=DOLLAR))
    assert ask(BudgetedModel(CountingModel(), Caps(tokens=50_000)))
    free = GivenPrice((Decimal(0), Decimal(0)))
    model = BudgetedModel(CountingModel(), Caps(nanodollars=0), price=free)
    assert all(ask_at_once(model, 8))
    assert model.usage().cost == 0.0


# --- a day's ---------------------------------------------------------------------------


def test_a_day_is_shared_and_goes_on_in_the_next_run(tmp_path: Path) -> None:
    for run in range(3):
        inner = CountingModel()
        model = BudgetedModel(inner, Caps(), day=DayAccount(Caps(requests=5), tmp_path / "s"))
        while ask(model):
            pass
        assert inner.requests == (5, 0, 0)[run]
    with pytest.raises(BudgetExhausted, match=r"requests for the day is used up \(5 of 5\): raise"):
        model.ask("", targets=["a"], attempt=1)
    file = tmp_path / "s" / "spent.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert json.loads(file.read_text())["days"][today()]["spent"]["requests"] == 5


def test_a_new_day_begins_with_nothing_spent(tmp_path: Path) -> None:
    account = DayAccount(Caps(requests=1), tmp_path)
    with account.open("2020-01-01") as book:
        book.reserve("a", Amount(requests=9), time.time() + 60)
    with account.open() as book:
        assert book.total == Amount()
    with account.open("2020-01-01") as book:
        book.settle("a", Amount(requests=2))
        assert book.spent == Amount(requests=2)


def test_a_day_before_those_that_are_kept_counts_as_well(tmp_path: Path) -> None:
    """The clock was wrong for some days, and was set back."""
    account = DayAccount(Caps(requests=1), tmp_path)
    for day in ("2999-01-01", "2999-01-02", "2999-01-03", "2999-01-04"):
        with account.open(day) as book:
            book.reserve("a", Amount(requests=1), time.time() + 60)
    model = BudgetedModel(CountingModel(), Caps(), day=account)
    assert ask(model)
    assert ask(BudgetedModel(CountingModel(), Caps(), day=account)) is None


_PROCESS = """
import sys
from pathlib import Path
from threading import Thread
from pytest_selfheal.errors import BudgetExhausted
from pytest_selfheal.model.accounts import Caps, DayAccount
from pytest_selfheal.model.budget import BudgetedModel
from tests.counting import CountingModel

caps = Caps(requests=int(sys.argv[2]), tokens=int(sys.argv[3]))
inner = CountingModel(700, seconds=0.02)
model = BudgetedModel(inner, Caps(), day=DayAccount(caps, Path(sys.argv[1])))

def go():
    try:
        while True:
            model.ask("x" * 400, targets=["a"], attempt=1)
    except BudgetExhausted:
        pass

print("ready", flush=True)
sys.stdin.readline()
threads = [Thread(target=go) for _ in range(4)]
[t.start() for t in threads]
[t.join() for t in threads]
print(inner.requests, inner.tokens)
"""


@pytest.mark.parametrize(("requests", "tokens"), [(30, 10**9), (10**9, 60_000)])
def test_eight_processes_at_once_stay_within_the_day(
    tmp_path: Path, requests: int, tokens: int
) -> None:
    command = [sys.executable, "-c", _PROCESS, str(tmp_path), str(requests), str(tokens)]
    started = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(8)
    ]
    for process in started:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    results = [process.communicate("go\n")[0].split() for process in started]
    asked, spent = (sum(int(result[i]) for result in results) for i in (0, 1))
    assert asked <= requests
    assert spent <= tokens
    assert asked == requests or spent + 232 + 700 > tokens
    book = json.loads((tmp_path / "spent.json").read_text())["days"][today()]
    assert book["spent"] == {"requests": asked, "tokens": spent, "nanodollars": 0}
    assert book["reserved"] == {}


def test_what_a_killed_process_set_aside_is_spent(tmp_path: Path) -> None:
    account = DayAccount(Caps(), tmp_path)
    gone = subprocess.Popen(["true"])
    gone.wait()
    with account.open() as book:
        book.reserve(f"{gone.pid}-a", Amount(tokens=5), time.time() + 60)
        book.reserve(f"{os.getpid()}-b", Amount(tokens=7), time.time() + 60)
        book.reserve(f"{os.getpid()}-c", Amount(tokens=9), time.time() - 1)
    with account.open() as book:
        assert book.spent == Amount(tokens=14)
        assert book.total == Amount(tokens=21)
        book.settle(f"{os.getpid()}-c", Amount(tokens=1))
        assert book.total == Amount(tokens=21)


@settings(max_examples=60, deadline=None)
@given(
    st.one_of(
        st.binary(max_size=200),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
            lambda x: st.lists(x, max_size=3) | st.dictionaries(st.text(max_size=5), x, max_size=3),
        ).map(lambda x: json.dumps({"selfheal_spent": 1, "days": x}).encode()),
        st.just(b"[" * 100_000),
        st.just(
            b'{"selfheal_spent": 1, "days": {"%s": {"spent": {"requests": -1, "tokens": 0, '
            b'"nanodollars": 0}, "reserved": {}}}}' % today().encode()
        ),
    )
)
def test_a_corrupt_account_is_one_clear_line(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    folder = tmp_path_factory.mktemp("day")
    (folder / "spent.json").write_bytes(data)
    if data.startswith(b'{"selfheal_spent"') and json.loads(data)["days"] == {}:
        DayAccount(Caps(), folder)
        return
    with pytest.raises(UsageError, match=r"^the day's account .* delete it .*$"):
        DayAccount(Caps(), folder)


def test_an_account_that_breaks_under_way_ends_the_run_in_order(tmp_path: Path) -> None:
    model = BudgetedModel(CountingModel(), Caps(), day=DayAccount(Caps(requests=9), tmp_path))
    assert ask(model)
    (tmp_path / "spent.json").write_text("nonsense")
    with pytest.raises(ModelUnavailable, match=r"the day's account .* cannot be used") as caught:
        ask(model)
    assert caught.value.fatal


# --- whole runs ------------------------------------------------------------------------

FILES = {
    "mod.py": "\n".join(f"# selfheal\ndef f{n}(a: int) -> int:\n    ...\n\n" for n in range(6)),
    "test_mod.py": "import mod\n"
    + "\n".join(f"def test_f{n}():\n    assert mod.f{n}(1) == {n + 1}\n" for n in range(6)),
}
REPLIES = {
    f"mod.py::f{n}": [python(f"def f{n}(a: int) -> int:\n    return a + {n}\n")] for n in range(6)
}
LANDLOCK = "--selfheal-sandbox=landlock"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path / "project", FILES)


def test_a_run_within_its_money_says_what_it_cost(project: Project) -> None:
    with ScriptedServer(REPLIES) as server:
        run = project.heal(
            LANDLOCK, "--selfheal-max-cost=5", "-oselfheal_price=1,2,0.5", server=server
        )
    assert run.status == 0, run.output
    assert run.report is not None
    model = run.report["model"]
    expected = (model["input_tokens"] + 2 * model["output_tokens"]) / 1e6
    assert model["cost"] == pytest.approx(expected, abs=1e-8)
    assert f"out, ${expected:.4f})" in run.output
    assert all(request.payload["max_tokens"] == 16_000 for request in server.requests)


def test_a_run_stops_before_it_would_go_over_and_says_what_is_unfinished(
    project: Project,
) -> None:
    with ScriptedServer(REPLIES) as server:
        run = project.heal(LANDLOCK, "--selfheal-max-requests=4", server=server)
    assert run.status == 1
    assert len(server.requests) == 4
    assert sorted(run.statuses().values()) == ["healed"] * 4 + ["unhealed"] * 2
    assert "the budget of requests is used up (4 of 4)" in run.output


def test_a_day_holds_over_several_runs(project: Project) -> None:
    options = (LANDLOCK, "-oselfheal_max_requests_per_day=4")
    with ScriptedServer(REPLIES) as server:
        first = project.heal(*options, server=server)
        second = project.heal(*options, server=server)
    assert len(server.requests) == 4
    assert (first.status, second.status) == (1, 1)
    assert "requests for the day is used up (4 of 4)" in second.output


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("--selfheal-max-cost=1", "the price of the model 'gpt-5.5' is not known: give it as"),
        ("-oselfheal_max_cost_per_day=1", "selfheal_price = in,out"),
    ],
)
def test_money_without_a_price_is_a_misuse(project: Project, option: str, words: str) -> None:
    with ScriptedServer(REPLIES) as server:
        run = project.heal(LANDLOCK, option, server=server)
    assert run.status == 4
    assert words in run.output
    assert server.requests == []


@pytest.mark.parametrize("cache", [[], ["--cache-clear"]], ids=["kept", "cleared"])
def test_a_corrupt_account_is_a_misuse(project: Project, cache: list[str]) -> None:
    """Also where pytest's cache is cleared, which leaves the account as it is."""
    project.write({".pytest_cache/selfheal/limits/spent.json": "{"})
    with ScriptedServer(REPLIES) as server:
        run = project.heal(LANDLOCK, "-oselfheal_max_tokens_per_day=9", *cache, server=server)
    assert run.status == 4
    assert "the day's account" in run.output
    assert server.requests == []


def test_what_a_reply_thought_is_counted_where_the_service_counts_it_beside(
    project: Project,
) -> None:
    def answer(prompt: str, targets: tuple[str, ...], number: int) -> Fault:
        body = chat_body(REPLIES[targets[0]][0])
        body["usage"] = {
            "prompt_tokens": 100,
            "completion_tokens": 10,
            "total_tokens": 1_110,
            "prompt_tokens_details": {"cached_tokens": 60},
            "completion_tokens_details": {"reasoning_tokens": 1_000},
        }
        return Fault(body=json.dumps(body))

    with ScriptedServer(answer) as server:
        run = project.heal(LANDLOCK, "-oselfheal_price=1,2,0.5", "--selfheal-jobs=1", server=server)
    assert run.status == 0, run.output
    assert run.report is not None
    model, n = run.report["model"], len(server.requests)
    assert (model["output_tokens"], model["reasoning_tokens"]) == (1_010 * n, 1_000 * n)
    assert (model["input_tokens"], model["cached_tokens"]) == (100 * n, 60 * n)
    assert model["cost"] == pytest.approx(n * (40 + 30 + 2_020) / 1e6)
