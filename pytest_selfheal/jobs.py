"""One run of tests in a sandbox: what is asked for, and what came of it.

All values are frozen; paths are relative to pytest's rootdir, with forward slashes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Outcome = Literal["passed", "failed", "skipped", "xfailed", "xpassed", "unfinished"]
Phase = Literal["collect", "setup", "call", "teardown"]
Ending = Literal["completed", "timeout", "out-of-memory", "crashed", "untrusted", "sandbox-failed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """A function whose entering is noted: `key` is what the outcome says of it."""

    key: str
    path: str
    first_line: int
    compiled_in: bool = True
    """The note alone is compiled into its body; an `@heal` stub's is that of a stand-in."""
    has_code: bool = True
    """It is no stub any more, or never was one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlyEnd:
    """What is known beforehand of which red tests turn a candidate away, so that a run may end.

    They do where there are enough of them that count, one of them enters nothing doubtful,
    no weak stub is entered by all, and none of several stubs can be cleared.
    """

    keys: frozenset[str]
    """The stubs that are judged."""
    elsewhere: frozenset[str] = frozenset()
    """A red test that enters one of these may have got further, and does not count."""
    doubtful: frozenset[str] = frozenset()
    """Stubs whose code may be to blame as well."""
    weak: frozenset[str] = frozenset()
    """Stubs that are to blame as well if every red test enters them."""
    uncounted: frozenset[str] = frozenset()
    """Tests that count for nothing."""
    unseen: frozenset[str] = frozenset()
    """Tests whose failures are not told: they are left out first."""
    fewest: int = 1
    """So many red tests it takes."""
    shown: int
    """How many failures are told in full: nothing is left out before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One run of tests in a sandbox: a pure function of this and the project's files."""

    nodes: tuple[str, ...]
    """Node ids as pytest gave them; a file's id stands for all in it."""
    without_tests: frozenset[str] = frozenset()
    """Those of the files among them that hold no test: they only have to be collected."""
    overlay: Mapping[str, bytes] = field(default_factory=dict)
    """Files that differ from the project's, whole."""
    watch: tuple[Watch, ...] = ()
    checks: Mapping[str, str] = field(default_factory=dict)
    """The model's own asserts, by the path of the module whose names they use."""
    shuffle_seed: int | None = None
    """Runs the tests in another order where given."""
    under_trial: frozenset[str] = frozenset()
    """Keys of watched functions: some tests that pass with them are run as controls too."""
    first: frozenset[str] = frozenset()
    """Tests that run before others, as far as that cannot matter to any."""
    last: tuple[str, ...] = ()
    """Tests that run after all others and after the checks, in this order."""
    early_end: EarlyEnd | None = None
    """If given, what the verdict does not need any more is left out."""
    timeout_seconds: float | None = None
    """Wall seconds, if not the sandbox's own limit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TestResult:
    """What became of one test (or of a file that could not be collected)."""

    nodeid: str
    outcome: Outcome
    phase: Phase = "call"
    longrepr: str = ""
    """The traceback as pytest printed it in the sandbox, with captured output."""
    exception: str = ""
    """The name of the exception's type, where it failed."""
    entered: tuple[str, ...] = ()
    """Keys of the watched functions that it entered, in order of first entry."""
    opened: tuple[str, ...] = ()
    """The project's files, other than code, that were opened while it ran."""
    is_check: bool = False
    """It is the model's own check and not a test of the project."""
    case: tuple[tuple[str, int], ...] = ()
    """Of a parametrized test: which value each argument has, by its position in the list."""

    __test__ = False  # its name looks like a test class to pytest


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOutcome:
    """How a job ended, as concluded by the host."""

    ending: Ending
    why: str = ""
    """One line, empty for `completed`."""
    results: tuple[TestResult, ...] = ()
    output: str = ""
    """The tail of what the process itself printed, where that explains the ending."""
    seconds: float = 0.0
    """As the host saw them, from the job being sent to the outcome."""
    was_in_controls: bool = False
    """It ended early, after all its tests, in a test that was run once more as a control."""
    ended_early: bool = False
    """Red tests had decided it: no control was run, and not all tests. It cannot be green."""
    not_run: frozenset[str] = frozenset()
    """The tests that were left out for that; their results say `unfinished`."""
