"""pytest's side of the plugin: options, hooks, and nothing else.

Imported by every pytest run, so it imports next to nothing; without `--selfheal` it
adds its options and does no more.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Generator

import pytest

from pytest_selfheal.errors import SelfHealError, UsageError
from pytest_selfheal.option_table import OPTIONS
from pytest_selfheal.options import add_options

IN_SANDBOX = "PYTEST_SELFHEAL_SANDBOX"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the `--selfheal` options and their ini twins."""
    add_options(parser, OPTIONS)


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    """Let other plugins take part."""
    from pytest_selfheal import hookspecs

    pluginmanager.add_hookspecs(hookspecs)


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> int | None:
    """With `--selfheal-doctor`, look at the machine in the place of running tests."""
    if not config.getoption("selfheal_doctor"):
        return None
    from pytest_selfheal.doctor import run

    return run(config)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_load_initial_conftests(
    early_config: pytest.Config,
) -> Generator[None, object, object]:
    """With `--selfheal`, let pytest go on without a conftest.py that cannot be imported.

    Where it is collected it is a collection error, and those can be healed.
    """
    try:
        return (yield)
    except Exception as error:
        from _pytest.config import ConftestImportFailure

        asked = getattr(early_config.known_args_namespace, "selfheal", False)
        if not asked or not isinstance(error, ConftestImportFailure):
            raise
        if os.environ.get("PYTEST_XDIST_WORKER"):  # the controller has said it
            return None
        said = " ".join(f"{type(error.cause).__name__}: {error.cause}".split())[:300]
        sys.stderr.write(
            f"selfheal: {error.path} cannot be imported ({said}); pytest goes on without "
            "the options and hooks in it\n"
        )
        return None


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    """With `--selfheal`, and not in a sandbox or in an xdist worker, watch the run."""
    explained = config.getoption("selfheal_explain")
    is_shown = config.getoption("selfheal_show_prompt")
    asked = config.getoption("selfheal") or explained is not None or is_shown
    if not asked or os.environ.get(IN_SANDBOX):
        return
    config.pluginmanager.register(KeepsCollecting(), "selfheal-keeps-collecting")
    if hasattr(config, "workerinput"):
        return
    from pytest_selfheal import defaults
    from pytest_selfheal.intercept import Interceptor
    from pytest_selfheal.settings import read_settings

    config.pluginmanager.register(defaults, "selfheal-defaults")
    try:
        settings = read_settings(config)
        if config.getoption("collectonly"):
            if explained is not None or is_shown:
                flag = "--selfheal-show-prompt" if explained is None else "--selfheal-explain"
                raise UsageError(f"{flag} needs tests that fail: leave --collect-only out")
            if settings.mode != "check":
                return
        interceptor = Interceptor(config, settings, explained)
    except SelfHealError as error:
        raise pytest.UsageError(str(error)) from error
    config.pluginmanager.register(interceptor, "selfheal-interceptor")


class KeepsCollecting:
    """Lets a run go on with what was collected, where a file that was named could not be.

    A test named by its node id in a file that fails on import is a usage error to pytest:
    it runs no test at all, and its exit status is not to be changed any more.
    """

    def __init__(self) -> None:
        self._session: pytest.Session | None = None
        self._broken: list[str] = []

    def pytest_sessionstart(self, session: pytest.Session) -> None:
        """Remember the session."""
        self._session = session

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Before pytest looks at what it did not find, take out what is an error already."""
        if report.failed:
            self._broken.append(report.nodeid)
        missing = getattr(self._session, "_notfound", None)
        if self._broken and missing and report.nodeid == "":
            missing[:] = [each for each in missing if not self._is_broken(each[0])]

    def _is_broken(self, argument: str) -> bool:
        assert self._session is not None
        config = self._session.config
        path = (config.invocation_params.dir / argument.partition("::")[0]).resolve()
        broken = [(config.rootpath / nodeid).resolve() for nodeid in self._broken]
        return any(path.is_relative_to(each) for each in broken)
