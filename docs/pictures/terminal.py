"""A command in a pseudo-terminal, and a picture of what it wrote there.

The command in the picture is the command that is run; nothing is left out of what it prints.
"""

from __future__ import annotations

import os
import pty
import re
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

COLUMNS, ROWS = 100, 40

THEME = TerminalTheme(
    (24, 26, 31),
    (214, 217, 224),
    [
        (58, 62, 71),
        (240, 113, 120),
        (127, 201, 127),
        (230, 192, 105),
        (110, 168, 254),
        (198, 146, 233),
        (95, 196, 205),
        (214, 217, 224),
    ],
    [
        (110, 116, 128),
        (255, 138, 143),
        (152, 222, 152),
        (245, 212, 135),
        (145, 191, 255),
        (216, 174, 245),
        (130, 219, 226),
        (255, 255, 255),
    ],
)

# Rich's own template without the fonts that it fetches from elsewhere: a picture in a README
# may load nothing, and each piece of text is given the width that it must have.
PICTURE = """\
<svg class="rich-terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{
  font-family: "DejaVu Sans Mono", Menlo, Consolas, "Liberation Mono", monospace;
  font-size: {char_height}px;
  line-height: {line_height}px;
}}
.{unique_id}-title {{ font-size: 18px; font-weight: bold; font-family: sans-serif; }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}" />
</clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix" xml:space="preserve">
{matrix}
</g>
</g>
</svg>
"""

_STYLES = re.compile(r"\x1b\[[\d;]*m")
_MOVES = re.compile(r"(\n|\r|\x1b\[2K|\x1b\[1A)")


def run_in_terminal(command: str, folder: Path) -> str:
    """Run a pytest command in a pseudo-terminal and give all that it wrote, colours included.

    Raises:
        RuntimeError: It did not end with 0: a picture of a failed run is not wanted.
    """
    import fcntl
    import termios

    host, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    process = subprocess.Popen(  # noqa: S603 - our own command
        [sys.executable, "-m", *command.split()],
        cwd=folder,
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        env={**_environment(), "TERM": "xterm-256color"},
    )
    os.close(terminal)
    data = _read_all(host)
    os.close(host)
    text = data.decode("utf-8").replace("\r\n", "\n")
    if process.wait() != 0:
        raise RuntimeError(f"{command!r} ended with {process.returncode}:\n{text}")
    return text


def _environment() -> dict[str, str]:
    left_out = {"NO_COLOR", "FORCE_COLOR", "PY_COLORS", "COLUMNS", "LINES", "PYTEST_ADDOPTS", "CI"}
    kept = {name: value for name, value in os.environ.items() if name not in left_out}
    # Whatever else is installed for the tests has no place in the picture.
    alone = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_PLUGINS": "pytest_selfheal.plugin"}
    return kept | alone


def _read_all(descriptor: int) -> bytes:
    data = b""
    while True:
        try:
            part = os.read(descriptor, 2**16)
        except OSError:  # how Linux says that the last writer has gone
            return data
        if not part:
            return data
        data += part


def last_screen(text: str) -> list[str]:
    """Give the lines that stay on the terminal: those redrawn in place are gone at the end."""
    lines, row = [""], 0
    for part in _MOVES.split(text):
        if part == "\n":
            row += 1
            lines += [""] * (row == len(lines))
        elif part == "\x1b[2K":
            lines[row] = ""
        elif part == "\x1b[1A":
            row -= 1
        elif part == "\r":
            lines[row] = "".join(_STYLES.findall(lines[row]))  # what follows is written over it
        else:
            lines[row] += part
    while not lines[-1]:
        del lines[-1]
    return lines


def draw(command: str, lines: list[str], title: str) -> str:
    """Give a picture of a terminal with the command and these lines, as SVG."""
    with open(os.devnull, "w", encoding="utf-8") as nowhere:  # noqa: PTH123 - a device
        console = Console(
            record=True, width=COLUMNS, file=nowhere, force_terminal=True, color_system="truecolor"
        )
        console.print(Text.assemble(("$ ", "green"), (command, "bold")), soft_wrap=True)
        for line in lines:
            for part in _rows(Text.from_ansi(line)):
                console.print(part, soft_wrap=True)
        return console.export_svg(
            title=title, theme=THEME, code_format=PICTURE, unique_id=f"selfheal-{title}"
        )


def _rows(line: Text) -> Iterator[Text]:
    """Break a line as a terminal does, which knows nothing of words."""
    return iter(line.divide(range(COLUMNS, len(line), COLUMNS)))
