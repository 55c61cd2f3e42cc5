"""Which libraries are tried, at which versions, and how each runs its own tests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Library:
    """A source distribution of the package index with its own tests in it."""

    name: str
    version: str
    sources: tuple[str, ...]
    """Glob patterns of the files whose functions are stubbed, below the project."""
    not_sources: tuple[str, ...] = ()
    """Patterns of files among them that are left as they are."""
    tests: tuple[str, ...] = ()
    """What pytest is given; empty for what the project's own settings select."""
    options: tuple[str, ...] = ()
    """More of pytest's command line."""
    requires: tuple[str, ...] = ()
    """What its tests need beside it: all of it, since nothing that these need is added."""
    left_alone: Mapping[str, str] = field(default_factory=dict)
    """Targets that are not stubbed although they are reached, each with the reason."""
    style: str = ""
    """What is particular about it, in a few words."""
    tests_from_python: str | None = None
    """A folder of Python's own tests, where the distribution comes without any."""

    @property
    def requirement(self) -> str:
        """The distribution as pip is asked for it."""
        return f"{self.name}=={self.version}"


_SRC = ("-o", "pythonpath=src")
_HERE = ("-o", "pythonpath=.")

CATALOG = (
    Library(
        name="toolz",
        version="1.2.0",
        sources=("toolz/**/*.py",),
        not_sources=("toolz/tests/*", "toolz/sandbox/tests/*", "toolz/_version.py"),
        tests=("toolz",),
        options=_HERE,
        style="functional; tests inside the package; doctests",
    ),
    Library(
        name="more-itertools",
        version="11.2.1",
        sources=("more_itertools/*.py",),
        tests=("tests", "more_itertools"),
        # An example that means to fail: it stands in a test's helper, not in the library.
        options=(
            *_HERE,
            "--doctest-modules",
            "--deselect=tests/test_more.py::tests.test_more.IterOnlyRange",
        ),
        style="generators and classes; unittest; doctests",
    ),
    Library(
        name="inflection",
        version="0.5.1",
        sources=("inflection/*.py",),
        tests=("test_inflection.py",),
        options=_HERE,
        style="regular expressions; one test module at the root",
    ),
    Library(
        name="tomli",
        version="2.5.0",
        sources=("src/tomli/*.py",),
        # Of Python's own copy: it names its module another way.
        options=(*_SRC, "--deselect=test_tomllib/test_error.py::TestError::test_module_name"),
        tests=("test_tomllib",),
        tests_from_python="test_tomllib",
        style="a parser: every function hides others; unittest with subtests and data files",
    ),
    Library(
        name="cachetools",
        version="8.0.2",
        sources=("src/cachetools/*.py",),
        tests=("tests",),
        options=_SRC,
        style="src layout; classes, properties, threads; unittest with mixins",
    ),
    Library(
        name="simpleeval",
        version="1.0.8",
        sources=("simpleeval.py",),
        tests=("tests",),
        options=_HERE,
        style="a single module; an interpreter over `ast`; unittest",
    ),
    Library(
        name="sortedcontainers",
        version="2.4.0",
        sources=("sortedcontainers/*.py",),
        tests=("sortedcontainers",),
        options=(*_HERE, "--doctest-modules"),
        style="containers; doctests alone; dunder methods, properties, aliases of methods",
    ),
    Library(
        name="boltons",
        version="26.2.0",
        sources=("boltons/*.py",),
        tests=("tests", "boltons"),
        options=(*_HERE, "--doctest-modules"),
        left_alone={
            "boltons/funcutils.py::copy_function": "it reads a function's `__globals__`, which "
            "no reply may: a test's own are among them"
        },
        style="many independent modules; flat layout; doctests",
    ),
    Library(
        name="tabulate",
        version="0.10.0",
        sources=("tabulate/*.py",),
        not_sources=("tabulate/version.py",),
        tests=("test",),
        options=_HERE,
        style="few long functions over large tables; its command line run as a subprocess",
    ),
    Library(
        name="python-slugify",
        version="9.2.0",
        sources=("slugify/*.py",),
        tests=("tests",),
        options=_HERE,
        requires=("text-unidecode",),
        style="keyword-only parameters; unittest; `python -m`",
    ),
    Library(
        name="humanize",
        version="4.17.0",
        sources=("src/humanize/*.py",),
        not_sources=("src/humanize/_version.py",),
        options=(*_SRC, "--ignore=tests/test_benchmarks.py"),
        requires=("freezegun", "python-dateutil", "six"),
        style="src layout; parametrized tests; doctests by its own settings",
    ),
    Library(
        name="xmltodict",
        version="1.0.4",
        sources=("xmltodict.py",),
        tests=("tests",),
        options=_HERE,
        style="a single module; callbacks of a parser in C",
    ),
    Library(
        name="parse",
        version="1.22.4",
        sources=("parse/*.py",),
        tests=("tests",),
        options=(*_HERE, "-o", "addopts="),
        style="a single package; regular expressions built at run time",
    ),
    Library(
        name="semver",
        version="3.1.2",
        sources=("src/semver/*.py",),
        tests=("tests",),
        options=(*_SRC, "-o", "addopts="),
        left_alone={
            "src/semver/_deprecated.py::deprecated": "it reads its caller's frame, which no "
            "reply may: the expected values stand in the frames of tests"
        },
        style="a class with comparisons, decorators and class methods; a conftest of fixtures",
    ),
    Library(
        name="async-lru",
        version="2.4.0",
        sources=("async_lru/*.py",),
        tests=("tests",),
        options=(
            *_HERE,
            *("-o", "addopts="),
            *("-o", "asyncio_default_fixture_loop_scope=function"),
        ),
        requires=("pytest-asyncio", "pytest-timeout"),
        style="coroutines and descriptors; pytest-asyncio; warnings are errors",
    ),
    Library(
        name="anytree",
        version="2.13.0",
        sources=("src/anytree/**/*.py",),
        tests=("tests",),
        options=(*_SRC, "-o", "addopts="),
        requires=("test2ref", "binaryornot", "chardet"),
        style="src layout; mixins, properties with setters and deleters; iterators",
    ),
    Library(
        name="voluptuous",
        version="0.16.0",
        sources=("voluptuous/*.py",),
        options=_HERE,
        style="decorators of classes and functions; settings that name the test files",
    ),
    Library(
        name="sqlparse",
        version="0.6.1",
        sources=("sqlparse/**/*.py",),
        tests=("tests",),
        options=_HERE,
        style="a lexer, a grammar and filters; metaclasses; a command line",
    ),
    Library(
        name="pyrsistent",
        version="0.20.0",
        sources=("pyrsistent/*.py",),
        tests=("tests",),
        options=(*_HERE, "--doctest-modules", "--ignore=tests/memory_profiling.py"),
        requires=("hypothesis", "sortedcontainers"),
        style="immutable collections; metaclasses and `__new__`; Hypothesis",
    ),
)
"""In the order in which the table has them."""


def named(names: list[str]) -> list[Library]:
    """Give the libraries of these names, all where none is named.

    Raises:
        KeyError: There is none of that name.
    """
    known = {library.name: library for library in CATALOG}
    return [known[name] for name in names] if names else list(CATALOG)
