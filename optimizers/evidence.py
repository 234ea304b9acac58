"""What a history says, as arrays: every objective minimised, every doubtful number sorted out.

A completed trial is evidence when all its objectives are finite numbers; otherwise it counts as failed. A stopped trial
says something about its configuration but has not earned a place on the front. Trials whose configuration is not in
the space (reference trials of another method, or from before the space was narrowed) still hold their place on the
front, but no surrogate can learn from them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from optimizers.pareto import non_domination_ranks
from optimizers.problem import Config, History, OutcomeConstraint, Problem

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]


@dataclass(frozen=True)
class Evidence:
    """The measured trials of a job inside the space, `n` of them, oldest first, and what lies around them."""

    configs: tuple[Config, ...]
    objectives: FloatArray  # [n, m], minimised
    constrained: FloatArray  # [n, c]: the metric of each outcome constraint; NaN where it was not measured
    feasible: BoolArray  # [n]: every constraint was measured and holds
    finished: BoolArray  # [n]: trained to the full budget; only these may stand on the front
    cost: FloatArray  # [n]: what the whole training cost; NaN where that was not measured
    outside: FloatArray  # [p, m]: objectives of finished, feasible trials whose configuration is not in the space
    failed: tuple[Config, ...]  # in the space, without a result
    pending: tuple[Config, ...]  # in the space

    @property
    def on_front(self) -> BoolArray:
        """Rows `[n]` that may stand on the front."""
        return self.feasible & self.finished


def read(problem: Problem, history: History) -> Evidence:
    """Sort out `history`. Known objectives and constraints are computed, not looked up."""
    measured = [(trial.config, trial.metrics, True) for trial in history.completed]
    measured += [(trial.config, trial.metrics, False) for trial in history.stopped]
    configs: list[Config] = []
    rows: list[tuple[list[float], list[float], bool]] = []
    costs: list[float] = []
    outside: list[list[float]] = []
    failed: list[Config] = [trial.config for trial in history.failed]
    for config, metrics, finished in measured:
        inside = problem.space.contains(config)
        known = problem.known if inside else {}
        values = minimised(problem, config, metrics, known)
        constrained = [value_of(item.metric, config, metrics, known) for item in problem.constraints]
        if not all(map(math.isfinite, values)):
            failed.append(config)
        elif inside:
            configs.append(config)
            rows.append((values, constrained, finished))
            costs.append(metrics.get(problem.cost, math.nan) if finished and problem.cost else math.nan)
        elif finished and holds(problem.constraints, constrained):
            outside.append(values)
    return Evidence(
        configs=tuple(configs),
        objectives=_matrix([row[0] for row in rows], len(problem.objectives)),
        constrained=_matrix([row[1] for row in rows], len(problem.constraints)),
        feasible=np.array([holds(problem.constraints, row[1]) for row in rows], dtype=bool),
        finished=np.array([row[2] for row in rows], dtype=bool),
        cost=np.array(costs, dtype=np.float64),
        outside=_matrix(outside, len(problem.objectives)),
        failed=_inside(problem, failed),
        pending=_inside(problem, [trial.config for trial in history.pending]),
    )


def asked_configs(history: History) -> Iterable[Config]:
    """Configurations of all trials, whatever became of them."""
    for group in (history.completed, history.stopped, history.failed, history.pending):
        yield from (trial.config for trial in group)


def asked_count(history: History) -> int:
    """Number of trials, whatever became of them."""
    return len(history.completed) + len(history.stopped) + len(history.failed) + len(history.pending)


def holds(constraints: Sequence[OutcomeConstraint], values: Sequence[float]) -> bool:
    """Whether the constrained metrics' `values` are finite and within bounds."""
    return all(
        math.isfinite(value) and (item.min is None or value >= item.min) and (item.max is None or value <= item.max)
        for item, value in zip(constraints, values, strict=True)
    )


def known_values(problem: Problem, metric: str, configs: Sequence[Config]) -> FloatArray:
    """The known `metric` of each configuration, `[n]`, in its own unit and direction."""
    formula = problem.known[metric]
    return np.array([float(formula(config)) for config in configs], dtype=np.float64)


def informative(evidence: Evidence, limit: int) -> IntArray:
    """Indices of at most `limit` trials to learn from: the better half of them by front, the rest evenly over time."""
    n = len(evidence.configs)
    if n <= limit:
        return np.arange(n)
    order = np.argsort(non_domination_ranks(evidence.objectives), kind="stable")
    best = order[: limit // 2]
    rest = np.sort(order[limit // 2 :])
    others = rest[np.linspace(0, len(rest) - 1, limit - len(best)).astype(np.int64)]
    return np.sort(np.concatenate([best, others]))


def minimised(problem: Problem, config: Config, metrics: Mapping[str, float], known: Mapping[str, Any]) -> list[float]:
    """All objectives of one trial, minimised; NaN where one was not measured. `known` ones are computed."""
    signs = [-1.0 if objective.direction == "maximize" else 1.0 for objective in problem.objectives]
    return [
        sign * value_of(objective.metric, config, metrics, known)
        for sign, objective in zip(signs, problem.objectives, strict=True)
    ]


def value_of(metric: str, config: Config, metrics: Mapping[str, float], known: Mapping[str, Any]) -> float:
    """One metric of a trial, computed if it is `known`; NaN when it was not measured."""
    value = known[metric](config) if metric in known else metrics.get(metric)
    return math.nan if value is None else float(value)


def _inside(problem: Problem, configs: Iterable[Config]) -> tuple[Config, ...]:
    return tuple(config for config in configs if problem.space.contains(config))


def _matrix(rows: list[list[float]], columns: int) -> FloatArray:
    return np.array(rows, dtype=np.float64).reshape(len(rows), columns)
