"""One number per trial, for optimizers that know only one objective."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from optimizers.evidence import Evidence

FloatArray = NDArray[np.float64]

# Share of the sum that keeps weakly dominated points behind the others (Knowles 2006, ParEGO).
_SUM = 0.05


def scores(evidence: Evidence, rng: np.random.Generator) -> FloatArray:
    """Scores `[n]` of the measured trials in [0, 2], smaller is better.

    One objective is scaled to [0, 1]. Several are weighed anew with every call by the augmented Chebyshev norm with
    random weights, so that many calls cover the front. A trial that violates a constraint scores 1 more.
    """
    objectives = np.clip(evidence.objectives, -1e100, 1e100)
    if not len(objectives):
        return np.zeros(0)
    low, high = objectives.min(axis=0), objectives.max(axis=0)
    scaled = (objectives - low) / np.where(high > low, high - low, 1.0)
    if scaled.shape[1] == 1:
        found = scaled[:, 0]
    else:
        weights = rng.dirichlet(np.ones(scaled.shape[1]))
        weighted = scaled * weights
        found = (weighted.max(axis=1) + _SUM * weighted.sum(axis=1)) / (1 + _SUM)
    answer: FloatArray = found + np.where(evidence.feasible, 0.0, 1.0)
    return answer
