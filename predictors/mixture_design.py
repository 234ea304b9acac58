"""Which mixtures to measure (RegMix, arXiv:2407.01492; METHODS.md row 89): Dirichlet draws around a prior.

The prior's shares are flattened by a square root, so that small domains are seen in earnest, and drawn at strengths
from 0.1 (nearly one domain alone) to 5 (near the prior). No domain is repeated more than `MOST_EPOCHS` times, and
weights under `LEAST_WEIGHT` are dropped.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
STRENGTHS = np.geomspace(0.1, 5.0, 15)
LEAST_WEIGHT = 2e-4
MOST_EPOCHS = 15.0
_TRIES = 200


def sample_mixtures(prior: Floats, count: int, epochs_at_one: Floats, seed: int) -> Floats:
    """Mixtures `[count, d]`; each row sums to one.

    Args:
        prior: `[d]`, sums to one.
        epochs_at_one: `[d]` times that a run of that domain alone would read it.
    """
    rng = np.random.default_rng(seed)
    flat = np.sqrt(np.maximum(prior, 1e-6))
    flat /= flat.sum()
    most = np.minimum(1.0, MOST_EPOCHS / np.maximum(epochs_at_one, 1e-12))
    return np.array([_draw(flat * len(prior), most, rng) for _ in range(count)])


def _draw(flat: Floats, most: Floats, rng: np.random.Generator) -> Floats:
    """One mixture within the limits `most [d]`; where luck does not find one, the excess goes to the other domains."""
    for _ in range(_TRIES):
        mixture = _cleaned(rng.dirichlet(flat * rng.choice(STRENGTHS)))
        if np.all(mixture <= most):
            return mixture
    return limited(mixture, most)


def limited(mixture: Floats, most: Floats) -> Floats:
    """`mixture [d]` with what exceeds `most [d]` shared among the others by their room; `most` itself when that is
    all there is (then every domain is read more often than wished, evenly)."""
    if most.sum() <= 1.0:
        return np.asarray(most / most.sum())
    kept = np.minimum(mixture, most)
    room = most - kept
    return np.asarray(kept + room * (1.0 - kept.sum()) / room.sum())


def _cleaned(mixture: Floats) -> Floats:
    kept = np.where(mixture < LEAST_WEIGHT, 0.0, mixture)
    return np.asarray(kept / kept.sum())
