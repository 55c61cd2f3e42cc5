"""What is found marked, what is warned of, and which files are searched."""

from __future__ import annotations

import os
import sys
import types

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_selfheal.records import MarkerOptions
from pytest_selfheal.source.find import (
    find_in_project,
    find_in_source,
    locate,
    project_files,
)

IMPORT = "from pytest_selfheal import heal\n"


def found(source, path="src/a.py"):
    return find_in_source(source.encode() if isinstance(source, str) else source, path)


def names(source):
    return [stub.qualname for stub in found(source).stubs]


def messages(source):
    return [(warning.line, warning.message) for warning in found(source).warnings]


# --- the decorator ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("imports", "decorator"),
    [
        pytest.param("from pytest_selfheal import heal", "@heal", id="name"),
        pytest.param("from pytest_selfheal import heal", "@heal()", id="called"),
        pytest.param("from pytest_selfheal import heal as h", "@h", id="renamed"),
        pytest.param("from pytest_selfheal.marker import heal", "@heal", id="from-marker"),
        pytest.param("from pytest_selfheal import *", "@heal", id="star"),
        pytest.param("import pytest_selfheal", "@pytest_selfheal.heal", id="module"),
        pytest.param("import pytest_selfheal as p", "@p.heal(keep=True)", id="module-renamed"),
        pytest.param("import pytest_selfheal.marker", "@pytest_selfheal.heal", id="submodule"),
        pytest.param(
            "if TYPE_CHECKING:\n    from pytest_selfheal import heal", "@heal", id="in-if"
        ),
        pytest.param(
            "try:\n    from pytest_selfheal import heal\nexcept ImportError: heal = None",
            "@heal",
            id="in-try",
        ),
        pytest.param("from pytest_selfheal import heal", "@other\n@heal", id="inner"),
        pytest.param("from pytest_selfheal import heal", "@heal\n@other(1)", id="outermost"),
    ],
)
def test_heal_is_recognised_through_the_imports(imports, decorator):
    source = f"{imports}\n{decorator}\ndef f(): ...\n"
    (stub,) = found(source).stubs
    assert (stub.qualname, stub.marker, stub.target) == ("f", "decorator", "src/a.py::f")
    assert found(source).warnings == ()


@pytest.mark.parametrize(
    "source",
    [
        pytest.param("from clinic import heal  # selfheal\n@heal\ndef f(): ...", id="another"),
        pytest.param(IMPORT + "def f(): ...", id="unmarked"),
        pytest.param(IMPORT + "@heal.other\ndef f(): ...", id="attribute-of-it"),
        pytest.param("'''selfheal'''\n@heal\ndef f(): ...", id="never-imported"),
        pytest.param("", id="empty"),
        pytest.param("def f(: nobody says the word", id="not-searched"),
    ],
)
def test_other_decorators_mark_nothing(source):
    assert found(source).stubs == ()
    assert found(source).warnings == ()


@pytest.mark.parametrize(
    ("arguments", "options"),
    [
        pytest.param("", MarkerOptions(), id="none"),
        pytest.param("attempts=8", MarkerOptions(attempts=8), id="attempts"),
        pytest.param("hint='a' 'b'", MarkerOptions(hint="ab"), id="joined-hint"),
        pytest.param("keep=True, hint=None", MarkerOptions(keep=True), id="keep"),
        pytest.param(
            "hint='h', attempts=2, keep=True",
            MarkerOptions(hint="h", attempts=2, keep=True),
            id="all",
        ),
    ],
)
def test_the_decorators_options_are_read(arguments, options):
    source = f"{IMPORT}@heal({arguments})\ndef f(): ...\n"
    assert found(source).stubs[0].options == options
    assert found(source).warnings == ()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param("attempts=n", "attempts=n in @heal is no literal", id="name"),
        pytest.param("hint=f'{x}'", "is no literal, so the default is used", id="f-string"),
        pytest.param("attempts=0", "attempts=0 is no number from 1 up", id="zero"),
        pytest.param("attempts=True", "attempts=True is no number", id="bool"),
        pytest.param("hint=3", "hint=3 is no string", id="hint"),
        pytest.param("keep='no'", "keep='no' is neither True nor False", id="keep"),
        pytest.param("tries=3", "'tries' is no option of a marker: known are hint", id="unknown"),
        pytest.param("'text'", "is given .* without a name", id="positional"),
        pytest.param("**options", "hides its options", id="unpacked"),
    ],
)
def test_options_that_cannot_be_read_warn_and_leave_the_default(arguments, message):
    source = f"{IMPORT}@heal({arguments})\ndef f(): ...\n"
    assert found(source).stubs[0].options == MarkerOptions()
    ((line, told),) = messages(source)
    assert line == 2
    assert_matches(told, message)


