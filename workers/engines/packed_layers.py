"""The layers that members of a pack share: frozen weights for all rows, each member's own numbers for its rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

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
        present = [
            (segment, update)
            for segment in self._layout.segments
            if (update := segment.member.updates.get(self._name)) is not None
        ]
        if not present:
            return whole
        if self._layout.training and any(update.dropout > 0 for _, update in present):
            x = self._dropped(x)
        factors = [factor for _, update in present for factor in (update.a, update.b)]
        slices = tuple(segment.rows for segment, _ in present)
        scales = tuple(update.scale for _, update in present)
        return _Updated.apply(whole, x, slices, scales, *factors)  # type: ignore[no-untyped-call, no-any-return]

    def _dropped(self, x: Tensor) -> Tensor:
        """`x` with every member's own dropout on its rows."""
        parts = list(x.split([len(x[segment.rows]) for segment in self._layout.segments]))
        for index, segment in enumerate(self._layout.segments):
            update = segment.member.updates.get(self._name)
            if update is not None and update.dropout > 0:
                parts[index] = parts[index] * self._mask(segment, parts[index], update.dropout)
        return torch.cat(parts)

    @staticmethod
    def _mask(segment: Segment, inputs: Tensor, probability: float) -> Tensor:
        rows, length, features = inputs.shape
        mask = segment.member.mask((rows, segment.length, features), probability).to(inputs.device)
        if length <= segment.length:  # the last layer may be narrowed to one token
            return mask[:, :length]
        return torch.cat([mask, mask.new_ones(rows, length - segment.length, features)], dim=1)


class _Updated(torch.autograd.Function):
    """Adds scale · x Aᵀ Bᵀ to the rows of every member, in place, and gives back gradients member by member.

    Written out because slicing and joining under autograd would fill a tensor of the whole batch with zeros for each
    member on the way back, which makes the cost of a pack grow with the square of its members.
    """

    @staticmethod
    def forward(
        ctx: Any,
        whole: Tensor,  # [rows, length, out], changed
        x: Tensor,  # [rows, length, in]
        slices: tuple[slice, ...],
        scales: tuple[float, ...],
        *factors: Tensor,  # A [rank, in] and B [out, rank] of each member
    ) -> Tensor:
        x = x.to(whole.dtype)  # that of the products: bfloat16 under autocast
        cast = [factor.to(whole.dtype) for factor in factors]
        hidden = []
        for rows, scale, a, b in zip(slices, scales, cast[::2], cast[1::2], strict=True):
            inner = x[rows].flatten(0, 1) @ a.T  # [rows · length, rank]
            whole[rows].view(-1, whole.shape[-1]).addmm_(inner, b.T, alpha=scale)
            hidden.append(inner)
        ctx.slices, ctx.scales = slices, scales
        ctx.save_for_backward(x, *cast, *hidden)
        ctx.mark_dirty(whole)
        return whole

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, *rest = ctx.saved_tensors
        members = len(ctx.slices)
        cast, hidden = rest[: 2 * members], rest[2 * members :]
        for_x = torch.zeros_like(x) if ctx.needs_input_grad[1] else None
        found: list[Tensor] = []
        for rows, scale, a, b, inner in zip(ctx.slices, ctx.scales, cast[::2], cast[1::2], hidden, strict=True):
            outer = gradient[rows].flatten(0, 1)  # [rows · length, out]
            for_inner = (outer @ b).mul_(scale)  # [rows · length, rank]
            found += [for_inner.T @ x[rows].flatten(0, 1), (outer.T @ inner).mul_(scale)]
            if for_x is not None:
                for_x[rows] = (for_inner @ a).view(x[rows].shape)
        return gradient, for_x, None, None, *found


class PackedHead(nn.Module):
    """A head module of which every member has its own."""

    def __init__(self, original: nn.Module, name: str, layout: Layout) -> None:
        super().__init__()
        self.original, self._name, self._layout = original, name, layout

    def forward(self, x: Tensor) -> Tensor:
        """Every member's rows through its own head."""
        segments = self._layout.segments
        parts = x.split([len(x[segment.rows]) for segment in segments])
        return torch.cat(
            [
                functional_call(self.original, dict(segment.member.heads[self._name]), (part,))
                for segment, part in zip(segments, parts, strict=True)
            ]
        )
