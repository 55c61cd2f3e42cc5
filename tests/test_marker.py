"""What `heal` makes of each kind of definition, and that it costs nothing to import."""

from __future__ import annotations

import abc
import ast
import asyncio
import dataclasses
import enum
import functools
import inspect
import pickle
import subprocess
import sys
import types
import typing
from importlib import metadata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import pytest_selfheal
from pytest_selfheal import StubCalled, heal, marker
from pytest_selfheal.source.parsing import is_trivial_body

ROOT = str(Path(pytest_selfheal.__file__).parents[1])


def made(tmp_path, source, name="made"):
    """Import a module of this source; a file is behind it, as with any module of a project."""
    file = tmp_path / f"{name}.py"
    file.write_bytes(source.encode())
    module = types.ModuleType(name)
    module.__file__ = str(file)
    exec(compile(file.read_bytes(), str(file), "exec"), module.__dict__)
    return module


TRIVIAL = {
    "ellipsis": "...",
    "pass": "pass",
    "docstring": '"""Doc."""',
    "docstring-over-lines": '"""Doc.\n\n    return None here\n    """',
    "docstring-and-ellipsis": '"""Doc."""\n    ...',
    "docstring-and-pass": '"""Doc."""; pass',
    "raise": "raise NotImplementedError",
    "raise-called": "raise NotImplementedError()",
    "raise-message": 'raise NotImplementedError("later")',
    "raise-joined-message": 'raise NotImplementedError("la" "ter")',
    "raise-from": "raise NotImplementedError from None",
    "raise-message-from": 'raise NotImplementedError("later") from None',
    "all-together": '"""Doc."""\n    pass\n    ...\n    raise NotImplementedError("later")',
    "raise-then-pass": "raise NotImplementedError\n    pass",
    "two-strings": '"""Doc."""\n    "more"',
}
REAL = {
    "return-none": "return None",
    "bare-return": "return",
    "docstring-and-return": '"""Doc."""\n    return None',
    "return-with-comment": "return None  # pass: nothing",
    "pass-then-return": "pass; return",
    "return-number": "return 5",
    "return-text": 'return "Doc."',
    "return-its-docstring": '"Doc."; return "Doc."',
    "return-not-implemented": "return NotImplemented",
    "raise-other": "raise ValueError",
    "raise-other-message": 'raise TypeError("later")',
    "raise-from-cause": "raise NotImplementedError from a",
    "raise-with-argument": "raise NotImplementedError(a)",
    "raise-if": "if a: raise NotImplementedError",
    "assignment": "x = a",
    "expression": "a",
    "assert": "assert a",
    "yield": "yield",
    "dead-yield": "raise NotImplementedError\n    yield",
    "loop": "while True: pass",
    "import": "import os",
    "nested": "def inner(): ...",
    "lookup": "NotImplementedError",
}
CASES = [
    pytest.param(body, is_trivial, id=name)
    for bodies, is_trivial in ((TRIVIAL, True), (REAL, False))
    for name, body in bodies.items()
]


@pytest.mark.parametrize("prefix", ["", "async "], ids=["sync", "async"])
@pytest.mark.parametrize(("body", "is_trivial"), CASES)
def test_a_trivial_body_is_recognised_in_code_and_in_source(tmp_path, prefix, body, is_trivial):
    source = f"{prefix}def f(a, *b, c=1, **d):\n    {body}\n"
    function = made(tmp_path, source).f
    assert (heal(function) is not function) == is_trivial
    assert is_trivial_body(ast.parse(source).body[0].body) == is_trivial


statements = st.sampled_from(
    [
        *("...", "pass", "'text'", "raise NotImplementedError", "raise NotImplementedError()"),
        *("raise NotImplementedError('m')", "raise NotImplementedError('m') from None"),
        *("return", "return None", "return a", "return 0", "raise KeyError", "a", "b = a", "yield"),
        *("return NotImplemented", "del a", "global g; g = 1", "for a in b: ...", "assert a, b"),
    ]
)


@given(
    body=st.lists(statements, min_size=1, max_size=4),
    arguments=st.sampled_from(["", "a", "a, b=1", "*a, b", "**a", "a, /, *b, c"]),
    is_async=st.booleans(),
    has_docstring=st.booleans(),
)
def test_code_and_source_agree_on_any_body(
    tmp_path_factory, body, arguments, is_async, has_docstring
):
    lines = ['"""Doc."""'] * has_docstring + body
    prefix = "async " if is_async else ""
    source = f"{prefix}def f({arguments}):\n" + "".join(f"    {line}\n" for line in lines)
    in_source = is_trivial_body(ast.parse(source).body[0].body)
    try:
        function = made(tmp_path_factory.mktemp("made"), source).f
    except SyntaxError:  # `global` after use and the like: no module to import
        return
    # What follows a return or raise is gone from the code, whatever the source says.
    ends = next((n for n, line in enumerate(lines) if line.startswith(("return", "raise"))), None)
    if in_source or ends in (None, len(lines) - 1):
        assert (heal(function) is not function) == in_source


