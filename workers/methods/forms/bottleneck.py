"""Bottleneck adapters in the feed-forward part of an encoder layer, serial and parallel. Needs torch.

With x the input of the feed-forward part and F(x) its output before the residual sum:

    y = F(x) + s·P(x)      parallel adapter (He et al. 2022, arXiv 2110.04366, "scaled parallel adapter")
    z = y + S(y)           serial adapter (Houlsby et al. 2019, arXiv 1902.00751; placed as in Pfeiffer et al. 2021)

where P and S are x → W_up·f(W_down·x + b_down) + b_up with W_up = 0 at the start, so that z = F(x). The attention part
may have both as well; x is then its input, F(x) its output.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from workers.methods.declaration.module_rates import LEARNED
from workers.methods.forms.reweighted import in_float32
from workers.methods.own_adapter import set_submodule
from workers.models.anatomy import Anatomy

ACTIVATIONS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "relu": torch.relu,
    "gelu": functional.gelu,
    "tanh": torch.tanh,
    "none": lambda inner: inner,
}


class Bottleneck(nn.Module):
    """[…, hidden] → […, hidden] through `size` units and times `scale`, which may be learned: from 1, as one number."""

    def __init__(
        self, hidden: int, size: int, scale: float | str, generator: torch.Generator, activation: str = "relu"
    ) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(())) if scale == LEARNED else float(scale)
        self.activation = ACTIVATIONS[activation]
        self.down = nn.Linear(hidden, size)
        self.up = nn.Linear(size, hidden)
        bound = 1 / math.sqrt(hidden)
        with torch.no_grad():
            self.down.weight.uniform_(-bound, bound, generator=generator)
            for zero in (self.down.bias, self.up.weight, self.up.bias):
                zero.zero_()

    def forward(self, hidden: Tensor) -> Tensor:
        """Same shapes as the module it stands for: [..., hidden] to [..., hidden]."""
        widened: Tensor = self.up(self.activation(self.down(in_float32(hidden))))
        return (self.scale * widened).to(hidden.dtype)


class NormedBottleneck(nn.Module):
    """x → S(LN(x)): a bottleneck S that layers share, behind a layer norm that is one layer's own."""

    def __init__(self, hidden: int, shared: Bottleneck) -> None:
        super().__init__()
        self.norm, self.shared = nn.LayerNorm(hidden), shared

    def forward(self, hidden: Tensor) -> Tensor:
        """Same shapes as the module it stands for: [..., hidden] to [..., hidden]."""
        widened: Tensor = self.shared(self.norm(in_float32(hidden)))
        return widened.to(hidden.dtype)


