"""What one sandbox may use: a record on its own, since every run with `--selfheal` needs it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one sandbox may use."""

    timeout_seconds: float = 60.0
    memory_bytes: int = 512 * 2**20
    """Swap included."""
    processes: int = 128
    cpus: float = 1.0
    disk_bytes: int = 256 * 2**20
    """One half for the project's copy, one for /tmp."""
    file_bytes: int = 64 * 2**20
    """The largest single file; pytest's own captured output is one."""
    open_files: int = 1024
    output_bytes: int = 256 * 2**10
    """How much of a test's captured output is kept, head and tail."""
