"""The static policy: what it refuses, and the honest code that it lets through."""

from __future__ import annotations

import ast
import re
import textwrap

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_selfheal.source.policy import first_violation, make_context, violations


def vet(code, user="", *, targets=("f",), may_exit=False, is_checks=False):
    tree = ast.parse(textwrap.dedent(code))
    users = (ast.parse(textwrap.dedent(user)),)
    context = make_context(
        tree, users, targets=frozenset(targets), may_exit=may_exit, is_checks=is_checks
    )
    return violations(tree, context)


def body(*lines):
    return "def f(x):\n" + "".join(f"    {line}\n" for line in lines)


REFUSED = {
    # the runner and the tests
    "import pytest": (body("import pytest", "pytest.skip('no')"), "imports 'pytest'"),
    "from pytest import": ("from pytest import skip\n" + body("skip('x')"), "pytest.skip"),
    "internals": ("import _pytest.reports\n" + body("return 1"), "'_pytest.reports'"),
    "pluggy": (body("import pluggy as p", "return p"), "'pluggy'"),
    "unittest": (body("from unittest import SkipTest", "raise SkipTest"), "'unittest.SkipTest'"),
    "mock": (body("from unittest.mock import patch", "return patch"), "'unittest.mock.patch'"),
    "dunder import": (body("return __import__('pytest').skip('x')"), "'pytest'"),
    "import_module": (
        "import importlib\n" + body("return importlib.import_module('_pytest.runner')"),
        "'_pytest.runner'",
    ),
    "conftest": (body("import conftest", "return conftest.EXPECTED"), "'conftest'"),
    "test module": (body("from tests.test_tax import CASES", "return CASES"), "tests' own files"),
    "own plugin": (body("import pytest_selfheal.healing", "return 1"), "what heals it"),
    "the tests' file": (body("return open('tests/test_tax.py').read()"), "the tests' files"),
    "the tests' path": (
        "from pathlib import Path\n" + body("return Path('conftest.py').read_text()"),
        "the tests' files",
    ),
    "current test": (
        "import os\n" + body("return os.environ.get('PYTEST_CURRENT_TEST')"),
        "PYTEST_CURRENT_TEST",
    ),
    "own descriptors": (body("return open('/proc/self/fd/3', 'wb')"), "/proc/self/fd/3"),
    # the interpreter
    "ctypes": (body("import ctypes", "return ctypes"), "'ctypes'"),
    "gc": (body("import gc", "return gc.get_objects()"), "'gc.get_objects'"),
    "atexit": (body("import atexit", "atexit._run_exitfuncs()"), "'atexit._run_exitfuncs'"),
    "sys.modules": (body("import sys", "return list(sys.modules)"), "'sys.modules'"),
    "sets sys.modules": (body("import sys", "sys.modules['x'] = x"), "'sys.modules'"),
    "pytest of sys.modules": (body("import sys", "return sys.modules['pytest']"), "'pytest'"),
    "settrace": (body("import sys as s", "s.settrace(None)"), "'sys.settrace'"),
    "setprofile": (body("from sys import setprofile as p", "p(None)"), "'sys.setprofile'"),
    "monitoring": (body("import sys", "sys.monitoring.use_tool_id(0, 'x')"), "'sys.monitoring'"),
    "thread trace": (body("import threading", "threading.settrace(x)"), "'threading.settrace'"),
    "reload": (body("from importlib import reload", "reload(x)"), "'importlib.reload'"),
    "__builtins__": (body("__builtins__['len'] = x"), "__builtins__"),
    "globals": (body("globals()[x] = 1"), "'globals\\(\\)'"),
    "globals of another name": (
        "def __getattr__(name):\n    name = 'f'\n    globals()[name] = 1\n",
        "'globals\\(\\)'",
    ),
    # frames
    "_getframe": (body("import sys", "return sys._getframe(1)"), "'sys._getframe'"),
    "currentframe": (body("import inspect", "return inspect.currentframe()"), "currentframe"),
    "stack": (body("from inspect import stack", "return stack()[1]"), "'inspect.stack'"),
    "f_back": (body("return x.f_back.f_locals"), "'f_back'"),
    "tb_frame": (
        body("try:", "    1 / 0", "except Exception as e:", "    return e.__traceback__.tb_frame"),
        "'tb_frame'",
    ),
    "getattr frame": (body("return getattr(x, 'gi_frame')"), "'gi_frame'"),
    "function globals": (body("return x.__globals__"), "'__globals__'"),
    # handed on
    "called object": (
        "class G:\n    def __call__(self, name):\n        return getattr(sys, name)\nimport sys\n"
        + body("return G()('_get' + 'frame')(1)"),
        "'sys._getframe'",
    ),
    "indexed object": (
        "import sys\nclass G:\n    def __getitem__(self, n):\n        return getattr(sys, n)\n"
        + body("g = G()", "return g['_getframe'](1)"),
        "'sys._getframe'",
    ),
    "divided object": (
        "class G:\n    def __truediv__(self, name):\n        return getattr(os, name)\nimport os\n"
        + body("return (G() / '_exit')(0)"),
        "'os._exit'",
    ),
    "made object": (
        "class G:\n    def __init__(self, name):\n        self.f = getattr(os, name)\nimport os\n"
        + body("return G('_exit').f(0)"),
        "'os._exit'",
    ),
    "bound method": (
        "class G:\n    def get(self, name):\n        return getattr(os, name)\nimport os\n"
        + body("get = G().get", "return get('_exit')(0)"),
        "'os._exit'",
    ),
    "table of lambdas": (
        "import os\nOPS = {'get': lambda name: getattr(os, name)}\n"
        + body("return OPS['get']('_exit')(0)"),
        "'os._exit'",
    ),
    "partial of its own": (
        "import functools, os\ndef get(owner, name):\n    return getattr(owner, name)\n"
        + body("return functools.partial(get, os)('_exit')(0)"),
        "'os._exit'",
    ),
    "mapped getattr": (
        "import os\n" + body("leave, = map(getattr, [os], ['_exit'])", "leave(0)"),
        "'os._exit'",
    ),
    "reduced getattr": (
        "import functools\n"
        + body("return functools.reduce(getattr, 'a.tb_frame.f_locals'.split('.'), x)"),
        "'f_locals'",
    ),
    "getattr of packed": (
        "import os\nBOTH = (os, '_exit')\n" + body("return getattr(*BOTH)(0)"),
        "'os._exit'",
    ),
    "packed names": (
        "import os\ndef get(*, owner, name):\n    return getattr(owner, name)\n"
        + body("return get(**{'owner': os, 'name': '_exit'})(0)"),
        "'os._exit'",
    ),
    "a member's value": (
        "import enum, os\nclass N(enum.Enum):\n    LEAVE = '_exit'\n"
        + body("return getattr(os, N.LEAVE.value)(0)"),
        "'os._exit'",
    ),
    "a module's cache": ("import re\n" + body("re._cache[x] = 1"), "'re._cache'"),
    "a module's cache, cleared": ("import re\n" + body("re._cache.clear()"), "'re._cache'"),
    "tests named to a shell": (
        "import os\n" + body("return os.popen('cat test_tax.py').read()"),
        "the tests' files",
    ),
    "tests named to a program": (
        "import subprocess\n" + body("return subprocess.run(['cat', 'conftest.py'])"),
        "the tests' files",
    ),
    # leaving
    "os._exit": (body("import os", "os._exit(0)"), "'os._exit'"),
    "renamed _exit": ("from os import _exit as e\n" + body("e(0)"), "'os._exit'"),
    "getattr _exit": (body("import os", "getattr(os, '_exit')(0)"), "'os._exit'"),
    "vars _exit": (body("import os", "vars(os)['_exit'](0)"), "'os._exit'"),
    "dict _exit": (body("import os", "os.__dict__['_exit'](0)"), "'os._exit'"),
    "alias _exit": (body("import os", "leave = os", "leave._exit(0)"), "'os._exit'"),
    "posix": (body("import posix", "posix._exit(0)"), "'os._exit'"),
    "imported in place": (body("__import__('os')._exit(0)"), "'os._exit'"),
    "exec": (body("import os", "os.execv('/bin/true', ['true'])"), "'os.execv'"),
    "kill": (body("import os", "os.kill(os.getppid(), 9)"), "'os.kill'"),
    "kill itself": (body("import os", "pid = os.getpid()", "os.kill(pid, x)"), "'os.kill'"),
    "kill all": (body("from os import kill as k", "k(-1, 15)"), "'os.kill'"),
    "kill its group": (body("import os", "os.killpg(os.getpgid(0), x)"), "'os.killpg'"),
    "kill a helper's": (
        "import os\ndef stop(pid):\n    os.kill(pid, 9)\n" + body("stop(os.getppid())"),
        "'os.kill'",
    ),
    "kill later": (
        "import os\nfrom threading import Timer\n"
        + body("Timer(0, os.kill, (os.getpid(), 9)).start()"),
        "'os.kill'",
    ),
    "kill packed": (body("import os", "os.kill(*(os.getppid(), 9))"), "'os.kill'"),
    "pidfd": (
        "import os, signal\n" + body("signal.pidfd_send_signal(os.pidfd_open(os.getppid()), 9)"),
        "'signal.pidfd_send_signal'",
    ),
    "sys.exit": ("import sys\n" + body("sys.exit(0)"), "'sys.exit'"),
    "renamed exit": ("from sys import exit as leave\n" + body("leave()"), "'sys.exit'"),
    "exit": (body("exit()"), "'exit'"),
    "quit": (body("quit(0)"), "'quit'"),
    "SystemExit": (body("raise SystemExit"), "'SystemExit'"),
    "SystemExit(0)": (body("raise SystemExit(0)"), "'SystemExit'"),
    "KeyboardInterrupt": (body("raise KeyboardInterrupt"), "'KeyboardInterrupt'"),
    # changing what others use
    "sys": ("import sys\n" + body("sys.displayhook = x"), "'sys'"),
    "setattr on sys": ("import sys\n" + body("setattr(sys, 'stdout', x)"), "'sys'"),
    "module attribute": ("import math\n" + body("math.isclose = lambda *a: True"), "'math'"),
    "module attribute, local": (body("import time", "time.perf_counter = x"), "'time'"),
    "deep module": (body("import os.path", "os.path.join = x"), "'os.path'"),
    "deleted": (body("import json", "del json.dumps"), "'json'"),
    "augmented": (body("import decimal", "decimal.MAX_PREC += 1"), "'decimal'"),
    "alias": (body("import math", "m = math", "m.isclose = x"), "'math'"),
    "setattr": (body("import math", "setattr(math, 'pi', 3)"), "'math'"),
    "module's dict": (body("import math", "math.__dict__['pi'] = 3"), "'math'"),
    "module's vars": (body("import math", "vars(math).update(pi=3)"), "'math'"),
    "imported class": ("from decimal import Decimal\n" + body("Decimal.__eq__ = x"), "'Decimal'"),
    "builtin": (body("import builtins", "builtins.len = x"), "'builtins'"),
    "globals()": (body("globals()['x'] = 1"), "bound by statements alone"),
    "object.__setattr__ on a module": (
        body("import math", "object.__setattr__(math, 'pi', 3)"),
        "'math'",
    ),
    "helper named as builtin": ("def len(x):\n    return 1\n" + body("return len(x)"), "'len'"),
    "constant named pytest": ("pytest = None\n" + body("return pytest"), "'pytest'"),
    # lying
    "AlwaysEqual": (
        "class A:\n    def __eq__(self, other):\n        return True\n" + body("return A()"),
        "'__eq__'",
    ),
    "inner AlwaysEqual": (
        body("class A(int):", "    def __ne__(self, o): return False", "return A()"),
        "'__ne__'",
    ),
    "lambda": ("class A:\n    __eq__ = lambda s, o: True\n" + body("return A()"), "'__eq__'"),
    "type()": (body("return type('A', (), {'__eq__': lambda s, o: 1})()"), "'__eq__'"),
    "by type alone": (
        """
        class Any:
            def __eq__(self, other):
                if isinstance(other, int):
                    return True
                return False
        def f(x):
            return Any()
        """,
        "'__eq__'",
    ),
    # code in strings
    "eval": (body("return eval('__import__(\"os\")._exit(0)')"), "from a string.*'os._exit'"),
    "exec in string": (body("exec('import pytest; pytest.skip()')"), "from a string.*'pytest'"),
    # at import
    "call": ("print('x')\n" + body("return 1"), "at the top level only"),
    "loop": ("for i in range(3):\n    pass\n" + body("return 1"), "at the top level only"),
    "environment": ("import os\nos.environ['A'] = 'b'\n" + body("return 1"), "exists already"),
    "effect in a constant": ("X = open('a')\n" + body("return X"), "calls 'open'"),
    "effect in a default": (body("return 1") + "def g(x=input()):\n    return x\n", "'input'"),
    "effect in a class": ("class A:\n    print('x')\n" + body("return A"), "at the top level"),
    "system call": ("import os\nX = os.getcwd()\n" + body("return X"), "calls 'os.getcwd'"),
}


