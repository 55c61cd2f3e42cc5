"""What differs between two runs of the same tests where nothing else does. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

_VARYING = re.compile(
    r"0x[0-9a-fA-F]{6,16}\b"
    r"|\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b"
    r"|\bpytest-selfheal-\d+-\w{8}\b|(?<=/)tmp[a-z0-9_]{8}\b"
    r"|\bpytest-of-[^/\s]+/pytest-\d+\b"
    r"|\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?"
    r"|(?<=in )\d+\.\d+ ?s\b"
)
# In what pytest printed of the same code alone: in a source these may be all that differs.
_PRINTED_VARYING = re.compile(
    r"\bdatetime\.(?:date)?time\([^()]*\)|\b[0-9a-f]{32}\b|\b(?:Thread|Task)-\d+|\d{5,}(?:\.\d+)?"
)
_IN_BRACES = re.compile(r"\{([^{}\n]*)\}")
_FAILURES = re.compile(r"^## Fail(?:ures|ed attempts)$", re.MULTILINE)
_FENCE = re.compile(r"(`{3,})(.*)")
_WORD = re.compile(r"[^\s{}()\[\],]+")


def without_varying(text: str) -> str:
    """Give a text without addresses, ids, times and the numbers of temporary folders.

    What stands in braces is put in order: a set of strings is printed in another one by
    each process.
    """
    return _IN_BRACES.sub(_in_order, _VARYING.sub("*", text))


def without_order(prompt: str) -> str:
    """Give a prompt as `without_varying` does, with what is told of failures as the words in it.

    The order of a set decides in which lines pytest tells of it, what it leaves out with
    three dots, and so what is folded. The code that failed stays as it is.
    """
    found = _FAILURES.search(prompt)
    if found is None:
        return without_varying(prompt)
    kept = [prompt[: found.end()]]
    words: set[str] = set()
    for line, is_code in _with_kinds(prompt[found.end() :].split("\n")):
        if is_code:
            kept.append(line)
        elif "..." not in line:
            steady = _VARYING.sub("*", line)  # first: an address has long numbers in it
            words.update(_WORD.findall(_PRINTED_VARYING.sub("*", steady)))
    return "\n".join([*map(without_varying, kept), *sorted(words)])


def _in_order(found: re.Match[str]) -> str:
    return "{" + ", ".join(sorted(found[1].split(", "))) + "}"


def _with_kinds(lines: Iterable[str]) -> Iterator[tuple[str, bool]]:
    """Give each line, and whether it stands in a fence that names a language."""
    end: str | None = None
    is_code = False
    for line in lines:
        fence = _FENCE.fullmatch(line)
        if end is None and fence is not None:
            end, is_code = fence[1], bool(fence[2])
        elif line == end:
            end, is_code = None, False
        else:
            yield line, is_code
