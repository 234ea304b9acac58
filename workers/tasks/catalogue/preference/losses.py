"""Losses of direct preference optimisation as TRL's `DPOTrainer` has them, and ORPO's, from scores of both sides.

Needs torch.

δ = log π(chosen)/π₀(chosen) − log π(rejected)/π₀(rejected), π the model in training and π₀ the untouched base.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from workers.hyperparameters import Hyperparameters
from workers.models.token_scores import LIKELIHOOD
from workers.tasks.criterion import FROZEN, IGNORED


@dataclass(frozen=True)
class Ratios:
    """What scores `[rows, tokens, …]` of rows that alternate between chosen and rejected say of each pair `[pairs]`.

    Attributes:
        chosen, rejected: log π/π₀ of the whole answer, in nats.
        likelihoods: log π of the chosen and of the rejected answer, in nats.
        tokens: of the chosen and of the rejected answer.
    """

    chosen: Tensor
    rejected: Tensor
    likelihoods: tuple[Tensor, Tensor]
    tokens: tuple[Tensor, Tensor]

    @classmethod
    def of(cls, outputs: Tensor, targets: Tensor) -> Ratios:
        """From scores that may lack those of the base: then the model is the base, as before its first step."""
        own = -outputs[..., LIKELIHOOD].sum(-1)
        base = -outputs[..., FROZEN].sum(-1) if outputs.shape[-1] > FROZEN else own.detach()
        counts = (targets != IGNORED).sum(-1).clamp(min=1).to(own.dtype)
        ratio = own - base
        return cls(ratio[0::2], ratio[1::2], (own[0::2], own[1::2]), (counts[0::2], counts[1::2]))

    @property
    def margin(self) -> Tensor:
        """δ `[pairs]`, in nats."""
        return self.chosen - self.rejected


def sigmoid_loss(ratios: Ratios, hyperparameters: Hyperparameters) -> Tensor:
    """−log σ(βδ) (Rafailov et al. 2023, arXiv 2305.18290); a share of pairs may be labelled wrongly (cDPO)."""
    reward, wrong = hyperparameters.dpo_beta * ratios.margin, hyperparameters.label_smoothing
    return -(1 - wrong) * logsigmoid(reward) - wrong * logsigmoid(-reward)


def hinge_loss(ratios: Ratios, hyperparameters: Hyperparameters) -> Tensor:
    """max(0, 1 − βδ) (SLiC, Zhao et al. 2023, arXiv 2305.10425)."""
    return (1 - hyperparameters.dpo_beta * ratios.margin).relu()


def ipo_loss(ratios: Ratios, hyperparameters: Hyperparameters) -> Tensor:
    """(δ − 1/2β)², δ of means over tokens (Azar et al. 2023, arXiv 2310.12036; the means by word of its authors)."""
    chosen, rejected = ratios.tokens
    return (ratios.chosen / chosen - ratios.rejected / rejected - 1 / (2 * hyperparameters.dpo_beta)).square()


def orpo_loss(ratios: Ratios, hyperparameters: Hyperparameters) -> Tensor:
    """−log p(chosen) − β log σ(log odds of chosen − log odds of rejected), p the mean probability of a token.

    Hong et al. 2024, arXiv 2403.07691, whose λ is β here, as in TRL. There is no base in it: what keeps the model is
    the first term, supervised fine-tuning on the chosen answer (TRL's counts the prompt's tokens there, too).
    """
    chosen, rejected = (one / tokens for one, tokens in zip(ratios.likelihoods, ratios.tokens, strict=True))
    return -chosen - hyperparameters.dpo_beta * logsigmoid(_log_odds(chosen) - _log_odds(rejected))


def _log_odds(logarithm: Tensor) -> Tensor:
    """log p/(1 − p) of log p; of what is certain to the last digit, that of the largest p below."""
    below = logarithm.clamp(max=-torch.finfo(logarithm.dtype).eps)
    return below - torch.log(-torch.expm1(below))


LOSSES = {"sigmoid": sigmoid_loss, "hinge": hinge_loss, "ipo": ipo_loss, "orpo": orpo_loss}
