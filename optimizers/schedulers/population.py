"""Population-based training (Jaderberg et al. 2017): who copies whom, and with which hyperparameters it goes on.

Only the decision lives here. The caller pins the donor's checkpoint until it is copied, stores the lineage, and starts
the trial's next attempt from it; a donor without a checkpoint is not offered (`donors`).
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from optimizers.errors import BadOption
from optimizers.problem import Config, Problem
from optimizers.schedulers.contract import TOLERANCE, Curve
from optimizers.schedulers.ranking import better_peers, comparable, minimised
from search_spaces.parameters import Categorical, Float, Int, Ordinal, Parameter


@dataclass(frozen=True)
class Exploit:
    """Go on from the checkpoint of trial `donor` with `config`."""

    donor: str
    config: dict[str, Any]


@dataclass(frozen=True)
class PopulationBasedTraining:
    """Truncation selection with perturbation.

    Args:
        interval: epochs between two looks at a trial.
        quantile: the worst share of the population copies from the best share; at most a half.
        resample: chance that a hyperparameter is drawn anew instead of perturbed.
        factors: a numeric hyperparameter is multiplied by one of these.
        mutable: hyperparameters that may change in a running trial (its structure may not).
    """

    interval: float = 1.0
    quantile: float = 0.25
    resample: float = 0.25
    factors: tuple[float, float] = (0.8, 1.2)
    mutable: tuple[str, ...] = ("learning_rate", "weight_decay", "dropout", "label_smoothing")
    name: ClassVar[str] = "pbt"

    def __post_init__(self) -> None:
        if not self.interval > 0:
            raise BadOption("interval", self.interval, "epochs above 0")
        if not 0 < self.quantile <= 0.5:
            raise BadOption("quantile", self.quantile, "above 0 and at most 0.5")
        if not 0 <= self.resample <= 1:
            raise BadOption("resample", self.resample, "from 0 to 1")

    def exploit(
        self, trial_id: str, curves: Mapping[str, Curve], problem: Problem, donors: Collection[str], seed: int
    ) -> Exploit | None:
        """Whether `trial_id`, at its latest report, should copy one of `donors` (trials with a checkpoint), and how.

        None when it is not due, is not among the worst, or nobody among the best has a checkpoint. The choice depends
        on the arguments and `seed` only, so a replay makes the same one.
        """
        curve = curves.get(trial_id)
        if curve is None or not self._is_due(curve):
            return None
        now = curve.points[-1].epoch
        objectives = comparable(problem, curve.points[-1].metrics)
        there = {name: point for name, other in curves.items() if (point := other.reached(now)) is not None}
        if len(there) < 2 or not any(objective.metric not in problem.known for objective in objectives):
            return None
        values = np.array(
            [minimised(objectives, point.metrics, curves[name].config, problem) for name, point in there.items()]
        )
        count = max(1, math.floor(len(there) * self.quantile))
        places = {name: better_peers(values, row) for row, name in enumerate(there)}
        best = sorted(name for name in there if places[name] < count and name in donors and name != trial_id)
        if places[trial_id] < len(there) - count or not best:
            return None
        rng = np.random.default_rng([seed, _number(trial_id), round(now / TOLERANCE)])
        donor = best[int(rng.integers(len(best)))]
        return Exploit(donor, self.explore(curves[donor].config, problem, rng))

    def explore(self, config: Config, problem: Problem, rng: np.random.Generator) -> dict[str, Any]:
        """`config` with every mutable hyperparameter perturbed or drawn anew, within the space."""
        space, changed = problem.space, dict(config)
        for name in self.mutable:
            if name in space.by_name and name in config:
                changed[name] = self._moved(space.by_name[name], config[name], rng)
        return changed if space.contains(changed) else dict(config)

    def _is_due(self, curve: Curve) -> bool:
        """Whether the latest report is the first at or beyond a multiple of the interval."""
        if not curve.points:
            return False
        epochs = [0.0, *(point.epoch for point in curve.points)]
        before, now = (math.floor((epoch + TOLERANCE) / self.interval) for epoch in epochs[-2:])
        return now > before

    def _moved(self, parameter: Parameter, value: Any, rng: np.random.Generator) -> Any:
        if rng.random() < self.resample or isinstance(parameter, Categorical):
            return parameter.draw(rng.random((1, parameter.draws)))[0]
        factor = self.factors[int(rng.integers(2))]
        if isinstance(parameter, Float):
            return min(max(value * factor, parameter.low), parameter.high)
        if isinstance(parameter, Int):
            steps = max(1, round(abs(value * factor - value) / parameter.step))
            moved = value + parameter.step * (steps if factor > 1 else -steps)
            return min(max(moved, parameter.low), parameter.high)
        if isinstance(parameter, Ordinal):
            near = parameter.near(value)
            return near[-1 if factor > 1 else 0] if near else value
        return value


def _number(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
