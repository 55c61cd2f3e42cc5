"""The filter of system calls that the tests run under. Sent as text like `inside`.

It denies what no test of a project needs and what has been the way out of many a sandbox:
new namespaces and mounts, other processes' memory, key rings, programs in the kernel,
rings of requests that pass filters by, kernel modules, socket families beside the usual
ones, and everything that could end, slow down or starve the supervisor.
"""

from __future__ import annotations

import ctypes
import errno
import platform
import struct
import sys

_PR_SET_SECCOMP = 22
_SECCOMP_MODE_FILTER = 2
_ALLOW = 0x7FFF0000
_ERRNO = 0x00050000
_LOAD = 0x20  # a word of `struct seccomp_data`
_IF_EQUAL = 0x15
_IF_AT_LEAST = 0x35
_IF_ANY_BIT = 0x45
_RETURN = 0x06
_NUMBER = 0  # offsets in `struct seccomp_data`
_ARCHITECTURE = 4
_ARGUMENTS = 16
_X32_BIT = 0x40000000

ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
"""The kernel's names of the machines whose numbers stand below, in their order."""

# By name: the number on x86_64 and on aarch64, None where the machine has no such call.
DENIED: dict[str, tuple[int | None, int | None]] = {
    "acct": (163, 89),
    "add_key": (248, 217),
    "bpf": (321, 280),
    "clock_settime": (227, 112),
    "delete_module": (176, 106),
    "fanotify_init": (300, 262),
    "finit_module": (313, 273),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fsopen": (430, 430),
    "fspick": (433, 433),
    "init_module": (175, 105),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "io_uring_setup": (425, 425),
    "ioperm": (173, None),
    "iopl": (172, None),
    "kcmp": (312, 272),
    "kexec_file_load": (320, 294),
    "kexec_load": (246, 104),
    "keyctl": (250, 219),
    "lookup_dcookie": (212, 18),
    "memfd_secret": (447, 447),
    "migrate_pages": (256, 238),
    "modify_ldt": (154, None),
    "mount": (165, 40),
    "mount_setattr": (442, 442),
    "move_mount": (429, 429),
    "move_pages": (279, 239),
    "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265),
    "open_tree": (428, 428),
    "open_tree_attr": (467, 467),
    "perf_event_open": (298, 241),
    "pidfd_getfd": (438, 438),
    "pivot_root": (155, 41),
    "process_madvise": (440, 440),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "ptrace": (101, 117),
    "quotactl": (179, 60),
    "quotactl_fd": (443, 443),
    "reboot": (169, 142),
    "request_key": (249, 218),
    "setns": (308, 268),
    "settimeofday": (164, 170),
    "swapoff": (168, 225),
    "swapon": (167, 224),
    "syslog": (103, 116),
    "umount2": (166, 39),
    "unshare": (272, 97),
    "userfaultfd": (323, 282),
    "vhangup": (153, 58),
}

# By name: the two numbers, and which argument may not be the supervisor.
OF_A_PROCESS: dict[str, tuple[int, int, int]] = {
    "ioprio_set": (251, 30, 1),
    "kill": (62, 129, 0),
    "pidfd_open": (434, 434, 0),
    "prlimit64": (302, 261, 0),
    "rt_sigqueueinfo": (129, 138, 0),
    "rt_tgsigqueueinfo": (297, 240, 0),
    "sched_setaffinity": (203, 122, 0),
    "sched_setattr": (314, 274, 0),
    "sched_setparam": (142, 118, 0),
    "sched_setscheduler": (144, 119, 0),
    "setpriority": (141, 140, 1),
    "tgkill": (234, 131, 0),
    "tkill": (200, 130, 0),
}
_OF_ALL_OF_A_USER = {"setpriority": 2, "ioprio_set": 3}
"""What the first argument is where such a call means every process of a user."""

