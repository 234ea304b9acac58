"""Trials as BoTorch's models see them. Imports torch: import it inside functions.

A row of inputs holds the features of a configuration (`optimizers.gp.features`: choices, integers, and conditional
parameters on an arc whose centre says inactive), and beside them what follows from the configuration: the value of
each known objective, and ±1 for whether the known constraints hold. Models are fitted to the features; a known column
is handed on by a deterministic model, so the acquisition treats it like any other outcome, without doubt.

Outcomes are maximised, scaled as those of `gp` are, in this order: objectives, measured constraints, success, known
constraints. The last three are feasible above 0.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from botorch.fit import fit_gpytorch_mll
from botorch.models import ModelList, SingleTaskGP
from botorch.models.deterministic import GenericDeterministicModel
from botorch.models.model import Model
from botorch.models.transforms.input import FilterFeatures
from gpytorch.mlls import ExactMarginalLogLikelihood
from numpy.typing import NDArray
from torch import Tensor

from optimizers.evidence import Evidence, holds, informative, known_values
from optimizers.gp.features import FeatureMap, feature_map
from optimizers.gp.outcomes import Scaling, scaling
from optimizers.gp.surrogate import objective_scalings
from optimizers.problem import Config, OutcomeConstraint, Problem

FloatArray = NDArray[np.float64]
# Samples of outcomes `[..., o]` to a number `[...]` that is at most 0 where the constraint holds.
Constraint = Callable[[Tensor], Tensor]
# Rows `[n, f + k]`, targets `[n, 1]` and the places of the features to a model fitted to them.
Fit = Callable[[Tensor, Tensor, Tensor], Model]

# Length scales of parameters that do not matter drift for a thousand steps, which changes no prediction.
_STOP = {"maxiter": 100, "ftol": 1e-6}


@dataclass(frozen=True)
class Inputs:
    """The map from configurations to rows `[n, f + k]` of `f` features and `k` known columns."""

    problem: Problem
    features: FeatureMap
    scalings: tuple[Scaling, ...]

    def __call__(self, configs: Sequence[Config]) -> Tensor:
        """Rows `[n, f + k]` in double precision."""
        columns = [self.features(configs), *(column[:, None] for column in self._known(configs))]
        return torch.tensor(np.concatenate(columns, axis=1), dtype=torch.double)

    @property
    def places(self) -> Tensor:
        """Places of the features among the columns."""
        return torch.arange(len(self.features.groups))

    @property
    def known_objectives(self) -> list[int]:
        """Numbers of the objectives that follow from a configuration."""
        return [j for j, one in enumerate(self.problem.objectives) if one.metric in self.problem.known]

    @property
    def known_constraints(self) -> tuple[OutcomeConstraint, ...]:
        """Constraints on what follows from a configuration."""
        return tuple(one for one in self.problem.constraints if one.metric in self.problem.known)

    def _known(self, configs: Sequence[Config]) -> list[FloatArray]:
        found = []
        for j in self.known_objectives:
            objective = self.problem.objectives[j]
            values = known_values(self.problem, objective.metric, configs)
            found.append(-self.scalings[j].uncut(-values if objective.direction == "maximize" else values))
        if limits := self.known_constraints:
            columns = [known_values(self.problem, one.metric, configs) for one in limits]
            found.append(np.array([1.0 if holds(limits, row) else -1.0 for row in zip(*columns, strict=True)]))
        return found


@dataclass(frozen=True)
class Models:
    """All models of a problem as one, the constraints on its outcomes, and what was measured on its scale."""

    inputs: Inputs
    model: Model
    constraints: list[Constraint]
    baseline: Tensor  # [b, f + k]: distinct rows of the trials that may stand on the front
    standing: Tensor  # [n, m]: maximised, scaled objectives of all that may stand on the front


def learn(problem: Problem, evidence: Evidence, limit: int, fit_objective: Fit) -> Models:
    """Fit a model to each outcome of at most `limit` trials; `fit_objective` does it for objectives."""
    chosen = informative(evidence, limit)
    scalings = objective_scalings(problem, evidence)
    inputs = Inputs(problem, feature_map(problem.space), scalings)
    rows = inputs([evidence.configs[index] for index in chosen])
    models: list[Model] = []
    first_known = len(inputs.places)
    for j, scale in enumerate(scalings):
        if j in inputs.known_objectives:
            models.append(_column(first_known + inputs.known_objectives.index(j)))
        else:
            models.append(fit_objective(rows, _targets(-scale(evidence.objectives[chosen, j])), inputs.places))
    constraints: list[Constraint] = []
    for limited, values in zip(problem.constraints, evidence.constrained[chosen].T, strict=True):
        measured = np.isfinite(values)
        if limited.metric not in problem.known and measured.any():
            scale = scaling(values[measured])
            constraints += _bounds(limited, scale, len(models))
            kept = torch.tensor(np.flatnonzero(measured))
            models.append(fit_usual(rows[kept], _targets(scale.uncut(values[measured])), inputs.places))
    if evidence.failed:
        failed = inputs(evidence.failed[-limit:])
        labels = np.concatenate([np.ones(len(rows)), -np.ones(len(failed))])
        constraints.append(_above(0.0, len(models)))
        models.append(fit_usual(torch.cat([rows, failed]), _targets(labels), inputs.places))
    if inputs.known_constraints:
        constraints.append(_above(0.0, len(models)))
        models.append(_column(rows.shape[1] - 1))
    finished = evidence.finished[chosen]
    baseline = rows[torch.tensor(finished)] if finished.any() else rows
    return Models(inputs, ModelList(*models), constraints, baseline.unique(dim=0), _standing(evidence, inputs))


def fit_usual(rows: Tensor, targets: Tensor, places: Tensor) -> Model:
    """BoTorch's standard model, fitted by maximum a posteriori to `rows [n, f + k]` and `targets [n, 1]`."""
    model = SingleTaskGP(rows, targets, input_transform=FilterFeatures(places))
    fit_gpytorch_mll(ExactMarginalLogLikelihood(model.likelihood, model), optimizer_kwargs={"options": _STOP})
    return model


