"""The real `openai` client against a real server on this machine, for both APIs."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal

import pytest

from pytest_selfheal.errors import ModelUnavailable
from pytest_selfheal.model.endpoint import endpoint_problem, is_openai, key_problem, shown
from pytest_selfheal.model.openai_model import MAX_BODY_BYTES, OpenAIModel
from pytest_selfheal.records import ModelUsage, Reply
from tests.scripted_server import Answer, Fault, ScriptedServer, chat_body, responses_body, tokens

TARGET = "src/a.py::f"
PROMPT = f"Write it.\n\nTarget: {TARGET}\n"
REPLY = "```python\ndef f():\n    return 1\n```\n"
Api = Literal["responses", "chat"]


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_ADMIN_KEY"):
        monkeypatch.delenv(name, raising=False)
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture(params=["responses", "chat"])
def api(request: pytest.FixtureRequest) -> Api:
    return request.param


@pytest.fixture
def connect(api: Api) -> Iterator[Callable[..., OpenAIModel]]:
    """Makes models for the API under test and closes them."""
    models: list[OpenAIModel] = []

    def make(server: ScriptedServer, **options: Any) -> OpenAIModel:
        settings = {"api": api, "timeout_seconds": 10.0, **options}
        models.append(OpenAIModel(name="scripted-1", base_url=server.base_url, **settings))
        return models[-1]

    yield make
    for model in models:
        model.close()


def ask(model: OpenAIModel) -> Reply:
    return model.ask(PROMPT, targets=[TARGET], attempt=1)


# --- what is sent and what comes back --------------------------------------------------


def test_a_reply_comes_back_with_its_tokens(api: Api, connect: Callable[..., OpenAIModel]) -> None:
    with ScriptedServer({TARGET: [REPLY]}) as server:
        model = connect(server)
        reply = ask(model)
    assert reply.blocks == ("def f():\n    return 1\n",)
    assert (reply.input_tokens, reply.output_tokens) == (tokens(PROMPT), tokens(REPLY))
    assert model.usage() == ModelUsage(
        name="scripted-1",
        requests=1,
        input_tokens=tokens(PROMPT),
        output_tokens=tokens(REPLY),
    )


def test_a_reply_without_a_count_is_told_from_one_of_nothing(
    connect: Callable[..., OpenAIModel], api: Api
) -> None:
    shape = chat_body if api == "chat" else responses_body
    bare = Fault(body=json.dumps({**shape(REPLY), "usage": None}))
    answers, under_way = [bare, REPLY, Fault(status=503)], []

    def answer(prompt: str, targets: tuple[str, ...], number: int) -> Answer:
        under_way.append(model.usage().uncounted_requests)
        return answers[number - 1]

    with ScriptedServer(answer) as server:
        model = connect(server)
        ask(model)
        ask(model)
        failure(model)
    assert under_way == [1, 2, 2]
    usage = model.usage()
    assert (usage.requests, usage.uncounted_requests) == (3, 1)
    assert usage.output_tokens == tokens(REPLY)


def test_the_request_holds_the_prompt_and_nothing_it_should_not(
    api: Api, connect: Callable[..., OpenAIModel]
) -> None:
    with ScriptedServer({TARGET: [REPLY]}) as server:
        ask(connect(server))
    (request,) = server.requests
    assert (request.api, request.model, request.prompt.strip()) == (
        api,
        "scripted-1",
        PROMPT.strip(),
    )
    assert request.targets == (TARGET,)
    expected = {"chat": {"model", "messages"}, "responses": {"model", "input", "store"}}
    assert set(request.payload) == expected[api]


def test_the_nth_request_gets_the_nth_reply(connect: Callable[..., OpenAIModel]) -> None:
    with ScriptedServer({TARGET: ["one", "two"]}) as server:
        model = connect(server)
        assert [ask(model).text for _ in range(3)] == ["one", "two", "two"]


def test_usage_is_counted_over_threads(connect: Callable[..., OpenAIModel]) -> None:
    with ScriptedServer({TARGET: [REPLY]}, latency_seconds=0.02) as server:
        model = connect(server)
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda _: ask(model), range(24)))
        assert model.usage().requests == 24
        assert model.usage().input_tokens == 24 * tokens(PROMPT)
        assert 1 < server.max_concurrency <= 8


def test_a_prompt_with_any_character_arrives(connect: Callable[..., OpenAIModel]) -> None:
    with ScriptedServer(lambda prompt, targets, n: "ok") as server:
        connect(server).ask("ä\u2028\x00\ud800😀", targets=[TARGET], attempt=1)
    assert server.requests[0].prompt.strip() == "ä\u2028\x00\\ud800😀"


@pytest.mark.parametrize(
    ("key", "has_key"), [(None, True), ("sk-scripted", True)], ids=["placeholder", "own"]
)
def test_a_local_server_needs_no_key(
    connect: Callable[..., OpenAIModel],
    monkeypatch: pytest.MonkeyPatch,
    key: str | None,
    has_key: bool,
) -> None:
    if key:
        monkeypatch.setenv("OPENAI_API_KEY", key)
    with ScriptedServer({TARGET: [REPLY]}) as server:
        assert ask(connect(server)).blocks
    assert server.requests[0].has_key is has_key


def test_auto_is_chat_on_any_endpoint_but_openais(connect: Callable[..., OpenAIModel]) -> None:
    with ScriptedServer({TARGET: [REPLY]}) as server:
        ask(connect(server, api="auto"))
    assert server.requests[0].api == "chat"


def test_auto_is_responses_on_openais_own_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    assert OpenAIModel(name="m").api == "responses"
    assert OpenAIModel(name="m", base_url="https://eu.api.openai.com/v1").api == "responses"
    assert OpenAIModel(name="m", api="chat").api == "chat"
    monkeypatch.setenv("OPENAI_BASE_URL", "http://localhost:11434/v1")
    assert OpenAIModel(name="m").api == "chat"


def test_warming_up_connects_to_nobody(connect: Callable[..., OpenAIModel]) -> None:
    with ScriptedServer({TARGET: [REPLY]}) as server:
        model = connect(server)
        model.warm_up()
        assert server.requests == []
        assert ask(model).blocks
    OpenAIModel(name="without a key").warm_up()


def test_the_endpoint_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    with ScriptedServer({TARGET: [REPLY]}) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
        model = OpenAIModel(name="m")
        assert ask(model).blocks
        model.close()


def test_missing_usage_counts_as_nothing(api: Api, connect: Callable[..., OpenAIModel]) -> None:
    body = changed(api, lambda data: data.pop("usage"))
    with ScriptedServer({TARGET: [body]}) as server:
        reply = ask(connect(server))
    assert (reply.text, reply.input_tokens, reply.output_tokens) == (REPLY, 0, 0)


def test_an_empty_reply_is_a_reply(api: Api, connect: Callable[..., OpenAIModel]) -> None:
    with ScriptedServer({TARGET: [""]}) as server:
        assert ask(connect(server)).text == ""


# --- faults ----------------------------------------------------------------------------


def changed(api: Api, change: Callable[[dict[str, Any]], object]) -> Fault:
    """The API's right answer, with one thing wrong."""
    data = chat_body(REPLY) if api == "chat" else responses_body(REPLY)
    change(data)
    return Fault(body=json.dumps(data))


