"""How well a model prefers what people chose. Needs torch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Self

import torch
from torch import Tensor

from workers.hyperparameters import Hyperparameters
from workers.models.token_scores import LIKELIHOOD
from workers.tasks.catalogue.preference.losses import Ratios
from workers.tasks.criterion import FROZEN, IGNORED

_MOST = 50.0  # nats of one token beyond which e to their power says nothing more


class PreferenceMeasure:
    """Sums over pairs and tokens, of scores `[rows, tokens, 4]` of chosen and rejected rows in turn, and what a loss
    needs of each pair, as it may compare pairs with each other.

    The loss is that of the default β, so that trials which differ in theirs can be compared; rewards likewise are
    nats, not multiplied by β.
    """

    def __init__(self, loss: Callable[[Ratios, Hyperparameters], Tensor], together: int = 2) -> None:
        self._loss, self._together = loss, together
        self._sums = torch.zeros(6, dtype=torch.float64)  # pairs, right, margin, likelihood; tokens, divergence
        self._pairs: list[Ratios] = []

    def add(self, outputs: Tensor, targets: Tensor) -> None:
        """Take in scores and the tokens that were wanted `[rows, tokens]`, or `IGNORED`."""
        ratios = Ratios.of(outputs.double(), targets, self._together)
        place = torch.arange(len(targets), device=targets.device) % self._together
        counted = (targets != IGNORED) & (place < 2)[:, None]
        margin = ratios.margin
        ahead = (outputs[..., LIKELIHOOD] - outputs[..., FROZEN])[counted].double().clamp(max=_MOST)  # log π₀/π
        parts = [
            torch.tensor(float(len(margin)), device=outputs.device),
            (margin > 0).sum() + 0.5 * (margin == 0).sum(),
            margin.sum(),
            ratios.likelihoods[0].sum(),
            counted.sum(),
            (ahead.exp() - 1 - ahead).sum(),
        ]
        self._pairs.append(ratios)
        self._sums = self._sums.to(outputs.device) + torch.stack([part.double() for part in parts])

    def merge(self, other: Self) -> None:
        """Take in the rows of another part."""
        self._sums = self._sums.cpu() + other._sums.cpu()
        self._pairs += other._pairs

    def result(self) -> dict[str, float]:
        """The metrics of all pairs."""
        pairs, right, margin, likelihood, tokens, divergence = self._sums.tolist()
        loss = float(self._loss(Ratios.joined(self._pairs), Hyperparameters()).sum())
        return {
            "reward_accuracy": right / pairs,
            "reward_margin": margin / pairs,
            "kl": divergence / tokens,
            "chosen_logp": likelihood / pairs,
            "loss": loss / pairs,
        }
