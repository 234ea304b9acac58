"""Optimizers against their peers on the same problems: `python -m benchmarks.search [--quick]`."""
