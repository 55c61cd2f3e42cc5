"""What keeps a session of pytest to its task: every test once, to its end, at a slower pace.

Sent as text like `inside_tests`.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
from collections.abc import Callable, Generator
from typing import Any

import pytest
from _pytest.config import ConftestImportFailure

SLOWER = 5
"""How much longer a test may take here than on the machine that its deadline was made for."""


class Calm:
    """Takes out of a session what would run tests again, open sockets, or end it early."""

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_load_initial_conftests(self) -> Generator[None, Any, Any]:
        """A conftest.py that cannot be imported fails its own folder's tests alone."""
        try:
            return (yield)
        except ConftestImportFailure:
            return None

    @pytest.hookimpl(tryfirst=True)
    def pytest_cmdline_main(self, config: pytest.Config) -> None:
        """Once options are read: the project's may go on being given."""
        # What fails must fail here. It also opens a socket where xdist is installed.
        if config.pluginmanager.hasplugin("rerunfailures"):
            config.pluginmanager.unregister(name="rerunfailures")
            config.addinivalue_line("markers", "flaky: runs a test again that failed")
        for name in ("stepwise", "stepwise_skip", "lf", "failedfirst", "newfirst", "usepdb",
                     "trace", "setuponly", "setupplan", "setupshow"):  # fmt: skip
            if getattr(config.option, name, False):
                setattr(config.option, name, False)


class Cases:
    """Remembers which value of each argument a parametrized test was given, by its position."""

    def __init__(self) -> None:
        self._seen: dict[int, tuple[Any, dict[str, int]]] = {}

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> Generator[None, Any, Any]:
        """Look before pytest numbers them anew: over all that a test is parametrized by."""
        result = yield
        for callspec in getattr(metafunc, "_calls", ()):
            self._seen[id(callspec)] = callspec, dict(callspec.indices)
        return result

    def of(self, items: list[pytest.Item]) -> dict[str, dict[str, int]]:
        """The positions by argument, for each of some tests that has any."""
        found = {}
        for item in items:
            callspec = getattr(item, "callspec", None)
            known, positions = self._seen.get(id(callspec), (None, {}))
            if known is not None and known is callspec:
                found[item.nodeid] = positions
        return found


def like(chosen: list[pytest.Item], own: pytest.Item) -> pytest.Item:
    """Mark the planted test as its neighbour is: fixtures and hooks may go by the marks."""
    for mark in next(item for item in chosen if item.getparent(pytest.Module)).iter_markers():
        if mark.name not in ("parametrize", "usefixtures", "xfail", "skip", "skipif"):
            own.add_marker(getattr(pytest.mark, mark.name)(*mark.args, **mark.kwargs))
    return own


def stretch_deadline(item: pytest.Item) -> None:
    """Give a Hypothesis test more time for each example: not all the machine is its own."""
    function: Any = getattr(item, "function", None)
    for _ in range(20):  # what wraps it has a copy of its settings
        settings = getattr(function, "_hypothesis_internal_use_settings", None)
        if settings is None:
            return
        with contextlib.suppress(Exception):  # other versions have other settings
            check = importlib.import_module("hypothesis").HealthCheck.too_slow
            function._hypothesis_internal_use_settings = type(settings)(
                parent=settings,
                deadline=settings.deadline and settings.deadline * SLOWER,
                suppress_health_check={*settings.suppress_health_check, check},
            )
        function = getattr(function, "__wrapped__", None)


def leave_out(item: pytest.Item, needs_no_run: Callable[[pytest.Item], bool]) -> None:
    """Take tests that follow one out of the session, while that one ends."""
    items = item.session.items
    place = items.index(item) + 1
    left = [each for each in items[place:] if not needs_no_run(each)]
    if len(left) == len(items) - place:
        return
    # It has been torn down to what it shares with a test that may not come.
    is_other = not left or left[0] is not items[place]
    items[place:] = left
    if is_other:
        with contextlib.suppress(BaseException):  # what fails in there changes no verdict
            item.session._setupstate.teardown_exact(left[0] if left else None)


def drop_orphans(root: str) -> None:
    """Forget the project's modules whose package is gone: its import failed halfway.

    Whoever imports the package next would find them loaded and yet not bound in it, and
    fail with a NameError in the place of the real reason.
    """
    for name in sorted(sys.modules):  # packages before what is in them
        package = name.rpartition(".")[0]
        file = getattr(sys.modules[name], "__file__", None)
        is_ours = isinstance(file, str) and os.path.realpath(file).startswith(root + os.sep)
        if package and package not in sys.modules and is_ours:
            del sys.modules[name]
