"""What a prompt quotes of a project; each kind of thing has its own module."""

from __future__ import annotations

from pytest_selfheal.source.context_data import data_excerpts
from pytest_selfheal.source.context_imports import imported_definitions
from pytest_selfheal.source.context_module import module_excerpt
from pytest_selfheal.source.context_tests import names_in_tests, test_excerpts

__all__ = [
    "data_excerpts",
    "imported_definitions",
    "module_excerpt",
    "names_in_tests",
    "test_excerpts",
]
