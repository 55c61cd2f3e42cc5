"""`heal`, which marks a definition as a stub, and what calling an unhealed stub raises.

Production code imports this, so it imports nothing itself: neither `typing` nor
`functools` nor `inspect`. Whether a body is trivial is read off the compiled code.
"""

from __future__ import annotations

TYPE_CHECKING = False  # the type checkers know the name; `typing` would double the import
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import CodeType, FunctionType
    from typing import Any, TypeVar, overload

    T = TypeVar("T")
else:
    FunctionType = type(lambda: None)

    def overload(function):
        return function


entered: Callable[[CodeType], None] | None = None
"""Told the code object of each stub that is called, before `StubCalled` is raised."""


class StubCalled(NotImplementedError):
    """A stub was called that nothing has healed yet.

    Its arguments are the stub's dotted name, its file and its line.
    """

    __module__ = "pytest_selfheal"  # as it is imported, and as tracebacks are to name it

    def __init__(self, name: str, file: str, line: int) -> None:
        super().__init__(name, file, line)
        self.name = name
        self.file = file
        self.line = line

    def __str__(self) -> str:
        return (
            f"{self.name} ({self.file}:{self.line}) is a stub that is not written yet: "
            "run `pytest --selfheal` to have it healed from its failing tests"
        )


@overload
def heal(
    definition: T, /, *, hint: str | None = ..., attempts: int | None = ..., keep: bool = ...
) -> T: ...


@overload
def heal(  # noqa: F811  # ruff knows only `typing.overload` by its import
    *, hint: str | None = ..., attempts: int | None = ..., keep: bool = ...
) -> Callable[[T], T]: ...


def heal(  # noqa: F811
    definition: Any = None,
    /,
    *,
    hint: str | None = None,
    attempts: int | None = None,
    keep: bool = False,
) -> Any:
    """Mark a function, a method or a class (every stub method in it) as one to be healed.

    A stub (a body of docstring, `...`, `pass` or `raise NotImplementedError` alone) comes
    back as a function of the same name and signature that raises `StubCalled`; a
    definition with a real body comes back as it is. The options are read from the source
    and have to be literals there.

    Args:
        definition: What is decorated, where `heal` is used without parentheses.
        hint: A sentence or two for the model beside the docstring and the tests.
        attempts: How many replies of the model to try, instead of the run's number.
        keep: Leave the marker in place after a green heal.

    Raises:
        TypeError: An option, or what is decorated, has the wrong type.
        ValueError: `attempts` is below 1.
    """
    _check_options(hint, attempts, keep)
    return _mark if definition is None else _mark(definition)


def _check_options(hint: object, attempts: object, keep: object) -> None:
    if hint is not None and not isinstance(hint, str):
        raise TypeError(f"heal: hint={hint!r} is no string: write the hint as text")
    if attempts is not None:
        if not isinstance(attempts, int) or isinstance(attempts, bool):
            raise TypeError(f"heal: attempts={attempts!r} is no integer: give a number from 1 up")
        if attempts < 1:
            raise ValueError(f"heal: attempts={attempts!r} is below 1: give a number from 1 up")
    if not isinstance(keep, bool):
        raise TypeError(f"heal: keep={keep!r} is neither True nor False: give one of them")


# --- what can be decorated -------------------------------------------------------------


def _mark(definition: Any) -> Any:
    """Give what stands in for a definition: itself, unless it is a stub or holds one."""
    if isinstance(definition, (staticmethod, classmethod)):
        inner = definition.__func__
        marked = _mark(inner)
        return definition if marked is inner else type(definition)(marked)
    if isinstance(definition, property):
        return _mark_property(definition)
    if isinstance(definition, type):
        return _mark_class(definition)
    if not callable(definition) and not hasattr(definition, "__get__"):
        raise TypeError(
            f"heal: {definition!r} is no function, method or class: "
            "write @heal, or @heal(hint='…') with options by name"
        )
    if _is_cached_property(definition):
        definition.func = _mark(definition.func)
        return definition
    inner = _innermost(definition)
    if inner is None or _is_wrapper(definition) or not _is_trivial(inner.__code__):
        return definition
    return _stand_in(definition, inner)


