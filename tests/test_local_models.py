"""The small differences of local servers: Ollama, vLLM, llama.cpp's server, LM Studio."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from pytest_selfheal.errors import ModelUnavailable
from pytest_selfheal.model.openai_model import OpenAIModel
from pytest_selfheal.model.retrying import RetryingModel
from pytest_selfheal.records import Reply
from tests.scripted_server import Fault, ScriptedServer, chat_body

TARGET = "a.py::f"
PROMPT = f"Target: {TARGET}\n"
CODE = "def f():\n    return 1\n"
BLOCK = f"```python\n{CODE}```\n"


def ask(answer: Callable[[Mapping[str, Any]], Any], **options: Any) -> tuple[Reply, int]:
    """The reply of a server that answers a request's JSON with this, and how often it was asked."""
    server: ScriptedServer

    def script(prompt: str, targets: tuple[str, ...], number: int) -> Fault:
        body = answer(server.requests[-1].payload)
        return body if isinstance(body, Fault) else Fault(body=json.dumps(body))

    with ScriptedServer(script) as server:
        model = RetryingModel(
            OpenAIModel(name="qwen3-coder:30b", base_url=server.base_url, **options),
            first_pause_seconds=0.01,
        )
        try:
            return model.ask(PROMPT, targets=[TARGET], attempt=1), len(server.requests)
        finally:
            model.close()


def body(content: str | None, **message: Any) -> dict[str, Any]:
    data = chat_body("")
    data["choices"][0]["message"] = {"role": "assistant", "content": content, **message}
    return data


THOUGHT = "Let me see.\n```python\ndef f(): draft\n```\nNo."

REPLIES = {
    "ollama": body(f"Sure:\n{BLOCK}", reasoning=THOUGHT),
    "ollama-tags-in-the-text": body(f"<think>\n{THOUGHT}\n</think>\n\n{BLOCK}"),
    "vllm-parsed-thoughts": body(f"\n\n{BLOCK}", reasoning_content=THOUGHT, tool_calls=[]),
    "vllm-template-opened-the-tag": body(f"{THOUGHT}\n</think>\n\n{BLOCK}"),
    "vllm-thoughts-never-ended": body(None, reasoning_content=f"{THOUGHT}\n{BLOCK}"),
    "newer-vllm-thoughts-never-ended": body(None, reasoning=f"{THOUGHT}\n{BLOCK}"),
    "llama.cpp-thoughts-never-ended": body("", reasoning_content=f"{THOUGHT}\n{BLOCK}"),
    "unclosed-tag": body(f"<think>\n{THOUGHT}\n{BLOCK}"),
    "fence-named-py": body(BLOCK.replace("python", "py")),
    "fence-named-python3": body(BLOCK.replace("python", "python3")),
    "fence-without-a-name": body(BLOCK.replace("python", "")),
    "thoughts-in-brackets": body(f"[THINK]{THOUGHT}\n[/THINK]{BLOCK}"),
    "channels-nobody-took-apart": body(
        f"<|channel|>analysis<|message|>{THOUGHT}<|end|><|start|>assistant"
        f"<|channel|>final<|message|>{BLOCK}<|return|>"
    ),
    "a-template's-end-behind-the-fence": body(f"{BLOCK.rstrip()}<|im_end|>"),
    "ends-of-two-templates": body(f"{BLOCK}</s>\n<|eot_id|>\n"),
    "a-byte-order-mark": body(f"\ufeff{BLOCK}"),
    "lm-studio-without-usage": {**body(BLOCK), "usage": {}, "stats": {}},
    "llama.cpp-with-timings": {**body(BLOCK), "timings": {"prompt_n": 1}, "usage": None},
    "vllm-with-null-details": {
        **body(BLOCK),
        "usage": {"prompt_tokens": 3, "completion_tokens": 2, "prompt_tokens_details": None},
        "prompt_logprobs": None,
    },
    "content-in-parts": body([{"type": "text", "text": BLOCK}]),  # type: ignore[arg-type]
    "an-unknown-ending": {
        **body(BLOCK),
        "choices": [{**body(BLOCK)["choices"][0], "finish_reason": None}],
    },
}


@pytest.mark.parametrize("name", REPLIES)
def test_the_code_is_found(name: str) -> None:
    reply, requests = ask(lambda payload: REPLIES[name])
    assert reply.blocks == (CODE,)
    assert reply.gave_up is None
    assert requests == 1


def test_thoughts_beside_an_answer_are_none_of_it() -> None:
    reply, _ = ask(lambda payload: body("Cannot: it is late", reasoning_content=BLOCK))
    assert reply.blocks == ()
    assert reply.gave_up == "it is late"


def test_a_template_without_a_system_role_is_not_asked_for_one() -> None:
    """Gemma's refuses that role; what there is to say is the user's alone, from the first try."""

    def answer(payload: Mapping[str, Any]) -> Any:
        if any(message["role"] != "user" for message in payload["messages"]):
            return Fault(status=400, message="System role not supported")
        return body(BLOCK)

    reply, requests = ask(answer)
    assert reply.blocks == (CODE,)
    assert requests == 1


@pytest.mark.parametrize("known", ["max_tokens", "max_completion_tokens"])
def test_either_name_of_the_bound_will_do(known: str) -> None:
    """A strict server refuses the field that it does not know, in its own words."""

    def answer(payload: Mapping[str, Any]) -> Any:
        unknown = {"max_tokens", "max_completion_tokens"} - {known}
        for name in unknown & set(payload):
            return Fault(
                status=400,
                body=json.dumps({"object": "error", "message": f"Extra inputs: '{name}'"}),
            )
        return body(BLOCK)

    from pytest_selfheal.model.accounts import Caps
    from pytest_selfheal.model.budget import BudgetedModel

    server: ScriptedServer

    def script(prompt: str, targets: tuple[str, ...], number: int) -> Fault:
        said = answer(server.requests[-1].payload)
        return said if isinstance(said, Fault) else Fault(body=json.dumps(said))

    with ScriptedServer(script) as server:
        inner = OpenAIModel(name="local", base_url=server.base_url)
        model = RetryingModel(BudgetedModel(inner, Caps(tokens=100_000)), first_pause_seconds=0.01)
        reply = model.ask(PROMPT, targets=[TARGET], attempt=1)
        again = model.ask(PROMPT, targets=[TARGET], attempt=2)
        model.close()
    assert reply.blocks == again.blocks == (CODE,)
    assert known in server.requests[-1].payload
    assert len(server.requests) == (2 if known == "max_tokens" else 3)


@pytest.mark.parametrize(
    ("status", "said", "words"),
    [
        (400, {"error": {"code": 400, "message": "the request exceeds the available context size",
                         "type": "exceed_context_size_error"}}, "exceeds the available context"),
        (404, {"error": {"message": "model 'x' not found", "type": "api_error"}}, "does not know"),
        (400, {"object": "error", "message": "This model's maximum context length is 8192",
               "code": 400}, "status 400"),
        (500, {"error": {"code": 500, "message": "Failed to parse input", "type": "server_error"}},
         "Failed to parse input"),
        (200, {"error": "No models loaded"}, "No models loaded"),
    ],
    ids=["llama.cpp-context", "ollama-no-model", "vllm-context", "llama.cpp-500", "lm-studio-200"],
)  # fmt: skip
def test_their_errors_are_one_line(status: int, said: Mapping[str, Any], words: str) -> None:
    with pytest.raises(ModelUnavailable, match=words) as caught:
        ask(lambda payload: Fault(status=status, body=json.dumps(said)))
    assert "\n" not in str(caught.value)
