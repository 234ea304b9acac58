"""Members' tokens side by side, without the padding that would bring all rows to one length.

A padded pass has `[rows, length]` positions; rows of a member are of like length, those of others need not be. Without
padding each member's tokens lie one row after another in `[blocks, tokens of a block]`, where a block has one owner.
All that looks at single tokens computes there: products, norms, members' updates. Only attention looks across.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

_BLOCKS = (128, 64, 32, 16, 8, 4)  # tokens of a block: few sizes, so that few shapes are captured
_FILLING = 0.1  # positions over tokens that filling members' last blocks adds
_SIZES = 8  # sizes between one number of blocks and its double that captured passes have


@dataclass(frozen=True)
class Plan:
    """Where tokens lie, on the host. Tokens that only fill a block repeat one of its owner.

    Attributes:
        block: tokens of a block.
        owners: slot of each block `[blocks]`.
        to_tokens: for each place of the blocks `[blocks · block]` the padded position `row · longest + place in row`.
        to_rows: for each padded position `[rows · longest]` the place in the blocks; behind a row's end its last token.
        bounds: `[pieces + 1]` where pieces that attend to themselves begin and end: rows, and what fills blocks.
        longest: tokens that rows are padded to.
    """

    block: int
    owners: NDArray[np.int64]
    to_tokens: NDArray[np.int64]
    to_rows: NDArray[np.int64]
    bounds: NDArray[np.int32]
    longest: int

    @property
    def positions(self) -> int:
        """Places in all blocks."""
        return len(self.to_tokens)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """What differs between passes of one shape."""
        return {"owners": self.owners, "to_tokens": self.to_tokens, "to_rows": self.to_rows, "bounds": self.bounds}


def plan(
    members: Sequence[tuple[int, slice, int]], lengths: NDArray[np.integer], longest: int, few_shapes: bool
) -> Plan:
    """Lay out a pass.

    Args:
        members: slot, rows in the pass and the number of these that are real, of each; the others repeat the last.
        lengths: `[rows]` tokens of each.
        longest: tokens that rows would be padded to.
        few_shapes: whether there are spare blocks, so that passes of like size have one shape.
    """
    starts = np.zeros(len(lengths), dtype=np.int64)
    tokens = [int(lengths[rows][:real].sum()) for _, rows, real in members]
    block = _block(tokens)
    owners: list[int] = []
    taken, bounds = 0, [0]
    for (slot, rows, real), own in zip(members, tokens, strict=True):
        ends = taken + np.cumsum(lengths[rows][:real])
        starts[rows][:real] = ends - lengths[rows][:real]
        starts[rows][real:] = starts[rows][real - 1]
        blocks = -(-own // block)
        owners += [slot] * blocks
        bounds += [*ends.tolist(), *_pieces(taken + own, taken + blocks * block, longest)]
        taken += blocks * block
    spare = _rounded(len(owners)) - len(owners) if few_shapes else 0
    bounds += _pieces(taken, taken + spare * block, longest)
    owners += [members[-1][0]] * spare
    places = len(owners) * block
    within = np.minimum(np.arange(longest), lengths[:, None] - 1)  # [rows, longest]
    to_rows = starts[:, None] + within
    to_tokens = np.full(places, -1, dtype=np.int64)
    padded = np.arange(to_rows.size).reshape(to_rows.shape)
    for _, rows, real in members:
        own_rows = slice(rows.start, rows.start + real)
        real_places = np.arange(longest) < lengths[own_rows, None]
        to_tokens[to_rows[own_rows][real_places]] = padded[own_rows][real_places]
    to_tokens = _filled(to_tokens)
    most = len(lengths) + len(members) + places // longest + 2  # the same for all passes of one shape
    ends_all = np.full(most, places, dtype=np.int32)
    ends_all[: len(bounds)] = bounds
    return Plan(block, np.array(owners, dtype=np.int64), to_tokens, to_rows.reshape(-1), ends_all, longest)


def _block(tokens: Sequence[int]) -> int:
    """The largest block with which filling members' last ones costs little: half a block each, on average."""
    each = sum(tokens) / len(tokens)
    return next((block for block in _BLOCKS if block <= 2 * _FILLING * each), _BLOCKS[-1])


