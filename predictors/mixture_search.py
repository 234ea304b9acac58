"""The best mixture by simulation on the simplex (RegMix), then by local improvement under uncertainty.

Draw many mixtures from a Dirichlet distribution around a prior, predict each, average the best. The average is then
moved downhill on the upper end of its interval, so that it never runs away to where nothing was measured.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from predictors.mixture_design import LEAST_WEIGHT
from predictors.mixture_regression import MixtureRegression

Floats = NDArray[np.float64]
DRAWS, KEPT, SHORTLIST = 100_000, 128, 4_000
CHUNK = 5_000  # mixtures predicted at once: bounds memory
EFFECT_STEP = 0.05


@dataclass(frozen=True)
class DomainEffect:
    """Change of the loss when a twentieth of the mixture is given to this domain, the others shrinking evenly."""

    domain: str
    change: float
    low: float
    high: float


@dataclass(frozen=True)
class Recommendation:
    """A mixture, its predicted loss with interval, and what more of each domain would do there."""

    weights: dict[str, float]
    loss: float
    low: float
    high: float
    simulated_weights: dict[str, float]  # mean of the best draws, before local improvement
    simulated_loss: float
    effects: tuple[DomainEffect, ...]


def recommend(
    regression: MixtureRegression, prior: Floats, rng: np.random.Generator, draws: int = DRAWS, kept: int = KEPT
) -> Recommendation:
    """The mixture with the lowest predicted loss.

    Args:
        prior: `[d]`, sums to one: the natural proportions, or the mean of the measured mixtures.
        draws: mixtures to simulate.
        kept: how many of the best are averaged.
    """
    shares = np.maximum(prior, 1e-4)
    drawn = rng.dirichlet(shares / shares.sum(), draws)
    shortlist = _best(drawn, _in_chunks(regression, drawn, fast=True), SHORTLIST)
    simulated = _best(shortlist, _in_chunks(regression, shortlist, fast=False), kept).mean(axis=0)
    chosen = _improved(regression, simulated, rng)
    chosen = np.where(chosen < LEAST_WEIGHT, 0.0, chosen) / chosen[chosen >= LEAST_WEIGHT].sum()
    (before, after), (_, half) = regression.predict(np.array([simulated, chosen]))
    return Recommendation(
        _named(regression, chosen),
        float(after),
        float(after - half),
        float(after + half),
        _named(regression, simulated),
        float(before),
        effects(regression, chosen),
    )


def effects(regression: MixtureRegression, mixture: Floats) -> tuple[DomainEffect, ...]:
    """What more of each domain would do at `mixture [d]`."""
    moved = (1 - EFFECT_STEP) * mixture + EFFECT_STEP * np.eye(len(mixture))
    changes, halves = regression.differences(moved, mixture)
    rows = zip(regression.domains, changes, halves, strict=True)
    return tuple(DomainEffect(name, float(c), float(c - half), float(c + half)) for name, c, half in rows)


def _in_chunks(regression: MixtureRegression, mixtures: Floats, fast: bool) -> Floats:
    parts = [regression.mean(mixtures[at : at + CHUNK], fast) for at in range(0, len(mixtures), CHUNK)]
    return np.concatenate(parts)


def _best(mixtures: Floats, losses: Floats, count: int) -> Floats:
    count = min(count, len(losses))
    return mixtures[np.argpartition(losses, count - 1)[:count]]


def _improved(regression: MixtureRegression, start: Floats, rng: np.random.Generator, rounds: int = 25) -> Floats:
    """Local search on the upper end of the interval: ever smaller random steps, the best of each round is kept."""
    current, bound = start, float(np.sum(regression.predict(start[None])))
    for concentration in np.geomspace(30, 3000, rounds):
        steps = rng.dirichlet(np.maximum(current, 1e-4) * concentration, 64)
        mean, half = regression.predict(steps)
        best = int(np.argmin(mean + half))
        if mean[best] + half[best] < bound:
            current, bound = steps[best], float(mean[best] + half[best])
    return current


def _named(regression: MixtureRegression, mixture: Floats) -> dict[str, float]:
    return {name: float(weight) for name, weight in zip(regression.domains, mixture, strict=True)}
