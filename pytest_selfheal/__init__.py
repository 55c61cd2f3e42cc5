"""Mark stubs with `heal`; `pytest --selfheal` writes them from their failing tests.

Importing this costs no more than the marker: production code may do it.
"""

from __future__ import annotations

from pytest_selfheal.marker import StubCalled, heal

__all__ = ["StubCalled", "__version__", "heal"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    __version__: str


def __getattr__(name: str) -> str:
    """Give `__version__` from the installed package's metadata, which is slow to import."""
    if name != "__version__":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib.metadata import version

    return version("pytest-selfheal")
