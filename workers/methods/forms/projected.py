"""Weights that move in a random subspace: W' = W + λ·reshape(Pθ) with one vector θ [d] for all layers. Needs torch.

A projection P [entries of W, d] is drawn, never trained, and stored as its seed. Over all layers its columns have
length one and are orthogonal: exactly where it is sparse, by about 1/√(all entries) where it is of Fastfood's form.
"""

from __future__ import annotations

from math import ceil, sqrt

import torch
from torch import Tensor, nn
from torch.nn import functional

from workers.methods.forms.hadamard import hadamard
from workers.methods.forms.reweighted import Reweighted


class SparseProjection(nn.Module):
    """One sign for each row, at a random place: an entry reads one coordinate, as a hash would choose it."""

    index: Tensor
    signs: Tensor

    def __init__(self, shape: torch.Size, size: int, entries: int, draw: torch.Generator) -> None:
        super().__init__()
        self.length = sqrt(size / entries)  # each coordinate is read by entries / size entries on average
        signs = 2.0 * torch.randint(0, 2, shape, generator=draw) - 1.0
        self.register_buffer("index", torch.randint(0, size, shape, generator=draw), persistent=False)
        self.register_buffer("signs", signs, persistent=False)

    def forward(self, vector: Tensor) -> Tensor:
        """Pθ of θ [d], in the shape of the weight."""
        found: Tensor = self.length * self.signs * vector[self.index]
        return found


class FastfoodProjection(nn.Module):
    """Blocks H·G·Π·H·B one below another (Le et al. 2013; their scaling S is one, as in Aghajanyan et al. 2021).

    B are signs, Π a permutation, G normal numbers and H Hadamard's matrix, whose side is the power of two that holds d.
    An entry reads all coordinates, at a cost of entries·√d instead of entries·d numbers in memory.
    """

    signs: Tensor
    order: Tensor
    gains: Tensor

    def __init__(self, shape: torch.Size, size: int, entries: int, draw: torch.Generator) -> None:
        super().__init__()
        self.shape, side = shape, 1 << (size - 1).bit_length()
        blocks = ceil(shape.numel() / side)
        gains = functional.normalize(torch.randn(blocks, side, generator=draw), dim=1)
        self.register_buffer("signs", 2.0 * torch.randint(0, 2, (blocks, side), generator=draw) - 1.0, persistent=False)
        self.register_buffer("order", torch.rand(blocks, side, generator=draw).argsort(1), persistent=False)
        self.register_buffer("gains", gains * side / sqrt(entries), persistent=False)  # `hadamard` is over √side

    def forward(self, vector: Tensor) -> Tensor:
        """Pθ of θ [d], in the shape of the weight."""
        rows = self.signs * functional.pad(vector, (0, self.signs.shape[1] - len(vector)))
        mixed = self.gains * _transformed(rows).gather(1, self.order)
        return _transformed(mixed).flatten()[: self.shape.numel()].view(self.shape)


PROJECTIONS = {"sparse": SparseProjection, "fastfood": FastfoodProjection}


class ProjectedVector(Reweighted):
    """W' = W + λ·reshape(Pθ). λ belongs to the layer and is trained (structure-aware) or one. θ = 0 at the start."""

    def __init__(
        self, original: nn.Module, transposed: bool, vector: nn.Parameter, projection: nn.Module, layer_scale: bool
    ) -> None:
        super().__init__(original, transposed)
        self.vector, self.projection = vector, projection
        self.layer_scale = nn.Parameter(torch.ones(())) if layer_scale else None

    def weight(self) -> Tensor:
        """W' [out, in] of the equation above."""
        update: Tensor = self.projection(self.vector)
        return self.frozen() + (update if self.layer_scale is None else self.layer_scale * update)


def _transformed(rows: Tensor) -> Tensor:
    """Rows [blocks, side] times H, as H is the Kronecker product of two smaller ones."""
    side = rows.shape[1]
    wide = 1 << (side.bit_length() // 2)
    tall, across = (hadamard(one).to(rows.device, rows.dtype) for one in (side // wide, wide))
    turned: Tensor = tall @ (rows.unflatten(1, (-1, wide)) @ across)
    return turned.flatten(1)
