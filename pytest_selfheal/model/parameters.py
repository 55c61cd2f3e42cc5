"""The parameters of a request that a model may refuse, and which it did.

None is sent that nobody asked for. One that a model refuses is left out from then on, in
this run and, by a file beside the limits, in later ones.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import Any

from pytest_selfheal.model.wire import Api
from pytest_selfheal.temporary import temporary_beside

# What a parameter may be called in a service's answer, and by which name it is kept.
_NAMES: Mapping[str, tuple[str, ...]] = {
    "temperature": ("temperature",),
    "reasoning_effort": ("reasoning_effort", "reasoning.effort", "reasoning"),
    "max_completion_tokens": ("max_completion_tokens",),
    "max_output_tokens": ("max_output_tokens",),
    "max_tokens": ("max_tokens",),
    "prompt_cache_key": ("prompt_cache_key",),
    "store": ("store",),
}
_MOST_KEPT_BYTES = 10_000


class Parameters:
    """What one model at one endpoint takes. Safe to use from several threads."""

    def __init__(
        self,
        api: Api,
        *,
        temperature: float | None = None,
        reasoning_effort: str | None = None,
        is_openai: bool = False,
    ) -> None:
        """Note what the user wants.

        Args:
            api: Which API they are for.
            temperature: None for the service's own.
            reasoning_effort: None for the service's own.
            is_openai: The service is OpenAI's own, with what only that one has.
        """
        self._api = api
        self._temperature = temperature
        self._reasoning_effort = reasoning_effort
        self._is_openai = is_openai
        self._memory: Path | None = None
        self._lock = Lock()
        self._refused: set[str] = set()

    def remember_in(self, file: Path) -> None:
        """Leave out what this file names, and add to it what is refused from now on."""
        with self._lock:
            self._memory = file
            self._refused |= _remembered(file)

    @property
    def refused(self) -> frozenset[str]:
        """The names of those that the model refused."""
        with self._lock:
            return frozenset(self._refused)

    def of(self, targets: Sequence[str], reply_tokens: int | None) -> dict[str, Any]:
        """Give the keyword arguments for a request, beside the model and the prompt."""
        given: dict[str, Any] = {"temperature": self._temperature}
        is_responses = self._api == "responses"
        refused = self.refused
        if is_responses:
            # The service keeps a request for a month unless told not to.
            given["store"] = False
        given["reasoning_effort"] = self._reasoning_effort
        if self._is_openai:
            # Retries go where the same beginning was read before.
            told = hashlib.sha256("\n".join(targets).encode("utf-8", "replace")).hexdigest()
            given["prompt_cache_key"] = f"selfheal-{told[:24]}"
        name = next((x for x in self._bound_names() if x not in refused), None)
        if name is not None:
            given[name] = reply_tokens
        kept = {k: v for k, v in given.items() if v is not None and k not in refused}
        if is_responses and "reasoning_effort" in kept:
            kept["reasoning"] = {"effort": kept.pop("reasoning_effort")}
        return kept

    def _bound_names(self) -> tuple[str, ...]:
        if self._api == "responses":
            return ("max_output_tokens",)
        # Local servers know the older name; OpenAI's reasoning models refuse it.
        names = ("max_completion_tokens", "max_tokens")
        return names if self._is_openai else names[::-1]

    def refuse(self, sent: Mapping[str, Any], status: int, body: object) -> str | None:
        """Leave out a parameter that the service refuses from now on.

        Args:
            sent: What was sent with the request.
            status: The answer's status.
            body: The answer's error, as JSON.

        Returns:
            The parameter's name, None where the answer names none that was sent.
        """
        if status not in (400, 422):
            return None
        candidates = [k for k in _NAMES if k in sent or (k == "reasoning_effort" in _keys(sent))]
        name = _named(body, candidates)
        if name is None:
            return None
        with self._lock:
            self._refused.add(name)
            _remember(self._memory, self._refused)
        return name


def _keys(sent: Mapping[str, Any]) -> set[str]:
    return {"reasoning_effort" if name == "reasoning" else name for name in sent}


def _named(body: object, candidates: Sequence[str]) -> str | None:
    if isinstance(body, Mapping):
        named = body.get("param")
        for name in candidates:
            if isinstance(named, str) and named in _NAMES[name]:
                return name
    words = json.dumps(body) if not isinstance(body, str) else body
    for name in candidates:
        # "Use 'max_completion_tokens' instead" names one that is wanted: the first counts.
        if name == _first_named(words, candidates):
            return name
    return None


def _first_named(words: str, candidates: Sequence[str]) -> str | None:
    found = [
        (match.start(), name)
        for name in candidates
        for alias in _NAMES[name]
        if (match := re.search(rf"(?<![\w.]){re.escape(alias)}(?!\w)", words)) is not None
    ]
    return min(found)[1] if found else None


def memory_file(folder: Path, endpoint: str, model: str, api: Api) -> Path:
    """Where what a model refuses is remembered."""
    key = hashlib.sha256("\0".join((endpoint, model, api)).encode("utf-8", "replace")).hexdigest()
    return folder / f"refused-{key[:24]}.json"


def _remembered(path: Path) -> set[str]:
    # What cannot be read is learnt again, at the cost of a request.
    with suppress(OSError, ValueError, RecursionError):
        with path.open("rb") as file:
            data = json.loads(file.read(_MOST_KEPT_BYTES))
        if isinstance(data, list):
            return {name for name in data if isinstance(name, str) and name in _NAMES}
    return set()


def _remember(path: Path | None, names: set[str]) -> None:
    if path is None:
        return
    with suppress(OSError):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        temporary = temporary_beside(path)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            json.dump(sorted(names), file)
        temporary.replace(path)