def _rounded(blocks: int) -> int:
    """Up to one of a few sizes."""
    step = max(1, (1 << (blocks.bit_length() - 1)) // _SIZES)
    return -(-blocks // step) * step


def _pieces(start: int, stop: int, longest: int) -> list[int]:
    """Ends of pieces of at most `longest` places: fused attention computes no more of each."""
    return [*range(start + longest, stop, longest), *([stop] if stop > start else [])]


def _filled(to_tokens: NDArray[np.int64]) -> NDArray[np.int64]:
    """Places without a token (-1) repeat the last token in front of them, which is their owner's: a member's NaN stays
    with it."""
    known = np.flatnonzero(to_tokens >= 0)
    last = known[np.maximum(np.searchsorted(known, np.arange(len(to_tokens)), side="right") - 1, 0)]
    return to_tokens[last]


@dataclass(frozen=True)
class Unpadded:
    """A plan on the device, while a pass runs."""

    block: int
    owners: Tensor
    to_tokens: Tensor
    to_rows: Tensor
    bounds: Tensor
    longest: int
    _seen: dict[int, tuple[Tensor, Tensor]] = field(default_factory=dict, init=False)

    @property
    def blocks(self) -> int:
        """Blocks of the pass."""
        return len(self.owners)

    @property
    def rows(self) -> int:
        """Rows of the pass."""
        return len(self.to_rows) // self.longest

    def tokens(self, padded: Tensor) -> Tensor:
        """From `[rows, length, …]` to `[blocks, block, …]`."""
        moved: Tensor = _Moved.apply(  # type: ignore[no-untyped-call]
            padded.flatten(0, 1), self.to_tokens, self.to_rows, self._real_positions
        )
        found: Tensor = moved.unflatten(0, (self.blocks, self.block))
        return found

    def padded(self, tokens: Tensor) -> Tensor:
        """From `[blocks, block, …]` to `[rows, length, …]`; behind its end a row repeats its last token."""
        moved: Tensor = _Moved.apply(  # type: ignore[no-untyped-call]
            tokens.flatten(0, 1), self.to_rows, self.to_tokens, self._real_places
        )
        found: Tensor = moved.unflatten(0, (self.rows, self.longest))
        return found

    def table(self, of_positions: Tensor) -> Tensor:
        """Something of each position `[rows or 1, length, …]`, such as rotary tables, as `tokens`; made once a pass."""
        if id(of_positions) not in self._seen:
            whole = of_positions.expand(self.rows, *of_positions.shape[1:])
            self._seen[id(of_positions)] = of_positions, self.tokens(whole)  # held, or its number would be another's
        return self._seen[id(of_positions)][1]

    @cached_property
    def row(self) -> Tensor:
        """Row of each place `[blocks, block]`."""
        return (self.to_tokens // self.longest).view(self.blocks, self.block)

    @cached_property
    def position(self) -> Tensor:
        """Place in its row of each place `[blocks, block]`."""
        return (self.to_tokens % self.longest).view(self.blocks, self.block)

    @cached_property
    def _real_positions(self) -> Tensor:
        """Which padded positions hold a token `[rows · longest]`."""
        return self.to_tokens[self.to_rows] == torch.arange(len(self.to_rows), device=self.to_rows.device)

    @cached_property
    def _real_places(self) -> Tensor:
        """Which places of the blocks hold a token that is not repeated there `[blocks · block]`."""
        return self.to_rows[self.to_tokens] == torch.arange(len(self.to_tokens), device=self.to_tokens.device)


class _Moved(torch.autograd.Function):
    """Rows of `x` from `there`; on the way back from `back`, for the `own` of them whose `there` leads back. No sums,
    so no atomics: what repeats a token is nobody's input and has no gradient."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, there: Tensor, back: Tensor, own: Tensor) -> Tensor:
        ctx.save_for_backward(back, own)
        return x.index_select(0, there)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        back, own = ctx.saved_tensors
        moved = gradient.index_select(0, back)
        return torch.where(own.view(-1, *[1] * (moved.ndim - 1)), moved, 0.0), None, None, None
