"""Every kind of definition, emptied and given its own body back: nothing is different then.

`benchmarks.stdlib_round_trip` makes a module's functions marked stubs, finds them, reads a
reply with each one's own definition and rewrites the file. Here it is held over a table of
kinds, over modules that Hypothesis makes up, and over a part of the standard library.
"""

from __future__ import annotations

import re
import sys
import sysconfig
import textwrap
from pathlib import Path
from types import CodeType

import pytest
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st

from benchmarks import stdlib_round_trip
from benchmarks.stdlib_round_trip import (
    FORMS,
    emptied,
    functions_of,
    library_files,
    piece_for,
    round_trip,
)
from pytest_selfheal.source.edit import rewrite
from pytest_selfheal.source.find import find_in_source, locate
from pytest_selfheal.source.parsing import UnparsableError, parse

PATH = "src/app/mod.py"

KINDS = {
    "function": """\
        import os

        def f(x, y=1):
            '''Doc.'''
            # why
            return x + y  # so

        x = 1
        """,
    "async function": """\
        async def f(x):
            async with x as y:
                return await y
        async def g(x):
            async for y in x:
                yield y
        """,
    "generator": """\
        def f(xs):
            for x in xs:
                got = yield x
            yield from xs
            return got
        """,
    "methods": """\
        class A(object):
            limit = 3

            # about f
            def f(self):
                return self.limit

            @staticmethod
            def g(x): return x

            @classmethod
            def h(cls, *args, **kwargs):
                '''Doc.'''

                return cls(*args, **kwargs)
            # below

            def __init_subclass__(cls, /, **more):
                super().__init_subclass__(**more)
        """,
    "property with setter and deleter": """\
        class A:
            @property
            def p(self):
                return self._p

            @p.setter
            def p(self, value):
                self._p = value

            @p.deleter
            def p(self):
                del self._p

            q = property(lambda self: 1)
        """,
    "nested classes": """\
        class A:
            class B:
                class C:
                    def f(self):
                        return 1

                def f(self):
                    return 2

            def f(self):
                return 3
        """,
    "dataclass": """\
        import dataclasses

        @dataclasses.dataclass(frozen=True)
        class Point:
            x: int
            y: int = 0

            def __post_init__(self):
                object.__setattr__(self, "y", self.x)

            def norm(self) -> float:
                return (self.x ** 2 + self.y ** 2) ** 0.5
        """,
    "enum": """\
        import enum

        class Colour(enum.Enum):
            RED = 1
            BLUE = 2

            @classmethod
            def _missing_(cls, value):
                return cls.RED

            @property
            def is_warm(self): return self is Colour.RED
        """,
    "under if, try, with, for, while and match": """\
        import sys

        if sys.version_info > (3,):
            def f():
                return 1
        elif sys.platform == "win32":
            def f():
                return 2
        else:
            class A:
                if sys:
                    def f(self):
                        return 3
        try:
            def g(): return 4
        except ImportError:
            def g():
                return 5
        else:
            def h():
                return 6
        finally:
            def i():
                return 7
        with open("x") as y:
            def j():
                return 8
        for x in ():
            def k():
                return 9
        else:
            def k():
                return 10
        while sys.argv:
            def m():
                return 11
        match sys:
            case None:
                def n():
                    return 12
            case _:
                def n():
                    return 13
        """,
    "the same name twice": """\
        def f():
            return 1
        def f():
            return 2
        class A:
            def f(self):
                return 3
            def f(self):
                return 4
        class A:
            def f(self):
                return 5
        """,
    "decorators": """\
        import functools

        @functools.lru_cache(maxsize=None)
        # between
        @functools.wraps(
            print,
        )
        @(lambda function: function)
        @ \\
        functools.cache
        def f(x):
            return x
        """,
    "singledispatch": """\
        import functools

        @functools.singledispatch
        def f(x):
            return x

        @f.register
        def _(x: int):
            return 1

        @f.register(str)
        def _(x):
            return 2
        """,
    "parameters": """\
        def f(a, b=(1,), /, c: int = 2, *args: int, d, e=[], **more: str) -> "int":
            return a, b, c, args, d, e, more
        def g(*, a): return a
        def h(a, /): return a
        def i(
            a,  # first
            b,

        ):  # head

            return a
        """,
    "strings of several lines": """\
        class A:
            def f(self):
                text = '''one
          two
        \tthree
                four \\
        five'''
                more = f'''{text}
         {text!r:>{10}} {{
        '''
                return text + more + (
                    "a"
                    'b'
                )
        """,
    "lambdas, inner functions and classes": """\
        def f(x):
            def g(y):
                nonlocal x
                x = lambda z=1, *a: (z, y)
                class B(list):
                    def h(self): return super().copy()
                return B
            return g
        """,
    "statements": """\
        _y = 0
        def f(x):
            global _y
            if x: pass
            elif (y := x): return
            else:
                pass
            try:
                with (open(x) as a, open(y) as b):
                    del a[0], b
            except (OSError, ValueError) as error:
                raise RuntimeError from error
            else: assert x, "no"
            finally:
                _y = 1
            match x:
                case {"a": [1, *_], **rest} if rest:
                    return rest
                case int(real=1) | None:
                    return [*x, *(yield)]
            while x: x -= 1; continue
            return {**x}, x[1:2, ...], x @ x, not x, -x ** 2, 1 if x else 2
        """,
    "semicolons and continued lines": """\
        a = 1; b = 2
        class A: x = 1; y = 2
        def f(x): a = 1; return a
        def g(x):
            a = 1; b = 2
            if a and \\
               b:
                return a \\
                    + b
        """,
    "comments everywhere": """\
        # first
        #
        # second

        # about f
        def f(x):  # head
            # above

            # more
            return x  # end
            # below

            # and more
          # odd

        # about A

        class A:  # head
            # first in it
            def f(self):
                # above
                '''No docstring of its own place.'''
                return 1
            # below f

            # about g
            def g(self):
                return 2
        # last
        """,
    "blank lines everywhere": """\



        class A:

            x = 1



            def f(self):


                '''Doc.'''


                a = 1

                return a




            y = 2
        def g():

            return 1



        """,
    "docstrings of all sorts": """\
        def f():
            "one"
            "no docstring"
            return 1
        def g():
            ("in "
             "brackets")
            return 2
        def h():
            r'''raw \\d'''
            return 3
        def i():
            b'bytes'
            return 4
        def j():
            f'formatted'
            return 5
        def k():
            'with a comment'  # here
            return 6
        """,
    "what only looks like markers": """\
        x = '''
        # selfheal
        '''
        def f(heal):
            return "# selfheal"
        """,
    "__all__ and a main guard": """\
        '''Doc.'''

        from __future__ import annotations

        __all__ = ["f"]
        def f():
            return g()

        def g():
            return f

        if __name__ == "__main__":
            print(f())
        """,
}
SINCE = {
    "PEP 695 generics": (
        (3, 12),
        """\
        type Pair[T] = tuple[T, T]

        def f[T: (int, str), *Ts, **P](x: T) -> Pair[T]:
            return x, x

        class A[T]:
            def f[U](self, x: U) -> T:
                return x
        """,
    ),
    "PEP 701 strings": (
        (3, 12),
        """\
        def f(x):
            return f"{x["a"]} {
                x  # why
            }" f'{f"{'b'}"}'
        """,
    ),
    "except*": (
        (3, 11),
        """\
        def f(x):
            try:
                return x
            except* (OSError, ValueError) as group:
                raise group
        """,
    ),
    "PEP 696 defaults": (
        (3, 13),
        """\
        def f[T = int](x: T) -> T:
            return x
        class A[T = str, *Ts = *tuple[int]]:
            def f(self): return 1
        """,
    ),
    "PEP 758 and 750": (
        (3, 14),
        """\
        def f(x):
            try:
                return t"{x} and {x!r:>10}"
            except OSError, ValueError:
                return None
        """,
    ),
}
SOURCES = {name: textwrap.dedent(text) for name, text in KINDS.items()} | {
    name: textwrap.dedent(text)
    for name, (version, text) in SINCE.items()
    if sys.version_info >= version
}