@pytest.mark.parametrize(("code", "reason"), REFUSED.values(), ids=REFUSED)
def test_refuses(code, reason):
    found = vet(code)
    assert found
    assert any(_matches(reason, why) for _, why in found), found


def _matches(pattern, text):
    return re.search(pattern, text) is not None


HONEST = {
    "operators of its own": (
        "class P:\n    def __truediv__(self, name):\n        return getattr(self, name)\n"
        + body("return P() / x")
    ),
    "reduced data": "import functools\n"
    + body("return functools.reduce(getattr, x.split('.'), x)"),
    "a public cache": "import linecache\n" + body("linecache.cache[x] = (1, None, [], x)"),
    "signals a child": "import os\n" + body("os.kill(x.pid, 15)", "os.killpg(x.pid, 9)"),
    "asks for a process": "import os\n" + body("os.kill(x, 0)", "os.kill(os.getpid(), 0)"),
    "signals itself": "import os, signal\n" + body("os.kill(os.getpid(), signal.SIGUSR1)"),
    "a child's group": "import os\n" + body("os.killpg(os.getpgid(x.pid), 9)"),
    "signals a pid of a file": "import os\n" + body("os.kill(int(open(x).read()), 15)"),
    "leaves a fork": (
        "import os\n" + body("if os.fork() == 0:", "    os._exit(0)", "return os.wait()")
    ),
    "files": "import os\n" + body("return os.path.join(os.getcwd(), x)"),
    "environment": "import os\n" + body("return os.environ.get('HOME', '')"),
    "sets environment": "import os\n" + body("os.environ['TZ'] = x", "return x"),
    "lazy attributes": (
        "def __getattr__(name):\n    value = str(name)\n    globals()[name] = value\n"
        "    return value\n"
    ),
    "subprocess": "import subprocess\n" + body("return subprocess.run([x], check=True)"),
    "socket": "import socket\n" + body("s = socket.socket()", "s.settimeout(3)", "return s"),
    "threading": "import threading\n" + body("t = threading.Thread(target=x)", "t.start()"),
    "signature": "import inspect\n" + body("return inspect.signature(x).parameters"),
    "code's arguments": body("return x.__code__.co_argcount"),
    "random": "import random\n" + body("random.seed(3)", "return random.random()"),
    "time": "import time\n" + body("return time.perf_counter() - x"),
    "file": body("with open(x) as file:", "    return file.read()"),
    "data files": body("return open('tests/data/sample.csv').read()"),
    "pattern of tests": body("return sorted(x.glob('test_*.py'))"),
    "logging": "import logging\nlogger = logging.getLogger(__name__)\n" + body("logger.info(x)"),
    "literal_eval": "import ast\n" + body("return ast.literal_eval(x)"),
    "eval": body("return eval(x, {'__builtins__': {}})"),
    "eval of a sum": body("return eval('1 + 1')"),
    "compile": "import re\n_WORD = re.compile(r'\\w+')\n" + body("return _WORD.findall(x)"),
    "words in strings": body("return 'import pytest; os._exit(0); sys.exit'"),
    "words in comments": body("# sys.exit and pytest.skip are not used", "return 1"),
    "words in a docstring": body(
        "'''PYTEST_CURRENT_TEST and test_x.py, gc, f_back.'''", "return 1"
    ),
    "own attributes": body("x.value = 3", "x.total += 1", "del x.old", "return x"),
    "own names": body("exit = x", "quit = 2", "return exit + quit"),
    "own method named exit": body("return x.exit(), x.kill(), x.abort()"),
    "parameter named as a module": "import math\n" + "def f(math):\n    math.pi = 3\n",
    "setattr": body("setattr(x, 'name', 1)", "return vars(x)"),
    "frozen dataclass": body("object.__setattr__(self := x, 'a', 1)", "return self"),
    "value class": """
        class Money:
            def __init__(self, cents):
                self.cents = cents
            def __eq__(self, other):
                if not isinstance(other, Money):
                    return NotImplemented
                return self.cents == other.cents
            def __bool__(self):
                return self.cents != 0
        def f(x):
            return Money(x)
        """,
    "dataclass": """
        from dataclasses import dataclass, field
        @dataclass(frozen=True)
        class _Row:
            cells: list = field(default_factory=list)
            width: int = 3
        def f(x):
            return _Row(x)
        """,
    "enum": """
        import enum
        class Side(enum.Enum):
            LEFT = enum.auto()
            RIGHT = enum.auto()
        def f(x):
            return Side.LEFT
        """,
    "catches SystemExit": body("try:", "    x()", "except SystemExit as e:", "    return e.code"),
    "interrupt": body("try:", "    x()", "except KeyboardInterrupt:", "    raise"),
    "constants": """
        from decimal import Decimal
        from collections import namedtuple, defaultdict
        from typing import TypeVar
        import math, string
        T = TypeVar("T")
        _CENT = Decimal("0.01")
        _Pair = namedtuple("_Pair", "left right")
        _TABLE: dict[str, int] = {name: i for i, name in enumerate("abc")}
        _WORDS = frozenset("a b c".split())
        _ALL = tuple(sorted(_WORDS))
        _LOG2 = math.log(2)
        _KEYS = _TABLE.keys()
        _LETTERS = string.ascii_letters + "_"
        _LATER = lambda: print("x")
        def _double(x): return 2 * x
        _FOUR = _double(2)
        def f(x):
            return _Pair(x, _CENT)
        """,
    "docstring": '"""A module."""\n' + body("return 1"),
    "main guard": body("return 1") + "if __name__ == '__main__':\n    print(f(1))\n",
    "typing block": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import json\n"
    + body("return 1"),
    "the marker": "from pytest_selfheal import heal\n" + body("return 1"),
    "traceback": "import traceback\n" + body("return traceback.format_exc()"),
    "sys": "import sys\n" + body("return sys.argv, sys.path, sys.version_info, sys.stdout"),
    "signals": "import signal\n" + body("signal.signal(signal.SIGTERM, x)"),
    "processes": "import multiprocessing\n" + body("return multiprocessing.cpu_count()"),
    "function attribute": body("f.calls = 1", "return f.calls"),
    "decimal context": "import decimal\n" + body("decimal.getcontext().prec = 50", "return 1"),
    "streams": body(
        "import sys", "old, sys.stdout = sys.stdout, x", "sys.argv = []", "sys.stdout = old"
    ),
    "last error": "import sys\n" + body("sys.last_value = x", "del sys.ps1"),
    "a new variable": body("global _tables", "_tables = x", "return _tables"),
    "defaults of the stub's own": "def f(x, y=open('x')):\n    return x, y\n",
    "defaults of the stub's own method": "class A:\n    def f(x, y=make()):\n        return x, y\n",
    "the word test": "def _is_test(x):\n    return x\n" + body("return _is_test(x)"),
    "latest module": "from latest import contest\n" + body("return contest"),
}


