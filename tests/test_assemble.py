"""Which options of the user's run hold in a sandbox as well."""

from __future__ import annotations

import pytest

from pytest_selfheal.assemble import sandbox_arguments

CONFTEST = """
    from pathlib import Path


    def pytest_addoption(parser):
        parser.addoption("--slow", action="store_true", default=False)
        group = parser.getgroup("own", "of a group")
        group.addoption("--level", type=int, default=3)
        group.addoption("--name", default=None)
        group.addoption("--each", action="append", default=[])
        group.addoption("--place", type=Path)
        group.addoption("--quick", dest="speed", action="store_const", const="quick")
        group.addoption("--steady", dest="speed", action="store_const", const="steady")
        group.addoption("--no-net", dest="net", action="store_false", default=True)
        group.addoption("--deep", action="count", default=0)
        group.addoption("--pair", nargs=2)
        group.addoption("--maybe", nargs="?", const="yes", default="no")
        group.addoption("-N", "--number", type=float, default=1.5)
"""
DESTINATIONS = ("slow", "level", "name", "each", "place", "speed", "net", "maybe", "number",
                "runxfail", "doctestmodules", "doctestglob", "deselect", "keyword", "markexpr",
                "log_level", "pythonwarnings", "override_ini", "importmode")  # fmt: skip


@pytest.mark.parametrize(
    "given",
    [
        pytest.param([], id="nothing"),
        pytest.param(["--slow", "--level=4", "--name=a b=c", "-N", "2.5"], id="values"),
        pytest.param(["--each=x", "--each", "y z", "--place=a/b"], id="lists-and-paths"),
        pytest.param(["--quick", "--no-net"], id="constants"),
        pytest.param(["--steady", "--maybe"], id="constant-of-the-second"),
        pytest.param(["--maybe=so", "--name=-x"], id="optional-value"),
        pytest.param(["--deep", "--deep", "--pair", "a", "b"], id="what-cannot-be-given-again"),
        pytest.param(
            ["--runxfail", "--doctest-modules", "--doctest-glob=*.md", "--deselect=a.py::b"],
            id="pytests-own",
        ),
        pytest.param(
            ["-k", "a or b", "-m", "not c", "--log-level=INFO", "-W", "error", "-o", "x=y"],
            id="more-of-pytests-own",
        ),
        pytest.param(["--import-mode=importlib", "-x", "--tb=no", "-vv", "-s"], id="looks"),
    ],
)
def test_options_come_out_as_they_went_in(pytester: pytest.Pytester, given: list[str]) -> None:
    pytester.makeconftest(CONFTEST)
    config = pytester.parseconfig(*given)
    arguments = sandbox_arguments(config)
    again = pytester.parseconfig(*arguments)
    for name in DESTINATIONS:
        assert getattr(again.option, name) == getattr(config.option, name), arguments
    assert sandbox_arguments(again) == arguments


def test_what_shows_or_stops_a_run_is_left_behind(pytester: pytest.Pytester) -> None:
    config = pytester.parseconfig("-x", "--tb=no", "-vv", "-s", "--lf", "--junitxml=x.xml")
    assert not {"-x", "--lf", "-s", "-vv"} & set(sandbox_arguments(config))
    assert not [each for each in sandbox_arguments(config) if "junit" in each or "tb" in each]