def test_a_stub_raises_naming_itself_and_the_way_to_heal_it(tmp_path):
    stub = heal(made(tmp_path, "\n\ndef due(amount):\n    ...\n", name="ledger").due)
    pattern = r"ledger\.due \(.*ledger\.py:3\) is a stub .* run `pytest --selfheal`"
    with pytest.raises(StubCalled, match=pattern) as caught:
        stub(1)
    assert isinstance(caught.value, NotImplementedError)
    assert (caught.value.name, caught.value.line) == ("ledger.due", 3)


def test_stub_called_survives_pickling():
    error = pickle.loads(pickle.dumps(StubCalled("a.b", "a.py", 7)))
    assert str(error) == str(StubCalled("a.b", "a.py", 7))
    assert error.line == 7


def test_a_living_function_comes_back_as_it_is():
    def f():
        return 1

    assert heal(f) is f
    assert heal(hint="any", attempts=3, keep=True)(f) is f


def test_a_function_without_a_readable_file_counts_as_a_stub():
    namespace: dict[str, typing.Any] = {}
    exec("def f(): return None", namespace)
    assert heal(namespace["f"]) is not namespace["f"]


def test_a_lambda_is_left_alone():
    f = lambda: None  # noqa: E731
    assert heal(f) is f


def test_the_stand_in_looks_like_the_stub():
    def f(a: int, b: str = "x", *, c: float = 1.0) -> bool:
        """Doc."""

    f.tag = "kept"
    stub = heal(f)
    assert stub is not f
    assert (stub.__name__, stub.__doc__, stub.__module__) == ("f", "Doc.", __name__)
    assert stub.__qualname__ == f.__qualname__
    assert stub.__wrapped__ is f
    assert stub.tag == "kept"
    assert inspect.signature(stub) == inspect.signature(f)
    assert stub.__annotations__ == f.__annotations__


def test_an_async_stub_is_a_coroutine_function():
    @heal
    async def f() -> int: ...

    assert inspect.iscoroutinefunction(f)
    with pytest.raises(StubCalled, match=r"f \("):
        asyncio.run(f())


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
def test_entering_a_stub_is_told_with_its_own_code(monkeypatch, is_async):
    if is_async:

        async def f(): ...
    else:

        def f(): ...

    told = []
    monkeypatch.setattr(marker, "entered", told.append)
    with pytest.raises(StubCalled):
        asyncio.run(heal(f)()) if is_async else heal(f)()
    assert told == [f.__code__]


class Plain:
    @heal
    def method(self): ...

    @heal
    @staticmethod
    def static(): ...

    @staticmethod
    @heal
    def inner_static(): ...

    @heal
    @classmethod
    def klass(cls): ...

    @heal
    @property
    def prop(self): ...

    @heal
    @functools.cached_property
    def cached(self): ...

    @heal
    @functools.lru_cache  # noqa: B019
    def remembered(self): ...

    @property
    def half(self):
        return 1

    @heal
    @half.setter
    def half(self, value): ...

    @heal
    def __new__(cls): ...


@pytest.mark.parametrize(
    "use",
    [
        pytest.param(lambda one: one.method(), id="method"),
        pytest.param(lambda one: one.static(), id="staticmethod"),
        pytest.param(lambda one: one.inner_static(), id="below-staticmethod"),
        pytest.param(lambda one: type(one).klass(), id="classmethod"),
        pytest.param(lambda one: one.prop, id="property"),
        pytest.param(lambda one: one.cached, id="cached-property"),
        pytest.param(lambda one: one.remembered(), id="lru-cache"),
        pytest.param(lambda one: setattr(one, "half", 2), id="setter"),
        pytest.param(lambda one: Plain(), id="new"),
    ],
)
def test_every_kind_of_method_can_be_marked(use):
    with pytest.raises(StubCalled, match=r"Plain\.\w+ \("):
        use(object.__new__(Plain))


def test_a_setters_mark_leaves_the_getter_alone():
    assert object.__new__(Plain).half == 1


def test_a_setters_mark_leaves_an_unmarked_empty_getter_alone():
    class One:
        @property
        def value(self): ...

        @heal
        @value.setter
        def value(self, new): ...

    assert One().value is None
    with pytest.raises(StubCalled):
        One().value = 1


def test_descriptors_keep_their_types():
    assert isinstance(vars(Plain)["static"], staticmethod)
    assert isinstance(vars(Plain)["klass"], classmethod)
    assert isinstance(vars(Plain)["prop"], property)
    assert isinstance(vars(Plain)["cached"], functools.cached_property)
    Plain.remembered.cache_clear()


def helper(self): ...


