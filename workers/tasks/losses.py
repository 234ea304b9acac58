"""Losses of the tasks, each summed over its targets. Needs torch."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize

from workers.hyperparameters import Hyperparameters
from workers.models.token_scores import EVENNESS, LIKELIHOOD
from workers.tasks.criterion import IGNORED

_CONTRAST_TEMPERATURE = 0.1


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


def row_loss(outputs: Tensor, targets: Tensor, hyperparameters: Hyperparameters) -> Tensor:
    """`classification_loss` of rows `[rows, classes]`; with `mixup` of pairs of them, drawn anew.

    Zhang et al. 2018, arXiv 1710.09412, on what the head gives: logits λ·zᵢ + (1 - λ)·zⱼ count λ for the class of i and
    1 - λ for that of j, with λ from Beta(α, α). Before a linear head this is to mix the states that it reads, as
    senMixup does (Guo et al. 2019, arXiv 1905.08941).
    """
    if hyperparameters.mixup == 0:
        return classification_loss(outputs, targets, hyperparameters)
    alpha = torch.tensor(float(hyperparameters.mixup))
    share = float(torch.distributions.Beta(alpha, alpha).sample())
    others = torch.randperm(len(outputs)).to(outputs.device)
    mixed = share * outputs + (1 - share) * outputs[others]
    own = classification_loss(mixed, targets, hyperparameters)
    return share * own + (1 - share) * classification_loss(mixed, targets[others], hyperparameters)


def supervised_contrast(states: Tensor, targets: Tensor) -> Tensor:
    """How little states `[rows, width]` lie by those of their class `[rows]`: the mean over rows with a companion.

    Khosla et al. 2020, arXiv 2004.11362: the mean of -log(exp(sᵢ·sₚ / τ) / Σ exp(sᵢ·sₐ / τ)) over the other rows p of
    the class, a being all other rows and s directions; τ = 0.1 as published. 0 where no row has a companion.
    """
    near = normalize(states.float(), dim=-1) @ normalize(states.float(), dim=-1).T / _CONTRAST_TEMPERATURE
    itself = torch.eye(len(states), dtype=torch.bool, device=states.device)
    likelihood = near.masked_fill(itself, -torch.inf).log_softmax(-1)
    companions = (targets[:, None] == targets[None]) & ~itself
    count = companions.sum(-1)
    sums = likelihood.where(companions, 0.0).sum(-1)
    return -(sums / count.clamp(min=1)).sum() / (count > 0).sum().clamp(min=1)


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
