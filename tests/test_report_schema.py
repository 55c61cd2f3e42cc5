"""The JSON report's schema: it is exact, says what the code says, and turns others away.

Every run that the tests make is held against it as well, see `tests/harness.py`.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from pytest_selfheal.records import Attempt, ModelUsage, Status, Strategy, StubReport, Verdict
from pytest_selfheal.report.json_report import SCHEMA, as_json
from pytest_selfheal.settings import Mode
from tests.report_schema import check_form, shipped_schema
from tests.sample_reports import EMPTY, REPORT, nasty_report


def test_values_are_those_of_the_code() -> None:
    schema = shipped_schema()
    attempt = schema["$defs"]["attempt"]["properties"]
    assert schema["properties"]["schema"]["const"] == SCHEMA
    assert schema["properties"]["mode"]["enum"] == list(get_args(Mode))
    assert schema["$defs"]["stub"]["properties"]["status"]["enum"] == list(get_args(Status))
    assert attempt["verdict"]["enum"] == list(get_args(Verdict))
    assert attempt["strategy"]["enum"] == list(get_args(Strategy))


def test_keys_are_required_and_described() -> None:
    schema = shipped_schema()
    objects = [schema, *schema["$defs"].values(), *schema["properties"].values()]
    objects.append(schema["properties"]["warnings"]["items"])
    for each in objects:
        assert sorted(each.get("required", ())) == sorted(each.get("properties", ()))
        assert all(
            inner["description"].endswith(".") for inner in each.get("properties", {}).values()
        )


@pytest.mark.parametrize(
    "report",
    [
        pytest.param(REPORT, id="all statuses"),
        pytest.param(EMPTY, id="nothing"),
        pytest.param(nasty_report("\x1b[31m\u2028</script>\r\n\ud800"), id="hostile"),
        pytest.param(nasty_report(""), id="empty texts"),
        pytest.param(
            replace(EMPTY, model=ModelUsage(name="s", cost=0.25, models=(ModelUsage(name="l"),))),
            id="two models",
        ),
    ],
)
def test_reports_are_of_this_form(report: Any) -> None:
    values = json.loads(json.dumps(as_json(report)))
    for stub in values["stubs"]:
        stub["target"] = f"a.py::{stub['target']}"
    check_form(values)


@given(st.sampled_from(get_args(Verdict)), st.sampled_from(get_args(Strategy)), st.booleans())
def test_every_attempt_is_of_this_form(verdict: Any, strategy: Any, is_reviewers: bool) -> None:
    attempt = Attempt(verdict=verdict, strategy=strategy, is_reviewers=is_reviewers, why="w")
    stub = StubReport(target="a.py::f", status="unhealed", attempts=(attempt,))
    check_form(as_json(replace(EMPTY, stubs=(stub,))))


CHANGES: list[tuple[str, Callable[[Any], Any]]] = [
    ("schema", lambda report: report.update(schema=2)),
    ("exit_status", lambda report: report.update(exit_status="0")),
    ("stubs[0].status", lambda report: report["stubs"][0].update(status="done")),
    ("stubs[1].reason", lambda report: report["stubs"][1].update(reason="two\nlines")),
    ("stubs[0].attempts[0].verdict", lambda r: r["stubs"][0]["attempts"][0].update(verdict="ok")),
    ("stubs[0].attempts[0]", lambda report: report["stubs"][0]["attempts"][0].pop("by")),
    ("tests", lambda report: report["tests"].pop("sandbox_only")),
    ("model.cost", lambda report: report["model"].update(cost="1")),
]


@pytest.mark.parametrize(("place", "change"), CHANGES, ids=[place for place, _ in CHANGES])
def test_what_is_no_report_is_turned_away(place: str, change: Callable[[Any], Any]) -> None:
    report = copy.deepcopy(as_json(REPORT))
    change(report)
    errors = list(Draft202012Validator(shipped_schema()).iter_errors(report))
    assert [error.json_path for error in errors] == [f"$.{place}"]


MORE: list[tuple[str, Callable[[Any], Any]]] = [
    ("report", lambda report: report),
    ("model", lambda report: report["model"]),
    ("a model", lambda report: report["model"]["models"][0]),
    ("sandbox", lambda report: report["sandbox"]),
    ("stub", lambda report: report["stubs"][0]),
    ("attempt", lambda report: report["stubs"][0]["attempts"][0]),
    ("tests", lambda report: report["tests"]),
    ("warning", lambda report: report["warnings"][0]),
]


@pytest.mark.parametrize("find", [find for _, find in MORE], ids=[name for name, _ in MORE])
def test_a_key_more_is_for_later_versions_alone(find: Callable[[Any], Any]) -> None:
    model = replace(REPORT.model, models=(ModelUsage(name="s"),))
    report = as_json(replace(REPORT, model=model))
    check_form(report)
    find(report)["news"] = 1
    assert Draft202012Validator(shipped_schema()).is_valid(report)
    with pytest.raises(AssertionError, match="news"):
        check_form(report)
