"""Single entries of many weights, wherever they lie, as one vector. Needs torch."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

import torch
from torch import Tensor, nn

from workers.methods.forms.reweighted import Reweighted


class ArbitraryEntries(nn.Module):
    """n trained numbers and where they are added.

    `places` [n], ascending, are flat indices into all adapted weights [out, in] laid end to end; `values` [n] are zero
    at the start.
    """

    places: Tensor

    def __init__(self, places: Tensor) -> None:
        super().__init__()
        self.register_buffer("places", places.sort().values)
        self.values = nn.Parameter(torch.zeros(len(places)))
        self._bounds: dict[tuple[int, int], slice] = {}
        self._version = self.places._version

    def within(self, start: int, end: int) -> slice:
        """Which of the entries lie at places from `start` to before `end`."""
        if self.places._version != self._version:  # a checkpoint or the gradients have moved them
            self._bounds, self._version = {}, self.places._version
        if (start, end) not in self._bounds:
            first, last = torch.searchsorted(self.places, self.places.new_tensor([start, end])).tolist()
            self._bounds[start, end] = slice(first, last)
        return self._bounds[start, end]


class EntriesDelta(Reweighted):
    """W' = W + δ, where δ is zero but for the entries that lie in this weight; `start` is where it begins."""

    def __init__(self, original: nn.Module, transposed: bool, entries: ArbitraryEntries, start: int) -> None:
        super().__init__(original, transposed)
        self._entries = [entries]  # in a list, so that it does not become a part of this module
        self._start, self._size = start, self.frozen().numel()

    def weight(self) -> Tensor:
        """W' [out, in] of the equation above."""
        (entries,), frozen = self._entries, self.frozen()
        own = entries.within(self._start, self._start + self._size)
        delta = frozen.new_zeros(self._size)
        delta = delta.index_put((entries.places[own] - self._start,), entries.values[own].to(delta.dtype))
        return frozen + delta.view(frozen.shape)


def spread(sizes: Sequence[int], count: int, generator: torch.Generator) -> Tensor:
    """`count` different random places [count], the same number in each of the stretches of `sizes` laid end to end,
    as far as these are large enough for it."""
    first, places, left = starts(sizes), [], count
    for position, index in enumerate(sorted(range(len(sizes)), key=sizes.__getitem__)):  # the smallest first
        here = min(sizes[index], round(left / (len(sizes) - position)))
        places.append(first[index] + distinct(here, sizes[index], generator))
        left -= here
    return torch.cat(places)


def starts(sizes: Sequence[int]) -> list[int]:
    """Where each of the stretches begins when they are laid end to end."""
    return [0, *accumulate(sizes)][:-1]


def distinct(count: int, below: int, generator: torch.Generator) -> Tensor:
    """`count` different random whole numbers [count] below `below`."""
    if 2 * count > below:
        return torch.randperm(below, generator=generator)[:count]
    found = torch.empty(0, dtype=torch.int64)
    while len(found) < count:
        more = torch.randint(below, (2 * (count - len(found)),), generator=generator)
        found = torch.cat([found, more]).unique()
    return found[torch.randperm(len(found), generator=generator)[:count]]
