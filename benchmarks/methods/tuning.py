"""Which configuration of a method is the best one recorded, and the trials that confirm it. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import mean
from typing import Any

from benchmarks.trials.plan import Entry, Part, method_configurations
from benchmarks.trials.table import RecordedTrial
from search_spaces.space import config_hash
from workers.methods.declaration.method import Method

DATA_SETS = ("trec", "ag_news")
FRESH_SEEDS = (101, 102, 103)
# Of the configurations recorded for each method, the first: they cover the upper three fourths of its learning rates.
TRIED = 3
TRIALS = (TRIED + len(FRESH_SEEDS)) * len(DATA_SETS)
"""Trials of one method, confirmation included."""
_PART: Part = "methods"


@dataclass(frozen=True)
class Tuned:
    """A method's best configuration, its trials [data sets] while tuning, and how many configurations it was among."""

    config: dict[str, Any]
    trials: tuple[RecordedTrial, ...]
    tried: int

    def confirmations(self) -> list[Entry]:
        """The fresh seeds on test rows, data set by data set within each seed."""
        return [
            Entry(_PART, data_set, self.config, seed, split="test") for seed in FRESH_SEEDS for data_set in DATA_SETS
        ]


def tuning_entries(one: Method) -> list[Entry]:
    """The trials that tuning a method needs: the same number for every method."""
    return [Entry(_PART, data_set, config) for config in method_configurations(one)[:TRIED] for data_set in DATA_SETS]


def tuned(one: Method, recorded: Mapping[str, RecordedTrial]) -> Tuned | None:
    """The configuration with the highest validation accuracy, averaged over data sets, the lower loss deciding ties.

    `recorded` maps keys to trials. None while a trial is missing, or when every configuration failed.
    """
    entries = tuning_entries(one)
    if any(entry.key not in recorded for entry in entries):
        return None
    by_config: dict[str, list[RecordedTrial]] = {}
    for entry in entries:
        by_config.setdefault(config_hash(entry.config), []).append(recorded[entry.key])
    whole = [found for found in by_config.values() if all(trial.status == "completed" for trial in found)]
    if not whole:
        return None
    best = max(whole, key=lambda found: (_mean(found, "accuracy"), -_mean(found, "loss")))
    return Tuned(best[0].config, tuple(best), len(by_config))


def _mean(trials: Iterable[RecordedTrial], metric: str) -> float:
    return mean(trial.metrics[metric] for trial in trials)
