"""What pytest-selfheal costs, as ratios. Run `python -m benchmarks` from the repository's root."""
