"""Runs that end once red tests have decided them: what is left out, and what nobody gains by it."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_selfheal.healing.judge import MAX_TRACEBACKS, innocent, judge
from pytest_selfheal.records import EarlyEnd, Job, RunOutcome, TestResult, Watch
from pytest_selfheal.sandbox.inside_early import Failing
from pytest_selfheal.sandbox.inside_order import file_of, red_cases_first, red_files_first
from tests.harness import Project, code, python, require
from tests.sandboxes import launcher
from tests.scripted_server import ScriptedServer

# --- in a sandbox ----------------------------------------------------------------------

LIVE = "LIVE = []\n"
TEST_A = """
    import pytest
    from live import LIVE
    from mod import f


    @pytest.fixture(scope="module", autouse=True)
    def place():
        LIVE.append("a")
        yield
        LIVE.remove("a")


    @pytest.mark.parametrize("n", range(30))
    def test_many(n):
        assert f(n) == n + 1
"""
TEST_B = """
    import pytest
    from live import LIVE
    from mod import f


    @pytest.fixture(scope="module", autouse=True)
    def place():
        LIVE.append("b")
        yield
        LIVE.remove("b")


    def test_state():
        assert LIVE == ["b"]
        assert f(-1) == -1


    @pytest.mark.parametrize("n", range(5))
    def test_other(n):
        assert f(n) == n + 2


    def test_third():
        assert f(1) == 3


    def test_fourth():
        assert f(1) == 4
"""
# Whoever runs it once more, as controls are, is told so by the end of the process.
TEST_C = """
    import os
    from mod import f

    RUNS = []


    def test_red():
        assert f(1) == 2


    def test_once():
        RUNS.append(f(-1))
        if len(RUNS) > 1:
            os._exit(3)
        assert RUNS == [-1]
"""
KEY = "mod.py::f"
WRONG = "def f(n):\n    return min(n, 0)\n"
# Wrong for whom it is called by first, and for the rest whatever is wanted of it.
RED_FIRST = """
    CALLS = []


    class Liar(int):
        def __eq__(self, other):
            return True

        __hash__ = int.__hash__


    def f(n):
        CALLS.append(n)
        return None if len(CALLS) == 1 else Liar()
