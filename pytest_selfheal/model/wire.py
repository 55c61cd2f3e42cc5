"""What the two APIs of OpenAI-compatible services answer, read with no trust in its shape.

Gateways and local servers leave out fields, send null for them, or answer with a page of
HTML: so the body is read here, from plain JSON, and not by the SDK's typed models, which
would let all of that through to fail later.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pytest_selfheal.errors import SelfHealError

Api = Literal["responses", "chat"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The text of a reply and what the service counted for it."""

    text: str
    input_tokens: int = 0
    output_tokens: int = 0


class AnswerError(SelfHealError):
    """A body that holds no reply: the message completes `The endpoint …`."""


def read_answer(body: bytes, api: Api) -> Answer:
    """Take the reply out of a response's body.

    Raises:
        AnswerError: It holds none; the message says why, in a few words.
    """
    try:
        data = json.loads(body.decode("utf-8"))
    except UnicodeDecodeError:
        raise AnswerError("answered with bytes that are not UTF-8") from None
    except (ValueError, RecursionError):
        looks_html = body.lstrip()[:1] == b"<"
        raise AnswerError(f"answered with {'HTML' if looks_html else 'no JSON'}") from None
    if not isinstance(data, dict):
        raise AnswerError("answered with JSON that is no object")
    error = error_message(data)
    if error is not None:
        raise AnswerError(f"answered with an error: {error}")
    text = _responses_text(data) if api == "responses" else _chat_text(data)
    usage = _mapping(data.get("usage"))
    return Answer(
        text=text,
        input_tokens=_count(usage, "input_tokens", "prompt_tokens"),
        output_tokens=_count(usage, "output_tokens", "completion_tokens"),
    )


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
        raise AnswerError("answered without any choice")
    choice = _mapping(choices[0])
    message = _mapping(choice.get("message"))
    if message.get("refusal"):
        raise AnswerError(f"refused: {message['refusal']}")
    _check_ending(choice.get("finish_reason"))
    if "content" not in message:
        raise AnswerError("answered without a message's content")
    return "".join(_texts(message["content"], {"text"}))


def _responses_text(data: Mapping[str, Any]) -> str:
    output = data.get("output")
    if data.get("status") == "incomplete":
        _check_ending(_mapping(data.get("incomplete_details")).get("reason") or "length")
    if data.get("status") in {"failed", "cancelled"}:
        raise AnswerError(f"answered with status {data['status']!r}")
    if not isinstance(output, list):
        raise AnswerError("answered without an output")
    messages = [item for item in output if _mapping(item).get("type") == "message"]
    if not messages:
        raise AnswerError("answered without a message in its output")
    for item in messages:
        for part in _parts(item.get("content")):
            if part.get("type") == "refusal":
                raise AnswerError(f"refused: {part.get('refusal')}")
    return "".join(
        text for item in messages for text in _texts(item.get("content"), {"output_text", "text"})
    )


def _check_ending(reason: object) -> None:
    if reason in {"length", "max_output_tokens", "max_tokens"}:
        raise AnswerError("cut the reply off at its length limit")
    if reason == "content_filter":
        raise AnswerError("held the reply back with its content filter")


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
