"""`ci`: what CI services show of a run, from its JSON report."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

from pytest_selfheal.ci.code_quality import code_quality
from pytest_selfheal.ci.forges import FORGES
from pytest_selfheal.ci.markdown import SUMMARY_BYTES, markdown
from pytest_selfheal.ci.places import places
from pytest_selfheal.ci.read import read_report
from pytest_selfheal.ci.request import PREFIX, Wishes, bring
from pytest_selfheal.ci.workflow import annotated, as_output_file, outputs
from pytest_selfheal.errors import UsageError
from pytest_selfheal.report._files import write_whole

_ABOUT = "What CI services show of a run, from the report that --selfheal-report=….json wrote."


def run(arguments: Sequence[str]) -> int:
    """Run one of the commands for CI.

    Raises:
        UsageError: Its arguments or the report cannot be used; one line.
    """
    given = _parser().parse_args(arguments)
    work: Callable[[argparse.Namespace], int] = given.work
    return work(given)


class _Parser(argparse.ArgumentParser):
    """One that says what is wrong as every other command does."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}; see {self.prog} --help")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="python -m pytest_selfheal ci", description=_ABOUT)
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    def add(name: str, work: Callable[[argparse.Namespace], int], about: str) -> _Parser:
        command: _Parser = commands.add_parser(name, help=about, description=about)
        command.add_argument(
            "report",
            nargs="?",
            type=Path,
            default=Path("selfheal.json"),
            help="the JSON report (default: %(default)s)",
        )
        command.set_defaults(work=work)
        return command

    summary = add("summary", _summary, "the run as Markdown, for the job's summary")
    _add_output(summary, "GITHUB_STEP_SUMMARY")
    _add_output(add("outputs", _outputs, "the step's outputs on GitHub"), "GITHUB_OUTPUT")
    notes = add("annotations", _annotations, "GitHub's annotations of the stubs, on stdout")
    _add_root(notes)
    quality = add("code-quality", _code_quality, "GitLab's code quality report")
    _add_root(quality)
    quality.add_argument("--output", type=Path, help="write it to this file, not to stdout")
    request = add(
        "pull-request",
        _pull_request,
        "push the patch as a branch, and open or update its pull or merge request",
    )
    _add_root(request)
    request.add_argument("--patch", type=Path, help="the patch (default: the report's)")
    request.add_argument(
        "--forge", choices=list(FORGES), help="whose command is called, gh or glab (default: CI's)"
    )
    request.add_argument("--base", help="the branch that it is for (default: the job's)")
    request.add_argument("--branch", help=f"the branch to push (default: {PREFIX}BASE)")
    request.add_argument("--remote", default="origin", help="where to (default: %(default)s)")
    request.add_argument("--title", help="the request's title")
    request.add_argument(
        "--dry-run", action="store_true", help="push nothing and call nobody, print the request"
    )
    return parser


def _add_output(command: _Parser, variable: str) -> None:
    command.add_argument(
        "--output",
        type=Path,
        default=os.environ.get(variable) or None,
        help=f"append to this file (default: ${variable}, else stdout)",
    )


def _add_root(command: _Parser) -> None:
    command.add_argument(
        "--root",
        type=Path,
        default=Path(),
        help="pytest's rootdir, which the report's paths count from (default: the current folder)",
    )


def _summary(given: argparse.Namespace) -> int:
    report = read_report(given.report)
    there = _size(given.output)
    if there < SUMMARY_BYTES - 2000:
        _append(given.output, markdown(report, SUMMARY_BYTES - there))
    return 0


def _outputs(given: argparse.Namespace) -> int:
    _append(given.output, as_output_file(outputs(read_report(given.report))))
    return 0


def _annotations(given: argparse.Namespace) -> int:
    report = read_report(given.report)
    for line in annotated(places(report.stubs, given.root), report.mode):
        _append(None, f"{line}\n")
    return 0


def _code_quality(given: argparse.Namespace) -> int:
    report = read_report(given.report)
    text = code_quality(places(report.stubs, given.root), report.mode)
    if given.output is None:
        _append(None, text)
    else:
        write_whole(given.output, text.encode(), "the code quality report")
    return 0


def _pull_request(given: argparse.Namespace) -> int:
    wishes = Wishes(
        root_dir=given.root,
        report_file=given.report,
        patch=given.patch,
        forge=given.forge,
        base=given.base,
        branch=given.branch,
        remote=given.remote,
        title=given.title,
        dry_run=given.dry_run,
    )
    url, done = bring(read_report(given.report), wishes, os.environ)
    _append(None, f"selfheal: {done}\n")
    told = os.environ.get("GITHUB_OUTPUT")
    if told and not given.dry_run:
        _append(Path(told), as_output_file({"pull-request-url": url}))
    return 0


def _size(path: Path | None) -> int:
    try:
        return path.stat().st_size if path is not None else 0
    except OSError:
        return 0


def _append(path: Path | None, text: str) -> None:
    """Add to a file that the CI service reads, or write to standard output."""
    data = text.encode("utf-8", "replace")
    if path is None:
        sys.stdout.buffer.write(data)
        sys.stdout.flush()
        return
    try:
        with path.open("ab") as file:
            file.write(data)
    except OSError as error:
        raise UsageError(f"{str(path)!r} cannot be written: {error.strerror}") from None