def in_tabs(text):
    return re.sub(
        r"^(?: {4})+", lambda blanks: "\t" * (len(blanks[0]) // 4), text, flags=re.MULTILINE
    )


def with_form_feeds(text):
    return re.sub(r"^(?=def |class )", "\f", text, flags=re.MULTILINE)


LAYOUTS = {
    "as it is": lambda text: text.encode(),
    "crlf": lambda text: text.replace("\n", "\r\n").encode(),
    "byte order mark": lambda text: b"\xef\xbb\xbf" + text.encode(),
    "no final newline": lambda text: text.rstrip().encode(),
    "latin-1": lambda text: f"# coding: latin-1\n{text}é = 'ü'  # ö\n".encode("latin-1"),
    "tabs": lambda text: in_tabs(text).encode(),
    "two blanks": lambda text: text.replace("    ", "  ").encode(),
    "form feeds": lambda text: with_form_feeds(text).encode(),
}


def check(source, form):
    """All functions come back, and `locate` says of each stub what Python itself would."""
    trip = round_trip(source, PATH, form)
    assert trip.problem is None
    assert trip.refused == {}
    assert trip.identical == trip.functions > 0
    stubbed = emptied(source, functions_of(parse(source)), form)
    found = find_in_source(stubbed, PATH)
    assert found.warnings == ()
    lines = [locate(stubbed, stub.qualname, stub.index) for stub in found.stubs]
    assert lines == [stub.first_line for stub in found.stubs]
    assert set(lines) <= set(first_lines(compile(stubbed, PATH, "exec", dont_inherit=True)))


def first_lines(code):
    yield code.co_firstlineno
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from first_lines(constant)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("kind", SOURCES)
def test_every_kind_comes_back(kind, layout):
    source = LAYOUTS[layout](SOURCES[kind])
    for form in FORMS:
        check(source, form)


@pytest.mark.parametrize("kind", [name for name in SINCE if name not in SOURCES])
def test_syntax_of_a_later_python_is_a_warning(kind):
    """A file that this Python cannot parse is told of, and nothing in it is touched."""
    source = b"# selfheal\ndef a(): ...\n" + textwrap.dedent(SINCE[kind][1]).encode()
    found = find_in_source(source, PATH)
    assert found.stubs == ()
    (warning,) = found.warnings
    assert "cannot parse it" in warning.message
    assert "correct it or use another Python" in warning.message
    assert not round_trip(source, PATH, "comment").is_tried


# --- modules that nobody wrote ---------------------------------------------------------

SIMPLE = st.sampled_from(
    [
        "x = 1", "a = 1; b = 2", "import os", "from a.b import (c,\n    d)", "# a comment",
        "#no blank", "'''text\n  of three\n\tlines'''", "y = [\n    1,\n]  # end", "assert x, 'no'",
        "z = 1 + \\\n    2", "pass", "", "", "   ", "\f", "f(\n  1,\n      2)", "type = print",
    ]
)  # fmt: skip
STATEMENT = st.sampled_from(
    [
        "return x", "a = 1", "b = 2; c = 3", "# why", "", "", "  # further in", "yield (\n    x\n)",
        "t = '''p\n q\n'''", "u = f'''{x}\n\t{x!r}'''", "v = 1 + \\\n        2",
        "call(\n  1,\n        )",
        "if x:\n    y = 1\n    # deep\nelse:\n    y = 2", "for x in y: pass",
        "try:\n    a\nexcept (A, B) :\n    pass\n    # deeper\n", "lambda: (yield)", "'a' 'b'",
        "def g():\n    return 1", "@d\nclass B(x):\n    def h(self): pass", "with x as y: z = 1",
        "match = 1", "while x:\n\n    break\n\n    # after", "global gone", "raise E from None",
    ]
)  # fmt: skip
DECORATORS = st.lists(
    st.sampled_from(["@d", "@d.e(1)", "@d(\n    1,\n)", "# between", "@(lambda f: f)", "@ d"]),
    max_size=3,
).map(lambda lines: lines if lines and lines[-1][0] == "@" else [])
HEADERS = st.sampled_from(
    [
        "(x)", "(x, /, y=1, *a, z: int = 2, **k) -> None",
        "(\n        x,  # first\n\n        y,\n    )",
        "(x=(1,\n        2))", "( x )", "(*, x)", "(x='''\n# no comment\n''')",
    ]
)  # fmt: skip
NAMES = st.sampled_from(["f", "g", "h", "long_name", "__init__", "ünicode"])
DOCSTRINGS = st.sampled_from(["", "", "'''Doc.'''", "'''Doc.\n\n    More.\n    '''  # here", '"D"'])


def indented(lines, blanks):
    """Lines further in, save those within strings: one form of what can be written at all."""
    return [blanks + line if line.strip() else line for line in lines]


@st.composite
def functions(draw):
    lines = [*draw(DECORATORS)]
    head = draw(st.sampled_from(["def ", "async def ", "def  "]))
    name, header = draw(NAMES), draw(HEADERS)
    if draw(st.integers(0, 5)) == 0:
        return [*lines, f"{head}{name}{header}: return 1  # one"]
    lines.append(f"{head}{name}{header}:" + draw(st.sampled_from(["", "  # head", " "])))
    body = [draw(DOCSTRINGS), *draw(st.lists(STATEMENT, max_size=6)), "return 1", draw(TAILS)]
    return [*lines, *indented(body, "    ")]


TAILS = st.sampled_from(["", "# below", "# below\n\n    # and more", "\n"])


@st.composite
def blocks(draw, depth=2):
    """A module's or a class's statements."""
    kinds = [SIMPLE.map(lambda text: [text]), functions()]
    if depth:
        inner = blocks(depth=depth - 1)
        kinds.append(st.builds(lambda head, body: [*head, *indented(body, "    ")], HEADS, inner))
    return [line for part in draw(st.lists(st.one_of(kinds), max_size=5)) for line in part] + [
        "end = 0"
    ]


HEADS = st.sampled_from(
    [["class A:"], ["class B(object, metaclass=type):  # head", "    '''Doc.'''"],
     ["@d", "class A:"],
     ["if x:"], ["try: pass", "finally:"], ["for x in y:"], ["with x:"], ["if x: pass", "else:"],
     ["while x:"], ["class A: x = 1", "class A:"], ["match x:", "  case 1:"]]
)  # fmt: skip
BEGINNINGS = st.sampled_from(
    ["", "#!/usr/bin/env python\n", "# coding: utf-8\n\n", "'''Module.'''\n", "\n\n", "\f\n",
     "from __future__ import annotations\n", "'''Module.'''\nfrom __future__ import division\n"]
)  # fmt: skip


@st.composite
def modules(draw):
    text = draw(BEGINNINGS) + "".join(f"{line}\n" for line in draw(blocks()))
    layout = draw(st.sampled_from(["lf", "crlf", "tabs", "bom", "no end"]))
    if layout == "tabs":
        text = in_tabs(text)
    if layout == "no end":
        text = text.rstrip()
    if layout == "crlf":
        text = text.replace("\n", "\r\n")
    source = text.encode()
    return b"\xef\xbb\xbf" + source if layout == "bom" else source


@settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
@given(source=modules(), form=st.sampled_from(FORMS), data=st.data())
def test_any_module_comes_back(source, form, data):
    try:
        functions = functions_of(parse(source))
        compile(source, PATH, "exec", dont_inherit=True)
    except (UnparsableError, SyntaxError):
        reject()
    trip = round_trip(source, PATH, form)
    assert trip.problem is None
    # Some of the functions alone: the others, and all between, are as they were.
    some = [key for key in functions if data.draw(st.booleans())]
    stubbed = emptied(source, some, form)
    made = stubbed
    for stub in find_in_source(stubbed, PATH).stubs:
        key = stub.qualname, stub.index
        if key in some:
            made = rewrite(made, [piece_for(source, made, functions[key], stub, form)])
    assert made == source


# --- the standard library --------------------------------------------------------------

LIBRARY = Path(sysconfig.get_path("stdlib"))
ODD = (  # each has shown a fault, or has what few files have
    "asyncio/base_subprocess.py", "distutils/bcppcompiler.py", "idlelib/codecontext.py",
    "idlelib/debugger.py", "logging/handlers.py", "test/test_htmlparser.py", "test/test_pwd.py",
    "test/inspect_fodder.py", "test/test_grammar.py", "webbrowser.py", "zipfile.py",
    "test/encoded_modules/module_koi8_r.py", "encodings/cp037.py", "this.py", "antigravity.py",
)  # fmt: skip
LARGEST, EVERY = 50_000, 50  # in bytes; so that it is seconds
SAMPLE = [path for path in library_files(LIBRARY) if path.stat().st_size <= LARGEST][::EVERY]
SAMPLE += [LIBRARY / name for name in ODD if (LIBRARY / name).exists()]
DECLINED = re.compile(
    "Refused: |not found$|not found: .*(abstract|Protocol|overload)"
    "|Unusable: .* stands for code left out"
)


@pytest.mark.parametrize("number", range(len(SAMPLE)))
def test_a_part_of_the_standard_library_comes_back(number):
    """`python -m benchmarks.stdlib_round_trip` does it with the whole."""
    path = SAMPLE[number]
    trip = round_trip(path.read_bytes(), path.name, FORMS[number % len(FORMS)])
    assert trip.problem is None or not trip.is_tried
    assert [why for why in trip.refused.values() if not DECLINED.match(why)] == []


def test_tells_what_does_not_come_back(tmp_path, capsys, monkeypatch):
    (tmp_path / "good.py").write_text("def f():\n    return 1\n")
    (tmp_path / "old.py").write_text("print 'x'\n")
    (tmp_path / "frames.py").write_text("import sys\ndef f():\n    return sys._getframe()\n")
    arguments = ["--library", str(tmp_path), "--jobs", "1", "--refused"]
    assert stdlib_round_trip.main(arguments) == 0
    told = capsys.readouterr().out
    assert re.search(
        r"identical after the trip +2\b.*functions +2\b.*refused +1\b", told, re.DOTALL
    )
    assert "frames.py::f#0 (comment): Refused: line 2 of the reply's code" in told
    spoil = lambda source, pieces: rewrite(source, pieces).replace(b"1", b"2")  # noqa: E731
    monkeypatch.setattr(stdlib_round_trip, "rewrite", spoil)
    assert stdlib_round_trip.main(arguments) == 1
    assert "good.py (class): line 2 is b'    return 2" in capsys.readouterr().out
