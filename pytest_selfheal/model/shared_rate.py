"""A rate limit over a sliding minute that several processes share, kept by pyrate-limiter."""

from __future__ import annotations

import math
import sqlite3
import time
from pathlib import Path
from threading import Lock

from filelock import FileLock, Timeout
from pyrate_limiter import Duration, Rate, RateItem, SQLiteBucket

from pytest_selfheal.errors import ModelUnavailable, UsageError

_LOCK_SECONDS = 20.0
_MOST_UNITS = 1_000
_MARGIN_SECONDS = 0.02
_FUTURE_MILLISECONDS = 5_000
"""More than clocks are set by as a matter of course."""


class SharedRate:
    """So many requests, or tokens, a minute; safe for threads and processes.

    pyrate-limiter's SQLite bucket is used directly, without its `Limiter`: that one starts
    a thread for each bucket, sleeps where nothing can interrupt it, and tells nobody how
    long. The bucket's own file lock waits without end, so ours stands in front of it.
    """

    def __init__(self, what: str, limit: int, state_dir: Path) -> None:
        """Open the shared state.

        Args:
            what: `requests` or `tokens`; limits of one kind share their file.
            limit: How many of them a minute, at least 1.
            state_dir: The folder for the files; made if missing, for the owner alone.

        Raises:
            UsageError: The folder or its files cannot be used.
        """
        self.limit = limit
        # The bucket keeps a row for each unit: a million tokens would be a million rows.
        # So tokens are counted by the thousandth of the limit, rounded up.
        self._unit = 1 if what == "requests" else math.ceil(limit / _MOST_UNITS)
        self._path = state_dir / f"rate-{what}-{self._unit}.sqlite"
        self._mutex = Lock()
        self._bucket: SQLiteBucket | None = None
        self._lock = FileLock(f"{self._path}.guard", timeout=_LOCK_SECONDS, mode=0o600)
        try:
            state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            with self._lock:
                self._bucket = SQLiteBucket.init_from_file(
                    [Rate(limit // self._unit, Duration.MINUTE)],
                    table="spent",
                    db_path=str(self._path),
                )
        except (OSError, Timeout, sqlite3.Error) as error:
            raise UsageError(
                f"the state of the rate limits in {str(state_dir)!r} cannot be used ({error}): "
                "delete that folder, or leave --selfheal-rpm and --selfheal-tpm out"
            ) from None

    def take(self, weight: int) -> float:
        """Take that much room if it is there.

        Returns:
            0.0 if it was taken; else the seconds after which to try again.

        Raises:
            ModelUnavailable: The shared state went away or stayed locked.
        """
        units = min(math.ceil(weight / self._unit), self.limit // self._unit)
        try:
            with self._mutex, self._lock:
                bucket = self._bucket
                if bucket is None:
                    raise ModelUnavailable("the run ended while a request waited for its turn")
                now = time.time_ns() // 1_000_000  # the bucket's own clock
                latest = bucket.peek(0)
                if latest is not None and latest.timestamp > now + _FUTURE_MILLISECONDS:
                    bucket.flush()  # the clock was set back: else it is full until then
                bucket.leak(now)
                item = RateItem("selfheal", now, weight=units)
                if bucket.put(item):
                    return 0.0
                milliseconds = bucket.waiting(item)
        except (OSError, Timeout, sqlite3.Error) as error:
            raise ModelUnavailable(
                f"the state of the rate limits in {str(self._path)!r} cannot be used ({error}): "
                "delete that file"
            ) from None
        assert isinstance(milliseconds, int)  # not awaitable: the bucket is synchronous
        return min(max(milliseconds, 0) / 1000, 60.0) + _MARGIN_SECONDS

    def close(self) -> None:
        """Let go of the files."""
        with self._mutex:
            if self._bucket is not None:
                self._bucket.close()  # type: ignore[no-untyped-call]
                self._bucket = None
