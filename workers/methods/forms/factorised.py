"""A layer whose weight is a product of two thin matrices. Needs torch."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from workers.methods.forms.reweighted import Reweighted


class Factorised(Reweighted):
    """W' = UV with trained U [out, r] and V [r, in], at first the nearest ones to W; y = U(Vx) + b."""

    def __init__(self, original: nn.Module, transposed: bool, rank: int) -> None:
        super().__init__(original, transposed)
        second, first = nearest_factors(self.frozen().detach(), rank)
        self.first, self.second = nn.Parameter(first), nn.Parameter(second)

    def weight(self) -> Tensor:
        """W' [out, in] of the equation above."""
        return self.second @ self.first

    def multiplied(self) -> int:
        """Entries of the factors."""
        return self.first.numel() + self.second.numel()

    def served_bytes(self) -> float:
        """Bytes of the factors in half precision."""
        return 2.0 * self.multiplied()

    def forward(self, inputs: Tensor) -> Tensor:
        """Inputs [..., in] to outputs [..., out], through the thin middle."""
        bias = self.bias()
        narrow = linear(inputs, self.first.to(inputs.dtype))
        return linear(narrow, self.second.to(inputs.dtype), None if bias is None else bias.to(inputs.dtype))


@torch.no_grad()
def nearest_factors(weight: Tensor, rank: int) -> tuple[Tensor, Tensor]:
    """U [out, r] and V [r, in] whose product is nearest to a weight [out, in], both of the same size."""
    left, values, right = torch.linalg.svd(weight, full_matrices=False)
    root = values[:rank].sqrt()
    return (left[:, :rank] * root).contiguous(), (root[:, None] * right[:rank]).contiguous()
