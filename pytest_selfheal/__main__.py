"""`python -m pytest_selfheal COMMAND …`: what pre-commit and CI call beside pytest itself."""

from __future__ import annotations

import sys

from pytest_selfheal.commands import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
