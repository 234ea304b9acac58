"""Population-based bandits (Parker-Holder, Nguyen & Roberts 2020): a model chooses what a copy trains with next.

Copying is that of population-based training. Where that perturbs at random, PB2 fits a Gaussian process to what each
slice of training gained beyond the median of its generation, given the hyperparameters, older slices counting less, and
takes the values with the greatest upper confidence bound. Trials that copy in the same generation see one another's
choice as if it had turned out as expected, so they spread.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_solve, cholesky

from optimizers.errors import UnsupportedProblem
from optimizers.gp.outcomes import scaling
from optimizers.gp.regression import correlation
from optimizers.problem import Config, Objective, Problem
from optimizers.schedulers.contract import Budget, Curve, Decision, Exploit, Moves, Standing, at_slice_end
from optimizers.schedulers.population import (
    SLICES,
    check_generations,
    check_population,
    generator,
    mutable_of,
    truncation,
)
from optimizers.schedulers.ranking import minimised
from search_spaces.space import Space

FloatArray = NDArray[np.float64]

CANDIDATES = 256
"""Settings of the mutable hyperparameters among which the bound is maximised."""

LENGTHS = (0.2, 0.4, 0.8)
"""Length scales of the unit cube, of which the likeliest is taken: a population gives too few slices to fit more."""

NOISE = 0.1
"""Variance of a slice's gain, of standardised gains: two trainings of the same slice differ."""

FORGETTING = 0.1
"""ε of the paper's kernel (1 − ε)^(|t − t'| / 2), t in generations."""


@dataclass(frozen=True)
class PopulationBasedBandits:
    """Truncation selection, and new hyperparameters by a Gaussian-process bandit.

    Args:
        interval: epochs of a generation; None for an eighth of the budget.
        quantile: the worst share of the population copies from the best share; at most a half.
        mutable: hyperparameters that may change, some of `population.MUTABLE`; None for all of them.
    """

    interval: float | None = None
    quantile: float = 0.25
    mutable: Sequence[str] | None = None
    name: ClassVar[str] = "pb2"

    def __post_init__(self) -> None:
        check_generations(self.interval, self.quantile, self.mutable)

    def check(self, problem: Problem, budget: Budget) -> None:
        """Raises `UnsupportedProblem` or `BadOption`."""
        trained = [one.metric for one in problem.objectives if one.metric not in problem.known]
        if len(trained) > 1:
            reason = f"it models the gain in one trained objective, found {', '.join(trained)}; pbt takes several"
            raise UnsupportedProblem(self.name, reason)
        check_population(self.name, problem, budget, self.interval, self.quantile, self.mutable)

    def slice(self, budget_epochs: float) -> float:
        """See `optimizers.schedulers.contract.PausingScheduler`."""
        return self.interval if self.interval is not None else budget_epochs / SLICES

    def decide(self, trial_id: str, curves: Mapping[str, Curve], problem: Problem, budget_epochs: float) -> Decision:  # noqa: ARG002
        """See `optimizers.schedulers.contract.Scheduler`."""
        return at_slice_end(trial_id, curves, self.slice(budget_epochs), budget_epochs)

    def moves(self, standing: Standing, problem: Problem) -> Moves:
        """See `optimizers.schedulers.contract.PausingScheduler`."""
        resume: dict[str, Exploit | None] = {}
        names = mutable_of(problem.space, self.mutable)
        bandit = _Bandit(self._slices(standing, problem), problem.space, names)
        for trial_id, candidates in truncation(standing, problem, self).items():
            resume[trial_id] = None
            if candidates:
                rng = generator(standing, trial_id)
                donor = candidates[int(rng.integers(len(candidates)))]
                turn = standing.curves[donor].epoch / self.slice(standing.budget.epochs) + 1.0
                resume[trial_id] = Exploit(donor, bandit.choose(standing.curves[donor], turn, rng))
        return Moves(resume)

    def _slices(self, standing: Standing, problem: Problem) -> list[_Slice]:
        """What every slice so far was trained with and gained. The first has no start to compare with."""
        objective = next(one for one in problem.objectives if one.metric not in problem.known)
        trained = problem.stand_ins.get(objective.metric, objective)
        every = self.slice(standing.budget.epochs)
        found = []
        for curve in standing.curves.values():
            for before, after in zip(curve.points, curve.points[1:], strict=False):
                start, end = (_value(trained, point.metrics, problem) for point in (before, after))
                copied = any(abs(until - before.epoch) < every / 2 for until, _ in curve.earlier)
                if math.isfinite(start) and math.isfinite(end) and not copied:  # else the start was the donor's
                    found.append(_Slice(round(after.epoch / every), curve.config_until(after.epoch), start - end))
        usual = {one.turn: np.median([other.gain for other in found if other.turn == one.turn]) for one in found}
        return [replace(one, gain=one.gain - float(usual[one.turn])) for one in found]


