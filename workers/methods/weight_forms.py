"""The adapted weights of our own reparametrisations, each with its equation. Needs torch."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from workers.methods.reweighted import Reweighted, uniform


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


class ProjectedVector(Reweighted):
    """SAID: W' = W + λ·s·θ[index] ⊙ sign: every entry reads one entry of the shared vector θ [d], with a random sign.

    A sparse projection with one non-zero for each weight; its columns are orthogonal, and s makes them orthonormal in
    expectation. λ belongs to the layer ("structure-aware"). θ = 0 at the start.
    """

    index: Tensor
    signs: Tensor

    def __init__(
        self, original: nn.Module, transposed: bool, vector: nn.Parameter, scale: float, draw: torch.Generator
    ) -> None:
        super().__init__(original, transposed)
        shape, size = self.frozen().shape, len(vector)
        self.vector, self.scaling = vector, scale
        self.layer_scale = nn.Parameter(torch.ones(()))
        signs = 2.0 * torch.randint(0, 2, shape, generator=draw) - 1.0
        self.register_buffer("index", torch.randint(0, size, shape, generator=draw), persistent=False)
        self.register_buffer("signs", signs, persistent=False)

    def weight(self) -> Tensor:
        """W' [out, in] of the equation above."""
        return self.frozen() + self.layer_scale * self.scaling * self.signs * self.vector[self.index]


class NestedLora(Reweighted):
    """DyLoRA: ΔW = (α/b)·B[:, :b] A[:b] with b drawn anew for every training step, and the whole rank in evaluation."""

    def __init__(self, original: nn.Module, transposed: bool, rank: int, alpha: float, draw: torch.Generator) -> None:
        super().__init__(original, transposed)
        outputs, inputs = self.frozen().shape
        self.first = nn.Parameter(uniform((rank, inputs), 1 / math.sqrt(inputs), draw))
        self.second = nn.Parameter(torch.zeros(outputs, rank))
        self.alpha, self.rank = alpha, rank

    def use_rank(self, rank: int) -> None:
        """Train with the first `rank` directions from now on."""
        self.rank = rank

    def weight(self) -> Tensor:
        """W' [out, in] of the equation above."""
        rank = self.rank if self.training else len(self.first)
        return self.frozen() + self.alpha / rank * self.second[:, :rank] @ self.first[:rank]


class TrainedSteps(Reweighted):
    """E2E-QP: W' = s·q with whole numbers q frozen after rounding W/s₀, and one trained step s for each group."""

    whole: Tensor

    def __init__(self, original: nn.Module, transposed: bool, bits: int, group: int) -> None:
        super().__init__(original, transposed)
        weight = self.frozen().detach()
        grouped = weight.reshape(-1, group)
        top = 2 ** (bits - 1) - 1
        steps = (grouped.abs().amax(1, keepdim=True) / top).clamp_min(1e-8)
        self.register_buffer("whole", (grouped / steps).round().clamp(-top - 1, top), persistent=False)
        self.steps = nn.Parameter(steps)
        self.shape = tuple(weight.shape)

    def weight(self) -> Tensor:
        """W' [out, in] of the equation above."""
        return (self.steps * self.whole).reshape(self.shape)


class QuantisedLora(Reweighted):
    """L4Q: W' = s·clip(round((W + α/r·BA)/s)), trained through the rounding; A, B and one step s for each group.

    Rounding passes gradients straight through; the gradient of s is scaled by 1/√(n·Q_p) as in LSQ.
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
        super().__init__(original, transposed)
        weight = self.frozen().detach()
        outputs, inputs = weight.shape
        self.first = nn.Parameter(uniform((rank, inputs), 1 / math.sqrt(inputs), draw))
        self.second = nn.Parameter(torch.zeros(outputs, rank))
        self.top, self.group, self.scaling = 2 ** (bits - 1) - 1, group, scale
        grouped = weight.reshape(-1, group)
        self.steps = nn.Parameter((grouped.abs().amax(1, keepdim=True) / self.top).clamp_min(1e-8))
        self.step_gradient = 1 / math.sqrt(group * self.top)

    def weight(self) -> Tensor:
        """W' [out, in] of the equation above."""
        full = self.frozen() + self.scaling * self.second @ self.first
        steps = self.steps * self.step_gradient + (self.steps * (1 - self.step_gradient)).detach()
        ratio = (full.reshape(-1, self.group) / steps).clamp(-self.top - 1, self.top)
        whole = ratio + (ratio.round() - ratio).detach()
        return (whole * steps).reshape(full.shape)


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
