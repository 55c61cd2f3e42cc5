"""Rewriting: text in, text out, and everything around the stub byte for byte as it was."""

from __future__ import annotations

import ast
import importlib.util
import re
import textwrap
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_selfheal.errors import EditConflict, Unusable
from pytest_selfheal.records import MarkerOptions, Piece, Stub
from pytest_selfheal.source import edit as edit_module
from pytest_selfheal.source.edit import rewrite
from pytest_selfheal.source.find import find_in_source
from pytest_selfheal.source.lossless import drop_lines
from pytest_selfheal.source.outline import FUNCTIONS, definitions, first_line
from pytest_selfheal.source.reply_code import dedent_code

PATH = "src/app/mod.py"


def stub_at(source, qualname="f", index=0, **options):
    """A stub record for any function, marked or not."""
    for stub in find_in_source(source, PATH).stubs:
        if (stub.qualname, stub.index) == (qualname, index):
            return stub
    return Stub(
        path=PATH,
        qualname=qualname,
        index=index,
        first_line=1,
        def_line=1,
        end_line=1,
        marker="decorator",
        options=MarkerOptions(**options),
    )


def piece(source, definition, qualname="f", index=0, **more):
    return Piece(
        stub=stub_at(source, qualname, index), definition=textwrap.dedent(definition), **more
    )


def check(before, after, definition, qualname="f", index=0, *, keep_marker=False, **more):
    source = textwrap.dedent(before).encode()
    made = rewrite(
        source, [piece(source, definition, qualname, index, **more)], keep_marker=keep_marker
    )
    assert made.decode() == textwrap.dedent(after)
    ast.parse(made)
    return made


# --- bodies ----------------------------------------------------------------------------

BODIES = {
    "ellipsis": (
        "def f(x):\n    ...\n",
        "def f(x):\n    return x\n",
        "def f(x):\n    return x\n",
    ),
    "pass with comments": (
        "a = 1\ndef f(x):  # head\n    # todo\n    pass  # here\n    # end\nb = 2\n",
        "a = 1\ndef f(x):  # head\n    return x\n    # end\nb = 2\n",
        "def f(x):\n    return x\n",
    ),
    "a signature's comment": (
        "def f(x,  # type: int\n      ):\n    # type: (...) -> int\n    # todo\n    ...\n",
        "def f(x,  # type: int\n      ):\n    # type: (...) -> int\n    # same\n    return x\n",
        "def f(x):\n    # type: (int) -> int\n    # same\n    return x\n",
    ),
    "a signature's comment, and other blanks": (
        "def f(x):\n  # type: (int) -> int\n  ...\n",
        "def f(x):\n  # type: (int) -> int\n  return x\n",
        "def f(x):\n    # type: (int) -> int\n    return x\n",
    ),
    "a signature's comment above a docstring": (
        'def f(x):\n    # type: (int) -> int\n    """Mine."""\n',
        'def f(x):\n    # type: (int) -> int\n    """Mine."""\n    return x\n',
        "def f(x):\n    # type: (int) -> int\n    return x\n",
    ),
    "the stub's docstring wins": (
        'def f(x):\n    """Mine."""\n    raise NotImplementedError\n',
        'def f(x):\n    """Mine."""\n    return x\n',
        'def f(x):\n    "Yours."\n    return x\n',
    ),
    "the reply's docstring is taken": (
        "def f(x):\n    raise NotImplementedError\n",
        'def f(x):\n    "Yours."\n    return x\n',
        'def f(x):\n    "Yours."\n    return x\n',
    ),
    "docstring on the line of the dots": (
        'def f(x):\n    "Mine."; ...\n',
        'def f(x):\n    "Mine."\n    return x\n',
        'def f(x):\n    "Yours."; return x\n',
    ),
    "one line": (
        "def f(x): ...  # noqa\n\n\nb = 2\n",
        "def f(x):  # noqa\n    return x\n\n\nb = 2\n",
        "def f(x):\n    return x\n",
    ),
    "one line for one line": (
        "def f(x): ...  # noqa\n\n\nb = 2\n",
        "def f(x): y = x; return y  # noqa\n\n\nb = 2\n",
        "def f(x): y = x; return y  # mine\n",
    ),
    "one line and its comment": (
        "def f(x): pass\nb = 2\n",
        "def f(x): return x  # so\nb = 2\n",
        "def f(x): return x  # so\n",
    ),
    "one line below a docstring": (
        'def f(x):\n    "Mine."\n    ...\n',
        'def f(x):\n    "Mine."\n    return x\n',
        "def f(x): return x\n",
    ),
    "comments below the stub": (
        "class A:\n    def f(self):\n        ...\n        # mine\n\n        # too\n\n    # g's\n"
        "    def g(self): ...\n",
        "class A:\n    def f(self):\n        return 1\n        # yours\n        # mine\n\n"
        "        # too\n\n    # g's\n    def g(self): ...\n",
        "def f(self):\n    return 1\n    # yours\n",
    ),
    "comments below the stub and the same of the reply": (
        "class A:\n    def f(self):\n        ...\n        # mine\n\n\n        # too\n    x = 1\n",
        "class A:\n    def f(self):\n        return 1\n        # mine\n\n\n        # too\n"
        "    x = 1\n",
        "def f(self):\n    return 1\n    # mine\n    # too\n",
    ),
    "one line in a class": (
        "class A:\n  def f(self): pass\n  def g(self): pass\n",
        "class A:\n  def f(self):\n    return 1\n  def g(self): pass\n",
        "def f(self):\n    return 1\n",
    ),
    "header stays": (
        "@deco(1)\n# why\nasync def f(\n    x: int,  # first\n    *, y: str = 'a',\n) -> int:\n"
        "    ...\n",
        "@deco(1)\n# why\nasync def f(\n    x: int,  # first\n    *, y: str = 'a',\n) -> int:\n"
        "    return await x\n",
        "async def f(x, *, y='a'):\n    return await x\n",
    ),
    "comments and blank lines of the reply": (
        "def f(x):\n    ...\n",
        "def f(x):\n    # first\n\n    y = x  # then\n\n    return y\n    # last\n",
        "def f(x):\n    # first\n\n    y = x  # then\n\n    return y\n    # last\n",
    ),
    "tabs": (
        "class A:\n\tdef f(self):\n\t\t...\n\n\tx = 1\n",
        "class A:\n\tdef f(self):\n\t\tif 1:\n\t\t\treturn g(\n\t\t\t\t2,\n\t\t\t)\n\n\tx = 1\n",
        "def f(self):\n    if 1:\n        return g(\n            2,\n        )\n",
    ),
    "two blanks": (
        "class A:\n  def f(self):\n    ...\n",
        "class A:\n  def f(self):\n    for x in y:\n      print(x)\n",
        "def f(self):\n        for x in y:\n                print(x)\n",
    ),
    "other indentation than the file's": (
        "def g():\n    pass\nclass A:\n  def f(self):\n      ...\n",
        "def g():\n    pass\nclass A:\n  def f(self):\n      if 1:\n          return 2\n",
        "def f(self):\n    if 1:\n        return 2\n",
    ),
    "lines inside strings": (
        "class A:\n    def f(self):\n        ...\n",
        'class A:\n    def f(self):\n        a = """x\n  y\n\tz"""\n'
        '        return f"""{a}\n w"""\n',
        'def f(self):\n    a = """x\n  y\n\tz"""\n    return f"""{a}\n w"""\n',
    ),
    "backslash": (
        "class A:\n    def f(self):\n        ...\n",
        "class A:\n    def f(self):\n        return 1 + \\\n            2\n",
        "def f(self):\n    return 1 + \\\n        2\n",
    ),
    "lined up": (
        "class A:\n\tdef f(self):\n\t\t...\n",
        "class A:\n\tdef f(self):\n\t\treturn g(1,\n\t\t             2)\n",
        "def f(self):\n    return g(1,\n                 2)\n",
    ),
    "no final newline": ("def f(x): ...", "def f(x):\n    return x", "def f(x):\n    return x\n"),
    "blank lines at the end": (
        "def f(x):\n    ...\n\n\n",
        "def f(x):\n    return x\n\n\n",
        "def f(x):\n    return x\n",
    ),
    "nested in if and try": (
        "if a:\n    try:\n        def f(x): ...\n    except E:\n        pass\nelse:\n    f = 1\n",
        "if a:\n    try:\n        def f(x):\n            return x\n    except E:\n        pass\n"
        "else:\n    f = 1\n",
        "def f(x):\n    return x\n",
    ),
    "inner function and class": (
        "def f(x):\n    ...\n",
        "def f(x):\n    def g(): return 1\n    class B:\n        y = 2\n    return g, B\n",
        "def f(x):\n    def g(): return 1\n    class B:\n        y = 2\n    return g, B\n",
    ),
    "a living body": (
        "def f(x):\n    # old\n    y = 1\n    return y\n\n\nz = 3\n",
        "def f(x):\n    return x\n\n\nz = 3\n",
        "def f(x):\n    return x\n",
    ),
}


