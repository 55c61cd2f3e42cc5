"""Which watched functions are entered, by whom, as seen in the process that runs the tests.

Sent as text like `inside_tests`. A call is compiled into the watched functions as their
first statement; nothing else costs anything. What is noted drives the planning and never
a verdict.
"""

from __future__ import annotations

import ast
import builtins
import contextlib
import functools
import importlib
import importlib.machinery
import inspect
import mmap
import os
import re
import sys
import types
import warnings
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Any

NAME = "__selfheal_entered__"
NOTED = "__selfheal_noted__"
STUB = "__selfheal_stub__"
MAX_PLACES = 400
"""How many places of code that a text names are looked at."""

# No frame is taken for a value of a plain type: a function may be at its last one.
_SHOWN = (
    "__selfheal_value__ if __selfheal_type__(__selfheal_value__ := None) in __selfheal_plain__"
    " else __selfheal_returned__(__selfheal_value__)"
)
_BLOCKS = (ast.stmt, ast.ExceptHandler, ast.match_case)
_STARTS = frozenset(
    {"subprocess.Popen", "os.posix_spawn", "os.exec", "os.spawn", "os.system"}
)  # fmt: skip
_STARTING_MODULES = ("multiprocessing.popen_spawn_posix", "multiprocessing.popen_forkserver")
_STUB_CALLED = re.compile(r"\(([^()\n]+):(\d+)\) is a stub that is not written yet")
_PLACE = re.compile(r'File "([^"\n]+)", line (\d+)|^([^\s:][^:\n]*\.py):(\d+): ', re.MULTILINE)


class Trace:
    """What was entered since the last `begin`, and what each module leaned on at import.

    Beside the names, in order, there is a byte for each function in memory that this
    process shares with those forked from it and, through a file, with other children. The
    supervisor reads it where this process has ended without a word.
    """

    def __init__(self, root: str, keys: list[str], marks: mmap.mmap, imports: Any) -> None:
        self.current: dict[str, None] = {}
        self.at_import: dict[str, dict[str, None]] = {}
        """By the real path of the module whose body ran meanwhile."""
        self._imports = imports
        self._root = os.path.realpath(root) + os.sep
        self._keys = keys
        self._marks = marks
        self.noted: set[int] = set()
        """What need not be told again: code that looks here first takes no frame for it."""
        self.failing: frozenset[int] = frozenset()
        """Functions that call `fail` with their frame, in the place of what they do."""
        self.fail: Callable[[types.FrameType], None] = lambda _: None

    def numbers_of(self, keys: Collection[str]) -> frozenset[int]:
        """The numbers of watched functions."""
        return frozenset(number for number, key in enumerate(self._keys) if key in keys)

    def entered(self, number: int) -> None:
        """A watched function was entered."""
        if number in self.failing:
            self.fail(sys._getframe(1))
            return
        self.noted.add(number)
        self._marks[number] = 1
        key = self._keys[number]
        if key not in self.current:
            self.current[key] = None
            self._note_importers(key)

    def begin(self) -> None:
        """A test begins."""
        self.current = {}
        self.noted.clear()
        self._marks[:] = bytes(len(self._marks))

    @contextlib.contextmanager
    def apart(self) -> Iterator[dict[str, None]]:
        """Note for a while apart as well; what is noted belongs to the whole all the same."""
        self.take_marks()
        outer, self.current = self.current, {}
        inner = self.current
        self.noted.clear()
        try:
            yield inner
        finally:
            self.add(key for key in self._marked() if key not in outer)
            self.current = outer
            self.noted.clear()
            self.add(inner)

    def add(self, keys: Iterable[str]) -> None:
        """These belong to the running test too."""
        for key in keys:
            self.current.setdefault(key)

    def take_marks(self) -> None:
        """Add what other processes have marked meanwhile."""
        self.add(self._marked())

    def _marked(self) -> list[str]:
        found = []
        number = self._marks.find(b"\1")
        while 0 <= number < len(self._keys):
            found.append(self._keys[number])
            number = self._marks.find(b"\1", number + 1)
        return found

    def _note_importers(self, key: str) -> None:
        """Of the modules whose bodies are running, each leans on the function."""
        frame: Any = sys._getframe(1)
        while frame is not None:
            code = frame.f_code
            if code.co_name == "<module>" and not code.co_filename.startswith("<"):
                path = os.path.realpath(code.co_filename)
                if path.startswith(self._root):
                    self.at_import.setdefault(path, {})[key] = None
            frame = frame.f_back

    def leaned_on(self, paths: Iterable[str]) -> list[str]:
        """What was entered when these files, or any that they import, were imported."""
        keys: dict[str, None] = {}
        for path in self._imports.reached_from(paths) if self.at_import else ():
            keys.update(self.at_import.get(path, {}))
        return list(keys)

    def leaned_on_in(self, function: Any) -> list[str]:
        """What was entered when the modules were imported that a test's own lines import."""
        return self.leaned_on(self._imports.imported_in(function) if self.at_import else ())