"""


@pytest.fixture(scope="module")
def sandboxes(tmp_path_factory: pytest.TempPathFactory) -> Any:
    require("bubblewrap")
    root = (tmp_path_factory.mktemp("early") / "project").resolve()
    root.mkdir()
    files = {"live.py": LIVE, "test_a.py": TEST_A, "test_b.py": TEST_B, "test_c.py": TEST_C}
    for name, text in files.items():
        (root / name).write_text(code(text))
    (root / "mod.py").write_text("def f(n):\n    ...\n")
    with launcher("bubblewrap", root) as made:
        yield made


def ran(
    sandboxes: Any,
    text: str,
    early_end: EarlyEnd | None = None,
    nodes: tuple[str, ...] = ("test_a.py", "test_b.py"),
    **more: Any,
) -> RunOutcome:
    text = code(text)
    line = text[: text.index("def f(")].count("\n") + 1
    sandbox = sandboxes.launch()
    try:
        return sandbox.run(
            Job(
                nodes=nodes,
                overlay={"mod.py": text.encode()},
                watch=(Watch(key=KEY, path="mod.py", first_line=line),),
                under_trial=frozenset({KEY}),
                early_end=early_end,
                **more,
            )
        )
    finally:
        sandbox.close()


def rule(**more: Any) -> EarlyEnd:
    return EarlyEnd(**{"keys": frozenset({KEY}), "shown": 2, **more})


def names_run(outcome: RunOutcome) -> list[str]:
    return [x.nodeid.split("::")[1] for x in outcome.results if x.nodeid not in outcome.not_run]


def test_the_rest_of_a_run_that_is_decided_is_left_out(sandboxes: Any) -> None:
    """What has other failures to tell runs all the same, and fixtures end in their order."""
    outcome = ran(sandboxes, WRONG, rule(), checks={"mod.py": "assert f(5) == 6\n"})
    assert (outcome.ending, outcome.ended_early) == ("completed", True)
    assert names_run(outcome) == [
        "test_many[0]", "test_many[1]", "test_state", "test_other[0]", "test_third",
    ]  # fmt: skip
    outcomes = {each.nodeid: each.outcome for each in outcome.results}
    assert outcomes["test_b.py::test_state"] == "passed", "the fixtures before it are gone"
    assert {outcomes[each] for each in outcome.not_run} == {"unfinished"}
    judgement = judge(outcome, [], lambda _: False)
    assert judgement.verdict == "failed"
    assert (judgement.why or "").startswith("4 of 5 tests red (33 more were not run): test_a.py::")
    assert len(judgement.red) == 4
    assert not any("not_run" in each.longrepr for each in judgement.red)


def test_what_may_not_be_decided_runs_to_its_end(sandboxes: Any) -> None:
    outcome = ran(sandboxes, WRONG, rule(doubtful=frozenset({KEY})))
    assert (outcome.ended_early, outcome.not_run) == (False, frozenset())
    assert len(names_run(outcome)) == 38


def test_there_are_no_controls_of_a_run_that_is_decided(sandboxes: Any) -> None:
    whole = ran(sandboxes, WRONG, None, nodes=("test_c.py",))
    assert (whole.ending, whole.was_in_controls) == ("crashed", True)
    early = ran(sandboxes, WRONG, rule(), nodes=("test_c.py",))
    assert (early.ending, early.ended_early, early.not_run) == ("completed", True, frozenset())
    assert [each.outcome for each in early.results] == ["failed", "passed"]


def test_what_is_not_to_be_believed_is_not_made_so_by_a_red_test(sandboxes: Any) -> None:
    whole = ran(sandboxes, RED_FIRST, None)
    assert whole.ending == "untrusted"
    outcome = ran(sandboxes, RED_FIRST, rule(fewest=4))
    assert outcome.ending == "untrusted", "one red test is not enough to do without the controls"
    early = ran(sandboxes, RED_FIRST, rule())
    assert judge(early, [], lambda _: False).verdict in ("failed", "untrusted")


def test_red_ones_run_first_and_unseen_ones_last(sandboxes: Any) -> None:
    red = {"test_b.py::test_other[3]", "test_b.py::test_fourth"}
    outcome = ran(sandboxes, WRONG, None, first=frozenset(red), last=("test_b.py::test_third",))
    assert names_run(outcome) == [
        "test_state", "test_other[3]", *(f"test_other[{n}]" for n in (0, 1, 2, 4)), "test_fourth",
        *(f"test_many[{n}]" for n in range(30)), "test_third",
    ]  # fmt: skip


# --- from end to end -------------------------------------------------------------------

NUMBERS = tuple(range(1013, 1013 + 40 * 131, 131))
TARGET = "mod.py::answer"
TESTS = (
    "import pytest\nfrom mod import answer\n\nCASES = [\n"
    + "".join(f"    ({number}, {number * 7919}),\n" for number in NUMBERS)
    + ']\n\n\n@pytest.mark.parametrize("number, expected", CASES)\n'
    "def test_answer(number, expected):\n    assert answer(number) == expected\n\n\n"
    "def test_zero():\n    assert answer(0) == 0, 'nothing comes of nothing'\n"
)
STUB = """
    from pytest_selfheal import heal


    @heal
    def answer(number: int) -> int:
        ...