@pytest.mark.parametrize(("before", "after", "definition"), BODIES.values(), ids=BODIES)
def test_puts_the_body_in(before, after, definition):
    check(before, after, definition, "A.f" if "class A" in before else "f")


def test_takes_the_definition_asked_for_by_its_index():
    check(
        "class A:\n    @property\n    def f(self): ...\n    @f.setter\n    def f(self, v): ...\n",
        "class A:\n    @property\n    def f(self): ...\n    @f.setter\n    def f(self, v):\n"
        "        self.v = v\n",
        "def f(self, v):\n    self.v = v\n",
        "A.f",
        1,
    )


def test_no_pieces_change_nothing():
    assert rewrite(b"x = 1\r\n\tbroken", []) == b"x = 1\r\n\tbroken"


# --- bytes -----------------------------------------------------------------------------

BYTES = {
    "crlf": (
        b"a = 1\r\ndef f(x):\r\n    ...\r\nb = 2\r\n",
        b"a = 1\r\ndef f(x):\r\n    y = '''p\r\n q'''\r\n"
        b"    return y + \\\r\n        x\r\nb = 2\r\n",
    ),
    "bom": (
        b"\xef\xbb\xbfdef f(x):\n    ...\n",
        b"\xef\xbb\xbfdef f(x):\n    y = '''p\n q'''\n    return y + \\\n        x\n",
    ),
    "cookie": (
        b"# -*- coding: latin-1 -*-\na = '\xe9'\ndef f(x): ...\n",
        b"# -*- coding: latin-1 -*-\na = '\xe9'\ndef f(x):\n    y = '''p\n q'''\n"
        b"    return y + \\\n        x\n",
    ),
    "form feed on its own line": (
        b"a = 1\n\x0c\ndef f(x):\n    ...\n\x0c\nb = 2\n",
        b"a = 1\n\x0c\ndef f(x):\n    y = '''p\n q'''\n    return y + \\\n        x\n\x0c\nb = 2\n",
    ),
    "form feed before code": (
        b"a = 1\n\x0cdef f(x):\n    ...\n\n\x0cb = 2\nc = '''\n\x0cd'''\n",
        b"a = 1\n\x0cdef f(x):\n    y = '''p\n q'''\n    return y + \\\n        x\n\n"
        b"\x0cb = 2\nc = '''\n\x0cd'''\n",
    ),
    "form feed on the last line": (
        b"def f(x): ...\n\n\x0c\n",
        b"def f(x):\n    y = '''p\n q'''\n    return y + \\\n        x\n\n\x0c\n",
    ),
    "blanks on the last line": (
        b"def f(x): ...\n\n   \n \t",
        b"def f(x):\n    y = '''p\n q'''\n    return y + \\\n        x\n\n   \n \t",
    ),
    "blanks before a last comment": (
        b"def f(x): ...\n\n   \n# end",
        b"def f(x):\n    y = '''p\n q'''\n    return y + \\\n        x\n\n   \n# end",
    ),
    "mixed line ends": (
        b"a = 1\nb = 2\r\ndef f(x):\n    ...\nc = 3\r\n",
        b"a = 1\nb = 2\r\ndef f(x):\n    y = '''p\n q'''\n    return y + \\\n        x\nc = 3\r\n",
    ),
    "what libcst does not keep": (
        b"try:\n    pass\nexcept (A, B) :\n    pass\ndef f(x): ...\nclass C:\n    def g(self):\n"
        b"        try: pass\n        except (A, B) : pass\n",
        b"try:\n    pass\nexcept (A, B) :\n    pass\ndef f(x):\n    y = '''p\n q'''\n"
        b"    return y + \\\n        x\nclass C:\n    def g(self):\n"
        b"        try: pass\n        except (A, B) : pass\n",
    ),
    "tabs elsewhere": (
        b"class A:\n\tdef g(self):\n\t\treturn 1\n\n\ndef f(x): ...\n",
        b"class A:\n\tdef g(self):\n\t\treturn 1\n\n\ndef f(x):\n\ty = '''p\n q'''\n"
        b"\treturn y + \\\n\t\tx\n",
    ),
    "odd blanks": (
        b"a  =  1 ;\n\n\n\n\ndef f(x) :\n    ...\n  \n\t\nb=[ 1,2 ,]  \n",
        b"a  =  1 ;\n\n\n\n\ndef f(x) :\n    y = '''p\n q'''\n    return y + \\\n        x\n  \n"
        b"\t\nb=[ 1,2 ,]  \n",
    ),
}


