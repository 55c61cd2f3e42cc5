"""Budgets around any `Model`: what a run and a day may spend in requests, tokens, money, time.

Before each request an upper bound of its cost is set aside in every account, and replaced
by the service's own count when the reply is there. So the sum of all that is spent or under
way is never over a budget, however many threads and processes ask at once.
"""

from __future__ import annotations

import math
import os
import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from threading import Condition
from typing import NoReturn

from pytest_selfheal.errors import BudgetExhausted, ModelUnavailable, UsageError
from pytest_selfheal.model.accounts import Account, Amount, Book, Caps, RunAccount, today
from pytest_selfheal.model.bounds import Bound, ask_within
from pytest_selfheal.model.prices import NANODOLLARS, Price
from pytest_selfheal.model.size import estimated_tokens
from pytest_selfheal.model.wanted import check, may_become_unwanted
from pytest_selfheal.protocols import Model
from pytest_selfheal.records import ModelUsage, Reply

LONG_REPLY_TOKENS = 16_000
"""What a reply is given at most where a budget needs a bound and the user set none."""

_SMALLEST_REPLY_TOKENS = 64
_FRAME_TOKENS = 32
"""What a service adds to a prompt for its own form of it."""
_MARGIN = 2.0
_POLL_SECONDS = 0.25
_RESERVED_SECONDS = 1_800.0
"""Longer than any request takes; what is set aside for longer is its killed process's."""

_OPTIONS = {
    "requests": "max-requests",
    "tokens": "max-tokens",
    "nanodollars": "max-cost",
}


class _PromptTokens:
    """An upper bound for a prompt's tokens. Not thread-safe.

    No token of a byte-level vocabulary is shorter than a byte. Once replies have shown how
    many characters a token of this model has, twice what was seen is the bound.
    """

    def __init__(self) -> None:
        self._per_byte = 0.0

    def of(self, prompt: str) -> int:
        size = len(prompt.encode("utf-8", "replace"))
        if self._per_byte:
            plain = len(prompt.encode("ascii", "ignore"))
            # Other scripts have far fewer characters a token than code has.
            size = min(size, size - plain + math.ceil(plain * self._per_byte * _MARGIN))
        return size + _FRAME_TOKENS

    def learn(self, prompt: str, tokens: int) -> None:
        size = len(prompt.encode("utf-8", "replace"))
        if size and tokens:
            self._per_byte = max(self._per_byte, min(1.0, tokens / size))


class Purse:
    """What several models spend from together. Its lock is held around all else."""

    def __init__(self, accounts: Sequence[Account], max_seconds: float | None) -> None:
        self.accounts = accounts
        self.max_seconds = max_seconds
        self.deadline: float | None = None
        self.changed = Condition()


