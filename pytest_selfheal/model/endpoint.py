"""Where requests go, and what can be said of it before the first one. Imports no SDK."""

from __future__ import annotations

import os
import socket
import sys
from threading import Thread
from typing import Any
from urllib.parse import SplitResult, urlsplit

OPENAI_BASE_URL = "https://api.openai.com/v1"

_OPENAI_HOST = "api.openai.com"
_PORTS = {"http": 80, "https": 443}


def effective_base_url(base_url: str | None) -> str:
    """Give the URL that requests go to: the option's, else OPENAI_BASE_URL, else the SDK's."""
    return (base_url or os.environ.get("OPENAI_BASE_URL") or OPENAI_BASE_URL).strip()


def is_openai(base_url: str | None) -> bool:
    """Whether requests go to OpenAI's own service (also one of its regions)."""
    host = _host(effective_base_url(base_url))
    return host == _OPENAI_HOST or host.endswith(f".{_OPENAI_HOST}")


def shown(base_url: str | None) -> str:
    """Give the effective URL as it may stand in a message: without user name and password."""
    url = effective_base_url(base_url)
    scheme, separator, rest = url.partition("://")
    authority, slash, path = rest.partition("/")
    return f"{scheme}{separator}{authority.rpartition('@')[2]}{slash}{path.partition('?')[0]}"


def key_problem(base_url: str | None) -> str | None:
    """Say in one line that OpenAI's own service would be asked without a key, or None."""
    if not is_openai(base_url) or os.environ.get("OPENAI_API_KEY", "").strip():
        return None
    return (
        f"OPENAI_API_KEY is not set, and {shown(base_url)!r} needs it: set it, or use "
        "--selfheal-base-url for another endpoint, or --selfheal-replay for a recording"
    )


def endpoint_problem(base_url: str | None, timeout_seconds: float = 3.0) -> str | None:
    """Say in one line why no request can reach the endpoint, or None.

    The URL's form is checked, then a TCP connection is made and closed again; not where an
    HTTP proxy stands between, since only that one knows.

    Args:
        base_url: The option's value; None for the environment's or the SDK's.
        timeout_seconds: How long finding the host and connecting may take in all.
    """
    url = effective_base_url(base_url)
    malformed = _form_problem(url)
    if malformed:
        return f"{shown(url)!r} is no URL of a model's endpoint ({malformed}): {advice(base_url)}"
    parts = urlsplit(url)
    if _goes_through_proxy(parts):
        return None
    reason = _connection_problem(
        parts.hostname or "", parts.port or _PORTS[parts.scheme], timeout_seconds
    )
    if reason is None:
        return None
    return f"the model's endpoint {shown(url)!r} does not answer ({reason}): {advice(base_url)}"


def advice(base_url: str | None) -> str:
    """What to look at when an endpoint does not work: the option, or the variable."""
    variable = os.environ.get("OPENAI_BASE_URL", "").strip()
    if variable and base_url in (None, variable):
        return "check OPENAI_BASE_URL, or give --selfheal-base-url"
    return "check --selfheal-base-url"


def _host(url: str) -> str:
    try:
        return (urlsplit(url).hostname or "").lower()
    except ValueError:
        return ""


def _form_problem(url: str) -> str | None:
    try:
        parts = urlsplit(url)
    except ValueError:
        return "its host is malformed"
    try:
        port = parts.port
    except ValueError:
        return "its port is no number below 65536"
    if parts.scheme not in _PORTS:
        return "it does not begin with http:// or https://"
    if not parts.hostname:
        return "it names no host"
    if port == 0 or any(char.isspace() or not char.isprintable() for char in url):
        return "its port is 0" if port == 0 else "it has a blank or control character"
    if parts.query or parts.fragment:
        return "it has a query or a fragment"
    return None


def _goes_through_proxy(parts: SplitResult) -> bool:
    named = any(name.lower().endswith("_proxy") and os.environ[name] for name in os.environ)
    if not named and sys.platform not in ("win32", "darwin"):  # elsewhere nothing else has them
        return False
    from urllib.request import getproxies, proxy_bypass

    proxies = getproxies()
    if not (proxies.get(parts.scheme) or proxies.get("all")):
        return False
    return not proxy_bypass(parts.hostname or "")


def _connection_problem(host: str, port: int, timeout_seconds: float) -> str | None:
    # On a thread, since looking up a name takes no time-out and can last half a minute.
    answers: list[str | None] = []

    def connect() -> None:
        answers.append(_connect(host, port, timeout_seconds))

    thread = Thread(target=connect, name="selfheal-endpoint", daemon=True)
    thread.start()
    thread.join(timeout_seconds)
    return answers[0] if answers else f"no answer within {timeout_seconds:g} s"


def _connect(host: str, port: int, timeout_seconds: float) -> str | None:
    try:
        # As bytes a plain name needs no codec for international ones, which is slow to import.
        address: Any = host.encode() if host.isascii() else host
        socket.create_connection((address, port), timeout=timeout_seconds).close()
    except socket.gaierror:
        return "its host is not known"
    except TimeoutError:
        return f"no answer within {timeout_seconds:g} s"
    except ConnectionRefusedError:
        return "connection refused"
    except (OSError, UnicodeError) as error:
        return getattr(error, "strerror", None) or "its host's name cannot be used"
    return None