@pytest.mark.parametrize(("before", "after"), BYTES.values(), ids=BYTES)
def test_keeps_the_bytes_around(before, after):
    definition = "def f(x):\n    y = '''p\n q'''\n    return y + \\\n        x\n"
    assert rewrite(before, [piece(before, definition)]) == after


def test_a_character_that_the_encoding_lacks():
    source = b"# coding: latin-1\ndef f(x): ...\n"
    with pytest.raises(
        Unusable, match=r"holds '€', which the encoding of 'src/app/mod.py' .*lacks"
    ):
        rewrite(source, [piece(source, "def f(x):\n    return '€'\n")])


# --- markers ---------------------------------------------------------------------------

F = "def f(x):\n    return x\n"
A_F = "def f(self):\n    return 1\n"
MARKERS = {
    "import below a comment of its own": (
        '"""Doc."""\n\n# about the module\n\nfrom pytest_selfheal import heal\n'
        "X = 1\n\n\n@heal\ndef f(x): ...\n",
        '"""Doc."""\n\n# about the module\n\nX = 1\n\n\ndef f(x):\n    return x\n',
        F,
    ),
    "decorator and import": (
        "import os\n\nfrom pytest_selfheal import heal\n\n\n@heal\ndef f(x):\n    ...\n",
        "import os\n\n\ndef f(x):\n    return x\n",
        F,
    ),
    "with options, inner decorator": (
        "from pytest_selfheal import heal\n\n\n@deco\n# about\n@heal(\n    hint='a',\n)\n@other\n"
        "def f(x):\n    ...\n",
        "@deco\n# about\n@other\ndef f(x):\n    return x\n",
        F,
    ),
    "last decorator with a comment": (
        "from pytest_selfheal import heal\n@deco\n# about\n@heal  # mark\n# more\n"
        "def f(x):\n    ...\n",
        "@deco\n# about\n# more\ndef f(x):\n    return x\n",
        F,
    ),
    "one of several names": (
        "from pytest_selfheal import StubCalled, heal\n\n\n@heal\ndef f(x): ...\n",
        "from pytest_selfheal import StubCalled\n\n\ndef f(x):\n    return x\n",
        F,
    ),
    "first of several names": (
        "from pytest_selfheal import (\n    heal,\n    StubCalled,\n)\n@heal\ndef f(x): ...\n",
        "from pytest_selfheal import (\n    StubCalled,\n)\ndef f(x):\n    return x\n",
        F,
    ),
    "still used": (
        "from pytest_selfheal import heal\n\n\n@heal\ndef f(x): ...\n\n\n@heal\ndef g(x): ...\n",
        "from pytest_selfheal import heal\n\n\ndef f(x):\n    return x\n\n\n@heal\ndef g(x): ...\n",
        F,
    ),
    "in __all__": (
        "from pytest_selfheal import heal\n__all__ = ['f', 'heal']\n@heal\ndef f(x): ...\n",
        "from pytest_selfheal import heal\n__all__ = ['f', 'heal']\ndef f(x):\n    return x\n",
        F,
    ),
    "exported": (
        "from pytest_selfheal import heal as heal\n@heal\ndef f(x): ...\n",
        "from pytest_selfheal import heal as heal\ndef f(x):\n    return x\n",
        F,
    ),
    "renamed": (
        "from pytest_selfheal import heal as h\nx = 1\n@h\ndef f(x): ...\n",
        "x = 1\ndef f(x):\n    return x\n",
        F,
    ),
    "module": (
        "import os, pytest_selfheal as s\n@s.heal\ndef f(x): ...\n",
        "import os\ndef f(x):\n    return x\n",
        F,
    ),
    "on a line with another": (
        "from pytest_selfheal import heal; import os\n@heal\ndef f(x): ...\n",
        "import os\ndef f(x):\n    return x\n",
        F,
    ),
    "comment of the import stays": (
        "# Licence.\n\n# marks\nfrom pytest_selfheal import heal\nimport os\n"
        "@heal\ndef f(x): ...\n",
        "# Licence.\n\n# marks\nimport os\ndef f(x):\n    return x\n",
        F,
    ),
    "between groups": (
        "import os\n\nfrom pytest_selfheal import heal\nfrom zoo import y\n@heal\ndef f(x): ...\n",
        "import os\n\nfrom zoo import y\ndef f(x):\n    return x\n",
        F,
    ),
    "comment first in the file": ("# selfheal\ndef f(x): ...\n", F, F),
    "comment with options": (
        "a = 1\n\n\n# about\n# selfheal: attempts=3\n@deco\ndef f(x): ...\n",
        "a = 1\n\n\n# about\n@deco\ndef f(x):\n    return x\n",
        F,
    ),
    "comment deeper than it should be": (
        "def g():\n    return 1\n    # selfheal\ndef f(x): ...\n",
        "def g():\n    return 1\ndef f(x):\n    return x\n",
        F,
    ),
    "keep in the comment": (
        "# selfheal: keep\ndef f(x): ...\n",
        "# selfheal: keep\ndef f(x):\n    return x\n",
        F,
    ),
    "keep in the decorator": (
        "from pytest_selfheal import heal\n@heal(keep=True)\ndef f(x): ...\n",
        "from pytest_selfheal import heal\n@heal(keep=True)\ndef f(x):\n    return x\n",
        F,
    ),
    "class healed": (
        "from pytest_selfheal import heal\n\n\n@heal\nclass A:\n    def f(self): ...\n",
        "class A:\n    def f(self):\n        return 1\n",
        A_F,
    ),
    "class with another stub": (
        "from pytest_selfheal import heal\n\n\n@heal\nclass A:\n    def f(self): ...\n"
        "    def g(self): ...\n",
        "from pytest_selfheal import heal\n\n\n@heal\nclass A:\n    def f(self):\n"
        "        return 1\n    def g(self): ...\n",
        A_F,
    ),
    "class with an abstract method": (
        "import abc\n\n\n# selfheal\nclass A(abc.ABC):\n    def f(self): ...\n"
        "    @abc.abstractmethod\n    def g(self): ...\n",
        "import abc\n\n\nclass A(abc.ABC):\n    def f(self):\n        return 1\n"
        "    @abc.abstractmethod\n    def g(self): ...\n",
        A_F,
    ),
    "class keeps": (
        "# selfheal: keep\nclass A:\n    def f(self): ...\n",
        "# selfheal: keep\nclass A:\n    def f(self):\n        return 1\n",
        A_F,
    ),
    "text like a marker": (
        "x = '''\n# selfheal\n'''\ndef f(x): ...\n",
        "x = '''\n# selfheal\n'''\ndef f(x):\n    return x\n",
        F,
    ),
}


