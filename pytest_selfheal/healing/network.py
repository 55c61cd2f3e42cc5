"""Tests that fail since a sandbox has no network: told by what their failures say. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable

from pytest_selfheal.records import TestResult

# What an exception's line says, as pytest shows it: names of classes, and the system's words.
_SAYS = re.compile(
    r"\bConnectionRefusedError\b|\bgaierror\b|Network is unreachable|Connection refused"
    r"|Name or service not known|Temporary failure in name resolution"
    r"|No address associated with hostname|nodename nor servname"
    r"|\brequests\.exceptions\.(?:ConnectionError|ConnectTimeout|ProxyError)\b"
    r"|\bhttp(?:x|core)\.Connect(?:Error|Timeout)\b"
    r"|\burllib3\.exceptions\.\w*(?:MaxRetry|NewConnection|NameResolution|ConnectTimeout)\w*"
    r"|\burllib\.error\.URLError: <urlopen error \[Errno"
    r"|\baiohttp\.\w+\.ClientConnector\w*Error\b"
    r"|\bredis\.exceptions\.(?:ConnectionError|TimeoutError)\b"
    r"|\bOperationalError\b.*(?:connection (?:failed|is bad|to server)|could not (?:connect|trans)"
    r"|Can't connect|Lost connection)|\bcould not translate host name\b"
    r"|\bServerSelectionTimeoutError\b|\bNoBrokersAvailable\b|\bAMQPConnectionError\b"
    r"|\bEndpointConnectionError\b|\bCannotConnectNowError\b"
)


def needs_network(result: TestResult) -> bool:
    """Whether a red test failed for want of something to connect to, as far as it says."""
    if result.outcome != "failed":
        return False
    return any(
        _SAYS.search(line)
        for line in result.longrepr.splitlines()
        if line.startswith("E  ") or line.lstrip().startswith("E  ")
    )


def network_note(
    red: Iterable[TestResult], *, backend: str | None, network: str | None
) -> list[str]:
    """A line on the tests that need a network, none where there are none.

    Args:
        red: The results that are red in the end.
        backend: The sandbox's name.
        network: The Docker network that the sandboxes were in, if any.
    """
    names = sorted({each.nodeid for each in red if needs_network(each)})
    if not names:
        return []
    which = names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"
    needs = "needs" if len(names) == 1 else "need"
    if network is None:
        advice = (
            "set selfheal_docker_network to a Docker network that has it"
            if backend == "docker"
            else "use --selfheal-sandbox=docker with selfheal_docker_network"
        )
        return [f"{which} {needs} the network or a database, and a sandbox has none: {advice}"]
    if backend != "docker":
        return [
            f"{which} {needs} the network or a database: selfheal_docker_network is for "
            f"--selfheal-sandbox=docker alone, and this run was in {backend}"
        ]
    return [f"{which} could not connect to what it needs in Docker's network {network!r}"]
