"""`python -m benchmarks.stdlib_round_trip`: the standard library, emptied and filled again.

Every function of every file is made a marked stub, its own body is given back as a model's
reply would, and the file has to be what it was, byte for byte. What is not goes into the
table with its reason, so that a fault of finding, reading or rewriting has nowhere to hide.
Nothing of the library is run.
"""

from __future__ import annotations

import argparse
import ast
import os
import re
import sys
import sysconfig
import time
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

from pytest_selfheal.errors import SelfHealError
from pytest_selfheal.model.reply import read_reply
from pytest_selfheal.records import Piece, Stub
from pytest_selfheal.source.candidate import read_candidate
from pytest_selfheal.source.edit import rewrite
from pytest_selfheal.source.find import definitions, find_in_source, is_trivial_body
from pytest_selfheal.source.kinds import is_docstring
from pytest_selfheal.source.outline import FUNCTIONS, Outlined, first_line
from pytest_selfheal.source.parsing import UnparsableError, encoding_of, parse

Form = Literal["comment", "decorator", "class"]
FORMS: tuple[Form, ...] = get_args(Form)
"""How stubs are marked. With the comment a stub is `...` and keeps the comments around its
body, and the reply gives a bare definition. With the decorator it raises, has lost them, and
the reply gives decorators and classes as well. With `class` the comment stands above a
module's classes for all that is in them."""

_Key = tuple[str, int]
_IMPORT = b"from pytest_selfheal import heal"
_QUOTED_LINE = re.compile(
    r"""(?<=:\ )line\ \d+\ of\ the\ reply's\ code,\ (?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"):\ """,
    re.VERBOSE,
)
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"|`[^`]*`|\d+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Trip:
    """What became of one file in one form."""

    path: str
    form: Form
    functions: int = 0
    """Those with a body that says something."""
    identical: int = 0
    """Those in files that came back byte for byte."""
    refused: Mapping[str, str] = field(default_factory=dict)
    """By function: why it was not found, or its own body not taken."""
    problem: str | None = None
    """Why the file was not tried at all, or how it did not come back."""
    is_tried: bool = True
    seconds: float = 0.0


# --- emptying --------------------------------------------------------------------------


@dataclass(slots=True)
class _Text:
    """A file's lines in UTF-8, where `ast` counts its columns, and the way back."""

    lines: list[bytes]
    bom: bytes
    encoding: str
    newline: bytes

    @classmethod
    def of(cls, source: bytes) -> _Text:
        encoding = encoding_of(source).removesuffix("-sig")
        bare = source.removeprefix(b"\xef\xbb\xbf")
        text = bare.decode(encoding).encode()
        ends = re.search(rb"\r\n|\r|\n", text)
        return cls(
            lines=re.findall(rb"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+", text),
            bom=source[: len(source) - len(bare)],
            encoding=encoding,
            newline=ends[0] if ends else b"\n",
        )

    @property
    def source(self) -> bytes:
        return self.bom + b"".join(self.lines).decode().encode(self.encoding)

    def quoted(self, first: int, last: int) -> str:
        text = b"".join(self.lines[first - 1 : last]).decode()
        return re.sub(r"\r\n|\r", "\n", text.removesuffix("\n")) + "\n"


def functions_of(tree: ast.Module) -> dict[_Key, Outlined]:
    """Give the functions that could be stubs: not local, and with something in them."""
    return {
        (found.qualname, found.index): found
        for found in definitions(tree)
        if isinstance(found.node, FUNCTIONS) and not is_trivial_body(found.node.body)
    }


def emptied(source: bytes, keys: Collection[_Key], form: Form) -> bytes:
    """Give a file with some of its functions made marked stubs; docstrings stay."""
    tree = parse(source)
    text = _Text.of(source)
    functions = {found.node: key for key, found in functions_of(tree).items() if key in keys}
    marked = _marked_classes(tree, functions) if form == "class" else set()
    for found in reversed(list(definitions(tree))):
        is_stub = found.node in functions
        if is_stub:
            _take_body(text, found, form)
        if found.node in marked or (is_stub and not marked & set(found.classes)):
            line = _header_line(text, found)
            indent = _indent(text.lines[line - 1])
            mark = b"@heal" if form == "decorator" else b"# selfheal"
            text.lines.insert(line - 1, indent + mark + text.newline)
    if keys and form == "decorator":
        text.lines.insert(_import_position(tree), _IMPORT + text.newline)
    return text.source