def assert_matches(told, message):
    with pytest.raises(ValueError, match=message):
        raise ValueError(told)
    assert "\n" not in told


# --- the comment -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("comment", "options"),
    [
        pytest.param("# selfheal", MarkerOptions(), id="bare"),
        pytest.param("#selfheal", MarkerOptions(), id="tight"),
        pytest.param("#  selfheal :  ", MarkerOptions(), id="colon"),
        pytest.param("# selfheal: attempts=8", MarkerOptions(attempts=8), id="attempts"),
        pytest.param("# selfheal: keep", MarkerOptions(keep=True), id="keep"),
        pytest.param("# selfheal: keep=true", MarkerOptions(keep=True), id="keep-true"),
        pytest.param("# selfheal: keep=False", MarkerOptions(), id="keep-false"),
        pytest.param(
            '# selfheal: hint="a, b=c: \\"d\\"", keep',
            MarkerOptions(hint='a, b=c: "d"', keep=True),
            id="hint-with-everything",
        ),
        pytest.param("# selfheal: hint='é'", MarkerOptions(hint="é"), id="accent"),
    ],
)
def test_the_comments_options_are_read(comment, options):
    source = f"import a\n\n{comment}\ndef f(): ...\n"
    (stub,) = found(source).stubs
    assert (stub.marker, stub.options) == ("comment", options)
    assert found(source).warnings == ()


@pytest.mark.parametrize(
    ("comment", "message"),
    [
        pytest.param("# selfheal: tries=8", "'tries' is no option of a marker", id="unknown"),
        pytest.param("# selfheal: please", "'please' is no option of a marker", id="word"),
        pytest.param("# selfheal: attempts", "'attempts' .* has no value", id="no-value"),
        pytest.param("# selfheal: attempts=many", "attempts='many' is no number", id="word-value"),
        pytest.param("# selfheal: attempts=-1", "attempts=-1 is no number", id="negative"),
        pytest.param("# selfheal: hint=round up", "cannot be read|is no string", id="unquoted"),
        pytest.param("# selfheal: hint=up", "hint=up is no string", id="unquoted-word"),
        pytest.param("# selfheal: keep=3", "keep=3 is neither", id="keep"),
        pytest.param("# selfheal: ???", "'\\?\\?\\?' .* cannot be read", id="noise"),
    ],
)
def test_comment_options_that_cannot_be_read_warn_and_still_mark(comment, message):
    source = f"{comment}\ndef f(): ...\n"
    assert found(source).stubs[0].options == MarkerOptions()
    assert_matches(messages(source)[0][1], message)


@pytest.mark.parametrize(
    "source",
    [
        pytest.param('X = """\n# selfheal\ndef f(): ...\n"""\n', id="in-a-string"),
        pytest.param('def g():\n    """\n    # selfheal\n    """\n    return 1\n', id="docstring"),
        pytest.param("X = f'''\n# selfheal\n{1}'''\n", id="in-an-f-string"),
        pytest.param("@deco('''\n# selfheal\n''')\ndef f(): ...\n", id="in-a-decorator"),
        pytest.param("# selfheal is a tool\ndef f(): ...\n", id="prose"),
        pytest.param("# see selfheal\ndef f(): ...\n", id="mention"),
        pytest.param("#: selfheal\ndef f(): ...\n", id="attribute-doc"),
    ],
)
def test_what_only_looks_like_a_marking_comment_is_none(source):
    assert found(source).stubs == ()
    assert found(source).warnings == ()


@pytest.mark.parametrize(
    ("source", "line"),
    [
        pytest.param("# selfheal\n\ndef f(): ...\n", 1, id="blank-line-between"),
        pytest.param("# selfheal\n# more\ndef f(): ...\n", 1, id="comment-between"),
        pytest.param("@deco\n# selfheal\ndef f(): ...\n", 2, id="below-a-decorator"),
        pytest.param("x = 1\n# selfheal", 2, id="at-the-end"),
        pytest.param("# selfheal\nx = 1\n", 1, id="above-a-value"),
        pytest.param("x = [\n    # selfheal\n    1]\n", 2, id="in-brackets"),
        pytest.param("x = ('a'\n# selfheal\n)\n", 2, id="after-a-string"),
    ],
)
def test_a_comment_above_no_definition_warns(source, line):
    assert found(source).stubs == ()
    ((where, told),) = messages(source)
    assert where == line
    assert_matches(told, "stands above no definition: put it directly above")


