"""Pruned weights with an update that was learnt before and is kept as it is. Needs torch."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from workers.methods.forms.reweighted import Reweighted, in_float32


class PrunedLayer(Reweighted):
    """W' = M ⊙ (W + BA) with a frozen mask M and a frozen update; with `bias` the base's bias trains on.

    A [rank, in] and B [out, rank] are zero until a winner's are put in; the export keeps them.
    """

    mask: Tensor
    first: Tensor
    second: Tensor

    def __init__(self, original: nn.Module, transposed: bool, mask: Tensor, rank: int, bias: bool) -> None:
        super().__init__(original, transposed)
        outputs, inputs = self.frozen().shape
        self.register_buffer("mask", mask, persistent=False)
        self.register_buffer("first", torch.zeros(rank, inputs))
        self.register_buffer("second", torch.zeros(outputs, rank))
        before = original._parameters.get("bias") if bias else None
        self.retrained = None if before is None else nn.Parameter(in_float32(before.detach()).clone())

    def weight(self) -> Tensor:
        """W' [out, in] of the equation above."""
        return self.mask * (self.frozen() + self.second @ self.first)

    def bias(self) -> Tensor | None:
        """The trained bias [out], or the base's."""
        return self.frozen_bias() if self.retrained is None else self.retrained
