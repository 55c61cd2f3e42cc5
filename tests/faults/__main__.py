"""All of the long forms, one after the other; prints what each counted (`make faults`)."""

from __future__ import annotations

import subprocess
import sys
import time

LONG_FORMS = {
    "kill_points": ["--twice"],
    "whole_runs": ["--kills=0"],
    "soak": ["--processes=16", "--rounds=2"],
}


def main() -> int:
    """1 where one of them found something."""
    statuses = []
    for name, arguments in LONG_FORMS.items():
        start = time.monotonic()
        command = [sys.executable, "-m", f"tests.faults.{name}", *arguments]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
        print(f"{name} ({time.monotonic() - start:.0f} s): {done.stdout.strip()}", flush=True)
        statuses.append(done.returncode)
    return int(any(statuses))


if __name__ == "__main__":
    sys.exit(main())
