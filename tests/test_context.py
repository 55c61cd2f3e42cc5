"""What a prompt quotes: of the module, of the failing tests, of their sample data."""

from __future__ import annotations

import ast
import textwrap

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_selfheal.source import context
from pytest_selfheal.source.context_uses import is_doctest, split_nodeid
from pytest_selfheal.source.find import find_in_source


def reader(files):
    """Read from a mapping of paths to text, as the project's files are read."""
    contents = {
        path: text if isinstance(text, bytes) else textwrap.dedent(text).encode()
        for path, text in files.items()
    }
    return contents.get


def module(source, **more):
    content = source if isinstance(source, bytes) else textwrap.dedent(source).encode()
    stubs = find_in_source(content, "src/a.py").stubs
    return context.module_excerpt(content, stubs, **more)


def quoted_tests(files, *nodeids, stubs=()):
    return {one.path: one.text for one in context.test_excerpts(nodeids, stubs, reader(files))}


def data(files, *nodeids, opened=()):
    found = context.data_excerpts(nodeids, reader(files), files, opened)
    return {one.path: one.text for one in found}


# --- the module ------------------------------------------------------------------------


def test_a_small_module_is_quoted_whole():
    source = "import os\n\n# selfheal\ndef f(): ...\n"
    excerpt = module(source)
    assert (excerpt.path, excerpt.text, excerpt.note) == ("src/a.py", source, "the whole module")


def test_a_module_of_another_encoding_is_quoted_as_text():
    source = "# coding: latin-1\r\nX = 'é'\r\n# selfheal\r\ndef f(): ...\r\n".encode("latin-1")
    assert module(source).text == "# coding: latin-1\nX = 'é'\n# selfheal\ndef f(): ...\n"


def filler(number):
    """Definitions that nobody speaks of, long enough to be worth leaving out."""
    lines = "".join(f"    total = total + {n} * a\n" for n in range(20))
    return f'def filler_{number}(a):\n    """Fill {number}.\n\n    More.\n    """\n{lines}\n\n'


LARGE = (
    '''\
"""About taxes."""

import os
from decimal import Decimal

RATE = 7
Amount = Decimal
TABLE = {
'''
    + "".join(f'    {n}: "row {n}",\n' for n in range(200))
    + "}\n\n\n"
    + "".join(filler(n) for n in range(15))
    + '''\
class Base:
    """What every tax has."""

    def rounded(self, amount):
        return amount.normalised()


# how it rounds
def rounding(amount):
    return amount.quantised()


class Tax(Base):
    """A tax by class."""

    limit: int = RATE

    def __init__(self, rate):
        self.rate = rate

    def other(self, a: int) -> int:
        """Do another thing.

        At length.
        """
        return a + 42

    # selfheal
    def due(self, amount: "Amount") -> "Money":
        """Round with `rounding`."""


class Money:
    cents = 0


class Unrelated:
    """Nothing to do with it."""

    field_of_unrelated = 1
'''
)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("import os\nfrom decimal import Decimal\n", id="imports"),
        pytest.param("RATE = 7\nAmount = Decimal\n", id="constants"),
        pytest.param(
            '    # selfheal\n    def due(self, amount: "Amount") -> "Money":\n'
            '        """Round with `rounding`."""\n',
            id="target-with-its-comment",
        ),
        pytest.param('class Tax(Base):\n    """A tax by class."""\n', id="class-header"),
        pytest.param("    limit: int = RATE\n", id="class-attributes"),
        pytest.param("        self.rate = rate\n", id="init"),
        pytest.param("        return amount.normalised()\n", id="base-class-whole"),
        pytest.param("# how it rounds\ndef rounding(amount):\n    return amount.q", id="docstring"),
        pytest.param("class Money:\n    cents = 0\n", id="quoted-annotation"),
        pytest.param('    def other(self, a: int) -> int:\n        """Do another', id="sibling"),
        pytest.param("        return a + 42\n", id="style-of-a-sibling"),
        pytest.param("def filler_3(a): ...\n", id="headers"),
        pytest.param('    22: "row 22",\n    # … 172 lines left out\n    195:', id="table-cut"),
    ],
)
def test_a_large_module_keeps_what_the_target_needs(text):
    assert text in module(LARGE).text


@pytest.mark.parametrize(
    "text",
    ["Fill 3", "total = total", "field_of_unrelated", '100: "row 100"'],
    ids=["docstring", "function-body", "other-class", "table-middle"],
)
def test_a_large_module_leaves_out_the_rest(text):
    excerpt = module(LARGE)
    assert text not in excerpt.text
    assert "lines left out" in excerpt.text
    assert excerpt.note == "the module, in part"


