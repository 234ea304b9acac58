"""Losses of the tasks, each summed over its targets. Needs torch."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import cross_entropy

from workers.hyperparameters import Hyperparameters
from workers.models.token_scores import EVENNESS, LIKELIHOOD
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


def token_loss(outputs: Tensor, _targets: Tensor, hyperparameters: Hyperparameters) -> Tensor:
    """Cross-entropy in nats of the wanted tokens by their scores `[rows, tokens, 3]`, 0 elsewhere, summed."""
    smoothing = hyperparameters.label_smoothing
    likelihood = outputs[..., LIKELIHOOD].sum()
    return likelihood if smoothing == 0 else (1 - smoothing) * likelihood + smoothing * outputs[..., EVENNESS].sum()
