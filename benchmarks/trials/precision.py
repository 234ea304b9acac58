"""`python -m benchmarks.trials.precision`: does training in bfloat16 cost accuracy? From the pairs in the table.

A pair is one configuration, data set and seed trained in both number formats. What another seed does to the same
configuration is the yardstick. Imports no torch.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable
from math import sqrt
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from scipy.stats import t as student

from benchmarks.trials.table import TABLE, RecordedTrial, trials
from search_spaces.space import config_hash

Cell = tuple[str, str, int]


def compare(bf16: Iterable[RecordedTrial], fp32: Iterable[RecordedTrial]) -> dict[str, Any]:
    """Differences bfloat16 - float32 of final accuracy and loss over all pairs, beside those of another seed."""
    fast, exact = _completed(bf16), _completed(fp32)
    pairs = [(fast[cell], exact[cell]) for cell in exact if cell in fast]
    seeds = [(fast[cell], other) for cell, other in _other_seeds(fast)]
    return {
        "pairs": len(pairs),
        "methods": sorted({one.method for one, _ in pairs}),
        "data_sets": sorted({one.data_set for one, _ in pairs}),
        "accuracy": _difference(pairs, "accuracy"),
        "loss": _difference(pairs, "loss"),
        "processor_time_ratio": round(mean(b.processor_seconds / a.processor_seconds for a, b in pairs), 2)
        if pairs
        else None,
        "another_seed": {"pairs": len(seeds), "accuracy": _difference(seeds, "accuracy")},
    }


def _completed(found: Iterable[RecordedTrial]) -> dict[Cell, RecordedTrial]:
    return {(one.data_set, config_hash(one.config), one.seed): one for one in found if one.status == "completed"}


def _other_seeds(found: dict[Cell, RecordedTrial]) -> list[tuple[Cell, RecordedTrial]]:
    """Trials with seed 1, each with the cell of its twin with seed 0."""
    twins = [((name, config, 0), one) for (name, config, seed), one in found.items() if seed == 1]
    return [(cell, one) for cell, one in twins if cell in found]


def _difference(pairs: list[tuple[RecordedTrial, RecordedTrial]], metric: str) -> dict[str, float] | None:
    """Mean of first - second with the half width of its 95% interval, and the mean and largest distance."""
    if len(pairs) < 2:
        return None
    values = [one.metrics[metric] - other.metrics[metric] for one, other in pairs]
    half = float(student.ppf(0.975, len(values) - 1)) * stdev(values) / sqrt(len(values))
    distances = [abs(value) for value in values]
    figures = {"mean": mean(values), "half_width": half, "distance": mean(distances), "largest": max(distances)}
    return {name: round(value, 4) for name, value in figures.items()}


def main() -> None:
    """Print the comparison as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", type=Path, default=TABLE, help="the Parquet file (default %(default)s)")
    table = parser.parse_args().table
    print(json.dumps(compare(trials(table=table), trials(precision="fp32", table=table)), indent=1))


if __name__ == "__main__":
    main()
