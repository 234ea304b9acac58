"""Expected hypervolume improvement under noise: what one more trial is expected to add to the front.

The acquisition is that of qNEHVI (Daulton et al. 2021): where the front lies is itself uncertain, so it is sampled
jointly at the measured and the pending configurations, and the improvement is averaged over the samples. Given a
sample, the candidate's objectives are independent normals, so the inner expectation is taken in closed form, cell by
cell, instead of by Monte Carlo: no sampling noise, and no plateau of exact zeros (what qLogNEHVI was made to cure,
Ament et al. 2023). With one objective the same formula is noisy expected improvement. An objective that follows from
the configuration is a normal of no width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_solve, cholesky
from scipy.special import erfcx

from optimizers.pareto import non_dominated

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

# Numbers in one array of samples × points × cells.
_LARGEST = 4_000_000


class Model(Protocol):
    """What foretells one outcome over features `[*, f]`, free of noise."""

    @property
    def variance(self) -> float:
        """Of the outcome before anything is known."""
        ...

    def predict(self, features: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Mean `[k]` and variance `[k]` at `features [k, f]`."""
        ...

    def joint(self, features: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Mean `[k]` and covariance `[k, k]` at `features [k, f]`."""
        ...

    def cross(self, left: FloatArray, right: FloatArray) -> FloatArray:
        """Covariance `[k, l]` between `left [k, f]` and `right [l, f]`."""
        ...


@dataclass(frozen=True)
class Points:
    """Configurations as the models see them. `known [n, m]` holds exact objectives; NaN where one is modelled."""

    features: FloatArray  # [n, f]
    known: FloatArray  # [n, m], minimised and scaled like the models' targets

    def __len__(self) -> int:
        """Number of configurations."""
        return len(self.features)

    def take(self, chosen: NDArray[np.integer] | BoolArray) -> Points:
        """The chosen configurations."""
        return Points(self.features[chosen], self.known[chosen])


@dataclass(frozen=True)
class SampledObjective:
    """One modelled objective, sampled jointly at the baseline."""

    model: Model
    baseline: FloatArray  # [b, f]
    shifts: FloatArray  # [b, s]: inverse baseline covariance times (sample minus posterior mean)
    factor: FloatArray  # [b, b]: lower Cholesky factor of the baseline's posterior covariance

    def given_samples(self, features: FloatArray, samples: slice) -> tuple[FloatArray, FloatArray]:
        """Mean `[s, k]` under each sample and standard deviation `[k]` of the objective at `features [k, f]`."""
        mean, variance = self.model.predict(features)
        if not len(self.baseline):
            return np.broadcast_to(mean, (self.shifts[:, samples].shape[1], len(mean))), np.sqrt(variance)
        cross = self.model.cross(features, self.baseline)
        solved = cho_solve((self.factor, True), cross.T, check_finite=False)
        remaining = np.maximum(variance - (cross * solved.T).sum(axis=1), 1e-10 * self.model.variance)
        return mean + (cross @ self.shifts[:, samples]).T, np.sqrt(remaining)


@dataclass(frozen=True)
class Improvement:
    """Expected improvement over `s` sampled fronts; every objective is minimised."""

    objectives: tuple[SampledObjective | None, ...]  # None where the objective is known
    lower: FloatArray  # [s, c, m]: cells of the region that each sampled front leaves open
    upper: FloatArray  # [s, c, m]

    def __call__(self, points: Points, samples: slice = slice(None)) -> FloatArray:
        """Expected improvement `[k]` of `k` points, averaged over the chosen samples."""
        lower, upper = self.lower[samples], self.upper[samples]
        portion = max(1, _LARGEST // (lower.shape[0] * lower.shape[1]))
        parts = [
            self._of_portion(points.take(np.arange(start, min(start + portion, len(points)))), lower, upper, samples)
            for start in range(0, len(points), portion)
        ]
        return np.concatenate(parts) if parts else np.zeros(0)

    def _of_portion(self, points: Points, lower: FloatArray, upper: FloatArray, samples: slice) -> FloatArray:
        volume = np.ones((lower.shape[0], len(points), lower.shape[1]))  # [s, k, c]
        for j, objective in enumerate(self.objectives):
            if objective is None:
                value = points.known[None, :, j, None]
                gain = np.maximum(upper[:, None, :, j] - np.maximum(lower[:, None, :, j], value), 0.0)
            else:
                mean, deviation = objective.given_samples(points.features, samples)
                gain = expected_shortfall(upper[:, None, :, j], mean[..., None], deviation[None, :, None])
                if np.isfinite(lower[..., j]).any():
                    gain = gain - expected_shortfall(lower[:, None, :, j], mean[..., None], deviation[None, :, None])
            volume *= gain
        result: FloatArray = volume.sum(axis=2).mean(axis=0)
        return result


def improvement(
    models: Sequence[Model | None],
    baseline: Points,
    fixed: FloatArray,
    reference: FloatArray,
    samples: int,
    rng: np.random.Generator,
) -> Improvement:
    """Sample `samples` fronts at the `baseline` (measured and pending points) and cut the open region into cells.

    `models` has one model per objective, None for a known one. `fixed [p, m]` are values that stand on every front
    as they are; `reference [m]` bounds the volume.
    """
    drawn = np.repeat(baseline.known[None], samples, axis=0)  # [s, b, m]
    objectives: list[SampledObjective | None] = []
    for j, model in enumerate(models):
        if model is None:
            objectives.append(None)
            continue
        if not len(baseline):
            empty = np.zeros((0, samples))
            objectives.append(SampledObjective(model, baseline.features, empty, np.zeros((0, 0))))
            continue
        mean, covariance = model.joint(baseline.features)
        covariance[np.diag_indices_from(covariance)] += 1e-6 * model.variance
        factor = cholesky(covariance, lower=True, check_finite=False)
        deviations = factor @ rng.standard_normal((len(mean), samples))  # [b, s]
        drawn[:, :, j] = (mean[:, None] + deviations).T
        shifts = cho_solve((factor, True), deviations, check_finite=False)
        objectives.append(SampledObjective(model, baseline.features, shifts, factor))
    cells = [open_cells(np.concatenate([sample, fixed]), reference) for sample in drawn]
    most = max(len(lower) for lower, _ in cells)
    # Cells of no volume fill up the samples whose front is shorter.
    lower = np.broadcast_to(reference, (samples, most, len(reference))).copy()
    upper = lower.copy()
    for index, (low, high) in enumerate(cells):
        lower[index, : len(low)], upper[index, : len(high)] = low, high
    return Improvement(tuple(objectives), lower, upper)


def open_cells(values: FloatArray, reference: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Disjoint boxes, lower `[c, m]` and upper `[c, m]`, of the region below `reference [m]` that no row dominates."""
    points = values[(values < reference).all(axis=1)]
    front = points[non_dominated(points)] if len(points) else points
    lower, upper = _cells(front, np.asarray(reference, dtype=np.float64))
    return lower, upper


def _cells(front: FloatArray, reference: FloatArray) -> tuple[FloatArray, FloatArray]:
    m = len(reference)
    if m == 1:
        bound = front.min(initial=reference[0])
        return np.full((1, 1), -np.inf), np.full((1, 1), bound)
    ordered = front[np.argsort(front[:, -1], kind="stable")]
    edges = np.concatenate(([-np.inf], ordered[:, -1], reference[-1:]))
    if m == 2:
        # Between two neighbours on the front, the first objective is open up to the best of those below.
        highs = np.minimum.accumulate(np.concatenate((reference[:1], ordered[:, 0])))
        lows = np.full_like(highs, -np.inf)
        return np.stack([lows, edges[:-1]], axis=1), np.stack([highs, edges[1:]], axis=1)
    lowers, uppers = [], []
    for index in range(len(ordered) + 1):
        if edges[index + 1] <= edges[index]:
            continue
        below = ordered[:index, :-1]
        low, high = _cells(below[non_dominated(below)] if index else below, reference[:-1])
        lowers.append(np.column_stack([low, np.full(len(low), edges[index])]))
        uppers.append(np.column_stack([high, np.full(len(high), edges[index + 1])]))
    return np.concatenate(lowers), np.concatenate(uppers)


def expected_shortfall(bound: FloatArray, mean: FloatArray, deviation: FloatArray) -> FloatArray:
    """E[max(bound − f, 0)] for normal f, elementwise with broadcasting; 0 where `bound` is −∞.

    Written with the scaled complementary error function, so that far below the bound the answer stays positive and
    ordered down to 1e-300 where Φ and φ would cancel.
    """
    z = (bound - mean) / deviation
    away = np.minimum(np.abs(z), 1e8)
    tail = np.exp(-0.5 * away**2) * (1.0 / np.sqrt(2.0 * np.pi) - 0.5 * away * erfcx(away / np.sqrt(2.0)))
    result: FloatArray = deviation * (np.maximum(z, 0.0) + np.maximum(tail, 0.0))
    return result