def test_a_reduced_module_keeps_the_order_of_the_source():
    text = module(LARGE).text
    marks = ["import os", "RATE", "filler_0", "class Base", "def rounding", "class Tax", "Money"]
    positions = [text.index(mark) for mark in marks[:-1]]
    assert positions == sorted(positions)


def test_what_the_tests_name_is_known():
    names = context.names_in_tests([DUE], reader(FILES))
    assert {"close", "f", "twice", "rate", "EPS"} <= names
    assert "UNUSED" not in names


def test_names_that_the_tests_use_bring_their_definitions():
    assert "field_of_unrelated" in module(LARGE, names=["Unrelated"]).text


@pytest.mark.parametrize(
    "source",
    [
        pytest.param(LARGE + "".join(filler(n) for n in range(20, 800)), id="many-functions"),
        pytest.param("# selfheal\ndef f(): ...\nX = '" + "x" * 90_000 + "'\n", id="long-line"),
        pytest.param("# selfheal\ndef f(:\n" + "x = 1\n" * 9000, id="unparsable"),
    ],
)
def test_a_module_never_takes_more_than_its_room(source):
    stubs = find_in_source(b"# selfheal\ndef f(): ...\n", "src/a.py").stubs
    stubs = find_in_source(source.encode(), "src/a.py").stubs or stubs
    text = context.module_excerpt(source.encode(), stubs).text
    assert len(text) <= 12_500
    assert "left out" in text


def test_a_long_target_is_whole():
    source = "# selfheal\ndef f():\n" + "    x = 1\n" * 9000
    assert module(source).text.count("x = 1\n") == 9000


def test_a_long_docstring_of_a_target_is_whole():
    said = "".join(f"    line {n}\n" for n in range(100))
    text = module(
        f'# selfheal\ndef f():\n    """Do it.\n\n{said}    """\n\n\n' + filler(1) * 9
    ).text
    assert said in text


def test_a_module_can_be_shorter():
    excerpt = module(LARGE)
    touched, alone = excerpt.shorter
    assert len(excerpt.text) > len(touched) > len(alone)
    for text in excerpt.text, touched, alone:
        assert 'class Tax(Base):\n    """A tax by class."""\n' in text
        assert '"""Round with `rounding`."""\n' in text
    assert "class Money" in touched
    assert "from decimal import Decimal" in touched
    assert "def other" not in touched
    assert "Decimal" not in alone


def test_the_target_is_kept_where_most_is_dropped():
    text = module(LARGE + "".join(filler(n) for n in range(20, 800))).text
    assert "def due(self" in text
    assert "def filler_20(" in text  # near
    assert "def filler_300(" not in text


# --- node ids --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("nodeid", "parts"),
    [
        ("tests/test_a.py::test_f", ("tests/test_a.py", ("test_f",))),
        ("test_a.py::TestX::test_f[a::b[0]-c]", ("test_a.py", ("TestX", "test_f"))),
        ("tests/test_a.py", ("tests/test_a.py", ())),
    ],
)
def test_a_node_id_is_taken_apart(nodeid, parts):
    assert split_nodeid(nodeid) == parts


@pytest.mark.parametrize(
    ("nodeid", "expected"),
    [
        ("src/pkg/mod.py::pkg.mod.f", True),
        ("README.rst::README.rst", True),
        ("tests/test_a.py::test_f[1.5]", False),
        ("tests/test_a.py::TestX::test_f", False),
        ("tests/test_a.py", False),
    ],
)
def test_doctests_are_told_from_tests(nodeid, expected):
    assert is_doctest(nodeid) is expected


# --- the tests -------------------------------------------------------------------------

