"""What GitHub Actions reads: a step's outputs, and commands that annotate files."""

from __future__ import annotations

import json
import secrets
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from pytest_selfheal.ci.places import Place
from pytest_selfheal.records import HealReport
from pytest_selfheal.report._text import count, cut, one_line
from pytest_selfheal.report.summary import STATUSES

MAX_OF_A_KIND = 10
"""How many annotations of each kind GitHub shows for a step."""
_MAX_TARGETS = 500
_WIDTH = 1000
_KINDS = {
    "unhealed": "error",
    "rejected": "error",
    "skipped": "warning",
    "unreached": "warning",
    "healed": "notice",
}


def outputs(report: HealReport) -> dict[str, str]:
    """Give a step's outputs by name."""
    healed = [stub.target for stub in report.stubs if stub.status == "healed"]
    numbers = {status: sum(stub.status == status for stub in report.stubs) for status in STATUSES}
    return {
        "status": str(report.exit_status),
        **{status: str(number) for status, number in numbers.items()},
        "failed": str(len(report.still_failing)),
        "targets": json.dumps(healed[:_MAX_TARGETS]),
        "patch": report.patch or "",
    }


def as_output_file(values: Mapping[str, str]) -> str:
    """Give outputs as `GITHUB_OUTPUT` takes them: no value can end itself or begin another."""
    parts = []
    for name, value in values.items():
        delimiter = f"selfheal-{secrets.token_hex(16)}"
        parts.append(f"{name}<<{delimiter}\n{value}\n{delimiter}\n")
    return "".join(parts)


def annotated(found: Sequence[Place], mode: str) -> list[str]:
    """Give a workflow command for each stub, errors first; no more than are shown."""
    by_kind: defaultdict[str, list[Place]] = defaultdict(list)
    for place in found:
        by_kind[_KINDS[place.stub.status]].append(place)
    return [
        line
        for kind in ("error", "warning", "notice")
        for line in _of_a_kind(kind, by_kind[kind], mode)
    ]


def _of_a_kind(kind: str, found: Sequence[Place], mode: str) -> Iterator[str]:
    fit = len(found) if len(found) <= MAX_OF_A_KIND else MAX_OF_A_KIND - 1
    for place in found[:fit]:
        properties = {"file": place.path, "title": f"selfheal: {place.stub.status}"}
        if place.line is not None:
            properties["line"] = str(place.line)
        yield command(kind, _message(place, mode), properties)
    if found[fit:]:
        more = f"{count(len(found) - fit, 'more stub')} of this kind: see the job's summary"
        yield command(kind, more, {"title": "selfheal"})


def _message(place: Place, mode: str) -> str:
    stub = place.stub
    if stub.status == "healed":
        where = "is written in the patch" if mode == "propose" else "was written"
        tests = f", held by {count(len(stub.tests), 'test')}" if stub.tests else ""
        return f"{place.name} {where}, after {count(len(stub.attempts), 'attempt')}{tests}"
    if stub.status == "unreached":
        return f"{place.name} is not written: {stub.reason or 'no failing test reaches it'}"
    return f"{place.name} is not written: {stub.reason or stub.status}"


def command(kind: str, message: str, properties: Mapping[str, str]) -> str:
    """Give a workflow command; nothing in its texts can end it or begin another."""
    given = ",".join(f"{name}={_escaped(value, ':,')}" for name, value in properties.items())
    return f"::{kind} {given}::{_escaped(cut(one_line(message), _WIDTH))}"


def _escaped(text: str, more: str = "") -> str:
    for char in "%\r\n" + more:
        text = text.replace(char, f"%{ord(char):02X}")
    return text