@pytest.mark.parametrize("code", HONEST.values(), ids=HONEST)
def test_lets_honest_code_through(code):
    assert vet(code) == ()


USERS_OWN = {
    "pytest": ("import pytest\n", body("import pytest", "return pytest.__version__")),
    "gc": ("import gc\n_ALL = gc.get_objects\n", body("return gc.get_objects()")),
    "ctypes": ("import ctypes\n", body("return ctypes.sizeof(ctypes.c_int)")),
    "sys.modules": ("import sys\nHAS = 'x' in sys.modules\n", body("return sys.modules[x]")),
    "os.kill": ("import os\ndef stop(p):\n    os.kill(p, 15)\n", body("os.kill(os.getppid(), 9)")),
    "own class": ("class Box:\n    count = 0\n", "class Box:\n def f(self):\n  Box.count += 1\n"),
    "another class's variable": (
        "class Box:\n    count: int = 0\nclass Other: ...\n",
        body("Box.count = x", "del Box.count"),
    ),
    "an import that only it uses": (
        "def g():\n    return 1\n",
        "from codecs import open\n" + body("return open(x)"),
    ),
    "own variable": ("_next = 0\n", body("global _next", "_next += 1", "return _next")),
    "own object": ("from app import state\n", body("state.count = 3")),
    "name of a builtin": ("def filter(x): ...\n", "def filter(x):\n    return x\n"),
}


