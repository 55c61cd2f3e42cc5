"""Which stubs the tests speak of, as far as their text tells."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from fnmatch import fnmatch
from pathlib import PurePosixPath

from pytest_selfheal.records import Stub

_WORD = re.compile(r"[^\W\d]\w*")


def is_test_file(path: str, patterns: Sequence[str]) -> bool:
    """Whether pytest would look for tests, or for what they share, in a file.

    Args:
        path: Relative to the rootdir.
        patterns: What `python_files` says.
    """
    name = PurePosixPath(path).name
    return name == "conftest.py" or any(
        fnmatch(path, f"*{pattern}") if "/" in pattern else fnmatch(name, pattern)
        for pattern in patterns
    )


def unnamed(stubs: Sequence[Stub], tests: Mapping[str, bytes]) -> frozenset[str]:
    """Give the targets of the stubs whose name stands in no test file.

    Of a method it is its own name that counts, of a special one (`__len__`) its class's.
    A name in a comment counts too: this is a hint for people, made in no time.

    Args:
        stubs: Those to look for.
        tests: The test files' contents by path.
    """
    wanted = {word_of(stub) for stub in stubs}
    found: Counter[str] = Counter()
    own: dict[str, Counter[str]] = {}
    for path, source in tests.items():
        text = source.decode("utf-8", "replace")
        words = Counter(word for word in _WORD.findall(text) if word in wanted)
        found += words
        own[path] = words
    return frozenset(
        stub.target for stub in stubs if not _is_named(stub, found, own.get(stub.path))
    )


def _is_named(stub: Stub, found: Mapping[str, int], own: Mapping[str, int] | None) -> bool:
    word = word_of(stub)
    # A stub in a test file stands there once by its own definition.
    return found[word] > (1 if own is not None and own[word] else 0)


def word_of(stub: Stub) -> str:
    """The name that a test would say."""
    *outer, name = stub.qualname.split(".")
    is_special = name.startswith("__") and name.endswith("__")
    return outer[-1] if is_special and outer else name
