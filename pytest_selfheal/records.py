"""The values that travel between the steps of a heal.

All are frozen. The wings (`source`, `model`, `sandbox`, `report`) never import each
other; what two of them must both know stands here, and what is asked of a sandbox in
`jobs`, which is to be had from here as well. Paths are relative to pytest's
rootdir, with forward slashes, unless a name ends in `_dir` or `_file`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pytest_selfheal.bounds import Limits as Limits
from pytest_selfheal.jobs import EarlyEnd as EarlyEnd
from pytest_selfheal.jobs import Ending as Ending
from pytest_selfheal.jobs import Job as Job
from pytest_selfheal.jobs import Outcome as Outcome
from pytest_selfheal.jobs import Phase as Phase
from pytest_selfheal.jobs import RunOutcome as RunOutcome
from pytest_selfheal.jobs import TestResult as TestResult
from pytest_selfheal.jobs import Watch as Watch

Verdict = Literal[
    "passed",
    "failed",
    "unusable",
    "timeout",
    "out-of-memory",
    "crashed",
    "refused",
    "untrusted",
]
Strategy = Literal["first", "retry", "fresh", "more-context", "second-model"]
Status = Literal["healed", "unhealed", "unreached", "rejected", "skipped"]


# --- intercept -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """One failing test (or file that cannot be collected) of the user's own run."""

    nodeid: str
    phase: Phase
    longrepr: str
    """The failure as pytest printed it, without colours."""


# --- find ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkerOptions:
    """What a marker says beside marking: `@heal(hint=…, attempts=…, keep=…)`."""

    hint: str | None = None
    attempts: int | None = None
    keep: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Stub:
    """A marked definition: what a model may be asked to write."""

    path: str
    qualname: str
    """Dotted, without `<locals>`: `TaxTable.due`."""
    index: int = 0
    """Which definition of that name in the file, from 0 (a property's setter is 1)."""
    first_line: int
    """1-based line of the first decorator, or of `def`: what `co_firstlineno` says."""
    def_line: int
    """1-based line of `def` itself."""
    end_line: int
    """1-based last line of the definition."""
    is_async: bool = False
    is_living: bool = False
    """It has a real body: left alone while its tests pass."""
    marker: Literal["decorator", "comment", "class"]
    is_wrapped: bool = False
    """`@heal`, its own or its class's, stands in for it and raises when it is called."""
    options: MarkerOptions = MarkerOptions()

    @property
    def target(self) -> str:
        """The stub's name on the wire and in reports: `path::qualname`."""
        return f"{self.path}::{self.qualname}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceWarning:
    """Something marked that cannot be healed, or a file that cannot be read."""

    path: str
    line: int
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundStubs:
    """What a search of one file or of a project gave."""

    stubs: tuple[Stub, ...] = ()
    warnings: tuple[SourceWarning, ...] = ()


# --- read and vet ----------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """A model's reply, taken apart as the wire format says; nothing in it is checked."""

    text: str
    blocks: tuple[str, ...] = ()
    """The contents of the ```` ```python ```` blocks, in order."""
    checks: tuple[str, ...] = ()
    """The contents of the ```` ```python checks ```` blocks, in order."""
    gave_up: str | None = None
    """The reason of a `Cannot:` line where there is no block."""
    input_tokens: int = 0
    output_tokens: int = 0
    """Those that the model thought with included."""
    cached_tokens: int = 0
    """Of `input_tokens`, those that the provider's prompt cache served."""
    reasoning_tokens: int = 0
    """Of `output_tokens`, those that the model thought with."""
    is_stored: bool = False
    """It was paid for by an earlier request, and comes from this machine's cache."""
    model: str = ""
    """The name of the model that wrote it, where the one that was asked says so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """The part of a candidate that concerns one stub: what the rewriter puts in."""

    stub: Stub
    definition: str
    """The whole definition as the reply has it, dedented, decorators left out."""
    as_given: str = ""
    """The same with the reply's own indentation, which a dedent can lose a part of."""
    imports: tuple[str, ...] = ()
    """Import statements that the definition or its helpers need, one each."""
    helpers: tuple[str, ...] = ()
    """Module-level definitions and constants that it needs, in the reply's order."""
    members: tuple[str, ...] = ()
    """What the reply adds to the stub's class for it: methods and constants, dedented."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A reply that was read, and let through by the static policy."""

    pieces: tuple[Piece, ...]
    checks: str = ""
    """The model's own asserts, one module's worth; empty if it wrote none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """A file's change as data: applies only to the bytes it was made from."""

    path: str
    before: bytes
    after: bytes


