"""`pytest --selfheal-doctor`: what a heal would find on this machine, a line each.

Nothing is asked of a model, no sandbox is started, and nothing is changed.
"""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Literal

from pytest_selfheal.errors import SandboxUnavailable, SelfHealError
from pytest_selfheal.model.budget import no_price
from pytest_selfheal.model.endpoint import endpoint_problem, key_problem, shown
from pytest_selfheal.model.stack import known_price, limits_money, with_price_options
from pytest_selfheal.report._text import count, one_line
from pytest_selfheal.sandbox.choose import (
    bubblewrap_problem,
    choose,
    docker_problem,
    landlock_abi,
    landlock_problem,
)
from pytest_selfheal.sandbox.leftovers import leftover_folders
from pytest_selfheal.settings import Settings, read_settings
from pytest_selfheal.source.find import find_in_project

if TYPE_CHECKING:
    import pytest

Grade = Literal["ok", "note", "problem"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at."""

    name: str
    grade: Grade
    """`note`: a heal goes without it; `problem`: none can begin."""
    says: str
    """One line: how it is, and what to do about it."""

    def __str__(self) -> str:
        return f"{self.grade:<8} {self.name:<11} {one_line(self.says)}"


def run(config: pytest.Config) -> int:
    """Look, and tell; 1 where a heal could not begin, else 0."""
    findings = list(look(config, os.environ))
    sys.stdout.write("".join(f"{finding}\n" for finding in findings))
    return int(any(finding.grade == "problem" for finding in findings))


def look(config: pytest.Config, environ: Mapping[str, str]) -> Iterator[Finding]:
    """Give all findings, those that need no valid options first."""
    yield _good("python", f"{platform.python_version()} at {sys.executable}")
    yield _good("pytest", f"{version('pytest')}, with pytest-selfheal {version('pytest-selfheal')}")
    yield _kernel()
    try:
        settings = read_settings(config)
    except SelfHealError as error:
        yield _bad("options", str(error))
        return
    yield from _sandboxes(settings, environ)
    has_own_model = len(config.hook.pytest_selfheal_model.get_hookimpls()) > 0
    yield from _model(settings, environ, has_own_model=has_own_model)
    if settings.replay is None:
        yield from _prices(settings, is_ours=not has_own_model)
    yield _budget(settings)
    yield _limits(settings)
    yield _stubs(config)
    yield _leftovers(settings, environ)


def _good(name: str, says: str) -> Finding:
    return Finding(name=name, grade="ok", says=says)


def _note(name: str, says: str) -> Finding:
    return Finding(name=name, grade="note", says=says)


def _bad(name: str, says: str) -> Finding:
    return Finding(name=name, grade="problem", says=says)


def _kernel() -> Finding:
    says = f"{platform.system()} {platform.release()}"
    if platform.system() == "Linux":
        return _good("kernel", says)
    return _note("kernel", f"{says}: Docker with an image of your own is the sandbox here")


def _sandboxes(settings: Settings, environ: Mapping[str, str]) -> Iterator[Finding]:
    probes: Mapping[str, tuple[Callable[[], str | None], Callable[[], str]]] = {
        "docker": (
            lambda: docker_problem(settings.image, environ),
            lambda: f"the daemon answers; image: {settings.image}",
        ),
        "bubblewrap": (bubblewrap_problem, lambda: "bwrap may make its namespaces"),
        "landlock": (landlock_problem, lambda: f"the kernel's ABI is {landlock_abi()}"),
    }
    for name, (probe, good) in probes.items():
        problem = probe()
        yield _note(name, f"not to be used: {problem}") if problem else _good(name, good())
    try:
        chosen = choose(settings.sandbox, settings.image, environment=environ)
    except SandboxUnavailable as error:
        yield _bad("sandbox", f"{error}: make one of them work, or name it with --selfheal-sandbox")
    else:
        yield _good("sandbox", f"{chosen} would be used (--selfheal-sandbox={settings.sandbox})")


def _model(
    settings: Settings, environ: Mapping[str, str], *, has_own_model: bool
) -> Iterator[Finding]:
    is_set = bool(environ.get("OPENAI_API_KEY", "").strip())
    key = "OPENAI_API_KEY is set" if is_set else "OPENAI_API_KEY is not set"
    if settings.replay is not None:
        there = settings.replay.is_file()
        where = f"answers come from {str(settings.replay)!r}"
        yield _good("model", where) if there else _bad("model", f"{where}, which is no file")
        return
    if has_own_model:
        yield _good("model", "a plugin, or conftest.py, supplies it")
        yield from _second_model(settings)
        yield _good("key", f"{key}; that is the plugin's business")
        return
    yield _good("model", f"{settings.model} (--selfheal-model), API: {settings.api}")
    yield from _second_model(settings)
    problem = key_problem(settings.base_url)
    if problem:
        yield _bad("key", problem)
    else:
        yield _good("key", key if is_set else f"{key}, and this endpoint may not need one")
    problem = endpoint_problem(settings.base_url)
    if problem:
        yield _bad("endpoint", problem)
    else:
        yield _good("endpoint", f"{shown(settings.base_url)} takes connections")


def _second_model(settings: Settings) -> Iterator[Finding]:
    if settings.escalate_model is None:
        return
    says = f"{settings.escalate_model} (--selfheal-escalate-model)"
    after = settings.escalate_after
    if after < settings.attempts:
        failed = count(after, "failed attempt")
        yield _good("second", f"{says}, asked after {failed} at the latest, at the same endpoint")
        return
    yield _note(
        "second",
        f"{says}, asked after {after} failed attempts, and there are {settings.attempts}: only "
        "where the first model is stuck before; lower --selfheal-escalate-after, or raise "
        "--selfheal-attempts",
    )


def _prices(settings: Settings, *, is_ours: bool) -> Iterator[Finding]:
    """The price of each model: given, listed, or not known."""
    for each, option in with_price_options(settings):
        if each.price is not None:
            given = ",".join(map(str, each.price))
            yield _good("price", f"{each.model}: {given} dollars a million tokens ({option})")
        elif known_price(each, is_ours=is_ours) is not None:
            yield _good("price", f"{each.model}: as genai-prices lists it")
        elif limits_money(settings):
            yield _bad("price", no_price(each.model, option))
        else:
            listed = ", or install pytest-selfheal[prices]" if is_ours else ""
            yield _note(
                "price",
                f"{each.model}: not known, so no report says what a run costs: give {option} = "
                f"in,out (0,0 for nothing){listed}",
            )


def _budget(settings: Settings) -> Finding:
    budgets = _given(
        {
            "--selfheal-max-requests": settings.max_requests,
            "--selfheal-max-tokens": settings.max_tokens,
            "--selfheal-max-cost": settings.max_cost,
            "--selfheal-max-seconds": settings.max_seconds,
            "selfheal_max_requests_per_day": settings.max_requests_per_day,
            "selfheal_max_tokens_per_day": settings.max_tokens_per_day,
            "selfheal_max_cost_per_day": settings.max_cost_per_day,
        }
    )
    rates = _given({"--selfheal-rpm": settings.rpm, "--selfheal-tpm": settings.tpm})
    if not budgets and settings.replay is None:
        more = f" (there is {', '.join(rates)})" if rates else ""
        return _note(
            "budget",
            f"a run may spend what it likes{more}: set --selfheal-max-requests, "
            "--selfheal-max-tokens or --selfheal-max-cost",
        )
    says = ", ".join([*budgets, *rates]) or "none, and none is needed for a recording"
    return _good("budget", says)


def _limits(settings: Settings) -> Finding:
    limits = settings.limits
    says = (
        f"{settings.attempts} attempts, {settings.jobs} jobs; a sandbox has "
        f"{limits.timeout_seconds:g} s, {_size(limits.memory_bytes)} of memory, "
        f"{limits.processes} processes, {limits.cpus:g} "
        f"{'processor' if limits.cpus == 1 else 'processors'}, {_size(limits.disk_bytes)} of disk"
    )
    there, at_once = _memory(), min(settings.jobs, os.cpu_count() or 1)
    if there is not None and at_once * limits.memory_bytes > there:
        return _note(
            "limits",
            f"{says}; {at_once} of them at once may want more than the machine's "
            f"{_size(there)}: lower --selfheal-jobs or --selfheal-memory",
        )
    return _good("limits", says)


def _given(bounds: Mapping[str, float | None]) -> list[str]:
    return [f"{name}={value:.15g}" for name, value in bounds.items() if value is not None]


def _memory() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None


def _size(number: int) -> str:
    return f"{number / 2**20:.0f}m" if number < 2**30 else f"{number / 2**30:.1f}g"


def _stubs(config: pytest.Config) -> Finding:
    found = find_in_project(config.rootpath)
    stubs = sum(not stub.is_living for stub in found.stubs)
    says = f"{count(stubs, 'stub')} and {count(len(found.stubs) - stubs, 'living function')} marked"
    if found.warnings:
        first = found.warnings[0]
        return _note("project", f"{says}; {first.path}:{first.line}: {first.message}")
    if not found.stubs:
        return _note("project", f"nothing is marked below {config.rootpath}: see `heal`")
    return _good("project", f"{says} below {config.rootpath}")


def _leftovers(settings: Settings, environ: Mapping[str, str]) -> Finding:
    left = []
    folders = leftover_folders()
    if folders:
        left.append(f"{count(len(folders), 'folder')} such as {str(folders[0])!r}")
    if docker_problem(settings.image, environ) is None:
        from pytest_selfheal.sandbox.docker import count_leftover_containers

        containers = count_leftover_containers()
        if containers:
            left.append(count(containers, "container"))
    if left:
        says = f"{' and '.join(left)} of runs that were killed: the next run clears them away"
        return _note("leftovers", says)
    return _good("leftovers", "none of earlier runs")
