"""The processes that train together: one, or the ranks of a process group, each with its part of every batch.

Ranks must come to each exchange in the same order, so whatever one of them alone could find out (a report's answer, a
clock, an error on a disk) is told to all before anything follows from it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TypeVar

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray
from torch import Tensor

from workers.engines.batches import RowIndices
from workers.engines.faults import PeerFailed, failure_reason
from workers.tasks.criterion import Measure

_Value = TypeVar("_Value")


def backend_on(device: str) -> Literal["nccl", "gloo"]:
    """What ranks that train on devices of this kind exchange through."""
    return "nccl" if device == "cuda" else "gloo"


def device_of_rank() -> str:
    """Where this rank trains: on its GPU where the ranks talk through NCCL."""
    return "cuda" if dist.get_backend() == "nccl" else "cpu"


@dataclass(frozen=True)
class Part:
    """What a process computes of a batch.

    Attributes:
        rows: its rows; some, even where none is left for it, as all ranks must run.
        numbers: which of the batch's rows these are.
        counts: whether they are its own, or only run along.
    """

    rows: RowIndices
    numbers: NDArray[np.int64]
    counts: bool = True


class Ranks(Protocol):
    """The processes that train together, as one of them sees it."""

    count: int

    def first(self, make: Callable[[], _Value]) -> _Value:
        """What `make` returns on the first rank, on every rank; the others do not call it."""

    def agreed(self, make: Callable[[], _Value]) -> _Value:
        """What `make` returns here; raises on every rank where it did on any."""

    def part(self, rows: RowIndices, together: int) -> Part:
        """This process's part of a batch, of which no `together` rows in turn are parted."""

    def dealt(self, batches: Sequence[RowIndices]) -> Iterator[Part]:
        """Whole batches for this process: as many as for any other."""

    def add_up(self, tensors: Sequence[Tensor]) -> None:
        """Each tensor becomes its sum over all ranks."""

    def merged(self, measures: Sequence[Measure]) -> list[Measure]:
        """Measures of what all ranks have seen."""

    def least(self, value: float) -> float:
        """The smallest of all ranks' values."""

    def clock(self) -> float:
        """Seconds, the same on every rank."""


class OneProcess:
    """Nobody else."""

    count = 1

    def first(self, make: Callable[[], _Value]) -> _Value:
        """See `Ranks`."""
        return make()

    def agreed(self, make: Callable[[], _Value]) -> _Value:
        """See `Ranks`."""
        return make()

    def part(self, rows: RowIndices, together: int) -> Part:
        """See `Ranks`."""
        del together
        return Part(rows, np.arange(len(rows)))

    def dealt(self, batches: Sequence[RowIndices]) -> Iterator[Part]:
        """See `Ranks`."""
        return (self.part(rows, 1) for rows in batches)

    def add_up(self, tensors: Sequence[Tensor]) -> None:
        """See `Ranks`."""

    def merged(self, measures: Sequence[Measure]) -> list[Measure]:
        """See `Ranks`."""
        return list(measures)

    def least(self, value: float) -> float:
        """See `Ranks`."""
        return value

    def clock(self) -> float:
        """See `Ranks`."""
        return time.perf_counter()


class RankGroup:
    """The ranks of the default process group; every method is called by all of them."""

    def __init__(self) -> None:
        self.count, self.number = dist.get_world_size(), dist.get_rank()

    def first(self, make: Callable[[], _Value]) -> _Value:
        """See `Ranks`."""
        return from_first(make)

    def agreed(self, make: Callable[[], _Value]) -> _Value:
        """See `Ranks`."""
        error: Exception | None = None
        try:
            value = make()
        except Exception as own:
            error = own
        reasons: list[str | None] = [None] * self.count
        dist.all_gather_object(reasons, None if error is None else failure_reason(error))
        if error is not None:
            raise error
        if (reason := next((one for one in reasons if one is not None), None)) is not None:
            raise PeerFailed(reason)
        return value

    def part(self, rows: RowIndices, together: int) -> Part:
        """See `Ranks`."""
        groups = np.arange(len(rows)).reshape(-1, together)
        mine = groups[self.number :: self.count].reshape(-1)
        return Part(rows[mine], mine) if len(mine) else Part(rows[:together], np.arange(together), counts=False)

    def dealt(self, batches: Sequence[RowIndices]) -> Iterator[Part]:
        """See `Ranks`."""
        for start in range(0, len(batches), self.count):
            own = start + self.number
            rows = batches[own] if own < len(batches) else batches[start]
            yield Part(rows, np.arange(len(rows)), counts=own < len(batches))

    def add_up(self, tensors: Sequence[Tensor]) -> None:
        """See `Ranks`. All of them go in one exchange."""
        flat = torch.cat([tensor.flatten() for tensor in tensors])
        dist.all_reduce(flat)
        for tensor, part in zip(tensors, flat.split([tensor.numel() for tensor in tensors]), strict=True):
            tensor.copy_(part.view_as(tensor))

    def merged(self, measures: Sequence[Measure]) -> list[Measure]:
        """See `Ranks`."""
        everyones: list[Sequence[Measure]] = [measures] * self.count
        dist.all_gather_object(everyones, list(measures))
        first, *others = everyones
        for other in others:
            for measure, more in zip(first, other, strict=True):
                measure.merge(more)
        return list(first)

    def least(self, value: float) -> float:
        """See `Ranks`."""
        values = [value] * self.count
        dist.all_gather_object(values, value)
        return min(values)

    def clock(self) -> float:
        """See `Ranks`."""
        return from_first(time.perf_counter)


def from_first(make: Callable[[], _Value]) -> _Value:
    """What `make` returns on the first rank, on every rank; the others do not call it.

    What it raises there is raised on every rank, on the others as `PeerFailed`: whoever went on alone would wait for
    ever.
    """
    error: Exception | None = None
    box: list[tuple[_Value | None, str | None]] = [(None, None)]
    if dist.get_rank() == 0:
        try:
            box = [(make(), None)]
        except Exception as own:
            error, box = own, [(None, failure_reason(own))]
    dist.broadcast_object_list(box, src=0)
    if error is not None:
        raise error
    value, reason = box[0]
    if reason is not None:
        raise PeerFailed(reason)
    return value  # type: ignore[return-value]  # filled by the first rank
