"""The layers that members of a pack share: frozen weights for all rows, each member's own numbers for its rows."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.func import functional_call

from workers.engines.pack_member import Member


@dataclass(frozen=True)
class Segment:
    """The rows of one member in the current batch; `length` is what they would be padded to alone."""

    member: Member
    rows: slice
    length: int


class Layout:
    """Who owns which rows of the current batch."""

    def __init__(self) -> None:
        self.segments: tuple[Segment, ...] = ()
        self.training = True


class PackedLayer(nn.Module):
    """A frozen layer that adds each member's update to its rows."""

    def __init__(self, original: nn.Module, name: str, layout: Layout) -> None:
        super().__init__()
        self.original, self._name, self._layout = original, name, layout

    def forward(self, x: Tensor) -> Tensor:
        """`[rows, length, in]` to `[rows, length, out]`."""
        whole: Tensor = self.original(x)
        if not any(self._name in segment.member.updates for segment in self._layout.segments):
            return whole
        return torch.cat([self._updated(segment, x, whole) for segment in self._layout.segments])

    def _updated(self, segment: Segment, x: Tensor, whole: Tensor) -> Tensor:
        update, own = segment.member.updates.get(self._name), whole[segment.rows]
        if update is None:
            return own
        inputs = x[segment.rows].to(update.a.dtype)
        if self._layout.training and update.dropout > 0:
            inputs = inputs * self._mask(segment, inputs, update.dropout)
        return own + inputs @ update.a.T @ update.b.T * update.scale

    @staticmethod
    def _mask(segment: Segment, inputs: Tensor, probability: float) -> Tensor:
        rows, length, features = inputs.shape
        mask = segment.member.mask((rows, segment.length, features), probability).to(inputs.device)
        if length <= segment.length:  # the last layer may be narrowed to one token
            return mask[:, :length]
        return torch.cat([mask, mask.new_ones(rows, length - segment.length, features)], dim=1)


class PackedHead(nn.Module):
    """A head module of which every member has its own."""

    def __init__(self, original: nn.Module, name: str, layout: Layout) -> None:
        super().__init__()
        self.original, self._name, self._layout = original, name, layout

    def forward(self, x: Tensor) -> Tensor:
        """Every member's rows through its own head."""
        parts = [
            functional_call(self.original, dict(segment.member.heads[self._name]), (x[segment.rows],))
            for segment in self._layout.segments
        ]
        return torch.cat(parts)
