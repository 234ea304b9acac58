"""From recorded trials to one line of figures for each method. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import sqrt
from statistics import mean, median, stdev
from typing import Any

from scipy.stats import t as student

from benchmarks.methods.tuning import DATA_SETS, FRESH_SEEDS, Tuned, tuned
from benchmarks.trials.plan import EPOCHS, MAX_LENGTH, MODEL, ROWS
from benchmarks.trials.table import RecordedTrial
from workers.methods.declaration.method import Method

LEVEL = 0.95


def interval(values: Sequence[float], level: float = LEVEL) -> dict[str, float]:
    """Mean and half width of Student's interval for the mean of values [n], n >= 2."""
    half = float(student.ppf((1 + level) / 2, len(values) - 1)) * stdev(values) / sqrt(len(values))
    return {"mean": round(mean(values), 4), "half_width": round(half, 4)}


def results(chosen: Iterable[Method], trials: Iterable[RecordedTrial]) -> dict[str, Any]:
    """Everything that the page shows, for those methods whose trials are all recorded."""
    recorded = {trial.key: trial for trial in trials}
    base = base_latency(recorded.values())
    rows, missing = {}, []
    for one in chosen:
        best = tuned(one, recorded)
        tests = [recorded.get(entry.key) for entry in best.confirmations()] if best else []
        if best is None or not tests or any(test is None or test.status != "completed" for test in tests):
            missing.append(one.name)
        else:
            rows[one.name] = _row(one, best, [test for test in tests if test is not None], base)
    return {
        "protocol": {
            "model": MODEL,
            "data_sets": list(DATA_SETS),
            "rows": ROWS,
            "max_length": MAX_LENGTH,
            "epochs": EPOCHS,
            "seeds": list(FRESH_SEEDS),
            "level": LEVEL,
        },
        "methods": dict(sorted(rows.items(), key=lambda item: -item[1]["accuracy"]["mean"])),
        "missing": missing,
    }


_OVER_BASE = "latency_batch_ms_over_base"


def base_latency(trials: Iterable[RecordedTrial]) -> float:
    """Milliseconds of processor time that the plain base takes for 32 rows: what methods that merge report.

    Of the trials that were not measured beside the base, all recorded on one machine.
    """
    found = [
        trial.metrics["latency_batch_ms"]
        for trial in trials
        if trial.method == "lora" and "latency_batch_ms" in trial.metrics and _OVER_BASE not in trial.environment
    ]
    return median(found) if found else float("nan")


def added_latency(trial: RecordedTrial, base: float) -> float:
    """Share by which a pass takes longer than the base's of `base` milliseconds: beside it, where measured so."""
    beside = trial.environment.get(_OVER_BASE)
    longer = float(beside.split()[0]) if beside else trial.metrics["latency_batch_ms"] / base
    return round(longer - 1, 3)


def _row(one: Method, best: Tuned, tests: list[RecordedTrial], base: float) -> dict[str, Any]:
    by_seed = [[test for test in tests if test.seed == seed] for seed in FRESH_SEEDS]
    costs = best.trials[0].metrics
    return {
        "config": best.config,
        "tried": best.tried,
        "accuracy": interval([mean(test.metrics["accuracy"] for test in group) for group in by_seed]),
        "by_data_set": {
            name: interval([test.metrics["accuracy"] for test in tests if test.data_set == name]) for name in DATA_SETS
        },
        "trainable_params": int(costs["trainable_params"]),
        "adapter_bytes": int(costs["adapter_bytes"]),
        "peak_memory_mb": round(costs["peak_memory_mb"], 1),
        "processor_seconds": round(mean(_training_seconds(test) for test in tests), 2),
        "added_latency": 0.0 if one.mergeable else added_latency(best.trials[0], base),
        "mergeable": one.mergeable,
    }


def _training_seconds(trial: RecordedTrial) -> float:
    """Processor time up to the only report: attaching, every step, one evaluation."""
    return trial.curve[-1]["processor_seconds"]


def front(rows: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Names of the methods that no other beats in both accuracy and trained parameters, fewest parameters first."""
    found: list[str] = []
    best = float("-inf")
    for name in sorted(rows, key=lambda name: (rows[name]["trainable_params"], -rows[name]["accuracy"]["mean"])):
        if rows[name]["accuracy"]["mean"] > best:
            best = rows[name]["accuracy"]["mean"]
            found.append(name)
    return found