class Tracer:
    """Compiles a call into each watched function, when its module is imported.

    An `@heal` stub is given the body that its stand-in would have, which the marker takes
    for a written one: so it raises and tells under whatever decorators, of which some hide
    the function from the marker. Where a module is not compiled here, the stand-in tells
    through `pytest_selfheal.marker.entered`.
    """

    def __init__(
        self,
        root: str,
        cwd: str,
        watch: list[dict[str, Any]],
        marks: mmap.mmap,
        modules: dict[str, types.ModuleType],
    ) -> None:
        """Take what is to be watched; `modules` are those made of the other texts."""
        self._root = os.path.realpath(root) + os.sep
        self._cwd = cwd
        self._keys = [each["key"] for each in watch]
        self._numbers: dict[tuple[str, int], int] = {}
        self._compiled_in: set[tuple[str, int]] = set()
        for number, each in enumerate(watch):
            place = os.path.realpath(os.path.join(root, each["path"])), each["first_line"]
            self._numbers[place] = number
            if each["compiled_in"]:
                self._compiled_in.add(place)
        self.files = {path for path, _ in self._numbers}
        self.texts: dict[str, bytes] = {}
        """The texts of modules whose assertions were rewritten, by their real paths."""
        self.change_tests: Callable[[ast.Module], None] = lambda _: None
        """Called with each such module before that."""
        self.looks_at_returned = False
        """Whether values that watched functions return are shown to `inside_walls`."""
        self._unawaited: set[int] = set()
        self._spans: dict[str, list[tuple[int, int, str]]] = {}
        self._children_module = modules["children"]
        self.trace = Trace(root, self._keys, marks, modules["imports"].Imports(root))

    def install(self, child_source: str, marks_file: str) -> None:
        """Hook into the imports of this process, and into the starts of others.

        Args:
            child_source: The text of `inside_child`.
            marks_file: The file that holds the marks.
        """
        from _pytest.assertion import rewrite

        setattr(builtins, NAME, self.trace.entered)
        setattr(builtins, NOTED, self.trace.noted)
        setattr(builtins, STUB, self._stub_entered)
        warn = warnings._warn_unawaited_coroutine  # type: ignore[attr-defined]  # by the interpreter

        def warn_unawaited_coroutine(coroutine: Any) -> None:
            if id(coroutine) in self._unawaited:
                self._unawaited.discard(id(coroutine))  # noted while it was alive
            else:
                self._never_awaited(coroutine)
            warn(coroutine)

        warnings._warn_unawaited_coroutine = warn_unawaited_coroutine  # type: ignore[attr-defined]
        with contextlib.suppress(ImportError):
            marker = importlib.import_module("pytest_selfheal.marker")
            marker.entered = self._stub_called  # type: ignore[attr-defined]
        loader = importlib.machinery.SourceFileLoader
        cached_code = loader.get_code

        def get_code(this: Any, fullname: str) -> Any:
            path = this.get_filename(fullname)
            if not os.path.realpath(path).startswith(self._root) or "site-packages" in path:
                return cached_code(this, fullname)
            # From source: cached bytecode is neither traced nor to be trusted.
            return this.source_to_code(self._instrumented(this.get_data(path), path), path)

        loader.get_code = get_code  # type: ignore[method-assign, assignment]
        plain_rewrite = rewrite.rewrite_asserts

        def rewrite_asserts(mod: ast.Module, source: bytes, *rest: Any, **more: Any) -> None:
            path = rest[0] if rest else more.get("module_path")
            real = os.path.realpath(path) if path is not None else ""
            self.texts.setdefault(real, source)
            self.change_tests(mod)
            if real in self.files:
                self.instrument(mod, real)
                self._look_at_returned(mod, real)
            plain_rewrite(mod, source, *rest, **more)

        rewrite.rewrite_asserts = rewrite_asserts
        rewrite._read_pyc = lambda *_: None
        if self.files:
            self._children_module.choose_cache(self.files)
            call = f"{child_source}\ninstall({marks_file!r}, STUBS)\n"
            children = self._children_module.Children(
                self.files, self.instrument, self.stubs_in, call
            )
            sys.addaudithook(functools.partial(_watch_starts, children))

    def note_unawaited(self, error: BaseException) -> None:
        """Note the coroutines that a failure left unawaited: it may keep them alive for long."""
        traceback = error.__traceback__
        while traceback is not None:
            for value in list(traceback.tb_frame.f_locals.values()):
                for each in (value, *_attributes(value)):
                    if isinstance(each, types.CoroutineType) and (
                        inspect.getcoroutinestate(each) == inspect.CORO_CREATED
                    ):
                        self._unawaited.add(id(each))
                        self._never_awaited(each)
            traceback = traceback.tb_next

    def _never_awaited(self, coroutine: Any) -> None:
        """Its body was never entered: an asynchronous generator's, with nothing to yield."""
        with contextlib.suppress(Exception):
            self._stub_called(_code_of(coroutine))

    def named_in(self, text: str) -> list[str]:
        """The watched functions that a failure's text names as where it happened."""
        found: dict[str, None] = {}
        for match in _STUB_CALLED.finditer(text):
            number = self._numbers.get((self._real(match[1]), int(match[2])))
            if number is not None:
                found[self._keys[number]] = None
        for count, match in enumerate(_PLACE.finditer(text)):
            if count == MAX_PLACES:
                break
            path = self._real(match[1] or match[3])
            line = int(match[2] or match[4])
            for first, last, key in self._spans_of(path):
                if first <= line <= last:
                    found[key] = None
        return list(found)

    def _real(self, path: str) -> str:
        return os.path.realpath(os.path.join(self._cwd, path))

    def _spans_of(self, path: str) -> list[tuple[int, int, str]]:
        """The lines of each watched function's body in a file."""
        if path not in self.files:
            return []
        if path not in self._spans:
            spans = []
            with contextlib.suppress(OSError, SyntaxError, ValueError, RecursionError):
                with open(path, "rb") as file:
                    tree = ast.parse(file.read(), path)
                for node, number in self._watched_in(tree, path):
                    last = node.end_lineno or node.lineno
                    spans.append((node.body[0].lineno, last, self._keys[number]))
            self._spans[path] = spans
        return self._spans[path]

    def stubs_in(self, path: str) -> dict[tuple[str, int], int]:
        """Where the `@heal` stubs of a file begin, with their numbers."""
        return {
            place: number
            for place, number in self._numbers.items()
            if place[0] == path and place not in self._compiled_in
        }

    def _instrumented(self, data: bytes, path: str) -> Any:
        real = os.path.realpath(path)
        if real not in self.files:
            return data
        tree = ast.parse(data, path)
        self.instrument(tree, real)
        self._look_at_returned(tree, real)
        return tree

    def instrument(self, tree: ast.Module, path: str) -> None:
        """Put the calls into a module's watched functions."""
        for node, number in self._watched_in(tree, path):
            if (path, _first_line(node)) in self._compiled_in:
                # A test of how deep a function may call itself has no frame to spare.
                text = f"if {number} not in {NOTED}: {NAME}({number})"
            else:
                name = self._keys[number].rpartition("::")[2].partition("#")[0]
                place = f"{name!r}, {path!r}, {_first_line(node)}"
                text = f"__tracebackhide__ = True; {STUB}({number}, __name__, {place})"
            added = ast.parse(text).body
            for part in (each for statement in added for each in ast.walk(statement)):
                ast.copy_location(part, node.body[0])
            start = int(ast.get_docstring(node, clean=False) is not None)
            node.body[start:start] = added

    def _look_at_returned(self, tree: ast.Module, path: str) -> None:
        """Have what watched functions return looked at, but for values of plain types."""
        for node, _ in self._watched_in(tree, path) if self.looks_at_returned else ():
            if (path, _first_line(node)) in self._compiled_in:
                for each in _returns(node):
                    shown = ast.parse(_SHOWN, mode="eval").body
                    for part in ast.walk(shown):
                        ast.copy_location(part, each.value)
                        if isinstance(part, ast.NamedExpr):
                            part.value = each.value
                    each.value = shown

    def _stub_entered(self, number: int, module: str, name: str, path: str, line: int) -> None:
        __tracebackhide__ = True
        self.trace.entered(number)
        marker: Any = importlib.import_module("pytest_selfheal.marker")
        raise marker.StubCalled(f"{module}.{name}", path, line)

    def _watched_in(
        self, tree: ast.Module, path: str
    ) -> Iterator[tuple[ast.FunctionDef | ast.AsyncFunctionDef, int]]:
        for node in list(ast.walk(tree)):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                number = self._numbers.get((path, _first_line(node)))
                if number is not None:
                    yield node, number

    def _stub_called(self, code: Any) -> None:
        number = self._numbers.get((os.path.realpath(code.co_filename), code.co_firstlineno))
        if number is not None:
            self.trace.entered(number)


