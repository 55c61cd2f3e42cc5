"""Replies that were paid for once are kept: under what was asked, for the owner alone.

A reply is stored the moment it is there. So a run that was interrupted, killed or out of
budget goes on where it stopped: the same questions are answered from here at no cost, in
order, until one comes that was never asked. What is stored is believed no more than what a
service says: each reply is read, vetted and verified as if it had just come.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from threading import Event, Lock
from typing import Any

from filelock import FileLock, Timeout

from pytest_selfheal.errors import ModelUnavailable
from pytest_selfheal.model.reply import read_reply
from pytest_selfheal.model.varying import without_order
from pytest_selfheal.model.wanted import wait
from pytest_selfheal.protocols import Model
from pytest_selfheal.records import ModelUsage, Reply

MAX_BYTES = 32 * 2**20
"""What the folder may hold; the replies that were not used for longest go first."""

_VERSION = 2
_MOST_ENTRY_BYTES = 2 * 2**20
_POLL_SECONDS = 0.2
_LONGEST_WAIT_SECONDS = 1_800.0
_LOCK_KEPT_SECONDS = 86_400.0


class StoringModel:
    """Answers what was asked before from its folder; a `Model`.

    The same question asked twice in one run wants another sample, so it is told apart by
    how often it was asked. Two processes that ask the same do it once: the second waits for
    the first one's reply.
    """

    def __init__(
        self,
        model: Model,
        folder: Path,
        settings: Mapping[str, object],
        *,
        is_fresh: bool = False,
        on_wait: Callable[[float, str], None] | None = None,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        """Wrap a model.

        Args:
            model: Who answers what is not there.
            folder: Where replies are kept; made if missing, for the owner alone.
            settings: What else makes up a question: endpoint, parameters.
            is_fresh: Nothing that is there is used; what comes takes its place.
            on_wait: Told when another process is asking the same.
            max_bytes: What the folder may hold.
        """
        self.name = model.name
        self._model = model
        self._folder = folder
        self._settings = dict(settings)
        self._is_fresh = is_fresh
        self._on_wait = on_wait
        self._max_bytes = max_bytes
        self._begun = time.time()
        self._lock = Lock()
        self._closed = Event()
        self._times: dict[str, int] = {}
        self._stored = 0
        # Without a folder there is nothing to gain, and nothing lost but money.
        with suppress(OSError):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def ask(self, prompt: str, *, targets: Sequence[str], attempt: int) -> Reply:
        """Give the stored reply, else ask and store.

        Raises:
            ModelUnavailable: As the wrapped model says, or the run ended while it waited.
        """
        key = self._key(prompt, attempt)
        found = self._read(key)
        if found is not None:
            return found
        lock = self._taken(key)
        try:
            found = self._read(key)  # another process may have been faster
            if found is not None:
                return found
            reply = self._model.ask(prompt, targets=targets, attempt=attempt)
            self._write(key, reply)
            return reply
        finally:
            if lock is not None:
                lock.release()

    def usage(self) -> ModelUsage:
        """What the wrapped model says, and how many replies were there already."""
        with self._lock:
            return replace(self._model.usage(), stored_replies=self._stored)

    def close(self) -> None:
        """End the waits, and close the wrapped model."""
        self._closed.set()
        self._model.close()

    # --- what a reply is kept under ------------------------------------------------------

    def _key(self, prompt: str, attempt: int) -> str:
        # Samples that are asked for at once have one text, and a number each.
        asked = json.dumps(
            [_VERSION, self.name, self._settings, without_order(prompt), attempt],
            sort_keys=True,
        )
        question = hashlib.sha256(asked.encode()).hexdigest()
        with self._lock:
            number = self._times.get(question, 0)
            self._times[question] = number + 1
        return hashlib.sha256(f"{question} {number}".encode()).hexdigest()

    def _taken(self, key: str) -> FileLock | None:
        """The lock of a question, None where there is no folder for one."""
        lock = FileLock(self._folder / f"{key}.lock", mode=0o600)
        waited = 0.0
        while True:
            try:
                lock.acquire(timeout=_POLL_SECONDS if waited else 0)
                return lock
            except Timeout:
                if not waited and self._on_wait is not None:
                    self._on_wait(0.0, "another process asks the same")
            except (OSError, NotImplementedError):
                return None
            if wait(self._closed, _POLL_SECONDS):
                raise ModelUnavailable("the run ended while another process asked the same")
            waited += 2 * _POLL_SECONDS
            if waited > _LONGEST_WAIT_SECONDS:
                return None

    # --- files -----------------------------------------------------------------------------

    def _read(self, key: str) -> Reply | None:
        path = self._folder / f"{key}.json"
        try:
            with path.open("rb") as file:
                if self._is_fresh and os.fstat(file.fileno()).st_mtime < self._begun:
                    return None
                data = json.loads(file.read(_MOST_ENTRY_BYTES))
            reply = _reply(data, key)
            os.utime(path)  # it was of use: others go first
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return None  # what cannot be read was never asked
        with self._lock:
            self._stored += 1
        return reply

    def _write(self, key: str, reply: Reply) -> None:
        line = json.dumps(
            {
                "selfheal_reply": _VERSION,
                "key": key,
                "text": reply.text,
                "input_tokens": reply.input_tokens,
                "output_tokens": reply.output_tokens,
            }
        ).encode()
        path = self._folder / f"{key}.json"
        temporary = self._folder / f".{key}"  # its lock is held; one that was left is used
        with suppress(OSError):
            try:
                descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
                with os.fdopen(descriptor, "wb") as file:
                    file.write(line)
                temporary.replace(path)
            except OSError:  # no room, most likely
                temporary.unlink(missing_ok=True)
                raise
            with self._lock:
                self._make_room()

    def _make_room(self) -> None:
        entries = []
        for entry in os.scandir(self._folder):
            with suppress(OSError):
                status = entry.stat(follow_symlinks=False)
                if entry.name.endswith(".json"):
                    entries.append((status.st_mtime, status.st_size, entry.path))
                elif status.st_mtime < time.time() - _LOCK_KEPT_SECONDS:
                    Path(entry.path).unlink()
        size = sum(each[1] for each in entries)
        for _, each_size, path in sorted(entries):
            if size <= self._max_bytes:
                return
            with suppress(OSError):
                Path(path).unlink()
            size -= each_size


def _reply(data: Any, key: str) -> Reply:
    if data["selfheal_reply"] != _VERSION or data["key"] != key:
        raise ValueError("another version, or another question")
    if not isinstance(data["text"], str):
        raise TypeError("no text")
    counts = [data["input_tokens"], data["output_tokens"]]
    if not all(type(each) is int and each >= 0 for each in counts):
        raise TypeError("no numbers")
    return replace(read_reply(data["text"], *counts), is_stored=True)
