"""What the two APIs of OpenAI-compatible services answer, read with no trust in its shape.

Gateways and local servers leave out fields, send null for them, or answer with a page of
HTML: so the body is read here, from plain JSON, and not by the SDK's typed models, which
would let all of that through to fail later.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, Literal

from pytest_selfheal.errors import SelfHealError

Api = Literal["responses", "chat"]

_OTHER_MODEL = "try another model, or say in a hint what the code is for"


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What the service counted for a request and its reply."""

    input_tokens: int = 0
    output_tokens: int = 0
    """With those that the model thought with, also where the service leaves them out."""
    cached_tokens: int = 0
    reasoning_tokens: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The text of a reply and what the service counted for it."""

    text: str
    usage: Usage = Usage()


class AnswerError(SelfHealError):
    """A body that holds no reply: the message completes `The endpoint …`.

    `may_pass` says that the same request may fare better; `usage` is what was counted all
    the same, None where the body does not say. `advice` is what the user can do, None where
    it may be the wrong endpoint.
    """

    def __init__(
        self,
        message: str,
        *,
        may_pass: bool = False,
        usage: Usage | None = None,
        advice: str | None = "try again later, or another model",
    ) -> None:
        super().__init__(message)
        self.may_pass = may_pass
        self.usage = usage
        self.advice = advice


def read_answer(body: bytes, api: Api) -> Answer:
    """Take the reply out of a response's body.

    Raises:
        AnswerError: It holds none; the message says why, in a few words.
    """
    try:
        data = json.loads(body.decode("utf-8"))
    except UnicodeDecodeError:
        raise AnswerError("answered with bytes that are not UTF-8", may_pass=True) from None
    except (ValueError, RecursionError):
        looks_html = body.lstrip()[:1] == b"<"
        what = "HTML" if looks_html else "no JSON"
        raise AnswerError(f"answered with {what}", may_pass=not looks_html, advice=None) from None
    if not isinstance(data, dict):
        raise AnswerError("answered with JSON that is no object", may_pass=True, advice=None)
    usage = _usage(data)
    error = error_message(data)
    if error is not None:
        raise AnswerError(f"answered with an error: {error}", may_pass=True, usage=usage)
    try:
        text = _responses_text(data) if api == "responses" else _chat_text(data)
    except AnswerError as problem:
        problem.usage = usage
        raise
    return Answer(text=text, usage=usage or Usage())


def _usage(data: Mapping[str, Any]) -> Usage | None:
    """The service's own counts, None where it counted nothing."""
    usage = _mapping(data.get("usage"))
    asked = _count(usage, "input_tokens", "prompt_tokens")
    replied = _count(usage, "output_tokens", "completion_tokens")
    details = _mapping(usage.get("output_tokens_details") or usage.get("completion_tokens_details"))
    thought = _count(details, "reasoning_tokens")
    # Some services count what was thought beside the reply; the total gives them away.
    replied = max(replied, thought, _count(usage, "total_tokens") - asked)
    if not asked and not replied:
        return None
    details = _mapping(usage.get("input_tokens_details") or usage.get("prompt_tokens_details"))
    return Usage(
        input_tokens=asked,
        output_tokens=replied,
        cached_tokens=min(asked, _count(details, "cached_tokens")),
        reasoning_tokens=thought,
    )


def retry_after(headers: Mapping[str, str]) -> float:
    """The seconds that a service asks to be left alone for; 0.0 where it asks for none."""
    with suppress(ValueError, OverflowError):
        milliseconds = float(headers.get("retry-after-ms", ""))
        if math.isfinite(milliseconds):
            return max(0.0, milliseconds / 1000)
    value = headers.get("retry-after", "")
    with suppress(ValueError, OverflowError):
        seconds = float(value)
        return max(0.0, seconds) if math.isfinite(seconds) else 0.0
    with suppress(ValueError, TypeError, OverflowError):
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    return 0.0


def error_message(data: object) -> str | None:
    """Give the service's own words where the JSON is an error's, else None."""
    error = _mapping(data).get("error")
    if isinstance(error, str):
        return error or None
    if not isinstance(error, Mapping) or not error:
        return None
    message = error.get("message") or error.get("code") or error.get("type")
    return str(message) if message else "an error without a message"


def _chat_text(data: Mapping[str, Any]) -> str:
    choices = data.get("choices")
    if not isinstance(choices, list) or not choices:
        raise AnswerError("answered without any choice", may_pass=True)
    choice = _mapping(choices[0])
    message = _mapping(choice.get("message"))
    if message.get("refusal"):
        raise _refusal(message["refusal"])
    _check_ending(choice.get("finish_reason"))
    if "content" not in message:
        raise AnswerError("answered without a message's content", may_pass=True)
    text = "".join(_texts(message["content"], {"text"}))
    return text if text.strip() else _thoughts(message)


def _thoughts(message: Mapping[str, Any]) -> str:
    """What a model thought, where its server took the whole reply for that; else nothing."""
    for name in ("reasoning_content", "reasoning"):
        thought = message.get(name)
        if isinstance(thought, str) and thought.strip():
            return f"<think>\n{thought}"
    return ""


def _responses_text(data: Mapping[str, Any]) -> str:
    output = data.get("output")
    if data.get("status") == "incomplete":
        _check_ending(_mapping(data.get("incomplete_details")).get("reason") or "length")
    if data.get("status") in {"failed", "cancelled"}:
        raise AnswerError(f"answered with status {data['status']!r}", may_pass=True)
    if not isinstance(output, list):
        raise AnswerError("answered without an output", may_pass=True)
    messages = [item for item in output if _mapping(item).get("type") == "message"]
    if not messages:
        raise AnswerError("answered without a message in its output", may_pass=True)
    for item in messages:
        for part in _parts(item.get("content")):
            if part.get("type") == "refusal":
                raise _refusal(part.get("refusal"))
    return "".join(
        text for item in messages for text in _texts(item.get("content"), {"output_text", "text"})
    )


def _refusal(words: object) -> AnswerError:
    said = json.dumps(" ".join(str(words).split()), ensure_ascii=False)
    return AnswerError(f"refused ({said})", advice=_OTHER_MODEL)


def _check_ending(reason: object) -> None:
    if reason in {"length", "max_output_tokens", "max_tokens"}:
        raise AnswerError(
            "cut the reply off at its length limit",
            advice="raise --selfheal-max-reply-tokens or the budget, or try another model",
        )
    if reason == "content_filter":
        raise AnswerError("held the reply back with its content filter", advice=_OTHER_MODEL)


def _texts(content: object, types: set[str]) -> Iterator[str]:
    if isinstance(content, str):
        yield content
    for part in _parts(content):
        text = part.get("text")
        if part.get("type") in types and isinstance(text, str):
            yield text


def _parts(content: object) -> list[Mapping[str, Any]]:
    return [x for x in content if isinstance(x, Mapping)] if isinstance(content, list) else []


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _count(usage: Mapping[str, Any], *names: str) -> int:
    for name in names:
        value = usage.get(name)
        if isinstance(value, int) and not isinstance(value, bool) and value > 0:
            return value
    return 0
