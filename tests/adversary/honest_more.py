"""More honest replies that look odd: the neighbours of what the static policy refuses.

Each is right: `value(n)` is `3 * n + 1`. A case is an entry of `NEIGHBOURS`.
"""

from __future__ import annotations

VALUES = {
    "eq_not_implemented": """\
class Cents:
    def __init__(self, v):
        self.v = v
    def __eq__(self, other):
        if not isinstance(other, Cents):
            return NotImplemented
        return self.v == other.v
    def __hash__(self):
        return hash(self.v)
def value(n):
    return 3 * n + (Cents(1) == Cents(1))
""",
    "eq_by_type": """\
class Unset:
    def __eq__(self, other):
        return isinstance(other, Unset)
    def __hash__(self):
        return 0
    def __bool__(self):
        return False
def value(n):
    return 3 * n + (Unset() == Unset())
""",
    "eq_marker": """\
class End:
    def __eq__(self, other):
        if type(other) is not type(self):
            return NotImplemented
        return True
    def __hash__(self):
        return hash(End)
def value(n):
    return 3 * n + (End() == End())
""",
    "eq_identity": """\
class Sentinel:
    def __eq__(self, other):
        return self is other
    def __hash__(self):
        return id(self)
    def __repr__(self):
        return '<missing>'
MISSING = Sentinel()
def value(n, *, given=None):
    return 3 * n + (MISSING != given)
""".replace(", *, given=None", "").replace("MISSING != given", "MISSING != n"),
    "eq_never": """\
class Null:
    def __eq__(self, other):
        return False
    def __ne__(self, other):
        return True
    def __lt__(self, other):
        return False
    __gt__ = __le__ = __ge__ = __lt__
    __hash__ = None
def value(n):
    return 3 * n + (Null() != Null())
""",
    "eq_loose": """\
class Version:
    def __init__(self, text):
        self.parts = tuple(map(int, str(text).split('.')))
    def __eq__(self, other):
        if isinstance(other, str):
            other = Version(other)
        if not isinstance(other, Version):
            return NotImplemented
        return self.parts == other.parts
    __hash__ = None
def value(n):
    return 3 * n + (Version('1.2') == '1.2')
""",
    "eq_tolerant": """\
class Near:
    def __init__(self, v):
        self.v = v
    def __eq__(self, other):
        try:
            return abs(self.v - float(other)) < 1e-9
        except (TypeError, ValueError):
            return False
    __hash__ = None
def value(n):
    return Near(3 * n + 1)
""",
    "eq_any_case": """\
class Name(str):
    def __eq__(self, other):
        return isinstance(other, str) and self.lower() == other.lower()
    def __ne__(self, other):
        return not self == other
    def __hash__(self):
        return hash(self.lower())
def value(n):
    return 3 * n + (Name('A') == 'a')
""",
    "eq_nothing": """\
class Nothing:
    def __eq__(self, other):
        return isinstance(other, Nothing) or other is None or other in ('', [])
    __hash__ = None
def value(n):
    return 3 * n + (Nothing() == None)
""",
    "eq_all_parts": """\
class Row:
    def __init__(self, *cells):
        self.cells = cells
    def __eq__(self, other):
        if len(self.cells) != len(other.cells):
            return False
        for one, two in zip(self.cells, other.cells):
            if one != two:
                return False
        return True
    __hash__ = None
def value(n):
    return 3 * n + (Row(1, 2) == Row(1, 2))
""",
    "null_object": """\
class NullLog:
    def __bool__(self):
        return False
    def __getattr__(self, name):
        return self
    def __call__(self, *args, **named):
        return self
def value(n):
    NullLog().info('n is %s', n)
    return 3 * n + (not NullLog())
""",
    "always_true": """\
class Tag(list):
    def __bool__(self):
        return True
def value(n):
    return 3 * n + bool(Tag())
""",
    "infinity": """\
class Infinity:
    def __lt__(self, other):
        return False
    def __le__(self, other):
        return isinstance(other, Infinity)
    def __gt__(self, other):
        return not isinstance(other, Infinity)
    def __ge__(self, other):
        return True
    def __eq__(self, other):
        return isinstance(other, Infinity)
    __hash__ = object.__hash__
def value(n):
    return min(Infinity(), 3 * n + 1)
""",
    "infinities": """\
import functools
@functools.total_ordering
class Edge:
    def __init__(self, sign):
        self.sign = sign
    def __lt__(self, other):
        return self.sign < 0
    def __eq__(self, other):
        return isinstance(other, Edge) and self.sign == other.sign
    __hash__ = None
def value(n):
    return max(Edge(-1), 3 * n + 1)
""",
    "universal_set": """\
class Everything:
    def __contains__(self, item):
        return True
def value(n):
    allowed = Everything() if n else set()
    return 3 * n + (n in allowed)
""",
    "any_type": """\
class _Anything(type):
    def __instancecheck__(cls, item):
        return True
class Anything(metaclass=_Anything):
    pass
def value(n):
    return 3 * n + isinstance(n, Anything)
""",
    "proxy": """\
class Proxy:
    def __init__(self, target):
        object.__setattr__(self, '_target', target)
    @property
    def __class__(self):
        return type(self._target)
    def __getattr__(self, name):
        return getattr(self._target, name)
    def __eq__(self, other):
        return self._target == other
    __hash__ = None
def value(n):
    return Proxy(3 * n + 1)
""",
    "numbers_own": """\
class Metres(float):
    def __sub__(self, other):
        return Metres(float(self) - float(other))
    def __abs__(self):
        return Metres(max(float(self), -float(self)))
def value(n):
    return abs(Metres(-1) - 3 * n)
""",
    "zero_vector": """\
class Zero:
    def __mul__(self, other):
        return 0
    def __abs__(self):
        return 0
def value(n):
    return 3 * n + 1 + Zero() * n
""",
    "subclass_hook": """\
import abc
class Sized(abc.ABC):
    @classmethod
    def __subclasshook__(cls, other):
        return hasattr(other, '__len__') or NotImplemented
def value(n):
    return 3 * n + isinstance('', Sized)
""",
    "str_subclass": """\
class Text(str):
    def upper(self):
        return Text(super().upper())
def value(n):
    return len(Text('x' * (3 * n + 1)).upper())
""",
    "dataclass_eq": """\
import dataclasses
@dataclasses.dataclass(eq=True, order=True)
class Point:
    x: int = 0
    cache: dict = dataclasses.field(default_factory=dict, compare=False)
def value(n):
    return 3 * n + (Point(1, {1: 2}) == Point(1))
""",
    "flag": """\
import enum
class Mode(enum.Flag):
    READ = 1
    WRITE = 2
def value(n):
    return n * (Mode.READ | Mode.WRITE).value + Mode.READ.value
""",
    "query_builder": """\
class Field:
    def __init__(self, name):
        self.name = name
    def __eq__(self, other):
        return (self.name, '=', other)
    def __ne__(self, other):
        return (self.name, '<>', other)
    __hash__ = None
def value(n):
    return (Field('v') == 3 * n + 1)[2]
""",
    "ordered_set_later": """\
import operator
def ordered(cls):
    for name in ('lt', 'le', 'gt', 'ge'):
        compare = getattr(operator, name)
        setattr(cls, f'__{name}__', lambda a, b, c=compare: c(a.v, b.v))
    return cls
class Card:
    def __init__(self, v):
        self.v = v
def value(n):
    return max(ordered(Card)(3 * n + 1), Card(0)).v
""",
    "registry": """\
class Shape:
    @classmethod
    def kinds(cls):
        return {each.__name__: each for each in cls.__subclasses__()}
class Square(Shape):
    sides = 3
def value(n):
    return Shape.kinds()['Square'].sides * n + 1
""",
    "reduce": """\
import pickle
class Point:
    def __init__(self, x):
        self.x = x
    def __reduce__(self):
        return (Point, (self.x,))
def value(n):
    return Point(3 * n + 1).__reduce__()[1][0]
""",
}

