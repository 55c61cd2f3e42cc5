"""What Python's own operations and functions give for constants, within bounds.

Nothing here runs code of a reply: each works on plain values, and gives up on what would be large.
"""

from __future__ import annotations

import ast
import base64
import binascii
import itertools
import re
import string
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

MAX_VALUES = 24
MAX_SIZE = 16_384
WIDE = re.compile(r"\d{4}|\*|\{[^{}]*\{")
"""A width that may make a text too large."""

_METHODS_LIST = """
    join decode encode lower upper replace strip lstrip rstrip format title capitalize swapcase
    casefold removeprefix removesuffix split rsplit splitlines partition rpartition translate hex
    get keys values items __getitem__ __add__ index count find copy
    """
METHODS = frozenset(_METHODS_LIST.split())
_ENCODINGS_LIST = """
    ascii utf-8 utf8 utf_8 utf-7 utf-16 utf-32 latin-1 latin1 latin_1 iso-8859-1 cp1252 cp437 cp037
    cp500 rot13 rot_13 rot-13 hex hex_codec base64 base64_codec unicode_escape raw_unicode_escape
    unicode-escape punycode quopri uu
    """
ENCODINGS = frozenset(_ENCODINGS_LIST.split())


def _bounded_bytes(value: Any = b"", *more: Any) -> bytes:
    return str(value).encode(*more) if isinstance(value, str) else bytes(_not_a_size(value))


def _not_a_size(value: Any) -> Any:
    if isinstance(value, int):
        raise ValueError(value)
    return value


def _decompressed(data: bytes, *more: Any) -> bytes:
    return zlib.decompressobj(*more).decompress(data, MAX_SIZE)


def _as_list(make: Callable[..., Iterable[Any]]) -> Callable[..., list[Any]]:
    return lambda *given: list(itertools.islice(make(*given), MAX_SIZE))


PURE_FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    **{f"builtins.{each.__name__}": each for each in (chr, ord, int, len, repr, ascii, hex, bool)},
    **{f"builtins.{each.__name__}": each for each in (abs, min, max, oct, bin, dict)},
    **{f"builtins.{each.__name__}": _as_list(each) for each in (reversed, sorted, zip, enumerate)},
    **{f"builtins.{each.__name__}": _as_list(each) for each in (range, iter, list, set)},
    "builtins.str": str,
    "builtins.format": lambda value: format(value),
    "builtins.tuple": lambda *given: tuple(*given),
    "builtins.bytes": _bounded_bytes,
    "builtins.bytearray": _bounded_bytes,
    "builtins.bytes.fromhex": bytes.fromhex,
    "builtins.bytearray.fromhex": bytes.fromhex,
    "builtins.str.maketrans": str.maketrans,
    "builtins.bytes.maketrans": bytes.maketrans,
    "builtins.slice": slice,
    "binascii.unhexlify": binascii.unhexlify,
    "binascii.a2b_hex": binascii.unhexlify,
    "binascii.a2b_base64": binascii.a2b_base64,
    "zlib.decompress": _decompressed,
    "operator.add": lambda one, other: one + other,
    "operator.concat": lambda one, other: one + other,
    "operator.getitem": lambda one, key: one[key],
    "itertools.chain": _as_list(itertools.chain),
    "ast.parse": lambda text, *more: text,  # for what runs it, a tree is as good as its text
    "builtins.compile": lambda text, *more: text,
    **{
        f"base64.{name}": getattr(base64, name)
        for name in dir(base64)
        if name.endswith("decode") and name != "decode"
    },
}
NAMED_CONSTANTS: Mapping[str, str] = {
    f"string.{name}": getattr(string, name)
    for name in ("ascii_letters", "ascii_lowercase", "ascii_uppercase", "digits", "printable")
}
CONVERSIONS: Mapping[int, Callable[[Any], Any]] = {
    ord("r"): repr,
    ord("a"): ascii,
    ord("s"): str,
}
_OPERATIONS: Mapping[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: lambda one, other: one + other,
    ast.Sub: lambda one, other: one - other,
    ast.BitXor: lambda one, other: one ^ other,
    ast.BitAnd: lambda one, other: one & other,
    ast.BitOr: lambda one, other: one | other,
    ast.FloorDiv: lambda one, other: one // other,
}


def size_of(value: Any) -> int:
    """Give a constant's size, or more than is allowed as soon as it is too large."""
    if isinstance(value, (str, bytes)):
        return len(value)
    if isinstance(value, dict):
        value = [*value.keys(), *value.values()]
    if isinstance(value, (list, tuple)):
        total = len(value)
        for each in value:
            total += size_of(each) if total <= MAX_SIZE else 1
        return total
    if isinstance(value, int):
        return value.bit_length() // 8
    return 1 if isinstance(value, (float, slice, type(None))) else MAX_SIZE + 1


def parts_of(value: Any) -> Iterable[Any]:
    """Give what a constant is made of; nothing of a plain one."""
    return value if isinstance(value, (str, bytes, list, tuple, dict)) else ()


def tried(function: Callable[..., Any], given: Iterable[Iterable[Any]]) -> Iterator[Any]:
    """Call a function with each of what is given; what it refuses is left out."""
    for each in itertools.islice(given, MAX_VALUES):
        try:
            yield function(*each)
        except Exception:  # noqa: BLE001, S112 - then it is no constant
            continue


def operation_of(kind: ast.operator) -> Callable[[Any, Any], Any]:
    """Give what an operator does."""
    if isinstance(kind, ast.Mult):
        return _repeated
    if isinstance(kind, ast.Mod):
        return _remainder
    return _OPERATIONS.get(type(kind), _none)


def as_it_is(value: Any) -> Any:
    """Give a value back."""
    return value


def _none(one: Any, other: Any) -> Any:
    raise ValueError(one, other)


def _repeated(one: Any, other: Any) -> Any:
    sizes = [each if isinstance(each, int) else len(each) for each in (one, other)]
    if abs(sizes[0] * sizes[1]) > MAX_SIZE:
        raise ValueError(sizes)
    return one * other


def _remainder(one: Any, other: Any) -> Any:
    if isinstance(one, (str, bytes)) and WIDE.search(one if isinstance(one, str) else repr(one)):
        raise ValueError(one)
    return one % (tuple(other) if isinstance(other, list) else other)


def method_of(
    owner: Any, name: str, given: list[Any], named: Mapping[str, Any] | None = None
) -> Iterator[Any]:
    """Call a method of a constant, where that is known to have no effect."""
    named = named or {}
    if name not in METHODS or not isinstance(owner, (str, bytes, list, tuple, dict, int)):
        return
    encoding = str(given[0] if given else "utf-8").lower()
    if name in ("decode", "encode") and encoding not in ENCODINGS:
        return
    if name == "format" and WIDE.search(str(owner)):
        return
    if name in ("replace", "join", "translate") and given:
        parts = list(given[0].values()) if isinstance(given[0], dict) else [given[-1]]
        if (size_of(owner) + 1) * max(map(size_of, parts), default=1) > 16 * MAX_SIZE:
            return
    for result in tried(lambda: getattr(owner, name)(*given, **named), [()]):
        yield list(result) if isinstance(owner, dict) and name != "get" else result