"""
GENERAL = python("def answer(number: int) -> int:\n    return number * 7919\n")


def shown_numbers(prompt: str) -> list[int]:
    return [n for n in NUMBERS if re.search(rf"\b{n}\b|{n * 7919}", prompt)]


def red_first(numbers: Sequence[int], times: int) -> str:
    """Code that knows some answers by heart, and gives none to those who ask first."""
    known = {number: number * 7919 for number in numbers}
    return python(
        f"CALLS = []\n\n\ndef answer(number: int) -> int:\n    CALLS.append(number)\n"
        f"    return -1 if len(CALLS) <= {times} else {known!r}.get(number, 0)\n"
    )


def test_a_model_is_told_what_matters_and_gains_nothing_by_failing_first(tmp_path: Path) -> None:
    require("landlock")
    wrong = python("def answer(number: int) -> int:\n    return 1\n")

    def reply(prompt: str, targets: tuple[str, ...], number: int) -> str:
        cheat = red_first(shown_numbers(prompt), MAX_TRACEBACKS)
        return [wrong, cheat, GENERAL][number - 1]

    project = Project(tmp_path / "project", {"mod.py": STUB, "test_mod.py": TESTS})
    with ScriptedServer(reply) as server:
        run = project.heal("--selfheal-sandbox=landlock", server=server)
    first, second, third = (request.prompt for request in server.requests)
    assert run.verdicts(TARGET) == ["failed", "failed", "passed"], run.output
    shown = shown_numbers(first)
    assert len(shown) == 30
    assert shown_numbers(second) == shown_numbers(third) == shown, "the rest stays unseen"
    whys = [attempt["why"] for attempt in run.stubs[TARGET]["attempts"]]
    # As many as are told in full, and the one that fails otherwise; no other case.
    assert "13 of 13 tests red (28 more were not run)" in whys[0]
    assert f"{MAX_TRACEBACKS} of {MAX_TRACEBACKS + 1} tests red (28 more were not run)" in whys[1]
    told = second.partition("What pytest printed of attempt")[2]
    whole = re.findall(r"^_+ test_mod.py::(test_\w+)\S* _+$", told, re.M)
    assert whole == ["test_answer", "test_zero"]
    assert f"\nand {MAX_TRACEBACKS - 2} more:\n- test_mod.py::test_answer[" in told
    assert "nothing comes of nothing" in told
    # What was not run is red to nobody, and at the end everything was run.
    assert "was not run" not in second
    cases = [f"test_mod.py::test_answer[{n}-{n * 7919}]" for n in NUMBERS]
    assert run.stubs[TARGET]["tests"] == [*cases, "test_mod.py::test_zero"]
    assert run.status == 0
    assert run.report is not None
    assert set(run.report["tests"]["healed"]) == {*cases, "test_mod.py::test_zero"}


# --- what red tests decide -------------------------------------------------------------

KEYS = [f"m.py::{name}" for name in "abc"]
entered = st.lists(st.sampled_from([*KEYS, "m.py::x", "m.py::y"]), unique=True)


@given(
    group=st.sets(st.sampled_from(KEYS), min_size=1),
    doubtful=st.sets(st.sampled_from(["m.py::x", "m.py::y"])),
    weak=st.sets(st.sampled_from(["m.py::x", "m.py::y"])),
    tests=st.lists(st.tuples(st.booleans(), entered), max_size=8),
    seen=st.integers(0, 8),
)
def test_no_further_test_changes_what_is_decided(
    group: set[str],
    doubtful: set[str],
    weak: set[str],
    tests: list[tuple[bool, list[str]]],
    seen: int,
) -> None:
    failing = Failing(
        keys=group,
        elsewhere=(),
        doubtful=doubtful,
        weak=weak,
        uncounted=(),
        unseen=(),
        fewest=1,
        shown=1,
    )
    results = [
        TestResult(
            nodeid=f"t.py::t{place}",
            outcome="failed" if is_red else "passed",
            entered=tuple(keys),
        )
        for place, (is_red, keys) in enumerate(tests)
    ]
    for each in results[:seen]:
        if each.outcome == "failed":
            failing.add(each.nodeid, each.entered)
    if not failing.is_decisive:
        return
    whole = judge(RunOutcome(ending="completed", results=tuple(results)), [], lambda _: False)
    assert whole.verdict == "failed"
    assert len(group) == 1 or not innocent(whole, sorted(group))
    assert not all(doubtful.intersection(each.entered) for each in whole.red)
    assert not weak.intersection(*(each.entered for each in whole.red))


def test_who_may_have_got_further_or_is_flaky_does_not_count() -> None:
    failing = Failing(
        keys=["f"],
        elsewhere=["g"],
        doubtful=(),
        weak=(),
        uncounted=["t::b"],
        unseen=(),
        fewest=1,
        shown=1,
    )
    assert not failing.add("t::a", ["f", "g"])
    assert not failing.add("t::b", ["f"])
    assert not failing.is_decisive
    assert failing.add("t::c", ["f"])
    assert failing.is_decisive


def test_other_cases_and_unseen_ones_are_left_out_before_other_tests() -> None:
    failing = Failing(
        keys=["f"], elsewhere=(), doubtful=(), weak=(),
        uncounted=(), unseen=["t::a[8]", "t::h[9]"], fewest=1, shown=2,
    )  # fmt: skip
    left = ["t::a[7]", "t::h[9]", "t::h[0]", "t::b"]

    def told(*red: str) -> list[bool]:
        for each in red:
            failing.add(each, ["f"])
        return [failing.leaves_out(each) for each in left]

    assert told("t::a[0]", "t::a[8]") == [False, False, False, False], "one is not in sight"
    assert told("t::a[1]") == [True, True, False, False]
    assert told("t::c") == [True, True, False, False]
    assert told("t::d") == [True, True, True, True]


def test_a_judgement_of_a_run_that_ended_early_is_never_green() -> None:
    outcome = RunOutcome(ending="completed", results=(), ended_early=True)
    assert judge(outcome, [], lambda _: False).verdict == "failed"


# --- in which order --------------------------------------------------------------------


def items(*nodeids: str, **scopes: str) -> list[Any]:
    """Tests as pytest has them, as far as an order goes by it."""
    made = []
    for nodeid in nodeids:
        parent, _, name = nodeid.rpartition("::")
        function, _, case = name.rstrip("]").partition("[")
        indices = {arg: int(n) for arg, n in zip("pq", case.split("-"), strict=False) if n}
        callspec = SimpleNamespace(
            indices=indices,
            _arg2scope={arg: SimpleNamespace(value=scopes.get(arg, "function")) for arg in indices},
        )
        made.append(
            SimpleNamespace(
                nodeid=nodeid,
                parent=parent,
                name=name,
                originalname=function,
                **({"callspec": callspec} if case else {}),
            )
        )
    return made


def ordered(red: set[str], *nodeids: str, **scopes: str) -> list[str]:
    found = items(*nodeids, **scopes)
    red_files_first(found, red)
    red_cases_first(found, red)
    return [each.nodeid for each in found]


def test_folders_and_files_move_as_wholes() -> None:
    tests = ["a/x.py::t", "a/y.py::t", "a/y.py::u", "b/z.py::t", "c.py::t"]
    assert ordered({"b/z.py::t"}, *tests) == [tests[3], *tests[:3], tests[4]]
    assert ordered({"a/y.py::u"}, *tests) == [*tests[1:3], tests[0], *tests[3:]]
    assert ordered({"a/y.py::u", "c.py::t"}, *tests) == [*tests[1:3], tests[0], tests[4], tests[3]]


def test_functions_keep_their_places_and_cases_change_theirs() -> None:
    tests = ["a.py::t[0]", "a.py::t[1]", "a.py::t[2]", "a.py::u", "a.py::v"]
    assert ordered({"a.py::t[1]", "a.py::v"}, *tests) == [tests[1], tests[0], *tests[2:]]


def test_cases_stay_beside_those_that_share_a_value_with_them() -> None:
    tests = ["a.py::t[0-0]", "a.py::t[0-1]", "a.py::t[1-0]", "a.py::t[1-1]"]
    red = {"a.py::t[1-1]"}
    assert ordered(red, *tests, p="module") == [tests[0], tests[1], tests[3], tests[2]]
    assert ordered(red, *tests) == [tests[3], *tests[:3]]


def test_files_that_share_a_value_across_each_other_stay() -> None:
    tests = ["a.py::t[0]", "b.py::t[0]", "a.py::t[1]", "b.py::t[1]"]
    assert ordered({"b.py::t[1]"}, *tests, p="session") == tests


@given(
    nodes=st.lists(
        st.tuples(st.sampled_from("ab"), st.sampled_from("xy"), st.sampled_from("tu"),
                  st.integers(0, 3)),
        unique=True,
    ),
    data=st.data(),
)  # fmt: skip
def test_any_order_is_one_that_files_and_functions_do_not_notice(
    nodes: list[tuple[str, str, str, int]], data: st.DataObject
) -> None:
    tests = [f"{d}/{f}.py::{t}[{n}]" for d, f, t, n in sorted(nodes)]
    red = data.draw(st.sets(st.sampled_from(tests))) if tests else set()
    moved = ordered(red, *tests)
    assert sorted(moved) == tests
    files = [file for file, _ in itertools.groupby(moved, lambda x: file_of(items(x)[0]))]
    assert len(files) == len(set(files)), "each file in one piece"
    for file in files:
        functions = [x.partition("[")[0] for x in moved if x.startswith(f"{file}::")]
        assert functions == sorted(functions)
    holders = {file_of(items(each)[0]) for each in red}
    assert set(files[: len(holders)]) == holders or len({x.split("/")[0] for x in holders}) > 1
