"""Training in stages: rows of one task after those of another, each with passes and a rate of its own.

A stage is planned as a training by itself; behind each of them everything is measured, so that what was learnt earlier
is compared with what is left of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from workers.engines.batches import RowIndices, StepPlan

Metrics = Mapping[str, float]


@dataclass(frozen=True)
class Stages:
    """What comes one after another.

    Attributes:
        rows: of each stage the rows that it trains on, their places in the split, ascending.
        compare: from the metrics before the training, and behind each stage so far (the last ones are those of now), to
            metrics that compare them.
    """

    rows: tuple[NDArray[np.int64], ...]
    compare: Callable[[Sequence[Metrics]], dict[str, float]]


class StagedPlan(StepPlan):
    """The steps of several plans in turn. An epoch is a pass over the rows of all of them: the share of all steps done,
    times the epochs that each of them has."""

    def __init__(self, plans: Sequence[tuple[NDArray[np.int64], StepPlan]], epochs: float) -> None:
        self._plans = tuple(plans)
        self._ends = tuple(accumulate(plan.steps for _, plan in self._plans))
        self.steps = self._ends[-1]
        self.steps_per_epoch = self.steps / epochs

    @property
    def ends(self) -> tuple[int, ...]:
        """The steps that end a stage."""
        return self._ends

    def within(self, step: int) -> tuple[int, int]:
        """The number of a step (from 1) in its stage, and how many steps that has."""
        stage = next(number for number, end in enumerate(self._ends) if step <= end)
        steps = self._plans[stage][1].steps
        return step - (self._ends[stage] - steps), steps

    def after(self, step: int) -> Iterator[tuple[RowIndices, ...]]:
        """The batches of steps `step + 1`, `step + 2`, … up to the last."""
        for (rows, plan), end in zip(self._plans, self._ends, strict=True):
            if step < end:
                for batches in plan.after(max(0, step - (end - plan.steps))):
                    yield tuple(rows[batch] for batch in batches)
