"""What a prompt quotes of modules that hold no target: what targets and tests name of them."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_selfheal.source.context import imported_definitions
from pytest_selfheal.source.find import find_in_source

PRICES = '''\
"""Prices and rates."""
from dataclasses import dataclass

UNIT = 100  # cents

@dataclass(frozen=True)
class Rate:
    """A rate in per mille."""
    permille: int

def rounded(value: float) -> int:
    """Half to even."""
    return round(value)

def unrelated() -> None:
    """Nobody names it."""
'''
TEST = "from shop.till import due\n\ndef test_due():\n    assert due(1)\n"


def stub(header: str, imports: str, docstring: str = "Do it.") -> str:
    return f'{imports}\n\n# selfheal\n{header}\n    """{docstring}"""\n'


def quoted(till: str, *, test: str = TEST, **more: str) -> dict[str, str]:
    """What is quoted beside `shop/till.py` and its test, by path."""
    files = {"shop/__init__.py": "", "shop/prices.py": PRICES, "shop/till.py": till}
    files |= {"tests/test_till.py": test, **more}
    data = {path: textwrap.dedent(text).encode() for path, text in files.items()}
    stubs = find_in_source(data["shop/till.py"], "shop/till.py").stubs
    found = imported_definitions(
        {"shop/till.py": stubs}, ["tests/test_till.py::test_due"], data.get, list(data)
    )
    return {each.path: each.text for each in found}


@pytest.mark.parametrize(
    "imports",
    [
        "from shop.prices import Rate",
        "from .prices import Rate",
        "from shop.prices import Rate as Tax",
        "import shop.prices\nfrom shop import prices",
    ],
)
def test_a_parameters_type_is_quoted_from_where_it_is_defined(imports: str) -> None:
    name = "Tax" if " as " in imports else "prices.Rate" if "prices\n" in imports else "Rate"
    text = quoted(stub(f"def due(rate: {name}) -> int:", imports))["shop/prices.py"]
    assert "@dataclass(frozen=True)\nclass Rate:" in text
    assert "permille: int" in text
    assert "rounded" not in text
    assert "unrelated" not in text


def test_a_name_is_followed_through_those_who_pass_it_on() -> None:
    found = quoted(
        stub("def due(rate: Tax) -> int:", "from shop import Tax"),
        **{
            "shop/__init__.py": "from .facade import Tax",
            "shop/facade.py": "from shop.prices import Rate as Tax",
        },
    )
    assert list(found) == ["shop/prices.py"]
    assert "class Rate" in found["shop/prices.py"]


def test_what_is_imported_and_used_nowhere_is_meant_for_the_stub() -> None:
    imports = "from .prices import UNIT, rounded"
    text = quoted(stub("def due(cents: int) -> int:", imports))["shop/prices.py"]
    assert "def rounded(value: float) -> int:" in text
    assert "UNIT = 100" in text
    used = f"{imports}\n\ndef other(a):\n    return rounded(a) * UNIT\n"
    assert quoted(stub("def due(cents: int) -> int:", used)) == {}


def test_base_classes_and_what_a_docstring_names_are_quoted() -> None:
    source = '''\
        from .base import Till, fee, never

        def uses():
            return fee, never

        class Shop(Till):
            # selfheal
            def due(self) -> int:
                """With the `fee`."""
        '''
    base = '''\
        class Till:
            """What every till has."""
            def opened(self): ...

        def fee(): return 1

        def never(): return 2
        '''
    text = quoted(textwrap.dedent(source), **{"shop/base.py": base})["shop/base.py"]
    assert "class Till:" in text
    assert "def fee" in text
    assert "never" not in text


def test_what_tests_take_from_a_helper_module_is_quoted() -> None:
    test = "from .tools import made, Other\nimport shop\n\ndef test_due():\n    shop.due(made())\n"
    tools = "def made():\n    return 42\n\nclass Other:\n    pass\n"
    found = quoted(stub("def due(a) -> int:", "import os"), test=test, **{"tests/tools.py": tools})
    assert list(found) == ["tests/tools.py"]
    assert "return 42" in found["tests/tools.py"]
    assert "Other" not in found["tests/tools.py"]


def test_long_definitions_are_told_by_what_they_are_called_with() -> None:
    long = "".join(f"    total += {n}\n" for n in range(60))
    helper = (
        f'def rounded(value: float) -> int:\n    """Half to even.\n\n    More.\n    """\n{long}'
    )
    text = quoted(
        stub("def due(a) -> int:", "from .prices import rounded"), **{"shop/prices.py": helper}
    )["shop/prices.py"]
    assert "def rounded(value: float) -> int:" in text
    assert "Half to even." in text
    assert "total += 30" not in text


def test_all_of_it_is_bounded() -> None:
    names = [f"helper_{n}" for n in range(200)]
    helpers = "".join(f'def {x}(value):\n    """Do {x}."""\n    return value\n\n' for x in names)
    imports = f"from .prices import {', '.join(names)}"
    found = quoted(stub("def due(a) -> int:", imports), **{"shop/prices.py": helpers})
    assert 1_500 < sum(map(len, found.values())) < 3_500
    assert "helper_0" in found["shop/prices.py"]


def test_modules_in_a_circle_end() -> None:
    found = quoted(
        stub("def due(a: A) -> int:", "from .one import A"),
        **{"shop/one.py": "from .two import A", "shop/two.py": "from .one import A"},
    )
    assert found == {}


def test_files_that_are_not_to_be_quoted_and_broken_ones_are_passed_over() -> None:
    files: Mapping[str, bytes] = {
        "a.py": b"from b import X\nfrom c import Y\n# selfheal\ndef f(x: X, y: Y): ...\n",
        "b.py": b"class X: secret = 1\n",
        "c.py": b"class Y(:\n",
    }
    stubs = find_in_source(files["a.py"], "a.py").stubs
    assert imported_definitions({"a.py": stubs}, [], files.get, ["a.py", "c.py"]) == ()


NAMES = st.sampled_from(["A", "B", "m", "shop", "prices", "Rate"])


@given(
    st.lists(
        st.one_of(
            st.builds("import {}".format, NAMES),
            st.builds("import shop.{} as {}".format, NAMES, NAMES),
            st.builds(
                "from {}{} import {}".format, st.sampled_from(["", ".", "..", "..."]), NAMES, NAMES
            ),
            st.builds("from . import {} as {}".format, NAMES, NAMES),
            st.builds("from {} import *".format, NAMES),
        ),
        max_size=5,
    ).map("\n".join)
)
def test_any_imports_can_be_followed(imports: str) -> None:
    found = quoted(
        stub("def due(a: A, m: m.B, r: Rate) -> prices:", imports),
        **{"shop/m.py": imports, "shop/A.py": "class B: ...", "shop/__init__.py": imports},
    )
    assert {"shop/till.py", "tests/test_till.py"}.isdisjoint(found)
