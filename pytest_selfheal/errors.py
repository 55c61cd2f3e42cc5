"""What can go wrong through the user's doing or the machine's.

What a *model* gets wrong is never an exception that leaves a wing: it is an outcome
(`records.Verdict`). What the user got wrong is one of these, with one clear line that
says what, where, and what to do.
"""

from __future__ import annotations

from collections.abc import Sequence


class SelfHealError(Exception):
    """The base of all errors that pytest-selfheal raises on purpose."""


class UsageError(SelfHealError):
    """An option, ini value, marker or file that cannot be used as it is."""


class SandboxUnavailable(SelfHealError):
    """No sandbox of the kind asked for can be started on this machine."""


class SandboxFailed(SelfHealError):
    """A sandbox that was started went away by no doing of the code inside it."""


class ModelUnavailable(SelfHealError):
    """The model's service, or the recording that stands for it, gives no reply.

    `fatal` says that no other request of this run can fare better (a refused key,
    an unknown model, a used-up quota), so that none is sent.

    `retry_after` is None where the same request would fail again, else the least seconds
    to wait before it is sent once more. `is_adjusted` says that the next try is another
    request (without a parameter that was refused). `may_have_cost` says that the service
    may have written a reply that never arrived; `input_tokens` and `output_tokens` are what
    it counted for one that cannot be used.
    """

    def __init__(
        self,
        message: str,
        *,
        fatal: bool = False,
        retry_after: float | None = None,
        is_adjusted: bool = False,
        may_have_cost: bool = False,
        input_tokens: int = 0,
        output_tokens: int = 0,
        cached_tokens: int = 0,
    ) -> None:
        super().__init__(message)
        self.fatal = fatal
        self.retry_after = retry_after
        self.is_adjusted = is_adjusted
        self.may_have_cost = may_have_cost
        self.input_tokens = input_tokens
        self.output_tokens = output_tokens
        self.cached_tokens = cached_tokens


class BudgetExhausted(ModelUnavailable):
    """A budget that the user set leaves no room for the next request."""

    def __init__(self, message: str) -> None:
        super().__init__(message, fatal=True)


class PromptTooLong(ModelUnavailable):
    """What no request for these stubs goes without is more than the user allows to be sent."""


class Unusable(SelfHealError):
    """A reply that holds no candidate: the message tells the model exactly why."""


class Refused(SelfHealError):
    """A candidate that the static policy does not let into a sandbox, and why."""


class EditConflict(SelfHealError):
    """An edit whose file is no longer the one it was made from, or cannot be written."""


class FileChanged(EditConflict):
    """An edit's file holds other bytes than those that the edit was made from.

    `paths` are the files that do.
    """

    def __init__(self, message: str, paths: Sequence[str]) -> None:
        super().__init__(message)
        self.paths = tuple(paths)
