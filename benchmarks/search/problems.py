"""What is searched: a space, a measurement with noise, the truth behind it, and the best that can be reached."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from optimizers.pareto import hypervolume, infer_reference, non_dominated
from optimizers.problem import Config, Objective, Problem
from search_spaces.space import Space, config_hash

FloatArray = NDArray[np.float64]
_STEPS = (0.3, 0.1, 0.03, 0.01)  # of a search that sees the truth, as shares of a parameter's range
Truth = Callable[[Config], Mapping[str, float]]


@dataclass(frozen=True)
class SearchProblem:
    """A problem with a computable truth.

    Args:
        name: as printed.
        problem: what an optimizer sees.
        truth: the metrics of a configuration without noise.
        measure: the metrics as a trial would report them.
        logarithmic: objectives whose volume is counted on a logarithmic axis.
        listed: every configuration when the space is small enough to know the optimum exactly; else it is searched.
    """

    name: str
    problem: Problem
    truth: Truth
    measure: Callable[[Config, np.random.Generator], Mapping[str, float]]
    logarithmic: tuple[str, ...] = ()
    listed: tuple[Config, ...] = ()

    def values(self, config: Config) -> list[float]:
        """True objectives, minimised, on the axes on which volume is counted."""
        metrics = self.truth(config)
        found = []
        for objective in self.problem.objectives:
            value = float(metrics[objective.metric])
            if objective.metric in self.logarithmic:
                value = float(np.log10(value + 1000.0))
            found.append(-value if objective.direction == "maximize" else value)
        return found

    @cached_property
    def drawn(self) -> FloatArray:
        """True objectives `[n, m]` of random configurations: what chance gives."""
        configs = self.problem.space.sample(2000, np.random.default_rng(12345))
        return np.array([self.values(config) for config in configs])

    @cached_property
    def best(self) -> FloatArray:
        """The true front `[k, m]`, exact for listed problems, else the best of a long search that sees the truth."""
        if self.listed:
            values = np.array([self.values(config) for config in self.listed])
            return np.unique(values[non_dominated(values)], axis=0)
        if len(self.problem.objectives) == 1:
            return np.array([[_deep_descent(self.problem.space, lambda config: self.values(config)[0])]])
        return _long_search(self.problem.space, self.values)

    @cached_property
    def reference(self) -> FloatArray:
        """Where volume ends: the worse of a median random configuration and the front's worst plus a tenth."""
        return np.maximum(np.median(self.drawn, axis=0), infer_reference(self.best))

    @cached_property
    def reachable(self) -> float:
        """Hypervolume of the true front."""
        return hypervolume(self.best, self.reference)

    def regret(self, values: FloatArray) -> float:
        """What is missing after finding true objectives `values [n, m]`, as a share: of the reachable hypervolume,
        or, with one objective, of the way from a median random configuration to the optimum."""
        if values.shape[1] == 1:
            optimum, median = float(self.best.min()), float(np.median(self.drawn))
            return float((values.min() - optimum) / (median - optimum))
        return float(1.0 - hypervolume(values, self.reference) / self.reachable)


def noisy(truth: Truth, noise: Mapping[str, float]) -> Callable[[Config, np.random.Generator], Mapping[str, float]]:
    """A measurement of `truth` with normal noise of the given standard deviation for each metric."""

    def measure(config: Config, rng: np.random.Generator) -> Mapping[str, float]:
        metrics = truth(config)
        return {name: value + noise.get(name, 0.0) * float(rng.standard_normal()) for name, value in metrics.items()}

    return measure


def maximize(metric: str) -> Objective:
    """An objective to maximize."""
    return Objective(metric, "maximize")


def minimize(metric: str) -> Objective:
    """An objective to minimize."""
    return Objective(metric, "minimize")


def _deep_descent(space: Space, value_of: Callable[[Config], float], starts: int = 10) -> float:
    """The least value met by walking down from the best of many random configurations, one change at a time."""
    lowest = float("inf")
    for config in sorted(space.sample(3000, np.random.default_rng(54321)), key=value_of)[:starts]:
        here, value, step = config, value_of(config), 0
        while step < len(_STEPS):
            around = space.neighbours(here, _STEPS[step])
            values = [value_of(other) for other in around]
            if min(values) < value:
                value, step = min(values), 0
                here = around[values.index(value)]
            else:
                step += 1
        lowest = min(lowest, value)
    return lowest


def _long_search(space: Space, values_of: Callable[[Config], list[float]], rounds: int = 25) -> FloatArray:
    """The front of a local search from random configurations that always knows the truth."""
    rng = np.random.default_rng(54321)
    configs: list[Any] = space.sample(3000, rng)
    values = np.array([values_of(config) for config in configs])
    seen = {config_hash(config) for config in configs}
    for turn in range(rounds):
        values, first = np.unique(values, axis=0, return_index=True)
        configs = [configs[index] for index in first]
        front = np.flatnonzero(non_dominated(values))
        configs, values = [configs[index] for index in front], values[front]
        chosen = rng.permutation(len(configs))[:60]
        step = _STEPS[turn % len(_STEPS)]
        around = {config_hash(other): other for index in chosen for other in space.neighbours(configs[index], step)}
        fresh = [other for name, other in around.items() if name not in seen]
        seen.update(around)
        if fresh:
            configs += fresh
            values = np.concatenate([values, [values_of(config) for config in fresh]])
    front_values = values[non_dominated(values)]
    return np.unique(front_values, axis=0)
