"""Where members' dropout masks come from: their own generators on the host, or counters where the model is.

On a CPU a member draws from the generator that it would have alone, so its numbers are those of training alone. On a
GPU that would be a kernel for each member and a wait for the host, so a mask there is a function of the member's seed,
its pass and the place: whoever its companions are, and whenever it goes on, it is the same.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor

if TYPE_CHECKING:
    from workers.engines.stacked.layout import Layout

_LEVELS = 1 << 16  # of probability, as in `workers.methods.forms.dropout`


class Streams(Protocol):
    """Gives the masks of a pass."""

    def masks(self, x: Tensor, place: str, layout: Layout, rates: Tensor) -> Tensor:
        """Masks for `x` `[rows, length, features]`: zeros at each slot's rate `[slots]`, else what keeps the mean."""


class HostStreams:
    """Each member's own generator: `draw(slot, shape, rate)` gives what it would draw alone."""

    def __init__(self, draw: Callable[[int, tuple[int, ...], float], Tensor]) -> None:
        self._draw = draw

    def masks(self, x: Tensor, _place: str, layout: Layout, rates: Tensor) -> Tensor:
        """See `Streams`."""
        whole, own = layout.current, rates.tolist()
        masks = x.new_ones(x.shape if whole is None else (whole.rows, whole.longest, x.shape[-1]))
        for segment in layout.segments:
            if rate := own[segment.slot]:
                # The last layer may be narrowed to one token, and companions may have longer rows.
                mask = self._draw(segment.slot, (segment.count, segment.length, x.shape[-1]), rate)
                length = min(masks.shape[1], segment.length)
                masks[segment.rows, :length] = mask[:, :length].to(x)
        return masks if whole is None else whole.tokens(masks)


class CounterStreams:
    """Masks from counters, all members' in the same few operations.

    `rows` `[rows, 2]` says of each row of a pass the key of its member's pass and its number among that member's rows.
    """

    def __init__(self, device: torch.device) -> None:
        self.rows = torch.zeros(0, 2, dtype=torch.int64, device=device)

    def masks(self, x: Tensor, place: str, layout: Layout, rates: Tensor) -> Tensor:
        """See `Streams`."""
        rows, length, features = x.shape
        words = -(-features // 4)  # one word of 64 bits for four features
        whole = layout.current
        position = torch.arange(length, device=x.device) if whole is None else whole.position
        number = torch.arange(words, device=x.device) * _ODD[1]
        of_rows = _mixed(self.rows[:, 0] + self.rows[:, 1] * _ODD[2])
        of_rows = of_rows[:, None] if whole is None else of_rows[whole.row]
        where = position * _ODD[0] + zlib.crc32(place.encode())
        bits = _mixed(_mixed(of_rows + where)[..., None] + number).view(torch.int16)[..., :features]
        limit = layout.rows_of((rates * _LEVELS).round().clamp(max=_LEVELS - 1), rows)[:, None, None]
        return (bits.int() >= limit - _LEVELS // 2).to(x.dtype) * (_LEVELS / (_LEVELS - limit)).to(x.dtype)


_ODD = (-7046029254386353131, -4417276706812531889, 1609587929392839161)  # the odd constants of xxHash, as int64


def stream_key(seed: int, step: int, turn: int) -> int:
    """The key of one pass of a member."""
    mixed = (seed * 0x9E3779B97F4A7C15 + step * 0xC2B2AE3D27D4EB4F + turn * 0x165667B19E3779F9) & (2**64 - 1)
    return mixed - 2**64 if mixed >= 2**63 else mixed


def _mixed(x: Tensor) -> Tensor:
    """SplitMix64's finaliser (Steele et al. 2014); products wrap around, shifts are unsigned."""
    for shift, factor in ((30, -4658895280553007687), (27, -7723592293110705685)):
        x = (x ^ ((x >> shift) & ((1 << (64 - shift)) - 1))) * factor
    return x ^ ((x >> 31) & ((1 << 33) - 1))
