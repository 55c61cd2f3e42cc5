"""Reading a JSON report back, as something that anybody may have written."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, NoReturn, get_args

from pytest_selfheal.errors import UsageError
from pytest_selfheal.records import (
    Attempt,
    HealReport,
    ModelUsage,
    Status,
    StubReport,
    Verdict,
)
from pytest_selfheal.report._text import one_line
from pytest_selfheal.report.json_report import SCHEMA

MAX_BYTES = 64 * 2**20


def read_report(path: Path) -> HealReport:
    """Read what `--selfheal-report=….json` wrote; what is not needed here is left out.

    Raises:
        UsageError: It cannot be read, or is no such report; one line.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UsageError(
            f"the report {str(path)!r} cannot be read ({reason}): "
            "name one that --selfheal-report=….json wrote"
        ) from None
    if len(data) > MAX_BYTES:
        raise UsageError(f"the report {str(path)!r} is larger than {MAX_BYTES} bytes")
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"the report {str(path)!r} is no JSON: {one_line(str(error))}") from None
    return _report(_Value(value, path, "the report"))


@dataclass(frozen=True, slots=True)
class _Value:
    """A value of the report, and where in it that stands."""

    value: Any
    path: Path
    name: str

    def wrong(self, expected: str) -> NoReturn:
        shown = one_line(repr(self.value))
        shown = shown if len(shown) <= 60 else shown[:59] + "…"
        raise UsageError(f"{str(self.path)!r} is no report: {self.name} is {shown}, not {expected}")

    def __getitem__(self, key: str) -> _Value:
        if not isinstance(self.value, Mapping):
            self.wrong("an object")
        if key not in self.value:
            raise UsageError(f"{str(self.path)!r} is no report: {self.name} has no {key!r}")
        return _Value(self.value[key], self.path, key if self.is_top else f"{self.name}.{key}")

    @property
    def is_top(self) -> bool:
        return self.name == "the report"

    def get(self, key: str, default: Any) -> _Value:
        if isinstance(self.value, Mapping) and key not in self.value:
            return _Value(default, self.path, key)
        return self[key]

    def __iter__(self) -> Iterator[_Value]:
        if not isinstance(self.value, list):
            self.wrong("a list")
        for number, each in enumerate(self.value):
            yield _Value(each, self.path, f"{self.name}[{number}]")

    def text(self) -> str:
        if not isinstance(self.value, str):
            self.wrong("a text")
        return str(self.value)

    def maybe_text(self) -> str | None:
        return None if self.value is None else self.text()

    def texts(self) -> tuple[str, ...]:
        return tuple(each.text() for each in self)

    def whole(self) -> int:
        if isinstance(self.value, bool) or not isinstance(self.value, int):
            self.wrong("a whole number")
        if abs(self.value) > 10**15:
            self.wrong("a number of this size")
        return int(self.value)

    def number(self) -> float:
        if isinstance(self.value, bool) or not isinstance(self.value, int | float):
            self.wrong("a number")
        if not abs(self.value) <= 10**15 or not math.isfinite(self.value):
            self.wrong("a number of this size")
        return float(self.value)

    def one_of(self, accepted: tuple[str, ...]) -> Any:
        if not isinstance(self.value, str) or self.value not in accepted:
            self.wrong(f"one of {', '.join(accepted)}")
        return self.value


def _report(top: _Value) -> HealReport:
    if top["schema"].value != SCHEMA:
        top["schema"].wrong(f"{SCHEMA}: another version of pytest-selfheal wrote it")
    model, tests, cost = top["model"], top["tests"], top["model"].get("cost", None)
    return HealReport(
        mode=top["mode"].one_of(("apply", "propose", "review", "check")),
        exit_status=top["exit_status"].whole(),
        seconds=top["seconds"].number(),
        model=ModelUsage(
            name=model["name"].text(),
            requests=model["requests"].whole(),
            input_tokens=model["input_tokens"].whole(),
            output_tokens=model["output_tokens"].whole(),
            cost=None if cost.value is None else cost.number(),
            stored_replies=model.get("stored_replies", 0).whole(),
        ),
        backend=top["sandbox"]["backend"].maybe_text(),
        verifications=top["sandbox"]["verifications"].whole(),
        stubs=tuple(_stub(each) for each in top["stubs"]),
        healed_tests=tests["healed"].texts(),
        still_failing=tests["still_failing"].texts(),
        notes=top.get("notes", []).texts(),
        patch=top["patch"].maybe_text(),
    )


def _stub(stub: _Value) -> StubReport:
    return StubReport(
        target=_target(stub["target"]),
        status=stub["status"].one_of(get_args(Status)),
        reason=stub["reason"].maybe_text(),
        attempts=tuple(_attempt(each) for each in stub["attempts"]),
        tests=stub["tests"].texts(),
        diff=stub["diff"].text(),
    )


def _target(target: _Value) -> str:
    """A target, which must lead to no file outside the project."""
    text = target.text()
    path, _, name = text.rpartition("::")
    inside = PurePosixPath(path)
    if not path or not name or inside.is_absolute() or ".." in inside.parts or "\0" in text:
        target.wrong("path::name with a path inside the project")
    return text


def _attempt(attempt: _Value) -> Attempt:
    return Attempt(
        verdict=attempt["verdict"].one_of(get_args(Verdict)),
        why=attempt["why"].maybe_text(),
        seconds=attempt["seconds"].number(),
    )
