"""The base's modules with the updates of all members on them: linear layers, norms, heads, bottlenecks, attention."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional

from workers.engines.stacked.layout import Layout, Segment
from workers.engines.stacked.low_rank import LowRank
from workers.engines.stacked.stack import Stack
from workers.methods.declaration.update_forms import Form
from workers.methods.forms.bottleneck import ACTIVATIONS
from workers.methods.forms.reweighted import in_float32

ACTIVATION_NAMES = tuple(ACTIVATIONS)


class StackedLinear(nn.Module):
    """A frozen linear layer: y = γ ⊙ (W(λ ⊙ x) + s·BAx + b) + β, of which each member has what it has.

    Form `scale` has the roles `input` λ [in], `output` γ [out], `factor` γ [1] and `shift` β [out]; form `bias` has
    `bias` [out] in place of the layer's and `delta` [out] besides it.
    """

    def __init__(self, original: nn.Module, place: str, stack: Stack, layout: Layout) -> None:
        super().__init__()
        self.original, self._place, self._stack, self._layout = original, place, stack, layout
        self._low_rank = LowRank(original, place, stack, layout)

    def forward(self, x: Tensor) -> Tensor:
        """`[rows, …, in]` to `[rows, …, out]`."""
        y: Tensor = self.original(self._times(x, "input"))
        if self._stack.updates(self._place, "low-rank"):
            y = self._low_rank(y, x)
        y = self._plus(y, "bias", "bias", self.original._parameters.get("bias"))
        y = self._plus(y, "bias", "delta", None)
        y = self._times(self._times(y, "output"), "factor")
        return self._plus(y, "scale", "shift", None)

    def _times(self, x: Tensor, role: str) -> Tensor:
        scale = self._stack.tensor(self._place, "scale", role)
        if scale is None:
            return x
        present = self._stack.present(self._place, "scale", role)[:, None]
        return (x * self._layout.beside(torch.where(present, scale, 1.0), x)).to(x.dtype)

    def _plus(self, y: Tensor, form: Form, role: str, instead_of: Tensor | None) -> Tensor:
        added = self._stack.tensor(self._place, form, role)
        if added is None:
            return y
        present = self._stack.present(self._place, form, role)[:, None]
        own = added if instead_of is None else added - instead_of
        return (y + self._layout.beside(torch.where(present, own, 0.0), y)).to(y.dtype)


class StackedNorm(nn.Module):
    """A norm whose numbers are each member's own: `weight` and `bias` [size], or the base's where a member has none."""

    def __init__(self, original: nn.Module, place: str, form: Form, stack: Stack, layout: Layout) -> None:
        super().__init__()
        self.original, self._place, self._form, self._stack, self._layout = original, place, form, stack, layout
        self._plain = {name: torch.zeros_like(value) for name, value in original.named_parameters()}
        # Gemma's norms multiply by 1 + weight, all others by the weight: with zeros one of them leaves nothing.
        weight = original.get_parameter("weight")
        probe = torch.arange(1.0, 1 + weight.numel(), device=stack.device, dtype=weight.dtype)
        with torch.no_grad():
            # A number on the device: whoever joins a pack would wait for it at every norm.
            self._offset = (functional_call(original, self._plain, (probe[None],)).abs().max() > 0).to(weight.dtype)
            self._plain["weight"].fill_(1.0 - self._offset)

    def forward(self, x: Tensor) -> Tensor:
        """Same shape."""
        normed: Tensor = functional_call(self.original, self._plain, (x,))
        y = normed * self._layout.beside(self._offset + self._own("weight"), normed)
        if "bias" in self._plain:
            y = y + self._layout.beside(self._own("bias"), normed)
        return y.to(normed.dtype)

    def _own(self, role: str) -> Tensor:
        base = self.original.get_parameter(role).detach()
        own = self._stack.tensor(self._place, self._form, role)
        if own is None:
            return base.expand(self._stack.slots, -1)
        return torch.where(self._stack.present(self._place, self._form, role)[:, None], own, base)


class OwnLinear(nn.Module):
    """A linear layer of the head, of which every member has its own: `weight` [out, in] and `bias` [out]."""

    def __init__(self, original: nn.Module, place: str, stack: Stack, layout: Layout) -> None:
        super().__init__()
        self.original, self._place, self._stack, self._layout = original, place, stack, layout

    def forward(self, x: Tensor) -> Tensor:
        """`[rows, …, in]` to `[rows, …, out]`."""
        weight, bias = self._stack.required(self._place, "head", "weight"), None
        if self._stack.tensor(self._place, "head", "bias") is not None:
            bias = self._stack.required(self._place, "head", "bias")
        if self._layout.looped:
            weights, biases = weight.unbind(), None if bias is None else bias.unbind()

            def own(segment: Segment, part: Tensor) -> Tensor:
                own_bias = None if biases is None else biases[segment.slot].to(part.dtype)
                return functional.linear(part, weights[segment.slot].to(part.dtype), own_bias)

            return self._layout.apart(x, own)
        product = torch.bmm(self._layout.blocks(x), self._layout.of(weight).to(x.dtype).mT)
        if bias is not None:
            product = product + self._layout.of(bias)[:, None].to(product.dtype)
        return product.view(*x.shape[:-1], -1)


class StackedBottleneck(nn.Module):
    """x → s·(W_up f(W_down x + b_down) + b_up) of each member that has one there, 0 for the others.

    Roles: `down` [size, hidden], `down_bias` [size], `up` [hidden, size], `up_bias` [hidden] and, where it is learned,
    `scale` [1]; numbers: `scale`, and `activation` as its place in `ACTIVATION_NAMES`.
    """

    def __init__(self, place: str, form: Form, stack: Stack, layout: Layout) -> None:
        super().__init__()
        self._place, self._form, self._stack, self._layout = place, form, stack, layout

    def forward(self, hidden: Tensor) -> Tensor:
        """Same shape."""
        widened = self._apart(in_float32(hidden)) if self._layout.looped else self._together(hidden)
        return widened.to(hidden.dtype)

    def _get(self, role: str) -> Tensor:
        return self._stack.required(self._place, self._form, role)

    def _scales(self) -> Tensor:
        """Scale of each member [slots]; 0 where one has no bottleneck here."""
        scales = self._stack.number(self._place, self._form, "scale")
        learned = self._stack.tensor(self._place, self._form, "scale")
        if learned is None:
            return scales
        return torch.where(self._stack.present(self._place, self._form, "scale"), learned[:, 0], scales)

    def _together(self, x: Tensor) -> Tensor:
        layout = self._layout
        roles = ("down", "down_bias", "up", "up_bias")
        down, down_bias, up, up_bias = (layout.of(self._get(role)).to(x.dtype) for role in roles)
        inner = self._activated(torch.bmm(layout.blocks(x), down.mT) + down_bias[:, None])
        out = torch.bmm(inner, up.mT) + up_bias[:, None]
        return (layout.of(self._scales())[:, None, None].to(x.dtype) * out).view(x.shape)

    def _activated(self, inner: Tensor) -> Tensor:
        """Each member's own activation; padding stays zero in all of them."""
        updates = self._stack.updates(self._place, self._form)
        codes = sorted({int(update.numbers["activation"]) for update in updates.values()})
        if len(codes) == 1:
            return ACTIVATIONS[ACTIVATION_NAMES[codes[0]]](inner)
        own = self._layout.of(self._stack.number(self._place, self._form, "activation"))[:, None, None]
        out = torch.zeros_like(inner)
        for code in codes:
            out = torch.where(own == code, ACTIVATIONS[ACTIVATION_NAMES[code]](inner), out)
        return out

    def _apart(self, x: Tensor) -> Tensor:
        updates, scales = self._stack.updates(self._place, self._form), self._scales().unbind()
        roles = ("down", "down_bias", "up", "up_bias")
        factors = list(zip(*(self._get(role).unbind() for role in roles), strict=True))

        def own(segment: Segment, part: Tensor) -> Tensor:
            update = updates.get(segment.slot)
            if update is None:
                return torch.zeros_like(part)
            size = update.sized("down_bias")[0]
            down, down_bias, up, up_bias = factors[segment.slot]
            activation = ACTIVATIONS[ACTIVATION_NAMES[int(update.numbers["activation"])]]
            inner = activation(functional.linear(part, down[:size], down_bias[:size]))
            return scales[segment.slot] * functional.linear(inner, up[:, :size], up_bias)

        return self._layout.apart(x, own)


class StackedPrefix(nn.Module):
    """Keys and values of each member in front of an attention layer's own: `key` and `value` [heads, length, size]."""

    def __init__(self, place: str, stack: Stack, layout: Layout) -> None:
        super().__init__()
        self._place, self._stack, self._layout = place, stack, layout

    def of_rows(self, rows: int, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
        """Keys and values [rows, heads, length, size], and which of them a row's member has: bool [rows, length]."""
        key, value = (
            self._layout.rows_of(self._stack.required(self._place, "prefix", role), rows).to(dtype)
            for role in ("key", "value")
        )
        lengths = self._layout.rows_of(self._stack.number(self._place, "prefix", "length"), rows)
        positions = torch.arange(key.shape[2], device=key.device)
        return key, value, positions < lengths[:, None]


def stacked_prefix_of(module: nn.Module) -> StackedPrefix | None:
    """The prefixes on an attention module, if it has any."""
    return cast("StackedPrefix | None", getattr(module, PREFIX_ATTRIBUTE, None))


PREFIX_ATTRIBUTE = "stacked_prefix"
