"""Which (learning rate, batch) to choose at a size that was never trained: the fitted law, corrected by a process.

The law's quadratic is too stiff: real surfaces rise faster towards high rates than towards low ones. So the excess
loss is modelled over coordinates centred on the law, (log learning rate − its law, log batch − its law, log N, log D),
by Matérn processes, one for each of some plausible scales. Their scores are averaged: with a few dozen cells, picking
the scales that choose best in cells left out is mostly noise (on Step Law's grid the pick cost 0.072 % against 0.060 %
for the average). What a choice costs is measured by leaving out whole (N, D) cells, in closed form; the law keeps those
cells, since refitting it for each would cost much and change little. The target is excess / (excess + s): what matters
is where the loss is low, not how high it climbs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from predictors.law_fit import FittedLaw, Runs, fit_law
from predictors.matern import matern, squared_distances

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Scales:
    """Length scales of settings and of sizes (both in natural logarithms), noise, and the excess that counts half."""

    settings: float
    sizes: float
    noise: float
    half: float


CANDIDATES: tuple[Scales, ...] = tuple(
    Scales(*values) for values in product((1.0, 2.0, 4.0), (3.0, 8.0), (2e-3, 1e-2), (0.003, 0.01))
)
NEAREST = 800  # runs kept, those with the least excess: the rest say little about the minimum and cost the cube
SHARED = 0.5  # weight of the part of the surface that is the same at all sizes


@dataclass(frozen=True)
class LossModel:
    """Predicts which of several settings at one size has the lowest loss."""

    law: FittedLaw
    points: Floats  # [n, 2 + k]
    weights: tuple[tuple[Scales, Floats], ...]
    left_out_cost: float  # mean relative loss over each cell's best run, when it is chosen without that cell

    def score(self, sizes: Floats, settings: Floats) -> Floats:
        """The lower the better `[m]`, for `sizes [m, 1 + k]` (1, log N, log D, …) and `settings [m, 2]` (logs)."""
        points = _centred(self.law, sizes, settings)
        scores = [_kernel(points, self.points, scales) @ weights for scales, weights in self.weights]
        return np.asarray(np.mean(scores, axis=0))


def fit_loss_model(runs: Runs, candidates: Sequence[Scales] = CANDIDATES) -> LossModel:
    """Fit to a table. Raises OutOfDomain as `fit_law`."""
    law, excess = fit_law(runs), runs.excess()
    points = _centred(law, runs.sizes(), runs.settings())
    near = excess <= np.sort(excess)[min(NEAREST, len(excess)) - 1]
    fits = [_fit(points, excess, runs.cell, near, scales) for scales in candidates]
    together = np.mean([left_out for _, left_out in fits], axis=0)
    return LossModel(
        law,
        points[near],
        tuple((scales, weights) for scales, (weights, _) in zip(candidates, fits, strict=True)),
        _cost(together, excess, runs.cell),
    )


def _centred(law: FittedLaw, sizes: Floats, settings: Floats) -> Floats:
    return np.hstack([settings - law.centre(sizes), sizes[:, 1:]])


def _kernel(left: Floats, right: Floats, scales: Scales) -> Floats:
    """Covariance `[m, n]`: one part the same at all sizes, one that changes with them."""
    near_settings = squared_distances(left[:, :2] / scales.settings, right[:, :2] / scales.settings)
    near_sizes = squared_distances(left[:, 2:] / scales.sizes, right[:, 2:] / scales.sizes)
    return 0.1 * (matern(near_settings + near_sizes, 5) + SHARED * matern(near_settings, 5))


def _fit(
    points: Floats, excess: Floats, cell: NDArray[np.int64], near: NDArray[np.bool_], scales: Scales
) -> tuple[Floats, Floats]:
    """Weights of the near runs, and the prediction of every run without its cell `[n]`.

    Leaving out a block c changes the weights of the others by −P_oc P_cc⁻¹ w_c, with P the inverse covariance."""
    target = excess[near] / (excess[near] + scales.half)
    target = target - 1.0  # far from all runs the prediction falls back to "bad"
    cross = _kernel(points, points[near], scales)  # [n, near]
    precision = np.linalg.inv(cross[near] + scales.noise * np.eye(int(near.sum())))
    weights, inside, left_out = precision @ target, cell[near], np.empty(len(points))
    for number in range(int(cell.max()) + 1):
        own = np.flatnonzero(inside == number)
        removed = weights.copy()
        if len(own):
            removed -= precision[:, own] @ np.linalg.solve(precision[np.ix_(own, own)], weights[own])
            removed[own] = 0.0
        rows = cell == number
        left_out[rows] = cross[rows] @ removed
    return weights, left_out


def _cost(score: Floats, excess: Floats, cell: NDArray[np.int64]) -> float:
    """Mean relative loss over the best run of each cell when the run with the lowest score is taken."""
    chosen = [excess[rows][np.argmin(score[rows])] for rows in (cell == c for c in range(int(cell.max()) + 1))]
    return float(np.mean(np.expm1(chosen)))
