"""Layers without some of their rows or columns, and what is added to the rest. Needs torch."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from workers.methods.forms.reweighted import Reweighted, uniform


class SmallerLayer(Reweighted):
    """DSEE: W' = M ⊙ W[rows, columns] + UV + S with trained U [out', r], V [r, in'] and N trained entries of S.

    M keeps a share of the largest weights that are left. An export holds which rows and columns are kept and where the
    entries of S are; U and the entries are zero at first.
    """

    rows: Tensor
    columns: Tensor
    places: Tensor

    def __init__(
        self,
        original: nn.Module,
        transposed: bool,
        kept: tuple[int, int],
        sparsity: float,
        rank: int,
        entries: int,
        draw: torch.Generator,
    ) -> None:
        super().__init__(original, transposed)
        outputs, inputs = kept
        self.sparsity = sparsity
        self.register_buffer("rows", torch.arange(outputs))
        self.register_buffer("columns", torch.arange(inputs))
        self.register_buffer("places", torch.arange(min(entries, outputs * inputs)))
        self.first = nn.Parameter(uniform((rank, inputs), 1 / math.sqrt(inputs), draw))
        self.second = nn.Parameter(torch.zeros(outputs, rank))
        self.values = nn.Parameter(torch.zeros(len(self.places)))
        self._left: tuple[tuple[int, int], Tensor] | None = None
        self._served: tuple[list[int], Tensor] | None = None

    def left(self) -> Tensor:
        """M ⊙ W[rows, columns], which is computed anew when other rows or columns are kept."""
        version = self.rows._version, self.columns._version
        if self._left is None or self._left[0] != version:
            weight = self.frozen().detach()[self.rows][:, self.columns]
            pruned = weight.abs().flatten().topk(round(self.sparsity * weight.numel()), largest=False).indices
            self._left = version, weight.flatten().index_fill(0, pruned, 0.0).view_as(weight)
        return self._left[1]

    def weight(self) -> Tensor:
        """W' [out', in'] of the equation above."""
        left = self.left()
        sparse = left.new_zeros(left.numel()).index_put((self.places,), self.values)
        return left + self.second @ self.first + sparse.view_as(left)

    def bias(self) -> Tensor | None:
        """The biases [out'] of the rows that are kept."""
        own = self.frozen_bias()
        return None if own is None else own[self.rows]

    def forward(self, inputs: Tensor) -> Tensor:
        """Inputs [..., in'] to outputs [..., out']; outside of training the weight is put together once."""
        if self.training or torch.is_grad_enabled():
            self._served = None
            return super().forward(inputs)
        state = (self.rows, self.columns, self.places, self.first, self.second, self.values)
        versions = [value._version for value in state]
        if self._served is None or self._served[0] != versions:
            self._served = versions, self.weight()
        bias = self.bias()
        return linear(inputs, self._served[1].to(inputs.dtype), None if bias is None else bias.to(inputs.dtype))

    def served_bytes(self) -> float:
        """Bytes of the smaller weight in half precision; zeros take room, too."""
        return 2.0 * len(self.rows) * len(self.columns)
