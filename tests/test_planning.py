"""The whole of planning, driven over made-up projects: it ends, and what it gives is right."""

from __future__ import annotations

from concurrent.futures import Executor
from dataclasses import replace

from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from pytest_selfheal.healing import blame
from pytest_selfheal.healing.groups import MAX_GROUP
from pytest_selfheal.healing.run import Heal
from pytest_selfheal.threads import DaemonExecutor
from tests.simulated import RIGHT, Reach, World, make_stubs

# --- any project at all ----------------------------------------------------------------


FLAKY: list[list[bool]] = [[], [], [], [], [], [True, False], [False, True], [True, True, False]]


@st.composite
def worlds(draw: st.DrawFn, *, always_right: bool = False) -> World:
    number = draw(st.integers(1, 14))
    names = [f"s{place}" for place in range(number)]
    living = set() if always_right else draw(st.sets(st.sampled_from(names), max_size=number // 4))
    own = draw(st.dictionaries(st.sampled_from(names), st.integers(1, 4), max_size=2))
    stubs = make_stubs(names, living=living, attempts=own)
    keys = list(stubs)
    some = st.lists(st.sampled_from(keys), min_size=0, max_size=10, unique=True)
    tests = {}
    for place in range(draw(st.integers(1, 10))):
        reached = draw(some)
        tells = draw(st.one_of(st.just(reached), st.lists(st.sampled_from(reached or keys))))
        stops = draw(st.one_of(st.just(reached), st.just([])))
        # What a test enters that ends its process is not known, so no living function does.
        crash = [key for key in reached[:1] if not stubs[key].is_living]
        tests[f"t{place % 3}.py::test_{place}"] = Reach(
            stubs=tuple(reached),
            tells=frozenset(tells) & frozenset(reached),
            stops=frozenset(stops),
            flaky=() if always_right else tuple(draw(st.sampled_from(FLAKY))),
            crashes_with=frozenset(crash if draw(st.integers(0, 5)) == 5 else ()),
        )
    script = st.lists(st.booleans(), min_size=1, max_size=6)
    replies = {} if always_right else draw(st.dictionaries(st.sampled_from(keys), script))
    return World(
        stubs=stubs,
        tests=tests,
        replies=replies,
        returning=frozenset(draw(st.sets(st.sampled_from(keys)))),
        was_right=frozenset(draw(st.sets(st.sampled_from(keys)))),
        attempts=draw(st.integers(1, 5)),
        jobs=draw(st.integers(1, 4)),
        most_verifications=2_000,
    )


def allowed(world: World) -> int:
    return sum(stub.options.attempts or world.attempts for stub in world.stubs.values())


def check_confirmed(world: World, heal: Heal) -> None:
    """Every test that reaches confirmed code is green with it, so no test tells it wrong."""
    for test in steady(world):
        result = world.result(test, heal.confirmed)
        if set(result.entered) & heal.confirmed.keys() or test in heal.record.passed:
            assert result.outcome == "passed", (test, heal.confirmed)
    assert all(world.tests[test].flaky for test in heal.board.flaky)


def steady(world: World) -> list[str]:
    return [test for test, reach in world.tests.items() if not reach.flaky]


QUICK = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@QUICK
@given(world=worlds())
def test_it_ends_within_its_attempts_and_confirms_only_what_is_green(world: World) -> None:
    heal = world.healed()
    assert len(world.requests) <= allowed(world)
    assert all(len(keys) <= MAX_GROUP for keys in world.requests)
    check_confirmed(world, heal)
    event(f"{len(heal.confirmed)} of {len(world.stubs)} confirmed")
    # What is reported is what there is.
    green, red = heal.tests_now()
    for test in set(steady(world)) - set(heal.record.passed):
        is_green = world.result(test, heal.confirmed).outcome == "passed"
        assert (test in green, test in red) == (is_green, not is_green)


@QUICK
@given(world=worlds(always_right=True))
def test_what_is_answered_rightly_is_healed_in_one_request_each(world: World) -> None:
    heal = world.healed()
    assert all(piece.definition == RIGHT for piece in heal.confirmed.values())
    assert all(number == 1 for number in world.asked.values())
    assert world.asked.keys() == heal.confirmed.keys()
    assert heal.tests_now()[1] == []
    assert all(world.result(test, heal.confirmed).outcome == "passed" for test in world.tests)


@settings(max_examples=20, deadline=None)
@given(world=worlds())
def test_groups_at_work_at_the_same_time_come_to_no_other_end(world: World) -> None:
    executor: Executor = DaemonExecutor(world.jobs, "simulated")
    try:
        heal = world.healed(executor)
    finally:
        executor.shutdown(wait=True)
    assert len(world.requests) <= allowed(world)
    check_confirmed(world, heal)


@st.composite
def crowds(draw: st.DrawFn) -> World:
    """Few stubs, many tests, and replies that are wrong as often as not."""
    names = "abcde"[: draw(st.integers(1, 5))]
    stubs = make_stubs(names, living=draw(st.sets(st.sampled_from(names), max_size=1)))
    keys = list(stubs)
    some = st.lists(st.sampled_from(keys), min_size=1, unique=True)
    tests = {}
    for place in range(draw(st.integers(4, 14))):
        reached = draw(some)
        tests[f"t.py::test_{place % 3}[{place}]"] = Reach(
            stubs=tuple(reached),
            tells=frozenset(draw(st.one_of(st.just(reached), some))) & frozenset(reached),
            stops=frozenset(draw(st.one_of(st.just(reached), st.just([])))),
        )
    script = st.lists(st.booleans(), min_size=1, max_size=6)
    return World(
        stubs=stubs,
        tests=tests,
        replies={key: draw(script) for key in keys},
        returning=frozenset(draw(st.sets(st.sampled_from(keys)))),
        attempts=draw(st.integers(1, 5)),
        jobs=1,  # of several that end at once, any may be taken first
        most_verifications=2_000,
    )


@QUICK
@given(whole=crowds(), shown=st.integers(1, 3))
def test_what_is_left_out_of_runs_would_have_changed_no_decision(whole: World, shown: int) -> None:
    """The same is asked for in the same order, with fewer tests run."""
    early = replace(whole, requests=[], asked={}, verified=[], runs={})
    whole.ends_early = False
    told_in_full = blame.MAX_TRACEBACKS
    blame.MAX_TRACEBACKS = shown
    try:
        with_all, with_less = whole.healed(), early.healed()
    finally:
        blame.MAX_TRACEBACKS = told_in_full
    assert early.requests == whole.requests
    assert names_and_bodies(with_less) == names_and_bodies(with_all)
    assert with_less.tests_now() == with_all.tests_now()
    event("tests were left out" if early.left_out else "all were run")


def names_and_bodies(heal: Heal) -> dict[str, str]:
    return {key: piece.definition for key, piece in heal.confirmed.items()}


def test_a_group_of_hundreds_of_red_tests_costs_as_many_as_are_told() -> None:
    stubs = make_stubs(["s"])
    (key,) = stubs
    reach = Reach(stubs=(key,), tells=frozenset([key]))
    tests = {f"t.py::test_{place % 5}[{place}]": reach for place in range(300)}
    world = World(stubs=stubs, tests=tests, replies={key: [False, False, True]})
    heal = world.healed()
    assert heal.confirmed.keys() == {key}
    first, second, last = heal.board.history[key]
    for attempt in (first, second):
        assert len(attempt.red) < 2 * blame.MAX_TRACEBACKS + 5
        assert len(attempt.red) + len(attempt.not_run) == 300
        assert (attempt.why or "").startswith(
            f"{len(attempt.red)} of {len(attempt.red)} tests red ({len(attempt.not_run)} more"
        )
    assert not last.not_run
