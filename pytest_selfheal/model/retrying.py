"""Tries again where a service may recover: after a pause that grows, or that it asks for.

Stands around the limits, so that each try is checked against the budgets and the rates. A
pause holds for all threads where the service limits the rate: who asks meanwhile would be
turned away too.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from threading import Event, Lock

from pytest_selfheal.errors import ModelUnavailable
from pytest_selfheal.model.wanted import wait
from pytest_selfheal.protocols import Model
from pytest_selfheal.records import ModelUsage, Reply

TRIES = 5
LONGEST_PAUSE_SECONDS = 300.0
"""A service that asks for a longer one is not waited for."""

_FIRST_PAUSE_SECONDS = 0.5
_LONGEST_OWN_PAUSE_SECONDS = 16.0
_MOST_ADJUSTMENTS = 8


class RetryingModel:
    """Sends a request again that may fare better; a `Model`."""

    def __init__(
        self,
        model: Model,
        *,
        tries: int = TRIES,
        on_wait: Callable[[float, str], None] | None = None,
        first_pause_seconds: float = _FIRST_PAUSE_SECONDS,
    ) -> None:
        """Wrap a model.

        Args:
            model: Who answers.
            tries: How often a request is sent at most.
            on_wait: Told before each pause: its seconds, and a few words on the reason.
            first_pause_seconds: The first pause; each further one is twice as long.
        """
        self.name = model.name
        self._model = model
        self._tries = tries
        self._on_wait = on_wait
        self._first_pause_seconds = first_pause_seconds
        self._closed = Event()
        self._lock = Lock()
        self._not_before = 0.0

    def ask(self, prompt: str, *, targets: Sequence[str], attempt: int) -> Reply:
        """Give the reply of the first try that brings one.

        Raises:
            ModelUnavailable: None did, or another would not either.
        """
        tries = adjustments = 0
        tried_seconds = 0.0
        while True:
            self._wait_for_all()
            begun = time.monotonic()
            try:
                return self._model.ask(prompt, targets=targets, attempt=attempt)
            except ModelUnavailable as error:
                if error.fatal or error.retry_after is None:
                    raise
                if error.is_adjusted and adjustments < _MOST_ADJUSTMENTS:
                    adjustments += 1
                    continue
                tries += 1
                tried_seconds += time.monotonic() - begun
                is_hopeless = max(tried_seconds, error.retry_after) > LONGEST_PAUSE_SECONDS
                if tries >= self._tries or is_hopeless:
                    raise _given_up(error, tries) from None
                self._pause(tries, error)

    def usage(self) -> ModelUsage:
        """What the wrapped model says."""
        return self._model.usage()

    def close(self) -> None:
        """End the pauses, and close the wrapped model."""
        self._closed.set()
        self._model.close()

    def _pause(self, tries: int, error: ModelUnavailable) -> None:
        asked_for = error.retry_after or 0.0
        own = min(self._first_pause_seconds * 2 ** (tries - 1), _LONGEST_OWN_PAUSE_SECONDS)
        # Spread, so that threads that failed together do not come back together.
        spread = own * random.uniform(0.5, 1.0)  # noqa: S311 - no secret
        seconds = asked_for + spread / 4 if asked_for else spread
        if asked_for:
            with self._lock:
                self._not_before = max(self._not_before, time.monotonic() + asked_for)
        self._tell(seconds, str(error))
        self._sleep(seconds)

    def _wait_for_all(self) -> None:
        while True:
            with self._lock:
                seconds = self._not_before - time.monotonic()
            if seconds <= 0:
                return
            self._tell(seconds, "the service asked to be left alone for a while")
            self._sleep(seconds + random.uniform(0.0, 0.1))  # noqa: S311 - no secret

    def _tell(self, seconds: float, why: str) -> None:
        if self._on_wait is not None:
            self._on_wait(seconds, why)

    def _sleep(self, seconds: float) -> None:
        if wait(self._closed, seconds):
            raise ModelUnavailable("the run ended while a request waited to be sent again")


def _given_up(error: ModelUnavailable, tries: int) -> ModelUnavailable:
    words = str(error)
    if error.retry_after is not None and error.retry_after > LONGEST_PAUSE_SECONDS:
        words += f" (it asks for {error.retry_after:,.0f} s)"
    elif tries > 1:
        words += f" (tried {tries} times)"
    return ModelUnavailable(words)