TEST_FILE = '''\
"""What is tested."""
import pytest
from pkg import f

UNUSED = 1
EPS = 0.5


def test_other():
    assert f(0) == 0


# compares within EPS
def close(a, b):
    return abs(a - b) < EPS


class Base:
    def shared(self):
        return 1

    def test_inherited(self):
        assert f(self.shared())


class TestTax(Base):
    """The tax's tests."""

    size = 3

    @pytest.fixture(autouse=True)
    def prepare(self):
        self.prepared = True

    def setup_method(self):
        self.ready = True

    def twice(self, n):
        return 2 * n

    def test_due(self, rate):
        assert close(f(self.twice(1)), rate)

    def test_not_failing(self):
        assert True


@pytest.mark.usefixtures("database")
@pytest.mark.parametrize("n", [1, 2])
def test_marked(n, request):
    assert request.getfixturevalue("late") == f(n)


@pytest.fixture
def rate(base):
    return base * 2
'''
INNER_CONFTEST = """\
import pytest

FACTOR = 3


@pytest.fixture(name="base")
def _base(base):
    return base * FACTOR


@pytest.fixture
def nobody_asks():
    return "unused here"
"""
OUTER_CONFTEST = """\
import pytest


@pytest.fixture
def base():
    return 1


@pytest.fixture(scope="session", autouse=True)
def locale():
    yield "C"


@pytest.fixture
def database(connection):
    return connection


@pytest.fixture
def connection():
    return "connected"


@pytest.fixture
def late():
    return 5


@pytest.fixture
def forgotten():
    return "unused there"
"""
FILES = {
    "tests/unit/test_tax.py": TEST_FILE,
    "tests/unit/conftest.py": INNER_CONFTEST,
    "tests/conftest.py": OUTER_CONFTEST,
    "conftest.py": "import pytest\n\n\ndef nothing_of_use(): ...\n",
}
DUE = "tests/unit/test_tax.py::TestTax::test_due"
MARKED = "tests/unit/test_tax.py::test_marked[1]"
INHERITED = "tests/unit/test_tax.py::TestTax::test_inherited"


def test_a_failing_test_comes_with_what_it_uses_and_nothing_else():
    quoted = quoted_tests(FILES, DUE)
    assert list(quoted) == ["tests/unit/test_tax.py", "tests/unit/conftest.py", "tests/conftest.py"]
    text = quoted["tests/unit/test_tax.py"]
    for used in (
        '"""What is tested."""\nimport pytest\nfrom pkg import f\n',
        "EPS = 0.5",
        "# compares within EPS\ndef close(a, b):\n    return",
        'class TestTax(Base):\n    """The tax\'s tests."""',
        "size = 3",
        "self.prepared = True",
        "self.ready = True",
        "return 2 * n",
        "assert close(f(self.twice(1)), rate)",
        "def rate(base):\n    return base * 2",
    ):
        assert used in text
    for unused in ("UNUSED", "test_other", "test_not_failing", "test_marked"):
        assert unused not in text


def test_a_fixture_that_overrides_itself_brings_the_one_above():
    quoted = quoted_tests(FILES, DUE)
    assert "def _base(base):" in quoted["tests/unit/conftest.py"]
    assert "FACTOR = 3" in quoted["tests/unit/conftest.py"]
    assert "def base():\n    return 1" in quoted["tests/conftest.py"]
    assert "def locale():" in quoted["tests/conftest.py"]  # autouse
    assert "unused" not in quoted["tests/unit/conftest.py"] + quoted["tests/conftest.py"]


def test_a_classes_own_fixture_may_override_its_modules():
    files = {
        "test_a.py": """\
            import pytest

            @pytest.fixture
            def base():
                return "of the module"

            class TestX:
                @pytest.fixture
                def base(self, base):
                    return base + "of the class"

                def test_f(self, base):
                    assert base
            """
    }
    text = quoted_tests(files, "test_a.py::TestX::test_f")["test_a.py"]
    assert "of the module" in text
    assert "of the class" in text


def test_fixtures_asked_for_by_name_in_strings_are_followed():
    quoted = quoted_tests(FILES, MARKED)
    assert '@pytest.mark.parametrize("n", [1, 2])\ndef test_marked' in quoted[DUE.split("::")[0]]
    for fixture in ("def database(", "def connection(", "def late("):
        assert fixture in quoted["tests/conftest.py"]


def test_an_inherited_test_is_found_in_its_base_class():
    text = quoted_tests(FILES, INHERITED)["tests/unit/test_tax.py"]
    assert "def test_inherited(self):" in text
    assert "class TestTax(Base):" in text
    assert "def shared(self):" in text


def test_each_file_is_quoted_once_for_all_its_tests():
    quoted = context.test_excerpts([DUE, MARKED, INHERITED], (), reader(FILES))
    assert len(quoted) == len({excerpt.path for excerpt in quoted}) == 3
    assert [excerpt.note for excerpt in quoted] == ["failing tests", *["fixtures of the tests"] * 2]


