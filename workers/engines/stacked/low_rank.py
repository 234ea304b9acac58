"""s·BA beside a linear layer for all members at once: LoRA and its relatives.

    y = Wx + s·B A x̃ − s·B₀A₀x               x̃ with the member's dropout; B₀A₀ where the start was taken out of W
    y = Wx + (m/‖W + sBA‖ − 1)·Wx̃ + m/‖W + sBA‖·s·B A x̃     with DoRA's magnitudes m [out]; the norm has no gradient

Ranks differ between members: factors are padded with zeros, which stay zero.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from workers.engines.stacked.layout import Layout
from workers.engines.stacked.stack import Stack


class LowRank:
    """The updates of one layer. Roles: `a` [rank, in], `b` [out, rank], their starts `a_start`, `b_start`, `magnitude`
    [out], `shift` [out] on B; numbers: `scale`, `dropout`."""

    def __init__(self, original: nn.Module, place: str, stack: Stack, layout: Layout) -> None:
        self._original, self._place, self._stack, self._layout = original, place, stack, layout

    def __call__(self, whole: Tensor, x: Tensor) -> Tensor:
        """`whole` [rows, …, out] of the frozen layer with the updates; `x` [rows, …, in]."""
        dropped = self._dropped(x)
        if self._layout.looped and not any(self._has(role) for role in ("a_start", "magnitude", "shift")):
            return self._one_by_one(whole, dropped)
        if not self._has("magnitude"):
            delta = self._product(dropped, "a", "b", whole)
            return self._started(self._shifted(delta), x)
        delta = self._shifted(self._product(dropped, "a", "b", torch.zeros_like(whole)))
        return self._started(self._directed(whole, dropped, dropped is not x, delta), x)

    def _has(self, role: str) -> bool:
        return self._stack.tensor(self._place, "low-rank", role) is not None

    def _get(self, role: str) -> Tensor:
        return self._stack.required(self._place, "low-rank", role)

    def _scale(self) -> Tensor:
        return self._stack.number(self._place, "low-rank", "scale")

    def _product(self, x: Tensor, first: str, second: str, onto: Tensor, sign: float = 1.0) -> Tensor:
        """`onto` + s·(x Aᵀ) Bᵀ, as two batched products over blocks."""
        layout = self._layout
        # In the format of what comes in: a base in bfloat16 computes without autocast.
        a, b = (layout.of(self._get(role)).to(x.dtype) for role in (first, second))
        scale = layout.of(sign * self._scale())[:, None, None]
        inner = torch.bmm(layout.blocks(x), a.mT) * scale.to(x.dtype)
        return torch.baddbmm(layout.blocks(onto), inner, b.mT).view(onto.shape)

    def _started(self, y: Tensor, x: Tensor) -> Tensor:
        return self._product(x, "a_start", "b_start", y, -1.0) if self._has("a_start") else y

    def _shifted(self, y: Tensor) -> Tensor:
        if not self._has("shift"):
            return y
        present = self._stack.present(self._place, "low-rank", "shift")[:, None]
        shift = torch.where(present, self._get("shift") * self._scale()[:, None], 0.0)
        return y + self._layout.beside(shift, y).to(y.dtype)

    def _directed(self, whole: Tensor, dropped: Tensor, differs: bool, delta: Tensor) -> Tensor:
        """DoRA; members without a magnitude add `delta` as it is."""
        ratio = self._get("magnitude") / self._norms()
        present = self._stack.present(self._place, "low-rank", "magnitude")[:, None]
        ratio = self._layout.beside(torch.where(present, ratio, 1.0), whole)
        bias = self._original._parameters.get("bias")
        frozen = self._original(dropped) if differs else whole
        if bias is not None:
            frozen = frozen - bias
        return (whole + (ratio - 1.0) * frozen + ratio * delta).to(whole.dtype)

    @torch.no_grad()
    def _norms(self) -> Tensor:
        """‖W + sBA‖ of each output [slots, out], without any member's whole weight: the square is written out."""
        weight = self._original.get_parameter("weight").float()
        if not isinstance(self._original, nn.Linear):  # GPT-2's stores [in, out]
            weight = weight.T
        a, b, scale = self._get("a"), self._get("b"), self._scale()[:, None]
        with torch.autocast(weight.device.type, enabled=False):
            cross = (b * (a @ weight.T).mT).sum(-1)  # [slots, out]
            own = ((b @ (a @ a.mT)) * b).sum(-1)
            squares = weight.square().sum(1) + 2 * scale * cross + scale.square() * own
        norms = squares.clamp_min(0.0).sqrt()
        return torch.where(norms > 0, norms, 1.0)

    def _dropped(self, x: Tensor) -> Tensor:
        """`x` with every member's own dropout on its rows."""
        layout, updates = self._layout, self._stack.updates(self._place, "low-rank")
        # Of all members, not of those in this pass: a captured one may have others in the same slots.
        if not layout.training or not any(update.numbers["dropout"] for update in updates.values()):
            return x
        assert layout.streams is not None
        return x * layout.streams.masks(x, self._place, layout, self._stack.number(self._place, "low-rank", "dropout"))

    def _one_by_one(self, whole: Tensor, x: Tensor) -> Tensor:
        """Member by member, each with its own rank: on a CPU padding costs more than calls."""
        updates = self._stack.updates(self._place, "low-rank")
        mine = [segment for segment in self._layout.segments if segment.slot in updates]
        if not mine:
            return whole
        members = tuple(
            (segment.slot, segment.rows, updates[segment.slot].sized("a")[0], updates[segment.slot].numbers["scale"])
            for segment in mine
        )
        return _Updated.apply(whole, x, self._get("a"), self._get("b"), members)  # type: ignore[no-untyped-call, no-any-return]


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
        a: Tensor,  # [slots, rank, in]
        b: Tensor,  # [slots, out, rank]
        members: tuple[tuple[int, slice, int, float], ...],  # slot, rows, rank, scale
    ) -> Tensor:
        x = x.to(whole.dtype)  # that of the products: bfloat16 under autocast
        factors = [(a[slot, :rank].to(x.dtype), b[slot, :, :rank].to(x.dtype)) for slot, _, rank, _ in members]
        hidden = []
        for (_, rows, _, scale), (first, second) in zip(members, factors, strict=True):
            inner = x[rows].flatten(0, -2) @ first.T  # [rows · length, rank]
            whole[rows].view(-1, whole.shape[-1]).addmm_(inner, second.T, alpha=scale)
            hidden.append(inner)
        ctx.members, ctx.shapes = members, (a.shape, b.shape)
        ctx.save_for_backward(x, *(factor for pair in factors for factor in pair), *hidden)
        ctx.mark_dirty(whole)
        return whole

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, *rest = ctx.saved_tensors
        count = len(ctx.members)
        factors, hidden = rest[: 2 * count], rest[2 * count :]
        for_x = torch.zeros_like(x) if ctx.needs_input_grad[1] else None
        for_a, for_b = (gradient.new_zeros(shape, dtype=torch.float32) for shape in ctx.shapes)
        for (slot, rows, rank, scale), a, b, inner in zip(
            ctx.members, factors[::2], factors[1::2], hidden, strict=True
        ):
            outer = gradient[rows].flatten(0, -2)  # [rows · length, out]
            for_inner = (outer @ b).mul_(scale)  # [rows · length, rank]
            for_a[slot, :rank] = for_inner.T @ x[rows].flatten(0, -2)
            for_b[slot, :, :rank] = (outer.T @ inner).mul_(scale)
            if for_x is not None:
                for_x[rows] = (for_inner @ a).view(x[rows].shape)
        return gradient, for_x, for_a, for_b, None
