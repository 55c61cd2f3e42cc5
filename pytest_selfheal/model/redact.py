"""Cutting out what looks like a secret, before anything is sent or written down.

Recognition is deliberately narrow: a test's sample data that is cut out makes its stub
unhealable, so a plain word is left alone even where a variable is called `password`.
"""

from __future__ import annotations

import json
import math
import os
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

from pytest_selfheal.model.detectors import known_forms

REDACTED = "[redacted]"

# The key's own lines, also as a string's repr or a traceback shows them. Code that only
# names the header line, as a parser of such files does, is left alone.
_KEY_TEXT = r"(?:[A-Za-z0-9+/=\s,:\\>|'\"]|-(?!----)){0,20000}"
_PRIVATE_KEY = re.compile(
    r"-----BEGIN (?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)?-----"
    rf"(?:{_KEY_TEXT}-----END (?:[A-Z0-9]+ ){{0,3}}PRIVATE KEY(?: BLOCK)?-----"
    rf"|[\s\\nr'\"]{{0,12}}[A-Za-z0-9+/=]{{32,}}{_KEY_TEXT})"
    r"|(?<=Private-Lines: )\d+\s+[A-Za-z0-9+/=\s]{20,20000}"  # PuTTY's
)

_KNOWN_TOKENS = re.compile(
    r"(?<![A-Za-z0-9])(?:"
    r"sk-(?=[\w-]{0,64}[0-9A-Z])[\w-]{16,}"  # OpenAI, Anthropic and others
    r"|[sr]k_(?:live|test)_[0-9A-Za-z]{16,}"
    r"|whsec_[0-9A-Za-z+/=]{16,}"
    r"|gh[opsur]_[0-9A-Za-z]{30,}|github_pat_\w{30,}|glpat-[\w-]{18,}"
    r"|xox[abeoprs]-[0-9A-Za-z-]{10,}"
    r"|(?:AKIA|ASIA|AROA|AIDA)[0-9A-Z]{16}(?![0-9A-Za-z])"
    r"|AIza[\w-]{35}|ya29\.[\w-]{20,}"
    r"|hf_[0-9A-Za-z]{30,}|npm_[0-9A-Za-z]{30,}|pypi-AgE[\w-]{16,}|dop_v1_[0-9a-f]{40,}"
    r"|AGE-SECRET-KEY-1[0-9A-Z]{30,}|[0-9]{8,10}:AA[\w-]{32,33}(?![\w-])"  # age, Telegram
    r"|SG\.[\w-]{16,}\.[\w-]{16,}"
    r"|eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*"  # a JSON web token
    r")"
)

_WEBHOOK = re.compile(
    r"(?:hooks\.slack\.com/services|discord(?:app)?\.com/api/webhooks"
    r"|[\w.-]{1,80}\.webhook\.office\.com/webhookb2)/([\w/@-]{20,})"
)

_SCHEME = re.compile(r"(?i)\b(?:bearer|basic|token|apikey)\s{1,3}([\w.~+/=-]{16,})")

_SIGNED_URL = re.compile(
    r"(?i)[?&](?:sig|signature|x-(?:amz|goog)-(?:signature|credential|security-token))="
    r"([^&\s'\"]{16,512})"
)

_URL_USER = re.compile(
    r"[A-Za-z][A-Za-z0-9+.-]{1,24}://([^\s:/?#@'\"`]{16,256})(?=(?::[^\s/@'\"`]{0,256})?@[\w\[])"
)

# To the last at sign: a password may hold one.
_URL_PASSWORD = re.compile(
    r"[A-Za-z][A-Za-z0-9+.-]{1,24}://[^\s:/@'\"`]{0,128}:"
    r"([^\s/@'\"`]{1,256}(?:@[^\s/@?#,;'\"`]{1,64})*)(?=@[\w\[])"
)

_BLANK = r"(?:\s|\\[nt]){1,8}"
_NETRC = re.compile(
    rf"\blogin{_BLANK}\S{{1,128}}?{_BLANK}(?P<name>password){_BLANK}([^\s\\'\"]{{6,256}})"
)

_USER_AND_PASSWORD = re.compile(
    r"(?:\bauth\s{0,4}[=:]\s{0,4}|BasicAuth)\(\s{0,20}[\"'][^\"'\n]{0,128}[\"']\s{0,4},\s{0,20}"
    r"[\"']([^\"'\s]{8,512})[\"']"
)