_CLONE = (56, 220)
_CLONE3 = (435, 435)
_NEW_NAMESPACES = 0x7E020000  # CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET
_PERSONALITY = (135, 92)
_PERSONALITIES = (0, 0xFFFFFFFF)  # the usual one, and the question which it is
_SOCKET = (41, 198)
_FAMILIES = (1, 2, 10, 16)  # Unix, IPv4, IPv6, netlink

Step = tuple[int, int, int, int]


def program(machine: str, supervisor: int) -> bytes | None:
    """The filter as the kernel takes it; None for a machine whose numbers are not known.

    Args:
        machine: As `platform.machine` says it.
        supervisor: The process that nobody under the filter may touch.
    """
    if machine not in ARCHITECTURES:
        return None
    which = list(ARCHITECTURES).index(machine)
    refused = _answer(errno.EPERM)
    # A program of another word size has other numbers: it gets nothing done.
    steps: list[Step] = [_load(_ARCHITECTURE), _jump(_IF_EQUAL, ARCHITECTURES[machine], 1, 0)]
    steps += [refused, _load(_NUMBER)]
    if machine == "x86_64":
        steps += [_jump(_IF_AT_LEAST, _X32_BIT, 0, 1), refused]
    for numbers in DENIED.values():
        if (number := numbers[which]) is not None:
            steps += [_jump(_IF_EQUAL, number, 0, 1), refused]
    # The C library asks for `clone` then, whose flags can be seen.
    steps += [_jump(_IF_EQUAL, _CLONE3[which], 0, 1), _answer(errno.ENOSYS)]
    rules = [
        (_CLONE[which], [_load(_ARGUMENTS), _jump(_IF_ANY_BIT, _NEW_NAMESPACES, 0, 1), refused]),
        (_PERSONALITY[which], [*_unless_one_of(_PERSONALITIES), refused]),
        (_SOCKET[which], [*_unless_one_of(_FAMILIES), _answer(errno.EAFNOSUPPORT)]),
    ]
    for name, (*numbers_of, argument) in OF_A_PROCESS.items():
        rule = [_load(_ARGUMENTS + 8 * argument)]
        for pid in (supervisor, -supervisor & 0xFFFFFFFF):  # it, and its group
            rule += [_jump(_IF_EQUAL, pid, 0, 1), refused]
        if name in _OF_ALL_OF_A_USER:
            rule += [_load(_ARGUMENTS), _jump(_IF_EQUAL, _OF_ALL_OF_A_USER[name], 0, 1), refused]
        rules.append((numbers_of[which], rule))
    for number, rule in rules:
        rule = [*rule, _allowed()]
        steps += [_jump(_IF_EQUAL, number, 0, len(rule)), *rule]
    steps.append(_allowed())
    return b"".join(struct.pack("<HBBI", *step) for step in steps)


def install(supervisor: int) -> bool:
    """Put this process, and all that it starts, under the filter; whether it is."""
    steps = program(platform.machine(), supervisor)
    if steps is None or sys.maxsize < 2**32:  # a 32-bit Python asks by other numbers
        return False

    class Program(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("steps", ctypes.c_char_p))

    try:
        filtering = Program(len(steps) // 8, steps)
        arguments = (_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.byref(filtering), 0, 0)
        return bool(ctypes.CDLL(None).prctl(*arguments) == 0)
    except (OSError, AttributeError):
        return False


def _unless_one_of(values: tuple[int, ...]) -> list[Step]:
    """Allow these first arguments; any other goes on to what follows."""
    steps = [_load(_ARGUMENTS)]
    for value in values:
        steps += [_jump(_IF_EQUAL, value, 0, 1), _allowed()]
    return steps


def _load(offset: int) -> Step:
    return _LOAD, 0, 0, offset


def _jump(kind: int, value: int, steps_if_true: int, steps_if_false: int) -> Step:
    return kind, steps_if_true, steps_if_false, value


def _answer(error: int) -> Step:
    return _RETURN, 0, 0, _ERRNO | error


def _allowed() -> Step:
    return _RETURN, 0, 0, _ALLOW