def failure(model: OpenAIModel) -> ModelUnavailable:
    with pytest.raises(ModelUnavailable) as caught:
        ask(model)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("the model's endpoint 'http://127.0.0.1:")
    return caught.value


@pytest.mark.parametrize(
    ("fault", "fatal", "words"),
    [
        pytest.param(
            Fault(status=401), True, "refused the key (401): check OPENAI_API_KEY", id="401"
        ),
        pytest.param(
            Fault(status=403), True, "refused the key (403): check OPENAI_API_KEY", id="403"
        ),
        pytest.param(
            Fault(status=404, message="no such model", code="model_not_found"),
            True,
            "does not know the model 'scripted-1' (404, \"no such model\"): check --selfheal-model",
            id="404",
        ),
        pytest.param(
            Fault(status=400, code="model_not_found"),
            True,
            "does not know the model",
            id="400-model",
        ),
        pytest.param(
            Fault(status=429, code="insufficient_quota"), True, "quota is used up (429", id="quota"
        ),
        pytest.param(Fault(status=402), True, "quota is used up (402", id="payment"),
        pytest.param(Fault(status=429), False, "limits the rate (429", id="429"),
        pytest.param(
            Fault(status=400, message="too\nlong"),
            False,
            'answered with status 400, "too long": check',
            id="400",
        ),
        pytest.param(Fault(status=500), False, "answered with status 500", id="500"),
        pytest.param(
            Fault(status=502, body="<html>bad gateway</html>", content_type="text/html"),
            False,
            "answered with status 502: try again later",
            id="502-html",
        ),
        pytest.param(
            Fault(body="<html>", content_type="text/html"),
            False,
            "answered with HTML: check --selfheal-base-url",
            id="html",
        ),
        pytest.param(Fault(body='{"choices": ['), False, "answered with no JSON", id="cut-json"),
        pytest.param(Fault(body=""), False, "answered with no JSON", id="empty-body"),
        pytest.param(Fault(body="[" * 100_000), False, "answered with no JSON", id="nested-json"),
        pytest.param(Fault(body="[]"), False, "answered with JSON that is no object", id="list"),
        pytest.param(Fault(body=b'{"\xff": 1}'), False, "bytes that are not UTF-8", id="not-utf-8"),
        pytest.param(
            Fault(body="{}" + " " * MAX_BODY_BYTES),
            False,
            "more than 1,048,576 bytes",
            id="oversize",
        ),
        pytest.param(
            Fault(body='{"error": {"message": "overloaded"}}'),
            False,
            "answered with an error: overloaded",
            id="error-with-200",
        ),
        pytest.param(
            Fault(body="{}" * 100, close_after_bytes=50), False, "broke off its answer", id="cut"
        ),
        pytest.param(
            Fault(body="no gzip", headers={"Content-Encoding": "gzip"}),
            False,
            "broke off its answer",
            id="not-gzip",
        ),
        pytest.param(Fault(drop=True), False, "broke off the connection (", id="dropped"),
    ],
)
def test_each_fault_is_one_clear_line(
    connect: Callable[..., OpenAIModel], fault: Fault, fatal: bool, words: str
) -> None:
    with ScriptedServer({TARGET: [fault]}) as server:
        model = connect(server)
        error = failure(model)
    assert words in str(error)
    assert error.fatal is fatal
    # Nobody knows what a reply took that was on its way.
    uncounted = int(error.may_have_cost)
    assert model.usage() == ModelUsage(name="scripted-1", requests=1, uncounted_requests=uncounted)


