"""What may pass is sent again, within the limits; what may not is one line. Both APIs."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from email.utils import formatdate
from pathlib import Path
from threading import Thread
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_selfheal.errors import BudgetExhausted, ModelUnavailable
from pytest_selfheal.model.accounts import Caps
from pytest_selfheal.model.budget import BudgetedModel
from pytest_selfheal.model.openai_model import OpenAIModel
from pytest_selfheal.model.retrying import TRIES, RetryingModel
from pytest_selfheal.model.wire import retry_after
from pytest_selfheal.records import Reply
from tests.harness import Project, python
from tests.scripted_server import Fault, ScriptedServer
from tests.test_openai_model import PROMPT, REPLY, TARGET

Api = Literal["responses", "chat"]


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(params=["responses", "chat"])
def api(request: pytest.FixtureRequest) -> Api:
    return request.param


@pytest.fixture
def connect(api: Api) -> Iterator[Callable[..., RetryingModel]]:
    """Makes models that hardly pause, for the API under test, and closes them."""
    models: list[RetryingModel] = []

    def make(server: ScriptedServer, caps: Caps | None = None, **options: Any) -> RetryingModel:
        pause = {
            name: options.pop(name)
            for name in ("on_wait", "first_pause_seconds", "tries")
            if name in options
        }
        settings = {"api": api, "timeout_seconds": 10.0, **options}
        inner = OpenAIModel(name="scripted-1", base_url=server.base_url, **settings)
        budgeted = BudgetedModel(inner, caps or Caps())
        models.append(RetryingModel(budgeted, **{"first_pause_seconds": 0.001, **pause}))
        return models[-1]

    yield make
    for model in models:
        model.close()


def ask(model: RetryingModel) -> Reply:
    return model.ask(PROMPT, targets=[TARGET], attempt=1)


PASSING = {
    "500": Fault(status=500),
    "502-html": Fault(status=502, body="<html>", content_type="text/html"),
    "503": Fault(status=503, headers={"retry-after-ms": "1"}),
    "429": Fault(status=429),
    "429-wait": Fault(status=429, headers={"retry-after-ms": "1"}),
    "dropped": Fault(drop=True),
    "cut-in-the-body": Fault(body="{}" * 100, close_after_bytes=50),
    "broken-json": Fault(body='{"choices": ['),
    "empty-body": Fault(body=""),
    "not-utf-8": Fault(body=b'{"\xff": 1}'),
    "nothing-in-it": Fault(body="{}"),
    "error-with-200": Fault(body='{"error": {"message": "overloaded"}}'),
}


@pytest.mark.parametrize("name", PASSING)
def test_what_may_pass_is_tried_again(connect: Callable[..., RetryingModel], name: str) -> None:
    with ScriptedServer({TARGET: [PASSING[name], PASSING[name], REPLY]}) as server:
        model = connect(server)
        assert ask(model).blocks
    assert len(server.requests) == 3
    assert model.usage().requests == 3


@pytest.mark.parametrize("name", PASSING)
def test_tries_have_an_end(connect: Callable[..., RetryingModel], name: str) -> None:
    with ScriptedServer({TARGET: [PASSING[name]]}) as server:
        with pytest.raises(ModelUnavailable, match=rf"\(tried {TRIES} times\)$") as caught:
            ask(connect(server))
        assert not caught.value.fatal
    assert len(server.requests) == TRIES


@pytest.mark.parametrize(
    "fault",
    [
        Fault(status=400),
        Fault(status=401),
        Fault(status=404),
        Fault(status=402),
        Fault(status=429, code="insufficient_quota"),
        Fault(body="<html>", content_type="text/html"),
        Fault(body="x" * 5_000_000),
        Fault(status=429, headers={"Retry-After": "86400"}),
    ],
    ids=["400", "401", "404", "402", "quota", "html", "5-mb", "429-for-a-day"],
)
def test_what_cannot_pass_is_sent_once(connect: Callable[..., RetryingModel], fault: Fault) -> None:
    with ScriptedServer({TARGET: [fault]}) as server, pytest.raises(ModelUnavailable):
        ask(connect(server))
    assert len(server.requests) == 1


def test_each_try_counts_in_the_budget(connect: Callable[..., RetryingModel]) -> None:
    with ScriptedServer({TARGET: [Fault(status=500)]}) as server:
        model = connect(server, Caps(requests=3))
        with pytest.raises(BudgetExhausted, match=r"requests is used up \(3 of 3\)"):
            ask(model)
    assert len(server.requests) == 3


def test_pauses_are_told_and_grow(connect: Callable[..., RetryingModel]) -> None:
    waits: list[tuple[float, str]] = []
    with ScriptedServer({TARGET: [Fault(status=500)]}) as server:
        model = connect(server, on_wait=lambda *x: waits.append(x), first_pause_seconds=0.004)
        with pytest.raises(ModelUnavailable):
            ask(model)
    assert all("answered with status 500" in reason for _, reason in waits)
    for number, (seconds, _) in enumerate(waits):
        assert 0.002 * 2**number <= seconds <= 0.004 * 2**number
    assert len(waits) == TRIES - 1


def test_a_pause_that_is_asked_for_holds_for_all(connect: Callable[..., RetryingModel]) -> None:
    times: list[float] = []

    def answer(prompt: str, targets: tuple[str, ...], number: int) -> str | Fault:
        times.append(time.monotonic())
        return Fault(status=429, headers={"retry-after-ms": "600"}) if number == 1 else REPLY

    with ScriptedServer(answer) as server:
        model = connect(server)
        first = Thread(target=ask, args=(model,))
        first.start()
        while not times:
            time.sleep(0.005)
        time.sleep(0.2)
        with ThreadPoolExecutor(4) as pool:
            assert all(x.blocks for x in pool.map(lambda _: ask(model), range(4)))
        first.join()
    assert min(times[1:]) - times[0] >= 0.6


def test_a_pause_ends_with_the_run(connect: Callable[..., RetryingModel]) -> None:
    with ScriptedServer({TARGET: [Fault(status=503, headers={"Retry-After": "200"})]}) as server:
        model = connect(server, on_wait=lambda *_: model.close())
        with pytest.raises(ModelUnavailable, match="the run ended while a request waited"):
            ask(model)


def test_a_service_that_hangs_is_not_waited_for_without_end(
    connect: Callable[..., RetryingModel], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pytest_selfheal.model.retrying.LONGEST_PAUSE_SECONDS", 0.3)
    words = r"did not answer within 0\.2 s: "
    with (
        ScriptedServer({TARGET: [Fault(hang_seconds=60)]}) as server,
        pytest.raises(ModelUnavailable, match=words),
    ):
        ask(connect(server, timeout_seconds=0.2))
    assert len(server.requests) <= 2 < TRIES  # the second begins within the 0.3 s


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, 0.0),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "1.5"}, 1.5),
        ({"retry-after-ms": "250", "retry-after": "7"}, 0.25),
        ({"retry-after": "-3"}, 0.0),
        ({"retry-after": "nan"}, 0.0),
        ({"retry-after": "inf"}, 0.0),
        ({"retry-after": "soon"}, 0.0),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0.0),
    ],
)
def test_how_long_a_service_asks_for(headers: dict[str, str], expected: float) -> None:
    assert retry_after(headers) == expected


def test_a_pause_until_a_date() -> None:
    seconds = retry_after({"retry-after": formatdate(time.time() + 60, usegmt=True)})
    assert 55 < seconds <= 60


@given(st.text(), st.text())
def test_any_header_is_a_number_of_seconds(a: str, b: str) -> None:
    assert retry_after({"retry-after": a, "retry-after-ms": b}) >= 0


# --- parameters ------------------------------------------------------------------------


def refusing(*names: str, by_param: bool = True) -> Callable[..., str | Fault]:
    """A model that refuses a request with one of these parameters, and says so."""
    server: list[ScriptedServer] = []

    def answer(prompt: str, targets: tuple[str, ...], number: int) -> str | Fault:
        payload = server[0].requests[-1].payload
        for name in names:
            if name.partition(".")[0] in payload:
                if by_param:
                    error = {"message": "no", "param": name, "code": "unsupported_parameter"}
                    return Fault(status=400, body=json.dumps({"error": error}))
                return Fault(status=400, message=f"Unsupported parameter: '{name}' is not known")
        return REPLY

    answer.server = server  # type: ignore[attr-defined]
    return answer


@pytest.mark.parametrize("by_param", [True, False])
def test_a_refused_parameter_is_left_out_and_remembered(
    api: Api, connect: Callable[..., RetryingModel], by_param: bool
) -> None:
    effort = "reasoning.effort" if api == "responses" else "reasoning_effort"
    answer = refusing("temperature", effort, by_param=by_param)
    with ScriptedServer(answer) as server:
        answer.server.append(server)  # type: ignore[attr-defined]
        model = connect(server, temperature=0.2, reasoning_effort="low", tries=1)
        assert ask(model).blocks
        assert ask(model).blocks
    assert len(server.requests) == 4
    keys = [
        set(request.payload) - {"model", "input", "messages", "store"}
        for request in server.requests
    ]
    name = effort.partition(".")[0]
    assert keys == [{"temperature", name}, {name}, set(), set()]


def test_what_is_sent_where_the_user_asks_for_it(
    api: Api, connect: Callable[..., RetryingModel]
) -> None:
    with ScriptedServer({TARGET: [REPLY]}) as server:
        ask(connect(server, temperature=0.0, reasoning_effort="high"))
    payload = server.requests[0].payload
    assert payload["temperature"] == 0.0
    if api == "responses":
        assert payload["reasoning"] == {"effort": "high"}
    else:
        assert payload["reasoning_effort"] == "high"


def test_the_bound_for_a_reply_has_another_name_where_one_is_refused(api: Api) -> None:
    answer = refusing("max_tokens")
    with ScriptedServer(answer) as server:
        answer.server.append(server)  # type: ignore[attr-defined]
        inner = OpenAIModel(name="m", base_url=server.base_url, api=api)
        model = RetryingModel(BudgetedModel(inner, Caps(tokens=50_000)))
        assert ask(model).blocks
        assert ask(model).blocks
        model.close()
    names = [{k for k in x.payload if k.startswith("max")} for x in server.requests]
    if api == "responses":
        assert names == [{"max_output_tokens"}] * 2
    else:
        assert names == [{"max_tokens"}, {"max_completion_tokens"}, {"max_completion_tokens"}]


def test_a_budget_that_nothing_bounds_is_not_spent_from(api: Api) -> None:
    answer = refusing("max_tokens", "max_completion_tokens", "max_output_tokens")
    with ScriptedServer(answer) as server:
        answer.server.append(server)  # type: ignore[attr-defined]
        inner = OpenAIModel(name="m", base_url=server.base_url, api=api)
        model = RetryingModel(BudgetedModel(inner, Caps(tokens=50_000)))
        with pytest.raises(ModelUnavailable, match="takes no bound for its reply") as caught:
            ask(model)
        model.close()
    assert caught.value.fatal
    assert all(any(k.startswith("max") for k in x.payload) for x in server.requests)


def test_openais_own_service_gets_a_key_for_its_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    model = OpenAIModel(name="m")
    first = model.parameters.of(["a.py::f"], None)
    assert first == model.parameters.of(["a.py::f"], None)
    assert first["prompt_cache_key"] != model.parameters.of(["a.py::g"], None)["prompt_cache_key"]
    assert "prompt_cache_key" not in OpenAIModel(
        name="m", base_url="http://localhost:1/v1"
    ).parameters.of(["a.py::f"], None)


@pytest.mark.parametrize("junk", [b"", b"\xff", b"[" * 9_000, b'{"a": 1}', b'["model", 3]'])
def test_a_memory_that_is_junk_is_no_memory(tmp_path: Path, junk: bytes) -> None:
    model = OpenAIModel(name="m", temperature=0.5)
    model.remember_in(tmp_path)
    model.parameters.refuse({"temperature": 0.5}, 400, {"message": "temperature: no"})
    (file,) = tmp_path.iterdir()
    assert file.stat().st_mode & 0o077 == 0
    file.write_bytes(junk)
    again = OpenAIModel(name="m", temperature=0.5)
    again.remember_in(tmp_path)
    assert again.parameters.refused == frozenset()


def test_a_later_run_remembers_what_the_model_refuses(tmp_path: Path) -> None:
    files = {
        "mod.py": "# selfheal\ndef f(): ...\n\n\n# selfheal\ndef g(): ...\n",
        "test_mod.py": "import mod\ndef test_f(): assert mod.f() == 1\n"
        "def test_g(): assert mod.g() == 2\n",
    }
    replies = {
        "mod.py::f": python("def f():\n    return 1\n"),
        "mod.py::g": python("def g():\n    return 2\n"),
    }

    def answer(prompt: str, targets: tuple[str, ...], number: int) -> str | Fault:
        if any("temperature" in x.payload for x in server.requests[-1:]):
            return Fault(status=400, message="temperature is not supported with this model")
        return replies[targets[0]]

    project = Project(tmp_path / "project", files)
    options = ("--selfheal-sandbox=landlock", "--selfheal-temperature=0.3", "--selfheal-jobs=1")
    with ScriptedServer(answer) as server:
        first = project.heal(*options, "-k", "test_f", server=server)
        second = project.heal(*options, "-k", "test_g", server=server)
    assert (first.status, second.status) == (0, 0), first.output + second.output
    assert ["temperature" in x.payload for x in server.requests] == [True, False, False]
