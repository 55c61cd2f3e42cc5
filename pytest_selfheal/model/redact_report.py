"""Cutting out of a report what looks like a secret: it is shown around, and kept."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from functools import cache

from pytest_selfheal.model.redact import redact
from pytest_selfheal.records import HealReport


def redact_report(report: HealReport, names: Collection[str] = ()) -> HealReport:
    """Give the report with `[redacted]` as prompts have it, in all that models and tests wrote.

    Targets and node ids stay as they are, since they name what they stand for.

    Args:
        report: What the run came to.
        names: Further names whose values are cut out, as `redact` takes them.
    """

    @cache  # an attempt at several stubs is told of at each of them
    def clean(text: str) -> str:
        return redact(text, names)

    def line(text: str | None) -> str | None:
        return None if text is None else clean(text)

    return replace(
        report,
        notes=tuple(map(clean, report.notes)),
        warnings=tuple(replace(each, message=clean(each.message)) for each in report.warnings),
        stubs=tuple(
            replace(
                stub,
                reason=line(stub.reason),
                diff=clean(stub.diff),
                attempts=tuple(
                    replace(
                        each,
                        why=line(each.why),
                        code=clean(each.code),
                        traceback=clean(each.traceback),
                    )
                    for each in stub.attempts
                ),
            )
            for stub in report.stubs
        ),
    )
