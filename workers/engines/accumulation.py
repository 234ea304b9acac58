"""Gradient accumulation: one optimizer step whose rows are computed in several passes."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from workers.engines.batches import RowIndices
from workers.engines.course import TrainStep
from workers.engines.inputs import Inputs


def weight_of(step: TrainStep, train: Inputs) -> float:
    """What the loss of a step's rows is divided by; 1 where none has a target."""
    return sum(train.weight(rows) for rows in step.micro_batches) or 1.0


def add_gradients(step: TrainStep, weight: float, loss: Callable[[RowIndices], Tensor]) -> float:
    """Add the gradients of the step's mean loss to the parameters; that mean.

    `loss` is summed over the targets of the rows of one pass; `weight` is that of the whole step, so that passes count
    by their targets.
    """
    total = 0.0
    for rows in step.micro_batches:
        part = loss(rows) / weight
        part.backward()
        total += part.item()
    return total
