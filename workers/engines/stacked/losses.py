"""The losses of all members from one pass, without a kernel for each of them."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from workers.hyperparameters import Hyperparameters
from workers.tasks.criterion import Criterion

READ_BY_LOSSES = ("label_smoothing", "dpo_beta", "temperature", "mixup")
"""The hyperparameters that losses of tasks look at."""


def differing_numbers(trained_with: Sequence[Hyperparameters]) -> dict[str, NDArray[np.float32]]:
    """The numbers in which members' losses differ, of each of them `[members]`, by name."""
    found = {name: [getattr(own, name) for own in trained_with] for name in READ_BY_LOSSES}
    return {name: np.array(values, dtype=np.float32) for name, values in found.items() if len(set(values)) > 1}


def common_numbers(common: Hyperparameters, differing: Container[str]) -> tuple[tuple[str, float], ...]:
    """Those in which they do not, with the value that they have for any member: constants of a pass."""
    return tuple((name, getattr(common, name)) for name in READ_BY_LOSSES if name not in differing)


def row_losses(
    outputs: Tensor, targets: Tensor, criterion: Criterion, common: Hyperparameters, numbers: Mapping[str, Tensor]
) -> Tensor:
    """Loss of each row `[rows]`, or of each group of rows that belong together, summed over its targets.

    Args:
        outputs: the head's `[rows, …]`.
        targets: `[rows]` or `[rows, length]`.
        criterion: the task's.
        common: hyperparameters of any member.
        numbers: those that differ, of the member of each row or group. The loss is given them as tensors `[]` and must
            not ask the host for them.
    """

    def one(output: Tensor, target: Tensor, own: Mapping[str, Tensor]) -> Tensor:
        return criterion.loss(output, target, common.model_copy(update=dict(own)))

    groups = (-1, criterion.together)
    return torch.vmap(one)(outputs.float().unflatten(0, groups), targets.unflatten(0, groups), dict(numbers))
