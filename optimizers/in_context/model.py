"""The network's word as a model that the acquisition can use.

It gives a mean and a variance for every configuration, and no covariances. Those are needed where the front is sampled
and where trials are pending: correlations come from the Gaussian process that is fitted to the same trials.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from optimizers.gp.regression import GaussianProcess
from optimizers.in_context.lessons import tokens
from optimizers.in_context.network import Network, foretold, held_out_errors

Floats = NDArray[np.float64]

_NUGGET = 1e-6  # of a correlation: what is known as exactly as this has no say in what is not


@dataclass(frozen=True)
class InContextModel:
    """One metric as the network foretells it from `values [m]` at `measured [m, f]`; `process` correlates."""

    network: Network
    process: GaussianProcess
    metric: int
    metrics: int
    measured: Floats
    values: Floats

    @property
    def variance(self) -> float:
        """Of the values, before anything is known."""
        return 1.0

    @property
    def ahead(self) -> bool:
        """Whether the network foretells each measured value from the others better than the process does."""
        inputs = tokens(self.measured, self.metric, self.metrics)
        own, theirs = held_out_errors(self.network, inputs, self.values), self.process.held_out()[0]
        return float(np.mean(own**2)) < float(np.mean(theirs**2))

    def predict(self, features: Floats) -> tuple[Floats, Floats]:
        """Mean `[k]` and variance `[k]` at `features [k, f]`."""
        measured, asked = (tokens(one, self.metric, self.metrics) for one in (self.measured, features))
        return foretold(self.network, measured, self.values, asked)

    def joint(self, features: Floats) -> tuple[Floats, Floats]:
        """Mean `[k]` and covariance `[k, k]` at `features [k, f]`."""
        mean, variance = self.predict(features)
        covariance = self.cross(features, features)
        covariance[np.diag_indices_from(covariance)] = variance
        return mean, covariance

    def cross(self, left: Floats, right: Floats) -> Floats:
        """Covariance `[k, l]` between `left [k, f]` and `right [l, f]`."""
        covariance: Floats = self.process.cross(left, right) * self._ratio(left)[:, None] * self._ratio(right)
        return covariance

    def _ratio(self, features: Floats) -> Floats:
        """Deviation of the network over that of the process `[k]`."""
        own, theirs = self.predict(features)[1], self.process.predict(features)[1]
        return np.asarray(np.sqrt(own / (theirs + _NUGGET * self.process.variance)))
