"""The losses of all members from one pass, without a kernel for each of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from workers.hyperparameters import Hyperparameters
from workers.tasks.criterion import Criterion

_OF_STEPS = frozenset(
    {"learning_rate", "weight_decay", "warmup_ratio", "power_amplitude", "power_warmup", "max_grad_norm"}
)
"""Numbers that no loss reads."""


def differing_numbers(trained_with: Sequence[Hyperparameters]) -> dict[str, NDArray[np.float32]]:
    """The numbers in which members' losses may differ, of each of them `[members]`, by name."""
    return {
        name: np.array([getattr(own, name) for own in trained_with], dtype=np.float32)
        for name, value in _numbers(trained_with[0])
        if any(getattr(own, name) != value for own in trained_with)
    }


def common_numbers(trained_with: Sequence[Hyperparameters]) -> tuple[tuple[str, float], ...]:
    """Those in which they do not, with their value: constants of a pass."""
    return tuple(
        (name, value)
        for name, value in _numbers(trained_with[0])
        if all(getattr(own, name) == value for own in trained_with)
    )


def _numbers(hyperparameters: Hyperparameters) -> Iterator[tuple[str, float]]:
    return ((name, value) for name, value in hyperparameters if isinstance(value, float) and name not in _OF_STEPS)


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
