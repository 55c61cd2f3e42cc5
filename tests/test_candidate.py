"""Reading replies: what becomes of them, and the one line that says why not."""

from __future__ import annotations

import ast
import gc
import itertools
import textwrap
import weakref

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_selfheal.errors import EditConflict, Refused, Unusable
from pytest_selfheal.records import Reply
from pytest_selfheal.source.candidate import read_candidate
from pytest_selfheal.source.edit import rewrite
from pytest_selfheal.source.elided import left_out, placeholder
from pytest_selfheal.source.find import find_in_source, locate
from pytest_selfheal.source.parsing import parse
from pytest_selfheal.source.reply_code import dedent_code, parse_code

PATH = "src/ledger/tax.py"

MODULE = '''\
"""Taxes."""

import math
from decimal import Decimal

RATE = Decimal("0.2")


def known(x, y=1):
    return x


# selfheal
def total(items, *, cap: int = 3):
    """Sum up."""
    ...


class TaxTable:
    limit = 3

    def rate(self):
        return RATE

    # selfheal
    def due(self, amount: int) -> int: ...

    # selfheal
    @property
    def name(self): ...

    # selfheal
    @name.setter
    def name(self, value): ...

    # selfheal
    @staticmethod
    def parse(text): ...

    # selfheal
    async def load(self): ...

    class Inner:
        # selfheal
        def deep(self): ...
'''


def read(code, *targets, module=MODULE, checks=(), extra=None):
    """Read a reply that was asked for some targets (`name` or `name#index`)."""
    sources = {PATH: module.encode(), **(extra or {})}
    found = [stub for path, text in sources.items() for stub in find_in_source(text, path).stubs]
    stubs = [
        next(
            stub
            for stub in found
            if f"{stub.qualname}#{stub.index}" == (name if "#" in name else f"{name}#0")
        )
        for name in targets
    ]
    blocks = [code] if isinstance(code, str) else code
    reply = Reply(
        text="",
        blocks=tuple(textwrap.dedent(block) for block in blocks),
        checks=tuple(textwrap.dedent(each) for each in checks),
    )
    return read_candidate(reply, stubs, sources)


def one(code, target, **more):
    (piece,) = read(code, target, **more).pieces
    return piece


# --- which definition ------------------------------------------------------------------

DUE = "def due(self, amount):\n    return amount\n"

WAYS = {
    "bare": DUE,
    "in its class": "class TaxTable:\n    def due(self, amount):\n        return amount\n",
    "bare and indented": "    def due(self, amount):\n        return amount\n",
    "with annotations": "def due(self, amount: float) -> str:\n    return amount\n",
    "with the marker": "from pytest_selfheal import heal\n@heal\n" + DUE,
    "with crlf": DUE.replace("\n", "\r\n"),
    "with a docstring and main": '"""Doc."""\n'
    + DUE
    + "if __name__ == '__main__':\n    print(1)\n",
    "with the future": "from __future__ import annotations\n" + DUE,
    "with the class's bases and others": "class TaxTable(object):\n    limit = 3\n"
    "    def rate(self):\n        return RATE\n"
    "    def due(self, amount):\n        return amount\n"
    "    def load(self): ...\n",
    "whole module": MODULE.replace("int) -> int: ...", "int) -> int:\n        return amount"),
}


@pytest.mark.parametrize("code", WAYS.values(), ids=WAYS)
def test_finds_the_definition(code):
    piece = one(code, "TaxTable.due")
    assert piece.definition.startswith("def due(self, amount")
    assert piece.definition.endswith(":\n    return amount\n")
    assert (piece.imports, piece.helpers, piece.members) == ((), (), ())


def test_an_indented_reply_keeps_its_strings():
    code = "    def due(self, amount):\n        return '''a\n        b\n  c'''\n"
    stubs = [s for s in find_in_source(MODULE.encode(), PATH).stubs if s.qualname == "TaxTable.due"]
    reply = Reply(text="", blocks=(code,))
    (piece,) = read_candidate(reply, stubs, {PATH: MODULE.encode()}).pieces
    assert piece.definition == "def due(self, amount):\n    return '''a\n        b\n  c'''\n"