@pytest.mark.parametrize(("before", "after", "definition"), MARKERS.values(), ids=MARKERS)
def test_takes_markers_away(before, after, definition):
    check(before, after, definition, "A.f" if definition is A_F else "f")


KEEPS = [name for name in MARKERS if "keep" not in name]


@pytest.mark.parametrize("name", KEEPS)
def test_keeps_markers_when_told_to(name):
    before, _, definition = MARKERS[name]
    source = before.encode()
    qualname = "A.f" if definition is A_F else "f"
    kept = rewrite(source, [piece(source, definition, qualname)], keep_marker=True)
    stubs = find_in_source(kept, PATH).stubs
    if "text" not in name and "class" not in name:
        assert [stub.is_living for stub in stubs if stub.qualname == qualname] == [True]
    assert kept.count(b"heal") == before.count("heal")


# --- imports ---------------------------------------------------------------------------

USES = "def f(x):\n    return thing\n"
IMPORTS = {
    "none there": ("def f(x): ...\n", "import json\n\n\n{f}", ["import json"]),
    "below the docstring": (
        '"""Doc."""\n\nX = 1\n\n\ndef f(x): ...\n',
        '"""Doc."""\n\nimport json\n\nX = 1\n\n\n{f}',
        ["import json"],
    ),
    "below opening comments": (
        "#!/usr/bin/env python\n# coding: utf-8\n\n# about f\ndef f(x): ...\n",
        "#!/usr/bin/env python\n# coding: utf-8\n\nimport json\n\n\n# about f\n{f}",
        ["import json"],
    ),
    "below the future": (
        "from __future__ import annotations\n\n\ndef f(x): ...\n",
        "from __future__ import annotations\n\nimport json\n\n\n{f}",
        ["import json"],
    ),
    "sorted in": (
        "import ast\nimport os\nfrom abc import ABC\n\n\ndef f(x): ...\n",
        "import ast\nimport json\nimport os\nfrom abc import ABC\nfrom zlib import crc32\n\n\n{f}",
        ["import json", "from zlib import crc32"],
    ),
    "first of its kind": (
        "import os\n\nimport yaml\n\nfrom app import x\n\n\ndef f(x): ...\n",
        "import ast\nimport os\n\nimport attrs\nimport yaml\n\nfrom app import x\n"
        "from .one import y\n\n\n{f}",
        ["import ast", "import attrs", "from .one import y"],
    ),
    "new kind between": (
        "import os\n\nfrom . import x\n\n\ndef f(x): ...\n",
        "import os\n\nimport yaml\n\nfrom . import x\n\n\n{f}",
        ["import yaml"],
    ),
    "new kind before": (
        "from . import x\n\n\ndef f(x): ...\n",
        "import os\n\nfrom . import x\n\n\n{f}",
        ["import os"],
    ),
    "merged": (
        "from decimal import Decimal\n\n\ndef f(x): ...\n",
        "from decimal import ROUND_UP, Decimal, getcontext as g\n\n\n{f}",
        ["from decimal import ROUND_UP", "from decimal import getcontext as g"],
    ),
    "merged into brackets": (
        "from decimal import (\n    Decimal,  # money\n)\n\n\ndef f(x): ...\n",
        "from decimal import (\n    Decimal,  # money\n    getcontext,\n)\n\n\n{f}",
        ["from decimal import getcontext"],
    ),
    "merged into the middle": (
        "from decimal import (\n    ROUND_UP,  # up\n    getcontext,\n)\n\n\ndef f(x): ...\n",
        "from decimal import (\n    ROUND_UP,  # up\n    Decimal,\n    getcontext,\n)\n\n\n{f}",
        ["from decimal import Decimal"],
    ),
    "merged into an unsorted one": (
        "from decimal import getcontext, Decimal\n\n\ndef f(x): ...\n",
        "from decimal import getcontext, Decimal, ROUND_UP\n\n\n{f}",
        ["from decimal import ROUND_UP"],
    ),
    "merged and too long": (
        "from decimal import ROUND_CEILING, ROUND_DOWN, ROUND_FLOOR, ROUND_HALF_DOWN, Decimal\n\n\n"
        "def f(x): ...\n",
        "from decimal import (\n    ROUND_CEILING,\n    ROUND_DOWN,\n    ROUND_FLOOR,\n"
        "    ROUND_HALF_DOWN,\n    Decimal,\n    getcontext,\n)\n\n\n{f}",
        ["from decimal import getcontext"],
    ),
    "there already": (
        "import json as j\nfrom a import b\n\n\ndef f(x): ...\n",
        "import json as j\nfrom a import b\n\n\n{f}",
        ["import json as j", "from a import b", "import a.b as b"],
    ),
    "there under try": (
        "try:\n    import json\nexcept ImportError:\n    json = None\n\n\ndef f(x): ...\n",
        "try:\n    import json\nexcept ImportError:\n    json = None\n\n\n{f}",
        ["import json"],
    ),
    "there by its package": (
        "from .rates import RATE\n\n\ndef f(x): ...\n",
        "from .rates import RATE\n\n\n{f}",
        ["from app.rates import RATE"],
    ),
    "from a module that is imported whole": (
        "import collections\n\n\ndef f(x): ...\n",
        "import collections\nfrom collections import OrderedDict\n\n\n{f}",
        ["from collections import OrderedDict"],
    ),
    "the whole of a module that names come from": (
        "from collections import OrderedDict\n\n\ndef f(x): ...\n",
        "import collections\nfrom collections import OrderedDict\n\n\n{f}",
        ["import collections"],
    ),
    "under another name": (
        "import numpy\n\n\ndef f(x): ...\n",
        "import numpy\nimport numpy as np\n\n\n{f}",
        ["import numpy as np"],
    ),
    "relative, as the file has it": (
        "from .rates import RATE\n\n\ndef f(x): ...\n",
        "from .rates import LIMIT, RATE\n\n\n{f}",
        ["from app.rates import LIMIT"],
    ),
    "absolute, as the file has it": (
        "from app.rates import RATE\n\n\ndef f(x): ...\n",
        "from app.rates import LIMIT as L, RATE\n\n\n{f}",
        ["from .rates import LIMIT as L"],
    ),
    "from the package itself": (
        "from . import rates\n\n\ndef f(x): ...\n",
        "from . import limits, rates\n\n\n{f}",
        ["from app import limits", "from app import rates"],
    ),
    "a module of the library beside one of ours": (
        "from .json import dumps\n\n\ndef f(x): ...\n",
        "from json import loads\n\nfrom .json import dumps\n\n\n{f}",
        ["from json import loads"],
    ),
    "below __all__": (
        "__all__ = ['f']\n\nimport os\n\n\ndef f(x): ...\n",
        "__all__ = ['f']\n\nimport json\nimport os\n\n\n{f}",
        ["import json"],
    ),
    "not for typing only": (
        "from typing import TYPE_CHECKING\n\nif TYPE_CHECKING:\n    import json\n\n\n"
        "def f(x): ...\n",
        "import json\nfrom typing import TYPE_CHECKING\n\nif TYPE_CHECKING:\n"
        "    import json\n\n\n{f}",
        ["import json"],
    ),
    "a submodule beside its package": (
        "import xml\n\n\ndef f(x): ...\n",
        "import xml\nimport xml.dom\n\n\n{f}",
        ["import xml.dom"],
    ),
    "not among late imports": (
        "import os\n\n\ndef g():\n    import json\n\n\nimport late\n\n\ndef f(x): ...\n",
        "import json\nimport os\n\n\ndef g():\n    import json\n\n\nimport late\n\n\n{f}",
        ["import json"],
    ),
    "a star stays alone": (
        "from decimal import *\n\n\ndef f(x): ...\n",
        "from decimal import *\nfrom decimal import getcontext\n\n\n{f}",
        ["from decimal import getcontext"],
    ),
}