def test_a_comment_may_stand_at_any_indentation():
    assert names("class A:\n# selfheal\n    def f(self): ...\n") == ["A.f"]
    assert names("class A:\n            # selfheal\n    def f(self): ...\n") == ["A.f"]


def test_a_comment_stands_above_the_first_decorator():
    (stub,) = found("# selfheal\n@one(\n    1,\n)\n@two\nasync def f():\n    pass\n").stubs
    assert (stub.first_line, stub.def_line, stub.end_line, stub.is_async) == (2, 6, 7, True)


def test_a_comment_at_a_lines_end_marks_nothing_and_warns():
    source = "def f(): ...  # selfheal\ndef g(): return '# selfheal'\n"
    assert names(source) == []
    ((line, told),) = messages(source)
    assert line == 1
    assert_matches(told, "at the end of a line marks nothing: put it on a line of its own")


def test_both_marks_together_join_their_options():
    source = f"{IMPORT}# selfheal: attempts=2, keep\n@heal(attempts=3)\ndef f(): ...\n"
    (stub,) = found(source).stubs
    assert (stub.marker, stub.options) == ("decorator", MarkerOptions(attempts=3, keep=True))


# --- what kind of definition -----------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "is_living"),
    [
        pytest.param("...", False, id="ellipsis"),
        pytest.param('"""Doc."""\n    raise NotImplementedError("x") from None', False, id="raise"),
        pytest.param("return None", True, id="return-none"),
        pytest.param("return NotImplemented", True, id="not-implemented"),
        pytest.param("yield", True, id="generator"),
    ],
)
def test_a_marked_definition_with_a_real_body_is_living(body, is_living):
    assert found(f"# selfheal\ndef f():\n    {body}\n").stubs[0].is_living is is_living


CLASS = f"""\
import abc, typing
{IMPORT}
@heal(attempts=7, hint="of the class")
class Tax:
    rate = 1

    def stub(self): ...

    def living(self):
        return 1

    @heal
    def living_but_marked(self):
        return 1

    # selfheal: attempts=2
    def own(self): ...

    @property
    def p(self): ...

    @p.setter
    def p(self, value): ...

    @typing.overload
    def over(self): ...

    @abc.abstractmethod
    def abstract(self): ...

    class Inner:
        @staticmethod
        def deep(): ...

    @heal(hint="inner")
    class Marked:
        def deeper(self): ...

    if typing.TYPE_CHECKING:
        def conditional(self): ...
    else:
        def conditional(self): ...

    def holder(self):
        def local(): ...
        return local

def outside(): ...
"""


def test_a_marked_class_stands_for_its_stub_methods():
    stubs = found(CLASS).stubs
    assert [(stub.qualname, stub.index, stub.marker) for stub in stubs] == [
        ("Tax.stub", 0, "class"),
        ("Tax.living_but_marked", 0, "decorator"),
        ("Tax.own", 0, "comment"),
        ("Tax.p", 0, "class"),
        ("Tax.p", 1, "class"),
        ("Tax.Inner.deep", 0, "class"),
        ("Tax.Marked.deeper", 0, "class"),
        ("Tax.conditional", 0, "class"),
        ("Tax.conditional", 1, "class"),
    ]
    assert found(CLASS).warnings == ()


def test_a_methods_own_options_win_over_its_classes():
    options = {(stub.qualname, stub.index): stub.options for stub in found(CLASS).stubs}
    assert options["Tax.stub", 0] == MarkerOptions(attempts=7, hint="of the class")
    assert options["Tax.own", 0] == MarkerOptions(attempts=2, hint="of the class")
    assert options["Tax.Marked.deeper", 0] == MarkerOptions(attempts=7, hint="inner")


