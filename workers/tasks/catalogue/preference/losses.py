"""Losses of direct preference optimisation as TRL's `DPOTrainer` has them, and ORPO's, from scores of both sides.

Needs torch.

δ = log π(chosen)/π₀(chosen) − log π(rejected)/π₀(rejected), π the model in training and π₀ the untouched base.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from workers.hyperparameters import Hyperparameters
from workers.models.token_scores import LIKELIHOOD
from workers.tasks.criterion import FROZEN, IGNORED


@dataclass(frozen=True)
class Ratios:
    """What scores `[rows, tokens, …]` of rows in turn, chosen, rejected (and mismatched), say of each pair `[pairs]`.

    Attributes:
        chosen, rejected: log π/π₀ of the whole answer, in nats.
        mismatched: the same of another pair's answer to the prompt, where the loss asks for it.
        likelihoods: log π of the chosen and of the rejected answer, in nats.
        tokens: of the chosen and of the rejected answer.
    """

    chosen: Tensor
    rejected: Tensor
    likelihoods: tuple[Tensor, Tensor]
    tokens: tuple[Tensor, Tensor]
    mismatched: Tensor | None = None

    @classmethod
    def of(cls, outputs: Tensor, targets: Tensor, together: int = 2) -> Ratios:
        """From scores that may lack those of the base: then the model is the base, as before its first step."""
        own = -outputs[..., LIKELIHOOD].sum(-1)
        base = -outputs[..., FROZEN].sum(-1) if outputs.shape[-1] > FROZEN else own.detach()
        counts = (targets != IGNORED).sum(-1).clamp(min=1).to(own.dtype)
        ratio = own - base
        first, second = slice(0, None, together), slice(1, None, together)
        return cls(
            ratio[first],
            ratio[second],
            (own[first], own[second]),
            (counts[first], counts[second]),
            ratio[2::together] if together > 2 else None,
        )

    @classmethod
    def joined(cls, parts: Sequence[Ratios]) -> Ratios:
        """The pairs of several batches."""

        def all_of(read: Callable[[Ratios], Tensor]) -> Tensor:
            return torch.cat([read(part).cpu() for part in parts])

        return cls(
            all_of(lambda part: part.chosen),
            all_of(lambda part: part.rejected),
            (all_of(lambda part: part.likelihoods[0]), all_of(lambda part: part.likelihoods[1])),
            (all_of(lambda part: part.tokens[0]), all_of(lambda part: part.tokens[1])),
            None if parts[0].mismatched is None else torch.cat([_mismatched(part).cpu() for part in parts]),
        )

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


def kto_loss(ratios: Ratios, hyperparameters: Hyperparameters) -> Tensor:
    """The mean of 1 − σ(β(r − z)) of the chosen and 1 − σ(β(z − r)) of the rejected answer, r their log-ratios.

    Ethayarajh et al. 2024, arXiv 2402.01306, as TRL's `KTOTrainer` has it: z is the mean log-ratio over a batch of
    answers to other prompts, 0 at least, and has no gradient. A pair gives one that is wanted and one that is not.
    """
    beta, shift = hyperparameters.dpo_beta, _mismatched(ratios).mean().clamp(min=0).detach()
    wanted = 1 - torch.sigmoid(beta * (ratios.chosen - shift))
    unwanted = 1 - torch.sigmoid(beta * (shift - ratios.rejected))
    return (wanted + unwanted) / 2


def _mismatched(ratios: Ratios) -> Tensor:
    assert ratios.mismatched is not None, "rows of KTO come in threes"
    return ratios.mismatched


def _log_odds(logarithm: Tensor) -> Tensor:
    """log p/(1 − p) of log p; of what is certain to the last digit, that of the largest p below."""
    below = logarithm.clamp(max=-torch.finfo(logarithm.dtype).eps)
    return below - torch.log(-torch.expm1(below))


LOSSES = {"sigmoid": sigmoid_loss, "hinge": hinge_loss, "ipo": ipo_loss, "orpo": orpo_loss, "kto": kto_loss}
