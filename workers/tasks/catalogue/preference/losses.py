"""Losses of direct preference optimisation as TRL's `DPOTrainer` has them, from scores of both sides. Needs torch.

δ = log π(chosen)/π₀(chosen) − log π(rejected)/π₀(rejected), π the model in training and π₀ the untouched base.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import Tensor
from torch.nn.functional import logsigmoid

from workers.hyperparameters import Hyperparameters
from workers.models.token_scores import LIKELIHOOD
from workers.tasks.criterion import FROZEN, IGNORED

LossType = Literal["sigmoid", "ipo", "hinge"]


@dataclass(frozen=True)
class Ratios:
    """What scores `[rows, tokens, …]` of rows that alternate between chosen and rejected say of each pair `[pairs]`.

    Attributes:
        chosen, rejected: log π/π₀ of the whole answer, in nats.
        likelihood: log π of the chosen answer, in nats.
        tokens: of the chosen and of the rejected answer.
    """

    chosen: Tensor
    rejected: Tensor
    likelihood: Tensor
    tokens: tuple[Tensor, Tensor]

    @classmethod
    def of(cls, outputs: Tensor, targets: Tensor) -> Ratios:
        """From scores that may lack those of the base: then the model is the base, as before its first step."""
        own = -outputs[..., LIKELIHOOD].sum(-1)
        base = -outputs[..., FROZEN].sum(-1) if outputs.shape[-1] > FROZEN else own.detach()
        counts = (targets != IGNORED).sum(-1).clamp(min=1).to(own.dtype)
        ratio = own - base
        return cls(ratio[0::2], ratio[1::2], own[0::2], (counts[0::2], counts[1::2]))

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


LOSSES = {"sigmoid": sigmoid_loss, "hinge": hinge_loss, "ipo": ipo_loss}
