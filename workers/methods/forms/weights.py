"""The adapted weights of our own reparametrisations, each with its equation. Needs torch."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from workers.methods.forms.reweighted import Reweighted, uniform


class ScaledShifted(Reweighted):
    """SSF: y = γ ⊙ (Wx + b) + β, so W' = diag(γ)W and b' = γ ⊙ b + β; γ = 1, β = 0 at the start."""

    def __init__(self, original: nn.Module, transposed: bool) -> None:
        super().__init__(original, transposed)
        outputs = self.frozen().shape[0]
        self.scale, self.shift = nn.Parameter(torch.ones(outputs)), nn.Parameter(torch.zeros(outputs))

    def weight(self) -> Tensor:
        """W' [out, in] of the equation above."""
        return self.scale[:, None] * self.frozen()

    def bias(self) -> Tensor:
        """b' [out] of the equation above."""
        own = self.frozen_bias()
        return self.shift if own is None else self.scale * own + self.shift


class FirstRows(Reweighted):
    """W' = [R; W₂]: the first rows R [k, in] of W are trained, the others W₂ are not."""

    def __init__(self, original: nn.Module, transposed: bool, count: int) -> None:
        super().__init__(original, transposed)
        self.rows = nn.Parameter(self.frozen()[:count].detach().clone())

    def weight(self) -> Tensor:
        """W' [out, in] of the equation above."""
        return torch.cat([self.rows, self.frozen()[len(self.rows) :]])


class SingularValues(Reweighted):
    """SVFit: W' = W + U_r diag(σ − σ₀) V_rᵀ with the top r singular triplets of W; σ = σ₀ at the start."""

    left: Tensor
    right: Tensor
    start: Tensor

    def __init__(self, original: nn.Module, transposed: bool, rank: int) -> None:
        super().__init__(original, transposed)
        left, values, right = torch.linalg.svd(self.frozen().detach(), full_matrices=False)
        self.register_buffer("left", left[:, :rank].contiguous(), persistent=False)
        self.register_buffer("right", right[:rank].contiguous(), persistent=False)
        self.register_buffer("start", values[:rank].clone(), persistent=False)
        self.values = nn.Parameter(values[:rank].clone())

    def weight(self) -> Tensor:
        """W' [out, in] of the equation above."""
        return self.frozen() + (self.left * (self.values - self.start)) @ self.right


class DiagonalOfLDU(Reweighted):
    """LoLDU: W = P·L·D·U; W' = W + P·L_r (σ·diag(z) − σ₀·diag(z₀)) U_r with the first r of the diagonal trained."""

    left: Tensor
    right: Tensor
    start: Tensor

    def __init__(self, original: nn.Module, transposed: bool, rank: int, scale: float) -> None:
        super().__init__(original, transposed)
        permutation, lower, upper = torch.linalg.lu(self.frozen().detach())
        diagonal = upper.diagonal()[:rank]
        # A pivot near zero would blow its row up; such a direction is left as it is, scaled by the trained entry.
        safe = torch.where(diagonal.abs() < 1e-6, torch.ones_like(diagonal), diagonal)
        self.register_buffer("left", (permutation @ lower)[:, :rank].contiguous(), persistent=False)
        self.register_buffer("right", (upper[:rank] / safe[:, None]).contiguous(), persistent=False)
        self.register_buffer("start", scale * safe, persistent=False)
        self.diagonal, self.scale = nn.Parameter(safe.clone()), nn.Parameter(torch.tensor(scale))

    def weight(self) -> Tensor:
        """W' [out, in] of the equation above."""
        return self.frozen() + (self.left * (self.scale * self.diagonal - self.start)) @ self.right


