"""What code under test may not do, noticed while it does it. Sent as text like `inside_tests`.

It runs in the process of the code that it watches, so it is one wall of several: it makes a
cheat that the static policy cannot see (names put together at run time) visible to the
verdict. What it notices is told as a record `tampered`; nothing that it does fails a test.
"""

from __future__ import annotations

import builtins
import contextlib
import functools
import importlib
import os
import re
import sys
import types
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

RETURNED = "__selfheal_returned__"
PLAIN = "__selfheal_plain__"
TYPE = "__selfheal_type__"
"""What the compiled-in look at returned values asks `builtins` for."""

MAX_TOLD = 8
MAX_LOOKED_AT = 200
MAX_DEPTH = 4

_WATCHED_MODULES = (
    "builtins", "pytest", "pluggy", "pluggy._callers", "pluggy._hooks", "pluggy._manager",
    "pluggy._result", "_pytest.reports", "_pytest.runner", "_pytest.python", "_pytest.nodes",
    "_pytest.outcomes", "_pytest.main", "_pytest.skipping", "_pytest.unittest",
    "_pytest.python_api", "_pytest.raises", "_pytest.assertion", "_pytest.assertion.rewrite",
    "_pytest.assertion.util", "unittest", "unittest.case", "unittest.result",
    "math", "operator", "json", "json.encoder", "json.decoder", "time", "random",
)  # fmt: skip
_OF_RUNNER = ("pytest", "_pytest", "unittest")
_PLAIN = frozenset({int, str, float, bool, bytes, complex, type(None)})
_CONTAINERS = (list, tuple, set, frozenset)
_STRANGERS: tuple[tuple[Any, Any], ...] = (
    (-987654, -987651),
    (-9876.25, -9871.75),
    ("\0selfheal", "selfheal\0"),
    (b"\0selfheal", b"selfheal\0"),
    (["selfheal"], ["heals itself"]),
    (("selfheal",), ("heals itself",)),
    ({"selfheal": 1}, {"heals": 2}),
    ({"selfheal"}, {"heals"}),
    (object(), object()),
)
"""Pairs that are unequal: what equals both of a pair equals whatever it is held against."""


class Namespace(NamedTuple):
    """A module or a class of the runner, and what its names stood for."""

    module: str
    owner: str
    """The class's name, empty for the module itself."""
    now: Mapping[str, Any]
    before: dict[str, Any]


_runner: list[Namespace] = []


def remember_runner() -> None:
    """Note what is watched, while a sandbox is parked: a job is not to pay for it."""
    for module_name in _WATCHED_MODULES:
        with contextlib.suppress(ImportError):
            names = vars(importlib.import_module(module_name))
            _runner.append(Namespace(module_name, "", names, dict(names)))
            if module_name.startswith(("_pytest", "pluggy", "unittest")):
                for name, value in list(names.items()):
                    if isinstance(value, type) and value.__module__ == module_name:
                        _runner.append(Namespace(module_name, name, vars(value), dict(vars(value))))


