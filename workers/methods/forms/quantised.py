"""Weights on a grid: whole numbers times a trained step for each group of inputs. Needs torch.

A step is trained as its logarithm. It stays positive whatever the optimizer does; and since AdamW moves every parameter
by about its rate, a rate here is the *share* by which a step changes. That is what LSQ's gradient scale 1/√(n·Q_p) is
for under plain gradient descent (steps should move in proportion to weights); AdamW cancels any such factor. A vector
of logarithms is never decayed: a decay would pull all steps towards 1.
"""

from __future__ import annotations

import math
from abc import abstractmethod

import torch
from torch import Tensor, nn

from workers.methods.forms.reweighted import Reweighted, uniform

_SMALLEST_STEP = 1e-8  # of a group that is all zeros
_SHARES = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4)


class Quantised(Reweighted):
    """W' = s·q with whole q in [−2^(bits−1), 2^(bits−1) − 1] and a step s for each `group` consecutive inputs of a row.

    `log_steps` [out · in / group] holds log s. It starts where rounding the frozen weight does least harm.
    """

    def __init__(self, original: nn.Module, transposed: bool, bits: int, group: int) -> None:
        super().__init__(original, transposed)
        self.top, self.group, self.bits = 2 ** (bits - 1) - 1, group, bits
        self.log_steps = nn.Parameter(least_error_steps(self.grouped(self.frozen().detach()), self.top).log())

    @abstractmethod
    def whole(self) -> Tensor:
        """The whole numbers q [out, in], as floating point numbers that may carry gradients."""

    def steps(self) -> Tensor:
        """The steps s [groups, 1], in the order of the weight's entries."""
        return self.log_steps.exp()[:, None]

    def grouped(self, weight: Tensor) -> Tensor:
        """A weight [out, in] as [groups, group]."""
        return weight.reshape(-1, self.group)

    def weight(self) -> Tensor:
        """W' [out, in] of the equation above."""
        whole = self.whole()
        return (self.steps() * self.grouped(whole)).reshape(whole.shape)

    def served_bytes(self) -> float:
        """Bytes of the whole numbers, packed, and of the steps in half precision."""
        return self.original.get_parameter("weight").numel() * self.bits / 8 + 2.0 * self.log_steps.numel()

    @torch.no_grad()
    def integers(self) -> dict[str, Tensor]:
        """What a runtime of integers needs: `integers` int8 [out, in] and `steps` [out, in / group].

        Their product, step by group, is `weight()` to the last bit.
        """
        whole = self.whole()
        return {"integers": whole.round().to(torch.int8), "steps": self.steps().reshape(len(whole), -1)}


class TrainedSteps(Quantised):
    """E2E-QP: W' = s·q with q frozen after rounding W/s₀, and s trained.

    The whole numbers are kept with the adapter: found again from a base in half precision, some would be others.
    """

    fixed: Tensor

    def __init__(self, original: nn.Module, transposed: bool, bits: int, group: int) -> None:
        super().__init__(original, transposed, bits, group)
        weight = self.frozen().detach()
        ratio = self.grouped(weight) / self.steps().detach()
        fixed = ratio.round().clamp(-self.top - 1, self.top).reshape(weight.shape)
        self.register_buffer("fixed", fixed.to(torch.int8))

    def whole(self) -> Tensor:
        """q [out, in], the same all through the training."""
        return self.fixed.to(self.log_steps.dtype)


class QuantisedLora(Quantised):
    """L4Q: q = clip(round((W + α/r·BA)/s)), trained through the rounding; A, B and s.

    Rounding passes gradients straight through, clipping stops those of the weight, as in LSQ.
    """

    def __init__(
        self,
        original: nn.Module,
        transposed: bool,
        rank: int,
        scale: float,
        bits: int,
        group: int,
        draw: torch.Generator,
    ) -> None:
        super().__init__(original, transposed, bits, group)
        outputs, inputs = self.frozen().shape
        self.first = nn.Parameter(uniform((rank, inputs), 1 / math.sqrt(inputs), draw))
        self.second = nn.Parameter(torch.zeros(outputs, rank))
        self.scaling = scale

    def whole(self) -> Tensor:
        """q [out, in] of the equation above."""
        full = self.frozen() + self.scaling * self.second @ self.first
        ratio = (self.grouped(full) / self.steps()).clamp(-self.top - 1, self.top)
        # The sum of a ratio and its distance to a whole number misses that number in the last bit: add what is exact.
        return (ratio.round().detach() + (ratio - ratio.detach())).reshape(full.shape)


@torch.no_grad()
def least_error_steps(weight: Tensor, top: int) -> Tensor:
    """Steps [groups] for weights [groups, group] on the whole numbers from −top − 1 to `top`.

    Clipping the largest weights makes room for the others: of several steps up to the one that just holds the largest
    weight, each group takes the one with the least squared error, so none is worse off than by plain rounding.
    """
    widest = (weight.abs().amax(1, keepdim=True) / top).clamp_min(_SMALLEST_STEP)
    best, least = widest, torch.full_like(widest, math.inf)
    for share in _SHARES:
        steps = share * widest
        rounded = steps * (weight / steps).round_().clamp_(-top - 1, top)
        error = rounded.sub_(weight).square_().sum(1, keepdim=True)
        best, least = torch.where(error < least, steps, best), torch.minimum(error, least)
    return best.squeeze(1)
