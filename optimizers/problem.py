"""What an optimizer sees of a job: the problem, the evidence so far and the trials under way.

Completed, failed, stopped and pending trials are different types, so a pending trial cannot be mistaken for evidence.
Optimizers keep no state of their own: everything they know arrives in a `History`, so a crash loses nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Protocol

import numpy as np

from search_spaces.space import Space

Config = Mapping[str, Any]
Direction = Literal["maximize", "minimize"]


@dataclass(frozen=True)
class Objective:
    """A metric to maximize or minimize."""

    metric: str
    direction: Direction


@dataclass(frozen=True)
class OutcomeConstraint:
    """A measured metric that must stay within bounds for a trial to count as feasible."""

    metric: str
    min: float | None = None
    max: float | None = None


@dataclass(frozen=True)
class CompletedTrial:
    """Trained to its full budget: every objective was measured."""

    id: str
    config: Config
    metrics: Mapping[str, float]


@dataclass(frozen=True)
class StoppedTrial:
    """Ended early by a scheduler at `epoch`: its metrics are those of a lower fidelity."""

    id: str
    config: Config
    metrics: Mapping[str, float]
    epoch: float


@dataclass(frozen=True)
class FailedTrial:
    """Ended without a result (out of memory, NaN loss, a crash)."""

    id: str
    config: Config
    reason: str


@dataclass(frozen=True)
class PendingTrial:
    """Queued, running or paused: counts as asked, not as evidence."""

    id: str
    config: Config


@dataclass(frozen=True)
class PastJob:
    """What an earlier job measured. `likeness` of its task to this one: 0 to 1 (`predictors.transfer.Task.weight`)."""

    id: str
    likeness: float
    trials: tuple[CompletedTrial, ...]


@dataclass(frozen=True)
class History:
    """All that has happened in a job, oldest first, and what earlier jobs found, the most alike task first.

    `budget_left` is the share, from 1 to 0, that is left of a budget that `Problem.cost` spends.
    """

    completed: tuple[CompletedTrial, ...] = ()
    stopped: tuple[StoppedTrial, ...] = ()
    failed: tuple[FailedTrial, ...] = ()
    pending: tuple[PendingTrial, ...] = ()
    past: tuple[PastJob, ...] = ()
    budget_left: float = 1.0


@dataclass(frozen=True)
class Problem:
    """The search itself. `known` maps objectives that follow from a configuration alone to their formula; `cost` is
    the measured metric in which the budget is spent, None when every trial costs the same (a number of trials).
    `stand_ins` gives for objectives that are measured at the end alone what stands for them while trials train."""

    space: Space
    objectives: tuple[Objective, ...]
    constraints: tuple[OutcomeConstraint, ...] = ()
    known: Mapping[str, Callable[[Config], float]] = field(default_factory=dict)
    cost: str | None = None
    stand_ins: Mapping[str, Objective] = field(default_factory=dict)


@dataclass(frozen=True)
class Proposal:
    """Configurations to try next (fewer than asked only when the space is exhausted) and what the user should know,
    such as why the surrogate could not be fitted and what was done instead."""

    configs: tuple[dict[str, Any], ...]
    notes: tuple[str, ...] = ()


class Optimizer(Protocol):
    """Proposes configurations from history. Pure: the same arguments and seed give the same proposal."""

    name: ClassVar[str]

    def propose(self, problem: Problem, history: History, n: int, rng: np.random.Generator) -> Proposal:
        """Return up to `n` valid configurations, none of them equal to one in `history` or to one another."""
        ...