def _mark_property(definition: property) -> property:
    """Mark the accessor that was defined last: the one that the decorator stands above."""
    lines = {
        inner.__code__.co_firstlineno: (kind, accessor)
        for kind, accessor in _accessors(definition)
        if (inner := _innermost(accessor)) is not None
    }
    return _with_accessor(definition, *lines[max(lines)]) if lines else definition


def _accessors(definition: property) -> Iterator[tuple[str, Any]]:
    for kind, accessor in (
        ("getter", definition.fget),
        ("setter", definition.fset),
        ("deleter", definition.fdel),
    ):
        if accessor is not None:
            yield kind, accessor


def _with_accessor(definition: property, kind: str, accessor: Any) -> property:
    marked = _mark(accessor)
    if marked is accessor:
        return definition
    changed: property = getattr(definition, kind)(marked)
    if type(definition) is not property:
        # It was made anew from its functions alone; a kind of its own may know more.
        getattr(changed, "__dict__", {}).update(getattr(definition, "__dict__", {}))
    return changed


def _mark_class(cls: type) -> type:
    """Mark every stub method written in a class's body, nested classes' included."""
    if vars(cls).get("_is_protocol"):  # its bodies are empty for good
        return cls
    for name, member in list(vars(cls).items()):
        marked = _mark_member(cls, member)
        if marked is not member:
            # Not setattr: a metaclass may refuse it, an enum's for one.
            type.__setattr__(cls, name, marked)
    return cls


def _mark_member(cls: type, member: Any) -> Any:
    if isinstance(member, type):
        nested = member.__qualname__.startswith(f"{cls.__qualname__}.")
        return _mark_class(member) if nested and member.__module__ == cls.__module__ else member
    if isinstance(member, property):
        for kind, accessor in _accessors(member):
            if _is_written_in(cls, accessor):
                member = _with_accessor(member, kind, accessor)
        return member
    if _is_cached_property(member):
        return _mark(member) if _is_written_in(cls, member.func) else member
    return _mark(member) if _is_written_in(cls, member) else member


def _is_written_in(cls: type, member: Any) -> bool:
    """Tell a method of the class's body from an alias, a generated one and an abstract one."""
    inner = _innermost(getattr(member, "__func__", member))
    return (
        inner is not None
        and inner.__qualname__.startswith(f"{cls.__qualname__}.")
        and not inner.__code__.co_filename.startswith("<")  # dataclasses compile such
        and not getattr(member, "__isabstractmethod__", False)
    )


def _is_cached_property(definition: Any) -> bool:
    """Recognise `functools.cached_property` and its likes without importing them."""
    return (
        type(definition).__name__ == "cached_property"
        and isinstance(getattr(definition, "func", None), FunctionType)
        and not isinstance(definition, FunctionType)
    )


def _innermost(definition: Any) -> Any:
    """Give the function behind a chain of `__wrapped__`, or `None` if no function is."""
    for _ in range(100):  # a chain may be a circle
        inner = getattr(definition, "__wrapped__", None)
        if inner is None:
            break
        definition = inner
    return definition if isinstance(definition, FunctionType) else None


# --- the stand-in ----------------------------------------------------------------------


def _stand_in(definition: Any, stub: FunctionType) -> FunctionType:
    """Make the function that stands for a stub, or for a stub with decorators around it."""
    code = stub.__code__

    def call() -> None:
        __tracebackhide__ = True
        if entered is not None:
            entered(code)
        name = f"{stub.__module__}.{stub.__qualname__}"
        raise StubCalled(name, code.co_filename, code.co_firstlineno)

    outer_code = getattr(definition, "__code__", None)
    if outer_code is not None and outer_code.co_flags & _COROUTINE:

        async def stand_in(*args: object, **kwargs: object) -> None:
            __tracebackhide__ = True
            call()

    else:

        def stand_in(*args: object, **kwargs: object) -> None:  # type: ignore[misc]
            __tracebackhide__ = True
            call()

    _dress(stand_in, definition)
    return stand_in  # type: ignore[return-value]