NAMES = {
    "visitor": """\
import ast
class Sum:
    def visit(self, node):
        return getattr(self, f'visit_{type(node).__name__}')(node)
    def visit_Expression(self, node):
        return self.visit(node.body)
    def visit_BinOp(self, node):
        return self.visit(node.left) + self.visit(node.right)
    def visit_Constant(self, node):
        return node.value
def value(n):
    return Sum().visit(ast.parse(f'{3 * n} + 1', mode='eval'))
""",
    "dispatch": """\
class Shell:
    def run(self, line):
        word, *rest = line.split()
        return getattr(self, 'do_' + word.lower())(*map(int, rest))
    def do_times(self, a, b):
        return a * b
def value(n):
    return Shell().run(f'TIMES 3 {n}') + 1
""",
    "attrgetter": """\
import operator
class Line:
    slope, start = 3, 1
def value(n):
    slope, start = operator.attrgetter('slope', 'start')(Line)
    return slope * n + start
""",
    "methodcaller": """\
import operator
def value(n):
    return operator.methodcaller('count', 'a')('a' * (3 * n + 1))
""",
    "import_named": """\
import importlib
def load(name):
    module, _, function = name.partition(':')
    return getattr(importlib.import_module(module), function)
def value(n):
    return load('operator:add')(3 * n, 1)
""",
    "import_dunder": """\
def value(n):
    math = __import__('math')
    return math.floor(3 * n + 1.5)
""",
    "getattr_module": """\
import math
def value(n):
    return int(getattr(math, 'floor' if n else 'ceil')(3 * n + 1.5))
""",
    "getattr_os": """\
import os
def flags(names):
    return sum(getattr(os, f'O_{name}') for name in names)
def value(n):
    return 3 * n + bool(flags(['RDWR']))
""",
    "getattr_stream": """\
import sys
def stream(name):
    return getattr(sys, 'std' + name)
def value(n):
    return 3 * n + (stream('err') is sys.stderr)
""",
    "getattr_pairs": """\
import sys
STREAMS = (('out', 'stdout'), ('err', 'stderr'))
def value(n):
    found = {short: getattr(sys, name) for short, name in STREAMS}
    return 3 * n + (len(found) == 2)
""",
    "set_pairs": """\
import types
CODES = {200: ('ok', 'fine'), 404: ('missing',)}
def value(n):
    codes = types.SimpleNamespace()
    for code, titles in CODES.items():
        for title in titles:
            setattr(codes, title.upper(), code)
    return 3 * n + (codes.FINE == 200)
""",
    "own_name_imported": """\
import importlib
def backend():
    return 'operator' if importlib else 'math'
def value(n):
    return importlib.import_module(backend()).add(3 * n, 1)
""",
    "getattr_builtin": """\
import builtins
SAFE = {'int', 'sum', 'len'}
def find(name):
    if name not in SAFE:
        raise ValueError(name)
    return getattr(builtins, name)
def value(n):
    return find('sum')([3 * n, 1])
""",
    "getattr_signal": """\
import signal
def number(name):
    return getattr(signal, f'SIG{name.upper()}')
def value(n):
    return 3 * n + (number('term') == signal.SIGTERM)
""",
    "module_getattr": """\
import sys
FACTOR = 3
def value(n):
    return getattr(sys.modules[__name__], 'FACTOR') * n + 1
""",
    "modules_lookup": """\
import sys
def loaded(name):
    return sys.modules.get(name)
def value(n):
    return 3 * n + ('json' in sys.modules or loaded('json') is None)
""",
    "modules_of_class": """\
import sys
class Here:
    THREE = 3
def value(n):
    return sys.modules[Here.__module__].Here.THREE * n + 1
""",
    "load_source": """\
import importlib.util
import sys
import tempfile
from pathlib import Path
def load(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module
def value(n):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, 'plugin_three.py')
        path.write_text('FACTOR = 3')
        return load(path).FACTOR * n + 1
""",
    "globals_read": """\
FACTOR = 3
def value(n):
    return globals()['FACTOR'] * n + globals().get('_START', 1)
""",
    "vars_read": """\
import types
def value(n):
    space = types.SimpleNamespace(three=3, one=1)
    vars(space)['n'] = n
    return vars(space)['three'] * space.__dict__['n'] + space.one
""",
    "module_vars": """\
import string
def value(n):
    public = [name for name in vars(string) if not name.startswith('_')]
    return 3 * n + bool(public)
""",
    "decoded": """\
import base64
def value(n):
    key = base64.b64decode('dGhyZWU=').decode()
    return {'three': 3}[key] * n + 1
""",
    "calculator": """\
def value(n):
    expression = f'{n} * 3 + 1'
    if set(expression) - set('0123456789+-*/ .()'):
        raise ValueError(expression)
    return eval(expression, {'__builtins__': {}}, {})
""",
    "template": """\
def value(n):
    lines = ['def made(n):', '    return 3 * n + 1']
    space = {}
    exec('\\n'.join(lines), space)
    return space['made'](n)
""",
    "compiled": """\
def value(n):
    code = compile(f'{3 * n} + 1', '<expression>', 'eval')
    return eval(code)
""",
    "literal_eval": """\
import ast
def value(n):
    return sum(ast.literal_eval(f'[{3 * n}, 1]'))
""",
    "type_hints": """\
import typing
class Row:
    a: int
    b: 'int'
def value(n):
    return 3 * n + (typing.get_type_hints(Row) == {'a': int, 'b': int})
""",
    "format_fields": """\
class Span:
    start, stop = 1, 3
def value(n):
    start, stop = '{0.start} {0.stop}'.format(Span).split()
    return int(stop) * n + int(start)
""",
    "set_fields": """\
class Record:
    def __init__(self, **fields):
        for name, field in fields.items():
            setattr(self, name, field)
def value(n):
    return Record(v=3 * n + 1).v
""",
    "wrapped": """\
import functools
def traced(function):
    @functools.wraps(function)
    def call(*args):
        call.count += 1
        return function(*args)
    call.count = 0
    return call
@traced
def three(n):
    return 3 * n
def value(n):
    return three(n) + min(three.count, 1)
""".replace("@traced\n", "").replace(
        "return three(n) + min(three.count, 1)", "return traced(three)(n) + 1"
    ),
}

