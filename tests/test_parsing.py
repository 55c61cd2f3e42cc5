"""Reading source in several threads at once."""

from __future__ import annotations

import gc
import sys
import threading
import time
import weakref
from collections.abc import Iterator

import pytest

from pytest_selfheal.source.parsing import literal, parse_text

TEXT = "\n".join(f"def f{n}(a, b):\n    return [x for x in a if (x + {n}) * b]" for n in range(60))


class Cycle:
    def __init__(self) -> None:
        self.itself = self


@pytest.fixture
def _garbage_is_collected_often() -> Iterator[None]:
    interval, threshold = sys.getswitchinterval(), gc.get_threshold()
    sys.setswitchinterval(1e-6)
    gc.set_threshold(700)
    yield
    sys.setswitchinterval(interval)
    gc.set_threshold(*threshold)


@pytest.mark.usefixtures("_garbage_is_collected_often")
def test_threads_that_parse_at_once_do_not_disturb_each_other() -> None:
    """Nor where another thread gets its turn half-way through a tree, from a finalizer."""
    failed: list[BaseException] = []

    def parse_often() -> None:
        try:
            for _ in range(25):
                kept = [weakref.ref(Cycle(), lambda _: time.sleep(0)) for _ in range(20)]
                assert len(parse_text(TEXT).body) == 60
                assert literal("(1, [2])") == (1, [2])
                assert kept
        except (SystemError, AssertionError) as error:
            failed.append(error)

    threads = [threading.Thread(target=parse_often) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