def test_finds_several_bare_methods_by_their_names():
    code = (
        DUE
        + "@staticmethod\ndef parse(text):\n    return text\n"
        + ("async def load(self):\n    return 1\n")
    )
    pieces = read(code, "TaxTable.parse", "TaxTable.due", "TaxTable.load").pieces
    assert [piece.definition.split("(")[0] for piece in pieces] == [
        "def parse",
        "def due",
        "async def load",
    ]


def test_finds_a_method_of_an_inner_class():
    codes = (
        "def deep(self):\n    return 1\n",
        "class Inner:\n    def deep(self):\n        return 1\n",
        "class TaxTable:\n  class Inner:\n    def deep(self):\n        return 1\n",
    )
    definitions = {one(code, "TaxTable.Inner.deep").definition for code in codes}
    assert {ast.dump(ast.parse(each)) for each in definitions} == {
        ast.dump(ast.parse("def deep(self):\n    return 1\n"))
    }


def test_tells_a_property_from_its_setter():
    code = """
        class TaxTable:
            @property
            def name(self):
                return self._name
            @name.setter
            def name(self, value):
                self._name = value
        """
    getter, setter = read(code, "TaxTable.name", "TaxTable.name#1").pieces
    assert "return self._name" in getter.definition
    assert "self._name = value" in setter.definition
    assert one(code, "TaxTable.name#1").definition == setter.definition
    bare = "def name(self, value):\n    self._name = value\n"
    assert one(bare, "TaxTable.name#1").definition == bare


def test_reads_several_blocks_in_order():
    blocks = [
        "from __future__ import annotations\nimport json\n_A = 1\n",
        "def _g():\n    return json.dumps(_A)\n",
        "from __future__ import annotations\ndef total(items, *, cap=3):\n    return _g()\n",
    ]
    piece = one(blocks, "total")
    assert piece.imports == ("import json",)
    assert piece.helpers == ("_A = 1\n", "def _g():\n    return json.dumps(_A)\n")


def test_two_files_with_one_name_each():
    other = "src/ledger/more.py"
    extra = {other: b"class B:\n    # selfheal\n    def due(self, amount): ...\n"}
    code = (
        "class TaxTable:\n    def due(self, amount):\n        return B()\n"
        "class B:\n    def due(self, amount):\n        return TaxTable()\n"
    )
    first, second = read(code, "TaxTable.due", "B.due", extra=extra).pieces
    assert "return B()" in first.definition
    assert "return TaxTable()" in second.definition
    assert first.helpers == second.helpers == ()


# --- what goes along -------------------------------------------------------------------


def test_takes_what_is_needed_and_no_more():
    code = '''
        import json, os.path as p
        import re
        from decimal import Decimal, ROUND_UP
        from typing import Optional
        from functools import lru_cache

        _UNUSED = 1
        _WORD = re.compile("x")  # words


        # Tells.
        # Really.
        @lru_cache(maxsize=None)
        def _helper(x: "Optional[int]") -> int:
            """Doc."""
            def inner(y=_WORD):
                return _deeper(y)
            return inner(x)
            # the end


        def _deeper(x):
            return ROUND_UP, [p for p in x]


        def _unused():
            return json


        class TaxTable:
            def due(self, amount: json):
                # first
                return _helper(Decimal(amount))
        '''
    piece = one(code, "TaxTable.due")
    assert piece.imports == (
        "from decimal import ROUND_UP",
        "from functools import lru_cache",
        "from typing import Optional",
        "import re",
    )
    assert [helper.split("\n")[0] for helper in piece.helpers] == [
        '_WORD = re.compile("x")  # words',
        "# Tells.",
        "def _deeper(x):",
    ]
    assert piece.helpers[1].endswith("return inner(x)\n    # the end\n")
    assert piece.definition.split("\n")[1] == "    # first"


def test_takes_new_members_that_are_used():
    code = """
        class TaxTable:
            _CENT = 1
            _OTHER = 2
            limit = 99

            def due(self, amount):
                return self._round(amount) + self._size

            def rate(self):
                return "changed"

            # Rounds.
            @staticmethod
            def _round(x):
                return math.floor(x) * TaxTable._CENT + json.loads("1")

            @property
            def _size(self):
                return 1

            def _unused(self):
                return 1

            def __init__(self):
                self.x = 1
        """
    piece = one("import json\n" + textwrap.dedent(code), "TaxTable.due")
    assert piece.imports == ("import json",)
    assert [member.split("\n")[0] for member in piece.members] == [
        "_CENT = 1",
        "# Rounds.",
        "@property",
    ]
    made = rewrite(MODULE.encode(), [piece]).decode()
    assert "    # Rounds.\n    @staticmethod\n    def _round(x):\n" in made
    assert "changed" not in made
    assert "99" not in made


