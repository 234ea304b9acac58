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
class Moderate:
    """Inverse squared length scales are neither near zero nor far above one: generalised inverse Gaussian, density
    exp(-a/x - x). No parameter is given up on the word of a few trials (the belief of Optuna's GPSampler)."""

    inverse: float = 0.1  # a

    def start(self, count: int) -> float:  # noqa: ARG002
        """The mode."""
        return float(-0.25 * np.log(self.inverse))

    def loss(self, log_lengths: FloatArray) -> tuple[float, FloatArray]:
        """See `LengthPrior`."""
        squared = np.exp(2.0 * log_lengths)
        return float((self.inverse * squared + 1.0 / squared).sum()), 2.0 * self.inverse * squared - 2.0 / squared


# Chosen by measurement (docs/decisions/gp-defaults.md).
USUAL = (Moderate(),)
# The fast form of SAASBO (MAP-SAAS): each τ gives one fit, and the best is kept.
FEW_MATTER = (Sparse(0.01), Sparse(0.1), Sparse(1.0))