def chat_choice(**fields: Any) -> Callable[[dict[str, Any]], object]:
    return lambda data: data["choices"][0].update(fields)


CHAT_FAULTS = {
    "no-choices": (lambda data: data.update(choices=[]), "without any choice"),
    "null-choices": (lambda data: data.update(choices=None), "without any choice"),
    "length": (
        chat_choice(finish_reason="length"),
        "cut the reply off at its length limit: raise --selfheal-max-reply-tokens",
    ),
    "filter": (chat_choice(finish_reason="content_filter"), "with its content filter"),
    "refusal": (chat_choice(message={"refusal": "no\nway"}), 'refused ("no way"): try another'),
    "no-message": (chat_choice(message=None), "without a message's content"),
}
RESPONSES_FAULTS = {
    "no-output": (lambda data: data.update(output=None), "without an output"),
    "no-message": (lambda data: data["output"].pop(), "without a message"),
    "length": (
        lambda data: data.update(
            status="incomplete", incomplete_details={"reason": "max_output_tokens"}
        ),
        "cut the reply off at its length limit: raise --selfheal-max-reply-tokens",
    ),
    "filter": (
        lambda data: data.update(
            status="incomplete", incomplete_details={"reason": "content_filter"}
        ),
        "with its content filter",
    ),
    "failed": (
        lambda data: data.update(status="failed", error={"code": "x", "message": "went wrong"}),
        "answered with an error: went wrong",
    ),
    "cancelled": (lambda data: data.update(status="cancelled"), "status 'cancelled'"),
    "refusal": (
        lambda data: data["output"][1].update(content=[{"type": "refusal", "refusal": "no"}]),
        'refused ("no',
    ),
}


@pytest.mark.parametrize(
    ("api", "name"),
    [("chat", name) for name in CHAT_FAULTS] + [("responses", name) for name in RESPONSES_FAULTS],
)
def test_an_answer_without_a_reply(
    connect: Callable[..., OpenAIModel], api: Api, name: str
) -> None:
    change, words = (CHAT_FAULTS if api == "chat" else RESPONSES_FAULTS)[name]
    with ScriptedServer({TARGET: [changed(api, change)]}) as server:
        error = failure(connect(server))
    assert words in str(error)
    assert not error.fatal


def test_a_refused_key_is_not_quoted(
    connect: Callable[..., OpenAIModel], monkeypatch: pytest.MonkeyPatch
) -> None:
    key = "sk-abcdefghijklmnop123456"
    monkeypatch.setenv("OPENAI_API_KEY", key)
    faults = [Fault(status=status, message=f"Wrong key: {key}") for status in (401, 400)]
    with ScriptedServer({TARGET: faults}) as server:
        model = connect(server)
        assert key not in str(failure(model))
        assert "Wrong key: [redacted]" in str(failure(model))


def test_a_hanging_service_times_out(connect: Callable[..., OpenAIModel]) -> None:
    with ScriptedServer({TARGET: [Fault(hang_seconds=30)]}) as server:
        error = failure(connect(server, timeout_seconds=0.3))
    assert "did not answer within 0.3 s" in str(error)
    assert not error.fatal


