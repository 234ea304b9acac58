"""Successive halving without waiting: ASHA (Li et al. 2020) in its stopping form, and Hyperband's brackets on top.

A trial that reaches a rung goes on only when it is among the best 1/η of all trials, running or finished, that have
reached this rung, judged by what each showed there. With several objectives "best" means non-dominated first, lonely
on its front second, as in multi-objective ASHA (Schmucker et al. 2021).
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import numpy as np

from optimizers.errors import BadOption
from optimizers.problem import Problem
from optimizers.schedulers.contract import TOLERANCE, Budget, Curve, Decision
from optimizers.schedulers.ranking import better_peers, comparable, minimised


@dataclass(frozen=True)
class Asha:
    """Asynchronous successive halving.

    Args:
        reduction: η; one in η trials goes on from each rung.
        grace: epochs before the first rung; None for the budget over η².
    """

    reduction: float = 3.0
    grace: float | None = None
    name: ClassVar[str] = "asha"

    def __post_init__(self) -> None:
        _check(self.reduction, self.grace)

    def check(self, problem: Problem, budget: Budget) -> None:  # noqa: ARG002
        """Raises `BadOption` when no rung lies below the budget."""
        check_grace(self.grace, budget)

    def looks(self, budget_epochs: float) -> tuple[float, ...]:
        """The rungs."""
        return rungs(self.grace, self.reduction, budget_epochs)

    def decide(self, trial_id: str, curves: Mapping[str, Curve], problem: Problem, budget_epochs: float) -> Decision:
        """See `optimizers.schedulers.contract.Scheduler`."""
        levels = self.looks(budget_epochs)
        return at_rungs(trial_id, curves, problem, levels, self.reduction, budget_epochs)


@dataclass(frozen=True)
class Hyperband:
    """ASHA in several brackets that start to stop trials at different epochs, for when early results mislead.

    Args:
        reduction: η of every bracket.
        grace: epochs before the first rung of the most eager bracket; None for the budget over η².
    """

    reduction: float = 3.0
    grace: float | None = None
    name: ClassVar[str] = "hyperband"

    def __post_init__(self) -> None:
        _check(self.reduction, self.grace)

    def check(self, problem: Problem, budget: Budget) -> None:  # noqa: ARG002
        """Raises `BadOption` when no rung lies below the budget."""
        check_grace(self.grace, budget)

    def looks(self, budget_epochs: float) -> tuple[float, ...]:
        """The rungs."""
        return rungs(self.grace, self.reduction, budget_epochs)

    def decide(self, trial_id: str, curves: Mapping[str, Curve], problem: Problem, budget_epochs: float) -> Decision:
        """See `optimizers.schedulers.contract.Scheduler`."""
        levels = self.looks(budget_epochs)
        bracket = self._bracket(trial_id, len(levels))
        rivals = partial(self._rivals, bracket, len(levels))
        return at_rungs(trial_id, curves, problem, levels[bracket:], self.reduction, budget_epochs, rivals)

    def _rivals(self, bracket: int, levels: int, trial_id: str) -> bool:
        return self._bracket(trial_id, levels) == bracket

    def _bracket(self, trial_id: str, levels: int) -> int:
        """Bracket b skips the first b rungs. A hash of the id decides, so that a replay decides the same.

        Hyperband spends equally on every bracket; bracket b costs about η^b times as much per trial as bracket 0 at
        its first rung and has b rungs less, hence the shares (Li et al. 2018, algorithm 1).
        """
        weights = np.array([self.reduction ** (levels - b) / (levels - b + 1) for b in range(levels + 1)])
        share = int.from_bytes(hashlib.sha256(trial_id.encode()).digest()[:8], "big") / 2**64
        return int(np.searchsorted(np.cumsum(weights / weights.sum()), share, side="right").clip(0, levels))


def rungs(grace: float | None, reduction: float, budget_epochs: float) -> tuple[float, ...]:
    """Epochs `grace · reduction^k` below the budget; without a grace they begin at the budget over η²."""
    first = budget_epochs / reduction**2 if grace is None else grace
    count = math.ceil(math.log(budget_epochs / first, reduction) - TOLERANCE) if first < budget_epochs else 0
    return tuple(first * reduction**k for k in range(count))


def at_rungs(
    trial_id: str,
    curves: Mapping[str, Curve],
    problem: Problem,
    levels: Sequence[float],
    reduction: float,
    budget_epochs: float,
    rivals: Callable[[str], bool] = lambda _: True,
) -> Decision:
    """Stop when the latest report of the trial is its first at or beyond a rung and too many peers are better there:
    those of the other trials that `rivals` says are. Elsewhere nobody else's curve is looked at."""
    curve = curves.get(trial_id)
    if curve is None or not curve.points or curve.points[-1].epoch >= budget_epochs - TOLERANCE:
        return "continue"
    objectives = comparable(problem, curve.points[-1].metrics)
    if not any(objective.metric not in problem.known for objective in objectives):
        return "continue"  # nothing that training changes has been reported
    for level in levels:
        if curve.reached(level) is not curve.points[-1]:
            continue
        others = (name for name in curves if rivals(name))
        there = {name: point for name in others if (point := curves[name].reached(level)) is not None}
        values = np.array(
            [minimised(objectives, point.metrics, curves[name].config, problem) for name, point in there.items()]
        )
        own = list(there).index(trial_id)
        if better_peers(values, own) >= max(1, math.floor(len(there) / reduction)):
            return "stop"
    return "continue"


def check_grace(grace: float | None, budget: Budget) -> None:
    """Raises `BadOption` when trials end before the first look at them."""
    if grace is not None and grace >= budget.epochs:
        raise BadOption("grace", grace, f"epochs below the budget of {budget.epochs:g}")


def _check(reduction: float, grace: float | None) -> None:
    if not reduction > 1:
        raise BadOption("reduction", reduction, "a number above 1")
    if grace is not None and not grace > 0:
        raise BadOption("grace", grace, "epochs above 0")