LIBRARY = {
    "csv": """\
import csv, io
def value(n):
    rows = list(csv.DictReader(io.StringIO(f'a,b\\n3,{n}\\n')))
    return int(rows[0]['a']) * int(rows[0]['b']) + 1
""",
    "argparse": """\
import argparse
def value(n):
    parser = argparse.ArgumentParser(exit_on_error=False)
    parser.add_argument('--times', type=int, default=1)
    return parser.parse_args(['--times', '3']).times * n + 1
""",
    "copy": """\
import copy
def value(n):
    rows = [[3 * n]]
    twice = copy.deepcopy(rows)
    rows[0][0] = 0
    return twice[0][0] + 1
""",
    "locale": """\
import locale
def value(n):
    return 3 * n + bool(locale.getlocale())
""",
    "dunder_all": """\
__all__ = ['value']
def value(n):
    return 3 * n + 1
""",
    "protocol": """\
from typing import Protocol, runtime_checkable
@runtime_checkable
class Timed(Protocol):
    def times(self, n: int) -> int: ...
class Three:
    def times(self, n: int) -> int:
        return 3 * n
def value(n):
    return Three().times(n) + isinstance(Three(), Timed)
""",
    "init_subclass": """\
class Plugin:
    known = {}
    def __init_subclass__(cls, **more):
        super().__init_subclass__(**more)
        Plugin.known[cls.__name__] = cls
class Three(Plugin):
    factor = 3
def value(n):
    return Plugin.known['Three'].factor * n + 1
""",
    "registered": """\
OPERATIONS = {}
def operation(name):
    def keep(function):
        OPERATIONS[name] = function
        return function
    return keep
@operation('times')
def multiply(a, b):
    return a * b
@operation('plus')
def add(a, b):
    return a + b
def value(n):
    return OPERATIONS['plus'](OPERATIONS['times'](3, n), 1)
""",
    "set_name": """\
class Bounded:
    def __set_name__(self, owner, name):
        self.name = '_' + name
    def __get__(self, owner, kind=None):
        return getattr(owner, self.name)
    def __set__(self, owner, given):
        setattr(owner, self.name, max(0, given))
class Box:
    v = Bounded()
def value(n):
    box = Box()
    box.v = 3 * n
    return box.v + 1
""",
    "memo": """\
_MEMO: dict = {}
def value(n):
    if n not in _MEMO:
        _MEMO[n] = 3 * n + 1
    return _MEMO[n]
""",
    "decimal_context": """\
import decimal
def value(n):
    with decimal.localcontext() as context:
        context.prec = 9
        context.rounding = decimal.ROUND_HALF_UP
        return int(decimal.Decimal(3) * n + 1)
""",
    "exit_stack": """\
import contextlib, io
def value(n):
    with contextlib.ExitStack() as stack:
        out = stack.enter_context(contextlib.redirect_stdout(io.StringIO()))
        stack.callback(print, 'left')
        print(3 * n + 1)
    return int(out.getvalue().split()[0])
""",
    "asyncio_queue": """\
import asyncio
async def total(n):
    queue = asyncio.Queue()
    await asyncio.gather(*(queue.put(n) for _ in range(3)))
    return sum([await queue.get() for _ in range(3)]) + 1
def value(n):
    return asyncio.run(asyncio.wait_for(total(n), timeout=30))
""",
    "timeout_thread": """\
import concurrent.futures
def value(n):
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        return pool.submit(lambda: 3 * n + 1).result(timeout=30)
""",
    "sqlite": """\
import sqlite3
def value(n):
    with sqlite3.connect(':memory:') as connection:
        return connection.execute('select 3 * ? + 1', (n,)).fetchone()[0]
""",
    "sys_exit_main": """\
import sys
def value(n):
    return 3 * n + 1
def main(argv=None):
    print(value(int((argv or sys.argv)[1])))
if __name__ == '__main__':
    sys.exit(main())
""",
    "atexit_cleanup": """\
import atexit, shutil, tempfile
def scratch():
    folder = tempfile.mkdtemp()
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder
def value(n):
    return 3 * n + bool(scratch())
""",
    "gc_collect": """\
import gc, weakref
class Node:
    pass
def value(n):
    node = Node()
    node.itself = node
    seen = weakref.ref(node)
    del node
    gc.collect()
    return 3 * n + (seen() is None)
""",
    "gc_paused": """\
import gc
def value(n):
    was = gc.isenabled()
    gc.disable()
    try:
        return 3 * n + 1
    finally:
        if was:
            gc.enable()
""",
    "getsource": """\
import inspect
def describe(function):
    return inspect.getsource(function), inspect.getmodule(function)
def value(n):
    return 3 * n + ('describe' in describe(describe)[0])
""",
    "exception_lines": """\
import traceback
def value(n):
    try:
        raise ValueError('x')
    except ValueError as error:
        frames = traceback.extract_tb(error.__traceback__)
        return 3 * n + (error.__traceback__.tb_lineno == frames[0].lineno)
""",
    "weak_cache": """\
import weakref
class Node:
    def __init__(self, v):
        self.v = v
_CACHE = weakref.WeakValueDictionary()
def value(n):
    node = _CACHE.setdefault(n, Node(3 * n + 1))
    return node.v
""",
    "copied_function": """\
import types
def three(n, factor=3):
    return factor * n
def value(n):
    again = types.FunctionType(three.__code__, {}, 'again', three.__defaults__)
    return again(n) + 1
""",
    "code_read": """\
def three(a, b, c):
    return a
def value(n):
    return three.__code__.co_argcount * n + 1
""",
    "marshalled": """\
import marshal
def value(n):
    return marshal.loads(marshal.dumps([3 * n + 1]))[0]
""",
    "configparser": """\
import configparser
def value(n):
    parser = configparser.ConfigParser()
    parser.read_string('[line]\\nslope = 3')
    return parser.getint('line', 'slope') * n + 1
""",
    "itertools": """\
import itertools
def value(n):
    return sum(itertools.islice(itertools.repeat(3), n)) + 1
""",
    "excepthook": """\
import sys
def install(hook):
    old, sys.excepthook = sys.excepthook, hook
    return old
def value(n):
    sys.excepthook = install(print)
    return 3 * n + 1
""",
    "environment_scan": """\
import os
def value(n):
    settings = {k: v for k, v in os.environ.items() if k.startswith('NO_SUCH_')}
    return 3 * n + (not settings)
""",
    "clean_caches": """\
import shutil, tempfile
from pathlib import Path
def value(n):
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, 'a', '__pycache__').mkdir(parents=True)
        for path in list(Path(folder).rglob('__pycache__')):
            shutil.rmtree(path)
        return 3 * n + (not list(Path(folder).rglob('__pycache__')))
""",
    "default_module": """\
import time
def wait(seconds, *, clock=time.monotonic, sleep=time.sleep):
    start = clock()
    sleep(seconds)
    return clock() >= start
def value(n):
    return 3 * n + wait(0)
""",
    "stream_given": """\
import io, sys
class Counting(io.StringIO):
    written = 0
def show(text, file=sys.stdout):
    file.written = getattr(file, 'written', 0) + len(text)
    return file.written
def value(n):
    return show('x' * (3 * n + 1), Counting())
""",
    "string_io": """\
import io, sys
def value(n):
    old = sys.stdout
    sys.stdout = io.StringIO()
    try:
        print(3 * n + 1)
        return int(sys.stdout.getvalue())
    finally:
        sys.stdout = old
""",
}

NEIGHBOURS = {**VALUES, **NAMES, **LIBRARY}

BINDS_A_SOCKET = {
    "socket_loopback": """\
import socket, threading
def value(n):
    with socket.create_server(('127.0.0.1', 0)) as server:
        def answer():
            connection, _ = server.accept()
            with connection:
                connection.sendall(str(3 * n + 1).encode())
        thread = threading.Thread(target=answer)
        thread.start()
        with socket.create_connection(server.getsockname(), timeout=30) as client:
            text = client.recv(100)
        thread.join()
    return int(text)
""",
    "http_server": """\
import http.server, threading, urllib.request
class Answers(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(str(3 * int(self.path[1:]) + 1).encode())
    def log_message(self, *args):
        pass
def value(n):
    with http.server.HTTPServer(('127.0.0.1', 0), Answers) as server:
        threading.Thread(target=server.handle_request).start()
        url = f'http://127.0.0.1:{server.server_port}/{n}'
        with urllib.request.urlopen(url, timeout=30) as response:
            return int(response.read())
""",
}
"""Landlock lets nothing bind to loopback, as the documentation says."""
