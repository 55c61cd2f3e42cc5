"""Recordings of exchanges with a model: JSON lines, a header first.

    {"selfheal_recording": 1, "model": "..."}
    {"targets": ["..."], "attempt": 1, "prompt": "...", "reply": "...",
     "input_tokens": 1, "output_tokens": 1, "model": "..."}

An exchange names its model where that is another one than the header's.


A replay matches on targets and attempt and not on the prompt, so that a changed wording
does not void a recording.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from threading import Lock
from typing import Any

from pytest_selfheal.errors import ModelUnavailable, UsageError
from pytest_selfheal.model.reply import read_reply
from pytest_selfheal.protocols import Model
from pytest_selfheal.records import ModelUsage, Reply

VERSION = 1
_HEADER = "selfheal_recording"


# --- recording -------------------------------------------------------------------------


class _Lines:
    """A recording that is being written, by whichever models."""

    def __init__(self, path: Path, name: str) -> None:
        self.path = path
        self.name = name
        self._lock = Lock()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file: int | None = _open_private(path)
            self.append({_HEADER: VERSION, "model": name})
        except OSError as error:
            raise UsageError(
                f"the recording {str(path)!r} cannot be written ({error.strerror}): "
                "give another path to --selfheal-record"
            ) from None

    def append(self, line: Mapping[str, object]) -> None:
        # ASCII, so that no line separator or lone surrogate of a prompt can break a line.
        data = memoryview(json.dumps(line).encode("ascii") + b"\n")
        with self._lock:
            while data and self._file is not None:
                data = data[os.write(self._file, data) :]

    def close(self) -> None:
        with self._lock:
            if self._file is not None:
                os.close(self._file)
                self._file = None


class RecordingModel:
    """Passes everything on to another `Model` and writes the exchanges down."""

    def __init__(self, model: Model, path: Path, *, beside: RecordingModel | None = None) -> None:
        """Start a new recording: what the file held before is gone.

        Args:
            model: Who answers.
            path: The file; missing folders are made. Only its owner may read it.
            beside: Whose recording goes on, instead of a new one; it has the same path.

        Raises:
            UsageError: The file cannot be written.
        """
        self.name = model.name
        self._model = model
        self._lines: _Lines = beside._lines if beside else _Lines(path, model.name)

    def ask(self, prompt: str, *, targets: Sequence[str], attempt: int) -> Reply:
        """Ask the other model and append the exchange; one that failed leaves no line."""
        reply = self._model.ask(prompt, targets=targets, attempt=attempt)
        line = {
            "targets": sorted(targets),
            "attempt": attempt,
            "prompt": prompt,
            "reply": reply.text,
            "input_tokens": reply.input_tokens,
            "output_tokens": reply.output_tokens,
        }
        if self.name != self._lines.name:
            line["model"] = self.name
        try:
            self._lines.append(line)
        except OSError as error:
            raise ModelUnavailable(
                f"the recording {str(self._lines.path)!r} cannot be written any more "
                f"({error.strerror}): make room, or leave --selfheal-record out",
                fatal=True,
            ) from None
        return reply

    def usage(self) -> ModelUsage:
        """What the other model says."""
        return self._model.usage()

    def close(self) -> None:
        """Close the file and the other model."""
        self._lines.close()
        self._model.close()


def _open_private(path: Path) -> int:
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND
    descriptor = os.open(path, flags, 0o600)
    if hasattr(os, "fchmod") and stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.fchmod(descriptor, 0o600)  # it may be an older file
    return descriptor


# --- replaying -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class _Exchange:
    targets: frozenset[str]
    attempt: int
    reply: Reply


class ReplayModel:
    """Answers from a recording; a `Model`. Calls nobody."""

    def __init__(self, path: Path) -> None:
        """Read and check the whole recording.

        Raises:
            UsageError: It is missing, no recording, cut off, or of another version.
        """
        self._path = path
        self.name, exchanges = _read(path)
        self._replies = {(x.targets, x.attempt): x.reply for x in exchanges}
        self._lock = Lock()
        self._usage = ModelUsage(name=self.name)

    @classmethod
    def load(cls, path: Path) -> ReplayModel:
        """The same as calling the class, by the name of what it does."""
        return cls(path)

    def problem_for(self, root: Path) -> str | None:
        """Say in one line that none of the recorded targets' files exists below `root`."""
        paths = sorted({x.partition("::")[0] for targets, _ in self._replies for x in targets})
        if not paths or any(_exists_below(root, path) for path in paths):
            return None
        return (
            f"the recording {str(self._path)!r} is of another project: none of its files "
            f"({_some(paths)}) exists in {str(root)!r}; make one here with --selfheal-record"
        )

    def ask(self, prompt: str, *, targets: Sequence[str], attempt: int) -> Reply:
        """Give the recorded reply for these targets at this attempt.

        A group that was not recorded as such is answered with the replies of its parts; a
        target that was only recorded in a group, with the group's reply.

        Raises:
            ModelUnavailable: There is none.
        """
        whole = self._covering(frozenset(targets), attempt)
        replies = [whole] if whole else [self._for_one(x, attempt) for x in targets]
        reply = _joined(list({id(x): x for x in replies}.values()))
        with self._lock:
            self._usage = ModelUsage(
                name=self.name,
                requests=self._usage.requests + 1,
                input_tokens=self._usage.input_tokens + reply.input_tokens,
                output_tokens=self._usage.output_tokens + reply.output_tokens,
            )
        return reply

    def usage(self) -> ModelUsage:
        """What was answered so far, with the tokens that were recorded."""
        with self._lock:
            return self._usage

    def close(self) -> None:
        """Nothing is held open."""

    def _covering(self, targets: frozenset[str], attempt: int) -> Reply | None:
        """The reply recorded for these targets, else for the smallest group that holds them."""
        exact = self._replies.get((targets, attempt))
        if exact:
            return exact
        larger = [key for key in self._replies if key[1] == attempt and targets < key[0]]
        if not larger:
            return None
        return self._replies[min(larger, key=lambda key: (len(key[0]), sorted(key[0])))]

    def _for_one(self, target: str, attempt: int) -> Reply:
        reply = self._covering(frozenset({target}), attempt)
        if reply is not None:
            return reply
        attempts = [n for targets, n in self._replies if target in targets]
        known = f"it ends at attempt {max(attempts)}" if attempts else "that target is not in it"
        raise ModelUnavailable(
            f"the recording {str(self._path)!r} holds no reply for {target!r} at attempt "
            f"{attempt} ({known}): record again with --selfheal-record"
        )


