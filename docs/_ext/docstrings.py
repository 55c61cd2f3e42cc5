"""Docstrings as this project writes them, for autodoc.

They are Markdown with the sections `Args:`, `Returns:` and `Raises:`, whose entries are indented.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from docutils import nodes

_FIELDS = {"Args:": "param", "Raises:": "raises", "Returns:": "returns"}
_CODE = re.compile(r"(?<!`)(`+)(?!`) ?(.+?) ?(?<!`)\1(?!`)", re.DOTALL)
_ENTRY = re.compile(r" {4}(?P<name>[\w.]+): (?P<text>.*)")


def as_rst(lines: Sequence[str]) -> list[str]:
    """Give a docstring's lines as autodoc wants them."""
    marked = _CODE.sub(r"``\2``", "\n".join(lines))
    return list(_with_fields(marked.split("\n")))


def _with_fields(lines: Sequence[str]) -> Iterator[str]:
    field = ""
    for line in lines:
        if line in _FIELDS:
            field = _FIELDS[line]
            if field == "returns":
                yield ":returns:"
        elif not field:
            yield line
        elif line and not line.startswith(" "):
            field = ""
            yield from ("", line)
        else:
            entry = None if field == "returns" else _ENTRY.fullmatch(line)
            yield f":{field} {entry['name']}: {entry['text']}" if entry else line


def _on_docstring(
    app: Any, what: str, name: str, obj: object, options: object, lines: list[str]
) -> None:
    lines[:] = as_rst(lines)


def _on_signature(
    app: Any, what: str, name: str, obj: object, options: object, signature: str, returned: str
) -> tuple[str, None] | None:
    """Leave out a protocol's `(*args, **kwargs)`, with which nobody makes one."""
    return ("", None) if getattr(obj, "_is_protocol", False) else None


def _on_missing_reference(
    app: Any, env: Any, node: nodes.Element, content: nodes.Element
) -> nodes.Element | None:
    """Find a name of a signature that its module imports for type checking alone."""
    if node.get("refdomain") != "py":
        return None
    domain = env.get_domain("py")
    name = node["reftarget"].rpartition(".")[2]
    found = [full for full in domain.objects if full.rpartition(".")[2] == name]
    if len(found) != 1:
        return None
    return domain.resolve_xref(  # type: ignore[no-any-return]
        env, node["refdoc"], app.builder, "obj", found[0], node, content
    )


def setup(app: Any) -> dict[str, bool]:
    """Have docstrings and names looked at."""
    app.connect("autodoc-process-docstring", _on_docstring)
    app.connect("autodoc-process-signature", _on_signature)
    app.connect("missing-reference", _on_missing_reference)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
