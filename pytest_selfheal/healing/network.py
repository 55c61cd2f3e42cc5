"""Tests that fail since a sandbox has no network: told by what their failures say. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from pytest_selfheal.records import Attempt, TestResult

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


# What Landlock says of a connection; of a file it would name it.
_DENIED = re.compile(r"\bPermissionError: \[Errno 13\] Permission denied\s*$")


def says_so(text: str) -> bool:
    """Whether a failure's text says that there was nothing to connect to."""
    lines = [line for line in text.splitlines() if line.lstrip().startswith("E  ")]
    if any(_SAYS.search(line) for line in lines):
        return True
    return "connect" in text and any(_DENIED.search(line) for line in lines)


def needs_network(result: TestResult) -> bool:
    """Whether a red test failed for want of something to connect to, as far as it says."""
    return result.outcome == "failed" and says_so(result.longrepr)


def network_note(
    results: Iterable[TestResult],
    attempts: Mapping[str, Sequence[Attempt]],
    *,
    backend: str,
    network: str | None,
) -> list[str]:
    """A line on the tests that need a network, none where there are none.

    Args:
        results: The last results of tests.
        attempts: The attempts at each stub.
        backend: The sandbox's name.
        network: The Docker network that the sandboxes were in, if any.
    """
    names = sorted({each.nodeid for each in results if needs_network(each)})
    names += sorted(
        f"what tests {key}"
        for key, tried in attempts.items()
        if tried and tried[-1].verdict == "failed" and says_so(tried[-1].traceback)
    )
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