def _dress(stand_in: Any, definition: Any) -> None:
    """Do what `functools.wraps` does, and keep the methods of an `lru_cache` and the like."""
    annotate = "__annotate__" if hasattr(definition, "__annotate__") else "__annotations__"
    for name in ("__module__", "__name__", "__qualname__", "__doc__", "__type_params__", annotate):
        if hasattr(definition, name):
            setattr(stand_in, name, getattr(definition, name))
    if not isinstance(definition, FunctionType):
        for name in dir(type(definition)):
            if not name.startswith("_") and hasattr(definition, name):
                stand_in.__dict__[name] = getattr(definition, name)
    stand_in.__dict__.update(getattr(definition, "__dict__", {}))
    stand_in.__wrapped__ = definition


def _is_wrapper(definition: Any) -> bool:
    """Whether it is a stand-in of ours already: its class may be marked too."""
    code = getattr(definition, "__code__", None)
    return code is not None and code.co_filename == heal.__code__.co_filename


# --- what a trivial body compiles to ---------------------------------------------------

_COROUTINE = 0x80  # inspect.CO_COROUTINE
_GENERATORS = 0x20 | 0x200  # inspect.CO_GENERATOR and CO_ASYNC_GENERATOR

_DOES_NOTHING = "pass"
_TRIVIAL_BODIES = (
    _DOES_NOTHING,
    "raise NotImplementedError",
    "raise NotImplementedError()",
    "raise NotImplementedError('message')",
    "raise NotImplementedError from None",
    "raise NotImplementedError() from None",
    "raise NotImplementedError('message') from None",
)

_shapes: dict[tuple[bool, bytes], str] = {}


def _is_trivial(code: CodeType) -> bool:
    """Whether a function's body is docstring, `...`, `pass`, `raise NotImplementedError`.

    Decided by comparing its instructions with those that this very interpreter makes of
    such bodies, so that no version's bytecode has to be known here.
    """
    arguments = code.co_argcount + code.co_kwonlyargcount
    arguments += bool(code.co_flags & 0x04) + bool(code.co_flags & 0x08)  # *args, **kwargs
    if (
        code.co_flags & _GENERATORS
        or code.co_nlocals != arguments
        or code.co_freevars
        or code.co_cellvars
        or code.co_name == "<lambda>"
        or code.co_names not in ((), ("NotImplementedError",))
    ):
        return False
    body = _known_shapes().get((bool(code.co_flags & _COROUTINE), _shape(code)))
    if body != _DOES_NOTHING:
        return body is not None
    return None in code.co_consts and not code.co_names and not _returns_in_words(code)


def _known_shapes() -> dict[tuple[bool, bytes], str]:
    if not _shapes:
        for prefix in ("", "async "):
            for body in _TRIVIAL_BODIES:
                module = compile(f"{prefix}def f():\n {body}\n", "<shape>", "exec")
                code = next(const for const in module.co_consts if hasattr(const, "co_code"))
                _shapes[bool(prefix), _shape(code)] = body
    return _shapes


def _shape(code: CodeType) -> bytes:
    """Give the operations without arguments, caches, and the no-ops that `pass` leaves."""
    from opcode import opmap

    left_out = (opmap["NOP"], opmap.get("CACHE"))
    return bytes(operation for operation in code.co_code[::2] if operation not in left_out)


def _returns_in_words(code: CodeType) -> bool:
    """Whether a function that does nothing says so with `return`, which is a real body.

    `return None` compiles to what `pass` compiles to, so the line itself is looked at; a
    function without a readable file is taken for a stub.
    """
    line_number = [line for _, _, line in code.co_lines() if line is not None][-1]
    try:
        with open(code.co_filename, "rb") as file:  # noqa: PTH123  # pathlib is slow to import
            line = next((text for n, text in enumerate(file, 1) if n == line_number), b"")
    except OSError:
        return False
    statements = line.split(b"#")[0].replace(b":", b";").replace(b"(", b" ").split(b";")
    return any(statement.split()[:1] in ([b"return"], [b"None"]) for statement in statements)