def _marked_classes(
    tree: ast.Module, stubs: Collection[ast.AST]
) -> set[ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef]:
    """Give a module's classes that hold stubs, and no other function that looks like one."""
    inside: dict[ast.ClassDef, list[ast.FunctionDef | ast.AsyncFunctionDef]] = {}
    for found in definitions(tree):
        if found.classes and isinstance(found.node, FUNCTIONS):
            inside.setdefault(found.classes[0], []).append(found.node)
    return {
        node
        for node, functions in inside.items()
        if set(functions) & set(stubs) and not any(is_trivial_body(each.body) for each in functions)
    }


def _header_line(text: _Text, found: Outlined) -> int:
    line = first_line(found.node)
    while found.node.decorator_list and b"@" not in text.lines[line - 1]:
        line -= 1
    return line


def _indent(line: bytes) -> bytes:
    blanks = line[: len(line) - len(line.lstrip(b" \t\f"))]
    return blanks.rpartition(b"\f")[2]


def _take_body(text: _Text, found: Outlined, form: Form) -> None:
    body = found.node.body[is_docstring(found.node.body[0]) :]
    first = first_line(body[0])
    last = found.node.end_lineno or first
    said = b"raise NotImplementedError" if form == "decorator" else b"..."
    column = body[0].col_offset
    if getattr(body[0], "decorator_list", None):
        column = len(_indent(text.lines[first - 1]))
    before = text.lines[first - 1][:column]
    after = text.lines[last - 1][found.node.end_col_offset or 0 :]
    if before.strip():  # on the header's line
        text.lines[first - 1 : last] = [before + said + after]
        return
    if form == "decorator":
        first = _first_below_header(text, found, first)
        last = _last_comment(text, found)
    line = text.lines[last - 1]
    text.lines[first - 1 : last] = [before + said + line[len(line.rstrip(b"\r\n")) :]]


def _first_below_header(text: _Text, found: Outlined, line: int) -> int:
    while line - 1 > found.node.lineno:
        above = text.lines[line - 2].strip()
        if above and not above.startswith(b"#"):
            break
        line -= 1
    node = found.node
    floor = (node.body[0].end_lineno or 0) if is_docstring(node.body[0]) else node.lineno
    return max(line, floor + 1)


def _last_comment(text: _Text, found: Outlined) -> int:
    """Give the line of the last comment that stands below a body and belongs to it."""
    last = found.node.end_lineno or found.node.lineno
    indent = _indent(text.lines[first_line(found.node.body[-1]) - 1])
    if found.node.body[0].lineno == found.node.lineno:
        return last
    for number in range(last + 1, len(text.lines) + 1):
        line = text.lines[number - 1]
        if line.lstrip().startswith(b"#") and _indent(line).startswith(indent):
            last = number
        elif line.strip():
            break
    return last


def _import_position(tree: ast.Module) -> int:
    """Give how many lines stand above the marker's import."""
    position = 0
    for number, node in enumerate(tree.body):
        is_future = isinstance(node, ast.ImportFrom) and node.module == "__future__"
        if is_future or (number == 0 and is_docstring(node)):
            position = node.end_lineno or 0
    return position or first_line(tree.body[0]) - 1


# --- and filling -----------------------------------------------------------------------


def reply_for(source: bytes, found: Outlined, form: Form) -> str:
    """Give a function's own definition as a model would give it."""
    text = _Text.of(source)
    node = found.node
    first = _header_line(text, found) if form == "decorator" else node.lineno
    code = text.quoted(first, _last_comment(text, found))
    if form == "decorator":
        headers = "".join(
            _indent(text.lines[each.lineno - 1]).decode() + f"class {each.name}:\n"
            for each in found.classes
        )
        code = headers + code
    ticks = max(map(len, re.findall(r"`{3,}|~{3,}", code)), default=2) + 1
    fence = "`" * max(3, ticks)
    return f"Here it is.\n\n{fence}python\n{code}{fence}\n"


