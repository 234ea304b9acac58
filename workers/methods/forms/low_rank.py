"""Low-rank updates that start, share or place their directions in a way of their own, each with its equation."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from workers.methods.forms.reweighted import Reweighted, uniform


class StartedLora(Reweighted):
    """W' = W + s·(BA − B₀A₀): training starts from factors that the data gave, outputs from those of the base.

    Equal to taking s·B₀A₀ out of the base weight, without changing it. B₀ [out, r] and A₀ [r, in] cannot be found again
    without the data, so they are kept with the adapter.
    """

    first_start: Tensor
    second_start: Tensor

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


class DirectionPool(nn.Module):
    """Directions that layers of one shape share out among themselves, so that their ranks differ but not their sum.

    `first` [budget, in] and `second` [budget, out] hold a row for each direction, `owner` [budget] the number of the
    layer that has it, -1 while nobody has. A free direction is in no layer's weight: it neither acts nor gets
    gradients. Rows of `second` are zero at the start, so a direction enters without effect.
    """

    owner: Tensor

    def __init__(self, members: int, budget: int, sides: tuple[int, int], draw: torch.Generator) -> None:
        super().__init__()
        inputs, outputs = sides
        self.members = members
        self.first = nn.Parameter(uniform((budget, inputs), 1 / math.sqrt(inputs), draw))
        self.second = nn.Parameter(torch.zeros(budget, outputs))
        self.register_buffer("owner", torch.full((budget,), -1))

    def ranks(self) -> Tensor:
        """How many directions each layer has [members]."""
        return torch.bincount(self.owner[self.owner >= 0], minlength=self.members)

    def directions(self, layer: int) -> Tensor:
        """Rows that a layer has, in the order in which it got them."""
        return self.owner.eq(layer).nonzero().squeeze(1)

    def give(self, layer: int) -> None:
        """Hand one free direction, if there is one, to a layer."""
        free = self.directions(-1)
        if len(free):
            self.owner[free[0]] = layer


class PooledLora(Reweighted):
    """W' = W + s·Σ b_k a_kᵀ over the directions (a_k, b_k) of the pool that layer `number` has.

    The scale s does not depend on how many these are, so that a further one changes nothing else.
    """

    def __init__(self, original: nn.Module, transposed: bool, pool: DirectionPool, number: int, scale: float) -> None:
        super().__init__(original, transposed)
        self.pool, self.number, self.scaling = pool, number, scale

    def weight(self) -> Tensor:
        """W' [out, in] of the equation above."""
        mine = self.pool.directions(self.number)
        return self.frozen() + self.scaling * self.pool.second[mine].T @ self.pool.first[mine]


class TriangularLora(Reweighted):
    """W' = W + s·(L ⊙ B₁A₁ + U ⊙ B₂A₂) with L the lower triangle of ones (diagonal included) and U = 1 − L.

    The layer's directions in the pool go to the lower and the upper pair of factors in turn. Masking makes the update's
    rank larger than the number of directions. In a weight that is not square the diagonal runs from corner to corner.
    """

    lower: Tensor

    def __init__(self, original: nn.Module, transposed: bool, pool: DirectionPool, number: int, scale: float) -> None:
        super().__init__(original, transposed)
        self.pool, self.number, self.scaling = pool, number, scale
        outputs, inputs = self.frozen().shape
        below = torch.arange(outputs)[:, None] * inputs >= torch.arange(inputs) * outputs
        self.register_buffer("lower", below.to(self.frozen().dtype), persistent=False)

    def parts(self) -> tuple[Tensor, Tensor]:
        """The lower and the upper part of the update, each [out, in]."""
        mine, pool = self.pool.directions(self.number), self.pool
        low, high = (pool.second[rows].T @ pool.first[rows] for rows in (mine[::2], mine[1::2]))
        return self.scaling * self.lower * low, self.scaling * (1 - self.lower) * high

    def weight(self) -> Tensor:
        """W' [out, in] of the equation above."""
        low, high = self.parts()
        return self.frozen() + low + high


class LoraGroup(Reweighted):
    """PEGO: ΔW = s·Σ_i B_i A_i with a group of pairs A_i [r, in], B_i [out, r]; all B_i are zero at the start."""

    def __init__(
        self, original: nn.Module, transposed: bool, groups: int, rank: int, scale: float, draw: torch.Generator
    ) -> None:
        super().__init__(original, transposed)
        outputs, inputs = self.frozen().shape
        self.first = nn.Parameter(uniform((groups, rank, inputs), 1 / math.sqrt(inputs), draw))
        self.second = nn.Parameter(torch.zeros(groups, outputs, rank))
        self.scaling = scale

    def weight(self) -> Tensor:
        """W' [out, in] of the equation above."""
        return self.frozen() + self.scaling * torch.einsum("gor,gri->oi", self.second, self.first)

    def overlap_with_base(self) -> Tensor:
        """‖WᵀΔW‖² (Frobenius): how much the update writes where the base does."""
        through = torch.einsum("on,gor->gnr", self.frozen(), self.second)  # Wᵀ B_i [in, r]
        grams = torch.einsum("gnr,hns->ghrs", through, through) * torch.einsum("gri,hsi->ghrs", self.first, self.first)
        return self.scaling**2 * grams.sum()

    def overlap_inside(self) -> Tensor:
        """Σ_{i<j} ‖A_i A_jᵀ‖² (Frobenius): how much pairs read the same inputs."""
        grams = torch.einsum("gri,hsi->ghrs", self.first, self.first).square().sum((2, 3))
        return grams.triu(1).sum()


class PlainLora(Reweighted):
    """W' = W + s·BA with A [r, in] and B [out, r], zero at the start."""

    def __init__(self, original: nn.Module, transposed: bool, rank: int, scale: float, draw: torch.Generator) -> None:
        super().__init__(original, transposed)
        outputs, inputs = self.frozen().shape
        self.first = nn.Parameter(uniform((rank, inputs), 1 / math.sqrt(inputs), draw))
        self.second = nn.Parameter(torch.zeros(outputs, rank))
        self.scaling = scale

    def weight(self) -> Tensor:
        """W' [out, in] of the equation above."""
        return self.frozen() + self.scaling * self.second @ self.first


class MaskedLora(Reweighted):
    """W' = M ⊙ (W + s·BA) with a frozen mask M of zeros and ones: what is pruned stays zero, merged or not."""

    mask: Tensor

    def __init__(
        self,
        original: nn.Module,
        transposed: bool,
        mask: Tensor,
        rank: int,
        scale: float,
        draw: torch.Generator,
    ) -> None:
        super().__init__(original, transposed)
        outputs, inputs = self.frozen().shape
        self.register_buffer("mask", mask, persistent=False)
        self.first = nn.Parameter(uniform((rank, inputs), 1 / math.sqrt(inputs), draw))
        self.second = nn.Parameter(torch.zeros(outputs, rank))
        self.scaling = scale

    def weight(self) -> Tensor:
        """W' [out, in] of the equation above."""
        return self.mask * (self.frozen() + self.scaling * self.second @ self.first)