def test_takes_bare_helpers_with_self_as_members():
    code = DUE.replace("return amount", "return self._half(amount)")
    piece = one(code + "def _half(self, x):\n    return x / 2\n", "TaxTable.due")
    assert piece.members == ("def _half(self, x):\n    return x / 2\n",)
    assert piece.helpers == ()


RESTATED = {
    "function": "def known(x, y=1):\n    return 'changed'\n",
    "constant": "RATE = Decimal('0.2')\n",
    "import": "import math\nfrom decimal import Decimal\n",
    "class": "class Table:\n    pass\n",
    "unasked stub": "def total(items, *, cap=3):\n    return 'changed'\n",
}


@pytest.mark.parametrize("code", RESTATED.values(), ids=RESTATED)
def test_leaves_out_what_is_there(code):
    uses = "def due(self, amount):\n    return known, RATE, math, Decimal, Table, total\n"
    module = MODULE + "\n\nclass Table:\n    x = 1\n"
    piece = one(code + uses, "TaxTable.due", module=module)
    assert (piece.imports, piece.helpers, piece.members) == ((), (), ())


TAKEN = {
    "constant": ("RATE = 3\n", "'RATE' of the reply is already defined in .*variable on line 6"),
    "function, other signature": ("def known(x):\n    return x\n", "'known' .* as a function"),
    "function for a constant": ("def RATE():\n    return 1\n", "'RATE' .* as a variable"),
    "import for a function": ("import os as known\n", "'known' .* as a function on line 9"),
    "helper for an import": ("math = 3\n", "'math' .* as a import|'math' .* as an import"),
    "import of another thing": ("from os import path as math\n", "'math' .*use another name"),
}


@pytest.mark.parametrize(("code", "message"), TAKEN.values(), ids=TAKEN)
def test_names_that_are_taken(code, message):
    uses = "def due(self, amount):\n    return known, RATE, math\n"
    with pytest.raises(Unusable, match=message):
        read(code + uses, "TaxTable.due")
    # What no target needs never enters the file, and harms nobody.
    assert one(code + DUE, "TaxTable.due").helpers == ()


# --- replies of no use -----------------------------------------------------------------

UNUSABLE = {
    "no block": ([], "holds no ```python block"),
    "empty block": (["\n  \n"], "holds no ```python block"),
    "syntax": (
        "def due(self, amount):\n    return (\n\nx = ]\n",
        r"syntax error on its line \d, '.*': ",
    ),
    "return outside": ("return 1\n" + DUE, r"syntax error on its line 1, 'return 1': 'return' out"),
    "await outside": (
        "def due(self, amount):\n    await amount\n",
        "line 2, 'await amount': 'await' outside async function",
    ),
    "missing": ("def other(self):\n    return 1\n", "does not define 'TaxTable.due'"),
    "as a class": ("class due:\n    pass\n", "does not define 'TaxTable.due'"),
    "nested in another": (
        "def make():\n    def due(self, amount):\n        return 1\n",
        "does not define 'TaxTable.due'",
    ),
    "twice": (
        DUE + DUE,
        "defines 'TaxTable.due' 2 times, on lines 1, 3 of its code, where 1 was asked for",
    ),
    "dots": ("def due(self, amount): ...\n", "the body of 'TaxTable.due' is left out"),
    "pass": ("def due(self, amount):\n    '''Doc.'''\n    pass\n", "is left out"),
    "not implemented": (
        "def due(self, amount):\n    raise NotImplementedError('x')\n",
        "is left out",
    ),
    "placeholder": (
        "def due(self, amount):\n    x = 1\n    # ... existing code ...\n    return x\n",
        r"'# ... existing code ...' stands for code left out",
    ),
    "placeholder at the end": (
        "def due(self, amount):\n    x = 1\n    # rest of the function unchanged\n",
        "'# rest of the function unchanged' stands for",
    ),
    "placeholder in a helper": (
        "def _g():\n    x = 1\n    # ...\n    return x\ndef due(self, amount):\n    return _g()\n",
        r"'# \.\.\.' stands for code left out",
    ),
    "star": ("from os import *\n" + DUE, r"line 1 .*'from os import \*', does not say"),
    "too large": (DUE + "#" * 300_000, "has 293 KiB and may have 256"),
    "null": ("def due(self, amount):\n    return '\0'\n", "syntax error|cannot be parsed"),
    "surrogate": ("def due(self, amount):\n    return '\ud800'\n", "cannot be parsed"),
    "deep": (
        "def due(self, amount):\n    return " + "-" * 3000 + "1\n",
        "nested too deeply: use shorter expressions",
    ),
    "long chain": (
        "def due(self, amount):\n    return " + "+".join("a" * 400) + "\n",
        "nested too deeply",
    ),
    "brackets": ("x = " + "(" * 500 + ")" * 500 + "\n" + DUE, "too many nested|too deeply"),
}


