"""A real HTTP server that speaks both APIs of a model's service and answers from a script.

    with ScriptedServer({"src/a.py::f": ["first reply", "second reply"]}) as server:
        model = OpenAIModel(name="scripted", base_url=server.base_url, api="chat")

It finds what is asked for by the `Target: ` lines of the request's text, as any server
written against the wire format would.
"""

from __future__ import annotations

import json
import math
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Lock, Thread
from types import TracebackType
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Fault:
    """An answer that is no reply, or one that is broken on the way."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str | bytes | None = None
    """Sent as it is; None for the API's own shape of an error with `message` and `code`."""
    message: str = "scripted fault"
    code: str | None = None
    content_type: str = "application/json"
    close_after_bytes: int | None = None
    """Close the connection after that much of the body, whose whole length was announced."""
    drop: bool = False
    """Close the connection without any answer."""
    hang_seconds: float = 0.0
    """Wait so long before answering; ends early when the server is closed."""

    def payload(self) -> bytes:
        """The bytes of the body."""
        if self.body is None:
            error = {"message": self.message, "type": "scripted", "code": self.code}
            return json.dumps({"error": error}).encode()
        return self.body if isinstance(self.body, bytes) else self.body.encode()


@dataclass(frozen=True, kw_only=True)
class ServedRequest:
    """What the server saw of one request; the key's value is not kept."""

    api: str
    path: str
    model: str
    prompt: str
    targets: tuple[str, ...]
    headers: Mapping[str, str]
    has_key: bool
    payload: Mapping[str, Any]


Answer = str | Fault
Script = Mapping[str, Sequence[Answer]] | Callable[[str, tuple[str, ...], int], Answer]


def targets_of(prompt: str) -> tuple[str, ...]:
    """The targets that a prompt asks for, in its order."""
    start = "Target: "
    lines = [line for line in prompt.splitlines() if line.startswith(start)]
    return tuple(dict.fromkeys(line.removeprefix(start) for line in lines))


class ScriptedServer:
    """Listens on a free port of 127.0.0.1 from `__enter__` to `__exit__`.

    Args:
        replies: The answers to the first, second, … request for each target (the last one
            repeats); or a function of the prompt, the targets and the number of the
            request for just these targets, from 1. A request for several targets is
            answered with the replies of all, one after another.
        latency_seconds: How long each answer takes at least.
        tokens_per_second: How fast replies are "written" beyond that; None for at once.
    """

    def __init__(
        self,
        replies: Script,
        latency_seconds: float = 0.0,
        tokens_per_second: float | None = None,
    ) -> None:
        self.requests: list[ServedRequest] = []
        self.max_concurrency = 0
        self._replies = replies
        self._latency_seconds = latency_seconds
        self._tokens_per_second = tokens_per_second
        self._concurrency = 0
        self._counts: dict[tuple[str, ...], int] = {}
        self._lock = Lock()
        self._stopped = Event()
        self._http: _Server | None = None
        self._thread: Thread | None = None

    def __enter__(self) -> ScriptedServer:
        self._http = _Server(("127.0.0.1", 0), self)
        self._thread = Thread(target=self._http.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._http is not None
        assert self._thread is not None
        self._stopped.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    @property
    def base_url(self) -> str:
        """What to give as the endpoint's base URL."""
        assert self._http is not None
        return f"http://127.0.0.1:{self._http.server_address[1]}/v1"

    # --- called by the handler ---------------------------------------------------------

    def answer(self, request: ServedRequest) -> Answer:
        """Note the request, take the time that it is to take, and give its answer."""
        with self._lock:
            self.requests.append(request)
            self._concurrency += 1
            self.max_concurrency = max(self.max_concurrency, self._concurrency)
        try:
            answer = self._scripted(request)
            seconds = self._latency_seconds
            if isinstance(answer, Fault):
                seconds += answer.hang_seconds
            elif self._tokens_per_second:
                seconds += tokens(answer) / self._tokens_per_second
            if seconds:
                self._stopped.wait(seconds)
            return answer
        finally:
            with self._lock:
                self._concurrency -= 1

    def _scripted(self, request: ServedRequest) -> Answer:
        if callable(self._replies):
            number = self._next_number(request.targets)
            return self._replies(request.prompt, request.targets, number)
        answers = [self._next_of(target) for target in request.targets]
        for answer in answers:
            if isinstance(answer, Fault):
                return answer
        if not answers:
            return Fault(status=400, message="the request has no 'Target: ' line")
        return "\n\n".join(answer for answer in answers if isinstance(answer, str))

    def _next_of(self, target: str) -> Answer:
        assert isinstance(self._replies, Mapping)
        replies = self._replies.get(target)
        if not replies:
            return Fault(status=400, message=f"no reply is scripted for {target!r}")
        return replies[min(self._next_number((target,)), len(replies)) - 1]

    def _next_number(self, key: tuple[str, ...]) -> int:
        with self._lock:
            self._counts[key] = self._counts.get(key, 0) + 1
            return self._counts[key]


def tokens(text: str) -> int:
    """How many tokens the server says that a text has."""
    return math.ceil(len(text) / 4)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], script: ScriptedServer) -> None:
        super().__init__(address, _Handler)
        self.script = script

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away is nothing to print a traceback about."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    # An answer is sent as two writes; waiting to join them costs 40 ms on each.
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        data = json.loads(self.rfile.read(int(self.headers.get("Content-Length", "0"))))
        api = {"/v1/chat/completions": "chat", "/v1/responses": "responses"}.get(self.path)
        if api is None:
            self._send(Fault(status=404, message=f"no route {self.path}"))
            return
        prompt = _chat_prompt(data) if api == "chat" else _responses_prompt(data)
        headers = {k.lower(): v for k, v in self.headers.items() if k.lower() != "authorization"}
        request = ServedRequest(
            api=api,
            path=self.path,
            model=data.get("model", ""),
            prompt=prompt,
            targets=targets_of(prompt),
            headers=headers,
            has_key="authorization" in self.headers,
            payload=data,
        )
        answer = self.server.script.answer(request)
        if isinstance(answer, str):
            shape = chat_body if api == "chat" else responses_body
            answer = Fault(body=json.dumps(shape(answer, prompt, request.model)))
        self._send(answer)

    def _send(self, answer: Fault) -> None:
        if answer.drop:
            self._cut()
            return
        payload = answer.payload()
        self.send_response(answer.status)
        headers = {"Content-Type": answer.content_type, **answer.headers}
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload[: answer.close_after_bytes])
        if answer.close_after_bytes is not None:
            self._cut()

    def _cut(self) -> None:
        self.close_connection = True
        self.wfile.flush()
        self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, format: str, *args: object) -> None:
        """Stay silent."""


