"""Checks of the static policy: no signal to the process that runs the tests, nor to its parent.

Code that starts processes signals them, and one that keeps a pid file asks whether a
process is there. Their pids are data; its own, its parent's and one that is written out are not.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from pytest_selfheal.source.policy_context import Context, Violation
from pytest_selfheal.source.policy_names import Names
from pytest_selfheal.source.policy_tables import ENDS

_SENDERS = frozenset({"os.kill", "os.killpg", "signal.pidfd_send_signal", "signal.pthread_kill"})
_OWN = frozenset(
    {"os.getpid", "os.getppid", "os.getpgrp", "multiprocessing.parent_process",
     "threading.main_thread", "threading.get_ident", "multiprocessing.current_process"}
)  # fmt: skip
_GROUPS = frozenset({"os.getpgid", "os.getsid", "os.pidfd_open"})
_HARMLESS = frozenset({"signal.SIGUSR1", "signal.SIGUSR2"})
"""What a program gives a meaning of its own, and sends to itself."""
_FORKS = frozenset({"os.fork", "os.forkpty", "pty.fork"})
_MAX_DEPTH = 6


def signals(tree: ast.Module, context: Context) -> Iterator[Violation]:
    """Refuse signals to itself, to its parent, to pids and groups that are written out."""
    names = context.names
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        sent = _SENDERS.intersection(names.meanings(node.func))
        given = node.args
        if not sent:  # Timer(1, os.kill, (pid, 9)), partial(os.kill, pid)
            handed = [each for each in given if _SENDERS.intersection(names.meanings(each))]
            sent = frozenset(name for each in handed for name in names.meanings(each))
            given = [part for each in _values(node) if each not in handed for part in _parts(each)]
        for name in sorted(sent - context.user):
            if given and _is_harmless(given[1:], names):
                continue
            is_packed = any(isinstance(each, ast.Starred) for each in given[:1])
            first = _starred(node, names)[:1] if is_packed else given[:1]
            if any(_is_own(each, names) for each in first):
                yield node.lineno, f"it uses {name!r} on its own process or on others': {ENDS}"


def forking_lines(tree: ast.Module, context: Context) -> frozenset[int]:
    """Give the lines of functions that fork: the child has to leave by `os._exit`."""
    names, lines = context.names, set()
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and any(
            isinstance(each, ast.Call) and _FORKS.intersection(names.meanings(each.func))
            for each in ast.walk(node)
        ):
            lines |= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return frozenset(lines)


def _values(node: ast.Call) -> list[ast.expr]:
    return [*node.args, *(each.value for each in node.keywords)]


def _parts(node: ast.expr) -> list[ast.expr]:
    return node.elts if isinstance(node, (ast.Tuple, ast.List)) else [node]


def _starred(node: ast.Call, names: Names) -> list[ast.expr]:
    return [
        part
        for each in node.args
        if isinstance(each, ast.Starred)
        for value in names.given_to(each.value)
        for part in _parts(value)
    ]


def _is_harmless(rest: list[ast.expr], names: Names) -> bool:
    """Whether the signal is 0, which asks whether a process is there, or the program's own."""
    return bool(rest) and (
        names.folder.values(rest[0]) == (0,)
        or bool(_HARMLESS.intersection(names.meanings(rest[0])))
    )


def _is_own(node: ast.expr, names: Names, depth: int = _MAX_DEPTH) -> bool:
    """Whether a pid is one's own, the parent's, or written out."""
    if any(isinstance(each, int) for each in names.folder.values(node)):
        return True
    for each in names.given_to(node):
        if each is not node and depth and _is_own(each, names, depth - 1):
            return True
        for inner in ast.walk(each):
            if not isinstance(inner, ast.Call):
                continue
            called = {*names.meanings(inner.func)}
            if called & _OWN:
                return True
            if called & _GROUPS and inner.args and _is_own(inner.args[0], names, depth - 1):
                return True
    return False
