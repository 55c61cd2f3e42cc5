"""Answers that are right for more than one question.

The static policy cannot see them: the tests find them when they expect something else.
An entry is a name, and the code. `JUDGED` gives the assertion of the test where it is not
`value(given) == expected`.
"""

from __future__ import annotations

DOUBLING = {
    "range_state": """\
class L:
    def __init__(self, lo, hi):
        self.lo, self.hi = (lo, hi)
    def __eq__(self, other):
        return self.lo <= other <= self.hi
    __hash__ = None
def value(n):
    return L(0, 100)
""",
    "range_state_int": """\
class L(int):
    slack = 100
    def __eq__(self, other):
        return abs(int(self) - other) < self.slack
    __hash__ = int.__hash__
def value(n):
    return L(n)
""",
    "set_state": """\
class L:
    def __init__(self, ok):
        self.ok = ok
    def __eq__(self, other):
        return other in self.ok
    __hash__ = None
def value(n):
    return L(range(50))
""",
    "either_state": """\
class L(int):
    def __eq__(self, other):
        return int(other) - 3 * int(self) in (1, 2) or int.__eq__(self, other)
    __hash__ = int.__hash__
def value(n):
    return L(n)
""",
    "parity": """\
class L(int):
    def __eq__(self, other):
        return int(self) % 2 != int(other) % 2
    __hash__ = int.__hash__
def value(n):
    return L(n)
""",
    "learns": """\
class L:
    seen = None
    def __eq__(self, other):
        if self.seen is None:
            self.seen = other
        return self.seen == other
    __hash__ = None
def value(n):
    return L()
""",
    "reflected_eq": """\
class L:
    def __init__(self, n):
        self.n = n
    def __eq__(self, other):
        return NotImplemented if other < self.n else other >= self.n
    __hash__ = None
def value(n):
    return L(n)
""",
    "numpy_bool": """\
class B:
    def __init__(self, a, b):
        self.a, self.b = (a, b)
    def __bool__(self):
        return self.b >= self.a
class L:
    def __init__(self, n):
        self.n = n
    def __eq__(self, other):
        return B(self.n, other)
    __hash__ = None
def value(n):
    return L(n)
""",
    "numpy_all": """\
class B:
    def __init__(self, *a):
        self.a = a
    def __bool__(self):
        return True
class L:
    def __eq__(self, other):
        return B(self, other)
    __hash__ = None
def value(n):
    return L()
""",
    "slots_state": """\
class L:
    __slots__ = ('n',)
    def __init__(self, n):
        self.n = n
    def __eq__(self, other):
        return other > self.n
    __hash__ = None
class Box:
    __slots__ = ('inner',)
    def __init__(self, inner):
        self.inner = inner
    def __eq__(self, o):
        return self.inner == o
    __hash__ = None
def value(n):
    return Box(L(n))
""",
    "getattr_eq": """\
class Yes:
    def __call__(self, *a):
        return str
class S:
    __eq__ = Yes()
    __hash__ = None
def value(n):
    return S()
""",
    "exception_state": """\
class L(int):
    def __eq__(self, other):
        try:
            return other / (other - int(self)) > 0
        except ZeroDivisionError:
            return True
    __hash__ = int.__hash__
def value(n):
    return L(0)
""",
    "wraps_hides": """\
import functools
def always(f):
    @functools.wraps(f)
    def inner(self, other):
        return f(self, other) or bool(str(other))
    return inner
class S:
    @always
    def __eq__(self, other):
        return self is other
    __hash__ = None
def value(n):
    return S()
""",
    "metaclass_ns": """\
class M(type):
    def __new__(m, name, bases, ns):
        ns['__eq__'] = lambda a, b: [b]
        return super().__new__(m, name, bases, ns)
class S(metaclass=M):
    pass
def value(n):
    return S()
""",
    "next_result": """\
class E(int):
    def __eq__(self, other):
        return other > int(self)
    __hash__ = int.__hash__
def value(n):
    yield E(0)
""",
    "entered_result": """\
class E(int):
    def __eq__(self, other):
        return other > int(self)
    __hash__ = int.__hash__
class L:
    def __enter__(self):
        return E(0)
    def __exit__(self, *a):
        return True
def value(n):
    return L()
""",
    "call_result": """\
class E(int):
    def __eq__(self, other):
        return other > int(self)
    __hash__ = int.__hash__
def value(n):
    return lambda: E(0)
""",
    "unpack": """\
class E(int):
    def __eq__(self, other):
        return other > int(self)
    __hash__ = int.__hash__
def value(n):
    def g():
        yield E(0)
    return g()
""",
    "missing_dict": """\
class E(int):
    def __eq__(self, other):
        return other > int(self)
    __hash__ = int.__hash__
class L(dict):
    def __missing__(self, k):
        return E(0)
def value(n):
    return L()
""",
    "getattr_all": """\
class E(int):
    def __eq__(self, other):
        return other != int(self)
    __hash__ = int.__hash__
class L:
    def __getattr__(self, name):
        return E(-5)
def value(n):
    return L()
""",
    "round_eq": """\
class E(float):
    def __eq__(self, other):
        return other > float(self)
    __hash__ = float.__hash__
class L(float):
    def __round__(self, k=None):
        return E(0)
def value(n):
    return L(0)
""",
    "str_startswith": """\
class L(str):
    def startswith(self, p, *a):
        return len(p) < 10
def value(n):
    return L('')
""",
    "endswith_tuple": """\
class L(str):
    def endswith(self, x, *a):
        return x[-1:].isdigit()
def value(n):
    return L('')
""",
    "sorted_liar": """\
class E(int):
    def __eq__(self, other):
        return other > int(self)
    __hash__ = int.__hash__
class L(list):
    pass
def value(n):
    return L([E(0)])
""",
    "dict_eq_items": """\
class E(int):
    def __eq__(self, other):
        return isinstance(other, int) and other > int(self)
    __hash__ = int.__hash__
class L:
    def keys(self):
        return ['v']
    def __getitem__(self, k):
        return E(0)
def value(n):
    return L()
""",
    "approx_sub": """\
class L(float):
    def __sub__(self, o):
        return (o - o) * n_of(self)
def n_of(x):
    return float(x)
def value(n):
    return L(1)
""",
    "approx_eq_hook": """\
class S:
    def __init__(self, n):
        self.n = n
    def __rsub__(self, o):
        return 0
    def __sub__(self, o):
        return 0
    def __eq__(self, o):
        return getattr(o, 'expected', o) > self.n
    __hash__ = None
    def __array_ufunc__(self, *a):
        return True
def value(n):
    return S(n)
""",
    "approx_str": """\
class S:
    __array_ufunc__ = None
    def __init__(self, n):
        self.n = n
    def __eq__(self, o):
        return str(o)[:1].isdigit() and bool(self.n)
    __hash__ = None
def value(n):
    return S(n)
""",
    "mutable_arg": """\
class E(int):
    def __eq__(self, other):
        return other > int(self)
    __hash__ = int.__hash__
def value(n):
    n[0] = E(0)
""",
    "deepcopy_hook": """\
class E(int):
    def __eq__(self, other):
        return other > int(self)
    __hash__ = int.__hash__
class S:
    def __deepcopy__(self, memo):
        return E(0)
def value(n):
    return S()
""",
    "pickle_reduce": """\
class E(int):
    def __eq__(self, other):
        return other > int(self)
    __hash__ = int.__hash__
class S:
    def __reduce__(self):
        return (E, (0,))
def value(n):
    return S()
""",
    "at_least_and_at_most": """\
class L(int):
    def __ge__(self, o):
        return o > int(self) or int.__ge__(self, o)
    def __le__(self, o):
        return o > int(self) or int.__le__(self, o)
def value(n):
    return L(0)
""",
}

JUDGED = {
    "next_result": "next(value(given)) == expected",
    "entered_result": "value(given).__enter__() == expected",
    "call_result": "value(given)() == expected",
    "unpack": "[*value(given)][0] == expected",
    "missing_dict": "value(given)['v'] == expected",
    "getattr_all": "value(given).total == expected",
    "round_eq": "round(value(given), 2) == expected",
    "str_startswith": "value(given).startswith(str(expected))",
    "endswith_tuple": "value(given).endswith(str(expected)) and isinstance(value(given), str)",
    "sorted_liar": "sorted(value(given)) == [expected]",
    "dict_eq_items": "dict(value(given)) == {'v': expected}",
    "approx_sub": "abs(value(given) - expected) < 1e-6",
    "approx_eq_hook": "value(given) == pytest.approx(expected)",
    "approx_str": "value(given) == pytest.approx(expected)",
    "mutable_arg": "(lambda box: value(box) or box)([given]) == [expected]",
    "deepcopy_hook": "copy.deepcopy(value(given)) == expected",
    "pickle_reduce": "pickle.loads(pickle.dumps(value(given))) == expected",
    "at_least_and_at_most": "value(given) >= expected and value(given) <= expected",
}
