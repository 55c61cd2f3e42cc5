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
_FOLDED = re.compile(r"\[\.\.\. \d+ lines as in .* \.\.\.\]")
_WORD = re.compile(r"[^\s{}()\[\],]+")


def without_varying(text: str) -> str:
    """Give a text without addresses, ids, times and the numbers of temporary folders.

    What stands in braces is put in order: a set of strings is printed in another one by
    each process.
    """
    return _IN_BRACES.sub(_in_order, _VARYING.sub("*", text))


def without_order(prompt: str) -> str:
    """Give a prompt as `without_varying` does, with what pytest printed as the words in it.

    The order of a set decides in which lines pytest tells of it, and so what is folded.
    """
    found = _FAILURES.search(prompt)
    if found is None:
        return without_varying(prompt)
    told = [without_varying(prompt[: found.end()])]
    printed: set[str] = set()
    for line, language in _with_languages(prompt[found.end() :].split("\n")):
        if language:
            told.append(without_varying(line))
            continue
        steady = without_varying(_PRINTED_VARYING.sub("*", line))
        if language is None:
            told.append(steady)
        elif not _FOLDED.fullmatch(line):
            printed.update(_WORD.findall(steady))
    return "\n".join([*told, *sorted(printed)])


def _in_order(found: re.Match[str]) -> str:
    return "{" + ", ".join(sorted(found[1].split(", "))) + "}"


def _with_languages(lines: Iterable[str]) -> Iterator[tuple[str, str | None]]:
    """Give each line with the language of the fence that it stands in: None where in none."""
    end: str | None = None
    language: str | None = None
    for line in lines:
        fence = _FENCE.fullmatch(line)
        if end is None and fence is not None:
            end, language = fence[1], fence[2]
        elif line == end:
            end = language = None
        else:
            yield line, language
