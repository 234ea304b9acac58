"""Everything the Gaussian processes of one problem know: objectives, outcome constraints and the chance of success."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from optimizers.evidence import Evidence, holds, informative, known_values
from optimizers.gp.features import FeatureMap, feature_map
from optimizers.gp.improvement import Model, Points
from optimizers.gp.length_priors import USUAL, LengthPrior
from optimizers.gp.outcomes import Scaling, scaling
from optimizers.gp.regression import GaussianProcess, fit
from optimizers.pareto import non_dominated
from optimizers.problem import Config, OutcomeConstraint, Problem

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]

# Of fewer costs, or of costs that hardly differ (in logarithms), nothing is learnt.
_FEWEST_COSTS, _LEAST_SPREAD = 4, 0.05

# Trials are asked for where success is this likely, as a share of the surest (docs/decisions/gp-defaults.md).
_LIKELY = 0.7


@dataclass(frozen=True)
class Limit:
    """A modelled outcome constraint."""

    constraint: OutcomeConstraint
    scaling: Scaling
    model: GaussianProcess

    def probability(self, features: FloatArray) -> FloatArray:
        """Probability `[k]` that the metric's true value is within bounds at `features [k, f]`."""
        mean, variance = self.model.predict(features)
        deviation = np.sqrt(variance)
        low, high = self.constraint.min, self.constraint.max
        above = ndtr((mean - self._scaled(low)) / deviation) if low is not None else 1.0
        below = ndtr((self._scaled(high) - mean) / deviation) if high is not None else 1.0
        probability: FloatArray = np.broadcast_to(above * below, mean.shape)
        return probability

    def _scaled(self, bound: float) -> float:
        return float(self.scaling.uncut(np.array([bound]))[0])


@dataclass(frozen=True)
class Success:
    """Whether trials come to a result, learnt from +1 for measured and −1 for failed ones."""

    model: GaussianProcess
    surest: float  # the largest probability at any of these trials

    def probability(self, features: FloatArray) -> FloatArray:
        """Probability `[k]` of a result at `features [k, f]`."""
        return _positive(self.model, features)

    def likely(self, probability: FloatArray) -> BoolArray:
        """Which `[k]` are likely enough to be asked for.

        Where nothing is left to gain among what works, a region that has only ever failed keeps the larger promise, be
        its chance one in a hundred: nothing was measured there that could lower it.
        """
        return np.asarray(probability >= _LIKELY * self.surest)


def _positive(model: GaussianProcess, features: FloatArray) -> FloatArray:
    mean, variance = model.predict(features)
    probability: FloatArray = ndtr(mean / np.sqrt(variance + model.noise))
    return probability


@dataclass(frozen=True)
class Expense:
    """What a trial costs, learnt by its logarithm."""

    model: GaussianProcess
    spread: float  # of the logarithms

    def __call__(self, features: FloatArray) -> FloatArray:
        """Expected cost `[k]` at `features [k, f]`, as a multiple of a middling one."""
        cost: FloatArray = np.exp(np.clip(self.spread * self.model.predict(features)[0], -20, 20))
        return cost


@dataclass(frozen=True)
class Surrogate:
    """Fitted models of one problem. Objectives are minimised and scaled; `models` has None for known ones."""

    problem: Problem
    features: FeatureMap
    scalings: tuple[Scaling, ...]
    models: tuple[Model | None, ...]
    limits: tuple[Limit, ...]
    success: Success | None  # None when nothing failed
    expense: Expense | None  # None when every trial costs the same, as far as is known

    def points(self, configs: Sequence[Config]) -> Points:
        """Configurations as the models see them."""
        known = np.full((len(configs), len(self.models)), np.nan)
        for j, (objective, model) in enumerate(zip(self.problem.objectives, self.models, strict=True)):
            if model is None:
                values = known_values(self.problem, objective.metric, configs)
                known[:, j] = self.scalings[j].uncut(-values if objective.direction == "maximize" else values)
        return Points(self.features(configs), known)

    def scaled(self, objectives: FloatArray) -> FloatArray:
        """Minimised objectives `[n, m]` on the models' scale; known ones keep their exact place."""
        columns = [
            scale.uncut(objectives[:, j]) if model is None else scale(objectives[:, j])
            for j, (scale, model) in enumerate(zip(self.scalings, self.models, strict=True))
        ]
        return np.stack(columns, axis=1)

    def mean(self, points: Points) -> FloatArray:
        """Posterior means `[k, m]`; the exact value where an objective is known."""
        columns = [
            points.known[:, j] if model is None else model.predict(points.features)[0]
            for j, model in enumerate(self.models)
        ]
        return np.stack(columns, axis=1)

    def feasibility(self, configs: Sequence[Config], points: Points) -> FloatArray:
        """Probability `[k]` that a trial meets all outcome constraints; known ones are certain."""
        probability = np.ones(len(points))
        for limit in self.limits:
            probability *= limit.probability(points.features)
        for constraint in self.problem.constraints:
            if constraint.metric in self.problem.known:
                values = known_values(self.problem, constraint.metric, configs)
                probability *= [holds((constraint,), (value,)) for value in values]
        return probability


