"""Measuring processes, round by round, so that what disturbs one side disturbs the other."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

PROCESS_SECONDS = 240.0
"""The most that one measured process may take; beyond it something is wrong."""
_STOP_SECONDS = 15.0


class BenchmarkError(Exception):
    """A measured run did not do what it should, so that its time means nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One process, from its start to its end."""

    status: int
    seconds: float
    cpu_seconds: float
    """Its own and its reaped children's; what runs in a container is not in it."""
    output: str


def run_process(
    command: Sequence[str],
    cwd: Path,
    *,
    expect: Sequence[int] = (0,),
    extra: Mapping[str, str] | None = None,
    timeout_seconds: float = PROCESS_SECONDS,
) -> Run:
    """Run a process to its end.

    Args:
        command: Program and arguments.
        cwd: Its working folder.
        expect: The exit statuses that are right.
        extra: Environment variables beside the plain ones.
        timeout_seconds: The most that it may take.

    Raises:
        BenchmarkError: It ended otherwise, or not in time; the message has its output's end.
    """
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    process = subprocess.Popen(
        command,
        cwd=cwd,
        env={**plain_environment(), **(extra or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        output, _ = process.communicate(timeout=timeout_seconds)
    except BaseException as error:
        _stop(process)
        if isinstance(error, subprocess.TimeoutExpired):
            raise BenchmarkError(
                f"{' '.join(command)!r} took more than {timeout_seconds:g} s"
            ) from error
        raise
    seconds = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if process.returncode not in expect:
        raise BenchmarkError(
            f"{' '.join(command)!r} ended with {process.returncode}, not {tuple(expect)!r}:\n"
            f"{output[-3000:]}"
        )
    return Run(
        status=process.returncode,
        seconds=seconds,
        cpu_seconds=after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
        output=output,
    )


def _stop(process: subprocess.Popen[str]) -> None:
    """Interrupt first, so that pytest can take its sandboxes down; then end the whole group."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGINT)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(_STOP_SECONDS)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def plain_environment() -> dict[str, str]:
    """This process's environment without what would change Python, pytest or the model."""
    prefixes = ("PYTHON", "PYTEST", "OPENAI", "COV", "SELFHEAL", "VIRTUAL_ENV")
    return {name: value for name, value in os.environ.items() if not name.startswith(prefixes)}


def interleaved(
    sides: Mapping[str, Callable[[], T]], rounds: int, *, warm_up: bool = True
) -> Iterator[dict[str, T]]:
    """Measure every side once a round, in turns from the front and from the back.

    Args:
        sides: What measures each side once.
        rounds: How many rounds are given.
        warm_up: Whether a first round is thrown away.

    Yields:
        What each side gave in one round.
    """
    names = list(sides)
    if warm_up:
        for name in names:
            sides[name]()
    for number in range(rounds):
        order = names if number % 2 == 0 else names[::-1]
        yield {name: sides[name]() for name in order}


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One line of the table: values that are compared with what is aimed for."""

    name: str
    values: tuple[float, ...]
    unit: str = "x"
    """`x` for a ratio, else what it counts."""
    floor: str = ""
    """What was seen to be possible, in words short enough for a column."""
    target: float | None = None
    """The median is to be at most this."""
    detail: str = ""
    """The medians behind a ratio."""

    @property
    def median(self) -> float:
        """The middle value."""
        return statistics.median(self.values)

    @property
    def is_met(self) -> bool | None:
        """Whether the target is met; None where there is none."""
        return None if self.target is None else self.median <= self.target


def wall(rounds: Sequence[Mapping[str, Run]]) -> list[dict[str, float]]:
    """The wall seconds of rounds of processes."""
    return [{name: run.seconds for name, run in each.items()} for each in rounds]


def cpu_ratio(rounds: Sequence[Mapping[str, Run]], over: str, under: str) -> str:
    """The least processor seconds of one side over another's: what a busy machine blurs least."""
    least = {name: min(each[name].cpu_seconds for each in rounds) for name in (over, under)}
    return f"CPU {least[over] / least[under]:.2f}"


def ratios(rounds: Sequence[Mapping[str, float]], over: str, under: str) -> tuple[float, ...]:
    """One side over another, round by round."""
    return tuple(each[over] / each[under] for each in rounds)


def medians(rounds: Sequence[Mapping[str, float]], *names: str) -> str:
    """The median seconds of some sides, for a table's last column."""
    parts = []
    for name in names:
        seconds = statistics.median(each[name] for each in rounds)
        shown = f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.2f} s"
        parts.append(f"{name} {shown}")
    return ", ".join(parts)