class Walls:
    """Watches the runner, the returned values, and what the candidate's files reach for."""

    def __init__(
        self,
        root: str,
        overlay: Iterable[str],
        originals: dict[str, str],
        guarded: Iterable[str],
        reach: types.ModuleType,
        emit: Callable[[dict[str, Any]], None],
    ) -> None:
        """Take what is to be watched.

        Args:
            root: The project's folder.
            overlay: The files, relative to it, that hold the candidate.
            originals: Their texts as they were before.
            guarded: The files that judge.
            reach: The module `inside_reach`.
            emit: Writes a record.
        """
        self._emit = emit
        self._told: set[str] = set()
        judges = {os.path.realpath(os.path.join(root, path)) for path in guarded}
        files = {path: os.path.realpath(os.path.join(root, path)) for path in overlay}
        self._files = {full for full in files.values() if full not in judges}
        self._originals = {files[path]: text for path, text in originals.items()}
        self._tests: list[Namespace] = []
        self._is_made, self._real = reach.is_made, reach.real
        self._reach = reach.Reach(root, self._files, self._originals, judges, self._tell)

    @property
    def watches(self) -> bool:
        """Whether there is a candidate to be watched."""
        return bool(self._files)

    def install(self) -> None:
        """Begin to listen: to be called before any of the project is imported."""
        if not self._files:
            return
        setattr(builtins, RETURNED, self.returned)
        setattr(builtins, PLAIN, _PLAIN)
        setattr(builtins, TYPE, type)
        self._reach.install()

    def remember_tests(self, paths: Collection[str]) -> None:
        """Note what the names in modules of tests stand for, before any test runs."""
        real = {self._real(path) for path in paths} if self._files else set()
        endings = {os.path.basename(path) for path in real}  # asks no disk, unlike a real path
        for name, module in list(sys.modules.items()) if real else ():
            file = getattr(module, "__file__", None)
            if not isinstance(file, str) or os.path.basename(file) not in endings:
                continue
            if self._real(file) in real and name != "__main__":
                before = {key: value for key, value in vars(module).items() if _judges(value, file)}
                self._tests.append(Namespace(name, "", vars(module), before))
                self._reach.remember_tests(before.values())

    def forget_lines(self) -> None:
        """Have nothing of the tests' sources at hand: to be called after each report."""
        if self._files:
            self._reach.forget_lines()

    def look(self) -> None:
        """Compare the runner, and what tests judge by, with what they were."""
        for module, _, now, before in self._tests:
            for name, was in before.items():
                value = now.get(name)
                if value is not was and (
                    not isinstance(was, types.FunctionType)
                    or was.__module__.partition(".")[0] in _OF_RUNNER
                    or self._is_of_the_candidate(value, module)
                ):
                    self._tell(f"{module}.{name} was replaced")
        for module, owner, now, before in _runner if self._files else ():
            for name in tuple(now):
                value = now.get(name)
                if name in before and before[name] is value:
                    continue
                if name not in before and not owner:
                    continue  # a module's new names change nothing of what it does
                is_of_use = _is_callable(before.get(name)) or _is_callable(value)
                if is_of_use and self._is_of_the_candidate(value, module):
                    self._tell(f"{'.'.join(filter(None, (module, owner, name)))} was replaced")

    def returned(self, value: Any) -> Any:
        """Look at what a watched function returns; gives it back."""
        with contextlib.suppress(Exception):
            for each in _leaves(value):
                if self._lies(each):
                    self._tell("a returned object equals whatever it is compared with")
        return value

    def may_be_judged(self, value: Any) -> bool:
        """Whether nothing in a value is of a class that may equal what it likes.

        That is one of the tests' or of the user's own; of the library's, and of what the
        candidate adds, it is known.
        """
        for each in _leaves(value):
            kind = type(each)
            package = kind.__module__.partition(".")[0]
            if package in sys.stdlib_module_names - {"unittest"}:
                continue
            file = getattr(sys.modules.get(kind.__module__), "__file__", None)
            if not isinstance(file, str) or not self._is_candidates(kind, self._real(file)):
                return False
        return True

    def _is_candidates(self, kind: type, path: str) -> bool:
        """Whether a class is the candidate's, in a file of its, and not the user's own."""
        written = self._originals.get(path, "")
        return path in self._files and not re.search(rf"\bclass\s+{kind.__name__}\b", written)

    def _tell(self, what: str) -> None:
        if what not in self._told and len(self._told) < MAX_TOLD:
            self._told.add(what)
            self._emit({"kind": "tampered", "what": what})

    # --- the runner ---

    def _is_of_the_candidate(self, value: Any, module_name: str) -> bool:
        code = _code_of(value)
        if code is not None:
            path = code.co_filename
            return self._is_made(path) or self._real(path) in self._files
        if isinstance(value, type):
            module = sys.modules.get(value.__module__)
            file = getattr(module, "__file__", None)
            return file is None or self._real(file) in self._files
        # Tests put mocks, which have no code of their own, in many a place; not in the runner's.
        return module_name.partition(".")[0] in ("_pytest", "pytest", "pluggy")

    # --- returned values ---

    def _lies(self, value: Any) -> bool:
        kind = type(value)
        if kind.__module__ == "unittest.mock" and kind.__name__ == "_ANY":
            return True
        for names, lies in _COMPARISONS:
            code = next(filter(None, (_code_of(_looked_up(kind, name)) for name in names)), None)
            if code is None:
                continue
            path = self._real(code.co_filename)
            if path not in self._files and not self._is_made(code.co_filename):
                continue
            if re.search(rf"\bclass\s+{kind.__name__}\b", self._originals.get(path, "")):
                continue  # the user's own, which may equal what it likes
            for one, other in (*_STRANGERS, *_neighbours(value)):
                # Of a very large number the neighbours are the number itself.
                if one != other and lies(value, one) and lies(value, other):
                    return True
        return False


