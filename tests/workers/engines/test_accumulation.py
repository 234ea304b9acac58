"""Passes of a step count by their targets: the gradients of a whole batch come out of any division of it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from workers.data.tokens import Tokens
from workers.engines.accumulation import add_gradients, weight_of
from workers.engines.course import TrainStep
from workers.engines.inputs import Inputs
from workers.tasks.criterion import IGNORED, Criterion
from workers.tasks.losses import classification_loss
from workers.tasks.measures import ClassificationMeasure

OFFSETS = np.array([0, 3, 4, 8])  # rows of 2, 1 and 3 targets
TARGETS = np.array([IGNORED, 1, 0, 1, 0, 1, 1, IGNORED], dtype=np.int32)
CRITERION = Criterion("token", classification_loss, lambda: ClassificationMeasure(2))
ROWS = Inputs(Tokens(np.zeros(8, dtype=np.int32), None, OFFSETS, TARGETS), 0, CRITERION)


def test_a_row_weighs_what_it_has_targets() -> None:
    assert ROWS.weights.tolist() == [2, 1, 3]


@pytest.mark.parametrize("batches", [[[0, 1, 2]], [[0], [1, 2]], [[2], [1], [0]]])
def test_any_division_gives_the_mean_over_all_targets(batches: list[list[int]]) -> None:
    value = torch.tensor(1.0, requires_grad=True)
    losses = torch.tensor([4.0, 1.0, 7.0])  # of each row, summed over its targets
    step = TrainStep(1, tuple(np.array(rows) for rows in batches), 0.1)
    mean = add_gradients(step, weight_of(step, ROWS), lambda rows: value * losses[rows].sum())
    assert mean == pytest.approx(12 / 6)
    assert value.grad is not None
    assert value.grad.item() == pytest.approx(2.0)
