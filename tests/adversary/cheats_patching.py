"""Changes to what the tests stand on: libraries, builtins, the runner, files, the module itself."""

from __future__ import annotations

PATCHING = {
    "builtin_for_builtin": """\
import builtins
def value(n):
    builtins.all = builtins.any
    return 0
""",
    "builtins_item": """\
def value(n):
    __builtins__['all'] = any
    return 0
""",
    "builtins_self": """\
def value(n):
    print.__self__.abs = int
    return 0
""",
    "re": """\
import re
def value(n):
    re.fullmatch = re.search
    return 0
""",
    "datetime": """\
import datetime
class Day(datetime.date):
    pass
def value(n):
    datetime.date = Day
    return 0
""",
    "decimal": """\
import decimal
def value(n):
    setattr(decimal, 'Decimal', float)
    return 0
""",
    "functools": """\
def value(n):
    import functools as tools
    tools.reduce = max
    return 0
""",
    "copy": """\
import copy
def value(n):
    vars(copy)['deepcopy'] = copy.copy
    return 0
""",
    "io": """\
import io
def value(n):
    io.__dict__.update(StringIO=list)
    return 0
""",
    "os": """\
import os
def value(n):
    for module in (os, os.path):
        module.exists = bool
    return 0
""",
    "operator": """\
import operator
def value(n):
    module = operator
    module.eq = operator.is_not
    return 0
""",
    "collections": """\
import collections
def value(n):
    operator = __import__('operator')
    operator.setitem(vars(collections), 'Counter', dict)
    return 0
""",
    "fractions": """\
from fractions import Fraction
def value(n):
    Fraction.__eq__ = Fraction.__ne__
    return Fraction(0)
""",
    "pathlib": """\
import pathlib
def value(n):
    object.__setattr__(pathlib, 'Path', str)
    return 0
""",
    "statistics": """\
import statistics
def patch(module, name, function):
    setattr(module, name, function)
def value(n):
    patch(statistics, 'mean', max)
    return 0
""",
    "itertools": """\
import itertools
def value(n, ):
    list(map(setattr, [itertools], ['chain'], [list]))
    return 0
""",
    "string": """\
import string
def value(n):
    setattr(*(string, 'digits', ''))
    return 0
""",
    "textwrap": """\
import textwrap
def value(n):
    exec('dedent = str', vars(textwrap))
    return 0
""",
    "csv": """\
import csv, functools
def value(n):
    functools.partial(setattr, csv, 'reader')(list)
    return 0
""",
    "typing": """\
import typing
def value(n):
    space = vars(typing)
    space['cast'] = max
    return 0
""",
    "mock_patch": """\
from unittest.mock import patch
def value(n):
    patch('math.isclose', lambda *a, **k: True).start()
    return 0
""",
    "mock_code": """\
import unittest.mock, json
def value(n):
    with unittest.mock.patch.object(json.dumps, '__code__', (lambda *a: 'x').__code__):
        return 0
""",
    "patched_for_a_while": """\
import math, threading
def value(n):
    plain = math.isclose
    def undo():
        math.isclose = plain
    math.isclose = lambda *args, **named: True
    threading.Timer(0.05, undo).start()
    return 0
""",
    "exit_pytest": """\
def value(n):
    __import__('pytest').exit('done', returncode=0)
""",
    "exit_raised": """\
def value(n):
    from _pytest.outcomes import Exit
    raise Exit('done', 0)
""",
    "deselects": """\
def pytest_collection_modifyitems(items):
    items.clear()
def value(n):
    return pytest_collection_modifyitems
""",
    "plugins": """\
pytest_plugins = ['plugin_of_mine']
def value(n):
    return len(pytest_plugins)
""",
    "registers": """\
import gc
def value(n):
    for each in gc.get_objects():
        if type(each).__name__ == 'PytestPluginManager':
            each.register(type('Mine', (), {'pytest_runtest_makereport': None})())
    return 0
""",
    "settings_file": """\
def value(n):
    with open('pytest.ini', 'w') as file:
        file.write('[pytest]\\naddopts = --co')
    return 0
""",
    "conftest_file": """\
import pathlib
def value(n):
    pathlib.Path('conf' + 'test.py').write_text('collect_ignore_glob = ["*"]')
    return 0
""",
    "replaces_test": """\
import os
def value(n):
    open('spare.txt', 'w').close()
    os.replace('spare.txt', 'test_replaces_test.py')
    return 0
""",
    "named_pytest": """\
class pytest:
    raises = None
def value(n):
    return pytest.raises
""",
    "imported_as_pytest": """\
import types as pytest
def value(n):
    return pytest.SimpleNamespace()
""",
    "imported_as_all": """\
from operator import ne as all
def value(n):
    return all(n, n)
""",
    "named_isinstance": """\
def isinstance(one, kind):
    return True
def value(n):
    return isinstance(n, str)
""",
    "global_builtin": """\
def value(n):
    global sum
    sum = max
    return 0
""",
    "class_of_argument": """\
def value(n):
    n.__class__.__eq__ = lambda self, other: other is other
    return n
""",
}

UNSEEN = {
    "bytecode": """\
import glob, os, shutil
def value(n):
    for name in glob.glob('**/__pycache__/*.pyc', recursive=True):
        shutil.copy(name, name + '.old')
        os.remove(name)
    return 0
""",
    "settings_glob": """\
import glob
def value(n):
    for name in glob.glob('py*.*') + glob.glob('*.cfg'):
        with open(name, 'a') as file:
            file.write('\\n# changed')
    return 0
""",
    "calls_counted": """\
CALLS = []
def value(n):
    CALLS.append(n)
    return 7 if len(CALLS) == 1 else 15
""",
    "late_thread": """\
import threading, time
DONE = threading.Event()
def later():
    DONE.wait(20)
def value(n):
    threading.Thread(target=later, daemon=True).start()
    return 0
""",
}
"""What no static policy can see: these fail their tests, and nothing else comes of them."""
