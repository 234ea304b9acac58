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
    """Sums over pairs and tokens, of scores `[rows, tokens, 4]` of rows that alternate between chosen and rejected.

    The loss is that of the default β, so that trials which differ in theirs can be compared; rewards likewise are
    nats, not multiplied by β.
    """

    def __init__(self, loss: Callable[[Ratios, Hyperparameters], Tensor]) -> None:
        self._loss = loss
        self._sums = torch.zeros(7, dtype=torch.float64)  # pairs, right, margin, likelihood, loss; tokens, divergence

    def add(self, outputs: Tensor, targets: Tensor) -> None:
        """Take in scores and the tokens that were wanted `[rows, tokens]`, or `IGNORED`."""
        ratios, counted = Ratios.of(outputs.double(), targets), targets != IGNORED
        margin = ratios.margin
        ahead = (outputs[..., LIKELIHOOD] - outputs[..., FROZEN])[counted].double().clamp(max=_MOST)  # log π₀/π
        parts = [
            torch.tensor(float(len(margin)), device=outputs.device),
            (margin > 0).sum() + 0.5 * (margin == 0).sum(),
            margin.sum(),
            ratios.likelihoods[0].sum(),
            self._loss(ratios, Hyperparameters()).sum(),
            counted.sum(),
            (ahead.exp() - 1 - ahead).sum(),
        ]
        self._sums = self._sums.to(outputs.device) + torch.stack([part.double() for part in parts])

    def merge(self, other: Self) -> None:
        """Take in the rows of another part."""
        self._sums = self._sums.cpu() + other._sums.cpu()

    def result(self) -> dict[str, float]:
        """The metrics of all pairs."""
        pairs, right, margin, likelihood, loss, tokens, divergence = self._sums.tolist()
        return {
            "reward_accuracy": right / pairs,
            "reward_margin": margin / pairs,
            "kl": divergence / tokens,
            "chosen_logp": likelihood / pairs,
            "loss": loss / pairs,
        }
