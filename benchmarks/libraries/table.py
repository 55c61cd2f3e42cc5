"""What was tried, for people: a block for each library, and one table of all."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.libraries.trial import Trial

_HEADS = (
    "library", "tests", "reached", "stubs", "healed", "missed by no test", "lost",
    "files", "identical", "requests per stub", "verifications", "seconds", "planning s",
)  # fmt: skip


def markdown(trials: Sequence[Trial]) -> str:
    """Give the table."""
    rows = [_HEADS, tuple("---" if n == 0 else "---:" for n in range(len(_HEADS)))]
    rows += [_row(trial) for trial in trials]
    table = "".join(f"| {' | '.join(row)} |\n" for row in rows)
    notes = [
        f"- {trial.library}: `{each.target}` {word}: {each.reason}\n"
        for trial in trials
        for word, group in (("did not come back", trial.lost), ("was no stub", trial.left_alone))
        for each in group
    ]
    notes += [
        f"- {trial.library}: no test misses {_listed(trial.unreached)}\n"
        for trial in trials
        if trial.unreached
    ]
    return table + ("\n" + "".join(notes) if notes else "")


def _listed(targets: Sequence[str]) -> str:
    return ", ".join(f"`{target}`" for target in targets)


def details(trial: Trial) -> str:
    """Give what a person wants to know of one library, worst first."""
    lines = [f"{trial.library}: {trial.healed} of {trial.stubs} stubs healed, exit {trial.status}"]
    lines += [f"  PROBLEM {problem}" for problem in trial.problems]
    lines += [f"  lost {each.target}: {each.reason}" for each in trial.lost]
    lines += [f"  missed by no test: {target}" for target in trial.unreached]
    return "\n".join(lines)


def _row(trial: Trial) -> tuple[str, ...]:
    planning = trial.planning_seconds
    return (
        trial.library,
        str(trial.tests),
        str(trial.reached),
        str(trial.stubs),
        str(trial.healed),
        str(len(trial.unreached)),
        str(len(trial.lost)),
        str(trial.files),
        str(trial.identical),
        f"{trial.requests / trial.healed:.2f}" if trial.healed else "-",
        str(trial.verifications),
        f"{trial.seconds:.0f}",
        "-" if planning is None else f"{planning:.1f}",
    )
