"""`python -m benchmarks.trials.regularisation`: what a tuner of dropout and weight decay could gain beside rates.

On the recorded trials of the LoRA space, for each data set a line of JSON: a forest of trees learns log(loss) from the
configuration. `explained` is the share of its variance that it foretells out of ten folds, with all parameters and
without a group of them; `gain` how far log(loss) would fall, by the forest, if each trial had the best value of the
group that any of a hundred others has, all else as it is.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.model_selection import cross_val_predict

from benchmarks.trials.table import RecordedTrial, trials

GROUPS = {"learning_rate": ("learning_rate",), "regularisation": ("dropout", "weight_decay")}
_LOGARITHMS = {"learning_rate", "rank", "alpha", "batch_size"}
FloatArray = NDArray[np.float64]


def main() -> None:
    """Print a line for each data set."""
    for data_set in ("trec", "ag_news", "sst2"):
        found = [one for one in trials(part="lora", data_set=data_set) if one.metrics and one.split == "validation"]
        print(json.dumps({"data_set": data_set, **told([one for one in found if one.seed == 0])}), flush=True)


def told(recorded: Sequence[RecordedTrial], trees: int = 200) -> dict[str, Any]:
    """What the trials of one data set tell of the groups, to a forest of so many trees."""
    names = sorted({name for one in recorded for name in one.config} - {"method"})
    table = np.array([list(_numbers(recorded, one, names)) for one in recorded])
    losses = np.log([one.metrics["loss"] for one in recorded])
    forest = _forest(trees).fit(table, losses)
    explained, gain = {"all": _explained(table, losses, trees)}, {}
    for group, members in GROUPS.items():
        places = [names.index(name) for name in members]
        explained[f"without {group}"] = _explained(np.delete(table, places, axis=1), losses, trees)
        gain[group] = round(float(np.mean(forest.predict(table) - _best(forest, table, places))), 4)
    return {"trials": len(recorded), "explained": explained, "gain": gain}


def _numbers(recorded: Sequence[RecordedTrial], one: RecordedTrial, names: Sequence[str]) -> Iterator[float]:
    for name in names:
        value = one.config[name]
        if isinstance(value, str):
            yield float(sorted({str(other.config[name]) for other in recorded}).index(value))
        else:
            yield math.log(value) if name in _LOGARITHMS else float(value)


def _forest(trees: int) -> ExtraTreesRegressor:
    return ExtraTreesRegressor(trees, min_samples_leaf=2, random_state=0)


def _explained(table: FloatArray, losses: FloatArray, trees: int) -> float:
    foretold = cross_val_predict(_forest(trees), table, losses, cv=10)
    return round(float(1 - np.mean((losses - foretold) ** 2) / np.var(losses)), 3)


def _best(forest: ExtraTreesRegressor, table: FloatArray, places: list[int]) -> FloatArray:
    """The lowest log(loss) of each trial over values of a group that others have."""
    random, changed = np.random.default_rng(0), []
    for other in random.choice(len(table), min(100, len(table)), replace=False):
        rows = table.copy()
        rows[:, places] = table[other, places]
        changed.append(forest.predict(rows))
    lowest: FloatArray = np.min(changed, axis=0)
    return lowest


if __name__ == "__main__":
    main()
