"""Which sample data files failing tests read, and what to quote of them."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterator, Sequence

from pytest_selfheal.records import Excerpt
from pytest_selfheal.source.context_uses import Read, uses
from pytest_selfheal.source.page import cut

_EACH = 4_000
"""Characters of one file."""
_ALL = 12_000
"""Characters of all files."""
_FILES = 8
_LONG_NAME = 255
"""Characters; a longer string is no file's name."""

_PYTHON = (".py", ".pyi", ".pyc", ".pyo", ".pyd", ".so")
_SECRET = re.compile(
    r"(?:.*\.)?env(?:\..*)?|id_(?:rsa|dsa|ecdsa|ed25519).*|credentials.*|secrets?\..*"
    r"|.*\.(?:pem|key|crt|cer|der|csr|p8|p12|pfx|jks|keystore|kdbx|gpg|pgp|asc|ppk)",
    re.IGNORECASE,
)


def data_excerpts(
    nodeids: Sequence[str],
    read: Read,
    files: Collection[str],
    opened: Sequence[str] = (),
) -> tuple[Excerpt, ...]:
    """Quote the sample data that failing tests read, where it is text.

    A file counts as read where a string of the tests, their fixtures or constants (also
    one put together with `/`, `os.path.join` or an f-string of one hole) ends its path.

    Args:
        nodeids: pytest's node ids of the failing tests.
        read: Gives a project file's bytes by its relative path, or `None`.
        files: The project's files; nothing else is quoted.
        opened: Files that were seen to be opened when the tests ran; they come first.

    Returns:
        At most 8 files, 4,000 characters each and 12,000 altogether, cuts said. Hidden
        files, keys, certificates and `.env` files are never quoted.
    """
    offered = [path for path in files if _may_be_quoted(path)]
    wanted = dict.fromkeys(path for path in opened if path in files and _may_be_quoted(path))
    wanted.update(dict.fromkeys(_named(nodeids, read, offered)))
    excerpts: list[Excerpt] = []
    room = _ALL
    for path in wanted:
        text = _text(read(path))
        if text is None:
            continue
        shown = cut(text, min(_EACH, room))
        note = "sample data" if shown else "sample data (an empty file)"
        excerpts.append(Excerpt(path=path, text=shown, note=note))
        room -= len(shown)
        if len(excerpts) == _FILES or room < 200:
            break
    return tuple(excerpts)


def _may_be_quoted(path: str) -> bool:
    parts = path.split("/")
    if path.endswith(_PYTHON) or any(part.startswith(".") or not part for part in parts):
        return False  # `..` and absolute paths among them
    return _SECRET.fullmatch(parts[-1]) is None


def _text(content: bytes | None) -> str | None:
    if content is None or b"\0" in content:
        return None
    try:
        return content.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError:
        return None


def _named(nodeids: Sequence[str], read: Read, offered: Sequence[str]) -> Iterator[str]:
    """Give the offered files that strings in what the tests use name, in order of mention."""
    by_name: dict[str, list[str]] = {}
    for path in sorted(offered):
        by_name.setdefault(path.rpartition("/")[2], []).append(path)
    for file in uses(nodeids, read):
        for text in _strings(list(file.used())):
            match = _best(text, by_name, file.path)
            if match:
                yield match


def _best(text: str, by_name: dict[str, list[str]], near: str) -> str | None:
    """Give the file whose path agrees most with a string, of several the nearest one."""
    if not text or len(text) > _LONG_NAME or "\n" in text:
        return None
    parts = [part for part in text.replace("\\", "/").split("/") if part not in ("", ".", "..")]
    candidates = by_name.get(parts[-1], []) if parts else []
    return max(
        candidates,
        key=lambda path: (_shared(path.split("/")[::-1], parts[::-1]), _nearness(path, near)),
        default=None,
    )


def _shared(one: Sequence[str], other: Sequence[str]) -> int:
    length = 0
    for a, b in zip(one, other, strict=False):
        if a != b:
            break
        length += 1
    return length


def _nearness(path: str, near: str) -> tuple[int, int]:
    folders = path.split("/")
    return _shared(folders, near.split("/")), -len(folders)


def _strings(nodes: Sequence[ast.stmt]) -> Iterator[str]:
    """Give the strings of statements, put together where a path is, as written."""
    constants: list[str] = []
    holes: list[tuple[str, str]] = []
    for node in nodes:
        for inner in ast.walk(node):
            if isinstance(inner, ast.JoinedStr):
                holes.extend(_around_hole(inner))
            elif isinstance(inner, ast.BinOp) and isinstance(inner.op, ast.Div):
                constants.append("/".join(_path_parts(inner)))
            elif isinstance(inner, ast.Call):
                constants.append("/".join(_joined_parts(inner)))
            elif isinstance(inner, ast.Constant) and isinstance(inner.value, str):
                constants.append(inner.value)
    yield from constants
    for before, after in holes:
        yield from (before + text + after for text in dict.fromkeys(constants))


def _path_parts(node: ast.expr) -> list[str]:
    """Give the strings of `HERE / "data" / "a.txt"`, from the left."""
    parts: list[str] = []
    while isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
        parts.append(_constant(node.right))
        node = node.left
    parts.append(_constant(node))
    return [part for part in reversed(parts) if part]


def _joined_parts(node: ast.Call) -> list[str]:
    """Give the strings of `os.path.join(…)`, `….joinpath(…)` and `Path(…)`."""
    called = node.func
    name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
    if name not in ("join", "joinpath", "Path", "PurePath"):
        return []
    return [part for part in map(_constant, node.args) if part]


def _constant(node: ast.expr) -> str:
    value = getattr(node, "value", None)
    return value if isinstance(node, ast.Constant) and isinstance(value, str) else ""


def _around_hole(node: ast.JoinedStr) -> Iterator[tuple[str, str]]:
    """Give what stands before and after the one hole of an f-string such as `f"{name}.csv"`."""
    texts = [_constant(part) for part in node.values]
    holes = [index for index, part in enumerate(node.values) if not isinstance(part, ast.Constant)]
    if len(holes) == 1:
        yield "".join(texts[: holes[0]]), "".join(texts[holes[0] + 1 :])