def _standing(evidence: Evidence, inputs: Inputs) -> Tensor:
    inside = evidence.objectives[evidence.on_front] if evidence.on_front.any() else evidence.objectives
    values = np.concatenate([inside, evidence.outside])
    columns = [
        scale.uncut(values[:, j]) if j in inputs.known_objectives else scale(values[:, j])
        for j, scale in enumerate(inputs.scalings)
    ]
    return -torch.tensor(np.stack(columns, axis=1), dtype=torch.double)


def _column(place: int) -> Model:
    return GenericDeterministicModel(lambda rows: rows[..., place : place + 1], num_outputs=1)


def _targets(values: FloatArray) -> Tensor:
    return torch.tensor(values, dtype=torch.double)[:, None]


def _bounds(limited: OutcomeConstraint, scale: Scaling, outcome: int) -> list[Constraint]:
    found = []
    if limited.min is not None:
        found.append(_above(float(scale.uncut(np.array([limited.min]))[0]), outcome))
    if limited.max is not None:
        found.append(_below(float(scale.uncut(np.array([limited.max]))[0]), outcome))
    return found


def _above(bound: float, outcome: int) -> Constraint:
    return lambda samples: bound - samples[..., outcome]


def _below(bound: float, outcome: int) -> Constraint:
    return lambda samples: samples[..., outcome] - bound


def fit_sparse(rows: Tensor, targets: Tensor, places: Tensor, effort: tuple[int, int, int], seed: int) -> Model:
    """BoTorch's fully Bayesian model with the SAAS prior. `effort` is the warm-up, the draws and the thinning of NUTS;
    other arguments as of `fit_usual`."""
    from botorch.fit import fit_fully_bayesian_model_nuts
    from botorch.models.fully_bayesian import SaasFullyBayesianSingleTaskGP

    warmup, draws, thinning = effort
    model = SaasFullyBayesianSingleTaskGP(rows, targets, input_transform=FilterFeatures(places))
    fit_fully_bayesian_model_nuts(
        model, warmup_steps=warmup, num_samples=draws, thinning=thinning, disable_progbar=True, seed=seed
    )
    return model
