"""The filter of system calls as a program: interpreted here as the kernel would."""

from __future__ import annotations

import errno
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_selfheal.sandbox import choose
from pytest_selfheal.sandbox.inside_syscalls import (
    ARCHITECTURES,
    DENIED,
    OF_A_PROCESS,
    program,
)

SUPERVISOR = 7
ALLOWED = 0x7FFF0000
MACHINES = sorted(ARCHITECTURES)


def answer(steps: bytes, architecture: int, number: int, *arguments: int) -> int:
    """What the filter says of a call: 0 for yes, else the error."""
    padded = [*arguments, *[0] * (6 - len(arguments))]
    data = struct.pack("<IIQ6Q", number, architecture, 0, *(a % 2**64 for a in padded))
    place = held = 0
    program = list(struct.iter_unpack("<HBBI", steps))
    while True:
        kind, if_true, if_false, value = program[place]
        place += 1
        if kind == 0x06:
            return 0 if value == ALLOWED else value & 0xFFFF
        if kind == 0x20:
            held = struct.unpack_from("<I", data, value)[0]
            continue
        true = {0x15: held == value, 0x35: held >= value, 0x45: bool(held & value)}[kind]
        place += if_true if true else if_false


def asked(machine: str, number: int, *arguments: int) -> int:
    steps = program(machine, SUPERVISOR)
    assert steps is not None
    return answer(steps, ARCHITECTURES[machine], number, *arguments)


@pytest.mark.parametrize("machine", MACHINES)
def test_what_is_denied_and_what_names_the_supervisor(machine: str) -> None:
    which = list(ARCHITECTURES).index(machine)
    for numbers in DENIED.values():
        number = numbers[which]
        if number is not None:
            assert asked(machine, number) == errno.EPERM
    for *numbers_of, argument in OF_A_PROCESS.values():
        for pid, expected in ((SUPERVISOR, errno.EPERM), (-SUPERVISOR, errno.EPERM), (8, 0)):
            arguments = [0] * argument + [pid]
            assert asked(machine, numbers_of[which], *arguments) == expected


@given(machine=st.sampled_from(MACHINES), number=st.integers(0, 600), first=st.integers(0, 2**32))
def test_calls_that_nothing_is_said_of_go_through(machine: str, number: int, first: int) -> None:
    which = list(ARCHITECTURES).index(machine)
    told = {numbers[which] for numbers in DENIED.values()}
    told |= {numbers[which] for numbers in OF_A_PROCESS.values()}
    told |= {(56, 220)[which], 435, (135, 92)[which], (41, 198)[which]}
    if number not in told:
        assert asked(machine, number, first) == 0


@given(machine=st.sampled_from(MACHINES), number=st.integers(0, 2**32 - 1))
def test_another_word_size_gets_nothing_done(machine: str, number: int) -> None:
    steps = program(machine, SUPERVISOR)
    assert steps is not None
    assert answer(steps, 0x40000003, number) == errno.EPERM
    if machine == "x86_64":
        assert asked(machine, number | 0x40000000) == errno.EPERM


@pytest.mark.parametrize("machine", MACHINES)
def test_threads_processes_and_sockets_of_the_usual_kind(machine: str) -> None:
    which = list(ARCHITECTURES).index(machine)
    clone, socket = (56, 220)[which], (41, 198)[which]
    assert asked(machine, clone, 0x003D0F00) == 0  # a thread
    assert asked(machine, clone, 17) == 0  # a fork
    assert asked(machine, clone, 0x10000000 | 17) == errno.EPERM
    assert asked(machine, 435) == errno.ENOSYS  # the C library then takes the other
    for family, expected in ((1, 0), (2, 0), (10, 0), (16, 0), (40, 97), (38, 97), (17, 97)):
        assert asked(machine, socket, family) == expected


def test_machines_whose_numbers_are_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    assert program("riscv64", SUPERVISOR) is None
    assert tuple(ARCHITECTURES) == choose._FILTERED_MACHINES
    monkeypatch.setattr(choose.shutil, "which", lambda _: "/usr/bin/bwrap")
    monkeypatch.setattr(choose.platform, "machine", lambda: "riscv64")
    assert "riscv64" in (choose.bubblewrap_problem() or "")