def _returns(function: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[Any]:
    """The statements in a function that return something that is not written out."""
    left: list[ast.AST] = list(function.body)
    while left:
        node = left.pop()
        if isinstance(node, ast.Return) and node.value is not None:
            if not isinstance(node.value, ast.Constant):
                yield node
        elif not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            left += [each for each in ast.iter_child_nodes(node) if isinstance(each, _BLOCKS)]


def _watch_starts(children: Any, event: str, arguments: tuple[Any, ...]) -> None:
    """Prepare for a child before it starts: an audit hook."""
    if event in _STARTS or (event == "import" and arguments[0] in _STARTING_MODULES):
        # What a child enters is worth no failed test.
        with contextlib.suppress(Exception):
            children.prepare()


def _attributes(value: Any) -> list[Any]:
    with contextlib.suppress(Exception):
        return list(object.__getattribute__(value, "__dict__").values())
    return []


def _code_of(coroutine: Any) -> Any:
    """The code that a coroutine would have run, be it behind an `@heal` stub's stand-in."""
    call = coroutine.cr_frame.f_locals.get("call")
    if call is not None and call.__module__ == "pytest_selfheal.marker":
        return call.__closure__[call.__code__.co_freevars.index("code")].cell_contents
    return coroutine.cr_code


def _first_line(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    return min([node.lineno, *(each.lineno for each in node.decorator_list)])
