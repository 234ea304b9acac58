"""Gradient accumulation: one optimizer step whose rows are computed in several passes."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from workers.engines.batches import Rows
from workers.engines.course import TrainStep


def add_gradients(step: TrainStep, loss: Callable[[Rows], Tensor]) -> float:
    """Add the gradients of the mean loss over the step's rows to the parameters; that loss.

    `loss` is the mean over the rows of one pass.
    """
    rows_in_step = sum(len(rows) for rows in step.micro_batches)
    total = 0.0
    for rows in step.micro_batches:
        part = loss(rows) * (len(rows) / rows_in_step)
        part.backward()
        total += part.item()
    return total
