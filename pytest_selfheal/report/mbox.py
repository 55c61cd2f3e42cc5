"""Edits written as a series of commits, in the form of mails that `git am` takes.

A line of a patch or of a message may be anything; what could be taken for the end of a
mail, of a message or of a line is kept from being seen as one.
"""

from __future__ import annotations

import binascii
import os
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from email.header import Header
from email.utils import formataddr, formatdate
from pathlib import Path

from pytest_selfheal.git import Identity, converted, identity, object_format
from pytest_selfheal.records import Edit
from pytest_selfheal.report._files import write_whole
from pytest_selfheal.report._text import one_line, visible
from pytest_selfheal.report.patch import full_patch, git_prefix, index_line

# The date is part of the form: it is what git itself writes there.
_FROM_LINE = f"From {'0' * 40} Mon Sep 17 00:00:00 2001\n"
_MAX_EPOCH = 253402300799  # the last second of the year 9999


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """A change with its message."""

    subject: str
    """One line."""
    body: str
    """Plain text; its lines begin with words of ours or with a `- `."""
    edit: Edit


def mbox(
    commits: Sequence[Commit],
    root_dir: Path,
    *,
    author: Identity,
    seconds: int,
    hash_name: str = "sha1",
) -> bytes:
    """Give commits as mails, in order.

    Args:
        commits: Each made from what the one before left.
        root_dir: What their paths count from; `git am` counts from the top of its work tree.
        author: Whom they are by.
        seconds: When, since the epoch.
        hash_name: How the repository names objects, for a three-way merge.
    """
    mails = []
    prefix = git_prefix(root_dir)
    for number, commit in enumerate(commits, 1):
        patch = full_patch(commit.edit, prefix, index_line(commit.edit, root_dir, hash_name))
        message = visible(commit.body).strip("\n")
        content = f"{message}\n---\n\n".encode() + patch + b"\n"
        # git takes carriage returns out of mails that are not encoded.
        is_encoded = b"\r" in content
        encoding = "quoted-printable" if is_encoded else "8bit"
        of = f" {number}/{len(commits)}" if len(commits) > 1 else ""
        head = (
            f"{_FROM_LINE}From: {_address(author)}\nDate: {formatdate(seconds)}\n"
            f"Subject: [PATCH{of}] {_subject(commit.subject)}\nMIME-Version: 1.0\n"
            "Content-Type: text/plain; charset=UTF-8\n"
            f"Content-Transfer-Encoding: {encoding}\n\n"
        )
        mails += [head.encode(), _quoted_printable(content) if is_encoded else content]
    return b"".join(mails)


def write_mbox(commits: Sequence[Commit], path: Path, root_dir: Path) -> None:
    """Write `mbox` for a rootdir, whole or not at all, by whom and when git would say.

    Raises:
        SelfHealError: It cannot be written; one line.
    """
    with_crlf = [each.edit.path for each in commits if b"\r\n" in each.edit.before]
    as_kept = converted(root_dir, list(dict.fromkeys(with_crlf)))
    content = mbox(
        [_with_line_feeds(each) if each.edit.path in as_kept else each for each in commits],
        root_dir,
        author=identity(root_dir),
        seconds=_now(),
        hash_name=object_format(root_dir),
    )
    write_whole(path, content, "the series of commits")


def _with_line_feeds(commit: Commit) -> Commit:
    """The same for the file as git keeps it: `git am` looks there, not at the work tree."""
    edit = commit.edit
    before, after = (text.replace(b"\r\n", b"\n") for text in (edit.before, edit.after))
    return replace(commit, edit=replace(edit, before=before, after=after))


def _now() -> int:
    """The present, or what `SOURCE_DATE_EPOCH` says instead."""
    said = os.environ.get("SOURCE_DATE_EPOCH", "")
    if re.fullmatch(r"[0-9]{1,12}", said) and int(said) <= _MAX_EPOCH:
        return int(said)
    return int(time.time())


def _address(author: Identity) -> str:
    # The first at sign of the line is where git looks for the address.
    name = one_line(author.name.replace("@", " at "))
    return formataddr((name, "selfheal@localhost"), "utf-8").replace(
        "<selfheal@localhost>", f"<{author.email}>"
    )


def _subject(subject: str) -> str:
    text = one_line(subject)
    if text.isascii() and "=?" not in text:
        return text
    return Header(text, "utf-8", maxlinelen=76, header_name="Subject: [PATCH 100/100]").encode()


def _quoted_printable(content: bytes) -> bytes:
    # Line by line: what ends a line here stays as it is, each carriage return does not.
    lines = content.split(b"\n")
    return b"\n".join(binascii.b2a_qp(line, istext=False) for line in lines)