@pytest.mark.parametrize(
    "nodeid",
    ["src/pkg/mod.py::pkg.mod.f", "README.rst::README.rst", "tests/gone.py::test_f"],
    ids=["doctest", "text-doctest-of-no-file", "no-such-file"],
)
def test_what_has_no_test_file_gives_no_excerpt(nodeid):
    assert quoted_tests({"src/pkg/mod.py": "def f(): ...\n"}, nodeid) == {}


def test_a_file_that_fails_in_collection_is_quoted_from_its_start():
    files = {"test_a.py": "import pkg\n\nVALUE = pkg.f()\n\n\ndef test_f():\n    assert VALUE\n"}
    text = quoted_tests(files, "test_a.py")["test_a.py"]
    assert "VALUE = pkg.f()" in text
    assert "def test_f():" in text


def test_a_file_that_cannot_be_parsed_is_quoted_raw():
    files = {"test_a.py": "def test_f(:\n" + "    x\n" * 9000}
    (excerpt,) = context.test_excerpts(["test_a.py::test_f"], (), reader(files))
    assert excerpt.note == "it cannot be parsed"
    assert excerpt.text.startswith("def test_f(:\n")
    assert "left out" in excerpt.text
    assert len(excerpt.text) <= 8_000


def test_tests_can_be_shorter():
    files = {
        "test_a.py": """\
            import pytest

            SIZE = 3


            @pytest.mark.parametrize("n", [1, 2])
            def test_f(n):
                made = []
                for each in range(n):
                    made.append(each)
                assert f(made) == SIZE
                with pytest.raises(ValueError):
                    f(None)
                print(made)


            def test_untold():
                check(f)
            """,
        "conftest.py": "import pytest\n\n\n@pytest.fixture(autouse=True)\ndef g(): ...\n",
    }
    nodeids = ["test_a.py::test_f[1]", "test_a.py::test_untold"]
    tests, conftest = context.test_excerpts(nodeids, (), reader(files))
    alone, asserts = tests.shorter
    assert "SIZE = 3" not in alone
    assert "made.append(each)" in alone
    assert (
        '@pytest.mark.parametrize("n", [1, 2])\ndef test_f(n):\n    # … 3 lines left out\n'
        "    assert f(made) == SIZE\n    with pytest.raises(ValueError):\n        f(None)\n"
    ) in asserts
    assert "def test_untold():\n    check(f)\n" in asserts
    assert "print(made)" not in asserts
    assert conftest.shorter == ("",)


def test_of_many_tests_forty_keep_their_asserts():
    tests = [f"def test_{n}():\n    assert f() == {n}\n" for n in range(60)]
    files = {"test_a.py": "\n\n".join(tests) + "\n\ndef test_y():\n    assert wanted() == 1\n"}
    nodeids = [f"test_a.py::test_{n}" for n in [*range(60), "y"]]
    stubs = find_in_source(b"# selfheal\ndef wanted(): ...\n", "src/a.py").stubs
    (excerpt,) = context.test_excerpts(nodeids, stubs, reader(files))
    assert excerpt.shorter[-1].count("assert ") == 40
    assert "assert wanted() == 1" in excerpt.shorter[-1]


def test_an_unparsable_conftest_stops_nothing():
    files = {"test_a.py": "def test_f(x):\n    assert x\n", "conftest.py": "def broken(:\n"}
    quoted = quoted_tests(files, "test_a.py::test_f")
    assert "assert x" in quoted["test_a.py"]
    assert quoted["conftest.py"] == "def broken(:\n"


def test_a_test_made_by_a_call_brings_the_statement_that_makes_it():
    files = {"test_a.py": "class Machine: ...\n\n\nTestMachine = Machine.TestCase\n"}
    text = quoted_tests(files, "test_a.py::TestMachine::runTest")["test_a.py"]
    assert "TestMachine = Machine.TestCase" in text
    assert "class Machine" in text


def test_a_long_table_of_cases_keeps_its_ends():
    rows = "".join(f"    ({n}, 'row {n}'),\n" for n in range(500))
    files = {
        "test_a.py": f"import pytest\nCASES = [\n{rows}]\n\n\n"
        "@pytest.mark.parametrize('n, t', CASES)\ndef test_f(n, t):\n    assert n == t\n"
    }
    text = quoted_tests(files, "test_a.py::test_f[0-row 0]")["test_a.py"]
    assert "(0, 'row 0')" in text
    assert "(499, 'row 499')" in text
    assert "lines left out" in text
    assert "(250, 'row 250')" not in text


