"""The contract of schedulers: learning curves in, a decision out. Pure: a crash loses nothing, a replay repeats it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal, Protocol

from optimizers.problem import Config, Problem

Decision = Literal["continue", "pause", "stop"]

# Epochs are sums of steps; two that should be equal may differ by rounding.
TOLERANCE = 1e-6


@dataclass(frozen=True)
class Point:
    """What a trial had reached after `epoch` passes over its training rows."""

    epoch: float
    metrics: Mapping[str, float]


@dataclass(frozen=True)
class Curve:
    """The reports of one trial, running, paused or finished, by growing epoch; `config` gives the known objectives."""

    points: tuple[Point, ...]
    config: Config = field(default_factory=dict)

    def reached(self, epoch: float) -> Point | None:
        """The first point at or after `epoch`; None while the trial has not come so far."""
        return next((point for point in self.points if point.epoch >= epoch - TOLERANCE), None)


class Scheduler(Protocol):
    """Decides, after each report of a trial, whether the trial goes on."""

    name: ClassVar[str]

    def decide(self, trial_id: str, curves: Mapping[str, Curve], problem: Problem, budget_epochs: float) -> Decision:
        """What trial `trial_id`, whose latest report ends its curve, should do.

        `curves` holds every trial of the job that has reported, finished ones included. `budget_epochs` is the full
        budget of a trial. Trials without a curve go on.
        """
        ...
