"""Gaussian-process regression: Matérn-5/2 with one length scale per parameter, fitted by maximum a posteriori.

Written out with analytic gradients because a proposer fits it before every suggestion: at 200 trials and 16 parameters
one fit costs a tenth of the autograd one (`docs/decisions/gp-in-numpy.md` has the figures).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_solve, solve_triangular
from scipy.linalg.lapack import dpotrf, dpotri
from scipy.optimize import minimize

from optimizers.gp.length_priors import USUAL, LengthPrior
from predictors.matern import correlation_at, decay, matern, squared_distances

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_JITTER = 1e-8
# Noise variance as a share of the signal's: log-normal around exp(-4) with a spread of 1 (Hvarfner et al. 2024).
_NOISE_LOCATION, _NOISE_SPREAD = -4.0, 1.0
_LOG_LENGTH_BOUNDS, _LOG_NOISE_BOUNDS = (-4.0, 6.0), (-11.5, 1.0)
# Signal variance: inverse gamma with the weight of four observations of variance 1, the variance of the targets.
_SCALE_WEIGHT = 4.0


@dataclass(frozen=True)
class GaussianProcess:
    """A fitted process over features `[*, f]`. `noise` is the variance of one measurement of the target."""

    scaled: FloatArray  # [n, f]: training features over their length scales
    lengths: FloatArray  # [f]
    mean: float
    variance: float  # of the signal
    noise: float
    cholesky: FloatArray  # [n, n]: lower factor of the correlation with noise
    weights: FloatArray  # [n]: inverse correlation times the centred targets

    def predict(self, features: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Mean `[k]` and variance `[k]` of the noise-free function at `features [k, f]`."""
        cross = correlation(features / self.lengths, self.scaled)
        reduced = solve_triangular(self.cholesky, cross.T, lower=True, check_finite=False)
        variance = self.variance * np.maximum(1.0 - (reduced**2).sum(axis=0), 1e-12)
        return self.mean + cross @ self.weights, variance

    def joint(self, features: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Mean `[k]` and covariance `[k, k]` of the noise-free function at `features [k, f]`."""
        return self.mean + correlation(features / self.lengths, self.scaled) @ self.weights, self.cross(
            features, features
        )

    def cross(self, left: FloatArray, right: FloatArray) -> FloatArray:
        """Posterior covariance `[k, l]` between the function at `left [k, f]` and at `right [l, f]`."""
        left, right = left / self.lengths, right / self.lengths
        factors = [
            solve_triangular(self.cholesky, correlation(self.scaled, side), lower=True, check_finite=False)
            for side in (left, right)
        ]
        covariance: FloatArray = self.variance * (correlation(left, right) - factors[0].T @ factors[1])
        return covariance

    def held_out(self) -> tuple[FloatArray, FloatArray]:
        """Of each measured value, given all others: how far it lies from its mean `[n]`, and its variance `[n]`
        (Rasmussen & Williams 2006, eq. 5.10)."""
        precision = np.diag(cho_solve((self.cholesky, True), np.eye(len(self.weights)), check_finite=False))
        return self.weights / precision, self.variance / precision


def fit(
    features: FloatArray,
    groups: IntArray,
    targets: FloatArray,
    limit: int = 200,
    priors: Sequence[LengthPrior] = USUAL,
) -> GaussianProcess:
    """Fit a process to `features [n, f]` and standardised `targets [n]`.

    `groups [f]` numbers the parameter that each feature belongs to; features of one parameter share a length scale.
    Rows measured several times are averaged and trusted accordingly. Hyperparameters are learned from at most `limit`
    rows, evenly spread, and the process is conditioned on all of them. Of several `priors` of the length scales, the
    one is kept with which held-out rows are predicted best. Raises `numpy.linalg.LinAlgError` when no hyperparameters
    make the correlation positive definite.
    """
    rows, values, counts = _averaged(features, targets)
    chosen = _spread(len(rows), limit)
    data = rows[chosen], groups, values[chosen], counts[chosen]
    log_lengths, log_noise = min(
        (_learn(*data, prior) for prior in priors), key=lambda found: _held_out_loss(*data, *found)
    )
    return condition(rows, values, counts, np.exp(log_lengths)[groups], float(np.exp(log_noise)))


def _averaged(features: FloatArray, targets: FloatArray) -> tuple[FloatArray, FloatArray, NDArray[np.integer]]:
    """Distinct rows `[n, f]`, the mean target `[n]` of each, and how often it was measured `[n]`."""
    rows, inverse, counts = np.unique(features, axis=0, return_inverse=True, return_counts=True)
    return rows, np.bincount(inverse.reshape(-1), weights=targets) / counts, counts


def _spread(n: int, limit: int) -> IntArray:
    return np.linspace(0, n - 1, min(limit, n)).astype(np.int64)


def condition(
    rows: FloatArray, values: FloatArray, counts: NDArray[np.integer], lengths: FloatArray, noise_ratio: float
) -> GaussianProcess:
    """The process with given hyperparameters: `rows [n, f]`, mean `values [n]`, and how often each was measured."""
    scaled = rows / lengths
    matrix = correlation(scaled, scaled)
    matrix[np.diag_indices_from(matrix)] += noise_ratio / counts + _JITTER
    factor, information = dpotrf(matrix, lower=1, clean=1)
    if information:
        raise np.linalg.LinAlgError(f"correlation of {len(rows)} rows is not positive definite")
    solved = cho_solve((factor, True), np.stack([values, np.ones_like(values)], axis=1), check_finite=False)
    mean = float(solved[:, 0].sum() / solved[:, 1].sum())
    weights = solved[:, 0] - mean * solved[:, 1]
    variance = float(((values - mean) @ weights + _SCALE_WEIGHT) / (len(values) + _SCALE_WEIGHT))
    return GaussianProcess(scaled, lengths, mean, variance, noise_ratio * variance, factor, weights)


def correlation(left: FloatArray, right: FloatArray) -> FloatArray:
    """Matérn-5/2 correlation `[k, l]` of scaled features `left [k, f]` and `right [l, f]`."""
    return matern(squared_distances(left, right), 5)


def _learn(
    rows: FloatArray, groups: IntArray, values: FloatArray, counts: NDArray[np.integer], prior: LengthPrior
) -> tuple[FloatArray, float]:
    """Most probable log length scales `[g]` and log noise ratio."""
    g = int(groups.max()) + 1
    found = minimize(
        _negative_log_posterior,
        np.append(np.full(g, prior.start(g)), _NOISE_LOCATION),
        args=(rows, groups, values, counts, prior),
        jac=True,
        method="L-BFGS-B",
        bounds=[_LOG_LENGTH_BOUNDS] * g + [_LOG_NOISE_BOUNDS],
        options={"maxiter": 40, "ftol": 1e-5, "maxcor": 10},
    )
    return found.x[:-1], float(found.x[-1])


def _negative_log_posterior(
    parameters: FloatArray,
    rows: FloatArray,
    groups: IntArray,
    values: FloatArray,
    counts: NDArray[np.integer],
    prior: LengthPrior,
) -> tuple[float, FloatArray]:
    """Value and gradient `[g + 1]`; mean and signal variance are at their optimum for given length scales and noise."""
    n = len(values)
    log_lengths, noise = parameters[:-1], np.exp(parameters[-1])
    scaled = rows / np.exp(log_lengths)[groups]
    distance, decayed = decay(squared_distances(scaled, scaled), 5)
    matrix = correlation_at(distance, decayed, 5)
    matrix[np.diag_indices_from(matrix)] += noise / counts + _JITTER
    factor, information = dpotrf(matrix, lower=1, clean=1)
    if information:
        return 1e10, np.zeros_like(parameters)
    log_determinant = 2.0 * np.log(np.diag(factor)).sum()
    inverse = dpotri(factor, lower=1)[0]
    inverse = np.tril(inverse) + np.tril(inverse, -1).T
    ones_solved = inverse.sum(axis=1)
    mean = (values @ ones_solved) / ones_solved.sum()
    weights = inverse @ (values - mean)
    variance = ((values - mean) @ weights + _SCALE_WEIGHT) / (n + _SCALE_WEIGHT)
    value = 0.5 * ((n + _SCALE_WEIGHT) * np.log(variance) + log_determinant)
    # d value / d matrix; the optimal mean and variance do not contribute (envelope theorem).
    sensitivity = 0.5 * (inverse - np.outer(weights, weights) / variance)
    slope = sensitivity * (5.0 / 3.0) * (1.0 + distance) * decayed
    per_feature = 2.0 * ((scaled**2 * slope.sum(axis=1)[:, None]).sum(axis=0) - ((slope @ scaled) * scaled).sum(axis=0))
    gradient = np.append(np.bincount(groups, weights=per_feature), noise * (np.diag(sensitivity) / counts).sum())
    length_value, length_gradient = prior.loss(log_lengths)
    noise_offset = (parameters[-1] - _NOISE_LOCATION) / _NOISE_SPREAD
    total = float(value + length_value + 0.5 * noise_offset**2)
    return total, gradient + np.append(length_gradient, noise_offset / _NOISE_SPREAD)


def _held_out_loss(
    rows: FloatArray,
    groups: IntArray,
    values: FloatArray,
    counts: NDArray[np.integer],
    log_lengths: FloatArray,
    log_noise: float,
) -> float:
    """Negative log density of each value given all others, in closed form."""
    process = condition(rows, values, counts, np.exp(log_lengths)[groups], float(np.exp(log_noise)))
    errors, variances = process.held_out()
    return float((0.5 * np.log(variances) + 0.5 * errors**2 / variances).sum())
