"""GitLab's code quality report: what is not written, as findings in a merge request."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

from pytest_selfheal.ci.places import Place
from pytest_selfheal.report._text import cut, one_line

_SEVERITIES = {
    "rejected": "critical",
    "unhealed": "major",
    "skipped": "minor",
    "unreached": "minor",
    "healed": "info",
}
_WIDTH = 500


def code_quality(found: Sequence[Place], mode: str) -> str:
    """Give the findings as JSON.

    A stub that was written is none; in `propose` it still stands in the tree, and is.
    A finding is known again by its file and name, so that moved lines make no new one.
    """
    findings = [
        {
            "description": _description(place),
            "check_name": f"selfheal-{place.stub.status}",
            "fingerprint": _fingerprint(place),
            "severity": _SEVERITIES[place.stub.status],
            "location": {"path": one_line(place.path), "lines": {"begin": place.line or 1}},
        }
        for place in found
        if place.stub.status != "healed" or mode == "propose"
    ]
    return json.dumps(findings, indent=2) + "\n"


def _description(place: Place) -> str:
    if place.stub.status == "healed":
        return one_line(f"{place.name} is a stub; the proposed patch writes it")
    reason = place.stub.reason or "no failing test reaches it"
    return cut(one_line(f"{place.name} is a stub, {place.stub.status}: {reason}"), _WIDTH)


def _fingerprint(place: Place) -> str:
    text = f"{place.path}\0{place.name}\0{place.nth}\0{place.stub.status}"
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