# --- ask -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Excerpt:
    """A quoted piece of a project's file."""

    path: str
    text: str
    note: str = ""
    """What it is, in a few words; shown beside the path."""
    shorter: tuple[str, ...] = ()
    """The same text with less in it, and with less still; empty for nothing.

    The last one holds what no prompt goes without.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Everything that a prompt is rendered from."""

    stubs: tuple[Stub, ...]
    modules: tuple[Excerpt, ...] = ()
    """The module of each target, whole or reduced to what matters."""
    tests: tuple[Excerpt, ...] = ()
    """The failing tests with the fixtures and constants that they use."""
    data: tuple[Excerpt, ...] = ()
    """Sample data files that the tests read, where these are text and small."""
    provisional: tuple[Excerpt, ...] = ()
    """Code already found for other stubs that these tests reach, not yet confirmed."""
    failures: tuple[Failure, ...] = ()
    """The tests' failures before the first attempt."""
    attempts: tuple[Attempt, ...] = ()
    """Failed attempts so far, oldest first."""
    passing: tuple[str, ...] = ()
    """Node ids of tests that reach the targets, pass as they stand, and must stay so."""
    wants_another_way: bool = False
    """The same mistake came back: the code is not to be mended but written otherwise."""


# --- what became of it -----------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One reply and what came of it."""

    verdict: Verdict
    why: str | None = None
    seconds: float = 0.0
    code: str = ""
    """The reply's python blocks, for the next prompt and for the HTML report."""
    traceback: str = ""
    red: tuple[TestResult, ...] = ()
    """The results that `why` and `traceback` tell of, where it was verified."""
    printed: str = ""
    """What the process itself printed, where that is told in `traceback` too."""
    not_run: frozenset[str] = frozenset()
    """Tests that were left out once others had decided it."""
    asking_seconds: float = 0.0
    """From the request to the reply, waiting for a rate limit included."""
    input_tokens: int = 0
    output_tokens: int = 0
    number: int = 0
    """Which request for its stubs it was, from 1; 0 where that is not known."""
    turn: int = 0
    """The same for all that were asked for at once."""
    strategy: Strategy = "first"
    """How it was asked for."""
    model: str = ""
    """Who wrote it."""
    is_reviewers: bool = False
    """The code was written by whoever reviewed the model's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StubReport:
    """The end of one stub's story."""

    target: str
    status: Status
    reason: str | None = None
    attempts: tuple[Attempt, ...] = ()
    tests: tuple[str, ...] = ()
    diff: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelUsage:
    """What the run asked of the model."""

    name: str = ""
    requests: int = 0
    """Each try counts, also one that failed."""
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    """Of `input_tokens`, those that the provider's prompt cache served."""
    reasoning_tokens: int = 0
    """Of `output_tokens`, those that the model thought with."""
    cost: float | None = None
    """In US dollars; None where the price is not known, 0.0 where it is nothing."""
    uncounted_requests: int = 0
    """Of `requests`, those that may have cost what nobody counted: still under way, broken off,
    or answered without a count. Tokens and cost leave them out."""
    stored_replies: int = 0
    """Replies that an earlier run had paid for."""
    models: tuple[ModelUsage, ...] = ()
    """Where several were asked, what each of them was."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HealReport:
    """Everything that the reports are made from."""

    mode: str
    exit_status: int
    seconds: float
    model: ModelUsage
    backend: str | None
    verifications: int
    planning_seconds: float = 0.0
    """Processor seconds of the thread that plans, waiting not counted."""
    stubs: tuple[StubReport, ...] = ()
    healed_tests: tuple[str, ...] = ()
    still_failing: tuple[str, ...] = ()
    sandbox_only_failures: tuple[str, ...] = ()
    """Tests that fail in the sandbox for reasons of their own."""
    warnings: tuple[SourceWarning, ...] = ()
    notes: tuple[str, ...] = ()
    """One-line remarks for the summary (a budget used up, a file left out)."""
    patch: str | None = None
    """Where the patch was written, in propose mode."""
