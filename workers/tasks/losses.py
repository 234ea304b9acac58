"""Losses of the tasks, each summed over its targets. Needs torch."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import cross_entropy

from workers.hyperparameters import Hyperparameters
from workers.models.token_scores import EVENNESS, LIKELIHOOD
from workers.tasks.criterion import IGNORED


def classification_loss(outputs: Tensor, targets: Tensor, hyperparameters: Hyperparameters) -> Tensor:
    """Cross-entropy in nats of logits `[…, classes]` against class indices `[…]`, summed."""
    if isinstance(hyperparameters.label_smoothing, Tensor):
        return _smoothed(outputs.flatten(0, -2), targets.flatten(), hyperparameters.label_smoothing)
    return cross_entropy(
        outputs.flatten(0, -2),
        targets.flatten(),
        ignore_index=IGNORED,
        label_smoothing=hyperparameters.label_smoothing,
        reduction="sum",
    )


def _smoothed(logits: Tensor, targets: Tensor, smoothing: Tensor) -> Tensor:
    """The same with a smoothing that is a tensor, as packs have it whose members smooth differently."""
    likelihood = cross_entropy(logits, targets, ignore_index=IGNORED, reduction="sum")
    evenness = -logits.log_softmax(-1).mean(-1).where(targets != IGNORED, 0.0).sum()
    return (1 - smoothing) * likelihood + smoothing * evenness


def token_loss(outputs: Tensor, _targets: Tensor, hyperparameters: Hyperparameters) -> Tensor:
    """Cross-entropy in nats of the wanted tokens by their scores `[rows, tokens, 3]`, 0 elsewhere, summed."""
    smoothing = hyperparameters.label_smoothing
    likelihood = outputs[..., LIKELIHOOD].sum()
    plain = not isinstance(smoothing, Tensor) and smoothing == 0
    return likelihood if plain else (1 - smoothing) * likelihood + smoothing * outputs[..., EVENNESS].sum()
