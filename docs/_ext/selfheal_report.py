"""The directive `selfheal-report`: a table of an object's keys, as the report's schema has them.

    ```{selfheal-report} attempt
    ```

It takes the name of one of the schema's `$defs`, of a key of the report, or `report` for the
whole. A name that does not exist is a warning, and so fails the build.
"""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

from docutils import nodes
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

_LOGGER = logging.getLogger(__name__)
_KINDS = {
    "count": "a whole number",
    "seconds": "seconds",
    "line": "a line",
    "maybe_line": "a line or `null`",
    "node_ids": "a list of node ids",
    "integer": "a whole number",
    "number": "a number",
    "string": "a text",
}


def schema() -> Any:
    """Give the schema that is shipped."""
    path = files("pytest_selfheal.report").joinpath("report.schema.json")
    return json.loads(path.read_text("utf-8"))


def keys_of(name: str) -> dict[str, Any] | None:
    """Give the keys of an object of the report; None where there is none of that name."""
    whole = schema()
    found = {"report": whole, **whole["properties"], **whole["$defs"]}.get(name, {})
    keys = found.get("items", found).get("properties")
    return keys if keys is None else dict(keys)


def table(name: str) -> str:
    """Give an object's keys as a table in Markdown; empty where there is none of that name."""
    rows = [
        f"| `{key}` | {_value(key, value)} | {value['description']} |"
        for key, value in (keys_of(name) or {}).items()
    ]
    return "\n".join(["| key | value | meaning |", "| --- | --- | --- |", *rows]) if rows else ""


def _value(key: str, value: Any) -> str:
    if "const" in value:
        return f"`{value['const']}`"
    if "enum" in value:
        return ", ".join(f"`{each}`" for each in value["enum"])
    if "allOf" in value:
        return _value(key, value["allOf"][0])
    if "$ref" in value:
        name = value["$ref"].rpartition("/")[2]
        return _KINDS.get(name) or _object(name)
    if value["type"] == "array":
        inner = _value(key, value["items"])
        return (
            "a list of lines"
            if inner == "a line"
            else inner.replace("an object", "a list of objects")
        )
    if value["type"] == "object":
        return _object(key)
    kinds = value["type"] if isinstance(value["type"], list) else [value["type"]]
    return " or ".join("`null`" if kind == "null" else _KINDS[kind] for kind in kinds)


def _object(name: str) -> str:
    return f"an object, see [{name}](#{name})"


class SelfhealReport(SphinxDirective):
    """The keys of an object of the report."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Give the table."""
        name = self.arguments[0]
        if keys_of(name) is None:
            _LOGGER.warning("the report has no %r", name, location=self.get_location())
        return self.parse_text_to_nodes(table(name))


def setup(app: Any) -> dict[str, bool]:
    """Add the directive."""
    app.add_directive("selfheal-report", SelfhealReport)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
