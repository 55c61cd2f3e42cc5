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
from collections.abc import Collection
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
    r"|hf_[0-9A-Za-z]{30,}|npm_[0-9A-Za-z]{30,}|pypi-AgE[\w-]{30,}|dop_v1_[0-9a-f]{40,}"
    r"|SG\.[\w-]{16,}\.[\w-]{16,}"
    r"|eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*"  # a JSON web token
    r")"
)

_WEBHOOK = re.compile(r"(hooks\.slack\.com/services/)[\w/-]{20,}")

_BEARER = re.compile(r"(?i)\b(bearer|basic)(\s{1,3})([\w.~+/=-]{16,})")

_URL_CREDENTIALS = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]{1,24}://)"
    r"(?P<user>[^\s:/@'\"`]{0,128}):(?P<password>[^\s/@'\"`]{1,256})@(?=[\w\[])"
)

# It starts at the telling word, not at the name's first letter, so that the search
# stays linear over megabytes of one long word.
_ASSIGNMENT = re.compile(
    r"(?P<name>(?i:passw(?:or)?d|passphrase|pwd|secret|token"
    r"|(?:api|access|account|auth|client|private|signing|encryption)[_-]?key"
    r"|(?:api|access|auth|bearer|bot|refresh|session)[_-]?token|credential))"
    r"(?P<rest>[\w-]{0,40}[\"']?(?:\s{0,4}:\s{0,4}[\w\[\]., |]{1,40}?)?\s{0,8}(?::|=(?!=))\s{0,8})"
    r"(?:(?P<quote>[rRbBfF]?[\"'])(?P<value>[^\"'\s]{8,512})(?=[\"'])"
    r"|(?<==)(?P<bare>[^\s\"'()\[\]{},;]{8,512}))"
)

_TEMPLATE = re.compile(r"[<>{}*]|^\$|%\(|\.\.\.")
_PLACEHOLDER = re.compile(r"(?i)x{4,}|example|dummy|placeholder|change.?me|redacted")
_PLAIN_PASSWORDS = frozenset({"p", "pw", "pwd", "pass", "passwd", "password", "secret", "token"})
_SECRET_NAME_ENDINGS = ("KEY", "TOKEN", "SECRET", "PASSWORD")
_SHORTEST_ENVIRONMENT_SECRET = 8
_SHORTEST_NAMED_SECRET = 3


def redact(text: str, names: Collection[str] = ()) -> str:
    """Give the text with `[redacted]` in the place of everything that looks like a secret.

    That is: the values of environment variables named like one, private key blocks, keys
    and tokens of well-known forms (more of them with `detect-secrets`), the password in a
    URL, and a random-looking literal assigned to a name like `password`, `secret`, `token`
    or `api_key`.

    Args:
        text: What is to be shown or sent.
        names: Further names: what an environment variable of that name holds, and each
            literal that is assigned to it, is cut out whatever it looks like.
    """
    for value in _environment_secrets(names):
        text = text.replace(value, REDACTED)
    if names:
        text = _assigned(frozenset(names)).sub(rf"\1\2{REDACTED}\2", text)
    if "PRIVATE KEY" in text:
        text = _PRIVATE_KEY.sub(REDACTED, text)
    text = _KNOWN_TOKENS.sub(REDACTED, text)
    for form in known_forms():
        text = form.sub(REDACTED, text)
    text = _WEBHOOK.sub(rf"\1{REDACTED}", text)
    text = _BEARER.sub(_without_bearer, text)
    if "://" in text:
        text = _URL_CREDENTIALS.sub(_without_credentials, text)
    return _ASSIGNMENT.sub(_without_value, text)


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


def _without_bearer(match: re.Match[str]) -> str:
    scheme, space, value = match.groups()
    return f"{scheme}{space}{REDACTED}" if _looks_random(value, shortest=16) else match[0]


def _without_credentials(match: re.Match[str]) -> str:
    password = match["password"]
    is_template = _TEMPLATE.search(password) or _PLACEHOLDER.search(password)
    if is_template or password.lower() in _PLAIN_PASSWORDS:
        return match[0]
    return f"{match['scheme']}{match['user']}:{REDACTED}@"


def _without_value(match: re.Match[str]) -> str:
    value = match["value"] or match["bare"]
    if _TEMPLATE.search(value) or not _looks_secret(match["name"].lower(), value):
        return match[0]
    return f"{match['name']}{match['rest']}{match['quote'] or ''}{REDACTED}"


def _looks_secret(name: str, value: str) -> bool:
    # A lexer's or a template's `token` is an everyday word; a long one with a number too.
    if name == "token":
        return _looks_random(value, shortest=16)
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
