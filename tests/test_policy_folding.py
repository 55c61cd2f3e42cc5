"""What expressions come to without being run, and what nobody can make them cost."""

from __future__ import annotations

import ast
import base64

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_selfheal.source.policy_folding import Folder
from pytest_selfheal.source.policy_names import Names


def texts(code, of="name"):
    """What the last value that is given to a name comes to."""
    tree = ast.parse(code)
    folder = Names.of(tree).folder
    found = [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == of
    ]
    return folder.texts(found[-1])


WORDS = st.text(alphabet="abcxyz_", min_size=2, max_size=12)
SPELLINGS = {
    "plus": lambda word, cut: f"name = {word[:cut]!r} + {word[cut:]!r}",
    "join": lambda word, cut: f"name = ''.join([{word[:cut]!r}, {word[cut:]!r}])",
    "f": lambda word, cut: f"part = {word[cut:]!r}\nname = f'{word[:cut]}{{part}}'",
    "percent": lambda word, cut: f"name = '%s%s' % ({word[:cut]!r}, {word[cut:]!r})",
    "format": lambda word, cut: f"name = '{{}}{{b}}'.format({word[:cut]!r}, b={word[cut:]!r})",
    "reversed": lambda word, cut: f"name = {word[::-1]!r}[::-1]",
    "reversed()": lambda word, cut: f"name = ''.join(reversed({word[::-1]!r}))",
    "bytes": lambda word, cut: f"name = bytes({list(word.encode())}).decode('ascii')",
    "hex": lambda word, cut: f"name = bytes.fromhex({word.encode().hex()!r}).decode()",
    "chr": lambda word, cut: f"name = chr({ord(word[0])}) + {word[1:]!r}",
    "map": lambda word, cut: f"name = ''.join(map(chr, {[ord(each) for each in word]}))",
    "comprehension": lambda word, cut: (
        f"name = ''.join(chr(c ^ 7) for c in {[ord(each) ^ 7 for each in word]})"
    ),
    "base64": lambda word, cut: (
        f"import base64\nname = base64.b64decode({base64.b64encode(word.encode())!r}).decode()"
    ),
    "rot13": lambda word, cut: (
        f"import codecs\nname = codecs.encode(codecs.encode({word!r}, 'rot13'), 'rot13')"
    ),
    "replaced": lambda word, cut: f"name = {(word[:cut] + '-' + word[cut:])!r}.replace('-', '')",
    "added": lambda word, cut: f"x = {word[:cut]!r}\nx += {word[cut:]!r}\nname = x",
    "table": lambda word, cut: f"t = {{'k': {word!r}}}\nname = t['k']",
    "attribute": lambda word, cut: f"class T:\n    k = {word!r}\nname = T.k",
    "function": lambda word, cut: (
        f"def made(a):\n    return a + {word[cut:]!r}\nname = made({word[:cut]!r})"
    ),
    "lambda": lambda word, cut: f"name = (lambda a, b: a + b)({word[:cut]!r}, {word[cut:]!r})",
    "either": lambda word, cut: f"import sys\nname = {word!r} if sys.argv else ''",
}


@pytest.mark.parametrize("spelling", SPELLINGS.values(), ids=SPELLINGS)
@settings(deadline=None, max_examples=20)
@given(word=WORDS, data=st.data())
def test_a_text_is_read_in_any_spelling(spelling, word, data):
    cut = data.draw(st.integers(0, len(word)))
    assert word in texts(spelling(word, cut))


@pytest.mark.parametrize(
    "code",
    [
        "name = open('x').read()",
        "def f(given):\n    name = given",
        "def f(given):\n    name = given + 'x'",
        "import os\nname = os.environ['A'] + 'x'",
        "name = input() or other",
        "name = name",
        "a = b\nb = a\nname = a + b",
    ],
)
def test_nothing_is_made_up(code):
    assert texts(code) == ()


@pytest.mark.parametrize(
    "code",
    [
        "name = 'a' * 10**9",
        "name = 'a' * 1000000000",
        "name = '%1000000000d' % 1",
        "name = '{:1000000000}'.format('a')",
        "name = f'{1:1000000000}'",
        "name = 'a'.replace('', 'b' * 9000).replace('b', 'c' * 9000)",
        "name = ('a' * 9000).join(['b'] * 9000)",
        "name = str(bytes(1000000000))",
        "name = str(list(range(10**12)))",
        "a = [1] * 9000\nb = [a] * 9000\nc = [b] * 9000\nname = str(c)",
        "import zlib\nname = zlib.decompress(b'x' * 100).decode()",
        "name = str(" + "+".join(["'a'"] * 300) + ")",
        "a = 'aa'\n" + "a = a + a\n" * 60 + "name = a",
        "name = str(9 ** 9 ** 9)",
    ],
)
def test_no_text_costs_much(code):
    assert all(len(each) <= 2**15 for each in texts(code))


def test_the_folder_is_given_what_is_called():
    tree = ast.parse("name = f('x')")
    folder = Folder(Names.of(tree).scopes, lambda node: "builtins.str")
    assert folder.texts(tree.body[0].value) == ("x",)