class BudgetedModel:
    """Refuses a request that a budget has no room for; a `Model`.

    Where only what others have set aside is in the way, a request waits for these to end,
    so that a bound that is too high ends no run early.
    """

    def __init__(
        self,
        model: Model,
        caps: Caps,
        *,
        day: Account | None = None,
        price: Price | None = None,
        max_seconds: float | None = None,
        max_reply_tokens: int | None = None,
        on_wait: Callable[[float, str], None] | None = None,
        purse: Purse | None = None,
    ) -> None:
        """Wrap a model.

        Args:
            model: Who answers.
            caps: What the run may spend.
            day: The day's account, shared by processes.
            price: What tokens cost; None where that is not known.
            max_seconds: Wall seconds from the first request on.
            max_reply_tokens: The longest reply that the user wants.
            on_wait: Told before each wait: its seconds, and a few words on the reason.
            purse: Another model's: then `caps`, `day` and `max_seconds` are those of that one.

        Raises:
            UsageError: Money is limited, and the price is not known.
        """
        self.name = model.name
        self._model = model
        accounts: list[Account] = [RunAccount(caps), *([day] if day is not None else [])]
        self.purse = purse or Purse(accounts, max_seconds)
        self._accounts = self.purse.accounts
        if price is None and any(x.caps.nanodollars is not None for x in self._accounts):
            raise UsageError(no_price(model.name))
        self._price = price
        self._max_seconds = self.purse.max_seconds
        self._max_reply_tokens = max_reply_tokens
        self._on_wait = on_wait
        costs = price is not None and price.of(0, 1_000_000) > 0
        self._needs_bound = any(
            x.caps.tokens is not None or (costs and x.caps.nanodollars is not None)
            for x in self._accounts
        )
        self._changed = self.purse.changed
        self._prompt_tokens = _PromptTokens()
        self._largest_reply = 0
        self._nanodollars = 0
        self._closed = False

    def ask(self, prompt: str, *, targets: Sequence[str], attempt: int) -> Reply:
        """Pass the request on where every budget has room for it.

        Raises:
            BudgetExhausted: One has none; the line says which and how to raise it.
            ModelUnavailable: As the wrapped model says.
        """
        ticket = f"{os.getpid()}-{uuid.uuid4().hex}"
        try:
            cost, bound, day = self._reserve(prompt, ticket)
        except UsageError as error:  # the day's account
            raise ModelUnavailable(str(error), fatal=True) from None
        try:
            reply = ask_within(self._model, prompt, bound, targets=targets, attempt=attempt)
            cost = self._cost(prompt, reply)
            return reply
        except ModelUnavailable as error:
            if not error.may_have_cost:
                cost = self._counted(error)
            self._check_pause(error)
            raise
        finally:
            self._settle(ticket, day, cost)

    def usage(self) -> ModelUsage:
        """What the wrapped model says, and what that cost."""
        usage = self._model.usage()
        if self._price is None or usage.cost is not None:
            return usage
        with self._changed:
            return replace(usage, cost=self._nanodollars / NANODOLLARS)

    def close(self) -> None:
        """End the waits, and close the wrapped model."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._model.close()

    # --- before a request --------------------------------------------------------------

    def _reserve(self, prompt: str, ticket: str) -> tuple[Amount, Bound, str]:
        told = False
        with self._changed:
            if self.purse.deadline is None and self._max_seconds is not None:
                self.purse.deadline = time.monotonic() + self._max_seconds
            while True:
                self._check_time()
                day = today()
                with ExitStack() as stack:
                    books = [stack.enter_context(x.open(day)) for x in self._accounts]
                    found = self._room(prompt, books)
                    if found is not None:
                        amount, bound = found
                        for book in books:
                            book.reserve(ticket, amount, time.time() + _RESERVED_SECONDS)
                        return amount, bound, day
                if not told and self._on_wait is not None:
                    self._on_wait(_POLL_SECONDS, "a budget: requests under way may leave room")
                told = True
                check()
                # Other processes give nobody a sign, and neither does a sample that is green.
                polls = len(self._accounts) > 1 or may_become_unwanted()
                self._changed.wait(_POLL_SECONDS if polls else None)

    def _room(self, prompt: str, books: Sequence[Book]) -> tuple[Amount, Bound] | None:
        """What to set aside and the bound to send; None where others must end first.

        Raises:
            BudgetExhausted: There is no room, and none will come.
        """
        asked = self._prompt_tokens.of(prompt)
        wanted = self._max_reply_tokens or max(LONG_REPLY_TOKENS, 2 * self._largest_reply)
        seconds = None if self.purse.deadline is None else self.purse.deadline - time.monotonic()

        def need(reply: int) -> Amount:
            return replace(self._amount(asked, reply), requests=1)

        if not self._needs_bound:
            wanted = 0
        over = self._over(books, need(wanted))
        if over is None:
            sent = wanted if self._needs_bound else self._max_reply_tokens
            bound = Bound(reply_tokens=sent, seconds=seconds, is_strict=self._needs_bound)
            return need(wanted), bound
        # A request that is under way is spent, whatever it comes to.
        if over[1] != "requests" and any(book.reserved for book in books):
            return None
        fits = _largest(wanted, lambda reply: self._over(books, need(reply)) is None)
        least = min(wanted, max(_SMALLEST_REPLY_TOKENS, self._largest_reply))
        if not fits or fits < least:
            self._exhausted(*over, books, need(least))
        return need(fits), Bound(reply_tokens=fits, seconds=seconds, is_strict=True)

    def _over(self, books: Sequence[Book], amount: Amount) -> tuple[int, str] | None:
        """The number of the account that has no room for an amount, and of what."""
        for number, (account, book) in enumerate(zip(self._accounts, books, strict=True)):
            name = account.caps.exceeded_by(book.total + amount)
            if name is not None:
                return number, name
        return None

    def _check_time(self) -> None:
        if self._closed:
            raise ModelUnavailable("the run ended while a request waited for its turn")
        if self.purse.deadline is not None and time.monotonic() >= self.purse.deadline:
            raise BudgetExhausted(
                f"the budget of time is used up ({self._max_seconds:g} s): raise "
                "--selfheal-max-seconds"
            )

    def _check_pause(self, error: ModelUnavailable) -> None:
        """Let nobody pause for a try that could not be sent afterwards."""
        deadline, pause = self.purse.deadline, error.retry_after
        if deadline is not None and pause and time.monotonic() + pause >= deadline:
            raise ModelUnavailable(
                f"{error} (it asks for {pause:,.0f} s, and the budget of time ends before that: "
                "raise --selfheal-max-seconds)"
            ) from None

    def _exhausted(
        self, account: int, name: str, books: Sequence[Book], needed: Amount
    ) -> NoReturn:
        cap = getattr(self._accounts[account].caps, name)
        spent = getattr(books[account].total, name)
        what = "money" if name == "nanodollars" else name
        option = f"--selfheal-{_OPTIONS[name]}"
        if account:
            what = f"{what} for the day"
            option = f"selfheal_{_OPTIONS[name].replace('-', '_')}_per_day"
        more = ""
        if name != "requests":
            shown = _shown(name, getattr(needed, name))
            more = f", and the next request may need {shown}"
        raise BudgetExhausted(
            f"the budget of {what} is used up ({_shown(name, spent)} of {_shown(name, cap)}"
            f"{more}): raise {option}"
        )

    # --- after a request ---------------------------------------------------------------

    def _cost(self, prompt: str, reply: Reply) -> Amount:
        self._counted(reply)
        # A service that counts nothing is no reason to spend without end.
        asked = reply.input_tokens or estimated_tokens(prompt)
        replied = reply.output_tokens or estimated_tokens(reply.text)
        with self._changed:
            self._prompt_tokens.learn(prompt, asked)
            self._largest_reply = max(self._largest_reply, replied)
        return self._amount(asked, replied, reply.cached_tokens)

    def _amount(self, asked: int, replied: int, cached: int = 0) -> Amount:
        cost = self._price.of(asked, replied, cached) if self._price is not None else 0
        return Amount(requests=1, tokens=asked + replied, nanodollars=cost)

    def _counted(self, source: Reply | ModelUnavailable) -> Amount:
        """What the service says of a request; the run is said to have cost their sum."""
        amount = self._amount(source.input_tokens, source.output_tokens, source.cached_tokens)
        with self._changed:
            self._nanodollars += amount.nanodollars
        return amount

    def _settle(self, ticket: str, day: str, cost: Amount) -> None:
        with self._changed:
            try:
                for account in self._accounts:
                    with account.open(day) as book:
                        book.settle(ticket, cost)
            except UsageError as error:
                raise ModelUnavailable(str(error), fatal=True) from None
            finally:
                self._changed.notify_all()


def no_price(name: str, option: str = "selfheal_price") -> str:
    """Say in one line that money cannot be limited, and what to do."""
    return (
        f"a budget of money was set, and the price of the model {name!r} is not known: give it "
        f"as {option} = in,out (US dollars for a million tokens; 0,0 for nothing), or "
        "install pytest-selfheal[prices], or limit tokens instead (--selfheal-max-tokens)"
    )


def _largest(most: int, fits: Callable[[int], bool]) -> int:
    """The largest number up to `most` that fits, where each smaller one does too; else 0."""
    if fits(most):
        return most
    low, high = 0, most
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low


def _shown(name: str, value: int) -> str:
    return f"${value / NANODOLLARS:,.4f}" if name == "nanodollars" else f"{value:,}"
