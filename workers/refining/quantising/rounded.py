"""Weights that are rounded while they are fitted. Needs torch."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from workers.methods.forms.quantised import Quantised

Numbers = tuple[Tensor, Tensor]
_SEARCHED = (0.35, 1.05)  # shares of the step that just holds a group's largest weight


class Rounded(Quantised):
    """W' = s·clip(round(W/s)) with W [out, in] and the steps s free to be trained, gradients going straight through.

    It starts as rounding to nearest does: with steps that just hold the largest weight of each group.
    """

    def __init__(self, original: nn.Module, transposed: bool, bits: int, group: int) -> None:
        super().__init__(original, transposed, bits, group)
        self.free = nn.Parameter(self.frozen().detach().clone())
        largest = self.grouped(self.free.detach()).abs().amax(1).clamp_min(1e-8)
        self.log_steps = nn.Parameter((largest / self.top).log())

    def whole(self) -> Tensor:
        """q [out, in] of the equation above."""
        ratio = (self.grouped(self.free) / self.steps()).clamp(-self.top - 1, self.top)
        return (ratio.round().detach() + (ratio - ratio.detach())).reshape(self.free.shape)

    @torch.no_grad()
    def numbers(self) -> Numbers:
        """Whole numbers int8 [out, in] and the logarithms of the steps [groups], as they are now."""
        return self.whole().round().to(torch.int8), self.log_steps.detach().clone()

    @torch.no_grad()
    def search_steps(self, moments: Tensor, candidates: int) -> None:
        """Of `candidates` steps take for each group the one whose error harms the layer's outputs least.

        `moments` [in, in] is H = Σ_t c_t x_t x_tᵀ over tokens, c how much the loss cares for what the block makes of
        each: a group with the error e [group] costs eᵀHe, as if the other groups were as they were.
        """
        weight, size = self.grouped(self.free), self.group
        count = moments.shape[0] // size
        blocks = torch.stack([moments[n : n + size, n : n + size] for n in range(0, count * size, size)])
        widest = (weight.abs().amax(1, keepdim=True) / self.top).clamp_min(1e-8)
        best, least = widest, torch.full_like(widest, torch.inf)
        for share in torch.linspace(*_SEARCHED, candidates).tolist():
            steps = share * widest
            error = (steps * (weight / steps).round().clamp(-self.top - 1, self.top) - weight).view(-1, count, size)
            through = torch.einsum("ogi,gij->ogj", error, blocks)
            cost = (through * error).sum(-1).reshape(-1, 1)
            best, least = torch.where(cost < least, steps, best), torch.minimum(cost, least)
        self.log_steps.copy_(best.squeeze(1).log())
