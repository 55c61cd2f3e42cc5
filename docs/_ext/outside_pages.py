"""Links to pages that lie beside `docs/` lead to their places on the site.

In the repository a page links to `../README.md`; the site has such pages too, by another name.
"""

from __future__ import annotations

import posixpath
import re
from typing import Any

PAGES = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "example_project/README.md": "example-project.md",
}
"""What a page outside is called on the site; paths from the repository, and from `docs/`."""

_LINK = re.compile(r"\]\((?P<path>[^)\s#:]+)(?P<anchor>#[^)\s]*)?\)")


def site_link(path: str, page: str) -> str | None:
    """Give the link to write on a page of the site, None where it may stay as it is.

    Args:
        path: What the link says, relative to `page`.
        page: Where it stands, from the repository's top: `docs/how-to/ci.md`.
    """
    target = posixpath.normpath(posixpath.join(posixpath.dirname(page), path))
    shown_on = f"docs/{PAGES[page]}" if page in PAGES else page
    if target in PAGES:
        target = f"docs/{PAGES[target]}"
    elif page not in PAGES:
        return None
    return posixpath.relpath(target, posixpath.dirname(shown_on))


def rewrite(text: str, page: str) -> str:
    """Give a page's text with links as the site has them."""

    def replaced(found: re.Match[str]) -> str:
        link = site_link(found["path"], page)
        return found[0] if link is None else f"]({link}{found['anchor'] or ''})"

    return _LINK.sub(replaced, text)


def _on_source(app: Any, docname: str, source: list[str]) -> None:
    source[0] = rewrite(source[0], f"docs/{docname}.md")


def _on_include(app: Any, path: Any, parent: str, source: list[str]) -> None:
    # The path comes from the folder of the pages.
    source[0] = rewrite(source[0], posixpath.normpath(f"docs/{path.as_posix()}"))


def setup(app: Any) -> dict[str, bool]:
    """Have Sphinx ask for each page's text, and for each one that is included."""
    app.connect("source-read", _on_source)
    app.connect("include-read", _on_include)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
