"""The median rule (Golovin et al. 2017, Vizier), also for several objectives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from optimizers.errors import BadOption
from optimizers.problem import Problem
from optimizers.schedulers.contract import TOLERANCE, Budget, Curve, Decision
from optimizers.schedulers.halving import check_grace
from optimizers.schedulers.ranking import better_peers, comparable, minimised


@dataclass(frozen=True)
class Median:
    """Stop a trial whose best so far is worse than what half of its peers had shown on average by the same epoch.

    With several objectives the trial is granted its best in each, and stands among the peers' averages by
    non-domination.

    Args:
        grace: epochs before a trial may be stopped; None for a quarter of the budget.
        peers: trials that must have come as far before any is stopped.
    """

    grace: float | None = None
    peers: int = 4
    name: ClassVar[str] = "median"

    def __post_init__(self) -> None:
        if self.grace is not None and not self.grace >= 0:
            raise BadOption("grace", self.grace, "epochs, at least 0")
        if self.peers < 1:
            raise BadOption("peers", self.peers, "at least 1")

    def check(self, problem: Problem, budget: Budget) -> None:  # noqa: ARG002
        """Raises `BadOption` when no trial could be stopped before its end."""
        check_grace(self.grace, budget)

    def looks(self, budget_epochs: float) -> tuple[float, ...]:
        """The end of the grace; from there on it looks at every report."""
        grace = self._grace(budget_epochs)
        return (grace,) if 0 < grace < budget_epochs else ()

    def _grace(self, budget_epochs: float) -> float:
        return self.grace if self.grace is not None else budget_epochs / 4

    def decide(self, trial_id: str, curves: Mapping[str, Curve], problem: Problem, budget_epochs: float) -> Decision:
        """See `optimizers.schedulers.contract.Scheduler`."""
        curve = curves.get(trial_id)
        if curve is None or not curve.points:
            return "continue"
        now = curve.points[-1].epoch
        grace = self._grace(budget_epochs)
        objectives = comparable(problem, curve.points[-1].metrics)
        learned = any(objective.metric not in problem.known for objective in objectives)
        finished = now >= budget_epochs - TOLERANCE
        if now < grace - TOLERANCE or finished or not learned:
            return "continue"
        others = [other for name, other in curves.items() if name != trial_id and other.reached(now) is not None]
        if len(others) < self.peers:
            return "continue"

        def history(of: Curve) -> np.ndarray:
            shown = [point for point in of.points if point.epoch <= now + TOLERANCE] or of.points[:1]
            return np.array([minimised(objectives, point.metrics, of.config, problem) for point in shown])

        own = np.fmin.reduce(history(curve), axis=0)
        averages = [history(other).mean(axis=0) for other in others]
        worse_than = better_peers(np.array([own, *averages]), 0)
        return "stop" if worse_than > len(others) / 2 else "continue"