class HypercomplexBottleneck(nn.Module):
    """Compacter (Karimi Mahabadi et al. 2021, arXiv 2106.04647): a bottleneck whose matrices are Σᵢ Aᵢ ⊗ (sᵢ tᵢᵀ).

    `rules` are the A [n, n, n], shared by all layers and both matrices; s and t are of rank one.
    """

    def __init__(self, hidden: int, size: int, rules: nn.Parameter, generator: torch.Generator) -> None:
        super().__init__()
        n, self.rules = len(rules), rules

        def drawn(*shape: int) -> nn.Parameter:
            return nn.Parameter(torch.empty(shape).normal_(0.0, shape[-1] ** -0.5, generator=generator))

        self.down_left, self.down_right = drawn(n, size // n), drawn(n, hidden // n)
        self.up_left, self.up_right = nn.Parameter(torch.zeros(n, hidden // n)), drawn(n, size // n)
        self.down_bias, self.up_bias = nn.Parameter(torch.zeros(size)), nn.Parameter(torch.zeros(hidden))

    def forward(self, hidden: Tensor) -> Tensor:
        """Same shapes as the module it stands for: [..., hidden] to [..., hidden]."""
        down, up = self._matrix(self.down_left, self.down_right), self._matrix(self.up_left, self.up_right)
        inner = functional.gelu(functional.linear(in_float32(hidden), down, self.down_bias))
        return functional.linear(inner, up, self.up_bias).to(hidden.dtype)

    def _matrix(self, left: Tensor, right: Tensor) -> Tensor:
        """[n · rows, n · columns] from rules [n, n, n], left [n, rows] and right [n, columns]."""
        blocks = torch.einsum("iab,ir,ic->arbc", self.rules, left, right)
        return blocks.reshape(blocks.shape[0] * blocks.shape[1], -1)


def bottleneck_parameters(hidden: int, size: int) -> int:
    """Parameters of one adapter: two matrices and two biases; none when its size is 0."""
    return 2 * hidden * size + size + hidden if size else 0


class AdaptedFeedForward(nn.Module):
    """A feed-forward module x → F(x) with adapters around it; the residual sum is outside."""

    def __init__(self, original: nn.Module, serial: nn.Module | None, parallel: nn.Module | None) -> None:
        super().__init__()
        self.original, self.serial, self.parallel = original, serial, parallel

    def forward(self, hidden: Tensor) -> Tensor:
        """Same shapes as the module it stands for: [..., hidden] to [..., hidden]."""
        return _adapt(self.original(hidden), hidden, self.serial, self.parallel)


class AdaptedBertOutput(nn.Module):
    """BERT's output module, which ends the feed-forward part and adds the residual: LayerNorm(dense(h) + x)."""

    def __init__(self, original: nn.Module, serial: nn.Module | None, parallel: nn.Module | None) -> None:
        super().__init__()
        self.original, self.serial, self.parallel = original, serial, parallel

    def forward(self, hidden_states: Tensor, input_tensor: Tensor) -> Tensor:
        """Same shapes as the module it stands for: [..., hidden] to [..., hidden]."""
        dense, dropout, norm = (self.original.get_submodule(name) for name in ("dense", "dropout", "LayerNorm"))
        output = _adapt(dense(hidden_states), input_tensor, self.serial, self.parallel)
        normed: Tensor = norm(dropout(output) + input_tensor)
        return normed


def adapt_feed_forward(
    anatomy: Anatomy, layer: nn.Module, serial: nn.Module | None, parallel: nn.Module | None
) -> None:
    """Put adapters around the feed-forward part of an encoder layer of any supported model class."""
    kind = AdaptedBertOutput if anatomy.feed_forward == "output" else AdaptedFeedForward
    original = layer.get_submodule(anatomy.feed_forward)
    set_submodule(layer, anatomy.feed_forward, kind(original, serial, parallel))


class AdaptedAttention(nn.Module):
    """An attention module with adapters around it; the residual sum is outside."""

    def __init__(self, original: nn.Module, serial: nn.Module | None, parallel: nn.Module | None) -> None:
        super().__init__()
        self.original, self.serial, self.parallel = original, serial, parallel

    def forward(self, *inputs: Any, **options: Any) -> tuple[Any, ...]:
        """Same shapes as the module it stands for: [..., hidden] to [..., hidden]."""
        hidden = inputs[0] if inputs else options["hidden_states"]
        output, *rest = self.original(*inputs, **options)
        return (_adapt(output, hidden, self.serial, self.parallel), *rest)


def adapt_attention(anatomy: Anatomy, layer: nn.Module, serial: nn.Module | None, parallel: nn.Module | None) -> None:
    """Put adapters around the attention of an encoder layer of any supported model class."""
    kind = AdaptedBertOutput if anatomy.attention_output else AdaptedAttention
    path = anatomy.attention_output or anatomy.attention
    set_submodule(layer, path, kind(layer.get_submodule(path), serial, parallel))


def _adapt(output: Tensor, hidden: Tensor, serial: nn.Module | None, parallel: nn.Module | None) -> Tensor:
    if parallel is not None:
        output = output + parallel(hidden)
    if serial is not None:
        output = output + serial(output)
    return output