@pytest.mark.parametrize(("code", "message"), UNUSABLE.values(), ids=UNUSABLE)
def test_says_why_a_reply_is_of_no_use(code, message):
    with pytest.raises(Unusable, match=message) as caught:
        read(code, "TaxTable.due")
    assert "\n" not in str(caught.value)


def test_a_file_that_no_longer_parses():
    stubs = find_in_source(MODULE.encode(), PATH).stubs[:1]
    with pytest.raises(EditConflict, match=r"'src/ledger/tax\.py' does not parse any more: Pyth"):
        read_candidate(Reply(text="", blocks=(DUE,)), stubs, {PATH: b"def ("})


def test_says_that_the_model_gave_up():
    with pytest.raises(Unusable, match="the reply gives up: the tests disagree"):
        read_candidate(Reply(text="", gave_up="the tests disagree"), [], {})


SIGNATURES = {
    "renamed": ("TaxTable.due", "def due(self, total):"),
    "default added": ("TaxTable.due", "def due(self, amount=0):"),
    "argument added": ("TaxTable.due", "def due(self, amount, more=1):"),
    "argument lost": ("TaxTable.due", "def due(self):"),
    "self lost": ("TaxTable.due", "def due(amount):"),
    "positional only": ("TaxTable.due", "def due(self, amount, /):"),
    "star args": ("TaxTable.due", "def due(self, *amount):"),
    "keywords": ("TaxTable.due", "def due(self, amount, **kw):"),
    "made async": ("TaxTable.due", "async def due(self, amount):"),
    "made static": ("TaxTable.due", "@staticmethod\ndef due(self, amount):"),
    "made a property": ("TaxTable.due", "@property\ndef due(self, amount):"),
    "cached": ("TaxTable.due", "@functools.cache\ndef due(self, amount):"),
    "other default": ("total", "def total(items, *, cap=4):"),
    "default of another type": ("total", "def total(items, *, cap=3.0):"),
    "keyword only lost": ("total", "def total(items, cap=3):"),
    "made sync": ("TaxTable.load", "def load(self):"),
    "static made class": ("TaxTable.parse", "@classmethod\ndef parse(text):"),
}


@pytest.mark.parametrize(("target", "head"), SIGNATURES.values(), ids=SIGNATURES)
def test_refuses_a_changed_signature(target, head):
    with pytest.raises(Unusable, match=f"the signature of '{target}' is changed: ") as caught:
        read(f"import functools\n{head}\n    return 1\n", target)
    assert "\n" not in str(caught.value)


def test_shows_both_signatures():
    message = (
        r"it has to stay `def total\(items, \*, cap: int=3\)`, "
        r"and the reply has `def total\(items, \*, cap=4\)`"
    )
    with pytest.raises(Unusable, match=message):
        read("def total(items, *, cap=4):\n    return 1\n", "total")
    with pytest.raises(Unusable, match=r"decorates it with `@functools\.cache`, the stub does not"):
        read("import functools\n@functools.cache\n" + DUE, "TaxTable.due")
    with pytest.raises(Unusable, match="it is @staticmethod, and the reply makes it @classmethod"):
        read("@classmethod\ndef parse(text):\n    return 1\n", "TaxTable.parse")