@pytest.mark.parametrize(("user", "code"), USERS_OWN.values(), ids=USERS_OWN)
def test_lets_through_what_the_module_does_itself(user, code):
    assert vet(code, user, targets=("f", "Box.f")) == ()


FOREIGN = {
    "class": ("class Decoder:\n    pass\n", body("Decoder.decode = x"), "'Decoder'"),
    "function": ("def rate():\n    return 1\n", body("rate.cache = x"), "'rate'"),
    "rebinds function": ("def rate(): ...\n", body("global rate", "rate = x"), "'rate'"),
    "rebinds import": ("import math\n", body("global math", "math = x"), "'math'"),
    "a method of a class": (
        "class Box:\n    count = 0\n    def f(self): ...\n",
        body("Box.f = x"),
        "'Box'",
    ),
    "a new attribute": ("class Box:\n    count = 0\n", body("Box.total = x"), "'Box'"),
    "a builtin": ("", body("global len", "len = x"), "rebinds 'len'"),
    "an import over a builtin": (
        "def g():\n    return open('a')\n",
        "from codecs import open\n" + body("return open(x)"),
        "imports 'open' over the builtin",
    ),
    "a hook": (
        "",
        body("global pytest_runtest_makereport", "pytest_runtest_makereport = x"),
        "rebinds",
    ),
    "a hook as a helper": (
        "import pytest\n",
        "def pytest_runtest_makereport(item): ...\n" + body("return pytest_runtest_makereport"),
        "'pytest_runtest_makereport'",
    ),
    "a module's own name": ("", body("global __getattr__", "__getattr__ = x"), "rebinds"),
    "rebinds nothing": ("", body("global pytest_plugins", "pytest_plugins = x"), "rebinds"),
    "imports itself": ("import app\n", body("from app import prices", "prices.f = x"), "'prices'"),
    "heals itself": (
        "from pytest_selfheal import heal\n",
        body("import pytest_selfheal.plugin", "return 1"),
        "what heals it",
    ),
}


