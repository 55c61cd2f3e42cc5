"""What an option is, and how pytest is told of them.

Imported by every pytest run, as is their table, `option_table`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import pytest

Kind = Literal[
    "flag",
    "choice",
    "int",
    "float",
    "size",
    "str",
    "url",
    "path",
    "bool",
    "names",
    "patterns",
    "price",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One thing that a user may set."""

    flag: str | None = None
    """Its name on the command line; None where it is for ini files alone."""
    ini: str | None = None
    """Its key in ini files; None where it is for the command line alone."""
    kind: Kind
    help: str
    """One sentence; the default is added where it is shown."""
    metavar: str = ""
    default: str | int | float | bool | None = None
    """As a user would write it; None for nothing."""
    choices: tuple[str, ...] = ()
    least: float = 1
    """The smallest number that is accepted (bytes, where `kind` is `size`)."""
    most: float = 10**6
    """The largest number that is accepted where `kind` is `float`: ten days, as seconds.

    Threads cannot wait for longer than some 300 years.
    """
    suffixes: tuple[str, ...] = ()
    """What a path may end in, lower case; empty for anything."""
    repeatable: bool = False

    @property
    def name(self) -> str:
        """Its name inside: the field of `Settings`, and argparse's `dest` after a prefix."""
        if self.ini is not None:
            return self.ini.removeprefix("selfheal_")
        return "enabled" if self.dest == "selfheal" else self.dest.removeprefix("selfheal_")

    @property
    def dest(self) -> str:
        """The attribute of `config.option` that holds the command line's value."""
        return self.ini or (self.flag or "").removeprefix("--").replace("-", "_")

    @property
    def is_many(self) -> bool:
        """Whether several values may be given."""
        return self.repeatable or self.kind in ("names", "patterns")

    @property
    def help_with_default(self) -> str:
        """The help text, ending with the default where there is one to be told."""
        if self.default is None or self.kind == "flag":
            return self.help
        shown = "false" if self.kind == "bool" else self.default
        return f"{self.help} (default: {shown})"


def add_options(parser: pytest.Parser, options: Iterable[Option]) -> None:
    """Make options known to pytest, on its command line and in its ini files.

    Nothing is given a default here, so that `read_settings` can tell what was set.
    """
    group = parser.getgroup("selfheal", "selfheal: fill in marked stubs from failing tests")
    for option in options:
        if option.flag is not None:
            group.addoption(option.flag, **_argparse_keywords(option))
        if option.ini is not None:
            # Text or lines, whatever the kind: pytest would turn "0" into 0, or refuse it,
            # before `read_settings` can say what is accepted in the user's own words.
            is_list = option.is_many
            ini_type: Literal["linelist", "string"] = "linelist" if is_list else "string"
            parser.addini(option.ini, option.help_with_default, type=ini_type, default=None)


def _argparse_keywords(option: Option) -> dict[str, Any]:
    help_text = option.help_with_default.replace("%", "%%")
    keywords: dict[str, Any] = {"dest": option.dest, "default": None, "help": help_text}
    if option.kind == "flag":
        return keywords | {"action": "store_true"}
    action = "append" if option.repeatable else "store"
    return keywords | {"action": action, "metavar": option.metavar}