def test_one_of_several_targets_missing():
    with pytest.raises(Unusable, match="the reply does not define 'total'"):
        read(DUE, "TaxTable.due", "total")
    with pytest.raises(Unusable, match=r"does not define 'TaxTable.name' \(setter\)"):
        read(
            "class TaxTable:\n    @property\n    def name(self):\n        return 1\n",
            "TaxTable.name",
            "TaxTable.name#1",
        )


PLACEHOLDERS = {
    "# ...": True,
    "#...": True,
    "# … ": True,
    "# ... existing code ...": True,
    "# ... (rest of the implementation)": True,
    "# existing code here": True,
    "# the rest of the method is unchanged": True,
    "# rest of the code": True,
    "# unchanged": True,
    "# same as before": True,
    "# implementation goes here": True,
    "# your code here": True,
    "# [remaining code unchanged]": True,
    "# rest unchanged": True,
    "# the rest remains the same": True,
    "# rest as before ...": True,
    "# the rest of the body is the payload": False,
    "# the rest is divided": False,
    "# the rest of the class hierarchy": False,
    "# remaining code points": False,
    "# existing codes win": False,
    "# ... and then divide": False,
    "# leave the order unchanged": False,
    "# the same logic as in g": False,
    "# e.g. 1, 2, ...": False,
    "# TODO: rounding": False,
}


@pytest.mark.parametrize(("comment", "is_one"), PLACEHOLDERS.items())
def test_tells_placeholders_from_comments(comment, is_one):
    code = parse_code([f"def f():\n    x = 1\n    {comment}\n    return x\n"])
    assert (placeholder(code, code.tree.body[0]) is not None) is is_one
    code = parse_code([f"def f():\n    return '''\n    {comment}\n'''  {comment}\n"])
    assert placeholder(code, code.tree.body[0]) is None


def test_dots_in_the_midst_of_a_comment_are_prose():
    code = parse_code(["def f():\n    # 1 2\n    # ...\n    # 9 10\n    return 1\n"])
    assert placeholder(code, code.tree.body[0]) is None


LEFT_OUT = {
    "dots among statements": ("def f():\n    x = 1\n    ...\n    return x\n", "..."),
    "dots at the end": ("def f():\n    x = 1\n    ...\n", "..."),
    "pass to do": ("def f():\n    pass  # TODO\n", "pass  # TODO"),
    "a branch to do": (
        "def f(x):\n    if x:\n        pass  # TODO: handle it\n    return 1\n",
        "pass  # TODO: handle it",
    ),
    "dots and the rest": (
        "def f(x):\n    for y in x:\n        ...  # rest unchanged\n    return 1\n",
        "...  # rest unchanged",
    ),
    "not implemented yet": (
        "def f(x):\n    if x:\n        raise NotImplementedError  # TODO\n    return 1\n",
        "raise NotImplementedError  # TODO",
    ),
    "an inner function": (
        "def f():\n    def g(x):\n        ...\n    return g(1)\n",
        "...",
    ),
    "a helper": ("def f(x):\n    'Doc.'\n    raise NotImplementedError\n", "raise NotImplemented"),
    "a method": ("class A:\n    def f(self):\n        x = 1\n        ...\n", "..."),
    "a list": ("ROWS = [1, 2, 3, ...]\n", "ROWS = [1, 2, 3, ...]"),
}  # fmt: skip


@pytest.mark.parametrize(("text", "what"), LEFT_OUT.values(), ids=LEFT_OUT)
def test_sees_what_is_left_out(text, what):
    code = parse_code([text])
    assert (left_out(code, code.tree.body[0]) or "").startswith(what)


