"""The JSON report, schema 1: for machines, and stable."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pytest_selfheal.records import Attempt, HealReport, ModelUsage, StubReport
from pytest_selfheal.report._files import write_whole
from pytest_selfheal.report._text import maybe_line, one_line, visible

SCHEMA = 1


def as_json(report: HealReport) -> dict[str, Any]:
    """Give the report as the values that `json` can write.

    Reasons and remarks are one line each; diffs hold no control characters. Seconds are
    rounded to milliseconds.
    """
    model = report.model
    return {
        "schema": SCHEMA,
        "mode": report.mode,
        "exit_status": int(report.exit_status),
        "seconds": round(report.seconds, 3),
        "model": {**_model(model), "models": [_model(each) for each in model.models]},
        "sandbox": {"backend": report.backend, "verifications": report.verifications},
        "stubs": [_stub(stub) for stub in report.stubs],
        "tests": {
            "healed": list(report.healed_tests),
            "still_failing": list(report.still_failing),
            "sandbox_only": list(report.sandbox_only_failures),
        },
        "patch": report.patch,
        "warnings": [
            {"path": warning.path, "line": warning.line, "message": one_line(warning.message)}
            for warning in report.warnings
        ],
        "notes": [one_line(note) for note in report.notes],
        "planning_seconds": round(report.planning_seconds, 3),
    }


def _model(model: ModelUsage) -> dict[str, Any]:
    return {
        "name": model.name,
        "requests": model.requests,
        "input_tokens": model.input_tokens,
        "output_tokens": model.output_tokens,
        "cached_tokens": model.cached_tokens,
        "reasoning_tokens": model.reasoning_tokens,
        "cost": None if model.cost is None else round(model.cost, 9),
        "uncounted_requests": model.uncounted_requests,
        "stored_replies": model.stored_replies,
    }


def _stub(stub: StubReport) -> dict[str, Any]:
    return {
        "target": stub.target,
        "status": stub.status,
        "reason": maybe_line(stub.reason),
        "attempts": [_attempt(attempt) for attempt in stub.attempts],
        "tests": list(stub.tests),
        "diff": visible(stub.diff),
    }


def _attempt(attempt: Attempt) -> dict[str, Any]:
    return {
        "verdict": attempt.verdict,
        "by": "reviewer" if attempt.is_reviewers else "model",
        "why": maybe_line(attempt.why),
        "seconds": round(attempt.seconds, 3),
        "asking_seconds": round(attempt.asking_seconds, 3),
        "input_tokens": attempt.input_tokens,
        "output_tokens": attempt.output_tokens,
        "number": attempt.number,
        "strategy": attempt.strategy,
        "model": attempt.model,
    }


def write_json(report: HealReport, path: Path) -> None:
    """Write the JSON report, whole or not at all; makes the folder where there is none.

    Raises:
        SelfHealError: It cannot be written; one line.
    """
    # ASCII alone, so that it reads the same whatever a reader takes the encoding to be.
    text = json.dumps(as_json(report), indent=2, ensure_ascii=True) + "\n"
    write_whole(path, text.encode("ascii"), "the JSON report")
