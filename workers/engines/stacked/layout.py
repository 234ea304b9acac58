"""Whose rows are where in the pass at hand, and how factors stacked over members meet them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from workers.engines.stacked.streams import Streams
from workers.engines.stacked.unpadded import Unpadded
from workers.engines.transfers import to_device

# Rows that padding a pass to equal blocks may add, as a share of the real ones.
_PADDING_ROWS = 0.1


@dataclass(frozen=True)
class Segment:
    """The rows of one member in a pass: the slot of its factors, and the length that its rows are padded to alone."""

    slot: int
    rows: slice
    length: int

    @property
    def count(self) -> int:
        """Its rows."""
        return int(self.rows.stop - self.rows.start)


Stretch = tuple[int, slice, int]
"""Slot, rows in the pass, and how many of these are real: the others repeat the last to fill a block."""


class Layout:
    """Where members' rows lie, and inside the layers their tokens, if the pass has no padding there.

    Rows of a member are next to each other. They form blocks of equal size, each with one owner, so that a factor
    stacked over slots `[slots, …]` becomes one over blocks, and one batched product serves all members. Without padding
    the blocks are of tokens, and what is called rows here is blocks of them.
    """

    def __init__(self, slots: int, device: torch.device, looped: bool) -> None:
        self.device, self.looped, self.training = device, looped, True
        self.slots = slots
        self.segments: tuple[Segment, ...] = ()
        self.stretches: tuple[Stretch, ...] = ()
        self.whole = False  # whether every row of the pass at hand is as long as the pass
        self.unpadded: Unpadded | None = None  # of the pass at hand
        self.inside = False  # whether tokens lie without padding at the moment
        self.attentions = 0  # that were computed without padding
        self.streams: Streams | None = None
        self._owners: dict[tuple[int, ...], Tensor] = {}
        self._owner: Tensor | None = None
        self._blocks = 0

    def arrange(self, counts: Sequence[tuple[int, int, int]], together: int = 1) -> NDArray[np.int64] | None:
        """Take in a pass: slot, rows and padded length of each member in it. Blocks part no `together` rows in turn.

        Returns where each row of the pass comes from among the members' rows one after another, where some come twice
        to fill blocks; None where rows stand as they are.
        """
        rows = [count for _, count, _ in counts]
        block = math.gcd(*rows) if self.looped else together * block_rows([count // together for count in rows])
        owners: list[int] = []
        sources: list[NDArray[np.int64]] = []
        segments: list[Segment] = []
        stretches: list[Stretch] = []
        start = taken = 0
        for slot, count, length in counts:
            padded = -(-count // block) * block
            owners += [slot] * (padded // block)
            sources.append(start + np.minimum(np.arange(padded), count - 1))
            segments.append(Segment(slot, slice(taken, taken + count), length))
            stretches.append((slot, slice(taken, taken + padded), count))
            start, taken = start + count, taken + padded
        self.segments, self.stretches, self._blocks = tuple(segments), tuple(stretches), len(owners)
        self._owner = None if owners == list(range(self.slots)) else self._on_device(tuple(owners))
        return None if taken == start else np.concatenate(sources)

    def _on_device(self, owners: tuple[int, ...]) -> Tensor:
        """Few are ever different, and a captured pass needs the same tensor again."""
        if owners not in self._owners:
            self._owners[owners] = to_device(np.array(owners, dtype=np.int64), self.device)
        return self._owners[owners]

    @property
    def current(self) -> Unpadded | None:
        """How tokens lie at the moment; None while rows are padded."""
        return self.unpadded if self.inside else None

    def of(self, stacked: Tensor) -> Tensor:
        """From `[slots, …]` to `[blocks, …]`."""
        if (tokens := self.current) is not None:
            return stacked.index_select(0, tokens.owners)
        return stacked if self._owner is None else stacked.index_select(0, self._owner)

    @property
    def _count(self) -> int:
        return self._blocks if (tokens := self.current) is None else tokens.blocks

    @contextmanager
    def without_padding(self, unpadded: Unpadded | None) -> Iterator[None]:
        """Inside, the layers compute on tokens that lie so; None: on padded rows."""
        self.unpadded = unpadded
        try:
            yield
        finally:
            self.unpadded, self.inside = None, False

    @contextmanager
    def in_rows(self) -> Iterator[None]:
        """Inside, rows are padded for the moment, as attention may need them."""
        before, self.inside = self.inside, False
        try:
            yield
        finally:
            self.inside = before

    def blocks(self, x: Tensor) -> Tensor:
        """From `[rows, …, features]` to `[blocks, rows and positions of a block, features]`."""
        return x.reshape(self._count, -1, x.shape[-1])

    def rows_of(self, stacked: Tensor, rows: int) -> Tensor:
        """From `[slots, …]` to `[rows, …]`."""
        return self.of(stacked).repeat_interleave(rows // self._count, 0, output_size=rows)

    def beside(self, stacked: Tensor, x: Tensor) -> Tensor:
        """A vector of each slot `[slots, features]` as it meets `x` `[rows, …, features]`: it broadcasts."""
        return self.rows_of(stacked, len(x)).view(len(x), *[1] * (x.ndim - 2), -1)

    def apart(self, x: Tensor, by: Callable[[Segment, Tensor], Tensor]) -> Tensor:
        """Each member's rows through a function of its own: rows come back where they were."""
        parts = x.split([segment.count for segment in self.segments])
        return torch.cat([by(segment, part) for segment, part in zip(self.segments, parts, strict=True)])


def block_rows(counts: Sequence[int]) -> int:
    """Rows of a block: the most with which padding each member's rows to whole blocks adds at most a tenth."""
    real = sum(counts)
    for block in range(max(counts), 1, -1):
        if sum(-(-count // block) * block for count in counts) <= (1 + _PADDING_ROWS) * real:
            return block
    return 1
