"""Limits around any `Model`: how fast it may be asked.

What a request will cost is not known before its reply, so it is estimated: four characters
a token for the prompt, and for the reply as much as the largest one so far.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from threading import Event, Lock
from typing import TYPE_CHECKING

from pytest_selfheal.errors import ModelUnavailable
from pytest_selfheal.model.bounds import Bound, ask_within
from pytest_selfheal.model.wanted import wait
from pytest_selfheal.protocols import Model
from pytest_selfheal.records import ModelUsage, Reply

if TYPE_CHECKING:
    from pytest_selfheal.model.shared_rate import SharedRate

_CHARACTERS_PER_TOKEN = 4
_FIRST_REPLY_TOKENS = 1_000
_LONGEST_WAIT_SECONDS = 900.0


class _Estimate:
    """Learns from the replies how much the next request will cost. Not thread-safe."""

    def __init__(self) -> None:
        self._largest_reply = 0
        self._prompt_factor = 1.0

    def prompt_tokens(self, prompt: str) -> int:
        plain = math.ceil(len(prompt) / _CHARACTERS_PER_TOKEN)
        return math.ceil(plain * self._prompt_factor)

    @property
    def reply_tokens(self) -> int | None:
        """The largest reply so far; None before the first."""
        return self._largest_reply or None

    def learn(self, prompt: str, reply: Reply) -> int:
        """Take a reply into account and give what the exchange cost."""
        plain = math.ceil(len(prompt) / _CHARACTERS_PER_TOKEN)
        # A service that counts nothing is no reason to spend without end.
        asked = reply.input_tokens or plain
        replied = reply.output_tokens or math.ceil(len(reply.text) / _CHARACTERS_PER_TOKEN)
        if plain:
            self._prompt_factor = max(self._prompt_factor, asked / plain)
        self._largest_reply = max(self._largest_reply, replied)
        return asked + replied


class RateLimitedModel:
    """Waits before a request until the rate limits let it through; a `Model`.

    The limits are shared by all processes that use the same `state_dir`.
    """

    def __init__(
        self,
        model: Model,
        rpm: int | None,
        tpm: int | None,
        state_dir: Path,
        on_wait: Callable[[float, str], None] | None = None,
    ) -> None:
        """Wrap a model; without any limit it is only passed on to.

        Args:
            model: Who answers.
            rpm: Requests a minute; None for no limit.
            tpm: Tokens a minute, of prompts and replies; None for no limit.
            state_dir: Where the processes share what was spent; made if missing.
            on_wait: Told before each wait: its seconds, and a few words on the reason.

        Raises:
            UsageError: `state_dir` cannot be used.
        """
        self.name = model.name
        self._model = model
        self._on_wait = on_wait
        self._closed = Event()
        self._lock = Lock()
        self._estimate = _Estimate()
        self._debt_tokens = 0
        self._requests: SharedRate | None = None
        self._tokens: SharedRate | None = None
        if rpm is None and tpm is None:
            return
        # The limiter's library is loaded only for those who set a limit.
        from pytest_selfheal.model.shared_rate import SharedRate

        if rpm is not None:
            self._requests = SharedRate("requests", rpm, state_dir)
        if tpm is not None:
            self._tokens = SharedRate("tokens", tpm, state_dir)

    def ask(self, prompt: str, *, targets: Sequence[str], attempt: int) -> Reply:
        """Wait for room, then pass the request on; see `ask_within`."""
        return self.ask_within(prompt, Bound(), targets=targets, attempt=attempt)

    def ask_within(
        self, prompt: str, bound: Bound, *, targets: Sequence[str], attempt: int
    ) -> Reply:
        """The same, within a bound; what is waited here is taken from its seconds.

        Raises:
            ModelUnavailable: The request alone is over the limit, or there was no room for
                a quarter of an hour or for the bound's seconds, or the model was closed
                meanwhile.
        """
        end = None if bound.seconds is None else time.monotonic() + bound.seconds
        weight = self._take_tokens(prompt, end)
        if self._requests is not None:
            self._wait_for(self._requests, 1, "--selfheal-rpm", end)
        if end is not None:
            bound = replace(bound, seconds=end - time.monotonic())
        reply = ask_within(self._model, prompt, bound, targets=targets, attempt=attempt)
        with self._lock:
            # What the estimate missed is taken from the next request's minute.
            self._debt_tokens += max(0, self._estimate.learn(prompt, reply) - weight)
        return reply

    def usage(self) -> ModelUsage:
        """What the wrapped model says."""
        return self._model.usage()

    def close(self) -> None:
        """End the waits, and close the wrapped model."""
        self._closed.set()
        for rate in (self._requests, self._tokens):
            if rate is not None:
                rate.close()
        self._model.close()

    def _take_tokens(self, prompt: str, end: float | None) -> int:
        if self._tokens is None:
            return 0
        with self._lock:
            asked = self._estimate.prompt_tokens(prompt)
            reply = self._estimate.reply_tokens or _FIRST_REPLY_TOKENS
            debt, self._debt_tokens = self._debt_tokens, 0
        limit = self._tokens.limit
        if asked > limit:
            raise ModelUnavailable(
                f"a request of about {asked:,} tokens is over the limit of {limit:,} a minute: "
                "raise --selfheal-tpm"
            )
        # More than the whole minute's room would never be let through.
        taken = min(asked + reply + debt, limit)
        self._wait_for(self._tokens, taken, "--selfheal-tpm", end)
        return max(0, taken - debt)

    def _wait_for(self, rate: SharedRate, weight: int, option: str, end: float | None) -> None:
        waited = 0.0
        while seconds := rate.take(weight):
            if end is not None and time.monotonic() + seconds >= end:
                raise ModelUnavailable(
                    "no room for another request before the budget of time ends: raise "
                    f"--selfheal-max-seconds or {option}"
                )
            if waited + seconds > _LONGEST_WAIT_SECONDS:
                raise ModelUnavailable(
                    f"no room for another request in {_LONGEST_WAIT_SECONDS:g} s: raise {option}"
                )
            if self._on_wait is not None:
                self._on_wait(seconds, f"{option}={rate.limit}")
            if wait(self._closed, seconds):
                raise ModelUnavailable("the run ended while a request waited for its turn")
            waited += seconds
