"""The one place that puts a run together: settings and a pytest config become a kit.

What is slow (importing the SDK, starting sandboxes) goes on in the background while the
failing tests are traced.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_selfheal.errors import UsageError
from pytest_selfheal.recovery import heal_dir, temporary_state_dir
from pytest_selfheal.sandbox.choose import choose
from pytest_selfheal.sandbox.workspace import (
    Workspace,
    base_environment,
    installed_in_place,
    third_party_modules,
)

if TYPE_CHECKING:
    import pytest

    from pytest_selfheal.healing.kit import Relay
    from pytest_selfheal.protocols import Model
    from pytest_selfheal.records import Attempt, Candidate
    from pytest_selfheal.sandbox.pool import Pool
    from pytest_selfheal.settings import Settings


_IN_THE_WAY = {"xdist": ("-n0", "--dist=no"), "pytest_cov": ("--no-cov",)}
"""Plugins that would start processes or rewrite reports in a sandbox, and what stops them."""

_NEEDED_INSIDE = frozenset({"no:terminal", "no:terminalreporter"})
"""What keeps a run quiet takes options away that a sandbox's pytest is started with."""

_PYTESTS_OWN = frozenset(
    {"general", "terminal reporting", "pytest-warnings", "collect", "debugconfig", "logging"}
)
_SANDBOXS_OWN = frozenset({"selfheal", "xdist", "cov", "rerunfailures"})
"""Groups of options that are not taken over; of pytest's own there are exceptions."""
_TAKEN_OVER = frozenset(
    {
        "runxfail", "confcutdir", "noconftest", "deselect", "collect_in_virtualenv",
        "doctestmodules", "doctestglob", "doctestreport", "doctest_ignore_import_errors",
        "doctest_continue_on_failure", "log_level", "log_format", "log_date_format",
        "log_auto_indent", "logger_disable",
    }
)  # fmt: skip
"""Those of pytest's own options that change what a test does or which tests there are."""


def workspace_of(config: pytest.Config, settings: Settings, sys_path: Sequence[str]) -> Workspace:
    """What a sandbox must mirror of this run."""
    root = config.rootpath.resolve()
    return Workspace(
        root=root,
        cwd=Path(config.invocation_params.dir).resolve(),
        pytest_args=tuple(sandbox_arguments(config)),
        plugin_args=tuple(_plugin_arguments(config, blocking_only=True)),
        sys_path=tuple(sys_path),
        environment=base_environment(os.environ, settings.env, "/tmp"),  # noqa: S108 - the sandbox's
        switched_off={
            module: switches
            for module, switches in _IN_THE_WAY.items()
            if config.pluginmanager.hasplugin(module)  # one that is blocked knows no switch
        },
        beside=installed_in_place(sys.modules),
        has_cache=not config.pluginmanager.is_blocked("cacheprovider"),
        selected=_selected(config, root),
        warm=third_party_modules(sys.modules, root),
    )


def sandbox_arguments(config: pytest.Config) -> list[str]:
    """The options of the user's run that change what a test does.

    The project's `addopts` hold in there by themselves; what selects tests is given again
    so that the command line wins over them there as well.
    """
    option: Any = config.option
    arguments = _plugin_arguments(config)
    if config.inipath is not None:
        arguments += ["-c", str(config.inipath.resolve())]
    arguments += [f"--import-mode={option.importmode}"]
    arguments += ["-m", option.markexpr, "-k", option.keyword]
    for value in option.override_ini or ():
        arguments += ["-o", value]
    for value in option.pythonwarnings or ():
        arguments += ["-W", value]
    return [*arguments, *_other_options(config)]


def _plugin_arguments(config: pytest.Config, *, blocking_only: bool = False) -> list[str]:
    arguments: list[str] = []
    named = os.environ.get("PYTEST_PLUGINS", "").split(",")
    for name in (*filter(None, named), *config.option.plugins):
        if name in _NEEDED_INSIDE:
            continue
        if not blocking_only or name.startswith("no:"):
            arguments += ["-p", name]
    if os.environ.get("PYTEST_DISABLE_PLUGIN_AUTOLOAD"):
        arguments.append("--disable-plugin-autoload")
    return arguments


def _other_options(config: pytest.Config) -> list[str]:
    """Options of the project's conftest files and of plugins, and some of pytest's own.

    Each that has another value than its default, wherever that was set.
    """
    parser: Any = getattr(config, "_parser", None)
    arguments: dict[str, list[str]] = {}
    for group in (getattr(parser, "_anonymous", None), *getattr(parser, "_groups", ())):
        name = getattr(group, "name", None)
        for each in () if name in _SANDBOXS_OWN else getattr(group, "options", ()):
            if name not in _PYTESTS_OWN or each.dest in _TAKEN_OVER:
                arguments[each.dest] = arguments.get(each.dest) or _given(config, each)
    return [argument for given in arguments.values() for argument in given]


_CONSTANTS = {"store_true": True, "store_false": False}


def _given(config: pytest.Config, option: Any) -> list[str]:
    """What gives an option the value that it has; nothing for its default.

    Nor for one whose value cannot be given safely: an argument that pytest does not take
    would keep it from starting at all.
    """
    attributes: dict[str, Any] = option.attrs()
    value = getattr(config.option, option.dest, None)
    names = sorted(option.names(), key=lambda name: not name.startswith("--"))
    if not names or value is None or value == attributes.get("default"):
        return []
    action, nargs = attributes.get("action"), attributes.get("nargs")
    constant = attributes.get("const", _CONSTANTS.get(str(action)))
    if nargs == 0 or action in (*_CONSTANTS, "store_const") or isinstance(value, bool):
        return names[:1] if value is constant else []
    if isinstance(value, (list, tuple)):
        if nargs is not None or not all(isinstance(each, (str, int, float)) for each in value):
            return []
        return [argument for each in value for argument in _with_value(names[0], each)]
    is_plain = isinstance(value, (str, int, float, Path)) and action not in ("count", "help")
    return _with_value(names[0], value) if is_plain and nargs in (None, "?") else []


