"""Where a trial stands among its peers: by value with one objective, by non-domination with several."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from optimizers.pareto import crowding, non_domination_ranks
from optimizers.problem import Config, Objective, Problem

FloatArray = NDArray[np.float64]


def comparable(problem: Problem, metrics: Mapping[str, float]) -> tuple[Objective, ...]:
    """What can be compared while training: objectives that are reported or known, and what stands in for others."""
    found: dict[str, Objective] = {}
    for item in problem.objectives:
        shown = item if item.metric in problem.known or item.metric in metrics else problem.stand_ins.get(item.metric)
        if shown is not None and (shown is item or shown.metric in metrics):
            found.setdefault(shown.metric, shown)
    return tuple(found.values())


def minimised(
    objectives: Sequence[Objective], metrics: Mapping[str, float], config: Config, problem: Problem
) -> list[float]:
    """Values of `objectives`, minimised; NaN where one was not reported or is not a number."""
    values = []
    for objective in objectives:
        known = problem.known.get(objective.metric)
        value = float(known(config)) if known is not None else float(metrics.get(objective.metric, math.nan))
        values.append(-value if objective.direction == "maximize" else value)
    return values


def better_peers(values: FloatArray, own: int) -> int:
    """How many rows of `values [n, m]` (minimised) stand before row `own`.

    A row stands before another when it is on an earlier layer of fronts; on the same layer, when it is lonelier there
    (crowding distance), so that what goes on covers the front. Equal rows do not stand before one another.
    """
    ranks = non_domination_ranks(values)
    before = int((ranks < ranks[own]).sum())
    if values.shape[1] == 1 or np.isnan(values[own]).any():
        return before
    layer = ranks == ranks[own]
    # Equal rows count once, so that they share their distance; infinities would empty all distances.
    rows, place = np.unique(_finite(values[layer]), axis=0, return_inverse=True)
    distances = crowding(rows)[place.reshape(-1)]
    return before + int((distances > distances[int(layer[:own].sum())]).sum())


def _finite(values: FloatArray) -> FloatArray:
    """Infinities replaced by the column's largest or smallest finite value."""
    columns = []
    for column in values.T:
        finite = column[np.isfinite(column)]
        columns.append(np.clip(column, finite.min(), finite.max()) if len(finite) else np.zeros_like(column))
    return np.stack(columns, axis=1)