def test_definitions_under_statements_are_found_and_counted():
    source = """\
try:
    # selfheal
    def f(): ...
except ImportError:
    def f(): return 1
else:
    # selfheal
    def f(): ...
finally:
    with a:
        for b in c:
            # selfheal
            def g(): ...
match a:
    case 1:
        while b:
            # selfheal
            def h(): ...
        else:
            # selfheal
            class K:
                def m(self): ...
"""
    assert [(stub.qualname, stub.index) for stub in found(source).stubs] == [
        ("f", 0),
        ("f", 2),
        ("g", 0),
        ("h", 0),
        ("K.m", 0),
    ]


@pytest.mark.parametrize(
    ("definition", "message"),
    [
        pytest.param(
            "def f():\n    # selfheal\n    def g(): ...", "'f.g' .* inside a function", id="local"
        ),
        pytest.param(
            "def f():\n    @heal\n    class K:\n        def m(self): ...",
            "'f.K' .* inside a function",
            id="local-class",
        ),
        pytest.param("@heal\n@t.overload\ndef f(): ...", "'f' .* @overload", id="overload"),
        pytest.param("@heal\n@over\ndef f(): ...", "'f' .* @overload", id="overload-renamed"),
        pytest.param(
            "class K:\n    # selfheal\n    @abc.abstractmethod\n    def m(self): ...",
            "'K.m' .* it is abstract",
            id="abstract",
        ),
        pytest.param(
            "@heal\nclass P(t.Protocol[int]):\n    def m(self): ...", "'P' .* stay empty", id="P"
        ),
        pytest.param(
            "class P(t.Protocol):\n    # selfheal\n    def m(self): ...",
            "'P.m' .* Protocol",
            id="protocol-method",
        ),
        pytest.param("# selfheal\nf = lambda: 0", "a lambda cannot be healed", id="lambda"),
        pytest.param(
            "f = heal(lambda: 0)", "lambda ?: 0.* cannot be healed", id="called-on-lambda"
        ),
        pytest.param("f = heal" + "(g)" * 80, "'heal\\(g\\).*…' cannot be healed", id="chain"),
        pytest.param("f = heal(hint='x')(g)", "cannot be healed: write a def", id="called-later"),
    ],
)
def test_what_cannot_be_healed_warns_and_is_no_stub(definition, message):
    imports = "import abc, typing as t\nfrom typing import overload as over\n"
    source = f"{IMPORT}{imports}{definition}\n"
    assert names(source) == []
    ((_, told),) = messages(source)
    assert_matches(told, message)


# --- files as they come ----------------------------------------------------------------

VARIANTS = {
    "crlf": b"# selfheal\r\ndef f():\r\n    ...\r\n",
    "lone-cr": b"# selfheal\rdef f():\r    ...\r",
    "form-feed": b"\x0c# selfheal\ndef f():\n    ...\n",
    "bom": b"\xef\xbb\xbf# selfheal\ndef f():\n    ...\n",
    "latin-1": "# -*- coding: latin-1 -*-\nX = 'é'\n# selfheal\ndef f(): ...\n".encode("latin-1"),
    "tabs": b"if 1:\n\t# selfheal\n\tdef f():\n\t\t...\n",
    "no-final-newline": b"# selfheal\ndef f(): ...",
    "unicode-line-separators": "X = '\u2028\x85'\n# selfheal\ndef f(): ...\n".encode(),
    "invalid-escape": b"X = '\\d'\n# selfheal\ndef f(): ...\n",
    "continued-line": b"x = 1 + \\\n  2\n# selfheal\ndef f(): ...\n",
}


@pytest.mark.parametrize("source", VARIANTS.values(), ids=VARIANTS.keys())
def test_files_of_every_make_are_searched(source):
    (stub,) = found(source).stubs
    lines = source.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
    assert b"def f" in lines[stub.first_line - 1]
    assert found(source).warnings == ()


def test_a_hint_is_read_in_the_files_own_encoding():
    source = "# coding: latin-1\n# selfheal: hint='é'\ndef f(): ...\n".encode("latin-1")
    assert found(source).stubs[0].options.hint == "é"