@pytest.mark.parametrize(("before", "after", "imports"), IMPORTS.values(), ids=IMPORTS)
def test_puts_imports_where_a_person_would(before, after, imports):
    check(before, after.replace("{f}", USES), USES, imports=tuple(imports))


# --- helpers and members ---------------------------------------------------------------


def test_puts_helpers_above_the_class_and_members_below_the_method():
    check(
        """\
        import os


        # About A.
        class A:
            def f(self):
                ...

            def g(self):
                return 1
        """,
        """\
        import os

        _ONE = 1
        _TWO = 2


        # Halves.
        def _half(x):
            return x / _TWO


        # About A.
        class A:
            def f(self):
                return _half(self._one())

            def _one(self):
                return _ONE

            def g(self):
                return 1
        """,
        "def f(self):\n    return _half(self._one())\n",
        "A.f",
        helpers=("_ONE = 1\n", "_TWO = 2\n", "# Halves.\ndef _half(x):\n    return x / _TWO\n"),
        members=("def _one(self):\n    return _ONE\n",),
    )


def test_puts_a_helper_below_what_it_needs_at_once():
    before = "class A:\n    def f(self): ...\n\n\nx = 1\n"
    helper = "def _twice(a: A) -> A:\n    return a\n"
    after = (
        "class A:\n    def f(self):\n        return _twice(self)\n\n\n"
        "def _twice(a: A) -> A:\n    return a\n\n\nx = 1\n"
    )
    definition = "def f(self):\n    return _twice(self)\n"
    check(before, after, definition, "A.f", helpers=(helper,))
    exec(compile(after, "mod", "exec"), {})
    lazy = "from __future__ import annotations\n\n\n" + before
    source = lazy.encode()
    made = rewrite(source, [piece(source, definition, "A.f", helpers=(helper,))]).decode()
    assert made.index("_twice(a") < made.index("class A")