HONEST = {
    "a protocol": "class P(Protocol):\n    def f(self) -> int: ...\n    x: int\n",
    "a generic protocol": "class P(typing.Protocol[T]):\n    def f(self) -> T: ...\n",
    "an abstract class": (
        "class A(abc.ABC):\n    @abc.abstractmethod\n    def f(self): ...\n"
        "    @property\n    @abc.abstractmethod\n    def g(self):\n        'Doc.'\n"
    ),
    "a base class": "class A:\n    def f(self):\n        raise NotImplementedError\n",
    "hooks": "class A:\n    def before(self): ...\n    def after(self):\n        pass\n",
    "an exception": "class E(Exception): ...\n",
    "overloads": "@overload\ndef f(x: int) -> int: ...\n",
    "typing's overloads": "@typing.overload\ndef f(x: int) -> int:\n    ...\n",
    "inner overloads": (
        "def f():\n    @overload\n    def g(x: int) -> int: ...\n    def g(x):\n"
        "        return x\n    return g\n"
    ),
    "indexing": "def f(a):\n    return a[..., 0], a[0, ...]\n",
    "annotations": (
        "def f(g: Callable[..., int], t: tuple[int, ...]) -> tuple[str, ...]:\n"
        "    x: tuple[int, ...] = t\n    return x\n"
    ),
    "a default": "def f(x=...):\n    return 1 if x is ... else x\n",
    "a sentinel": "NOTHING = ...\n",
    "an index": "WHERE = (0, ...)\n",
    "a list with one": "ALL = [...]\n",
    "swallowed": "def f():\n    try:\n        g()\n    except E: ...\n    return 1\n",
    "swallowed for now": (
        "def f():\n    try:\n        g()\n    except E:\n        pass  # TODO: log it\n"
    ),
    "waiting": "def f(it):\n    while next(it): ...\n    return 1\n",
    "nothing to do": "def f(x) -> None:\n    ...\n",
    "no operation": "def f(*_):\n    pass\n",
    "no operation, told why": "def f(*_):\n    pass  # nothing to close\n",
    "a case not meant": (
        "def f(x):\n    if x < 0:\n        raise NotImplementedError('below 0')\n    return x\n"
    ),
    "a remark": "def f(x):\n    # TODO: rounding\n    return x  # unchanged\n",
    "a text": "def f():\n    return '...  # rest unchanged'\n",
}


@pytest.mark.parametrize("text", HONEST.values(), ids=HONEST)
def test_honest_dots_are_left_alone(text):
    code = parse_code([text])
    assert left_out(code, code.tree.body[0]) is None


@given(st.sampled_from(sorted(HONEST)), st.sampled_from(sorted(HONEST)))
def test_honest_code_stays_so_inside_a_function(one, other):
    inner = "".join(f"    {line}\n" for line in (HONEST[one] + HONEST[other]).splitlines())
    code = parse_code([f"def outer(x):\n{inner}    return x\n"])
    assert left_out(code, code.tree.body[0]) is None


def test_the_standard_library_is_not_taken_for_elided():
    import argparse
    import contextlib
    import dataclasses
    import functools
    import inspect
    import statistics

    for module in (argparse, contextlib, dataclasses, functools, statistics):
        code = parse_code([inspect.getsource(module)[:250_000]])
        assert [x for node in code.tree.body if (x := left_out(code, node))] == []


# --- the policy ------------------------------------------------------------------------


def test_says_which_line_is_refused():
    code = "import os\n" + DUE.replace("return amount", "os._exit(0)")
    with pytest.raises(Refused, match=r"^line 3 of the reply's code, 'os._exit\(0\)': it uses"):
        read(code, "TaxTable.due")


def test_refuses_what_stands_beside_the_target():
    with pytest.raises(Refused, match=r"line 3 of the reply's code, 'print\(1\)': at the top"):
        read(DUE + "print(1)\n", "TaxTable.due")


def test_leaves_the_users_own_code_alone():
    module = MODULE + "\n\nimport sys\n\n\ndef leave():\n    sys.modules.clear()\n    sys.exit(1)\n"
    code = module.replace("int) -> int: ...", "int) -> int:\n        return amount")
    assert one(code, "TaxTable.due", module=module).helpers == ()


EXITING = {
    "name": "# selfheal\ndef exit_now(x): ...\n",
    "docstring": "# selfheal\ndef main(x):\n    '''Exit with 2.'''\n",
    "hint": "# selfheal: hint='exits with 2'\ndef main(x): ...\n",
    "module": "import sys\n# exits if asked\n# selfheal\ndef main(x): ...\n",
    "command line": "import argparse\n# selfheal\ndef process(x): ...\n",
    "started": "# selfheal\ndef main(x): ...\n\nif __name__ == '__main__':\n    main(1)\n",
}