def long_test(name):
    body = "".join(f"    assert f({n}) == {n}, 'of {name}'\n" for n in range(100))
    return f"def test_{name}():\n{body}\n\n"


def test_tests_without_room_are_named_and_the_targets_own_come_first():
    tests = ["one", "two", "three", "four", "rounding", "six"]
    files = {"test_a.py": "from pkg import f\n\n\n" + "".join(map(long_test, tests))}
    stubs = find_in_source(b"# selfheal\ndef rounding(): ...\n", "src/a.py").stubs
    nodeids = [f"test_a.py::test_{name}" for name in tests]
    text = quoted_tests(files, *nodeids, stubs=stubs)["test_a.py"]
    assert "'of rounding'" in text
    assert len(text) <= 6_300
    assert "# … left out for length: test_" in text
    assert "test_six" in text.splitlines()[-1]


def test_all_excerpts_together_keep_to_their_room():
    files = {f"test_{n}.py": long_test(f"a{n}") + long_test(f"b{n}") for n in range(10)}
    nodeids = [f"test_{n}.py::test_{x}{n}" for n in range(10) for x in "ab"]
    quoted = context.test_excerpts(nodeids, (), reader(files))
    assert len(quoted) == 10
    assert sum(len(excerpt.text) for excerpt in quoted) <= 10_000 + 10 * 100
    assert all("left out" in excerpt.text for excerpt in quoted)


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=200))
def test_no_file_makes_quoting_raise(text):
    read = {"test_a.py": text.encode(), "conftest.py": text.encode()}.get
    context.test_excerpts(["test_a.py::test_f", "test_a.py"], (), read)
    context.data_excerpts(["test_a.py"], read, ["a.csv"])


@given(st.sets(st.integers(0, 30), min_size=1), st.integers(400, 3000))
def test_what_is_quoted_stands_in_the_file_line_by_line(picked, limit):
    """The renderer neither invents lines nor loses count of those that it leaves out."""
    source = "".join(f"x{n} = {n}\n" for n in range(31))
    page = context_page(source.encode())
    page.add({n + 1 for n in picked})
    shown = page.render(limit).splitlines()
    left_out = sum(int(line.split()[2]) for line in shown if line.startswith("#"))
    quoted = [line for line in shown if not line.startswith("#")]
    assert quoted == [f"x{n} = {n}" for n in sorted(picked)][: len(quoted)]
    assert left_out + len(quoted) == 31
    ast.parse("\n".join(shown))


def context_page(source):
    from pytest_selfheal.source.page import Page

    return Page(source)


# --- sample data -----------------------------------------------------------------------


def using(expression):
    return (
        "import os, pytest\nfrom pathlib import Path\nHERE = Path(__file__).parent\n\n\n"
        f"def test_f():\n    assert open({expression})\n"
    )


@pytest.mark.parametrize(
    "expression",
    [
        pytest.param("'tests/data/a.csv'", id="path"),
        pytest.param("'data/a.csv'", id="end-of-the-path"),
        pytest.param("'a.csv'", id="name"),
        pytest.param("HERE / 'data' / 'a.csv'", id="pathlib"),
        pytest.param("HERE / 'data/a.csv'", id="pathlib-joined"),
        pytest.param("HERE.joinpath('data', 'a.csv')", id="joinpath"),
        pytest.param("os.path.join('data', 'a.csv')", id="os-path-join"),
        pytest.param("'data\\\\a.csv'", id="backslashes"),
        pytest.param("HERE / f\"{'a'}.csv\"", id="f-string"),
    ],
)
def test_a_file_named_in_a_test_is_quoted(expression):
    files = {"tests/test_a.py": using(expression), "tests/data/a.csv": "1;2\n", "b.csv": "3"}
    assert data(files, "tests/test_a.py::test_f") == {"tests/data/a.csv": "1;2\n"}


def test_files_named_by_cases_constants_and_fixtures_are_quoted():
    files = {
        "test_a.py": """\
            import pytest
            DATA = "constant.txt"
            NOT_USED = "other.txt"

            @pytest.mark.parametrize("name", ["case.txt"])
            def test_f(name, made):
                assert open(DATA).read() == open(name).read() == made
            """,
        "conftest.py": """\
            import pytest

            @pytest.fixture
            def made():
                return open("fixture.txt").read()
            """,
        **dict.fromkeys(["constant.txt", "case.txt", "fixture.txt", "other.txt"], "text\n"),
    }
    assert set(data(files, "test_a.py::test_f")) == {"constant.txt", "case.txt", "fixture.txt"}


