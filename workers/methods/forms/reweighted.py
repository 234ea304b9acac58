"""Linear layers whose weight is a function of the frozen weight and a few trained numbers. Needs torch.

Each class says in one line what its weight is; all fold back into a plain layer. On a base in half precision weights
are computed in float32, as trained numbers are kept, and rounded once: differences of two large numbers would be lost.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor
from torch.nn import functional

from workers.methods.own_adapter import set_submodule
from workers.models.anatomy import Linear
from workers.models.loading import Base


class Reweighted(nn.Module):
    """y = W'x + b' with W' [out, in] from `weight()`. `original` is a Linear, or GPT-2's that stores [in, out]."""

    def __init__(self, original: nn.Module, transposed: bool) -> None:
        super().__init__()
        self.original, self.transposed = original, transposed

    def frozen(self) -> Tensor:
        """The base's weight [out, in], in float32. Outside of a pass of a sharded base, all ranks must ask for it."""
        weight: Tensor = self.original.get_parameter("weight")
        weight = in_float32(weight.full_tensor() if isinstance(weight, DTensor) else weight)
        return weight.T if self.transposed else weight

    def frozen_bias(self) -> Tensor | None:
        """The base's bias [out], in float32."""
        bias = self.original._parameters.get("bias")
        return None if bias is None else in_float32(bias)

    def weight(self) -> Tensor:
        """The adapted weight [out, in]."""
        return self.frozen()

    def bias(self) -> Tensor | None:
        """The adapted bias [out]."""
        return self.frozen_bias()

    def multiplied(self) -> int:
        """Entries of the weight that every token is multiplied with."""
        return self.original.get_parameter("weight").numel()

    def served_bytes(self) -> float:
        """Bytes of the adapted weight as it would be served: folded, in half precision."""
        return 2.0 * self.original.get_parameter("weight").numel()

    def forward(self, inputs: Tensor) -> Tensor:
        """Inputs [..., in] to outputs [..., out]."""
        bias = self.bias()
        return functional.linear(
            inputs, self.weight().to(inputs.dtype), None if bias is None else bias.to(inputs.dtype)
        )

    def folded(self) -> nn.Module:
        """A plain layer of the original's kind that computes the same."""
        plain, bias = copy.copy(self.original), self.bias()
        stored = self.original.get_parameter("weight").dtype
        weight = self.weight().detach().to(stored)
        plain._parameters = dict(self.original._parameters)
        plain.weight = nn.Parameter(weight.T.contiguous() if self.transposed else weight.clone(), requires_grad=False)
        plain.register_parameter(
            "bias", None if bias is None else nn.Parameter(bias.detach().to(stored, copy=True), requires_grad=False)
        )
        return plain


def reweight(
    base: Base, places: Iterable[tuple[int, Linear]], make: Callable[[nn.Module, Linear], Reweighted]
) -> dict[str, nn.Parameter]:
    """Replace linear layers by `make(original, linear)`; returns the new parameters by `<layer>.<linear>.<name>`.

    Parameters that several layers share are named after the first.
    """
    trained: dict[str, nn.Parameter] = {}
    known: set[int] = set()
    for layer, linear in places:
        path = base.description.path(layer, linear.name)
        module = make(base.model.get_submodule(path), linear).to(base.model.device)
        set_submodule(base.model, path, module)
        for name, value in module.named_parameters():
            if not name.startswith("original.") and id(value) not in known:
                known.add(id(value))
                trained[f"{layer}.{linear.name}.{name}"] = value
    return trained


def in_float32(tensor: Tensor) -> Tensor:
    """The tensor itself, or a copy in float32 where it is in half precision."""
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))


def uniform(shape: tuple[int, ...], bound: float, generator: torch.Generator) -> Tensor:
    """Uniform numbers in [-bound, bound]."""
    return torch.empty(shape).uniform_(-bound, bound, generator=generator)
