"""How the site is built: `make docs`, which takes warnings for errors and no network."""

from __future__ import annotations

import sys
from pathlib import Path

DOCS = Path(__file__).resolve().parent
sys.path[:0] = [str(DOCS / "_ext"), str(DOCS.parent)]

import pytest_selfheal  # noqa: E402 - from this checkout, whatever is installed

project = "pytest-selfheal"
copyright = "the pytest-selfheal authors"
release = version = pytest_selfheal.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "docstrings",
    "outside_pages",
    "selfheal_options",
    "selfheal_report",
]
exclude_patterns = ["_build", "_ext", "_static", "examples", "pictures"]

myst_heading_anchors = 4
myst_enable_extensions = ["deflist"]
# A block that is opened with two words, such as `python conftest`, has the first one's colours.
highlight_language = "none"

autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
python_use_unqualified_type_names = True
add_module_names = False
nitpicky = True
# Nothing is fetched to build this, so names of other projects lead nowhere.
nitpick_ignore_regex = [
    (r"py:class", r"pytest_selfheal\.(jobs|records)\..*"),  # some are of no interest to plugins
    (r"py:.*", r"(Sequence|Mapping|Literal|Path|Decimal|bytes|Protocol|frozenset|Callable|T)"),
    (r"py:.*", r"(collections|typing|pathlib|decimal)\..*"),
]

html_theme = "furo"
html_title = "pytest-selfheal"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sphinx = False
html_copy_source = False
html_show_sourcelink = False
