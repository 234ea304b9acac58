"""Products in few bits, in simulation: what a training loses by them, and what a rotation saves. Needs torch.

HALO (Ashkboos et al. 2025, arXiv 2501.02625): Y = Q(XH)·Q(WH)ᵀ with a Hadamard matrix H over what is summed, which
spreads outliers over all numbers and cancels in the exact product; the gradients' products are made so, too, and
rounding has the gradient of the identity. Numbers are rounded as few bits would hold them and multiplied in float32:
it tells what becomes of the loss, not of the time, which needs kernels.

Certain: rotations of both sides of each product, forward and backward. Choices: one scale for each row of either side
(for the authors, one for a tensor, and gradients are rotated along tokens instead); where a size is no power of two, H
consists of blocks of the largest one that divides it; tokens are filled up with zeros; thin weights (heads of a few
classes, low-rank factors) keep whole products, as their cost does not count.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import linear, pad
from torch.overrides import TorchFunctionMode
from torch.utils.weak import WeakTensorKeyDictionary

from workers.hyperparameters import Hyperparameters
from workers.methods.forms.hadamard import hadamard

_THIN = 32  # a weight with a side below this keeps whole products
_BLOCK = 128  # tokens that a gradient's product is rotated by
_FLOAT8 = 448.0  # the largest number of float8_e4m3
Round = Callable[[Tensor], Tensor]


def rotated(rows: Tensor) -> Tensor:
    """Rows [..., n] times H, block by block of the largest power of two that divides n."""
    size = rows.shape[-1] & -rows.shape[-1]
    turn = hadamard(size).to(rows.device, rows.dtype)
    found: Tensor = (rows.unflatten(-1, (-1, size)) @ turn).flatten(-2)
    return found


def rounded_to_whole(rows: Tensor, bits: int) -> Tensor:
    """Rows [..., n], each rounded to whole multiples of a step of its own, as `bits` bits hold them."""
    top = 2 ** (bits - 1) - 1
    step = rows.abs().amax(-1, keepdim=True).clamp_min(1e-30) / top
    found: Tensor = (rows / step).round() * step
    return found


def rounded_to_float8(rows: Tensor) -> Tensor:
    """Rows [..., n], each scaled by its largest number and rounded to float8 (four bits exponent, three mantissa)."""
    scale = rows.abs().amax(-1, keepdim=True).clamp_min(1e-30) / _FLOAT8
    return (rows / scale).to(torch.float8_e4m3fn).to(rows.dtype) * scale


ROUNDINGS: Mapping[str, Round] = {
    "fp8": rounded_to_float8,
    **{f"int{bits}": partial(rounded_to_whole, bits=bits) for bits in (8, 6, 4)},
}


class Products(TorchFunctionMode):
    """Within it, `linear` is computed in few bits, and its gradients are.

    What a frozen weight becomes is kept as long as it lives, since every step asks for it.
    """

    def __init__(self, rounding: str, rotate: bool) -> None:
        super().__init__()
        self._rounding, self._rotate = ROUNDINGS[rounding], rotate
        self._kept = WeakTensorKeyDictionary()

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """`linear` in few bits, all else as it is."""
        if func is not linear or kwargs or min(args[1].shape) < _THIN:
            return func(*args, **(kwargs or {}))
        inputs, weight, *bias = args
        product: Tensor = _Product.apply(inputs, weight, self)  # type: ignore[no-untyped-call]
        return product if not bias or bias[0] is None else product + bias[0]

    def small(self, rows: Tensor) -> Tensor:
        """Rows [..., n] turned, where that is wanted, and rounded."""
        return self._rounding(rotated(rows) if self._rotate else rows)

    def weight(self, weight: Tensor, transposed: bool) -> Tensor:
        """A weight [out, in] for the way there, or transposed [in, out] for the way back."""
        if weight.requires_grad:
            return self.small(weight.detach().T if transposed else weight.detach())
        version, kept = weight._version, self._kept.setdefault(weight, {})
        if kept.get("version") != version:
            kept.clear()
            kept["version"] = version
        if transposed not in kept:
            kept[transposed] = self.small(weight.T if transposed else weight)
        found: Tensor = kept[transposed]
        return found

    def over_tokens(self, rows: Tensor) -> Tensor:
        """Rows [tokens, n] as [n, tokens and zeros], small."""
        short = -len(rows) % _BLOCK
        return self.small(pad(rows, (0, 0, 0, short)).T)


class _Product(torch.autograd.Function):
    """X Wᵀ for X [..., in] and W [out, in], every product in few bits."""

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, weight: Tensor, products: Products) -> Tensor:
        ctx.save_for_backward(inputs, weight)
        ctx.products = products
        return products.small(inputs) @ products.weight(weight, transposed=False).T

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        inputs, weight = ctx.saved_tensors
        products, back, own = ctx.products, None, None
        if ctx.needs_input_grad[0]:
            back = products.small(gradient) @ products.weight(weight, transposed=True).T
        if ctx.needs_input_grad[1]:
            own = products.over_tokens(gradient.flatten(0, -2)) @ products.over_tokens(inputs.flatten(0, -2)).T
        return back, own, None


def products_of(chosen: Hyperparameters) -> Products | None:
    """How a trial's training multiplies; None: in whole numbers of the trial's format."""
    return None if chosen.products == "full" else Products(chosen.products, chosen.rotation == "hadamard")


@contextmanager
def multiplying(products: Products | None) -> Iterator[None]:
    """Within it products are made so."""
    if products is None:
        yield
        return
    with products:
        yield
