"""Draws the pictures of the documentation from real heals: `make pictures`.

    terminal.svg   the example project, healed, as it looks on a terminal
    report.png     the HTML report of that very heal, in Chromium
    tutorial.svg   the tutorial's last heal

It needs `rich`, `playwright` with a Chromium, a sandbox, and a system with pseudo-terminals.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from terminal import draw, last_screen, run_in_terminal

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
EXAMPLE = "example_project"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
SIZE = {"width": 900, "height": 760}


def main() -> None:
    """Heal twice, and write the three pictures."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        heal_example(folder)
        heal_tutorial(folder)


def heal_example(folder: Path) -> None:
    """Picture the terminal and the report of a heal of the example project."""
    project = folder / EXAMPLE
    left_out = shutil.ignore_patterns("__pycache__", ".pytest_cache")
    shutil.copytree(ROOT / EXAMPLE, project, ignore=left_out)
    shown = "pytest --selfheal --selfheal-replay=recording.jsonl --tb=no --no-header -rN"
    report = folder / "report.html"
    lines = last_screen(run_in_terminal(f"{shown} --selfheal-report={report}", project))
    # Where the report was written is of no interest, and a path of this machine.
    lines = [line for line in lines if str(report) not in line]
    write("terminal.svg", draw(shown, lines, EXAMPLE), folder)
    if str(folder) in report.read_text("utf-8"):
        raise RuntimeError("the report would show a path of this machine")
    photograph(report, HERE / "report.png")


def heal_tutorial(folder: Path) -> None:
    """Picture the heal at the end of the tutorial, made from its own blocks."""
    text = (HERE.parent / "tutorial.md").read_text("utf-8")
    blocks = re.findall(r"^```sh\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    makes = "\n".join(block for block in blocks if "cat > " in block)
    subprocess.run(["sh", "-euc", makes], cwd=folder, check=True)  # noqa: S603, S607 - our own
    shown = "pytest --selfheal --selfheal-replay=replies.jsonl --tb=no --no-header -rN -v"
    lines = last_screen(run_in_terminal(shown, folder / "parking"))
    write("tutorial.svg", draw(shown, lines, "parking"), folder)


def write(name: str, picture: str, folder: Path) -> None:
    """Write a picture, unless it shows where it was made."""
    if str(folder) in picture:
        raise RuntimeError(f"{name} would show a path of this machine")
    (HERE / name).write_text(picture, encoding="utf-8")


def photograph(page: Path, picture: Path) -> None:
    """Take a picture of the top of a page, in a browser without a window."""
    from playwright.sync_api import sync_playwright

    path = next(found for each in BROWSERS if (found := shutil.which(each)))
    with sync_playwright() as started:
        browser = started.chromium.launch(
            executable_path=path, args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        opened = browser.new_page(viewport=SIZE, color_scheme="light")
        opened.goto(page.as_uri())
        opened.screenshot(path=picture)
        browser.close()


if __name__ == "__main__":
    main()
