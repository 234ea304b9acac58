"""Where learning curves end: a Gaussian process over (configuration, training time), for curves of any length at once.

    y_i(t) = f(x_i) + g(t) + h_i(t) + noise

f is what the configuration leads to, g the course that all curves share, h_i the trial's own way there. The last two
have the kernel of freeze-thaw Bayesian optimization (Swersky, Snoek & Adams 2014, eq. 6), an infinite mixture of
exponential decays; the shared g is added to it, so that what finished trials gained late is expected of the others.

Hyperparameters are not fitted but averaged over: a fixed sample of their prior, weighted by marginal likelihood. That
costs some Cholesky factors, has no optimizer that could fail, and knows that five points do not tell a noise level.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import LinAlgError, cho_solve, cholesky, solve_triangular
from scipy.special import ndtri
from scipy.stats import qmc

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

SAMPLES = 64
"""Settings of the kernel that are averaged over."""

MOST_POINTS = 240
"""Beyond, curves are thinned: the factors cost the cube of it."""

# Median and spread of the logarithm, for targets of unit variance and times as shares of the budget: deviation between
# configurations, the length of their similarity (in root dimensions), deviation of the shared course, of a trial's own
# course, of a measurement, and the two parameters of the decay.
_PRIOR = np.array([(0.0, 0.5), (0.0, 0.7), (0.0, 0.7), (-0.7, 0.7), (-2.5, 1.0), (-1.5, 1.0), (0.3, 0.5)])
_JITTER = 1e-6


@dataclass(frozen=True)
class Curves:
    """Points of the curves of `k` trials.

    `features [k, f]` place the configurations (a distance of 1 between unlike choices); `owner [n]` tells whose point
    it is, `times [n]` are shares of the full budget, `values [n]` have about unit variance and any mean.
    """

    features: Floats
    owner: Ints
    times: Floats
    values: Floats

    def thinned(self, most: int) -> Curves:
        """At most about `most` points: each curve keeps its last and points spread evenly before it."""
        if len(self.values) <= most:
            return self
        each = max(1, most // max(1, len(np.unique(self.owner))))
        keep: list[int] = []
        for trial in np.unique(self.owner):
            own = np.flatnonzero(self.owner == trial)
            own = own[np.argsort(self.times[own], kind="stable")]
            keep += own[np.unique(np.linspace(len(own) - 1, 0, min(each, len(own))).round().astype(int))].tolist()
        chosen = np.array(sorted(keep))
        return Curves(self.features, self.owner[chosen], self.times[chosen], self.values[chosen])


def final_values(curves: Curves) -> tuple[Floats, Floats]:
    """Mean `[k]` and variance `[k]` of every trial's report at the full budget, also of those without points.

    Raises ValueError without any point.
    """
    data = curves.thinned(MOST_POINTS)
    if not len(data.values):
        raise ValueError("curves: expected at least one point, found none")
    distances = _distances(curves.features)
    predictions, evidence = [], []
    for setting in _settings():
        try:
            mean, variance, log_likelihood = _given(setting, data, distances)
        except LinAlgError:
            continue
        predictions.append((mean, variance))
        evidence.append(log_likelihood)
    # The points of a curve are not as independent as the kernel has it: each curve counts as one observation.
    tempered = np.array(evidence) * len(np.unique(data.owner)) / len(data.values)
    weights = np.exp(tempered - max(tempered))
    weights /= weights.sum()
    means, variances = (np.array(part) for part in zip(*predictions, strict=True))
    mean = weights @ means
    return mean, weights @ (variances + means**2) - mean**2


def _settings() -> Floats:
    """`[SAMPLES, 8]`: a low-discrepancy sample of the prior; the last column is the share of f that is smooth."""
    uniform = qmc.Sobol(8, scramble=True, rng=np.random.default_rng(0)).random(SAMPLES)
    logs = _PRIOR[:, 0] + _PRIOR[:, 1] * ndtri(uniform[:, :7])
    return np.column_stack([np.exp(logs), uniform[:, 7]])


def _given(setting: Floats, data: Curves, distances: Floats) -> tuple[Floats, Floats, float]:
    """Means `[k]` and variances `[k]` at time 1 and the log likelihood, under one setting of the kernel."""
    between, length, shared, own, noise, beta, alpha, smooth = setting
    scaled = np.sqrt(5.0) * distances / length
    alike = smooth * (1.0 + scaled + scaled**2 / 3.0) * np.exp(-scaled)
    alike[np.diag_indices_from(alike)] = 1.0
    levels = 1.0 + between**2 * alike  # the mean of all curves is unknown, with a deviation of 1

    def decay(left: Floats, right: Floats) -> Floats:
        result: Floats = (beta / (left[:, None] + right[None, :] + beta)) ** alpha
        return result

    same = data.owner[:, None] == data.owner[None, :]
    covariance = levels[np.ix_(data.owner, data.owner)] + (shared**2 + own**2 * same) * decay(data.times, data.times)
    covariance[np.diag_indices_from(covariance)] += noise**2 + _JITTER
    factor = cholesky(covariance, lower=True, check_finite=False)
    weights = cho_solve((factor, True), data.values, check_finite=False)
    end = np.ones(len(distances))
    mine = np.arange(len(distances))[:, None] == data.owner[None, :]
    cross = levels[:, data.owner] + (shared**2 + own**2 * mine) * decay(end, data.times)
    prior = np.diag(levels) + (shared**2 + own**2) * (beta / (2.0 + beta)) ** alpha
    reduced = solve_triangular(factor, cross.T, lower=True, check_finite=False)
    variance = np.maximum(prior - (reduced**2).sum(axis=0), 1e-10) + noise**2
    log_likelihood = -0.5 * float(data.values @ weights) - float(np.log(np.diag(factor)).sum())
    return cross @ weights, variance, log_likelihood


def _distances(features: Floats) -> Floats:
    """`[k, k]` distances in root dimensions; without features all trials are equally unlike."""
    if not features.shape[1]:
        return np.ones((len(features), len(features))) - np.eye(len(features))
    squared = ((features[:, None, :] - features[None, :, :]) ** 2).sum(axis=2)
    distances: Floats = np.sqrt(squared / features.shape[1])
    return distances
