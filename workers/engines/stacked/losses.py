"""The losses of all members from one pass, without a kernel for each of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from workers.engines.inputs import Inputs
from workers.hyperparameters import Hyperparameters


def row_losses(outputs: Tensor, targets: Tensor, inputs: Inputs, trained_with: Sequence[Hyperparameters]) -> Tensor:
    """Loss of each row `[rows]`, summed over its targets.

    Args:
        outputs: the head's `[rows, …]`.
        targets: `[rows]` or `[rows, length]`.
        inputs: the split, which knows its task.
        trained_with: the hyperparameters of each row's member. Where these differ in a number, the loss is given that
            number as a tensor.
    """
    first = trained_with[0]
    differing = {
        name: torch.tensor([float(getattr(own, name)) for own in trained_with], device=outputs.device)
        for name, value in first
        if isinstance(value, float) and any(getattr(own, name) != value for own in trained_with)
    }

    def one(output: Tensor, target: Tensor, numbers: Mapping[str, Any]) -> Tensor:
        return inputs.criterion.loss(output[None], target[None], first.model_copy(update=dict(numbers)))

    return torch.vmap(one)(outputs.float(), targets, differing)