class RandomBasisLora(Reweighted):
    """NOLA: ΔW = s·(Σ_j β_j B_j)(Σ_i α_i A_i) with frozen random A_i [r, in], B_j [out, r]; β = 0 at the start."""

    first: Tensor
    second: Tensor

    def __init__(
        self, original: nn.Module, transposed: bool, first: Tensor, second: Tensor, scale: float, draw: torch.Generator
    ) -> None:
        super().__init__(original, transposed)
        self.register_buffer("first", first, persistent=False)
        self.register_buffer("second", second, persistent=False)
        self.scaling = scale
        self.alpha = nn.Parameter(uniform((len(first),), 1 / math.sqrt(len(first)), draw))
        self.beta = nn.Parameter(torch.zeros(len(second)))

    def weight(self) -> Tensor:
        """W' [out, in] of the equation above."""
        narrow = torch.einsum("i,irn->rn", self.alpha, self.first)
        wide = torch.einsum("j,jmr->mr", self.beta, self.second)
        return self.frozen() + self.scaling * wide @ narrow


class NestedLora(Reweighted):
    """DyLoRA: ΔW = (α/b)·B[:, :b] A[:b] with b drawn anew for every training step, and in evaluation the whole rank or
    the lower one that is to be served."""

    def __init__(self, original: nn.Module, transposed: bool, rank: int, alpha: float, draw: torch.Generator) -> None:
        super().__init__(original, transposed)
        outputs, inputs = self.frozen().shape
        self.first = nn.Parameter(uniform((rank, inputs), 1 / math.sqrt(inputs), draw))
        self.second = nn.Parameter(torch.zeros(outputs, rank))
        self.alpha, self.rank, self.served = alpha, rank, rank

    def use_rank(self, rank: int) -> None:
        """Train with the first `rank` directions from now on."""
        self.rank = rank

    def serve(self, rank: int) -> None:
        """Evaluate with the first `rank` directions from now on."""
        self.served = rank

    def weight(self) -> Tensor:
        """W' [out, in] of the equation above."""
        rank = self.rank if self.training else self.served
        return self.frozen() + self.alpha / rank * self.second[:, :rank] @ self.first[:rank]


class ScaledSublayer(Reweighted):
    """DiffFit's γ on the last linear layer of a sublayer: y = γ·(Wx + b), γ = 1 at the start."""

    def __init__(self, original: nn.Module, transposed: bool) -> None:
        super().__init__(original, transposed)
        self.scale = nn.Parameter(torch.ones(()))

    def weight(self) -> Tensor:
        """W' [out, in] of the equation above."""
        return self.scale * self.frozen()

    def bias(self) -> Tensor | None:
        """b' [out] of the equation above."""
        own = self.frozen_bias()
        return None if own is None else self.scale * own


class ShardedLora(Reweighted):
    """MoS: ΔW = s·BA, with the rows of A and the columns of B put together from shards of pools all layers share.

    `pools` are [shards, in / n] and [shards, out / n]; each layer reads r·n of either at random places of its own,
    drawn apart for A and B. Private directions belong to one layer. The pool of B is zero at the start.
    """

    first_index: Tensor
    second_index: Tensor

    def __init__(
        self,
        original: nn.Module,
        transposed: bool,
        pools: tuple[nn.Parameter, nn.Parameter],
        rank: int,
        private: int,
        alpha: float,
        draw: torch.Generator,
    ) -> None:
        super().__init__(original, transposed)
        outputs, inputs = self.frozen().shape
        self.first_pool, self.second_pool = pools
        self.scaling = alpha / (rank + private)
        for name, pool, side in (("first_index", pools[0], inputs), ("second_index", pools[1], outputs)):
            places = torch.randint(0, len(pool), (rank, side // pool.shape[1]), generator=draw)
            self.register_buffer(name, places, persistent=False)
        self.private_first: nn.Parameter | None = None
        self.private_second: nn.Parameter | None = None
        if private:
            self.private_first = nn.Parameter(uniform((private, inputs), 1 / math.sqrt(inputs), draw))
            self.private_second = nn.Parameter(torch.zeros(outputs, private))

    def weight(self) -> Tensor:
        """W' [out, in] of the equation above."""
        first = self.first_pool[self.first_index].flatten(1)
        second = self.second_pool[self.second_index].flatten(1)
        update = second.T @ first
        if self.private_first is not None and self.private_second is not None:
            update = update + self.private_second @ self.private_first
        return self.frozen() + self.scaling * update
