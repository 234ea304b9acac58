"""From recorded trials to the comparison: means with intervals, differences search by search, transfer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import mean
from typing import Any

from benchmarks.autopeft.searches import DATA_SETS, EPOCHS, FRESH_SEEDS, METHODS, SIZES, Search, searches
from benchmarks.methods.results import interval
from benchmarks.trials.plan import MAX_LENGTH, ROWS
from benchmarks.trials.recording import Line

REFERENCE = "autopeft"


def results(recorded: Mapping[str, Line]) -> dict[str, Any]:
    """Test accuracy of every method over its searches, and AutoPEFT's difference to each on the same ones.

    `recorded` maps labels to lines. A data set and seed counts once all methods are through with it.
    """
    measured = {search: found for search in searches() if (found := _confirmed(search, recorded, search.data_set))}
    rounds = [
        (data_set, seed)
        for data_set in DATA_SETS
        for seed in sorted({search.seed for search in searches()})
        if all(Search(name, data_set, seed) in measured for name in METHODS)
    ]
    accuracy = {name: [measured[Search(name, *one)] for one in rounds] for name in METHODS}
    return {
        "protocol": {
            **SIZES,
            "evaluated_rows": {split: ROWS[split] for split in ("validation", "test")},
            "epochs": EPOCHS,
            "max_length": MAX_LENGTH,
            "seeds": list(FRESH_SEEDS),
        },
        "searches": [f"{data_set}/{seed}" for data_set, seed in rounds],
        "methods": {name: _row(name, accuracy[name], rounds, recorded) for name in METHODS} if rounds else {},
        "ahead_of": {
            name: _interval([mine - other for mine, other in zip(accuracy[REFERENCE], accuracy[name], strict=True)])
            for name in METHODS
            if name != REFERENCE and rounds
        },
        "transfer": [moved for one in rounds if (moved := _transfer(*one, accuracy, rounds, recorded))],
    }


def _row(
    name: str, accuracy: Sequence[float], rounds: Sequence[tuple[str, int]], recorded: Mapping[str, Line]
) -> dict[str, Any]:
    by_data_set = {
        data_set: round(mean(value for value, (where, _) in zip(accuracy, rounds, strict=True) if where == data_set), 4)
        for data_set in DATA_SETS
        if any(where == data_set for where, _ in rounds)
    }
    best = [Search(name, *one).best(recorded) for one in rounds]
    chosen = [line for line in best if line is not None]
    return {
        "accuracy": _interval(accuracy),
        "by_data_set": by_data_set,
        "validation": round(mean(line["metrics"]["accuracy"] for line in chosen), 4),
        "trainable_params": [int(line["metrics"]["trainable_params"]) for line in chosen],
        "chosen": [line["config"] for line in chosen],
    }


def _transfer(
    source: str,
    seed: int,
    accuracy: Mapping[str, Sequence[float]],
    rounds: Sequence[tuple[str, int]],
    recorded: Mapping[str, Line],
) -> dict[str, Any] | None:
    """What AutoPEFT found on `source`, trained on the other data set, beside what searches on that one found."""
    (target,) = (name for name in DATA_SETS if name != source)
    moved = _confirmed(Search(REFERENCE, source, seed), recorded, target)
    if moved is None or (target, seed) not in rounds:
        return None
    at = rounds.index((target, seed))
    single = {name: accuracy[name][at] for name in METHODS if name != REFERENCE}
    best = max(single, key=lambda name: single[name])
    return {
        "from": source,
        "to": target,
        "seed": seed,
        "accuracy": round(moved, 4),
        "searched_there": round(accuracy[REFERENCE][at], 4),
        "best_single": {"method": best, "accuracy": round(single[best], 4)},
        "median_single": round(sorted(single.values())[len(single) // 2], 4),
    }


def _confirmed(search: Search, recorded: Mapping[str, Line], data_set: str) -> float | None:
    """Mean test accuracy over the fresh seeds; None while one is missing. A training that failed counts as 0."""
    lines = [recorded.get(entry.label) for entry in search.confirmations(recorded, data_set)]
    if not lines or any(line is None for line in lines):
        return None
    return mean(float(line["metrics"].get("accuracy", 0.0)) for line in lines if line is not None)


def _interval(values: Sequence[float]) -> dict[str, float | None]:
    """Mean and half width; no width from a single search."""
    if len(values) < 2:
        return {"mean": round(values[0], 4), "half_width": None}
    return dict(interval(values))
