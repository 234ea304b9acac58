"""Losses of the tasks, each summed over its targets. Needs torch."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import cross_entropy

from workers.hyperparameters import Hyperparameters
from workers.tasks.criterion import IGNORED


def classification_loss(outputs: Tensor, targets: Tensor, hyperparameters: Hyperparameters) -> Tensor:
    """Cross-entropy in nats of logits `[…, classes]` against class indices `[…]`, summed."""
    return cross_entropy(
        outputs.flatten(0, -2),
        targets.flatten(),
        ignore_index=IGNORED,
        label_smoothing=hyperparameters.label_smoothing,
        reduction="sum",
    )
