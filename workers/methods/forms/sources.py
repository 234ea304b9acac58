"""Frozen low-rank updates of several stored adapters side by side, and what is trained to put them together."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from workers.methods.forms.reweighted import Reweighted, in_float32, uniform

Sizes = tuple[int, int, int, int]
"""Sources, largest rank, inputs, outputs."""


def hold_factors(module: nn.Module, sizes: Sizes) -> None:
    """Give a module A_s [sources, r, in] and B_s [sources, out, r], padded with zeros, which an export holds."""
    sources, rank, inputs, outputs = sizes
    module.register_buffer("first", torch.zeros(sources, rank, inputs))
    module.register_buffer("second", torch.zeros(sources, outputs, rank))


class ScaledSources(Reweighted):
    """ScaLearn: W' = W + Σ_s diag(ω_s) B_s A_s with trained ω [sources] or [sources, out]; ω = 1 / sources at first."""

    first: Tensor
    second: Tensor

    def __init__(self, original: nn.Module, transposed: bool, sizes: Sizes, omega: nn.Parameter | None) -> None:
        super().__init__(original, transposed)
        hold_factors(self, sizes)
        self.omega = omega

    def weight(self) -> Tensor:
        """W' [out, in] of the equation above."""
        sources = len(self.first)
        scales = self.second.new_full((sources, 1), 1 / sources) if self.omega is None else self.omega
        scaled = scales.reshape(sources, -1, 1) * self.second
        return self.frozen() + scaled.transpose(0, 1).flatten(1) @ self.first.flatten(0, 1)


class StackedSources(Reweighted):
    """W' = W + Σ_s B_s A_s + BA with trained A `down` [r, in] and B `up` [out, r], which is zero at first."""

    first: Tensor
    second: Tensor

    def __init__(
        self, original: nn.Module, transposed: bool, sizes: Sizes, own_rank: int, draw: torch.Generator
    ) -> None:
        super().__init__(original, transposed)
        hold_factors(self, sizes)
        _, _, inputs, outputs = sizes
        self.down = nn.Parameter(uniform((own_rank, inputs), 1 / math.sqrt(inputs), draw))
        self.up = nn.Parameter(torch.zeros(outputs, own_rank))

    def weight(self) -> Tensor:
        """W' [out, in] of the equation above."""
        under = self.second.transpose(0, 1).flatten(1) @ self.first.flatten(0, 1)
        return self.frozen() + under + self.up @ self.down


class GatedSources(nn.Module):
    """y = Wx + b + Σ_s g_s(x) B_s A_s x with g = softmax(Rx + c), or softmax(c) where the gate reads no input.

    R [sources, in] and c [sources] are zero at first: all sources count alike.
    """

    first: Tensor
    second: Tensor

    def __init__(self, original: nn.Module, sizes: Sizes, reads: bool) -> None:
        super().__init__()
        self.original = original
        hold_factors(self, sizes)
        self.read = nn.Parameter(torch.zeros(sizes[0], sizes[2])) if reads else None
        self.lean = nn.Parameter(torch.zeros(sizes[0]))

    def gates(self, seen: Tensor) -> Tensor:
        """Weights [..., sources] for inputs [..., in]."""
        if self.read is None:
            return self.lean.softmax(-1).expand(*seen.shape[:-1], -1)
        return linear(seen, self.read, self.lean).softmax(-1)

    def forward(self, inputs: Tensor) -> Tensor:
        """Inputs [..., in] to outputs [..., out]."""
        seen = in_float32(inputs)
        narrow = linear(seen, self.first.flatten(0, 1)).unflatten(-1, self.first.shape[:2])  # [..., sources, r]
        narrow = (narrow * self.gates(seen)[..., None]).flatten(-2)
        update = narrow @ self.second.transpose(1, 2).flatten(0, 1)
        return self.original(inputs) + update.to(inputs.dtype)  # type: ignore[no-any-return]