@pytest.mark.parametrize("module", EXITING.values(), ids=EXITING)
def test_a_stub_that_speaks_of_exiting_may(module):
    name = find_in_source(module.encode(), PATH).stubs[0].qualname
    code = f"import sys\ndef {name}(x):\n    sys.exit(2)\n"
    assert "sys.exit(2)" in one(code, name, module=module).definition
    silent = "# selfheal\ndef main(x): ...\n"
    with pytest.raises(Refused, match=r"'sys.exit'"):
        one("import sys\ndef main(x):\n    sys.exit(2)\n", "main", module=silent)


REGISTERED = {
    "by a decorator": (
        "KNOWN = {}\n"
        "def keep(function):\n    KNOWN[function.__name__] = function\n    return function\n"
        "@keep\ndef times(a, b):\n    return a * b\n"
        "def other():\n    return 1\n"
        "def due(self, amount):\n    return KNOWN['times'](amount, 2)\n",
        {"KNOWN", "keep", "times"},
    ),
    "as a subclass": (
        "class Base:\n    known = []\n"
        "    def __init_subclass__(cls):\n        Base.known += [cls]\n"
        "class Own(Base):\n    pass\n"
        "class Other:\n    pass\n"
        "def due(self, amount):\n    return len(Base.known)\n",
        {"Base", "Own"},
    ),
    "asked for its subclasses": (
        "class Base:\n    pass\nclass Own(Base):\n    pass\n"
        "def find():\n    return Base.__subclasses__()\n"
        "def due(self, amount):\n    return find()\n",
        {"Base", "Own", "find"},
    ),
    "no register": (
        "class Base:\n    pass\nclass Own(Base):\n    pass\n"
        "def due(self, amount):\n    return Base()\n",
        {"Base"},
    ),
    "by a text": (
        "FACTOR = 3\nOTHER = 4\ndef due(self, amount):\n    return globals()['FACTOR'] * amount\n",
        {"FACTOR"},
    ),
    "by a text, looked up by a helper": (
        "FACTOR = 3\nOTHER = 5\n"
        "def find(name):\n    return globals()[name]\n"
        "def due(self, amount):\n    return find('FACTOR') * amount\n",
        {"FACTOR", "find"},
    ),
    "a text that names nothing": (
        "FACTOR = 3\ndef due(self, amount):\n    return 'FACTOR'\n",
        set(),
    ),
}


@pytest.mark.parametrize(("code", "names"), REGISTERED.values(), ids=REGISTERED)
def test_takes_along_what_enters_itself(code, names):
    helpers = one(code, "TaxTable.due").helpers
    bound = [ast.parse(helper).body[0] for helper in helpers]
    assert {getattr(node, "name", None) or node.targets[0].id for node in bound} == names


# --- checks ----------------------------------------------------------------------------


def test_joins_the_checks():
    checks = ["assert total([1]) == 1\n", "import math\nassert math.pi\n"]
    code = "def total(items, *, cap=3):\n    return 1\n"
    joined = read(code, "total", checks=checks).checks
    assert joined == "assert total([1]) == 1\n\nimport math\nassert math.pi\n"
    assert read(code, "total", checks=["\n"]).checks == ""


def test_bad_checks():
    code = "def total(items, *, cap=3):\n    return 1\n"
    with pytest.raises(Unusable, match=r"the ```python checks block has a syntax error .*line 1"):
        read(code, "total", checks=["assert ="])
    with pytest.raises(Refused, match="line 1 of the checks, 'import _pytest': "):
        read(code, "total", checks=["import _pytest\n"])


# --- text ------------------------------------------------------------------------------

LINES = st.lists(
    st.sampled_from(
        [
            "x = 1",
            "y = '''a\n  b\nc'''",
            "if x:\n        z = f'''{x}\n q'''",
            "# c",
            "",
            "w = (\n1,\n   2)",
        ]
    ),
    min_size=1,
    max_size=6,
)


