"""A run on a pseudo-terminal of its own, which is its controlling terminal, and who types there."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Mapping, Sequence

from tests.harness import TIMEOUT_SECONDS, Project, Run
from tests.scripted_server import ScriptedServer

CTRL_C, CTRL_D = "\x03", "\x04"
_LONGEST_SECONDS = 2 * TIMEOUT_SECONDS
"""A conversation may hold several runs' worth of verifications."""


def converse(
    project: Project,
    server: ScriptedServer | None,
    *arguments: str,
    questions: Sequence[str] = (),
    answers: Sequence[str] = (),
    env: Mapping[str, str] | None = None,
    columns: int = 110,
) -> Run:
    """Run `pytest --selfheal` and type an answer each time that a question is asked.

    Args:
        project: Where it runs.
        server: Who answers as the model.
        arguments: More of the command line.
        questions: The last words of what asks.
        answers: What is typed, with a return unless it is a control character.
        env: More environment variables.
        columns: How wide the terminal is.
    """
    before = project.files()
    project.report_file.unlink(missing_ok=True)
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    environment = project.environment(server, env)
    environment.pop("COLUMNS")
    process = subprocess.Popen(
        project.command(*arguments, server=server),
        cwd=project.root,
        env=environment,
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
        preexec_fn=_take_terminal,
    )
    os.close(slave)
    try:
        output = _typed(process, master, [word.encode() for word in questions], list(answers))
        status = process.wait(TIMEOUT_SECONDS)
    finally:
        process.kill()
        os.close(master)
    return project.outcome(status, output.replace(b"\r\n", b"\n"), before)


def _take_terminal() -> None:
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _typed(
    process: subprocess.Popen[bytes], master: int, questions: Sequence[bytes], answers: list[str]
) -> bytes:
    output = b""
    asked = 0
    deadline = time.monotonic() + _LONGEST_SECONDS
    while time.monotonic() < deadline:
        if select.select([master], [], [], 0.1)[0]:
            try:
                output += os.read(master, 2**16)
            except OSError:  # the other end was closed with the process's end
                return output
        if answers and sum(map(output.count, questions)) > asked:
            asked += 1
            answer = answers.pop(0)
            os.write(master, answer.encode() + (b"" if answer in (CTRL_C, CTRL_D) else b"\n"))
        if process.poll() is not None and not select.select([master], [], [], 0)[0]:
            return output
    raise AssertionError(f"the run went on for {_LONGEST_SECONDS} s\n{output.decode()}")
