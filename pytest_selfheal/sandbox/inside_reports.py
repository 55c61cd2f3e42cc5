"""Reading pytest's reports, and the records made of them. Sent as text like `inside_tests`."""

from __future__ import annotations

import os
from typing import Any

import pytest

OWN_TESTS = ("selfheal_planted", "selfheal_checks")


def lost(lines: list[dict[str, Any]]) -> list[str]:
    """The tests that failed and entered no watched function, from a run's records."""
    entered, failed = _entered_and_failed(lines)
    explained: set[str] = set()
    for line in lines:
        if line["kind"] == "imported":
            files = {nodeid.partition("::")[0] for nodeid, keys in line["entered"].items() if keys}
            explained |= files
    return [
        nodeid
        for nodeid in failed
        if not entered[nodeid] and nodeid.partition("::")[0] not in explained
    ]


def doubtful(lines: list[dict[str, Any]], bare: set[str]) -> list[str]:
    """The tests that failed on their way to no stub, where others stopped at one.

    A stub that stops a test halfway can leave things half made for those that follow.

    Args:
        lines: A run's records.
        bare: The watched functions that are stubs.
    """
    entered, failed = _entered_and_failed(lines)
    if all(bare.isdisjoint(keys) for keys in entered.values()):
        return []
    return [nodeid for nodeid in failed if entered[nodeid] and bare.isdisjoint(entered[nodeid])]


def _entered_and_failed(
    lines: list[dict[str, Any]],
) -> tuple[dict[str, set[str]], dict[str, None]]:
    """What each of the project's tests entered, and which of them failed, in order."""
    entered: dict[str, set[str]] = {}
    failed: dict[str, None] = {}
    for line in lines:
        if line["kind"] == "report" and line["id"].rpartition("::")[2] not in OWN_TESTS:
            entered.setdefault(line["id"], set()).update(line["entered"])
            if line["outcome"] == "failed":
                failed[line["id"]] = None
    return entered, failed


def entered_alone(lines: list[dict[str, Any]]) -> list[str]:
    """What a test entered in a run of its own."""
    keys: dict[str, None] = {}
    for line in lines:
        if line["kind"] in ("report", "collect"):
            keys.update(dict.fromkeys(line["entered"]))
        elif line["kind"] == "imported":
            for entered in line["entered"].values():
                keys.update(dict.fromkeys(entered))
    return list(keys)


def outcome_of(report: pytest.TestReport) -> str:
    """What a report says, in words of ours."""
    if hasattr(report, "wasxfail"):
        return "xpassed" if report.passed else "xfailed"
    # A plugin may have its own word for a failure that it wants to try again.
    return report.outcome if report.outcome in ("passed", "skipped") else "failed"


def subtest_of(report: pytest.TestReport) -> str | None:
    """What the report of a subtest is called, None for the report of a test."""
    if getattr(report, "context", None) is None:
        return None
    for name in ("_sub_test_description", "sub_test_description"):  # pytest's, and a plugin's
        describe = getattr(report, name, None)
        if describe is not None:
            return str(describe())
    return None


def is_raised_in(path: str, error: BaseException) -> bool:
    """Whether the last of the frames that an exception passed, pytest's own left out, is a file's.

    `unittest` raises what a test skips itself with, and pytest raises it anew.
    """
    seen: BaseException | None = error
    while seen is not None:
        traceback, file = seen.__traceback__, None
        while traceback is not None:
            name = traceback.tb_frame.f_code.co_filename
            if traceback.tb_frame.f_globals.get("__name__", "").partition(".")[0] not in (
                "_pytest", "pytest", "pluggy", "unittest",
            ):  # fmt: skip
                file = name
            traceback = traceback.tb_next
        if file is not None:
            return os.path.realpath(file) == os.path.realpath(path)
        seen = seen.__context__
    return False


def printed_by(report: pytest.TestReport) -> str:
    """What was captured while a test ran, under pytest's headings."""
    return "".join(
        f"\n----- {title} -----\n{content.rstrip()}"
        for title, content in report.sections
        if content.strip()
    )


def shortened(text: str, limit: int) -> str:
    """Head and tail of a text that is too long, with the cut announced."""
    if len(text) <= limit:
        return text
    half = limit // 2
    return f"{text[:half]}\n[... {len(text) - 2 * half} characters left out ...]\n{text[-half:]}"


def last_exception_name(text: str) -> str:
    """The name of the exception that a collection error's text ends with."""
    for line in reversed(text.splitlines()):
        if line.startswith("E   "):
            name = line[4:].strip().partition(":")[0]
            return name.rpartition(".")[2] if name.isprintable() and " " not in name else ""
    return ""
