"""What host and sandbox call the same; `inside_tests` repeats them, being sent alone."""

CHECKS = "selfheal_checks"
PLANTED = "selfheal_planted"
LABEL = "pytest-selfheal"
