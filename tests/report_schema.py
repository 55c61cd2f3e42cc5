"""The schema of the JSON report, as it is shipped, and without room for what it does not name."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Any

from jsonschema import Draft202012Validator


def shipped_schema() -> Any:
    """The schema as users have it: it lets later versions add keys."""
    return json.loads(
        files("pytest_selfheal.report").joinpath("report.schema.json").read_text("utf-8")
    )


def check_form(report: Any) -> None:
    """Hold a report against the schema; a key that it does not name is wrong too."""
    problems = [
        f"{error.json_path}: {error.message}" for error in _exact_validator().iter_errors(report)
    ]
    assert not problems, problems


@cache
def _exact_validator() -> Draft202012Validator:
    schema = shipped_schema()
    Draft202012Validator.check_schema(schema)
    _close(schema)
    # `usage` is closed where it is used: `model` adds a key to it.
    del schema["$defs"]["usage"]["unevaluatedProperties"]
    schema["properties"]["model"]["properties"]["models"]["items"]["unevaluatedProperties"] = False
    schema["properties"]["model"]["unevaluatedProperties"] = False
    return Draft202012Validator(schema)


def _close(schema: Any) -> None:
    if isinstance(schema, dict):
        if schema.get("type") == "object":
            schema["unevaluatedProperties"] = False
        for value in schema.values():
            _close(value)