def test_of_several_files_of_a_name_the_agreeing_and_then_the_near_one_is_taken():
    files = {
        "tests/x/test_a.py": using("'a.csv'"),
        "tests/x/test_b.py": using("'y/a.csv'"),
        "tests/x/data/a.csv": "near",
        "tests/y/a.csv": "agreeing",
        "a.csv": "far",
    }
    assert data(files, "tests/x/test_a.py::test_f") == {"tests/x/data/a.csv": "near"}
    assert data(files, "tests/x/test_b.py::test_f") == {"tests/y/a.csv": "agreeing"}


def test_files_seen_open_come_first():
    files = {"test_a.py": using("'a.csv'"), "a.csv": "named", "z.csv": "opened"}
    found = data(files, "test_a.py::test_f", opened=["z.csv", "a.csv", "../b.csv", "/etc/passwd"])
    assert found == {"z.csv": "opened", "a.csv": "named"}
    assert list(found) == ["z.csv", "a.csv"]


@pytest.mark.parametrize(
    "path",
    [
        *(".env", ".env.local", "prod.env", "env", "server.pem", "tls.KEY", "id_rsa", "id_ed25519"),
        *(".netrc", ".hidden/a.csv", "credentials.json", "secrets.yaml", "store.p12", "helper.py"),
        *("data/../a.csv", "/a.csv"),
    ],
)
def test_secrets_hidden_files_and_python_are_never_quoted(path):
    files = {"test_a.py": using(repr(path)), path: "never to be shown"}
    assert data(files, "test_a.py::test_f", opened=[path]) == {}


@pytest.mark.parametrize(
    "content", [b"a\0b", b"\xff\xfe\x00", b"%PDF-1.7\n\xe2\xe3"], ids=["nul", "utf-16", "pdf"]
)
def test_what_is_no_text_is_not_quoted(content):
    files = {"test_a.py": using("'a.bin'"), "a.bin": content}
    assert data(files, "test_a.py::test_f") == {}


def test_a_long_file_keeps_head_and_tail_and_says_so():
    content = "".join(f"row {n}\n" for n in range(5_000))
    files = {"test_a.py": using("'a.csv'"), "a.csv": content}
    text = data(files, "test_a.py::test_f")["a.csv"]
    assert len(text) <= 4_000
    assert text.startswith("row 0\n")
    assert text.endswith("row 4999\n")
    assert f"of {len(content):,} characters left out" in text


def test_an_empty_file_is_said_to_be_empty():
    files = {"test_a.py": using("'a.csv'"), "a.csv": ""}
    (excerpt,) = context.data_excerpts(["test_a.py::test_f"], reader(files), files)
    assert (excerpt.text, excerpt.note) == ("", "sample data (an empty file)")


@pytest.mark.parametrize(("size", "expected"), [(10, 8), (3_900, 4)], ids=["number", "room"])
def test_files_altogether_keep_to_their_number_and_room(size, expected):
    names = [f"{n}.csv" for n in range(12)]
    files = {"test_a.py": using(repr(names)), **dict.fromkeys(names, "x" * size)}
    found = data(files, "test_a.py::test_f")
    assert len(found) == expected
    assert sum(map(len, found.values())) <= 12_000


# --- examples in text files ------------------------------------------------------------

GUIDE = """\
# Guide

A long introduction.

Lengths can be parsed:

    >>> parse("3 km")
    Length(3000)

They cannot be guessed.

>>> for one in parse("1 m"):
...     print(one)
1
"""


def test_examples_of_a_text_file_are_quoted_with_the_line_above() -> None:
    text = quoted_tests({"docs/guide.md": GUIDE}, "docs/guide.md::guide.md")["docs/guide.md"]
    assert "Lengths can be parsed:\n" in text
    assert '    >>> parse("3 km")\n    Length(3000)\n' in text
    assert (
        'They cannot be guessed.\n\n>>> for one in parse("1 m"):\n...     print(one)\n1\n' in text
    )
    assert "introduction" not in text


def test_examples_of_a_module_stand_in_it_already() -> None:
    files = {"a.py": 'def f():\n    """\n    >>> f()\n    """\n'}
    assert quoted_tests(files, "a.py::a.f") == {}


def test_a_text_file_that_may_not_be_read_is_not_quoted() -> None:
    assert quoted_tests({}, "docs/guide.md::guide.md") == {}
