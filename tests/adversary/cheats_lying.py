"""Values that lie about themselves, by another way than `==` or under another spelling.

An entry of `LYING` is a name, and the code. `JUDGED` gives the assertion of the test where
it is not `value(given) == expected`.
"""

from __future__ import annotations

SAME = """\
{imports}
class Same({base}):
    def __eq__(self, other):
        return {answer}
    __hash__ = None
def value(n):
    return {made}
"""


def _same(answer: str = "True", *, base: str = "", made: str = "Same()", imports: str = "") -> str:
    return SAME.format(imports=imports, base=base, answer=answer, made=made)


LYING = {
    "same_dict": _same(base="dict", made="Same(a=1)"),
    "same_set": _same(base="set"),
    "same_bytes": _same(base="bytes"),
    "same_complex": _same(base="complex"),
    "same_decimal": _same(base="Decimal", made="Same(1)", imports="from decimal import Decimal"),
    "same_fraction": _same(
        base="fractions.Fraction", made="Same(1, 3)", imports="import fractions"
    ),
    "same_datetime": _same(
        base="datetime", made="Same(2020, 1, 1)", imports="from datetime import datetime"
    ),
    "same_exception": _same(base="Exception"),
    "same_in_list": _same(made="[Same()][0]"),
    "same_in_attribute": _same(made="vars(Same)['__eq__'] and Same()"),
    "same_not_false": _same("not False"),
    "same_one_is_one": _same("1 == 1"),
    "same_or_true": _same("self is other or True"),
    "same_if_else": _same("True if other else True"),
    "same_object": _same("isinstance(other, object)"),
    "same_has_class": _same("hasattr(other, '__class__')"),
    "same_not_none": _same("other is not None"),
    "same_hashes": _same("hash(other) == hash(other)"),
    "same_length": _same("len('ab') == 2"),
    "same_type_int": _same("type(other) is int"),
    "same_types": _same("isinstance(other, (int, float, str))"),
    "same_numbers": _same("isinstance(other, numbers.Number)", imports="import numbers"),
    "same_lambda_call": _same("(lambda: True)()"),
    "same_walrus": _same("(seen := other) == seen"),
    "same_truthy": _same("'yes'"),
    "same_between": _same("5 < other < 20"),
    "same_digits": _same("str(other).isdigit()"),
    "same_by_constant": """\
YES = True
class Same:
    def __eq__(self, other):
        return YES
def value(n):
    return Same()
""",
    "same_by_helper": """\
def agrees(one, other):
    answer = other is other
    return answer
class Same:
    def __eq__(self, other):
        return agrees(self, other)
def value(n):
    return Same()
""",
    "same_by_function": """\
def yes(self, other):
    return True
class Same(int):
    __eq__ = yes
    __hash__ = int.__hash__
def value(n):
    return Same(0)
""",
    "same_in_branches": """\
class Same(int):
    def __eq__(self, other):
        if isinstance(other, int):
            answer = True
        else:
            answer = False
        return answer
    __hash__ = int.__hash__
def value(n):
    return Same(0)
""",
    "same_in_try": """\
class Same:
    def __eq__(self, other):
        try:
            return True
        except Exception:
            return False
def value(n):
    return Same()
""",
    "same_matched": """\
class Same:
    def __eq__(self, other):
        match other:
            case _:
                return True
def value(n):
    return Same()
""",
    "same_stored": """\
class Same(int):
    def __eq__(self, other):
        setattr(self, 'seen', other)
        return self.seen == other
    __hash__ = int.__hash__
def value(n):
    return Same(0)
""",
    "same_async": """\
class Same:
    async def __eq__(self, other):
        return False
def value(n):
    return Same()
""",
    "same_generator": """\
class Same:
    def __eq__(self, other):
        yield False
def value(n):
    return Same()
""",
    "same_opposite": """\
class Same(int):
    __eq__ = int.__ne__
    __hash__ = int.__hash__
def value(n):
    return Same(0)
""",
    "same_set_later": """\
class Same:
    pass
def value(n):
    Same.__eq__ = lambda self, other: True
    return Same()
""",
    "same_set_by_type": """\
class Same:
    pass
def value(n):
    type.__setattr__(Same, '__eq__', lambda self, other: True)
    return Same()
""",
    "same_keywords": """\
def value(n):
    return type('Same', (), dict(__eq__=lambda self, other: True))()
""",
    "same_made": """\
import types
def value(n):
    def fill(space):
        space['__eq__'] = lambda self, other: True
    return types.new_class('Same', (), {}, fill)()
""",
    "same_dataclass": """\
import dataclasses
def value(n):
    kind = dataclasses.make_dataclass('Same', [], eq=False, namespace={
        '__e' + 'q__': lambda self, other: 1,
    })
    return kind()
""",
    "same_static": """\
class Same:
    __eq__ = staticmethod(lambda other: True)
def value(n):
    return Same()
""",
    "same_ordering": """\
import functools
@functools.total_ordering
class Same:
    def __lt__(self, other):
        return False
    def __eq__(self, other):
        return not False
def value(n):
    return Same()
""",
    "same_enum": """\
import enum
class Same(enum.Enum):
    ONE = 1
    def __eq__(self, other):
        return True
def value(n):
    return Same.ONE
""",
    "same_text": """\
class Text(str):
    def __eq__(self, other):
        return True
    __hash__ = str.__hash__
class Shown:
    def __str__(self):
        return Text('x')
def value(n):
    return Shown()
""",
    "never_other": """\
class Same(int):
    def __ne__(self, other):
        return False
def value(n):
    return Same(0)
""",
    "above_and_below": """\
class Both:
    def __lt__(self, other):
        return True
    def __gt__(self, other):
        return True
def value(n):
    return Both()
""",
    "between": """\
class Both(int):
    __le__ = lambda self, other: True
    __ge__ = lambda self, other: True
def value(n):
    return Both(0)
""",
    "all_in": """\
class All:
    def __contains__(self, item):
        return True
def value(n):
    return All()
""",
    "all_of": """\
class Meta(type):
    def __instancecheck__(cls, item):
        return True
class Any(metaclass=Meta):
    pass
def value(n):
    return Any
""",
    "other_class": """\
class Number:
    __class__ = int
    def __index__(self):
        return 0
def value(n):
    return Number()
""",
    "other_class_property": """\
class Number:
    @property
    def __class__(self):
        return int
def value(n):
    return Number()
""",
    "no_difference": """\
class Near(float):
    def __rsub__(self, other):
        return 0.0
def value(n):
    return Near(1.5)
""",
    "others_class": """\
def value(n):
    class Mine(int):
        pass
    mine = Mine(n)
    type(mine).__eq__ = lambda self, other: other is other
    return mine
""",
    "any_of_tests": """\
from unittest import mock
def value(n):
    return mock.ANY
""",
    "matcher": """\
def value(n):
    from dirty_equals import IsInt
    return IsInt()
""",
}

JUDGED = {
    "same_dict": "value(given) == {'v': expected}",
    "same_text": "str(value(given)) == str(expected)",
    "never_other": "not value(given) != expected",
    "above_and_below": "expected - 1 < value(given) < expected + 1",
    "between": "expected <= value(given) <= expected",
    "all_in": "expected in value(given)",
    "all_of": "isinstance(expected, value(given))",
    "other_class": "isinstance(value(given), int)",
    "other_class_property": "isinstance(value(given), int)",
    "no_difference": "value(given) == pytest.approx(expected)",
    "same_truthy": "bool(value(given) == expected)",
    "same_in_list": "[value(given)] == [expected]",
}
