import signal
from collections.abc import Iterator

import pytest
from hypothesis import settings

pytest_plugins = ["pytester"]

# A busy machine is no failure.
settings.register_profile("selfheal", deadline=None)
settings.load_profile("selfheal")


@pytest.fixture
def nothing_ignored() -> Iterator[None]:
    """Let a process that is started hear a hang-up, though these tests run under `nohup`."""
    former = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, former)