@dataclass(frozen=True)
class _Slice:
    """A slice of training: the generation that it ended, its configuration, and what the objective gained in it."""

    turn: float
    config: Config
    gain: float


class _Bandit:
    """A Gaussian process over (hyperparameters, turn), to which choices of the same generation are added."""

    def __init__(self, slices: Sequence[_Slice], space: Space, names: tuple[str, ...]) -> None:
        self._space, self._names = space, names
        self._places = self._encoded([one.config for one in slices])
        self._turns = np.array([one.turn for one in slices])
        gains = np.array([one.gain for one in slices])
        self._gains = -scaling(-gains)(-gains) if len(gains) else gains
        self._length = self._likeliest() if len(gains) else LENGTHS[1]

    def choose(self, donor: Curve, turn: float, rng: np.random.Generator) -> dict[str, Any]:
        """`donor`'s configuration with the mutable hyperparameters of the greatest upper confidence bound at `turn`."""
        candidates = [dict(donor.config) | drawn for drawn in self._drawn(donor.config, rng)]
        candidates = [config for config in candidates if self._space.contains(config)]
        if not candidates:
            return dict(donor.config)
        places = self._encoded(candidates)
        turns = np.full(len(candidates), turn)
        mean, deviation = self._predict(places, turns)
        best = int(np.argmax(mean + _width(len(self._gains)) * deviation))
        self._places = np.concatenate([self._places, places[best : best + 1]])
        self._turns = np.append(self._turns, turns[best])
        self._gains = np.append(self._gains, mean[best])
        return candidates[best]

    def _drawn(self, config: Config, rng: np.random.Generator) -> list[dict[str, Any]]:
        active = [name for name in self._names if name in config]
        columns = {
            name: self._space.by_name[name].draw(rng.random((CANDIDATES, self._space.by_name[name].draws)))
            for name in active
        }
        return [{name: columns[name][row] for name in active} for row in range(CANDIDATES)]

    def _encoded(self, configs: Sequence[Config]) -> FloatArray:
        """`[n, d]` in the unit cube, the mutable hyperparameters only."""
        kept = [index for index, column in enumerate(self._space.columns) if column.parameter in self._names]
        if not configs:
            return np.zeros((0, len(kept)))
        return np.asarray(self._space.encode(configs).values[:, kept])

    def _correlation(self, left: FloatArray, turns: FloatArray, right: FloatArray, others: FloatArray) -> FloatArray:
        scale = self._length * math.sqrt(max(1, left.shape[1]))
        faded = (1.0 - FORGETTING) ** (np.abs(turns[:, None] - others[None, :]) / 2.0)
        result: FloatArray = correlation(left / scale, right / scale) * faded
        return result

    def _factor(self) -> FloatArray:
        matrix = self._correlation(self._places, self._turns, self._places, self._turns)
        matrix[np.diag_indices_from(matrix)] += NOISE
        factor: FloatArray = cholesky(matrix, lower=True, check_finite=False)
        return factor

    def _likeliest(self) -> float:
        def loss(length: float) -> float:
            self._length = length
            factor = self._factor()
            weights = cho_solve((factor, True), self._gains, check_finite=False)
            return float(0.5 * self._gains @ weights + np.log(np.diag(factor)).sum())

        return min(LENGTHS, key=loss)

    def _predict(self, places: FloatArray, turns: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Mean `[k]` and deviation `[k]` of the gain."""
        if not len(self._gains):
            return np.zeros(len(places)), np.ones(len(places))
        factor = self._factor()
        cross = self._correlation(places, turns, self._places, self._turns)
        mean = cross @ cho_solve((factor, True), self._gains, check_finite=False)
        explained = (cross * cho_solve((factor, True), cross.T, check_finite=False).T).sum(axis=1)
        return mean, np.sqrt(np.maximum(1.0 - explained, 1e-12))


def _width(observed: int) -> float:
    """How many deviations the bound lies above the mean; grows slowly with the slices seen, as in the paper."""
    return math.sqrt(0.2 * math.log(2.0 * (observed + 1) ** 2) + 0.2)


def _value(objective: Objective, metrics: Mapping[str, float], problem: Problem) -> float:
    return minimised([objective], metrics, {}, problem)[0]
