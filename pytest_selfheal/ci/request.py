"""The one pull or merge request with a run's patch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pytest_selfheal.ci.branch import Proposal, push, run_tool
from pytest_selfheal.ci.forges import FORGES, Request
from pytest_selfheal.ci.markdown import markdown
from pytest_selfheal.errors import UsageError
from pytest_selfheal.records import HealReport
from pytest_selfheal.report._text import count, one_line
from pytest_selfheal.report.patch import git_prefix

PREFIX = "selfheal/"
"""How the branches of requests begin; none is made for one of these."""
_BODY_BYTES = 60_000  # GitHub takes 65536 characters
_MAX_LISTED = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What the command line says of a request; None is found out."""

    root_dir: Path
    report_file: Path
    patch: Path | None = None
    forge: str | None = None
    base: str | None = None
    branch: str | None = None
    remote: str = "origin"
    title: str | None = None
    dry_run: bool = False


def bring(report: HealReport, wishes: Wishes, environ: Mapping[str, str]) -> tuple[str, str]:
    """Push the patch as a branch, and open or update the request for it.

    Args:
        report: The run's.
        wishes: See there.
        environ: What the CI service says of itself.

    Returns:
        The request's address, empty where there is none; and what was done, for people.

    Raises:
        SelfHealError: It cannot be done; one line.
    """
    patch = _patch(report, wishes)
    if patch is None:
        return "", "there is no patch to propose"
    forge = wishes.forge or _forge(environ)
    base = wishes.base or _base(wishes.root_dir, environ)
    if base.startswith(PREFIX):
        return "", f"{base!r} is itself a proposal: none is made for it"
    healed = [stub.target for stub in report.stubs if stub.status == "healed"]
    title = one_line(wishes.title or f"Heal {count(len(healed), 'stub')} from failing tests")
    request = Request(
        branch=wishes.branch or f"{PREFIX}{base}",
        base=base,
        title=title,
        body=_body(report),
    )
    if request.branch == base:
        raise UsageError(f"--branch={base} is the branch that the request is for")
    prefix = git_prefix(wishes.root_dir)
    listed = [f"- {one_line(target)}" for target in healed[:_MAX_LISTED]]
    proposal = Proposal(
        patch=patch,
        paths=frozenset(prefix + target.rpartition("::")[0] for target in healed),
        branch=request.branch,
        remote=wishes.remote,
        message="\n".join([title, "", *listed]),
    )
    if wishes.dry_run:
        return "", f"{request.branch} -> {base}: {title}\n\n{request.body}"
    is_new = push(wishes.root_dir, proposal)
    url = FORGES[forge](wishes.root_dir, request)
    done = "pushed" if is_new else "up to date"
    told = f"{request.branch} is {done}; the request for {base}: {url or 'see there'}"
    return url, one_line(told)


def _body(report: HealReport) -> str:
    return (
        "These stubs were written from their failing tests by a model, and the tests were seen "
        "green in a sandbox. Read the code as you would anybody's: green tests are all that is "
        "known of it.\n\n" + markdown(report, _BODY_BYTES - 500)
    )


def _patch(report: HealReport, wishes: Wishes) -> Path | None:
    """The patch's file; the report may come from another machine, with its patch beside it."""
    if wishes.patch is None and not report.patch:
        return None
    given = wishes.patch or Path(report.patch or "")
    beside = wishes.report_file.parent / PurePosixPath(given.as_posix()).name
    for file in (given, *([beside] if wishes.patch is None else [])):
        try:
            if file.is_file():
                return file if file.stat().st_size else None
        except (OSError, ValueError):
            continue
    raise UsageError(f"there is no patch at {one_line(str(given))!r}: name it with --patch")


def _forge(environ: Mapping[str, str]) -> str:
    if environ.get("GITHUB_ACTIONS") == "true":
        return "github"
    if environ.get("GITLAB_CI") == "true":
        return "gitlab"
    raise UsageError(f"this is no CI job that is known: say --forge={' or '.join(FORGES)}")


def _base(root_dir: Path, environ: Mapping[str, str]) -> str:
    """The branch that the job runs for."""
    head = run_tool("git", "rev-parse", "HEAD", folder=root_dir).strip()
    is_merge = environ.get("GITHUB_REF", "").startswith("refs/pull/")
    if is_merge and environ.get("GITHUB_SHA") == head:
        raise UsageError(
            "HEAD is GitHub's trial merge of a pull request, which nothing can be based on: "
            "have actions/checkout take `ref: ${{ github.head_ref }}`"
        )
    if environ.get("CI_MERGE_REQUEST_EVENT_TYPE") in ("merged_result", "merge_train"):
        raise UsageError("HEAD is GitLab's trial merge, which nothing can be based on")
    named = (
        environ.get("GITHUB_HEAD_REF"),
        environ.get("GITHUB_REF_NAME") if environ.get("GITHUB_REF_TYPE") == "branch" else None,
        environ.get("CI_MERGE_REQUEST_SOURCE_BRANCH_NAME"),
        environ.get("CI_COMMIT_BRANCH"),
        run_tool("git", "branch", "--show-current", folder=root_dir).strip(),
    )
    found = next((name for name in named if name), None)
    if found is None:
        raise UsageError("HEAD is on no branch: say --base=BRANCH")
    return found