def test_counts_statements_as_libcst_does():
    check(
        "a = 1; b = 2; c = 3\n\n\nclass A:\n    x = 1; y = 2\n\n    def f(self): ...\n",
        "a = 1; b = 2; c = 3\n\n_K = 4\n\n\nclass A:\n    x = 1; y = 2\n\n    def f(self):\n"
        "        return _K\n",
        "def f(self):\n    return _K\n",
        "A.f",
        helpers=("_K = 4\n",),
    )


def test_tells_methods_of_classes_with_one_name_apart():
    check(
        "if a:\n    class A:\n        def f(self): ...\nelse:\n    class A:\n"
        "        def f(self): ...\n        def g(self): ...\n",
        "if a:\n    class A:\n        def f(self): ...\nelse:\n    class A:\n"
        "        def f(self):\n            return 1\n        def g(self): ...\n",
        A_F,
        "A.f",
        1,
    )


CLASSES = {
    "plain": "class _Box:\n    def __init__(self, v):\n        self.v = v\n",
    "with a class in it": "class _Box:\n    x = 1\n\n    class Inner:\n        y = 2\n",
    "decorated": "@dataclass(frozen=True)\nclass _Box:\n    v: int = 1\n",
    "under a condition": "if True:\n    class _Box:\n        v = 1\n",
}


@pytest.mark.parametrize("helper", CLASSES.values(), ids=CLASSES)
@pytest.mark.parametrize("marker", ["# selfheal\n", "@heal\n"])
def test_a_class_may_be_a_helper(helper, marker):
    above = "from pytest_selfheal import heal\n\n\n" if marker == "@heal\n" else ""
    source = (above + "class A:\n    z = 3\n\n\n" + marker + "def f(x):\n    ...\n").encode()
    made = rewrite(source, [piece(source, F, helpers=(helper,))]).decode()
    assert made == "class A:\n    z = 3\n\n\n" + helper + "\n\ndef f(x):\n    return x\n"


def test_a_helper_first_in_the_file():
    check(
        "# selfheal\ndef f(x): ...\n",
        "def _g():\n    return 1\n\n\ndef f(x):\n    return _g()\n",
        "def f(x):\n    return _g()\n",
        helpers=("def _g():\n    return 1\n",),
    )


TWO = b"class A:\n    def f(self): ...\n    def g(self): ...\n\n\ndef h(x): ...\n"


def two_pieces(**more):
    return [
        piece(TWO, "def f(self):\n    return _k()\n", "A.f", **more),
        piece(TWO, "def g(self):\n    return _k()\n", "A.g", **more),
        piece(TWO, "def h(x):\n    return _k()\n", "h", **more),
    ]


def test_pieces_share_what_they_need_in_any_order():
    pieces = two_pieces(imports=("import os",), helpers=("def _k():\n    return os\n",))
    made = rewrite(TWO, pieces)
    assert made == rewrite(TWO, pieces[::-1]) == rewrite(TWO, [pieces[1], pieces[0], pieces[2]])
    assert made.count(b"def _k") == made.count(b"import os") == 1
    assert made.count(b"return _k()") == 3
    # A second time, as when a file already holds part of it, adds nothing.
    assert rewrite(made, pieces) == made


def test_pieces_one_after_the_other_give_what_they_give_together():
    pieces = two_pieces(helpers=("_k = int\n",))
    made = TWO
    for each in pieces:
        made = rewrite(made, [each])
    assert made == rewrite(TWO, pieces)


K = "def {}(self):\n    return _k() + self._k\n"
SECOND = {
    "helpers": (
        {"helpers": ("_k = int\n",)},
        {"helpers": ("_k = str\n",)},
        "_k = int\n_k_2 = str\n\n\n{f}{g}",
    ),
    "functions": (
        {"helpers": ("def _k():\n    return 1\n",)},
        {"helpers": ("async  def _k(x=1):\n    return _k, x.k\n",)},
        "def _k():\n    return 1\n\n\nasync  def _k_2(x=1):\n    return _k_2, x.k\n\n\n{f}{g}",
    ),
    "a helper that another one needs": (
        {"helpers": ("_j = 1\n", "def _k():\n    return _j\n")},
        {"helpers": ("_j = 2\n", "def _k():\n    return _j\n")},
        "_j = 1\n\n\ndef _k():\n    return _j\n\n\n_j_2 = 2\n\n\n"
        "def _k_2():\n    return _j_2\n\n\n{f}{g}",
    ),
    "parameters, attributes and inner names stay": (
        {"helpers": ("_k = int\n",)},
        {
            "helpers": (
                "_k = str\n",
                "def _j(é, _k=1):\n    '''_k'''\n    return _k, é._k, _j(_k=2)  # _k\n",
                "def _i(é, x):\n    def _k(): ...\n    return é, _k\n",
            )
        },
        "_k = int\n_k_2 = str\n\n\ndef _j(é, _k=1):\n    '''_k'''\n"
        "    return _k, é._k, _j(_k=2)  # _k\n\n\n"
        "def _i(é, x):\n    def _k(): ...\n    return é, _k\n\n\n{f}{g}",
    ),
    "helper and import": (
        {"helpers": ("_k = int\n",)},
        {"imports": ("import os as _k",)},
        "import os as _k_2\n\n_k = int\n\n\n{f}{g}",
    ),
    "imports": (
        {"imports": ("from a import _k",)},
        {"imports": ("from b import _k",)},
        "from a import _k\nfrom b import _k as _k_2\n\n\n{f}{g}",
    ),
    "one thing imported in two ways": (
        {"imports": ("from .a import _k",)},
        {"imports": ("from app.a import _k",)},
        "from .a import _k\n\n\n{f}{G}",
    ),
}


@pytest.mark.parametrize(("first", "second", "after"), SECOND.values(), ids=SECOND)
def test_the_second_thing_of_a_name_gets_another(first, second, after):
    pieces = [
        piece(TWO, K.format("f"), "A.f", **first),
        piece(TWO, K.format("g"), "A.g", **second),
    ]
    made = rewrite(TWO, pieces)
    assert made == rewrite(TWO, pieces[::-1])
    f = "class A:\n    def f(self):\n        return _k() + self._k\n"
    g = "    def g(self):\n        return _k_2() + self._k\n"
    after = after.format(f=f, g=g, G=g.replace("_2", ""))
    assert made.decode() == after + "\n\ndef h(x): ...\n"