def _with_value(name: str, value: object) -> list[str]:
    return [f"{name}={value}"] if name.startswith("--") else [f"{name}{value}"]


def _selected(config: pytest.Config, root: Path) -> dict[str, list[str]]:
    """Of files of which the command line names single tests, the node ids that it names.

    Where such a file cannot be collected, it is asked for as a whole, and the rest of its
    tests are none of this run's.
    """
    whole: list[Path] = []
    parts: dict[str, list[str]] = {}
    for argument in config.args:
        name, separator, below = str(argument).partition("::")
        path = Path(config.invocation_params.dir, name).resolve()
        if not separator:
            whole.append(path)
        elif path.is_relative_to(root):
            file = path.relative_to(root).as_posix()
            parts.setdefault(file, []).append(f"{file}::{below}")
    return {
        file: nodes
        for file, nodes in parts.items()
        if not any((root / file).is_relative_to(each) for each in whole)
    }


def start_pool(config: pytest.Config, settings: Settings, workspace: Workspace) -> Pool:
    """The pool of sandboxes, with none started yet.

    Raises:
        SandboxUnavailable: None can be had.
        UsageError: No plugin gives the sandbox that was asked for.
    """
    from pytest_selfheal.sandbox.pool import Pool

    name = choose(
        settings.sandbox,
        settings.image,
        runtime=settings.docker_runtime,
        network=settings.docker_network,
    )
    launcher = config.hook.pytest_selfheal_launcher(
        name=name, settings=settings, workspace=workspace
    )
    if launcher is None:
        raise UsageError(f"--selfheal-sandbox={name}: no plugin gives such a sandbox")
    return Pool(launcher)


def start_model(config: pytest.Config, settings: Settings, on_wait: Any) -> Model:
    """The model, with the recording, the rate limits and the budgets around it.

    Raises:
        UsageError: The recording, or the folder of the limits, cannot be used.
    """
    from pytest_selfheal.model.stack import limited, of_second

    model: Model = config.hook.pytest_selfheal_model(settings=settings)
    second: Model | None = None
    if settings.escalate_model is not None and settings.replay is None:
        second = config.hook.pytest_selfheal_model(settings=of_second(settings))
    return limited(model, settings, state_dir(config), limits_dir(config), on_wait, second)


def warm_up(model: Model | None) -> None:
    """Import what the first request and the first edit need."""
    for name in ("pytest_selfheal.healing.run", "pytest_selfheal.source.edit", "filelock"):
        importlib.import_module(name)
    inner: Any = model
    while inner is not None:
        if hasattr(inner, "warm_up"):
            inner.warm_up()
            return
        inner = getattr(inner, "_model", None)


def state_dir(config: pytest.Config) -> Path:
    """A folder for what may be lost, among pytest's cached values.

    This user's runs in this project share it.
    """
    cache = getattr(config, "cache", None)
    if cache is not None:
        with contextlib.suppress(OSError):  # a checkout, or a cache, that is not ours to write
            folder: Path = cache.mkdir("selfheal")
            if os.access(folder, os.W_OK):
                return folder
    return temporary_state_dir(config)


def limits_dir(config: pytest.Config) -> Path:
    """A folder for what was spent, which those runs share: `--cache-clear` leaves it."""
    state_dir(config)  # pytest makes its cache's folder, with what keeps git out of it
    return heal_dir(config) / "limits"


@contextlib.contextmanager
def uncaptured(config: pytest.Config) -> Iterator[None]:
    """Give the user's own standard input back for a while, which pytest's capture holds."""
    manager = config.pluginmanager.get_plugin("capturemanager")
    if manager is None or not manager.is_globally_capturing():
        yield
        return
    # pytest lets output through between the tests by itself, but never input.
    manager.suspend_global_capture(in_=True)
    try:
        yield
    finally:
        manager.resume_global_capture()
        manager.suspend_global_capture(in_=False)


class HookRelay:
    """The hooks, as the healing loop calls them."""

    def __init__(self, config: pytest.Config, targets: Mapping[str, str]) -> None:
        self._config = config
        self._targets = targets

    def change_prompt(self, prompt: str, targets: Sequence[str]) -> str:
        """Give the prompt to each plugin in turn."""
        # pluggy keeps the last to be called first.
        for implementation in reversed(self._config.hook.pytest_selfheal_prompt.get_hookimpls()):
            given = {"prompt": prompt, "targets": targets}
            names = implementation.argnames
            changed = implementation.function(*(given[name] for name in names))
            prompt = changed if isinstance(changed, str) else prompt
        return prompt

    def veto(self, candidate: Candidate) -> str | None:
        """Ask each plugin whether it objects."""
        objection: str | None = self._config.hook.pytest_selfheal_veto(candidate=candidate)
        return objection

    def attempted(self, targets: Sequence[str], number: int, attempt: Attempt) -> None:
        """Tell each plugin of an attempt."""
        self._config.hook.pytest_selfheal_attempt(
            targets=[self._targets[key] for key in targets], number=number, attempt=attempt
        )


if TYPE_CHECKING:

    def _is_a_relay(relay: HookRelay) -> Relay:
        return relay
