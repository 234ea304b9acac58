"""What is believed about length scales before any data: which parameters matter, and how fast outcomes change."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


class LengthPrior(Protocol):
    """A prior over log length scales `[g]`, one per parameter."""

    def start(self, count: int) -> float:
        """The log length scale from which to look for the most probable ones of `count` parameters."""
        ...

    def loss(self, log_lengths: FloatArray) -> tuple[float, FloatArray]:
        """Negative log density up to a constant, and its gradient `[g]`."""
        ...


@dataclass(frozen=True)
class Bell:
    """Log-normal around `location`, plus half the logarithm of the number of parameters, so that the complexity of
    functions stays the same in any dimension (Hvarfner et al. 2024, "Vanilla Bayesian Optimization Performs Great in
    High Dimensions")."""

    location: float
    spread: float = 3.0**0.5

    def start(self, count: int) -> float:
        """A little below the centre, where the optimum usually lies."""
        return self._centre(count) - 1.0

    def loss(self, log_lengths: FloatArray) -> tuple[float, FloatArray]:
        """See `LengthPrior`."""
        offsets = (log_lengths - self._centre(len(log_lengths))) / self.spread
        return float(0.5 * (offsets**2).sum()), offsets / self.spread

    def _centre(self, count: int) -> float:
        return float(self.location + 0.5 * np.log(count))


@dataclass(frozen=True)
class Sparse:
    """Inverse squared length scales are half-Cauchy around zero with scale τ: few parameters matter (SAAS, Eriksson &
    Jankowiak 2021)."""

    shrinkage: float

    def start(self, count: int) -> float:
        """Short, so that no parameter is given up before it was looked at."""
        return float(0.5 * np.log(count) - 1.0)

    def loss(self, log_lengths: FloatArray) -> tuple[float, FloatArray]:
        """See `LengthPrior`."""
        ratio = (np.exp(-2.0 * log_lengths) / self.shrinkage) ** 2
        return float(np.log1p(ratio).sum()), -4.0 * ratio / (1.0 + ratio)


@dataclass(frozen=True)
class Flat:
    """No belief: for a sampler that adds its own."""

    def start(self, count: int) -> float:
        """As `Sparse`."""
        return Sparse(SHRINKAGE).start(count)

    def loss(self, log_lengths: FloatArray) -> tuple[float, FloatArray]:
        """See `LengthPrior`."""
        return 0.0, np.zeros_like(log_lengths)


SHRINKAGE = 0.1
"""Scale of the half-Cauchy that τ itself follows (Eriksson & Jankowiak 2021)."""


def sparse_potential(log_lengths: FloatArray, log_shrinkage: float) -> tuple[float, FloatArray]:
    """Negative log density of log length scales `[g]` and log τ under SAAS, and its gradient `[g + 1]`.

    Unlike `Sparse.loss`, a density over the logarithms: what is sampled, not maximised.
    """
    ratio = np.exp(-4.0 * log_lengths - 2.0 * log_shrinkage)
    scale = np.exp(2.0 * (log_shrinkage - np.log(SHRINKAGE)))
    value = np.log1p(ratio).sum() + (2.0 * log_lengths + log_shrinkage).sum() + np.log1p(scale) - log_shrinkage
    bent = ratio / (1.0 + ratio)
    along_shrinkage = -2.0 * bent.sum() + len(log_lengths) + 2.0 * scale / (1.0 + scale) - 1.0
    return float(value), np.append(2.0 - 4.0 * bent, along_shrinkage)


# Smooth as published, and rougher: tables of real trainings want the second, smooth test functions the first
# (docs/decisions/gp-defaults.md). Every fit tries both and keeps the one that predicts held-out trials better.
USUAL = (Bell(2.0**0.5), Bell(2.0**0.5 - 1.0))
# The fast form of SAASBO (MAP-SAAS): each τ gives one fit, and the best is kept.
FEW_MATTER = (Sparse(0.01), Sparse(0.1), Sparse(1.0))
