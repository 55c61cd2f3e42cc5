"""Quoting in a prompt: without secrets, within bounds, and told apart from the prompt itself."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from pytest_selfheal.model.fold import (
    encodable,
    fenced,
    fold,
    one_line,
    without_target_lines,
)
from pytest_selfheal.model.printed import fold_long_lines
from pytest_selfheal.model.redact import redact

LINE_LIMIT = 500
"""Characters: longer lines of tracebacks are values that nobody reads to their end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quoting:
    """How to quote."""

    secrets: Collection[str] = ()
    """Names whose values are cut out beside what looks like a secret."""
    told: Collection[str] = ()
    """Secrets that some of the texts tell by a name: they are cut out of all of them."""
    _cleaned: dict[str, str] = field(default_factory=dict, repr=False, compare=False)
    """What was quoted before: a text that is made to fit quotes the same several times."""

    def block(self, text: str, language: str = "", *, limit: int | None = None) -> str:
        """Give the text in a code fence, its head and tail where it is over `limit`."""
        clean = self.clean(text)
        shown = clean if limit is None else fold(clean, limit)
        return fenced(without_target_lines(shown), language)

    def printed(self, text: str, limit: int, line_limit: int = LINE_LIMIT) -> str:
        """The same for what pytest printed: long values are folded as well."""
        folded = fold(fold_long_lines(self.clean(text), line_limit), limit)
        return fenced(without_target_lines(folded))

    def inline(self, text: str, limit: int = 300) -> str:
        """Give the text on one line."""
        return one_line(self.clean(text), limit)

    def clean(self, text: str) -> str:
        """Cut secrets out, before anything else: half a secret is not recognised as one."""
        if text not in self._cleaned:
            self._cleaned[text] = redact(encodable(text), self.secrets, self.told)
        return self._cleaned[text]
