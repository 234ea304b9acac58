"""Weights that change in a few entries, and weights of which many entries become zero. Needs torch."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from workers.methods.forms.reweighted import Reweighted, uniform


class SparseDelta(Reweighted):
    """SpaFT: W' = W + δ, where δ is zero but for k entries whose places move during training.

    `places` [k] are flat indices into W [out, in], `values` [k] what is added there, zero at the start. `reselect`
    moves the entries with the smallest values to where `growth` sees the largest gradient: the gradient itself
    (`rigl`), or an estimate from one accumulator for each row and column (`sm3`, Anil et al. 2019).
    """

    places: Tensor
    rows: Tensor
    columns: Tensor

    def __init__(
        self, original: nn.Module, transposed: bool, count: int, growth: str, interval: int, draw: torch.Generator
    ) -> None:
        super().__init__(original, transposed)
        self.shape = tuple(self.frozen().shape)
        self.growth, self.interval = growth, interval
        self.register_buffer("places", torch.randperm(math.prod(self.shape), generator=draw)[:count])
        self.values = nn.Parameter(torch.zeros(count))
        if growth == "sm3":
            self.register_buffer("rows", torch.zeros(self.shape[0]))
            self.register_buffer("columns", torch.zeros(self.shape[1]))
        self._gradient: Tensor | None = None
        self.begin(1)

    def begin(self, step: int) -> None:
        """Step `step` comes next: RigL needs the gradient of every `interval`-th, SM3 that of all."""
        self._watching = self.growth == "sm3" or step % self.interval == 0

    def weight(self) -> Tensor:
        """W' [out, in] of the equation above."""
        delta = self.frozen().new_zeros(math.prod(self.shape)).index_put((self.places,), self.values)
        if self.training and delta.requires_grad and self._watching:
            delta.register_hook(self._watch)
        return self.frozen() + delta.view(self.shape)

    def reselect(self, share: float) -> Tensor:
        """Move `share` of the entries; returns the indices [moved] into `values` that stand for a new place."""
        moved = round(share * len(self.values))
        scores = self._scores().flatten().clone()
        scores[self.places] = -torch.inf
        dropped = self.values.detach().abs().topk(moved, largest=False).indices
        self.places[dropped] = scores.topk(moved).indices
        with torch.no_grad():
            self.values[dropped] = 0.0
        self._gradient = None
        return dropped

    def _watch(self, gradient: Tensor) -> None:
        """See the gradient [out · in] of every entry in one backward pass; batches of one step add up."""
        if self.growth == "rigl":
            self._gradient = gradient if self._gradient is None else self._gradient + gradient
            return
        squares = torch.minimum(self.rows[:, None], self.columns) + gradient.view(self.shape).square()
        self.rows.copy_(squares.amax(1))
        self.columns.copy_(squares.amax(0))

    def _scores(self) -> Tensor:
        if self.growth == "sm3":
            return self.rows[:, None] * self.columns
        if self._gradient is None:
            raise RuntimeError("no gradient was watched in the step before")
        return self._gradient.abs()


class PrunedLowRank(Reweighted):
    """PST: W' = M ⊙ (W + UV), with M = 0 for the share `sparsity` of entries that are lowest in

        S = |W + UV| + α·(AB + R·1ᵀ + 1·Cᵀ)

    U [out, r], V [r, in], A [out, r], B [r, in], R [out], C [in]. Gradients pass from M straight to S. U, B, R and C
    are zero at the start, and so is the sparsity.
    """

    sparsity: Tensor

    def __init__(
        self, original: nn.Module, transposed: bool, rank: int, alpha: float, generator: torch.Generator
    ) -> None:
        super().__init__(original, transposed)
        outputs, inputs = self.frozen().shape
        self.alpha = alpha
        self.second, self.first = nn.Parameter(torch.zeros(outputs, rank)), _wide(rank, inputs, generator)
        self.score_first = nn.Parameter(uniform((outputs, rank), 1 / math.sqrt(rank), generator))
        self.score_second = nn.Parameter(torch.zeros(rank, inputs))
        self.score_rows, self.score_columns = nn.Parameter(torch.zeros(outputs)), nn.Parameter(torch.zeros(inputs))
        self.register_buffer("sparsity", torch.zeros((), dtype=torch.float64))

    def weight(self) -> Tensor:
        """W' [out, in] of the equation above."""
        updated = self.frozen() + self.second @ self.first
        learnt = self.score_first @ self.score_second + self.score_rows[:, None] + self.score_columns
        scores = updated.detach().abs() + self.alpha * learnt
        return updated * (self._kept(scores.detach()) + (scores - scores.detach()))

    def _kept(self, scores: Tensor) -> Tensor:
        """1 where an entry is kept, 0 where it is pruned."""
        pruned = round(float(self.sparsity) * scores.numel())
        if pruned == 0:
            return torch.ones_like(scores)
        threshold = scores.flatten().kthvalue(pruned).values
        return (scores > threshold).to(scores.dtype)


def _wide(rank: int, inputs: int, generator: torch.Generator) -> nn.Parameter:
    return nn.Parameter(uniform((rank, inputs), 1 / math.sqrt(inputs), generator))
