"""Stubs of every kind, wherever in a project they may stand, in one heal.

A `src` layout, a flat package, a namespace package, a single module, `conftest.py`, the test
files themselves; beside files that this Python cannot parse, which stop nothing.
"""

from __future__ import annotations

import subprocess
import sys

from tests.harness import Project, python, require
from tests.scripted_server import ScriptedServer

FILES = {
    "pytest.ini": "[pytest]\npythonpath = src .\n",
    "src/ledger/__init__.py": "",
    "src/ledger/rates.py": "RATE = 3\nLIMIT = 9\n",
    "src/ledger/tax.py": '''
        """Taxes."""
        import collections
        from .rates import RATE

        try:
            # selfheal
            def under_try(x): ...
        except ImportError:
            under_try = None


        # selfheal
        class Table:
            """Two stubs, and what stays."""

            limit = 3   # odd   spacing

            class Inner:
                def deep(self): ...

            # about due
            @property
            def due(self): ...

            @due.setter
            def due(self, value):
                """Set it."""
                raise NotImplementedError

            def whole(self):
                return  1
    ''',
    "flat/__init__.py": "",
    "flat/parts.py": b"\xef\xbb\xbfX = 1\r\n\x0c\r\n# selfheal\r\ndef part(x):\r\n\t...\r\n",
    "space/inside/leaf.py": "async def leaf(x): return 1\n# selfheal\nasync def leaf(x): ...",
    "single.py": "# selfheal\n@staticmethod\ndef single(*, x): pass\n",
    "conftest.py": """
        import pytest
        # selfheal
        def helper(x):
            ...

        @pytest.fixture
        def four():
            return helper(2)
    """,
    "tests/test_ledger.py": """
        import asyncio
        import pytest
        from pytest_selfheal import heal
        from flat.parts import part
        from ledger.tax import Table, under_try
        from single import single
        from space.inside.leaf import leaf


        @heal
        def double(x):
            \"\"\"Twice.\"\"\"


        # selfheal
        @pytest.fixture
        def five():
            ...


        class TestHere:
            # selfheal
            def build(self, x):
                ...

            def test_build(self):
                assert self.build(3) == [3]


        def test_double(five, four):
            assert double(five) == 10
            assert four == 4


        def test_ledger():
            table = Table()
            table.due = 3
            assert table.due == 6
            assert Table.Inner().deep() == {"a": 1}
            assert under_try(1) == 12
            assert part(1) == "1\\n  2"
            assert single(x=1) == 1
            assert asyncio.run(leaf(1)) == 2
    """,
    "broken.py": "# selfheal\ndef broken(: ...\n",
    "old.py": "print 'selfheal'\n",
    "odd.py": b"# coding: klingon\n# selfheal\n",
}
REPLIES = {
    "src/ledger/tax.py::under_try": """
        from ledger.rates import LIMIT, RATE

        def _sum(a, b):
            return a + b

        def under_try(x):
            return x and _sum(LIMIT, RATE)
    """,
    "src/ledger/tax.py::Table.Inner.deep": """
        from collections import OrderedDict

        def deep(self):
            return OrderedDict(a=1)
    """,
    "src/ledger/tax.py::Table.due": """
        class Table:
            @property
            def due(self):
                return self._due

            @due.setter
            def due(self, value):
                self._due = _sum([value, value])

        def _sum(values):
            return sum(values)
    """,
    "flat/parts.py::part": "def part(x):\n    return '''1\n  2'''\n",
    "space/inside/leaf.py::leaf": "async def leaf(x):\n    return x + 1\n",
    "single.py::single": "def single(*, x): return x\n",
    "conftest.py::helper": "def helper(x):\n    return x * 2\n",
    "tests/test_ledger.py::double": "def double(x):\n    return x * 2\n",
    "tests/test_ledger.py::five": "@pytest.fixture\ndef five():\n    return 5\n",
    "tests/test_ledger.py::TestHere.build": "def build(self, x):\n    return [x]\n",
}
HEALED = {
    "src/ledger/tax.py": '''\
"""Taxes."""
import collections
from collections import OrderedDict
from .rates import LIMIT, RATE


def _sum(a, b):
    return a + b


try:
    def under_try(x):
        return x and _sum(LIMIT, RATE)
except ImportError:
    under_try = None


def _sum_2(values):
    return sum(values)


class Table:
    """Two stubs, and what stays."""

    limit = 3   # odd   spacing

    class Inner:
        def deep(self):
            return OrderedDict(a=1)

    # about due
    @property
    def due(self):
        return self._due

    @due.setter
    def due(self, value):
        """Set it."""
        self._due = _sum_2([value, value])

    def whole(self):
        return  1
''',
    "flat/parts.py": "\ufeffX = 1\r\n\x0c\r\ndef part(x):\r\n\treturn '''1\r\n  2'''\r\n",
    "space/inside/leaf.py": "async def leaf(x): return 1\nasync def leaf(x):\n    return x + 1",
    "single.py": "@staticmethod\ndef single(*, x): return x\n",
}


def test_stubs_are_healed_wherever_they_stand(tmp_path):
    require("bubblewrap")
    project = Project(tmp_path / "project", FILES)
    replies = {target: [python(code)] for target, code in REPLIES.items()}
    with ScriptedServer(replies) as server:
        run = project.heal("--selfheal-sandbox=bubblewrap", server=server)
    assert run.status == 0, run.output
    assert set(run.statuses().values()) == {"healed"}, run.output
    for path, text in HEALED.items():
        assert run.text(path) == text
    for path in ("conftest.py", "tests/test_ledger.py"):
        assert "heal" not in run.text(path)
        assert "..." not in run.text(path)
    for path in ("broken.py", "old.py", "odd.py"):
        assert path not in run.changed
        assert f"warning: {path}:" in run.output
    plain = [sys.executable, "-m", "pytest", "-q", "-p", "no:selfheal"]
    again = subprocess.run(plain, cwd=project.root, capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stdout