# It starts at the telling word, not at the name's first letter, so that the search
# stays linear over megabytes of one long word.
_TOLD = (
    r"(?P<name>(?i:passw(?:or)?d|passphrase|pwd|secret|token|authorization"
    r"|(?:api|access|account|auth|client|private|signing|encryption)[_-]?key"
    r"|(?:api|access|auth|bearer|bot|refresh|session)[_-]?token|credential))"
    r"[\w-]{0,40}(?:\\{0,3}[\"']\]?)?(?:\s{0,4}:\s{0,4}[\w\[\]., |]{1,40}?)?\s{0,8}"
    r"(?P<sign>[:,]|=(?!=))"
)
_ASSIGNMENT = re.compile(
    rf"{_TOLD}(?:"
    r"\s{0,8}(?:\(\s{0,40})?[rRbBfFuU]{0,2}\\{0,3}[\"']([^\"'\s]{8,512}?)(?=\\{0,3}[\"'])"
    r"|(?<==)([^\s\"'()\[\]{},;]{8,512})"
    r"|[ \t]{1,8}(?P<bare>[^\s\"'()\[\]{},;]{8,512})(?=[ \t]{0,8}(?:$|\\?\n|#)))"
)
_LITERAL = r"[rRbBuU]{0,2}(?:'[^'\n]{1,200}'|\"[^\"\n]{1,200}\")"
_SPLIT = re.compile(
    rf"{_TOLD}\s{{0,8}}(?:\(\s{{0,40}})?"
    rf"(?P<parts>{_LITERAL}(?:\s{{0,80}}(?:\+\s{{0,80}}|\\\n\s{{0,80}})?{_LITERAL}){{1,20}})"
)

_TEMPLATE = re.compile(r"<[^>]*>|[{}]|\*{3}|^\$|%\(|\.\.\.")
_PLACEHOLDER = re.compile(r"(?i)x{4,}|example|dummy|placeholder|change.?me|redacted")
_PLAIN_PASSWORDS = frozenset({"p", "pw", "pwd", "pass", "passwd", "password", "secret", "token"})
_SECRET_NAME_ENDINGS = ("KEY", "TOKEN", "SECRET", "PASSWORD")
_SHORTEST_ENVIRONMENT_SECRET = 8
_SHORTEST_NAMED_SECRET = 3
_SHORTEST_TOLD_SECRET = 6
_NUMBER = re.compile(r"\d+")


def redact(text: str, names: Collection[str] = (), values: Collection[str] = ()) -> str:
    """Give the text with `[redacted]` in the place of everything that looks like a secret.

    That is: the values of environment variables named like one, private key blocks, keys
    and tokens of well-known forms (more of them with `detect-secrets`), credentials in a
    URL, and a random-looking literal assigned to a name like `password`, `secret`, `token`
    or `api_key`.

    Args:
        text: What is to be shown or sent.
        names: Further names: what an environment variable of that name holds, and each
            literal that is assigned to it, is cut out whatever it looks like.
        values: Further secrets, as `told_secrets` found them in other texts.
    """
    for value in (*_environment_secrets(names), *sorted(values, key=len, reverse=True)):
        text = text.replace(value, REDACTED)
    if names:
        text = _assigned(frozenset(names)).sub(rf"\1\2{REDACTED}\2", text)
    if "PRIVATE KEY" in text or "Private-Lines" in text:
        text = _PRIVATE_KEY.sub(REDACTED, text)
    for form in (_KNOWN_TOKENS, *known_forms()):
        text = form.sub(REDACTED, text)
    for rule in _RULES:
        if rule.needs in text:
            text = rule.pattern.sub(rule.cut, text)
    return text


def told_secrets(text: str, names: Collection[str] = ()) -> Iterator[str]:
    """Give the values that are secret by what stands before them.

    Elsewhere, as in a traceback, they stand alone and look like anything else.
    """
    for rule in _RULES:
        if rule.tells and rule.needs in text:
            found = (rule.secret(match) for match in rule.pattern.finditer(text))
            yield from (value for value in found if value)
            text = rule.pattern.sub(rule.cut, text)  # no rule sees a part of a secret
    if names:
        for match in _assigned(frozenset(names)).finditer(text):
            value = match[0][match.end(2) : -1]
            if len(value) >= _SHORTEST_TOLD_SECRET:
                yield value


@cache
def _assigned(names: frozenset[str]) -> re.Pattern[str]:
    """What stands before a literal that is assigned to one of these names, and its quotes."""
    either = "|".join(map(re.escape, sorted(names)))
    return re.compile(
        rf"((?<!\w)(?:{either})[\"']?(?:\s{{0,4}}:\s{{0,4}}[\w\[\]., |]{{1,40}}?)?\s{{0,8}}"
        r"(?::|=(?!=))\s{0,8}[rRbBfFuU]{0,2})([\"'])(?:(?!\2)[^\n\\]|\\.)+\2"
    )


def _environment_secrets(names: Collection[str]) -> list[str]:
    """The values to look for as they are, and as `repr` and JSON write them; longest first."""
    values = {
        value
        for name, value in os.environ.items()
        if (
            name.upper().endswith(_SECRET_NAME_ENDINGS)
            and len(value.strip()) >= _SHORTEST_ENVIRONMENT_SECRET
        )
        or (name in names and len(value.strip()) >= _SHORTEST_NAMED_SECRET)
    }
    written = {form for value in values for form in (value, value.strip(), *_escaped(value))}
    return sorted(written, key=lambda form: (-len(form), form))


