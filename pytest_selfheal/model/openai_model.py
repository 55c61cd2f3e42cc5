"""The model behind an OpenAI-compatible endpoint, asked with the `openai` SDK.

The SDK is imported by the functions here and nowhere else: that takes a second, so call
`warm_up` from a thread as soon as a request is likely. It reads OPENAI_API_KEY by itself;
this module never sees the key.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Literal, NoReturn

from pytest_selfheal.errors import ModelUnavailable
from pytest_selfheal.model.bounds import Bound
from pytest_selfheal.model.endpoint import (
    advice,
    effective_base_url,
    is_openai,
    key_problem,
    shown,
)
from pytest_selfheal.model.fold import encodable, one_line
from pytest_selfheal.model.parameters import Parameters, memory_file
from pytest_selfheal.model.redact import redact
from pytest_selfheal.model.reply import read_reply
from pytest_selfheal.model.wire import (
    AnswerError,
    Api,
    Usage,
    error_message,
    read_answer,
    retry_after,
)
from pytest_selfheal.records import ModelUsage, Reply

if TYPE_CHECKING:
    import openai

MAX_BODY_BYTES = 1_048_576
"""No more of an answer is read: a reply is some kilobytes of Markdown."""

_SHORTEST_SECONDS = 0.001
"""No try is given less, which an HTTP library would take for an error or for no limit."""

# Local servers need no key, but the SDK insists on one.
_PLACEHOLDER_KEY = "none"
_QUOTA_CODES = frozenset({"insufficient_quota", "billing_hard_limit_reached", "quota_exceeded"})


def warm_up() -> None:
    """Import the SDK, with the resources that requests use, ahead of the first request."""
    import openai.resources.chat.completions
    import openai.resources.responses  # noqa: F401


class OpenAIModel:
    """Asks an OpenAI-compatible endpoint; a `Model`. Safe to use from several threads."""

    def __init__(
        self,
        *,
        name: str,
        base_url: str | None = None,
        api: Literal["auto", "responses", "chat"] = "auto",
        timeout_seconds: float = 180.0,
        temperature: float | None = None,
        reasoning_effort: str | None = None,
    ) -> None:
        """Note where and how to ask; nothing is imported or sent yet.

        Args:
            name: The model's name, as the service knows it.
            base_url: The endpoint; None for OPENAI_BASE_URL, else the SDK's own.
            api: Which API; `auto` is Responses on OpenAI's own endpoint, else Chat Completions.
            timeout_seconds: How long one try may take, from sending to the answer's last byte.
            temperature: As the user wants it; None to leave it to the service.
            reasoning_effort: The same.
        """
        self.name = name
        self._option = base_url
        self._base_url = effective_base_url(base_url)
        self.api: Api = ("responses" if is_openai(base_url) else "chat") if api == "auto" else api
        self._timeout_seconds = timeout_seconds
        self.parameters = Parameters(
            self.api,
            temperature=temperature,
            reasoning_effort=reasoning_effort,
            is_openai=is_openai(base_url),
        )
        self._lock = Lock()
        self._client: openai.OpenAI | None = None
        self._usage = ModelUsage(name=name)

    def remember_in(self, folder: Path) -> None:
        """Keep in this folder which parameters the model refuses, and heed what is there."""
        self.parameters.remember_in(memory_file(folder, self._base_url, self.name, self.api))

    def warm_up(self) -> None:
        """Import the SDK and make the client ahead of the first request."""
        warm_up()
        with suppress(ModelUnavailable):  # the first request says it again
            self._connected()

    def ask(self, prompt: str, *, targets: Sequence[str], attempt: int) -> Reply:
        """Send a prompt once and give the reply; see `protocols.Model`."""
        return self.ask_within(prompt, Bound(), targets=targets, attempt=attempt)

    def ask_within(
        self, prompt: str, bound: Bound, *, targets: Sequence[str], attempt: int
    ) -> Reply:
        """The same, within a bound."""
        client = self._connected()
        parameters = self.parameters.of(targets, bound.reply_tokens)
        if bound.is_strict and not any("max_" in name for name in parameters):
            self._fail(
                "takes no bound for its reply, and a budget of tokens or money needs one: leave "
                "that budget out, and limit requests instead",
                fatal=True,
            )
        seconds = self._timeout_seconds
        if bound.seconds is not None:
            seconds = min(seconds, max(bound.seconds, _SHORTEST_SECONDS))
        self._count(requests=1, uncounted=1)
        try:
            with self._service_errors(seconds, parameters):
                body = self._body(client, encodable(prompt), parameters, seconds)
                answer = read_answer(body, self.api)
        except ModelUnavailable as error:
            self._count(uncounted=0 if error.may_have_cost else -1)
            raise
        usage = answer.usage
        self._count(usage=usage, uncounted=0 if usage == Usage() else -1)
        return replace(
            read_reply(answer.text, usage.input_tokens, usage.output_tokens),
            cached_tokens=usage.cached_tokens,
            reasoning_tokens=usage.reasoning_tokens,
        )

    def usage(self) -> ModelUsage:
        """What was asked so far; a request that failed counts, without tokens."""
        with self._lock:
            return self._usage

    def close(self) -> None:
        """Close the connections; a request under way fails."""
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            client.close()

    # --- sending -----------------------------------------------------------------------

    def _connected(self) -> openai.OpenAI:
        with self._lock:
            if self._client is None:
                self._client = self._new_client()
            return self._client

    def _new_client(self) -> openai.OpenAI:
        import openai

        settings: dict[str, Any] = {
            "base_url": self._base_url,
            "timeout": self._timeout_seconds,
            "max_retries": 0,  # each try is to be checked against the limits
        }
        try:
            try:
                return openai.OpenAI(**settings)
            except openai.OpenAIError:  # no key
                if is_openai(self._option):
                    raise
                return openai.OpenAI(api_key=_PLACEHOLDER_KEY, **settings)
        except openai.OpenAIError:
            problem = key_problem(self._option) or "the openai library cannot be set up"
            raise ModelUnavailable(problem, fatal=True) from None
        except Exception as error:  # noqa: BLE001 - proxy or certificate settings that are none
            self._fail(f"cannot be used ({_words(error)}): check the proxy settings", fatal=True)

    def _body(
        self, client: openai.OpenAI, prompt: str, parameters: Mapping[str, Any], seconds: float
    ) -> bytes:
        create: Callable[..., Any]
        if self.api == "responses":
            create = client.responses.with_streaming_response.create
            arguments: dict[str, Any] = {"input": prompt}
        else:
            create = client.chat.completions.with_streaming_response.create
            arguments = {"messages": [{"role": "user", "content": prompt}]}
        # The HTTP library's time-out starts anew with every byte that trickles in.
        deadline = time.monotonic() + seconds
        with create(model=self.name, timeout=seconds, **arguments, **parameters) as response:
            return self._read(response.iter_bytes(), deadline, seconds)

    def _read(self, chunks: Iterator[bytes], deadline: float, seconds: float) -> bytes:
        body = bytearray()
        for chunk in chunks:
            body += chunk
            if len(body) > MAX_BODY_BYTES:
                raise AnswerError(
                    f"answered with more than {MAX_BODY_BYTES:,} bytes",
                    advice="lower --selfheal-max-reply-tokens, or try another model",
                )
            if time.monotonic() > deadline:
                raise AnswerError(f"took longer than {seconds:g} s to answer")
        return bytes(body)

    def _count(self, *, requests: int = 0, uncounted: int = 0, usage: Usage | None = None) -> None:
        usage = usage or Usage()
        with self._lock:
            before = self._usage
            self._usage = replace(
                before,
                requests=before.requests + requests,
                uncounted_requests=before.uncounted_requests + uncounted,
                input_tokens=before.input_tokens + usage.input_tokens,
                output_tokens=before.output_tokens + usage.output_tokens,
                cached_tokens=before.cached_tokens + usage.cached_tokens,
                reasoning_tokens=before.reasoning_tokens + usage.reasoning_tokens,
            )

    # --- failing -----------------------------------------------------------------------

    @contextmanager
    def _service_errors(self, seconds: float, parameters: Mapping[str, Any]) -> Iterator[None]:
        """Turn everything that a service or the way to it does wrong into one line."""
        import openai

        timeouts: tuple[type[Exception], ...] = (
            openai.APITimeoutError,
            *_http_errors("TimeoutException"),
        )
        try:
            yield
        except openai.APIStatusError as error:
            self._fail_for_status(error, parameters)
        except timeouts:
            self._fail(
                f"did not answer within {seconds:g} s: try again, or use a faster model",
                retry_after=0.0,
                may_have_cost=True,
            )
        except openai.APIConnectionError as error:
            never_arrived = isinstance(error.__cause__, _http_errors("ConnectError"))
            what, todo = "cannot be reached", self._advice()
            if not never_arrived:
                what, todo = "broke off the connection", "try again later"
            self._fail(
                f"{what} ({_words(error.__cause__)}): {todo}",
                retry_after=0.0,
                may_have_cost=not never_arrived,
            )
        except AnswerError as error:
            self._fail_for_answer(error)
        except _http_errors("HTTPError", "StreamError") as error:
            self._fail(
                f"broke off its answer ({_words(error)}): try again",
                retry_after=0.0,
                may_have_cost=True,
            )
        except (openai.OpenAIError, RuntimeError) as error:  # e.g. closed meanwhile
            self._fail(f"cannot be asked ({_words(error)})", may_have_cost=True)

    def _fail_for_answer(self, error: AnswerError) -> NoReturn:
        usage = error.usage
        self._count(usage=usage)
        self._fail(
            f"{_words(error)}: {error.advice or self._advice()}",
            retry_after=0.0 if error.may_pass else None,
            may_have_cost=usage is None,
            input_tokens=usage.input_tokens if usage else 0,
            output_tokens=usage.output_tokens if usage else 0,
            cached_tokens=usage.cached_tokens if usage else 0,
        )

    def _fail_for_status(
        self, error: openai.APIStatusError, parameters: Mapping[str, Any]
    ) -> NoReturn:
        status, code = error.status_code, error.code or error.type or ""
        words = _service_words(error)
        if status in {401, 403}:
            # The service's own words quote a part of the key.
            more = ", and what its account may use" if status == 403 else ""
            self._fail(f"refused the key ({status}): check OPENAI_API_KEY{more}", fatal=True)
        if status == 404 or code == "model_not_found":
            self._fail(
                f"does not know the model {self.name!r} ({status}{words}): check "
                f"--selfheal-model, and whether the URL's path is right",
                fatal=True,
            )
        if status == 402 or {error.code, error.type} & _QUOTA_CODES:
            self._fail(
                f"says that the quota is used up ({status}{words}): check the account's plan "
                "and billing",
                fatal=True,
            )
        refused = self.parameters.refuse(parameters, status, error.body)
        if refused is not None:
            self._fail(
                f"refuses the parameter {refused!r} ({status}{words}): it is left out from now on",
                retry_after=0.0,
                is_adjusted=True,
            )
        pause = retry_after(error.response.headers)
        if status == 429:
            self._fail(
                f"limits the rate ({status}{words}): wait, or set --selfheal-rpm or --selfheal-tpm",
                retry_after=pause,
            )
        may_pass = status >= 500 or status in {408, 409, 425}
        advice = "try again later" if may_pass else "check --selfheal-model and --selfheal-api"
        if status == 413 or code == "context_length_exceeded":
            advice = "lower --selfheal-prompt-tokens, or use a model with room for more"
        self._fail(
            f"answered with status {status}{words}: {advice}",
            retry_after=pause if may_pass else None,
        )

    def _advice(self) -> str:
        return advice(self._option)

    def _fail(self, what: str, **facts: Any) -> NoReturn:
        line = one_line(redact(f"the model's endpoint {shown(self._option)!r} {what}"), 500)
        raise ModelUnavailable(line, **facts) from None


def _words(error: BaseException | None) -> str:
    if error is None:
        return "no connection"
    return one_line(str(error), 200) or type(error).__name__


def _service_words(error: openai.APIStatusError) -> str:
    """The service's own message, ready to follow the status; empty for anything but JSON."""
    message = error_message({"error": error.body})
    if not isinstance(error.body, dict) or message is None:
        return ""
    return f", {json.dumps(one_line(message, 200), ensure_ascii=False)}"


def _http_errors(*names: str) -> tuple[type[Exception], ...]:
    """Classes of the HTTP library below the SDK: `httpx`, or `httpx2` from SDK 3 on.

    Reading an answer piece by piece raises these as they are; the SDK does not wrap them.
    """
    import openai

    module = sys.modules[openai.DefaultHttpxClient.__mro__[1].__module__.partition(".")[0]]
    return tuple(getattr(module, name) for name in names)