CONFLICTS = {
    "one reply's helpers": (
        {},
        {"helpers": ("_k = 1\n", "_k = 2\n")},
        r"for 'src/app/mod.py::A.g' defines '_k' twice, differently: use two names",
    ),
    "a name in a string": (
        {"helpers": ("_k = 1\n",)},
        {"helpers": ("_k = 2\n", "_j = ['_k']\n")},
        r"for 'src/app/mod.py::A.g' and for 'src/app/mod.py::A.f' defines '_k' differently",
    ),
    "a name that is global": (
        {"helpers": ("_k = 1\n",)},
        {"helpers": ("_k = 2\n", "def _j():\n    global _k\n    _k = 3\n")},
        "defines '_k' differently",
    ),
    "a name of a class's own": (
        {"helpers": ("_k = 1\n",)},
        {"helpers": ("_k = 2\n", "class _J:\n    _k = _k\n")},
        "defines '_k' differently",
    ),
    "a name that is local as well": (
        {"helpers": ("_k = 1\n",)},
        {"helpers": ("_k = 2\n", "def _j(x):\n    return [_k for _k in x], _k\n")},
        "defines '_k' differently",
    ),
    "a name that is imported inside": (
        {"helpers": ("_k = 1\n",)},
        {"helpers": ("_k = 2\n", "def _j():\n    from a import _k\n    return _k\n")},
        "defines '_k' differently",
    ),
    "a package": (
        {"helpers": ("_k = 1\n",)},
        {"imports": ("import _k.a",)},
        r"'src/app/mod.py::A.g' and .*::A.f' defines '_k' differently",
    ),
    "members differ": (
        {"members": ("_k = 1\n",)},
        {"members": ("_k = 2\n",)},
        "defines '_k' differently",
    ),
}


@pytest.mark.parametrize(("first", "second", "message"), CONFLICTS.values(), ids=CONFLICTS)
def test_two_things_of_one_name(first, second, message):
    pieces = [
        piece(TWO, "def f(self):\n    return 1\n", "A.f", **first),
        piece(TWO, "def g(self):\n    return 1\n", "A.g", **second),
    ]
    with pytest.raises(Unusable, match=message):
        rewrite(TWO, pieces)


TAKEN = {
    "helper": ({"helpers": ("h = 1\n",)}, r"'h', which .*A.f' needs, is already defined .*line 6"),
    "import": ({"imports": ("import os as A",)}, "'A'.* as a class on line 1: use another name"),
    "member": ({"members": ("g = 1\n",)}, "'g', which .* adds to its class, is already defined in"),
}


@pytest.mark.parametrize(("more", "message"), TAKEN.values(), ids=TAKEN)
def test_names_that_the_file_has(more, message):
    with pytest.raises(Unusable, match=message):
        rewrite(TWO, [piece(TWO, "def f(self):\n    return 1\n", "A.f", **more)])


FAMILY = b"""\
class Base(Generic[T]):
    def _k(self): return 1
class A(Base[int]):
    def f(self): ...
class Derived(A):
    _j = 2
class Sibling(Base):
    _i = 3
"""


@pytest.mark.parametrize(
    ("name", "where"),
    [("_k", "Base"), ("_j", "Derived")],
    ids=["a base's", "a derived class's"],
)
def test_a_member_hides_none_of_the_family(name, where):
    with pytest.raises(Unusable, match=rf"'{name}', which .* is already defined in '{where}'"):
        rewrite(FAMILY, [piece(FAMILY, A_F, "A.f", members=(f"{name} = 1\n",))])
    assert b"_i = 1" in rewrite(FAMILY, [piece(FAMILY, A_F, "A.f", members=("_i = 1\n",))])


# --- refusals --------------------------------------------------------------------------


def test_a_stub_that_is_gone():
    with pytest.raises(EditConflict, match=r"'src/app/mod.py' no longer holds 'f'"):
        rewrite(b"def g(x): ...\n", [piece(b"def f(x): ...\n", F)])


def test_a_file_that_does_not_parse():
    with pytest.raises(EditConflict, match=r"'src/app/mod.py' cannot be edited: Python 3"):
        rewrite(b"def f(x: ...\n", [piece(b"def f(x): ...\n", F)])


def test_line_ends_that_libcst_does_not_keep():
    source = b"x = 1\rdef f(x):\r    ...\r"
    with pytest.raises(EditConflict, match=r"line ends or blanks around a stub .* format these"):
        rewrite(source, [piece(source, F)])


def test_two_bodies_for_one_stub():
    source = b"def f(x): ...\n"
    pieces = [piece(source, F), piece(source, "def f(x):\n    return 2\n")]
    with pytest.raises(EditConflict, match="written twice, differently"):
        rewrite(source, pieces)
    assert rewrite(source, [pieces[0], pieces[0]]) == F.encode()


SPOILT = {
    "another function": (b"return 1", b"return 2", "something beside|more would change"),
    "the header": (b"def f(x)", b"def f(x, y)", "more would change"),
    "a comment": (b"# stays", b"# goes", r"the line '# stays' would change"),
    "blanks": (b"g = 3", b"g  = 3", "more would change"),
    "blanks at a line's end": (b"g = 3", b"g = 3 ", r"the line 'g = 3' would change"),
    "an import": (b"import os", b"import sys", "loses 'import os'"),
    "another import": (b"import os", b"import os, sys", "not those asked for"),
    "the body": (b"return x", b"return  y", "the body of 'f' is not the reply's"),
    "the docstring": (b"Mine", b"Yours", "the docstring of 'f' is not the stub's"),
    "syntax": (b"g = 3", b"g = = 3", "cannot be parsed"),
    "the name": (b"def f(x)", b"def ff(x)", "'f' is not in the result"),
    "the order": (b"g = 3\nh = 4\n", b"h = 4\ng = 3\n", "something beside|order"),
}


