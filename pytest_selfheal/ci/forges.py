"""One pull or merge request for a branch: opened, or brought up to date."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_selfheal.ci.branch import run_tool
from pytest_selfheal.errors import SelfHealError
from pytest_selfheal.report._text import one_line


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A pull or merge request, as it is to be."""

    branch: str
    base: str
    title: str
    body: str
    """Markdown."""


def on_github(root_dir: Path, request: Request) -> str:
    """Open or update the pull request with `gh`; its address.

    Raises:
        SelfHealError: `gh` is not there, or fails; one line.
    """
    listed = run_tool(
        "gh",
        "pr",
        "list",
        f"--head={request.branch}",
        f"--base={request.base}",
        "--state=open",
        "--json=number,url,isCrossRepository",
        folder=root_dir,
    )
    with tempfile.TemporaryDirectory(prefix="selfheal-") as folder:
        for each in _objects("gh", listed):
            # A branch of the same name in somebody's fork is not ours.
            if each.get("isCrossRepository") is False:
                text = {"title": request.title, "body": request.body}
                file = Path(folder) / "request.json"
                file.write_text(json.dumps(text), encoding="utf-8")
                path = f"repos/{{owner}}/{{repo}}/pulls/{_number('gh', each, 'number')}"
                run_tool(
                    "gh", "api", "--method=PATCH", "--silent", f"--input={file}", path,
                    folder=root_dir,
                )  # fmt: skip
                return _address(str(each.get("url")))
        file = Path(folder) / "body.md"
        file.write_text(request.body, encoding="utf-8")
        return _address(
            run_tool(
                "gh",
                "pr",
                "create",
                f"--head={request.branch}",
                f"--base={request.base}",
                f"--title={request.title}",
                f"--body-file={file}",
                folder=root_dir,
            )
        )


def on_gitlab(root_dir: Path, request: Request) -> str:
    """Open or update the merge request with `glab`; its address.

    Raises:
        SelfHealError: `glab` is not there, or fails; one line.
    """
    ends = (f"--source-branch={request.branch}", f"--target-branch={request.base}")
    text = (f"--title={request.title}", f"--description={request.body}")
    listed = run_tool("glab", "mr", "list", *ends, "--output=json", folder=root_dir)
    for each in _objects("glab", listed):
        if each.get("source_project_id") == each.get("target_project_id"):
            number = str(_number("glab", each, "iid"))
            run_tool("glab", "mr", "update", number, *text, folder=root_dir)
            return _address(str(each.get("web_url")))
    return _address(run_tool("glab", "mr", "create", *ends, *text, "--yes", folder=root_dir))


FORGES: Mapping[str, Callable[[Path, Request], str]] = {
    "github": on_github,
    "gitlab": on_gitlab,
}


def _objects(tool: str, text: str) -> list[dict[str, Any]]:
    try:
        value = json.loads(text or "[]")
    except ValueError:
        value = None
    if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
        raise SelfHealError(f"{tool} listed the requests in a way that is not understood")
    return value


def _number(tool: str, request: Mapping[str, Any], key: str) -> int:
    number = request.get(key)
    if not isinstance(number, int) or isinstance(number, bool) or number < 1:
        raise SelfHealError(f"{tool} gave a request without its number")
    return number


def _address(text: str) -> str:
    """The last address in what was said."""
    found = re.findall(r"https?://[!-~]+", one_line(text))
    return found[-1] if found else ""