@heal
class Marked:
    """Every kind of method, stubs and living ones."""

    limit = 3
    borrowed = helper

    def stub(self): ...

    def living(self):
        return self.limit

    @property
    def both(self): ...

    @both.setter
    def both(self, value):
        self.set_to = value

    @classmethod
    def klass(cls): ...

    @functools.cached_property
    def cached(self): ...

    @heal(attempts=2)
    def own(self): ...

    def empty_on_purpose(self): ...

    empty_on_purpose.__isabstractmethod__ = True  # as @abstractmethod has it

    class Inner:
        def deep(self): ...

    Alias = types.SimpleNamespace


@pytest.mark.parametrize(
    "use",
    [
        pytest.param(lambda one: one.stub(), id="method"),
        pytest.param(lambda one: one.both, id="property"),
        pytest.param(lambda one: type(one).klass(), id="classmethod"),
        pytest.param(lambda one: one.cached, id="cached-property"),
        pytest.param(lambda one: one.own(), id="marked-itself"),
        pytest.param(lambda one: one.Inner().deep(), id="nested-class"),
    ],
)
def test_a_marked_class_stands_for_its_stub_methods(use):
    with pytest.raises(StubCalled, match=r"Marked\.\w+"):
        use(object.__new__(Marked))


def test_a_marked_class_leaves_everything_else_alone():
    one = object.__new__(Marked)
    one.both = 4
    assert (one.living(), one.set_to, one.borrowed()) == (3, 4, None)
    assert one.empty_on_purpose() is None
    assert Marked.Alias is types.SimpleNamespace
    assert Marked.own.__wrapped__.__code__.co_name == "own"


def test_generated_and_protocol_methods_of_marked_classes_stay():
    @heal
    @dataclasses.dataclass
    class Empty:
        pass

    @heal
    class Port(typing.Protocol):
        def use(self): ...

    @heal
    class Colour(enum.Enum):
        RED = 1

        def paint(self): ...

    assert Empty() == Empty()
    assert not hasattr(Port.use, "__wrapped__")
    with pytest.raises(StubCalled):
        Colour.RED.paint()


def test_an_abstract_stub_stays_abstract():
    class Base(abc.ABC):
        @heal
        @abc.abstractmethod
        def f(self): ...

    assert Base.__abstractmethods__ == {"f"}


def test_a_stub_is_wrapped_once():
    def f(): ...

    once = heal(f)
    assert heal(once) is once


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        pytest.param({"hint": 3}, TypeError, "hint=3 is no string", id="hint"),
        pytest.param({"attempts": "3"}, TypeError, "attempts='3' is no integer", id="text"),
        pytest.param({"attempts": True}, TypeError, "attempts=True is no integer", id="bool"),
        pytest.param({"attempts": 0}, ValueError, "attempts=0 is below 1", id="zero"),
        pytest.param({"keep": 1}, TypeError, "keep=1 is neither True nor False", id="keep"),
        pytest.param({"tries": 1}, TypeError, "tries", id="unknown"),
    ],
)
def test_bad_options_are_named_where_they_stand(options, error, message):
    with pytest.raises(error, match=message):
        heal(**options)


@pytest.mark.parametrize("what", ["a hint", 3, ["f"]], ids=["text", "number", "list"])
def test_only_definitions_can_be_marked(what):
    with pytest.raises(TypeError, match="is no function, method or class: write @heal"):
        heal(what)


@pytest.mark.parametrize(
    "other",
    [functools.partial(print), len, print, types.SimpleNamespace.__init__],
    ids=["partial", "builtin", "print", "slot-wrapper"],
)
def test_other_callables_come_back_as_they_are(other):
    assert heal(other) is other


def test_the_version_is_the_packages():
    try:
        expected = metadata.version("pytest-selfheal")
    except metadata.PackageNotFoundError:  # run from a checkout that is not installed
        with pytest.raises(metadata.PackageNotFoundError):
            _ = pytest_selfheal.__version__
    else:
        assert pytest_selfheal.__version__ == expected
    with pytest.raises(AttributeError, match="no attribute 'versoin'"):
        _ = pytest_selfheal.versoin


def test_importing_the_marker_imports_nothing_else():
    script = (
        "import sys; before = set(sys.modules); import pytest_selfheal; "
        "print(*sorted(set(sys.modules) - before))"
    )
    run = subprocess.run(
        [sys.executable, "-I", "-S", "-c", f"import sys; sys.path.insert(0, {ROOT!r}); {script}"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout.split() == ["__future__", "pytest_selfheal", "pytest_selfheal.marker"]


def test_a_property_of_a_kind_of_its_own_keeps_what_it_knows():
    class WithDefault(property):
        def __init__(self, fget=None, fset=None, fdel=None, doc=None, default=None):
            super().__init__(fget, fset, fdel, doc)
            self.default = default

        def __get__(self, instance, owner=None):
            return self.default if instance is None else super().__get__(instance, owner)

    def size(self): ...

    class Box:
        width = heal(WithDefault(size, default="wide"))

    assert Box.width == "wide"
    with pytest.raises(StubCalled):
        Box().width  # noqa: B018