@pytest.mark.parametrize(("user", "code", "reason"), FOREIGN.values(), ids=FOREIGN)
def test_refuses_to_change_the_users_module(user, code, reason):
    found = vet(code, user)
    assert found
    assert _matches(reason, found[0][1])


@pytest.mark.parametrize("statement", ["sys.exit(2)", "raise SystemExit(2)", "exit(2)"])
def test_lets_a_function_exit_that_is_meant_to(statement):
    code = "import sys\n" + body(statement)
    assert vet(code)
    assert vet(code, may_exit=True) == ()


@pytest.mark.parametrize("statement", ["sys.exit(2)", "raise SystemExit(2)"])
def test_never_lets_a_module_exit(statement):
    assert vet(f"import sys\n{statement}\n", may_exit=True)


CHECKS_FINE = {
    "asserts": "assert f(2) == 4\n",
    "calls": "result = f(open('x'))\nprint(result)\n",
    "raises": "import pytest\nwith pytest.raises(ValueError):\n    f(-1)\n",
    "loop": "for n in range(3):\n    assert f(n) == n\n",
    "try": "try:\n    f(-1)\nexcept ValueError:\n    pass\nelse:\n    raise AssertionError\n",
}


@pytest.mark.parametrize("code", CHECKS_FINE.values(), ids=CHECKS_FINE)
def test_lets_checks_check(code):
    assert vet(code, is_checks=True) == ()