def learn(
    problem: Problem, evidence: Evidence, limit: int, fitted: int, priors: Sequence[LengthPrior] = USUAL
) -> Surrogate:
    """Fit all models to `evidence`, which must hold at least one measured trial.

    At most `limit` trials enter a model, and `fitted` of these its hyperparameters; `priors` are those of the
    objectives' length scales. Raises `numpy.linalg.LinAlgError` or ValueError when a model cannot be fitted.
    """
    chosen = informative(evidence, limit)
    space_map = feature_map(problem.space)
    features = space_map([evidence.configs[index] for index in chosen])
    groups = space_map.groups
    scalings = objective_scalings(problem, evidence)
    models: list[Model | None] = []
    for objective, scale, column in zip(problem.objectives, scalings, evidence.objectives.T, strict=True):
        known = objective.metric in problem.known
        models.append(None if known else fit(features, groups, scale(column[chosen]), fitted, priors))
    return Surrogate(
        problem=problem,
        features=space_map,
        scalings=scalings,
        models=tuple(models),
        limits=_limits(problem, evidence, features, groups, chosen, fitted),
        success=_success(evidence, space_map, features, limit, fitted),
        expense=_expense(evidence.cost[chosen], features, groups, fitted),
    )


def objective_scalings(problem: Problem, evidence: Evidence) -> tuple[Scaling, ...]:
    """A map for each objective. With several, volume counts, so a modelled one keeps its own axis, and its values on
    the front."""
    if len(problem.objectives) == 1:
        return (scaling(evidence.objectives[:, 0]),)
    front = evidence.objectives[evidence.on_front]
    front = front[non_dominated(front)] if len(front) else front
    return tuple(
        scaling(column, decades=objective.metric in problem.known, kept=kept)
        for objective, column, kept in zip(problem.objectives, evidence.objectives.T, front.T, strict=True)
    )


def _limits(
    problem: Problem, evidence: Evidence, features: FloatArray, groups: IntArray, chosen: IntArray, fitted: int
) -> tuple[Limit, ...]:
    limits = []
    for constraint, column in zip(problem.constraints, evidence.constrained[chosen].T, strict=True):
        measured = np.isfinite(column)
        if constraint.metric not in problem.known and measured.any():
            scale = scaling(column[measured])
            model = fit(features[measured], groups, scale.uncut(column[measured]), fitted)
            limits.append(Limit(constraint, scale, model))
    return tuple(limits)


def _expense(costs: FloatArray, features: FloatArray, groups: IntArray, fitted: int) -> Expense | None:
    measured = np.isfinite(costs) & (costs > 0)
    logs = np.log(costs[measured])
    if len(logs) < _FEWEST_COSTS or (spread := float(logs.std())) < _LEAST_SPREAD:
        return None
    return Expense(fit(features[measured], groups, (logs - logs.mean()) / spread, fitted), spread)


def _success(
    evidence: Evidence, space_map: FeatureMap, features: FloatArray, limit: int, fitted: int
) -> Success | None:
    if not evidence.failed:
        return None
    failed = space_map(evidence.failed[-limit:])
    labels = np.concatenate([np.ones(len(features)), -np.ones(len(failed))])
    tried = np.concatenate([features, failed])
    model = fit(tried, space_map.groups, labels, fitted)
    return Success(model, float(_positive(model, tried).max()))
