"""The contract of schedulers: learning curves in, a decision out. Pure: a crash loses nothing, a replay repeats it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Protocol, runtime_checkable

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
    """The reports of one trial, running, paused or finished, by growing epoch; `config` gives the known objectives.

    `earlier` holds what it trained with before it copied another trial: (until epoch, configuration), oldest first.
    """

    points: tuple[Point, ...]
    config: Config = field(default_factory=dict)
    earlier: tuple[tuple[float, Config], ...] = ()

    @property
    def epoch(self) -> float:
        """How far it has come."""
        return self.points[-1].epoch if self.points else 0.0

    def reached(self, epoch: float) -> Point | None:
        """The first point at or after `epoch`; None while the trial has not come so far."""
        return next((point for point in self.points if point.epoch >= epoch - TOLERANCE), None)

    def config_until(self, epoch: float) -> Config:
        """The configuration that the training which ended at `epoch` used."""
        return next((config for until, config in self.earlier if epoch <= until + TOLERANCE), self.config)


@dataclass(frozen=True)
class Budget:
    """What a job may spend: `trials` beside its reference trials, and `epochs` for each."""

    trials: int
    epochs: float


class Scheduler(Protocol):
    """Decides, after each report of a trial, whether the trial goes on.

    One that cannot work on some problems or budgets has `check(problem, budget)`, which raises `UnsupportedProblem` or
    `BadOption`.
    """

    name: ClassVar[str]

    def decide(self, trial_id: str, curves: Mapping[str, Curve], problem: Problem, budget_epochs: float) -> Decision:
        """What trial `trial_id`, whose latest report ends its curve, should do.

        `curves` holds every trial of the job that has reported, finished ones included. `budget_epochs` is the full
        budget of a trial. Trials without a curve go on.
        """
        ...


@runtime_checkable
class StoppingScheduler(Protocol):
    """A scheduler that may stop a trial at a report: the trial waits there for the decision."""

    name: ClassVar[str]

    def decide(self, trial_id: str, curves: Mapping[str, Curve], problem: Problem, budget_epochs: float) -> Decision:
        """`stop` or `continue`, see `Scheduler`."""
        ...

    def looks(self, budget_epochs: float) -> tuple[float, ...]:
        """Epochs below the budget at which trials must report for it, beside the end of each epoch."""
        ...


@dataclass(frozen=True)
class Standing:
    """Where a job's trials stand when a scheduler is asked which of them go on. Reference trials are left out."""

    curves: Mapping[str, Curve]  # of every trial that has reported and not failed
    paused: frozenset[str]
    donors: frozenset[str]  # the paused ones that have a checkpoint
    active: frozenset[str]  # running, or queued to go on
    fresh: Mapping[str, Config]  # suggestions that nobody has started
    to_come: int  # suggestions that the budget still allows for
    slots: int  # trials that could start now, beside those queued to go on
    budget: Budget
    seed: int

    def curve(self, trial_id: str) -> Curve:
        """The trial's curve, without points when it has not reported."""
        return self.curves.get(trial_id) or Curve((), self.fresh.get(trial_id, {}))

    def finished(self, trial_id: str) -> bool:
        """Whether the trial has reported at its full budget."""
        return self.curve(trial_id).epoch >= self.budget.epochs - TOLERANCE


@dataclass(frozen=True)
class Exploit:
    """Go on from the checkpoint of trial `donor` with `config`."""

    donor: str
    config: dict[str, Any]


@dataclass(frozen=True)
class Moves:
    """Paused trials that go on, each as it was (None) or from another's checkpoint, and those that end, with why."""

    resume: Mapping[str, Exploit | None] = field(default_factory=dict)
    stop: Mapping[str, str] = field(default_factory=dict)


@runtime_checkable
class PausingScheduler(Protocol):
    """A scheduler under which trials train in slices: each pauses with a checkpoint, and `moves` says who goes on."""

    name: ClassVar[str]

    def decide(self, trial_id: str, curves: Mapping[str, Curve], problem: Problem, budget_epochs: float) -> Decision:
        """`pause` at the end of a slice, see `Scheduler`."""
        ...

    def slice(self, budget_epochs: float) -> float:
        """Epochs between two pauses: a trial pauses at every multiple of it."""
        ...

    def moves(self, standing: Standing, problem: Problem) -> Moves:
        """Which paused trials go on or end now. The same standing gives the same moves."""
        ...


def at_slice_end(trial_id: str, curves: Mapping[str, Curve], every: float, budget_epochs: float) -> Decision:
    """Pause when the latest report is the first at or beyond a multiple of `every` epochs, before the budget's end."""
    points: Sequence[Point] = curves[trial_id].points if trial_id in curves else ()
    if not points or points[-1].epoch >= budget_epochs - TOLERANCE:
        return "continue"
    epochs = [0.0, *(point.epoch for point in points)]
    before, now = (math.floor(epoch / every + TOLERANCE) for epoch in epochs[-2:])
    return "pause" if now > before else "continue"