def _escaped(value: str) -> tuple[str, str]:
    return repr(value)[1:-1], json.dumps(value)[1:-1]


# --- the rules -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rule:
    """A pattern whose last group is the secret, if it is one."""

    pattern: re.Pattern[str]
    is_secret: Callable[[re.Match[str], str], bool]
    tells: bool = True
    """It goes by what stands before the value, which may stand elsewhere without that."""
    needs: str = ""
    """What is in every text that it matches: looking for that is quick."""

    def secret(self, match: re.Match[str]) -> str | None:
        """The secret of a match."""
        value = match[match.lastindex or 0]
        return value if REDACTED not in value and self.is_secret(match, value) else None

    def cut(self, match: re.Match[str]) -> str:
        """The match without its secret."""
        if self.secret(match) is None:
            return match[0]
        start, end = (place - match.start() for place in match.span(match.lastindex or 0))
        return f"{match[0][:start]}{REDACTED}{match[0][end:]}"


class _SplitRule(_Rule):
    """The same for a literal that is put together of several."""

    __slots__ = ()

    def secret(self, match: re.Match[str]) -> str | None:
        """The parts together, if they are a secret."""
        parts = re.findall(_LITERAL, match["parts"])
        value = "".join(part.lstrip("rRbBuU")[1:-1] for part in parts)
        return value if REDACTED not in value and self.is_secret(match, value) else None

    def cut(self, match: re.Match[str]) -> str:
        """One literal in their place."""
        if self.secret(match) is None:
            return match[0]
        return f"{match[0][: match.start('parts') - match.start()]}'{REDACTED}'"


def _is_random(match: re.Match[str], value: str) -> bool:
    return _looks_random(value, shortest=16)


def _is_url_password(match: re.Match[str], value: str) -> bool:
    is_template = _TEMPLATE.search(value) or _PLACEHOLDER.search(value)
    return not is_template and value.lower() not in _PLAIN_PASSWORDS


def _is_password(match: re.Match[str], value: str) -> bool:
    return _TEMPLATE.search(value) is None and _looks_secret("password", value)


def _is_assigned_secret(match: re.Match[str], value: str) -> bool:
    name = match["name"]
    if match["sign"] == "," and not name.isupper():
        return False  # one of several arguments; what sets a variable has it in capitals
    if any(map(str.isspace, value)) or _TEMPLATE.search(value):
        return False
    # Without quotes it may be an expression, or an annotation.
    is_bare = match.groupdict().get("bare") is not None
    return _looks_secret(name.lower(), value) and (not is_bare or len(_NUMBER.findall(value)) >= 3)


_RULES = (
    _Rule(pattern=_WEBHOOK, is_secret=lambda match, value: True, tells=False, needs="hook"),
    _Rule(pattern=_SCHEME, is_secret=_is_random),
    _Rule(pattern=_SIGNED_URL, is_secret=_is_random),
    _Rule(pattern=_URL_USER, is_secret=_is_random, needs="://"),
    _Rule(pattern=_URL_PASSWORD, is_secret=_is_url_password, tells=False, needs="://"),
    _Rule(pattern=_NETRC, is_secret=_is_password, needs="login"),
    _Rule(pattern=_USER_AND_PASSWORD, is_secret=_is_password),
    _SplitRule(pattern=_SPLIT, is_secret=_is_assigned_secret),
    _Rule(pattern=_ASSIGNMENT, is_secret=_is_assigned_secret),
)


def _looks_secret(name: str, value: str) -> bool:
    # A lexer's or a template's `token` is an everyday word; a long one with a number too.
    if name in ("token", "authorization"):
        return _looks_random(value, shortest=16 if name == "token" else 20)
    shortest = 8 if name.startswith(("pass", "pwd", "secret")) else 12
    long_and_mixed = len(value) >= 20 and any(map(str.isdigit, value)) and _entropy(value) >= 3.5
    is_code = value.isidentifier() or "(" in value or "/" in value
    is_plain = is_code or _PLACEHOLDER.search(value) is not None
    return _looks_random(value, shortest=shortest) or (long_and_mixed and not is_plain)


def _looks_random(value: str, *, shortest: int) -> bool:
    """Whether letters and digits alternate as they do in no word, name or date."""
    kinds = [_kind(char) for char in value if char.isalnum()]
    if len(kinds) < shortest or "digit" not in kinds or len(set(kinds)) < 2:
        return False
    changes = sum(a != b for a, b in pairwise(kinds))
    return changes / (len(kinds) - 1) >= 0.25 and _entropy(value) >= 2.5


def _kind(char: str) -> str:
    if char.isdigit():
        return "digit"
    return "upper" if char.isupper() else "lower"


def _entropy(value: str) -> float:
    """Shannon's, in bits for each character."""
    return -sum(n / len(value) * math.log2(n / len(value)) for n in Counter(value).values())