@pytest.mark.skipif(sys.version_info < (3, 12), reason="the syntax came with 3.12")
def test_new_syntax_is_read_by_a_python_that_knows_it():
    source = "# selfheal\ndef f[T](x: T) -> T: ...\ntype A = int\nX = f'{'a' + \"b\"}'\n"
    assert names(source) == ["f"]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        pytest.param(b"# selfheal\ndef f(:\n", r"Python 3\.\d+ cannot parse it", id="syntax"),
        pytest.param(b"# selfheal\n\n\ndef f(x x): ...\n", "cannot parse it", id="later"),
        pytest.param(b"# selfheal\nX = '\xff'\n", "cannot parse it .*decode", id="not-utf-8"),
        pytest.param(b"# coding: klingon\n# selfheal\n", "encoding", id="unknown-encoding"),
        pytest.param(b"# selfheal\nx = '\0'\n", "null byte", id="null-byte"),
        pytest.param(b"# selfheal\nx = " + b"(" * 5000, "cannot parse it|too deeply", id="parens"),
        pytest.param(b"# selfheal\nx = " + b"-" * 50_000 + b"1", "deep|parse", id="deep"),
    ],
)
def test_a_file_that_cannot_be_parsed_warns(source, message):
    result = find_in_source(source, "src/bad.py")
    assert result.stubs == ()
    (warning,) = result.warnings
    assert warning.path == "src/bad.py"
    assert warning.line >= 1
    assert_matches(warning.message, message)
    assert_matches(warning.message, "correct it or use another Python")


def test_a_long_elif_chain_is_walked():
    chain = "if a:\n    pass\n" + "".join(f"elif a == {n}:\n    pass\n" for n in range(300))
    assert names(chain + "else:\n    # selfheal\n    def f(): ...\n") == ["f"]


def test_a_long_file_with_many_marks_is_searched_whole():
    source = IMPORT + "".join(f"# selfheal\ndef f{n}(x):\n    return {n}\n\n" for n in range(5000))
    stubs = found(source).stubs
    assert len(stubs) == 5000
    assert (stubs[-1].qualname, stubs[-1].first_line) == ("f4999", 19_999)


# --- lines agree with the interpreter --------------------------------------------------

DEFINITIONS = st.lists(
    st.tuples(
        st.sampled_from(["f", "g", "h"]),
        st.sampled_from(["", "@deco\n", "@deco\n@deco\n", "@(\n  deco)\n"]),
        st.sampled_from(["", "# selfheal\n", "@heal\n", "@heal(attempts=3)\n"]),
        st.sampled_from(["...", "'''Doc\n\n# selfheal\n'''", "return 1", "x = 1; return x"]),
        st.sampled_from(["def", "async def"]),
        st.sampled_from(["", "if True:\n", "class A:\n", "try:\n"]),
        st.sampled_from(["", "\n", "# note\n", "X = '''\n# selfheal\n'''\n"]),
    ),
    max_size=8,
)


def written(parts):
    """Write a module, and say which of its definitions are marked, in order."""
    source = IMPORT + "deco = lambda f: f\n"
    marked = []
    for name, decorators, mark, body, keyword, block, before in parts:
        text = mark + decorators if mark.startswith("#") else decorators + mark
        text += f"{keyword} {name}(self=0):\n  {body}\n"
        if block:
            text = block + "".join(f"  {line}\n" for line in text.splitlines())
        if block == "try:\n":
            text += "finally:\n  pass\n"
        source += before + text
        if mark:
            qualname = f"A.{name}" if block == "class A:\n" else name
            attempts = 3 if "attempts" in mark else None
            marked.append((qualname, attempts, "return" in body, keyword != "def"))
    return source, marked


@given(DEFINITIONS)
def test_marks_put_anywhere_are_found_with_the_lines_of_their_code(parts):
    source, marked = written(parts)
    stubs = found(source).stubs
    assert [
        (stub.qualname, stub.options.attempts, stub.is_living, stub.is_async) for stub in stubs
    ] == marked
    assert found(source).warnings == ()
    first_lines = {code.co_firstlineno for code in codes(compile(source, "a.py", "exec"))}
    for stub in stubs:
        assert stub.first_line in first_lines
        assert locate(source.encode(), stub.qualname, stub.index) == stub.first_line
        assert stub.first_line <= stub.def_line <= stub.end_line


def codes(code):
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield constant
            yield from codes(constant)


@given(st.binary())
def test_no_bytes_make_the_search_raise(content):
    find_in_source(b"# selfheal\n" + content, "a.py")


def test_locate_follows_a_definition_through_a_changed_source():
    source = b"import a\n\n@a\ndef f(): ...\nclass f: ...\ndef f(): ...\n"
    assert locate(source, "f", 0) == 3
    assert locate(source, "f", 1) == 6
    assert locate(source, "f", 2) is None
    assert locate(source, "g", 0) is None
    assert locate(b"def f(:", "f", 0) is None


