"""Learning curves of real fine-tunings, as problems for schedulers: pools of trials that were all trained to their end.

A scheduler sees the curves as they grow and is judged by the final values of the trials that it let finish.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.search.tables import DATA
from benchmarks.trials.table import TABLE, trials
from optimizers.pareto import hypervolume, infer_reference
from optimizers.problem import Config, Objective, Problem
from search_spaces.parameters import Categorical, Float, Parameter
from search_spaces.space import Space
from service.jobs.search.problem import build_space
from service.jobs.search.spec import SpaceSpec
from workers.models.description import describe

FloatArray = NDArray[np.float64]
COMPARISON = DATA / "peft_method_comparison"


@dataclass(frozen=True)
class Pool:
    """Recorded trials: `curves [n, t]` of the trained objective at t evenly spaced reports, and where they ended."""

    name: str
    problem: Problem
    configs: tuple[Config, ...]
    curves: FloatArray
    finals: FloatArray  # [n] of the trained objective: what a finished trial is worth

    @property
    def trained(self) -> Objective:
        """The objective that training changes; others follow from the configuration."""
        return next(one for one in self.problem.objectives if one.metric not in self.problem.known)

    @cached_property
    def values(self) -> FloatArray:
        """Minimised final objectives `[n, m]`."""
        columns = []
        for one in self.problem.objectives:
            known = self.problem.known.get(one.metric)
            column = self.finals if known is None else np.log10([known(config) for config in self.configs])
            columns.append(-column if one.direction == "maximize" else column)
        return np.stack(columns, axis=1)

    @cached_property
    def reference(self) -> FloatArray:
        """`[m]`: with one objective the median final, so that beating a hopeless trial is worth nothing."""
        if self.values.shape[1] == 1:
            return np.median(self.values, axis=0)
        return infer_reference(self.values)

    def reached(self, finished: list[int]) -> float:
        """Share of the whole pool's hypervolume that the finished trials dominate."""
        if not finished:
            return 0.0
        return hypervolume(self.values[finished], self.reference) / hypervolume(self.values, self.reference)


def method_comparison(task: str, metric: str, final: str | None, direction: Any, cost: bool) -> Pool:
    """Hugging Face's comparison of PEFT methods: `metric` at every evaluation, judged by the column `final`.

    Without `final` the last value of the curve counts. With `cost` the trained parameters are a second objective.
    """
    with (COMPARISON / "flat.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["task"] == task]
    curves, finals, configs = [], [], []
    for row in rows:
        name = row["experiment"].replace("/", "--")
        told = json.loads((COMPARISON / task / f"{name}.json").read_text())["train_info"]["metrics"]
        curves.append([point[metric] for point in told if metric in point])
        configs.append({"method": row["peft_type"], "learning_rate": float(row["lr"])})
        configs[-1]["trainable_params"] = float(row["num_trainable_params"])
        finals.append(float(row[final]) if final else curves[-1][-1])
    longest = max(map(len, curves))
    whole = [row for row, curve in enumerate(curves) if len(curve) == longest and all(map(math.isfinite, curve))]
    return _pool(
        f"{task}/{metric.split()[-1]}{'+params' if cost else ''}",
        _space([configs[row] for row in whole]),
        [configs[row] for row in whole],
        np.array([curves[row] for row in whole]),
        np.array([finals[row] for row in whole]),
        Objective(metric, direction),
        (lambda config: float(config["trainable_params"])) if cost else None,
    )


def own_table(data_set: str, cost: bool) -> Pool:
    """Our recorded trials of the `lora` space on one data set: validation loss after each of three epochs."""
    rows = [
        trial
        for trial in trials(part="lora", data_set=data_set)
        if trial.status == "completed" and trial.seed == 0 and trial.precision == "bf16" and trial.split != "test"
    ]
    costs = {json.dumps(row.config, sort_keys=True): row.metrics["trainable_params"] for row in rows}
    return _pool(
        f"peft_trials/{data_set}{'+params' if cost else ''}",
        build_space(SpaceSpec(preset="lora"), describe("builtin:minilm")),
        [row.config for row in rows],
        np.array([[point["loss"] for point in row.curve] for row in rows]),
        np.array([row.metrics["loss"] for row in rows]),
        Objective("loss", "minimize"),
        (lambda config: costs[json.dumps(config, sort_keys=True)]) if cost else None,
    )


def _pool(
    name: str,
    space: Space,
    configs: list[Config],
    curves: FloatArray,
    finals: FloatArray,
    trained: Objective,
    cost: Callable[[Config], float] | None,
) -> Pool:
    objectives: tuple[Objective, ...] = (trained,)
    known = {}
    if cost is not None:
        objectives, known = (trained, Objective("trainable_params", "minimize")), {"trainable_params": cost}
    return Pool(name, Problem(space, objectives, known=known), tuple(configs), curves, finals)


def _space(configs: list[dict[str, Any]]) -> Space:
    parameters: list[Parameter] = [Categorical("method", tuple(sorted({config["method"] for config in configs})))]
    for name in ("learning_rate", "trainable_params"):
        values = [config[name] for config in configs]
        parameters.append(Float(name, min(values), max(values), "log"))
    return Space(tuple(parameters))


POOLS: dict[str, Callable[[], Pool]] = {}
if COMPARISON.is_dir():
    _math, _image = "MetaMathQA", "image-gen"
    for _cost in (False, True):
        _mark = "+params" if _cost else ""
        POOLS[f"{_math}/loss{_mark}"] = partial(method_comparison, _math, "train loss", None, "minimize", _cost)
        POOLS[f"{_math}/accuracy{_mark}"] = partial(
            method_comparison, _math, "valid accuracy", "last_test accuracy", "maximize", _cost
        )
        POOLS[f"{_image}/dino_similarity{_mark}"] = partial(
            method_comparison, _image, "valid dino_similarity", "last_test dino_similarity", "maximize", _cost
        )
if TABLE.is_file():
    for _set in ("trec", "ag_news", "sst2"):
        POOLS[f"peft_trials/{_set}"] = partial(own_table, _set, False)
        POOLS[f"peft_trials/{_set}+params"] = partial(own_table, _set, True)
