"""Weights that are read from a memory smaller than they are. Needs torch."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from workers.methods.forms.reweighted import Reweighted


class SharedMemory(nn.Module):
    """A trained vector [m] that is read over and over: who asks next goes on where the last one stopped.

    The k-th reading of the whole memory begins at a drawn place and goes round, each entry with a drawn sign; the first
    one is the memory as it is. So an entry meets itself again only in another reading.
    """

    def __init__(self, values: Tensor) -> None:
        super().__init__()
        self.values = nn.Parameter(values)
        self._read, self._start = 0, 0

    def places(self, count: int, draw: torch.Generator) -> tuple[Tensor, Tensor]:
        """Where the next `count` entries are read, and with which signs; both [count]."""
        size = len(self.values)
        places, signs = torch.empty(count, dtype=torch.int64), torch.ones(count)
        done = 0
        while done < count:
            within = self._read % size
            if within == 0 and self._read:
                self._start = int(torch.randint(0, size, (), generator=draw))
            taken = min(count - done, size - within)
            places[done : done + taken] = (self._start + torch.arange(within, within + taken)) % size
            if self._read >= size:
                signs[done : done + taken] = 2.0 * torch.randint(0, 2, (taken,), generator=draw) - 1.0
            self._read, done = self._read + taken, done + taken
        return places, signs


class HashedLora(Reweighted):
    """W' = W + s·BA with A [r, in] and B [out, r] read from two memories; that of B is zero at the start."""

    first_place: Tensor
    first_sign: Tensor
    second_place: Tensor
    second_sign: Tensor

    def __init__(
        self,
        original: nn.Module,
        transposed: bool,
        memories: tuple[SharedMemory, SharedMemory],
        rank: int,
        scale: float,
        draw: torch.Generator,
    ) -> None:
        super().__init__(original, transposed)
        outputs, inputs = self.frozen().shape
        self.first, self.second = memories
        self.scaling = scale
        for name, memory, shape in (("first", self.first, (rank, inputs)), ("second", self.second, (outputs, rank))):
            places, signs = memory.places(shape[0] * shape[1], draw)
            self.register_buffer(f"{name}_place", places.view(shape), persistent=False)
            self.register_buffer(f"{name}_sign", signs.view(shape), persistent=False)

    def factors(self) -> tuple[Tensor, Tensor]:
        """A [r, in] and B [out, r] as they are read."""
        first = self.first.values[self.first_place] * self.first_sign
        return first, self.second.values[self.second_place] * self.second_sign

    def weight(self) -> Tensor:
        """W' [out, in] of the equation above."""
        first, second = self.factors()
        return self.frozen() + self.scaling * second @ first
