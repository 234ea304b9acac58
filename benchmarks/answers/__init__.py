"""Answers without training, held against public runs: `python -m benchmarks.answers [--quick]`."""
