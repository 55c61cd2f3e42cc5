"""A patch as commits on a branch of its own, pushed. The work tree is not touched."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from pytest_selfheal.errors import SelfHealError
from pytest_selfheal.git import identity
from pytest_selfheal.healing.commits import SIGNATURE
from pytest_selfheal.programs import ProgramFailed, run_program
from pytest_selfheal.report._files import is_mbox
from pytest_selfheal.report._text import cut, one_line
from pytest_selfheal.report.patch import git_prefix

_SECONDS = 600
# Hooks of the repository are for people's commits; nothing may ask anybody anything.
_OPTIONS = ("-c", f"core.hooksPath={os.devnull}", "-c", "advice.detachedHead=false")


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """What is to be on the branch."""

    patch: Path
    paths: frozenset[str]
    """From the top of the repository: the only files that the patch may change."""
    branch: str
    remote: str
    message: str
    """Of the one commit, where the patch is no series of commits."""


def push(root_dir: Path, proposal: Proposal) -> bool:
    """Put the patch on HEAD and push that as the branch; False where it is there already.

    A branch of that name is replaced only if it ends in a commit of ours.

    Raises:
        SelfHealError: git does not want to, the patch does not apply or changes more than it
            may, or the branch holds somebody else's work; one line.
    """
    if not _is_branch(root_dir, proposal.branch):
        raise SelfHealError(f"{proposal.branch!r} is no name for a branch")
    with _tree(root_dir) as tree:
        commit = _commit(root_dir, tree, proposal)
        tip = _tip(root_dir, proposal)
        if tip and _git(tree, "rev-parse", f"{tip}^{{tree}}") == _git(
            tree, "rev-parse", f"{commit}^{{tree}}"
        ):
            return False
        name = f"refs/heads/{proposal.branch}"
        # The lease: what was looked at just now is what is replaced. From the repository itself,
        # since a remote's path may be a relative one.
        lease = f"--force-with-lease={name}:{tip}"
        _git(root_dir, "push", "--quiet", lease, "--", proposal.remote, f"{commit}:{name}")
    return True


def _is_branch(root_dir: Path, name: str) -> bool:
    try:
        _git(root_dir, "check-ref-format", f"refs/heads/{name}")
    except SelfHealError:
        return False
    return True


@contextmanager
def _tree(root_dir: Path) -> Iterator[Path]:
    """A work tree of its own at HEAD, gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="selfheal-") as folder:
        tree = Path(folder) / "tree"
        _git(root_dir, "worktree", "add", "--quiet", "--detach", str(tree), "HEAD")
        try:
            yield tree
        finally:
            with suppress(SelfHealError):  # what went wrong before is what is told
                _git(root_dir, "worktree", "remove", "--force", str(tree))


def _commit(root_dir: Path, tree: Path, proposal: Proposal) -> str:
    """Commit the patch in the tree; the new commit."""
    base = _git(tree, "rev-parse", "HEAD")
    author = identity(root_dir)
    # The same patch on the same commit is the same commit, whenever it is made.
    date = _git(tree, "log", "-1", "--format=%cI")
    env = {
        f"GIT_{role}_{what}": value
        for role in ("AUTHOR", "COMMITTER")
        for what, value in (("NAME", author.name), ("EMAIL", author.email), ("DATE", date))
    }
    patch = str(proposal.patch.resolve())
    if is_mbox(patch):
        _git(tree, "am", "--quiet", "--3way", "--", patch, env=env)
    else:
        folder = tree / git_prefix(root_dir)
        _git(folder, "apply", "--whitespace=nowarn", "--", patch)
        _git(tree, "add", "--all")
    raw = ("--raw", "-z", "--no-renames")
    _check(_git(tree, "diff", "--cached", *raw, base), proposal.paths)
    if is_mbox(patch):  # what one commit does the next may undo, and both are pushed
        for commit in _git(tree, "rev-list", f"{base}..HEAD").split():
            _check(_git(tree, "diff", *raw, f"{commit}^", commit), proposal.paths)
    else:
        said = tree.parent / "message"
        said.write_text(f"{proposal.message}\n\n{SIGNATURE}\n", encoding="utf-8")
        _git(tree, "commit", "--quiet", f"--file={said}", env=env)
    return _git(tree, "rev-parse", "HEAD")


def _check(raw: str, paths: Collection[str]) -> None:
    """Whether the patch changes the content of these files and nothing else."""
    if not raw:
        raise SelfHealError("the patch changes nothing here: is it in already?")
    fields = raw.rstrip("\0").split("\0")
    for change, path in zip(fields[::2], fields[1::2], strict=True):
        is_plain = re.fullmatch(r":(100\d{3}) \1 \S+ \S+ M", change)
        if not is_plain or path not in paths or not path.endswith(".py"):
            raise SelfHealError(
                f"the patch changes {one_line(path)!r}, which is no file of a healed stub"
            )


def _tip(root_dir: Path, proposal: Proposal) -> str:
    """The commit that the branch ends in, nothing where there is no such branch.

    Raises:
        SelfHealError: It is not one of ours.
    """
    name = f"refs/heads/{proposal.branch}"
    listed = _git(root_dir, "ls-remote", "--", proposal.remote, name)
    tip = listed.partition("\t")[0]
    if not tip:
        return ""
    # A whole clone would be cut off there by a depth.
    is_shallow = _git(root_dir, "rev-parse", "--is-shallow-repository") == "true"
    depth = ["--depth=1"] if is_shallow else []
    _git(root_dir, "fetch", "--quiet", "--no-tags", *depth, "--", proposal.remote, name)
    if SIGNATURE not in _git(root_dir, "log", "-1", "--format=%B", tip).splitlines():
        raise SelfHealError(
            f"the branch {proposal.branch!r} of {proposal.remote!r} ends in a commit of somebody "
            "else's: merge it or delete it, or name another with --branch"
        )
    return tip


def _git(folder: Path, *arguments: str, env: Mapping[str, str] | None = None) -> str:
    """What git says, without the white space around."""
    return run_tool("git", *_OPTIONS, *arguments, folder=folder, env=env).strip()


def run_tool(name: str, *arguments: str, folder: Path, env: Mapping[str, str] | None = None) -> str:
    """Run a program to its end; its standard output.

    Raises:
        SelfHealError: It is not there, takes too long or fails: its last words, on one line.
    """
    try:
        return run_program(name, *arguments, folder=folder, seconds=_SECONDS, env=env)
    except ProgramFailed as error:
        # An address may hold a token.
        said = re.sub(r"://[^/@\s]+@", "://…@", one_line(error.said))
        raise SelfHealError(f"{error}: {cut(said, 500)}" if said else str(error)) from None
