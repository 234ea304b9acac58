"""Freeze-thaw (Swersky, Snoek & Adams 2014): a model of learning curves decides which paused trial trains on.

There are no rungs. After every slice each paused trial is worth what its full training is expected to add to the front
(hypervolume; with one objective, the improvement over the best), for every epoch that this still takes. The most
valuable go on, and new suggestions are valued alike; when nothing promises enough any more, what is paused ends.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from optimizers.errors import BadOption
from optimizers.gp.features import feature_map
from optimizers.gp.improvement import expected_shortfall, open_cells
from optimizers.gp.outcomes import scaling
from optimizers.pareto import hypervolume, non_dominated
from optimizers.problem import Objective, Problem
from optimizers.schedulers.contract import TOLERANCE, Budget, Curve, Decision, Moves, Standing, at_slice_end
from optimizers.schedulers.ranking import comparable, minimised
from predictors.learning_curves import Curves, final_values

FloatArray = NDArray[np.float64]

CERTAIN = 1e-6
"""Deviation of what has been measured or follows from the configuration."""

SLICES = 10
"""Slices of a full budget when no interval is given."""


@dataclass(frozen=True)
class FreezeThaw:
    """Continue what is expected to add most to the front for each epoch.

    Args:
        interval: epochs of a slice; None for a tenth of the budget.
        tolerance: a paused trial that is expected to add less than this share of the front's hypervolume ends, once
            nothing better is left to do.
    """

    interval: float | None = None
    tolerance: float = 0.01
    name: ClassVar[str] = "freeze-thaw"

    def __post_init__(self) -> None:
        if self.interval is not None and not self.interval > 0:
            raise BadOption("interval", self.interval, "epochs above 0")
        if not 0 <= self.tolerance < 1:
            raise BadOption("tolerance", self.tolerance, "at least 0 and below 1")

    def check(self, problem: Problem, budget: Budget) -> None:  # noqa: ARG002
        """Raises `BadOption` when no trial would ever pause."""
        if self.interval is not None and self.interval >= budget.epochs:
            raise BadOption("interval", self.interval, f"epochs below the budget of {budget.epochs:g}")

    def slice(self, budget_epochs: float) -> float:
        """See `optimizers.schedulers.contract.PausingScheduler`."""
        return self.interval if self.interval is not None else budget_epochs / SLICES

    def decide(self, trial_id: str, curves: Mapping[str, Curve], problem: Problem, budget_epochs: float) -> Decision:  # noqa: ARG002
        """See `optimizers.schedulers.contract.Scheduler`."""
        return at_slice_end(trial_id, curves, self.slice(budget_epochs), budget_epochs)

    def moves(self, standing: Standing, problem: Problem) -> Moves:
        """See `optimizers.schedulers.contract.PausingScheduler`."""
        waits_for_others = bool(standing.active or standing.fresh or standing.to_come)
        if not standing.paused or (waits_for_others and not standing.slots):
            return Moves()
        gains = expected_gains(standing, problem)
        rates = {trial: gain / _epochs_left(trial, standing) for trial, gain in gains.items()}
        worth = [trial for trial in standing.paused if gains[trial] >= self.tolerance]
        worth.sort(key=lambda trial: (-rates[trial], trial))
        if not worth and not waits_for_others and not any(map(standing.finished, standing.curves)):
            worth = [max(sorted(standing.paused), key=rates.__getitem__)]  # a search without any result helps nobody
        if worth:
            new = max((rates[trial] for trial in standing.fresh), default=0.0)
            return Moves({trial: None for trial in worth[: max(1, standing.slots)] if rates[trial] >= new})
        if waits_for_others:
            return Moves()
        return Moves(stop={trial: _reason(gains[trial]) for trial in sorted(standing.paused)})


def expected_gains(standing: Standing, problem: Problem) -> dict[str, float]:
    """What the full training of each paused or new trial is expected to add, as a share of the front's hypervolume.

    The front is that of the finished trials and of what is expected of those under way.
    """
    trials = sorted(standing.curves.keys() | standing.paused | standing.fresh.keys())
    candidates = {*standing.paused, *standing.fresh}
    reported = {name: 0.0 for curve in standing.curves.values() for point in curve.points for name in point.metrics}
    objectives = comparable(problem, reported)
    if all(objective.metric in problem.known for objective in objectives):
        return dict.fromkeys(candidates, 1.0)  # nothing that training changes is known yet
    means, deviations = _finals([standing.curve(trial) for trial in trials], objectives, standing, problem)
    ended = np.array([standing.finished(trial) or trial in standing.active for trial in trials])
    reference = _reference(means, deviations)
    lower, upper = open_cells(means[ended], reference)
    volume = np.ones((len(trials), len(lower)))
    for j in range(len(objectives)):
        mean, deviation = means[:, j, None], deviations[:, j, None]
        gain = expected_shortfall(upper[None, :, j], mean, deviation)
        if np.isfinite(lower[:, j]).any():
            gain = gain - expected_shortfall(lower[None, :, j], mean, deviation)
        volume *= np.maximum(gain, 0.0)
    whole = max(hypervolume(means, reference), 1e-12)
    added = volume.sum(axis=1) / whole
    return {trial: float(share) for trial, share in zip(trials, added, strict=True) if trial in candidates}


def _reference(means: FloatArray, deviations: FloatArray) -> FloatArray:
    """`[m]`: a tenth beyond the worst of those that may well come to stand on the front."""
    likely = means[non_dominated(means - 2.0 * deviations)]
    extent = np.ptp(likely, axis=0)
    reference: FloatArray = likely.max(axis=0) + 0.1 * np.where(extent > 0, extent, 1.0)
    return reference


def _finals(
    curves: Sequence[Curve], objectives: Sequence[Objective], standing: Standing, problem: Problem
) -> tuple[FloatArray, FloatArray]:
    """Means and deviations `[k, m]` of the minimised, scaled objectives at the full budget; certain where finished."""
    configs = [curve.config for curve in curves]
    encodable = all(problem.space.contains(config) for config in configs)
    features = feature_map(problem.space)(configs) if encodable else np.zeros((len(curves), 0))
    shown = [(row, point) for row, curve in enumerate(curves) for point in curve.points]
    owner = np.array([row for row, _ in shown])
    times = np.array([point.epoch for _, point in shown]) / standing.budget.epochs
    table = np.array([minimised(objectives, point.metrics, configs[row], problem) for row, point in shown])
    means = np.zeros((len(curves), len(objectives)))
    deviations = np.full_like(means, CERTAIN)
    for j, objective in enumerate(objectives):
        if objective.metric in problem.known:
            values = np.array([minimised([objective], {}, config, problem)[0] for config in configs])
            means[:, j] = scaling(values).uncut(values)
            continue
        real = np.isfinite(table[:, j])
        if not real.any():
            deviations[:, j] = 1.0
            continue
        scale = scaling(table[real, j])
        means[:, j], variance = final_values(Curves(features, owner[real], times[real], scale(table[real, j])))
        deviations[:, j] = np.sqrt(variance)
        ends = real & (times >= 1 - TOLERANCE)
        means[owner[ends], j], deviations[owner[ends], j] = scale(table[ends, j]), CERTAIN
    return means, deviations


def _epochs_left(trial: str, standing: Standing) -> float:
    return max(standing.budget.epochs - standing.curve(trial).epoch, TOLERANCE)


def _reason(gain: float) -> str:
    return f"frozen: its full training was expected to add {gain:.1%} to the front's hypervolume"