@settings(deadline=None)
@given(LINES, st.integers(min_value=1, max_value=9))
def test_dedenting_keeps_strings(lines, indent):
    text = "def f():\n" + "".join("    " + line + "\n" for line in [*lines, "pass"])
    tree = ast.parse(text)
    deeper = "".join(
        " " * indent * (number not in inside_strings(tree)) + line
        for number, line in enumerate(text.splitlines(keepends=True), start=1)
    )
    assert ast.dump(ast.parse(dedent_code(deeper, indent))) == ast.dump(tree)


def inside_strings(tree):
    return {
        line
        for node in ast.walk(tree)
        if isinstance(node, (ast.Constant, ast.JoinedStr))
        for line in range(node.lineno + 1, node.end_lineno + 1)
    }


@settings(deadline=None)
@given(st.text(max_size=60))
def test_any_text_gives_a_candidate_or_one_line(text):
    assert "\n" not in outcome(text)


def outcome(text):
    try:
        return read([text], "TaxTable.due").checks
    except (Unusable, Refused) as error:
        return str(error)


@settings(deadline=None)
@given(LINES)
def test_what_was_read_can_be_written(lines):
    body = "".join("    " + line + "\n" for line in [*lines, "return amount"])
    code = "class TaxTable:\n" + textwrap.indent("def due(self, amount):\n" + body, "  ")
    piece = one(code, "TaxTable.due")
    made = ast.parse(rewrite(MODULE.encode(), [piece]))
    (cls,) = [node for node in made.body if isinstance(node, ast.ClassDef)]
    (due,) = [node for node in cls.body if getattr(node, "name", "") == "due"]
    given_ = ast.parse(code).body[0].body[0]
    assert [ast.dump(node) for node in due.body] == [ast.dump(node) for node in given_.body]


# --- cost ------------------------------------------------------------------------------


def test_looks_at_the_files_of_the_stubs_alone():
    """Of a project with many stubs, files that were not asked for may be as they like."""
    extra = {"src/other.py": b"# selfheal\ndef g(: ...\n", "src/more.py": b"def total(): ...\n"}
    assert one(DUE, "TaxTable.due", extra=extra).definition == DUE


def test_parses_a_file_once_for_all_its_stubs(monkeypatch):
    count = 60
    source = "".join(f"# selfheal\ndef f{n}(x): ...\n\n\n" for n in range(count)).encode()
    parsed = []
    real = ast.parse

    def counting(text, *more, **options):
        if len(text) > len(source) // 2:
            parsed.append(text)
        return real(text, *more, **options)

    monkeypatch.setattr(ast, "parse", counting)
    stubs = find_in_source(source, PATH).stubs
    pieces = []
    for stub in stubs:
        reply = Reply(text="", blocks=(f"def {stub.qualname}(x):\n    return x\n",))
        pieces += read_candidate(reply, [stub], {PATH: source}).pieces
        assert locate(source, stub.qualname, stub.index) == stub.first_line
    assert parsed == [source]
    made = rewrite(source, pieces)
    assert parsed == [source, made]
    assert made.count(b"return x") == count


def test_keeps_no_more_than_a_few_trees():
    """What is kept parsed is bounded, and a file larger than the bound is parsed all the same."""
    sources = [b"x = '%s'  # %d" % (b"a" * 300_000, number) for number in range(12)]
    trees = [weakref.ref(parse(source)) for source in sources]
    gc.collect()
    alive = [tree() is not None for tree in trees]
    assert alive[-1]
    assert sum(map(len, itertools.compress(sources, alive))) <= 2 * 2**20
    huge = b"x = '%s'" % (b"a" * 3_000_000)
    assert parse(huge) is parse(huge)


NAMESAKES = """
import sys

if sys.platform == "win32":
    # selfheal
    def separator() -> str: ...
else:
    # selfheal
    def separator() -> str: ...
"""


@pytest.mark.parametrize(("index", "text"), [(0, "'\\\\'"), (1, "'/'")])
def test_of_namesakes_each_stub_is_given_its_own(index: int, text: str) -> None:
    stub = find_in_source(NAMESAKES.encode(), PATH).stubs[index]
    assert stub.index == index
    block = "def separator() -> str:\n    return '\\\\'\ndef separator() -> str:\n    return '/'\n"
    candidate = read_candidate(Reply(text="", blocks=(block,)), [stub], {PATH: NAMESAKES.encode()})
    assert text in candidate.pieces[0].definition