def round_trip(source: bytes, path: str, form: Form) -> Trip:
    """Empty a file, fill it again through the public path, and compare."""
    start = time.perf_counter()
    try:
        functions = functions_of(parse(source))
    except UnparsableError as error:
        return Trip(path=path, form=form, problem=_general(str(error)), is_tried=False)
    refused: dict[_Key, str] = {}
    pieces: dict[_Key, Piece] = {}
    problem = None
    try:
        stubbed = emptied(source, functions.keys(), form)
        found = find_in_source(stubbed, path)
        stubs = {(stub.qualname, stub.index): stub for stub in found.stubs}
        for key in functions.keys() - stubs.keys():
            told = [each.message for each in found.warnings if repr(key[0]) in each.message]
            refused[key] = f"not found: {told[0]}" if told else "not found"
        for key in functions.keys() & stubs.keys():
            try:
                pieces[key] = piece_for(source, stubbed, functions[key], stubs[key], form)
            except SelfHealError as error:
                refused[key] = f"{type(error).__name__}: {error}"
        if refused:
            stubbed = emptied(source, pieces.keys(), form)
        made = rewrite(stubbed, [pieces[key] for key in sorted(pieces)])
        problem = None if made == source else _difference(source, made)
    except SelfHealError as error:
        problem = f"{type(error).__name__}: {_general(str(error))}"
    return Trip(
        path=path,
        form=form,
        functions=len(functions),
        identical=0 if problem else len(pieces),
        refused={f"{name}#{index}": why for (name, index), why in sorted(refused.items())},
        problem=problem,
        seconds=time.perf_counter() - start,
    )


def piece_for(source: bytes, stubbed: bytes, found: Outlined, stub: Stub, form: Form) -> Piece:
    """Read a reply with a function's own definition.

    Raises:
        SelfHealError: It is not taken.
    """
    reply = read_reply(reply_for(source, found, form))
    (piece,) = read_candidate(reply, [stub], {stub.path: stubbed}).pieces
    return piece


def _difference(old: bytes, new: bytes) -> str:
    lines, others = old.splitlines(keepends=True), new.splitlines(keepends=True)
    for number, (line, other) in enumerate(zip(lines, others, strict=False), start=1):
        if line != other:
            return f"line {number} is {other!r} and was {line!r}"
    return f"it has {len(others)} lines and had {len(lines)}"


def _general(message: str) -> str:
    return _QUOTED.sub("…", message)


# --- the whole -------------------------------------------------------------------------


def library_files(library: Path) -> Iterator[Path]:
    """Give a standard library's files, installed packages left out."""
    for path in sorted(library.rglob("*.py")):
        if not {"site-packages", "__pycache__"} & set(path.relative_to(library).parts):
            yield path


def _trips(file: Path, name: str) -> list[Trip]:
    source = file.read_bytes()
    return [round_trip(source, name, form) for form in FORMS]


def _table(trips: Sequence[Trip], form: Form) -> Iterator[str]:
    trips = [trip for trip in trips if trip.form == form]
    tried = [trip for trip in trips if trip.is_tried]
    whole = [trip for trip in tried if trip.problem is None]
    yield f"{form}:"
    yield f"  files                        {len(trips):>7}"
    yield f"  not parsed by this Python    {len(trips) - len(tried):>7}"
    yield f"  identical after the trip     {len(whole):>7}"
    yield f"  different, or not editable   {len(tried) - len(whole):>7}"
    yield f"  functions                    {sum(trip.functions for trip in tried):>7}"
    yield f"  identical after the trip     {sum(trip.identical for trip in tried):>7}"
    yield f"  not found, or refused        {sum(len(trip.refused) for trip in tried):>7}"
    reasons = Counter(
        _general(_QUOTED_LINE.sub("", why)) for trip in tried for why in trip.refused.values()
    )
    for why, count in reasons.most_common():
        yield f"    {count:>6}  {why[:150]}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the trip; 0 if every file came back, or told why it was not tried."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.stdlib_round_trip")
    parser.add_argument("--library", type=Path, default=Path(sysconfig.get_path("stdlib")))
    parser.add_argument("--every", type=int, default=1, help="every so many files alone")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--refused", action="store_true", help="name each refused function")
    options = parser.parse_args(arguments)
    files = list(library_files(options.library))[:: options.every]
    names = [file.relative_to(options.library).as_posix() for file in files]
    start = time.perf_counter()
    with ProcessPoolExecutor(options.jobs) as executor:
        of_files = executor.map(_trips, files, names, chunksize=4)
        trips = [trip for of_file in of_files for trip in of_file]
    version = ".".join(map(str, sys.version_info[:3]))
    print(f"Python {version}, {options.library}")
    for form in FORMS:
        print("\n".join(_table(trips, form)))
    for trip in trips:
        if trip.problem:
            print(f"  {trip.path} ({trip.form}): {trip.problem}")
        for name, why in trip.refused.items() if options.refused else ():
            print(f"  {trip.path}::{name} ({trip.form}): {why}")
    slowest = max(trips, key=lambda trip: trip.seconds)
    print(
        f"{time.perf_counter() - start:.0f} s; the slowest file: {slowest.path}, "
        f"{slowest.functions} functions in {slowest.seconds:.1f} s"
    )
    return int(any(trip.problem and trip.is_tried for trip in trips))


if __name__ == "__main__":
    sys.exit(main())