def _chat_prompt(data: Mapping[str, Any]) -> str:
    return "\n".join(_text(message.get("content")) for message in data.get("messages", ()))


def _responses_prompt(data: Mapping[str, Any]) -> str:
    given = data.get("input", "")
    texts = [given] if isinstance(given, str) else [_text(x.get("content")) for x in given]
    return "\n".join([data.get("instructions") or "", *texts])


def _text(content: object) -> str:
    if isinstance(content, list):
        return "\n".join(str(part.get("text", "")) for part in content)
    return str(content or "")


def chat_body(reply: str, prompt: str = "", model: str = "scripted") -> dict[str, Any]:
    """The Chat Completions API's answer with this reply."""
    asked, replied = tokens(prompt), tokens(reply)
    message = {"role": "assistant", "content": reply, "refusal": None}
    return {
        "id": "chatcmpl-scripted",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": model,
        "choices": [{"index": 0, "finish_reason": "stop", "logprobs": None, "message": message}],
        "usage": {
            "prompt_tokens": asked,
            "completion_tokens": replied,
            "total_tokens": asked + replied,
        },
    }


def responses_body(reply: str, prompt: str = "", model: str = "scripted") -> dict[str, Any]:
    """The Responses API's answer with this reply."""
    asked, replied = tokens(prompt), tokens(reply)
    part = {"type": "output_text", "text": reply, "annotations": [], "logprobs": []}
    message = {
        "id": "msg_scripted",
        "type": "message",
        "role": "assistant",
        "status": "completed",
        "content": [part],
    }
    return {
        "id": "resp_scripted",
        "object": "response",
        "created_at": int(time.time()),
        "status": "completed",
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "metadata": {},
        "model": model,
        "output": [{"id": "rs_scripted", "type": "reasoning", "summary": []}, message],
        "parallel_tool_calls": True,
        "temperature": None,
        "tool_choice": "auto",
        "tools": [],
        "top_p": None,
        "usage": {
            "input_tokens": asked,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": replied,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": asked + replied,
        },
    }
