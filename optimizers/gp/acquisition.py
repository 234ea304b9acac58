"""How much a configuration is worth trying next: expected improvement × feasibility × prior ÷ cost.

With objectives that follow from the configuration (`known`), plain hypervolume improvement misleads: a cheap
configuration is certain to be cheap, so as long as its quality is in doubt it promises a certain gain, and the search
sinks into the cheap corner. Each suggestion therefore draws one budget for the known objectives at random and asks
for the best improvement of the others within it. Over many suggestions the budgets cover the front, and the expected
improvement averaged over budgets is the hypervolume improvement (measured in `docs/decisions/known-objectives.md`).
Budgets rarely reach the dear end, where quality is often best: every fifth suggestion has none.

Where the job's budget is time, the worth is divided by the expected cost to the power of the share of the budget that
is left (cost cooling, Lee et al. 2020): cheap trials teach much at first, and at the end only the result counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from optimizers.evidence import Evidence
from optimizers.gp.improvement import Improvement, Points, improvement
from optimizers.gp.outcomes import Scaling
from optimizers.gp.surrogate import Surrogate
from optimizers.novelty import sampled
from optimizers.pareto import infer_reference, non_domination_ranks
from optimizers.problem import Config

FloatArray = NDArray[np.float64]

# Sampled fronts and the points they are sampled at, by number of modelled objectives: the cells that a front leaves
# open grow with the power of the objectives less one.
_SAMPLES = {1: 32, 2: 32, 3: 8}
_BASELINE = {1: 40, 2: 40, 3: 20}
_FEW = (4, 12)
# Share of the suggestions with a budget for one of several modelled objectives.
_SLICED = 0.5
# Share of the suggestions without any budget, where objectives are known: the best of the first objective, whatever the
# known ones come to (measured in `docs/decisions/known-objectives.md`).
_FIRST_ALONE = 0.2
# Share of random configurations that are expected to be better than one that is poor.
_POOR = 0.9
# Configurations drawn to learn how far the objectives reach.
_PROBED = 256
# Of a certain success: where nothing promises anything, the surest trial is asked for.
_LEAST = 1e-12
# Sampled fronts that are enough to tell promising candidates from others.
SCREENING = slice(0, 8)


@dataclass(frozen=True)
class Acquisition:
    """The worth of configurations, given one drawn budget."""

    surrogate: Surrogate
    modelled: list[int]  # objectives whose improvement counts
    improvement: Improvement
    budget: FloatArray | None  # [m]: bound of each known objective (infinite for the others); None without slices
    prior_power: float
    thrift: float  # power of the expected cost

    def __call__(self, configs: Sequence[Config], samples: slice = slice(None)) -> FloatArray:
        """Worth `[k]`, not negative; 0 beyond the budget."""
        points = self.surrogate.points(configs)
        worth = self.improvement(Points(points.features, points.known[:, self.modelled]), samples)
        worth = worth * self.surrogate.feasibility(configs, points)
        if self.budget is not None:
            worth = worth * self._affordable(points, self.budget)
        if self.prior_power > 0:
            worth = worth * np.exp(np.clip(self.prior_power * self.surrogate.problem.space.log_prior(configs), -50, 50))
        if self.surrogate.expense is not None and self.thrift > 0:
            worth = worth / self.surrogate.expense(points.features) ** self.thrift
        worth = np.nan_to_num(worth, nan=0.0)
        if self.surrogate.success is not None:
            probability = self.surrogate.success.probability(points.features)
            worth = np.where(self.surrogate.success.likely(probability), worth * probability, 0.0)
            worth += _LEAST * probability
        return worth

    def _affordable(self, points: Points, budget: FloatArray) -> FloatArray:
        """Probability `[k]` of keeping within the budget: 0 or 1 for known objectives."""
        within = np.nan_to_num(points.known, nan=-np.inf) <= budget + 1e-9
        probability: FloatArray = np.asarray(within.all(axis=1), dtype=np.float64)
        for bound, model in zip(budget, self.surrogate.models, strict=True):
            if model is not None and np.isfinite(bound):
                mean, variance = model.predict(points.features)
                probability = np.asarray(probability * ndtr((bound - mean) / np.sqrt(variance)))
        return probability


def acquisition(
    surrogate: Surrogate,
    evidence: Evidence,
    pending: Sequence[Config],
    prior_power: float,
    thrift: float,
    rng: np.random.Generator,
) -> Acquisition:
    """Sample fronts at the measured and `pending` configurations under a budget drawn with `rng`."""
    known = [j for j, model in enumerate(surrogate.models) if model is None]
    modelled = [j for j, model in enumerate(surrogate.models) if model is not None]
    observed = surrogate.scaled(evidence.objectives)
    outside = surrogate.scaled(evidence.outside)
    eligible = evidence.on_front
    standing = np.concatenate([observed[eligible], outside]) if eligible.any() or len(outside) else observed
    probed = surrogate.points(sampled(surrogate.problem.space, _PROBED, rng))
    reference = _reference(surrogate, standing, probed)
    budget = None
    first_alone = bool(known) and modelled[:1] == [0] and rng.random() < _FIRST_ALONE
    sliced = [] if first_alone else known if known and modelled else _sliced(modelled, rng)
    if sliced:
        middling = np.where(np.isnan(probed.known), np.minimum(surrogate.mean(probed), reference), probed.known)
        budget = _draw_budget(surrogate.scalings, np.concatenate([standing, middling]), sliced, rng)
        eligible = eligible & (observed <= budget).all(axis=1)
        outside = outside[(outside <= budget).all(axis=1)]
    counted = [0] if first_alone else [j for j in modelled if j not in sliced] or known
    measured = [evidence.configs[index] for index in np.flatnonzero(eligible)]
    baseline = _baseline(surrogate, measured, pending, budget, _BASELINE.get(len(counted), _FEW[1]))
    return Acquisition(
        surrogate=surrogate,
        modelled=counted,
        improvement=improvement(
            [surrogate.models[j] for j in counted],
            Points(baseline.features, baseline.known[:, counted]),
            outside[:, counted],
            reference[counted],
            _SAMPLES.get(len(counted), _FEW[0]),
            rng,
        ),
        budget=budget,
        prior_power=prior_power,
        thrift=thrift,
    )


def _sliced(modelled: list[int], rng: np.random.Generator) -> list[int]:
    """The modelled objective that this suggestion has a budget for, if any."""
    if len(modelled) < 2 or rng.random() >= _SLICED:
        return []
    return [int(rng.choice(modelled))]


def _reference(surrogate: Surrogate, standing: FloatArray, probed: Points) -> FloatArray:
    """Where volume ends `[m]`: a tenth beyond the front, between what a middling and what a poor configuration gives.

    A young front may be short in an objective by chance or noise; without the lower bound nothing beyond its ends
    would count, and the search would stay there. It may also reach far out where one objective is at its best and
    another hopeless; without the upper bound such corners would hold most of the volume.
    """
    reference = infer_reference(standing)
    if len(reference) > 1 and len(probed):
        middling, poor = np.quantile(surrogate.mean(probed), [0.5, _POOR], axis=0)
        best = standing.min(axis=0)
        reference = np.maximum(reference, middling)
        reference = np.where(poor > best, np.minimum(reference, poor), reference)
    return reference


def _draw_budget(
    scalings: Sequence[Scaling], reachable: FloatArray, known: list[int], rng: np.random.Generator
) -> FloatArray:
    """One scaled bound for each known objective `[m]`, all at the same share of the way from cheapest to dearest
    among the `reachable [n, m]` values.

    An objective that spans decades is scaled by its logarithm. Half of the budgets are drawn evenly there and half
    evenly in the objective's own unit, because a front is looked at on both axes.
    """
    share, even_in_unit = rng.random(), rng.random() < 0.5
    budget = np.full(len(scalings), np.inf)
    for j in known:
        low, high = np.nanmin(reachable[:, j]), np.nanmax(reachable[:, j])
        if even_in_unit and scalings[j].floor is not None:
            decades = (high - low) * scalings[j].spread  # natural logarithm of dearest over cheapest
            budget[j] = high + np.log(share + (1.0 - share) * np.exp(-decades)) / scalings[j].spread
        else:
            budget[j] = low + share * (high - low)
    return budget


def _baseline(
    surrogate: Surrogate, measured: Sequence[Config], pending: Sequence[Config], budget: FloatArray | None, most: int
) -> Points:
    """The points at which fronts are sampled: those of `measured` likeliest to be on one, and all pending ones."""
    points = surrogate.points(measured)
    if len(points) > most:
        ranks = non_domination_ranks(surrogate.mean(points))
        points = points.take(np.argsort(ranks, kind="stable")[:most])
    awaited = surrogate.points(pending)
    if budget is not None:
        within = np.asarray((np.nan_to_num(awaited.known, nan=-np.inf) <= budget).all(axis=1))
        awaited = awaited.take(within)
    return Points(np.concatenate([points.features, awaited.features]), np.concatenate([points.known, awaited.known]))