def _joined(replies: list[Reply]) -> Reply:
    if len(replies) == 1:
        return replies[0]
    blocks = tuple(block for reply in replies for block in reply.blocks)
    models = dict.fromkeys(reply.model for reply in replies)
    reasons = [reply.gave_up for reply in replies if reply.gave_up]
    return Reply(
        text="\n\n".join(reply.text for reply in replies),
        # Not read again from the text: a fence left open would swallow the next reply.
        blocks=blocks,
        checks=tuple(check for reply in replies for check in reply.checks),
        gave_up="; ".join(reasons) if reasons and not blocks else None,
        input_tokens=sum(reply.input_tokens for reply in replies),
        output_tokens=sum(reply.output_tokens for reply in replies),
        model=next(iter(models)) if len(models) == 1 else "",
    )


def _exists_below(root: Path, path: str) -> bool:
    pure = PurePosixPath(path)
    if pure.is_absolute() or ".." in pure.parts or "\0" in path:
        return False
    return root.joinpath(*pure.parts).is_file()


def _some(paths: list[str]) -> str:
    return ", ".join(map(repr, paths[:3])) + (", ..." if len(paths) > 3 else "")


# --- reading ---------------------------------------------------------------------------


def _read(path: Path) -> tuple[str, list[_Exchange]]:
    """The recorded model's name and the exchanges, in order."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise UsageError(
            f"the recording {str(path)!r} cannot be read ({error.strerror}): "
            "check --selfheal-replay"
        ) from None
    except UnicodeDecodeError:
        raise _no_recording(path, 1, "it is not text") from None
    lines = [(n, line) for n, line in enumerate(text.split("\n"), start=1) if line.strip()]
    if not lines:
        raise _no_recording(path, 1, "it is empty")
    number, first = lines[0]
    name = _model_name(path, number, first)
    last = lines[-1][0]
    return name, [_exchange(path, n, line, is_last=n == last) for n, line in lines[1:]]


def _model_name(path: Path, number: int, line: str) -> str:
    try:
        header = json.loads(line)
    except (ValueError, RecursionError):
        header = None
    if not isinstance(header, dict) or _HEADER not in header:
        raise _no_recording(path, number, f"its first line has no {_HEADER!r}")
    version = header[_HEADER]
    if version != VERSION or isinstance(version, bool):
        raise _no_recording(
            path, number, f"its version is {version!r}, this program reads {VERSION}"
        )
    name = header.get("model", "")
    if not isinstance(name, str):
        raise _no_recording(path, number, f"its 'model' is {name!r}, not a string")
    return name


def _exchange(path: Path, number: int, line: str, *, is_last: bool) -> _Exchange:
    try:
        data = json.loads(line)
    except (ValueError, RecursionError):
        what = "it is cut off" if is_last else "that line is no JSON"
        raise _no_recording(path, number, what) from None
    problem = _exchange_problem(data)
    if problem:
        raise _no_recording(path, number, problem)
    reply = read_reply(data["reply"], data.get("input_tokens") or 0, data.get("output_tokens") or 0)
    return _Exchange(
        targets=frozenset(data["targets"]),
        attempt=data["attempt"],
        reply=replace(reply, model=data.get("model") or ""),
    )


def _exchange_problem(data: Any) -> str | None:
    if not isinstance(data, dict):
        return "that line is no JSON object"
    targets = data.get("targets")
    if not isinstance(targets, list) or not targets or not all(isinstance(x, str) for x in targets):
        return "its 'targets' is no list of strings"
    if not _is_count(data.get("attempt")) or not data["attempt"]:
        return "its 'attempt' is no number from 1"
    if not isinstance(data.get("reply"), str):
        return "its 'reply' is no string"
    if not isinstance(data.get("model") or "", str):
        return "its 'model' is no string"
    for name in ("input_tokens", "output_tokens"):
        if data.get(name) is not None and not _is_count(data[name]):
            return f"its {name!r} is no number"
    return None


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _no_recording(path: Path, line: int, what: str) -> UsageError:
    return UsageError(
        f"the recording {str(path)!r} cannot be used, line {line}: {what}; "
        "record again with --selfheal-record"
    )