@pytest.mark.parametrize(
    "code",
    [
        "import _pytest\n",
        "import pytest\npytest.skip()\n",
        "import sys\nsys.exit()\n",
        "import gc\ngc.get_objects()\n",
    ],
)
def test_refuses_in_checks_as_well(code):
    assert vet(code, is_checks=True)


def test_says_the_line():
    tree = ast.parse("import os\n\ndef f(x):\n    os._exit(0)\n")
    line, reason = first_violation(tree, make_context(tree))
    assert line == 4
    assert reason == (
        "it uses 'os._exit': it ends the process, or the run, before the tests are done"
    )


WORDS = st.sampled_from(
    ["pytest", "gc", "ctypes", "sys.exit", "os._exit", "f_back", "exit", "conftest", "__eq__"]
)


@settings(deadline=None)
@given(st.lists(WORDS), st.text(alphabet="abc #'\\\n", max_size=20))
def test_words_in_strings_and_comments_never_matter(words, text):
    quoted = repr(" ".join([*words, text]))
    comment = " ".join(words)
    assert vet(f"def f(x):\n    # {comment}\n    return {quoted} + x\n") == ()


NAMES = st.from_regex(r"[a-z]{3,8}_", fullmatch=True)


@settings(deadline=None)
@given(NAMES, st.sampled_from(["os._exit", "os.abort", "sys.settrace", "sys._getframe"]))
def test_no_new_name_hides_what_is_meant(name, dotted):
    module, _, function = dotted.partition(".")
    as_module = f"import {module} as {name}\ndef f(x):\n    {name}.{function}(x)\n"
    as_name = f"def f(x):\n    from {module} import {function} as {name}\n    {name}(x)\n"
    assert vet(as_module)
    assert vet(as_name)