@pytest.mark.parametrize(("old", "new", "message"), SPOILT.values(), ids=SPOILT)
def test_sees_when_an_edit_goes_wrong(monkeypatch, old, new, message):
    source = b"import os\n# stays\ndef e():\n    return 1\ng = 3\nh = 4\ndef f(x):\n    'Mine'\n"
    good = rewrite(source, [piece(source, F)])
    assert old in good
    monkeypatch.setattr(
        edit_module, "_without_class_markers", lambda after, job: good.replace(old, new)
    )
    with pytest.raises(
        EditConflict, match=rf"edit of 'src/app/mod.py' is not written: .*{message}"
    ):
        rewrite(source, [piece(source, F)])


# --- round trips -----------------------------------------------------------------------

MODULES = [
    "argparse", "ast", "bisect", "calendar", "collections", "configparser", "csv", "dataclasses",
    "difflib", "fractions", "functools", "heapq", "inspect", "statistics", "textwrap", "tokenize",
    "zipfile", "pdb", "tarfile",
]  # fmt: skip


@pytest.mark.parametrize("name", MODULES)
def test_a_body_put_back_gives_the_standard_library_again(name):
    """Bodies of every tenth function: out, a stub in their place, and back again."""
    source = Path(importlib.util.find_spec(name).origin).read_bytes()
    found = [each for each in definitions(ast.parse(source)) if isinstance(each.node, FUNCTIONS)]
    found = [each for each in found if each.node.body[0].lineno > each.node.lineno]
    chosen = found[:: max(1, len(found) // 4)]
    stubbed, pieces = source, []
    for each in reversed(chosen):
        pieces.append(piece(source, quoted(source, each), each.qualname, each.index))
        stubbed = without_body(stubbed, each)
    assert stubbed != source
    made = rewrite(stubbed, pieces)
    assert ast.dump(ast.parse(made)) == ast.dump(ast.parse(source))
    assert without_free_lines(made) == without_free_lines(source)


def quoted(source, found):
    lines = source.decode().split("\n")[found.node.lineno - 1 : found.node.end_lineno]
    return dedent_code("\n".join(lines) + "\n", found.node.col_offset)


def without_body(source, found):
    node = found.node
    body = [each for each in node.body if not is_text(each)] or node.body
    lines = source.split(b"\n")
    start, column = body[0].lineno, body[0].col_offset
    if getattr(body[0], "decorator_list", None):
        start = first_line(body[0])
        column = body[0].col_offset
    kept = lines[start - 1][:column]
    lines[start - 1 : node.end_lineno] = [kept + b"raise NotImplementedError"]
    return b"\n".join(lines)


def is_text(node):
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def without_free_lines(source):
    """Lines with code; comments between a header and its body are the body's to lose."""
    return [line for line in source.split(b"\n") if line.strip() and not is_comment(line)]


def is_comment(line):
    return line.strip().startswith(b"#")


# --- any module ------------------------------------------------------------------------

NAME = st.from_regex(r"[a-z]{4,6}_[0-9]", fullmatch=True)
FILLER = st.sampled_from(
    [
        "x = 1", "# a comment", "", "", "import os", "from a.b import (c,\n    d)",
        "def other(a, *, b=2):\n    return (a,\n        b)",
        "class C:\n    '''Doc.'''\n    y = [\n    1]",
        "if x:\n    pass\nelse:\n    z = '''\n  text\n'''", "@deco\nasync def more(): pass",
        "try:\n    pass\nexcept E: pass", "x = 1; y = 2", "\x0c", "   ", "for i in x: pass",
    ]
)  # fmt: skip
BODY = st.lists(
    st.sampled_from(
        [
            "a = 1", "# why", "", "if a:\n        b = 2\n    else:\n        pass", "return a",
            "t = '''x\n y\n'''", "u = f'''{a}\n\t{a!r}'''", "call(\n        1,\n    )",
            "v = 1 + \\\n    2",
        ]
    ),
    min_size=0, max_size=5,
)  # fmt: skip
STUB = st.sampled_from(
    [": ...", ":\n    pass", ":\n    '''Doc.'''", ":\n    # c\n    ...\n    # d"]
)


@settings(max_examples=150, deadline=None)
@given(
    above=st.lists(FILLER, max_size=5),
    below=st.lists(FILLER, max_size=5),
    name=NAME,
    stub=STUB,
    body=BODY,
    newline=st.sampled_from(["\n", "\r\n"]),
    mark=st.booleans(),
    bom=st.booleans(),
)
def test_only_the_body_changes(above, below, name, stub, body, newline, mark, bom):
    before = [*above, *["# selfheal"] * mark]
    head = "".join(line + "\n" for line in before)
    tail = "".join(line + "\n" for line in below)
    definition = f"def {name}(x):\n" + "".join(f"    {line}\n" for line in [*body, "return x"])
    text = f"{head}def {name}(x){stub}\n{tail}"
    source = b"\xef\xbb\xbf" * bom + text.replace("\n", newline).encode()
    made = rewrite(source, [piece(source, definition, name)])
    outer = "".join(line + "\n" for line in above).replace("\n", newline).encode()
    assert made.startswith(b"\xef\xbb\xbf" * bom + outer)
    assert made.endswith(tail.replace("\n", newline).encode())
    old, new = ast.parse(source), ast.parse(made)
    assert [ast.dump(node) for node in old.body if getattr(node, "name", "") != name] == [
        ast.dump(node) for node in new.body if getattr(node, "name", "") != name
    ]
    if newline == "\r\n":
        assert not re.search(rb"(?<!\r)\n", made)


@given(st.lists(st.binary(max_size=4).map(lambda b: b.replace(b"\r", b"")), max_size=6))
def test_dropping_lines_keeps_the_others(parts):
    source = b"\n".join(parts)
    lines = source.splitlines(keepends=True)
    for number in range(1, len(lines) + 1):
        rest = lines[: number - 1] + lines[number:]
        if not source.startswith(b"\xef\xbb\xbf"):
            assert drop_lines(source, {number}) == b"".join(rest)
    assert drop_lines(source, set()) == source
