"""How a prompt tells of the failures before the first attempt."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from pytest_selfheal.model.printed import fold_repeated, function_of, last_error_line
from pytest_selfheal.model.quoting import Quoting
from pytest_selfheal.records import Failure, Stub

IN_FULL = 4
BY_NAME = 30
LIMIT = 4_000
"""Characters of one failure."""

_STUB_CALLED = re.compile(
    r"StubCalled: (?P<name>\S+) \([^()\n]+:\d+\) is a stub that is not written yet"
)
# The last frame of a stub whose body is that one statement.
_RAISED = re.compile(
    r"^(?P<path>\S[^\n]*):\d+: in (?P<name>\w+)\n +raise NotImplementedError(?:\(.*\))?\n"
    r"(?: *\^+\n)?E   NotImplementedError\b.*$",
    re.MULTILINE,
)


def told_failures(
    failures: Sequence[Failure], quoting: Quoting, stubs: Sequence[Stub] = ()
) -> Iterator[str]:
    """Give the failures as pytest printed them: the same text once, the first few in full.

    Of those that stopped at a stub there is nothing to show but which one. Where no target
    is written yet, cases of one test fail alike: the first of them is in full.
    """
    if not failures:
        return
    yield "## Failures"
    stopped: dict[str, list[Failure]] = {}
    same: dict[str, list[Failure]] = {}
    for failure in failures:
        name = _stopped_at(failure.longrepr, stubs)
        if name is not None:
            stopped.setdefault(name, []).append(failure)
        else:
            same.setdefault(failure.longrepr, []).append(failure)
    for name, group in stopped.items():
        yield f"### Stopped at {quoting.inline(name)}, which is not written yet:"
        yield "\n".join(_names_below(group, quoting)) + "\n"
    groups = list(same.values())
    if stubs and not any(stub.is_living for stub in stubs):
        by_function: dict[str, list[Failure]] = {}
        for group in groups:
            by_function.setdefault(function_of(group[0].nodeid), group)
        groups = list(by_function.values())
    shown = groups[:IN_FULL]
    for number, group in enumerate(shown):
        longrepr = group[0].longrepr
        if number:
            longrepr = fold_repeated(longrepr, shown[0][0].longrepr, "the first failure")
        yield f"### {_names(group, quoting)}\n{quoting.printed(longrepr, LIMIT)}"
    told = {id(each) for group in (*shown, *stopped.values()) for each in group}
    yield from _by_last_line([each for each in failures if id(each) not in told], quoting)


def _stopped_at(longrepr: str, stubs: Sequence[Stub]) -> str | None:
    """The stub whose call a failure ends with, None where it ends otherwise."""
    said = [line for line in longrepr.splitlines() if line.startswith("E  ")]
    found = _STUB_CALLED.search(said[-1]) if said else None
    if found is not None:
        return found["name"]
    raised = list(_RAISED.finditer(longrepr))
    for stub in stubs:
        if raised and not stub.is_living and said[-1].startswith("E   NotImplementedError"):
            last, name = raised[-1], stub.qualname.rpartition(".")[2]
            if last["path"].replace("\\", "/").endswith(stub.path) and last["name"] == name:
                return stub.target
    return None


def _names_below(group: Sequence[Failure], quoting: Quoting) -> list[str]:
    cases: dict[str, list[str]] = {}
    for failure in group:
        name, bracket, case = failure.nodeid.partition("[")
        where = "" if failure.phase == "call" else f" ({failure.phase})"
        cases.setdefault(name + where, []).append(bracket + case)
    lines = []
    for name, each in cases.items():
        which = each[0] if len(each) == 1 else f" ({len(each)} cases)"
        lines.append(f"- {quoting.inline(name + which)}")
    more = len(lines) - BY_NAME
    return lines if more <= 0 else [*lines[:BY_NAME], f"- and {more} more"]


def _names(group: Sequence[Failure], quoting: Quoting) -> str:
    first, *others = group
    phase = "" if first.phase == "call" else f" ({first.phase})"
    name = f"{quoting.inline(first.nodeid)}{phase}"
    if not others:
        return name
    shown = [quoting.inline(other.nodeid, 120) for other in others[:BY_NAME]]
    more = f" and {len(others) - len(shown)} more" if len(others) > len(shown) else ""
    return f"{name}\nThe same for: {', '.join(shown)}{more}"


def _by_last_line(failures: Sequence[Failure], quoting: Quoting) -> Iterator[str]:
    if not failures:
        return
    lines = ["### And also"]
    for failure in failures[:BY_NAME]:
        said = last_error_line(quoting.clean(failure.longrepr))
        lines.append(f"- {quoting.inline(failure.nodeid)}: {quoting.inline(said)}")
    if len(failures) > BY_NAME:
        lines.append(f"- and {len(failures) - BY_NAME} more")
    yield "\n".join(lines) + "\n"
