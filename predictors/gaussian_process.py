"""A Gaussian process with one Matérn length scale an input, fitted by its marginal likelihood.

    y = mean + f(x) + noise,    cov f = s² · k(r),    r² = Σ_k (Δx_k / l_k)²

Gradients are analytic and cost one matrix product for all length scales together, because
Σ_ij G_ij (x_ik − x_jk)² = 2 (Σ_i g_i x_ik² − x_kᵀ G x_k) with g the row sums of a symmetric G. Predictions
of each row from all others are in closed form (Sundararajan & Keerthi 2001): no refit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from predictors.matern import Floats, Smoothness, matern, matern_with_slope, squared_distances

# Weak priors in log space keep length scales of inputs that do not matter from wandering off.
LENGTH_SPREAD = 1.5
NOISE_CENTRE, NOISE_SPREAD = math.log(1e-3), 3.0
JITTER = 1e-8
REFINEMENTS = 5  # iterations of the fit to all rows after the one to some of them


@dataclass(frozen=True)
class GaussianProcess:
    """A fitted process. Inputs and targets are standardized inside; callers see their own units."""

    inputs: Floats  # [n, d], standardized
    offset: Floats  # [d]
    scale: Floats  # [d]
    target_mean: float
    target_scale: float
    theta: Floats  # [d + 2]: log length scales, log signal variance, log noise variance
    smoothness: Smoothness
    precision: Floats  # [n, n]: inverse covariance of the standardized targets
    weights: Floats  # [n]: precision @ standardized targets

    def mean(self, inputs: Floats) -> Floats:
        """Expected value `[m]` at `inputs [m, d]`; much cheaper than `predict`."""
        return self.target_mean + self.target_scale * (self._cross(self._standardized(inputs)) @ self.weights)

    def predict(self, inputs: Floats) -> tuple[Floats, Floats]:
        """Mean and standard deviation `[m]` of new observations (noise included) at `inputs [m, d]`."""
        cross = self._cross(self._standardized(inputs))
        signal, noise = np.exp(self.theta[-2:])
        explained = np.einsum("mn,mn->m", cross @ self.precision, cross)
        spread = np.sqrt(np.maximum(signal + noise - explained, noise))
        return self.target_mean + self.target_scale * (cross @ self.weights), self.target_scale * spread

    def joint(self, inputs: Floats) -> tuple[Floats, Floats]:
        """Mean `[m]` and covariance `[m, m]` of the function itself (no noise): for differences between inputs."""
        points = self._standardized(inputs)
        cross, scaled = self._cross(points), points / self.length_scales
        prior = np.exp(self.theta[-2]) * matern(squared_distances(scaled, scaled), self.smoothness)
        covariance = self.target_scale**2 * (prior - cross @ self.precision @ cross.T)
        return self.target_mean + self.target_scale * (cross @ self.weights), covariance

    def marginal(self, inputs: Floats) -> tuple[Floats, Floats]:
        """Mean and standard deviation `[m]` of the function itself at each input by itself: `joint` without what is
        `[m, m]`, for many inputs."""
        cross = self._cross(self._standardized(inputs))
        explained = np.einsum("mn,mn->m", cross @ self.precision, cross)
        spread = np.sqrt(np.maximum(np.exp(self.theta[-2]) - explained, 0.0))
        return self.target_mean + self.target_scale * (cross @ self.weights), self.target_scale * spread

    def _standardized(self, inputs: Floats) -> Floats:
        return (np.asarray(inputs, dtype=np.float64) - self.offset) / self.scale

    def _cross(self, points: Floats) -> Floats:
        """Covariance `[m, n]` of standardized `points [m, d]` with the rows that were fitted."""
        inverse = 1 / self.length_scales
        correlation = matern(squared_distances(points * inverse, self.inputs * inverse), self.smoothness)
        return np.asarray(np.exp(self.theta[-2]) * correlation)

    def leave_one_out(self) -> tuple[Floats, Floats]:
        """Mean and standard deviation `[n]` for each row from all other rows."""
        diagonal = np.diag(self.precision)
        targets = np.linalg.solve(self.precision, self.weights)
        mean = targets - self.weights / diagonal
        return self.target_mean + self.target_scale * mean, self.target_scale / np.sqrt(diagonal)

    @property
    def length_scales(self) -> Floats:
        """`[d]`, in standard deviations of each input: small where the input matters."""
        return np.asarray(np.exp(self.theta[:-2]))


def fit_gaussian_process(
    inputs: Floats,
    targets: Floats,
    smoothness: Smoothness = 5,
    start: Floats | None = None,
    iterations: int = 40,
) -> GaussianProcess:
    """Fit to `inputs [n, d]` and `targets [n]`. `start` is the `theta` of a similar process, to begin nearer; without
    iterations it is taken as it is."""
    from scipy.optimize import minimize

    offset, scale = inputs.mean(0), _scale(inputs.std(0))
    points = (inputs - offset) / scale
    mean, spread = float(targets.mean()), float(_scale(targets.std()))
    wanted = (targets - mean) / spread
    d = points.shape[1]
    centre = np.array([*np.full(d, math.log(3 * math.sqrt(d))), 0.0, NOISE_CENTRE])
    begin = centre.copy() if start is None else start

    def objective(theta: Floats) -> tuple[float, Floats]:
        return _negative_log_posterior(theta, centre, points, wanted, smoothness)

    bounds = [(value - 6, value + 6) for value in centre[:-1]] + [(math.log(1e-7), math.log(4.0))]
    options = {"maxiter": iterations}
    theta = (
        minimize(objective, begin, jac=True, method="L-BFGS-B", bounds=bounds, options=options).x
        if iterations
        else begin
    )
    precision = np.asarray(np.linalg.inv(_covariance(theta, points, smoothness)[0]), dtype=np.float64)
    return GaussianProcess(points, offset, scale, mean, spread, theta, smoothness, precision, precision @ wanted)


def fit_large_gaussian_process(
    inputs: Floats, targets: Floats, smoothness: Smoothness = 5, start: Floats | None = None, rows: int = 200
) -> GaussianProcess:
    """As `fit_gaussian_process`; of more than `rows` rows, an even selection finds the hyperparameters and all of them
    refine these. Each look at the likelihood costs the cube of its rows: four times less than from 400 at once, eighty
    times less than from 2,000."""
    n = len(targets)
    if n <= rows:
        return fit_gaussian_process(inputs, targets, smoothness, start)
    some = np.linspace(0, n - 1, rows).round().astype(np.int64)
    if np.ptp(targets[some]) == 0:
        return fit_gaussian_process(inputs, targets, smoothness, start)
    begun = fit_gaussian_process(inputs[some], targets[some], smoothness, start)
    return fit_gaussian_process(inputs, targets, smoothness, begun.theta, REFINEMENTS if n <= 2 * rows else 0)


def _scale(spread: Floats) -> Floats:
    """A constant column keeps its unit."""
    return np.where(spread > 1e-12, spread, 1.0)


def _negative_log_posterior(
    theta: Floats, centre: Floats, points: Floats, wanted: Floats, smoothness: Smoothness
) -> tuple[float, Floats]:
    covariance, correlation, slope = _covariance(theta, points, smoothness)
    try:
        factor = np.linalg.cholesky(covariance)
    except np.linalg.LinAlgError:
        return 1e10, np.zeros_like(theta)
    precision = np.linalg.inv(covariance)
    weights = precision @ wanted
    spread = np.array([*np.full(len(theta) - 2, LENGTH_SPREAD), 2.0, NOISE_SPREAD])
    away = (theta - centre) / spread
    value = 0.5 * wanted @ weights + np.log(np.diag(factor)).sum() + 0.5 * away @ away
    outer = np.outer(weights, weights) - precision  # twice the gradient of the log likelihood by the covariance
    weighted = outer * slope
    sums = weighted.sum(1)
    quadratic = 2 * (sums @ points**2 - np.einsum("ik,ik->k", points, weighted @ points))
    by_length = -np.exp(-2 * theta[:-2]) * quadratic
    by_signal = 0.5 * np.exp(theta[-2]) * np.sum(outer * correlation)
    by_noise = 0.5 * np.exp(theta[-1]) * np.trace(outer)
    return float(value), -np.array([*by_length, by_signal, by_noise]) + away / spread


def _covariance(theta: Floats, points: Floats, smoothness: Smoothness) -> tuple[Floats, Floats, Floats]:
    """Covariance `[n, n]`, correlation and the slope of signal · correlation by r²."""
    scaled = points * np.exp(-theta[:-2])
    correlation, slope = matern_with_slope(squared_distances(scaled, scaled), smoothness)
    signal, noise = np.exp(theta[-2:])
    covariance = signal * correlation + (noise + JITTER) * np.eye(len(points))
    return covariance, correlation, signal * slope
