"""How much better the best value of the first objective may still get, where a job's trials went for several."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from optimizers.evidence import Evidence
from optimizers.gp.features import FeatureMap, feature_map
from optimizers.gp.optimizer import good_ones
from optimizers.gp.outcomes import scaling
from optimizers.gp.regression import GaussianProcess, fit
from optimizers.gp.search import best_new
from optimizers.novelty import Novelty, sampled
from optimizers.problem import Config, History, Problem

FloatArray = NDArray[np.float64]

# Configurations drawn from the priors, draws of the surface, and deviations of doubt under which its best is sought.
_DRAWN, _SURFACES, _DOUBTS = 100, 200, (0.0, 1.0, 2.0)


@dataclass(frozen=True)
class Headroom:
    """What a further search for the first objective alone is expected to gain, in the objective's own unit and ≥ 0.

    `expected` is the mean over draws of the surface, `most` the gain that is not exceeded with probability `level`.
    """

    expected: float
    most: float
    level: float


def headroom(problem: Problem, evidence: Evidence, level: float, rng: np.random.Generator) -> Headroom:
    """The best that the surrogate thinks possible in the space, less the best it believes reached.

    The surface of the first objective, given the trials in `evidence` (at least three), is drawn jointly at the trials
    and at many other configurations. Noise is not part of it: what one lucky measurement pretends is no gain.
    Raises `numpy.linalg.LinAlgError` when no process can be fitted.
    """
    space, values = problem.space, evidence.objectives[:, 0]
    scale = scaling(values, decades=False)
    features = feature_map(space)
    measured = features(evidence.configs)
    process = fit(measured, features.groups, scale(values))
    others = _promising(problem, evidence, features, process, rng)
    mean, covariance = process.joint(np.concatenate([measured, features(others)]) if others else measured)
    covariance[np.diag_indices_from(covariance)] += 1e-6 * process.variance
    surfaces = mean[:, None] + np.linalg.cholesky(covariance) @ rng.standard_normal((len(mean), _SURFACES))
    reached = surfaces[: len(measured)].min(axis=0)
    gains = (reached - surfaces.min(axis=0)) * scale.spread
    return Headroom(float(gains.mean()), float(np.quantile(gains, level)), level)


def _promising(
    problem: Problem, evidence: Evidence, features: FeatureMap, process: GaussianProcess, rng: np.random.Generator
) -> list[dict[str, Any]]:
    """Configurations anywhere, and those that are best by the process with more and more of its doubt granted, each
    with its neighbours."""
    space = problem.space
    found = sampled(space, _DRAWN, rng)
    for doubt in _DOUBTS:

        def worth(configs: Sequence[Config], doubt: float = doubt) -> FloatArray:
            mean, variance = process.predict(features(configs))
            height: FloatArray = np.exp(doubt * np.sqrt(variance) - mean)
            return height

        top = best_new(space, worth, worth, good_ones(evidence), Novelty(History()), rng)
        found += [] if top is None else [top, *space.neighbours(top)]
    return found
