"""What a data mixture will cost: validation loss from mixture weights (RegMix, arXiv:2407.01492; METHODS.md row 89).

The regression is an average of Gaussian processes over warped weights. Half a percent of a domain matters more when
there was none of it than when there was half, so the weights enter as roots or logarithms; no single warp is best for
every loss, their average is. `benchmarks/answers` holds the comparison with gradient boosting. Intervals are widened
until they cover the measured losses left out one at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from predictors.answer import OutOfDomain
from predictors.gaussian_process import GaussianProcess, fit_large_gaussian_process
from predictors.matern import Smoothness

SOURCE = "RegMix, arXiv:2407.01492; regression chosen by measurement on its public tables"
Floats = NDArray[np.float64]
LEAST_ROWS = 8
ALL_ROWS, LIKELIHOOD_ROWS = 600, 300  # of larger tables some find the length scales: all of them cost their cube
SUM_TOLERANCE = 0.02  # published tables round each weight to three digits

WARPS: dict[str, Callable[[Floats], Floats]] = {
    "square root": np.sqrt,
    "logarithm": lambda weights: np.log(weights + 1e-3),
    "fourth root": lambda weights: np.power(weights, 0.25),
}
SMOOTHNESS: tuple[Smoothness, ...] = (5, 3)


@dataclass(frozen=True)
class _Member:
    warp: str
    process: GaussianProcess  # of log loss


@dataclass(frozen=True)
class MixtureRegression:
    """Fitted regression of a loss on the weights of `domains`. A mean of several losses is the mean of their
    regressions: each of them depends on few domains, so it takes fewer rows to learn them apart than together."""

    domains: tuple[str, ...]
    members: tuple[_Member, ...]  # for each loss every warp with every smoothness
    widening: float  # factor on the standard deviation, from leave-one-out errors
    level: float
    left_out: Floats  # [n] prediction of each measured loss from all other rows

    def mean(self, weights: Floats, fast: bool = False) -> Floats:
        """Expected loss `[m]` of mixtures `weights [m, d]`; `fast` asks one member of each loss only, to rank many."""
        members = self.members[:: len(WARPS) * len(SMOOTHNESS)] if fast else self.members
        return np.asarray(np.mean([np.exp(one.process.mean(WARPS[one.warp](weights))) for one in members], axis=0))

    def predict(self, weights: Floats) -> tuple[Floats, Floats]:
        """Expected loss `[m]` and half the width `[m]` of the interval that a measurement falls into."""
        found = [one.process.predict(WARPS[one.warp](weights)) for one in self.members]
        mean = np.mean([np.exp(log_mean) for log_mean, _ in found], axis=0)
        return mean, self.widening * mean * np.mean([spread for _, spread in found], axis=0)

    def differences(self, weights: Floats, origin: Floats) -> tuple[Floats, Floats]:
        """Change of the expected loss `[m]` from the mixture `origin [d]` to each of `weights [m, d]`, and half the
        width of its interval."""
        stacked = np.vstack([origin, weights])
        changes, spreads = [], []
        for one in self.members:
            mean, covariance = one.process.joint(WARPS[one.warp](stacked))
            variance = np.diag(covariance)[1:] + covariance[0, 0] - 2 * covariance[0, 1:]
            changes.append(np.exp(mean[1:]) - np.exp(mean[0]))
            spreads.append(np.exp(mean[0]) * np.sqrt(np.maximum(variance, 0.0)))
        return np.mean(changes, axis=0), self.widening * np.mean(spreads, axis=0)


def fit_mixture_regression(
    weights: Floats, losses: Floats, domains: Sequence[str], level: float = 0.9, field: str = "rows"
) -> MixtureRegression:
    """Fit to mixtures `weights [n, d]` (each sums to one) and their measured `losses [n]`, or `[n, k]` for their mean.

    Args:
        level: probability that intervals cover a new measurement.
        field: what to call the table in refusals.

    Raises:
        OutOfDomain: fewer than eight rows, columns that do not match, weights that are negative or do not sum to one,
            losses that are not positive or all equal.
    """
    weights = checked_mixtures(weights, domains, field)
    table = np.asarray(losses, dtype=np.float64).reshape(len(losses), -1)
    for column in table.T:
        _check_losses(column, len(weights), field)
    members = [member for column in table.T for member in _members(weights, np.log(column))]
    left_out, spread = _left_out(members)
    errors = np.sort(np.abs(table.mean(axis=1) - left_out) / spread)
    rank = min(len(errors) - 1, int(np.ceil(level * (len(errors) + 1))) - 1)
    widening = max(float(errors[rank]), 0.5 * NormalDist().inv_cdf(0.5 + level / 2))
    return MixtureRegression(tuple(domains), tuple(members), widening, level, left_out)


def _members(weights: Floats, logs: Floats) -> list[_Member]:
    members = []
    rows = len(logs) if len(logs) <= ALL_ROWS else LIKELIHOOD_ROWS
    for warp, apply in WARPS.items():
        start = None
        for smoothness in SMOOTHNESS:
            process = fit_large_gaussian_process(apply(weights), logs, smoothness, start, rows)
            members.append(_Member(warp, process))
            start = process.theta
    return members


def _left_out(members: Sequence[_Member]) -> tuple[Floats, Floats]:
    """Mean and standard deviation `[n]` in units of the loss."""
    found = [one.process.leave_one_out() for one in members]
    mean = np.mean([np.exp(log_mean) for log_mean, _ in found], axis=0)
    return mean, mean * np.mean([spread for _, spread in found], axis=0)


def checked_mixtures(weights: Floats, domains: Sequence[str], field: str) -> Floats:
    """Mixtures `[n, d]` that sum to exactly one. Raises OutOfDomain naming the first row that is none."""
    table = np.asarray(weights, dtype=np.float64)
    if table.ndim != 2 or table.shape[1] != len(domains):
        raise OutOfDomain(field, table.shape, f"one weight for each of the {len(domains)} domains in every row")
    if len(domains) < 2:
        raise OutOfDomain("domains", list(domains), "at least two domains: one alone cannot be mixed")
    sums = table.sum(axis=1)
    bad = ~np.all(np.isfinite(table) & (table >= 0), axis=1)
    if bad.any():
        row = int(np.argmax(bad))
        raise OutOfDomain(f"{field}.{row}.weights", table[row].tolist(), "finite weights, none negative")
    bad = np.abs(sums - 1) > SUM_TOLERANCE
    if bad.any():
        row = int(np.argmax(bad))
        raise OutOfDomain(f"{field}.{row}.weights", float(sums[row]), "weights that sum to one")
    return np.asarray(table / sums[:, None])


def _check_losses(losses: Floats, rows: int, field: str) -> None:
    if losses.shape != (rows,):
        raise OutOfDomain(field, losses.shape, f"one loss for each of the {rows} mixtures")
    if rows < LEAST_ROWS:
        raise OutOfDomain(field, rows, f"at least {LEAST_ROWS} rows: fewer determine no regression")
    if not np.all(np.isfinite(losses) & (losses > 0)):
        raise OutOfDomain(f"{field}.losses", "a loss that is not positive and finite", "positive, finite losses")
    if np.ptp(losses) <= 1e-12 * np.max(losses):
        raise OutOfDomain(f"{field}.losses", "all equal", "losses that differ: equal losses tell nothing of mixtures")
