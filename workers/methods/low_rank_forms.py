"""Low-rank updates that start, share or place their directions in a way of their own, each with its equation."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from workers.methods.reweighted import Reweighted, uniform


class StartedLora(Reweighted):
    """W' = W + s·(BA − B₀A₀): training starts from factors that the data gave, outputs from those of the base.

    Equal to taking s·B₀A₀ out of the base weight, without changing it. B₀ [out, r] and A₀ [r, in] cannot be found again
    without the data, so they are kept with the adapter.
    """

    def __init__(self, original: nn.Module, transposed: bool, rank: int, scale: float, draw: torch.Generator) -> None:
        super().__init__(original, transposed)
        outputs, inputs = self.frozen().shape
        self.first = nn.Parameter(uniform((rank, inputs), 1 / math.sqrt(inputs), draw))
        self.second = nn.Parameter(torch.zeros(outputs, rank))
        self.register_buffer("first_start", self.first.detach().clone())
        self.register_buffer("second_start", self.second.detach().clone())
        self.scaling = scale

    @torch.no_grad()
    def start_from(self, first: Tensor, second: Tensor) -> None:
        """Begin with A₀ [r, in] and B₀ [out, r]."""
        for mine, start in ((self.first, first), (self.second, second)):
            mine.copy_(start)
        self.first_start.copy_(first)
        self.second_start.copy_(second)

    def weight(self) -> Tensor:
        """W' [out, in] of the equation above."""
        return self.frozen() + self.scaling * (self.second @ self.first - self.second_start @ self.first_start)