def _judges(value: Any, file: str) -> bool:
    """Whether a test may judge by it: a helper of its own, or one of the runner's."""
    if isinstance(value, types.FunctionType) and value.__code__.co_filename == file:
        return True
    return (
        isinstance(value, (type, types.FunctionType))
        and value.__module__.partition(".")[0] in _OF_RUNNER
    )


def _is_callable(value: Any) -> bool:
    return isinstance(value, (type, property, classmethod, staticmethod)) or callable(value)


def _code_of(value: Any) -> types.CodeType | None:
    """The code behind a function, a method, a property or a partial; None for anything else."""
    for _ in range(4):
        if isinstance(value, types.FunctionType):
            return value.__code__
        if isinstance(value, (classmethod, staticmethod, types.MethodType)):
            value = value.__func__
        elif isinstance(value, property):
            value = value.fget
        elif isinstance(value, (functools.partial, functools.partialmethod)):
            value = value.func
        else:
            return None
    return None


def _looked_up(kind: type, name: str) -> Any:
    for each in type.__dict__["__mro__"].__get__(kind):
        found = type.__dict__["__dict__"].__get__(each)
        if name in found:
            return found[name]
    return None


def _leaves(value: Any) -> Iterator[Any]:
    """What is not of Python's plain types in a value, in its containers and attributes."""
    left = [(value, 0)]
    looked_at = 0
    while left and looked_at < MAX_LOOKED_AT:
        each, depth = left.pop()
        looked_at += 1
        if type(each) in _PLAIN:
            continue
        if depth < MAX_DEPTH:
            inner: Iterable[Any] = ()
            if type(each) in _CONTAINERS:
                inner = list(each)[:MAX_LOOKED_AT]
            elif type(each) is dict:
                inner = [*each.keys(), *each.values()][:MAX_LOOKED_AT]
            else:
                with contextlib.suppress(Exception):
                    inner = list(object.__getattribute__(each, "__dict__").values())
            left += [(part, depth + 1) for part in inner]
        if type(each) not in (*_CONTAINERS, dict):
            yield each


def _neighbours(value: Any) -> Iterator[tuple[Any, Any]]:
    """Pairs that are near a value of a plain type's subclass, and unequal to it and each other."""
    if isinstance(value, (int, float)):
        plain: Any = int.__add__(value, 0) if isinstance(value, int) else float.__add__(value, 0.0)
        yield plain + 1, plain + 2
    elif isinstance(value, str):
        yield str.__add__(value, "x"), str.__add__(value, "y")
    elif isinstance(value, bytes):
        yield bytes.__add__(value, b"x"), bytes.__add__(value, b"y")
    elif isinstance(value, list):
        yield list.__add__(value, [1]), list.__add__(value, [2])
    elif isinstance(value, tuple):
        yield tuple.__add__(value, (1,)), tuple.__add__(value, (2,))


def _equals(value: Any, other: Any) -> bool:
    return _holds(lambda: value == other, other)


def _is_below_and_not(value: Any, other: Any) -> bool:
    return _holds(lambda: value < other, other) and _holds(lambda: value >= other, other)


def _is_above_and_not(value: Any, other: Any) -> bool:
    return _holds(lambda: value > other, other) and _holds(lambda: value <= other, other)


def _holds(compare: Callable[[], Any], other: Any) -> bool:
    with contextlib.suppress(Exception):
        result = compare()
        return bool(result) and not _is_an_expression(result, other)
    return False


def _is_an_expression(result: Any, other: Any) -> bool:
    """Whether it is what a query builder makes of a comparison, with the other side in it."""
    if type(result) in (*_PLAIN, *_CONTAINERS, dict):
        return False
    parts: list[Any] = list(result) if isinstance(result, tuple) else []
    with contextlib.suppress(Exception):
        parts += vars(result).values()
    for kind in type(result).__mro__:
        slots = vars(kind).get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            parts.append(getattr(result, name, None))
    return any(each is other for each in parts)


_COMPARISONS: tuple[tuple[tuple[str, ...], Callable[[Any, Any], bool]], ...] = (
    (("__eq__", "__ne__"), _equals),
    (("__lt__", "__ge__"), _is_below_and_not),
    (("__gt__", "__le__"), _is_above_and_not),
)
"""What compares, and when two answers of it are more than can be true."""
