"""A socket before the real Docker daemon, that can stop as a daemon does."""

from __future__ import annotations

import contextlib
import socket
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path


class DaemonProxy:
    """Passes on what it is given, until it `dies`, or `hangs`."""

    def __init__(self, path: str, daemon: str) -> None:
        self.address = f"unix://{path}"
        self._path = path
        self._daemon = daemon
        self._hangs = threading.Event()
        self._lock = threading.Lock()
        self._open: list[socket.socket] = []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(path)
        self._listener.listen(64)
        threading.Thread(target=self._accept, daemon=True).start()

    def die(self) -> None:
        """Close everything, at once, and be gone."""
        Path(self._path).unlink(missing_ok=True)
        with self._lock:
            everything, self._open = [self._listener, *self._open], []
        for each in everything:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def hang(self) -> None:
        """Go on accepting, and pass on no more."""
        self._hangs.set()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                real = socket.socket(socket.AF_UNIX)
                real.connect(self._daemon)
                with self._lock:
                    self._open += [client, real]
                for pair in ((client, real), (real, client)):
                    threading.Thread(target=self._pass_on, args=pair, daemon=True).start()

    def _pass_on(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while part := source.recv(2**16):
                if self._hangs.is_set():
                    return
                target.sendall(part)
            target.shutdown(socket.SHUT_WR)


@contextlib.contextmanager
def daemon_proxy(daemon: str = "/var/run/docker.sock") -> Iterator[DaemonProxy]:
    """One that is gone at the end."""
    with tempfile.TemporaryDirectory() as folder:
        proxy = DaemonProxy(str(Path(folder) / "docker.sock"), daemon)
        try:
            yield proxy
        finally:
            proxy.die()
