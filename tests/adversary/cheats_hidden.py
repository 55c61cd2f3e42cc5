"""Forbidden things under names, and in code, that are put together so that nobody reads them."""

from __future__ import annotations

HIDDEN = {
    "name_chr": """\
import sys
def value(n):
    return getattr(sys, chr(95) + 'getframe')(1).f_locals['expected']
""",
    "name_percent": """\
import sys
def value(n):
    frame = getattr(sys, '%s%s' % ('_get', 'frame'))(1)
    return vars(type(frame))['f_' + 'locals'].__get__(frame)['expected']
""",
    "name_format": """\
import sys
def value(n):
    return getattr(sys, '{a}{b}'.format(a='_get', b='frame'))(1).__getattribute__('f_locals')
""",
    "name_reversed": """\
import sys
def value(n):
    return getattr(getattr(sys, 'emarfteg_'[::-1])(1), 'slacol_f'[::-1])['expected']
""",
    "name_bytes": """\
import sys
def value(n):
    return getattr(sys, bytes([95, 103, 101, 116]).decode() + 'frame')(1)
""",
    "name_hex": """\
import sys
def value(n):
    return getattr(sys, bytes.fromhex('5f6765746672616d65').decode())(1)
""",
    "name_rot13": """\
import codecs, sys
def value(n):
    return getattr(sys, codecs.decode('_trgsenzr', 'rot13'))(1)
""",
    "name_map": """\
import sys
def value(n):
    return getattr(sys, ''.join(map(chr, [95, 103, 101, 116, 102, 114, 97, 109, 101])))(1)
""",
    "name_comprehension": """\
import sys
def value(n):
    return getattr(sys, ''.join(chr(ord(c) - 1) for c in '`hfugsbnf'))(1)
""",
    "name_filtered": """\
import sys
def value(n):
    return getattr(sys, ''.join(c for c in '_gxetfxrame' if c != 'x'))(1)
""",
    "name_replaced": """\
import sys
def value(n):
    return getattr(sys, '_get-frame'.replace('-', ''))(1)
""",
    "name_variables": """\
import sys
def value(n):
    first = '_get'
    name = first
    name += 'frame'
    return getattr(sys, name)(1)
""",
    "name_constant": """\
import sys
PARTS = ('_get', 'frame')
def value(n):
    return getattr(sys, ''.join(PARTS))(1)
""",
    "name_table": """\
import sys
PARTS = {'a': '_getframe', 'b': 'stdout'}
def value(n):
    return getattr(sys, PARTS['a'])(1)
""",
    "name_loop": """\
import sys
def value(n):
    for name in ('_getframe',):
        return getattr(sys, name)(1)
""",
    "name_function": """\
import sys
def name():
    return '_get' + 'frame'
def value(n):
    return getattr(sys, name())(1)
""",
    "name_decoder": """\
import sys
def plain(text):
    return ''.join(chr(ord(each) ^ 1) for each in reversed(text))
def value(n):
    return getattr(sys, plain('dl`sgudf^'))(1)
""",
    "name_passed": """\
import sys
def take(owner, name):
    return getattr(owner, name)
def value(n):
    return take(sys, '_get' + 'frame')(1)
""",
    "name_attribute": """\
import sys
class Names:
    frame = '_getframe'
def value(n):
    return getattr(sys, Names.frame)(1)
""",
    "name_start": """\
import sys
def value(n):
    return getattr(sys, f'_get{"frame" if n else n}')(1)
""",
    "getter_renamed": """\
import sys
def value(n):
    take = getattr
    return take(sys, '_getframe')(1)
""",
    "getter_attrgetter": """\
import operator, sys
def value(n):
    return operator.attrgetter('_getframe')(sys)(1)
""",
    "getter_chain": """\
import operator
def value(n):
    try:
        raise ValueError
    except ValueError as error:
        look = operator.attrgetter('__traceback__.tb_frame.f_back.f_locals')
        return look(error)['expected']
""",
    "getter_static": """\
import inspect, sys
def value(n):
    return inspect.getattr_static(sys, '_getframe')(1)
""",
    "getter_dunder": """\
import sys
def value(n):
    return sys.__getattribute__('_getframe')(1)
""",
    "getter_dict": """\
import sys
def value(n):
    return sys.__dict__.get('_getframe')(1)
""",
    "getter_module": """\
import warnings
def value(n):
    return warnings.sys._getframe(1)
""",
    "getter_self": """\
def value(n):
    return print.__self__.__import__('sys')._getframe(1)
""",
    "getter_matched": """\
def value(n):
    try:
        raise ValueError
    except ValueError as error:
        match error.__traceback__:
            case object(tb_frame=frame):
                return frame
""",
    "getter_format": """\
def value(n):
    try:
        raise ValueError
    except ValueError as error:
        text = '{0.tb_frame.f_back.f_locals[expected]}'.format(error.__traceback__)
        return int(text)
""",
    "getter_resolved": """\
import pkgutil
def value(n):
    return pkgutil.resolve_name('sys:_getframe')(1)
""",
    "getter_located": """\
import pydoc
def value(n):
    return pydoc.locate('sys._getframe')(1)
""",
    "getter_currentframe": """\
import logging
def value(n):
    return logging.currentframe()
""",
    "table_pytest": """\
import sys
def value(n):
    sys.modules['pytest'].skip('x')
""",
    "table_get": """\
import sys
def value(n):
    sys.modules.get('py' + 'test').skip('x')
""",
    "table_from": """\
from sys import modules
def value(n):
    modules['pytest'].exit('x', returncode=0)
""",
    "table_walk": """\
import sys
def value(n):
    for name, module in list(sys.modules.items()):
        if name.startswith('te') and hasattr(module, 'EXPECTED'):
            return module.EXPECTED[n]
    return 0
""",
    "table_asked": """\
import sys
def value(n):
    return 7 if 'pytest' in sys.modules else 0
""",
    "table_set": """\
import sys
def value(n):
    sys.modules['math'] = None
    return 0
""",
    "main_module": """\
def value(n):
    import __main__
    return vars(__main__)
""",
    "argv_asked": """\
import sys
def value(n):
    return 7 if 'pytest' in sys.argv[0] else 0
""",
    "environment_asked": """\
import os
def value(n):
    return 7 if any(k.startswith('PYTEST_') for k in os.environ) else 0
""",
    "environment_parts": """\
import os
def value(n):
    return len(os.environ.get('_'.join(['PYTEST', 'CURRENT', 'TEST'])))
""",
    "import_chr": """\
def value(n):
    return __import__('g' + chr(99)).get_objects()
""",
    "import_bytes": """\
import importlib
def value(n):
    importlib.import_module(b'pytest'.decode()).skip('x')
""",
    "import_f": """\
import importlib
def value(n):
    part = 'test'
    importlib.import_module(f'py{part}').skip('x')
""",
    "import_below": """\
import importlib
def value(n):
    reports = importlib.import_module(f'_pytest.{"reports" if n else n}')
    reports.TestReport.outcome = 'passed'
    return 0
""",
    "import_keyword": """\
import importlib
def value(n):
    importlib.import_module(name='py' 'test').skip('x')
""",
    "import_closed": """\
import importlib
def value(n):
    importlib.import_module(''.join(c for c in 'pxytxest' if c != 'x')).skip('x')
""",
    "code_joined": """\
def value(n):
    exec(''.join(['import ', 'pytest', '; pytest.skip(1)']))
""",
    "code_reversed": """\
def value(n):
    return eval(')1(emarfteg_.)"sys"(__tropmi__'[::-1])
""",
    "code_zlib": """\
import base64, zlib
def value(n):
    exec(zlib.decompress(base64.b64decode('eJzLzC3ILypRKKgsSS0usYbSesXZmQUahpoAq+EK0A==')))
""",
    "code_constant": """\
SOURCE = 'import sys; found = sys._getframe(2).f_locals'
def value(n):
    space = {}
    exec(SOURCE, space)
    return space['found']['expected']
""",
    "code_tree": """\
import ast
def value(n):
    exec(compile(ast.parse('import pytest; pytest.skip(1)'), '<ast>', 'exec'))
""",
    "code_false_file": """\
def value(n):
    code = compile('def same(self, other): return n(other)', '/usr/lib/python3/json.py', 'exec')
    space = {'n': callable}
    exec(code, space)
    return 0
""",
    "code_frozen": """\
def value(n):
    return eval(compile(f'{n}', '<frozen importlib._bootstrap>', 'eval'))
""",
    "code_closed": """\
def value(n):
    exec(''.join(c for c in 'import pytest' if c != '~'))
""",
    "code_marshal": """\
import marshal
def value(n):
    return eval(marshal.loads(b'c' + bytes(40)))
""",
    "code_pickle": """\
import pickle
def value(n):
    return pickle.loads(bytes.fromhex('635f7079746573740a6f7574636f6d65730a2e'))
""",
    "code_type": """\
import types
def value(n):
    plain = value.__code__
    made = types.CodeType(0, 0, 0, 0, 0, 0, b'', (), (), (), '', '', '', 0, b'', b'', (), ())
    return made
""",
    "code_replaced": """\
def value(n):
    def other():
        return 0
    made = other.__code__.replace(co_filename='/usr/lib/python3/json.py')
    return eval(made)
""",
    "code_set": """\
import statistics
def value(n):
    def mine(*args):
        return 0
    statistics.mean.__code__ = mine.__code__
    return 0
""",
    "code_set_hidden": """\
import json
def value(n):
    def mine(*args, **named):
        return 'x'
    setattr(json.dumps, '__co' + 'de__', mine.__code__)
    return 0
""",
    "code_timed": """\
import timeit
def value(n):
    return timeit.timeit('import pytest; pytest.skip(1)', number=1)
""",
    "cell_set": """\
def value(n):
    def outer():
        return n
    outer.__closure__[0].cell_contents = 5
    return n
""",
    "all_classes": """\
def value(n):
    for kind in object.__subclasses__():
        if kind.__name__ == 'CallInfo':
            kind.from_call = None
    return 0
""",
    "reduced": """\
import copy, os
class Leave:
    def __reduce__(self):
        return (os._exit, (0,))
def value(n):
    return copy.copy(Leave())
""",
}
