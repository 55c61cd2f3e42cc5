"""Check mode: what is unhealed, and which of it no test speaks of."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from pytest_selfheal.source.find import find_in_source
from pytest_selfheal.source.naming import is_test_file, unnamed
from tests.harness import Project, code
from tests.report_schema import check_form

SOURCE = """
    # selfheal
    def total(cart): ...

    class Cart:
        # selfheal
        def __len__(self): ...

        # selfheal
        def add(self, item): ...
"""


def names_missing(source: str, **tests: str) -> list[str]:
    stubs = find_in_source(code(source).encode(), "test_own.py").stubs
    files = {f"{name}.py": code(text).encode() for name, text in tests.items()}
    return sorted(target.partition("::")[2] for target in unnamed(stubs, files))


@pytest.mark.parametrize(
    ("tests", "missing"),
    [
        pytest.param({}, ["Cart.__len__", "Cart.add", "total"], id="no-tests"),
        pytest.param({"test_a": "assert total([]) == 0"}, ["Cart.__len__", "Cart.add"], id="call"),
        pytest.param({"test_a": "Cart()"}, ["Cart.add", "total"], id="special-by-its-class"),
        pytest.param({"test_a": "c.add(1)"}, ["Cart.__len__", "total"], id="method"),
        pytest.param({"test_a": "subtotal, totals, added"}, ["Cart.__len__", "Cart.add", "total"],
                     id="other-words"),
        pytest.param({"test_a": "getattr(m, 'total')", "test_b": "Cart().add"}, [], id="two-files"),
    ],
)  # fmt: skip
def test_what_no_test_names(tests: dict[str, str], missing: list[str]) -> None:
    assert names_missing(SOURCE, **tests) == missing


def test_a_stub_in_a_test_file_does_not_name_itself() -> None:
    own = code("# selfheal\ndef helper(): ...\n")
    assert names_missing(own, test_own=own) == ["helper"]
    assert names_missing(own, test_own=own + "\ndef test_it():\n    helper()\n") == []
    assert names_missing(own, test_own=own, test_other="helper()") == []


@pytest.mark.parametrize(
    ("path", "patterns", "expected"),
    [
        ("tests/test_a.py", ["test_*.py"], True),
        ("tests/a.py", ["test_*.py", "*_test.py"], False),
        ("deep/conftest.py", ["test_*.py"], True),
        ("a/checks/b.py", ["checks/*.py"], True),
        ("checks/b.py", ["checks/*.py"], True),
        ("a_spec.py", ["*_spec.py"], True),
    ],
)
def test_where_tests_are(path: str, patterns: list[str], expected: bool) -> None:
    assert is_test_file(path, patterns) is expected


FILES = {
    "calc.py": """
        # selfheal
        def add(a, b): ...


        # selfheal
        def lonely(a): ...
    """,
    "test_calc.py": """
        from pathlib import Path

        import calc


        def test_add():
            Path("was_run").touch()
            assert calc.add(1, 2) == 3
    """,
}
NO_DOCKER = {"DOCKER_HOST": "unix:///nonexistent/docker.sock"}


@pytest.mark.parametrize(
    "more",
    [("--co", "-q"), ("--co", "-qq"), ("--co", "-p", "no:terminal"), ("-n2",), ()],
    ids=str,
)
def test_it_lists_what_is_unhealed_and_what_no_test_names(
    tmp_path: Path, more: tuple[str, ...]
) -> None:
    project = Project(tmp_path / "project", FILES)
    run = project.heal("--selfheal-mode=check", *more, env=NO_DOCKER)
    assert run.status == 1, run.output
    assert {target: stub["reason"] for target, stub in run.stubs.items()} == {
        "calc.py::add": "marked, not written yet",
        "calc.py::lonely": "marked, not written yet; no test names it",
    }
    # It is what was asked for, so it is said with less than pytest's usual words as well.
    lonely = "unhealed  calc.py::lonely\n          marked, not written yet; no test names it\n"
    assert (lonely in run.output) == ("-qq" not in more)
    assert "selfheal check: 2 unhealed" in run.output
    # Nothing is run where only collecting was asked for.
    assert ("was_run" in run.changed) == ("-n2" in more or not more)


def test_it_is_green_on_a_written_project(tmp_path: Path) -> None:
    files = {"calc.py": "def add(a, b): return a + b\n", "test_calc.py": FILES["test_calc.py"]}
    run = Project(tmp_path / "project", files).heal("--selfheal-mode=check", "--collect-only")
    assert run.status == 0, run.output
    assert "nothing to heal" in run.output
    assert run.stubs == {}


def test_a_property_and_its_setter_are_told_apart(tmp_path: Path) -> None:
    source = """
        class Box:
            # selfheal
            @property
            def size(self): ...

            # selfheal
            @size.setter
            def size(self, value): ...
    """
    project = Project(tmp_path / "project", {"box.py": source, "test_box.py": "# size\n"})
    run = project.heal("--selfheal-mode=check", "--co", "-q")
    assert [line.strip() for line in run.output.splitlines() if "marked" in line] == [
        "marked on line 4, not written yet",
        "marked on line 8, not written yet",
    ]


def test_collecting_alone_heals_nothing(tmp_path: Path) -> None:
    run = Project(tmp_path / "project", FILES).heal("--collect-only", env=NO_DOCKER)
    assert (run.status, run.report, run.changed) == (0, None, {}), run.output


def test_a_large_project() -> None:
    """Three hundred test files with a word of each of three hundred stubs, one left out."""
    stubs = "".join(f"# selfheal\ndef f{n}(): ...\n" for n in range(301))
    lines = "".join(f"    assert m.f{n}() == {n}\n" for n in range(300))
    tests = {f"test_{n}.py": f"def test():\n{lines}" for n in range(300)}
    found = find_in_source(stubs.encode(), "m.py").stubs
    files = {path: text.encode() for path, text in tests.items()}
    assert unnamed(found, files) == {"m.py::f300"}


def test_reports_are_what_their_names_say_in_any_case(tmp_path: Path) -> None:
    files = {"m.py": "# selfheal\ndef f(): ...\n", "test_m.py": "def test_a(): assert True\n"}
    project = Project(tmp_path / "project", files | {"taken": ""})
    run = project.heal(
        "--selfheal-mode=check", "--selfheal-report=A.JSON", "--selfheal-report=taken/b.html"
    )
    check_form(json.loads(run.text("A.JSON")))
    line = r"^selfheal: the HTML report cannot be written to '.*b\.html': .*; choose another path$"
    assert re.search(line, run.output, re.MULTILINE), run.output
    assert run.status == 1
