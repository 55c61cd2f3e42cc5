"""Requests that may become pointless while they wait for their turn.

Of several samples that were asked for at once, one may turn out to be green while others
still wait for a rate, a budget or a pause. Each layer that waits looks here whether it still
should. The answer goes with the thread that asks, so that no layer has to pass it on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from threading import Event

from pytest_selfheal.errors import ModelUnavailable

POLL_SECONDS = 0.25

_is_wanted: ContextVar[Callable[[], bool] | None] = ContextVar("is_wanted", default=None)


class Unwanted(ModelUnavailable):
    """A request that nobody needs any more; it was not sent."""

    def __init__(self) -> None:
        super().__init__("another sample is green")


@contextmanager
def only_while(is_wanted: Callable[[], bool]) -> Iterator[None]:
    """Have requests of this thread given up within, once nobody wants their replies."""
    token = _is_wanted.set(is_wanted)
    try:
        yield
    finally:
        _is_wanted.reset(token)


def may_become_unwanted() -> bool:
    """Whether this thread's request may: then a wait has to be looked after."""
    return _is_wanted.get() is not None


def check() -> None:
    """Go on only where the request is wanted.

    Raises:
        Unwanted: It is not.
    """
    is_wanted = _is_wanted.get()
    if is_wanted is not None and not is_wanted():
        raise Unwanted


def wait(closed: Event, seconds: float) -> bool:
    """Wait, and say whether that was ended by the event.

    Raises:
        Unwanted: The request is not wanted any more.
    """
    check()
    while may_become_unwanted() and seconds > POLL_SECONDS:
        if closed.wait(POLL_SECONDS):
            return True
        seconds -= POLL_SECONDS
        check()
    if closed.wait(seconds):
        return True
    check()
    return False
