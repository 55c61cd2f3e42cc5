"""The directive `selfheal-options`: entries for options, as `option_table.py` has them.

    ```{selfheal-options} mode model patch
    ```

It takes the names of `Option.name`. A name that does not exist, or an option that does not have
exactly one entry, is a warning, and so fails the build.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from docutils import nodes
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

from pytest_selfheal.option_table import OPTIONS
from pytest_selfheal.options import Option

_LOGGER = logging.getLogger(__name__)
_KINDS = {
    "flag": "a flag, off unless given",
    "int": "a whole number",
    "float": "a number",
    "size": "a size: bytes, or a number with `k`, `m`, `g` or `t`",
    "str": "a line of text",
    "url": "an http or https address",
    "path": "a path",
    "bool": "`true` or `false`",
    "names": "a list of names",
    "price": "two or three numbers with commas between",
}


def entry(option: Option) -> str:
    """Give an option's entry as Markdown."""
    names = [f"`{name}`" for name in _names(option)]
    facts = [_values(option)]
    if option.default is not None and option.kind != "flag":
        shown = str(option.default).lower() if option.kind == "bool" else option.default
        facts.append(f"default `{shown}`")
    if option.repeatable:
        facts.append("may be given twice")
    if option.flag is None:
        facts.append("for ini files alone")
    elif option.ini is None:
        facts.append("for the command line alone")
    label = f"(option-{option.name.replace('_', '-')})="
    return f"{label}\n\n{', '.join(names)}\n: {option.help}\n\n  *{'; '.join(facts)}*\n"


def _names(option: Option) -> list[str]:
    flag = option.flag and (f"{option.flag}={option.metavar}" if option.metavar else option.flag)
    return [name for name in (flag, option.ini) if name]


def _values(option: Option) -> str:
    if option.kind == "choice":
        return f"one of {', '.join(f'`{choice}`' for choice in option.choices)}"
    shown = _KINDS.get(option.kind, option.kind)
    if option.suffixes:
        shown += f" that ends in {' or '.join(f'`{suffix}`' for suffix in option.suffixes)}"
    if option.kind in ("int", "size", "float") and option.least:
        shown += f", at least {option.least:g}"
    return shown


class SelfhealOptions(SphinxDirective):
    """Entries for the options that it names."""

    required_arguments = 1
    final_argument_whitespace = True

    def run(self) -> list[nodes.Node]:
        """Give the entries, in the order in which they are named."""
        known = {option.name: option for option in OPTIONS}
        wanted = self.arguments[0].split()
        for name in sorted(set(wanted) - set(known)):
            _LOGGER.warning("there is no option %r", name, location=self.get_location())
        listed = [name for name in wanted if name in known]
        _listed(self.env).setdefault(self.env.docname, []).extend(listed)
        return self.parse_text_to_nodes("\n".join(entry(known[name]) for name in listed))


def _listed(env: Any) -> dict[str, list[str]]:
    if not hasattr(env, "selfheal_listed_options"):
        env.selfheal_listed_options = {}
    return env.selfheal_listed_options  # type: ignore[no-any-return]


def _forget(app: Any, env: Any, docname: str) -> None:
    _listed(env).pop(docname, None)


def _compare(app: Any, env: Any) -> None:
    count = Counter(name for names in _listed(env).values() for name in names)
    for option in OPTIONS:
        if count[option.name] != 1:
            _LOGGER.warning(
                "option %r has %d entries on the site, not one", option.name, count[option.name]
            )


def setup(app: Any) -> dict[str, bool]:
    """Add the directive, and the look whether all options are there."""
    app.add_directive("selfheal-options", SelfhealOptions)
    app.connect("env-purge-doc", _forget)
    app.connect("env-check-consistency", _compare)
    return {"parallel_read_safe": False, "parallel_write_safe": True}
