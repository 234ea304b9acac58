"""Layers without some of their rows or columns, and what is added to the rest. Needs torch."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from workers.methods.forms.low_rank import DirectionPool
from workers.methods.forms.reweighted import Reweighted, uniform


class KeptPart(Reweighted):
    """W[rows, columns] of the base's weight, and what a method adds to it; an export holds which are kept."""

    rows: Tensor
    columns: Tensor

    def __init__(self, original: nn.Module, transposed: bool, kept: tuple[int, int]) -> None:
        """`kept` are the numbers of rows and columns; until others are chosen they are the first."""
        super().__init__(original, transposed)
        outputs, inputs = kept
        self.register_buffer("rows", torch.arange(outputs))
        self.register_buffer("columns", torch.arange(inputs))
        self._left: tuple[tuple[int, int], Tensor] | None = None
        self._served: tuple[list[int], Tensor] | None = None

    def left(self) -> Tensor:
        """What of the frozen weight is left [out', in'], computed anew when other rows or columns are kept."""
        version = self.rows._version, self.columns._version
        if self._left is None or self._left[0] != version:
            self._left = version, self.taken(self.frozen().detach()[self.rows][:, self.columns])
        return self._left[1]

    def taken(self, weight: Tensor) -> Tensor:
        """What is taken of the kept rows and columns."""
        return weight

    def weight(self) -> Tensor:
        """The adapted weight [out', in']."""
        return self.left()

    def bias(self) -> Tensor | None:
        """The biases [out'] of the rows that are kept."""
        own = self.frozen_bias()
        return None if own is None else own[self.rows]

    def deciding(self) -> tuple[Tensor, ...]:
        """Everything that the weight is made of and that may change."""
        return self.rows, self.columns

    def forward(self, inputs: Tensor) -> Tensor:
        """Inputs [..., in'] to outputs [..., out']; outside of training the weight is put together once."""
        if self.training or torch.is_grad_enabled():
            self._served = None
            return self.trained(inputs)
        versions = [value._version for value in self.deciding()]
        if self._served is None or self._served[0] != versions:
            self._served = versions, self.weight()
        bias = self.bias()
        return linear(inputs, self._served[1].to(inputs.dtype), None if bias is None else bias.to(inputs.dtype))

    def trained(self, inputs: Tensor) -> Tensor:
        """The same while gradients are taken."""
        return super().forward(inputs)

    def multiplied(self) -> int:
        """Entries of the smaller weight."""
        return len(self.rows) * len(self.columns)

    def served_bytes(self) -> float:
        """Bytes of the smaller weight in half precision; zeros take room, too."""
        return 2.0 * self.multiplied()


class SmallerLayer(KeptPart):
    """DSEE: W' = M ⊙ W[rows, columns] + UV + S with trained U [out', r], V [r, in'] and N trained entries of S.

    M keeps a share of the largest weights that are left. An export holds where the entries of S are, too; U and the
    entries are zero at first.
    """

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
        super().__init__(original, transposed, kept)
        outputs, inputs = kept
        self.sparsity = sparsity
        self.register_buffer("places", torch.arange(min(entries, outputs * inputs)))
        self.first = nn.Parameter(uniform((rank, inputs), 1 / math.sqrt(inputs), draw))
        self.second = nn.Parameter(torch.zeros(outputs, rank))
        self.values = nn.Parameter(torch.zeros(len(self.places)))

    def taken(self, weight: Tensor) -> Tensor:
        """M ⊙ W[rows, columns]."""
        pruned = weight.abs().flatten().topk(round(self.sparsity * weight.numel()), largest=False).indices
        return weight.flatten().index_fill(0, pruned, 0.0).view_as(weight)

    def weight(self) -> Tensor:
        """W' [out', in'] of the equation above."""
        left = self.left()
        sparse = left.new_zeros(left.numel()).index_put((self.places,), self.values)
        return left + self.second @ self.first + sparse.view_as(left)

    def deciding(self) -> tuple[Tensor, ...]:
        """Rows, columns, places and all that is trained."""
        return self.rows, self.columns, self.places, self.first, self.second, self.values


class SmallerLora(KeptPart):
    """Light-PEFT: W' = W[rows, columns] + s·Σ b_k a_kᵀ over the directions of a pool that layer `number` has.

    While it trains, the update has products of its own, so that the frozen weight gets no gradient. A `probe` stands
    for the whole layer while it is found out what is needed of it; `draw` seeds what that begins with.
    """

    def __init__(
        self,
        original: nn.Module,
        transposed: bool,
        kept: tuple[int, int],
        pool: DirectionPool,
        number: int,
        scale: float,
        draw: int,
    ) -> None:
        super().__init__(original, transposed, kept)
        self.pool, self.number, self.scaling, self.draw = pool, number, scale, draw
        self.probe: nn.Module | None = None

    def forward(self, inputs: Tensor) -> Tensor:
        """Inputs [..., in'] to outputs [..., out']; of the whole layer while it is probed."""
        if self.probe is not None:
            probed: Tensor = self.probe(inputs)
            return probed
        return super().forward(inputs)

    def trained(self, inputs: Tensor) -> Tensor:
        """The products apart."""
        bias, left = self.bias(), self.left().to(inputs.dtype)
        outputs = linear(inputs, left, None if bias is None else bias.to(inputs.dtype))
        mine = self.pool.directions(self.number)
        if not len(mine):
            return outputs
        narrow = linear(inputs, self.pool.first[mine].to(inputs.dtype))
        return outputs + self.scaling * linear(narrow, self.pool.second[mine].T.to(inputs.dtype))

    def weight(self) -> Tensor:
        """W' [out', in'] of the equation above."""
        mine = self.pool.directions(self.number)
        return self.left() + self.scaling * self.pool.second[mine].T @ self.pool.first[mine]

    def deciding(self) -> tuple[Tensor, ...]:
        """Rows, columns and the pool."""
        return self.rows, self.columns, self.pool.owner, self.pool.first, self.pool.second