# --- a whole project -------------------------------------------------------------------


def write(root, *paths):
    for path in paths:
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("# selfheal\ndef f(): ...\n")


@pytest.mark.parametrize(
    "path",
    [
        *(".git/hook.py", ".hidden/a.py", "venv/lib/a.py", "conda/a.py", "node_modules/x/a.py"),
        *("src/__pycache__/a.py", "lib/site-packages/a.py", "build/lib/a.py", "dist/a.py"),
        *("notes.txt", "stub.pyi"),
    ],
)
def test_foreign_files_are_left_out(tmp_path, path):
    write(tmp_path, "own.py", path)
    (tmp_path / "venv").mkdir(exist_ok=True)
    (tmp_path / "venv" / "pyvenv.cfg").write_text("")
    (tmp_path / "conda" / "conda-meta").mkdir(parents=True)
    assert list(project_files(tmp_path)) == ["own.py"]


def test_files_of_every_kind_are_given_where_asked_for(tmp_path):
    write(tmp_path, "a.py", "data/a.csv", "LICENSE", ".env", ".git/config", "venv/x.txt")
    (tmp_path / "venv" / "pyvenv.cfg").write_text("")
    assert list(project_files(tmp_path, every_kind=True)) == ["LICENSE", "a.py", "data/a.csv"]


def test_build_counts_where_it_is_a_package(tmp_path):
    write(tmp_path, "build/__init__.py", "build/a.py")
    assert list(project_files(tmp_path)) == ["build/__init__.py", "build/a.py"]


def test_files_come_sorted_with_folders_last(tmp_path):
    write(tmp_path, "b/z.py", "b/a/c.py", "z.py", "a.py")
    assert list(project_files(tmp_path)) == ["a.py", "z.py", "b/z.py", "b/a/c.py"]


def test_a_hidden_root_is_searched_all_the_same(tmp_path):
    write(tmp_path, ".work/a.py")
    assert list(project_files(tmp_path / ".work")) == ["a.py"]


def test_links_lead_nowhere_outside(tmp_path):
    root = tmp_path / "root"
    write(root, "pkg/a.py")
    write(tmp_path, "outside/b.py", "root-beside/c.py")
    try:
        (root / "linked").symlink_to(root / "pkg", target_is_directory=True)
        (root / "out.py").symlink_to(tmp_path / "outside" / "b.py")
        (root / "beside.py").symlink_to(tmp_path / "root-beside" / "c.py")
        (root / "broken.py").symlink_to(root / "nowhere.py")
        (root / "circle.py").symlink_to(root / "circle.py")
        (root / "within.py").symlink_to(root / "pkg" / "a.py")
    except OSError:
        pytest.skip("no links can be made here")
    assert list(project_files(root)) == ["pkg/a.py"]


def test_a_link_counts_where_its_file_does_not(tmp_path):
    write(tmp_path, "made", ".hidden/b.py", "build/c.py", "own/d.py")
    for link, file in [
        ("a", "made"),
        ("b", ".hidden/b.py"),
        ("c", "build/c.py"),
        ("d", "own/d.py"),
    ]:
        (tmp_path / f"{link}.py").symlink_to(tmp_path / file)
    assert list(project_files(tmp_path)) == ["a.py", "b.py", "c.py", "own/d.py"]


def test_odd_entries_are_passed_over(tmp_path):
    write(tmp_path, "a.py")
    (tmp_path / "folder.py").mkdir()
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe.py")
    assert list(project_files(tmp_path)) == ["a.py"]


def test_one_bad_file_stops_nothing(tmp_path, monkeypatch):
    write(tmp_path, "a.py", "c.py", "pkg/d.py")
    (tmp_path / "b.py").write_bytes(b"# selfheal\ndef f(:\n")
    (tmp_path / "gone.py").write_text("")
    read = type(tmp_path).read_bytes

    def read_bytes(path):
        if path.name == "gone.py":
            raise PermissionError(13, "Permission denied")
        return read(path)

    monkeypatch.setattr(type(tmp_path), "read_bytes", read_bytes)
    result = find_in_project(tmp_path)
    assert [stub.target for stub in result.stubs] == ["a.py::f", "c.py::f", "pkg/d.py::f"]
    assert [warning.path for warning in result.warnings] == ["b.py", "gone.py"]
    assert_matches(result.warnings[1].message, r"cannot be read \(Permission denied\)")