def test_a_reply_of_100_mb_is_not_kept(connect: Callable[..., OpenAIModel]) -> None:
    fault = Fault(body=b'{"choices": "' + b"x" * 100 * 2**20)
    with ScriptedServer({TARGET: [fault]}) as server:
        model = connect(server)
        tracemalloc.start()
        try:
            with pytest.raises(ModelUnavailable, match="more than 1,048,576 bytes"):
                ask(model)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert peak < 50 * 2**20  # half of it is what the first request imports


def test_nobody_there(connect: Callable[..., OpenAIModel]) -> None:
    with ScriptedServer({}) as server:
        pass
    model = OpenAIModel(name="m", base_url=f"http://127.0.0.1:{free_port()}/v1")
    error = failure(model)
    model.close()
    assert "cannot be reached" in str(error)
    assert "check --selfheal-base-url" in str(error)
    assert server.requests == []


def test_openais_own_endpoint_needs_a_key() -> None:
    with pytest.raises(ModelUnavailable, match="OPENAI_API_KEY is not set") as caught:
        ask(OpenAIModel(name="m"))
    assert caught.value.fatal


def test_importing_the_modules_does_not_import_the_sdk() -> None:
    code = (
        "import sys, pytest_selfheal.model.openai_model, pytest_selfheal.model.limits, "
        "pytest_selfheal.model.prompt, pytest_selfheal.model.recording\n"
        "print(sorted({'openai', 'pyrate_limiter', 'libcst', 'pytest'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


# --- the endpoint, before the first request --------------------------------------------


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("127.0.0.1:8000/v1", "does not begin with http:// or https://"),
        ("ftp://host/v1", "does not begin with http:// or https://"),
        ("http://", "names no host"),
        ("http:///v1", "names no host"),
        ("http://host:abc/v1", "its port is no number below 65536"),
        ("http://host:99999/v1", "its port is no number below 65536"),
        ("http://host:0/v1", "its port is 0"),
        ("http://[::1/v1", "its host is malformed"),
        ("http://ho st/v1", "a blank or control character"),
        ("http://host/v1?key=1", "a query or a fragment"),
    ],
)
def test_a_malformed_url_is_named(url: str, words: str) -> None:
    problem = endpoint_problem(url)
    assert problem is not None
    assert words in problem
    assert problem.endswith("check --selfheal-base-url")
    assert "key=1" not in problem


def test_a_closed_port_is_named() -> None:
    url = f"http://127.0.0.1:{free_port()}/v1"
    assert endpoint_problem(url) == (
        f"the model's endpoint {url!r} does not answer (connection refused): "
        "check --selfheal-base-url"
    )


def test_the_environments_url_is_blamed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", f"http://user:pw@127.0.0.1:{free_port()}")
    problem = endpoint_problem(None)
    assert problem is not None
    assert "pw" not in problem
    assert problem.endswith("check OPENAI_BASE_URL, or give --selfheal-base-url")


def test_a_listening_port_is_no_problem() -> None:
    with ScriptedServer({}) as server:
        assert endpoint_problem(server.base_url) is None


@pytest.mark.parametrize(
    ("no_proxy", "is_asked"), [("", False), ("127.0.0.1", True)], ids=["proxied", "bypassed"]
)
def test_behind_a_proxy_nothing_is_tried(
    monkeypatch: pytest.MonkeyPatch, no_proxy: str, is_asked: bool
) -> None:
    monkeypatch.setenv("http_proxy", "http://proxy.invalid:1")
    monkeypatch.setenv("no_proxy", no_proxy)
    problem = endpoint_problem(f"http://127.0.0.1:{free_port()}/v1")
    assert (problem is not None) is is_asked


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (None, True),
        ("https://api.openai.com/v1", True),
        ("https://EU.api.openai.com/v1/", True),
        ("https://api.openai.com.evil.example/v1", False),
        ("http://localhost:11434/v1", False),
        ("http://[bad", False),
    ],
)
def test_openais_own_endpoint_is_recognised(url: str | None, expected: bool) -> None:
    assert is_openai(url) is expected


def test_a_missing_key_is_a_problem_only_there(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = key_problem(None)
    assert problem is not None
    assert problem.startswith("OPENAI_API_KEY is not set, and 'https://api.openai.com/v1' needs it")
    assert key_problem("http://localhost:1/v1") is None
    monkeypatch.setenv("OPENAI_API_KEY", " ")
    assert key_problem(None) == problem
    monkeypatch.setenv("OPENAI_API_KEY", "sk-x")
    assert key_problem(None) is None


def test_a_url_is_shown_without_credentials() -> None:
    assert shown("https://user:pw@host:1/v1?key=2") == "https://host:1/v1"
