"""Bottleneck adapters in the feed-forward part of an encoder layer, serial and parallel. Needs torch.

With x the input of the feed-forward part and F(x) its output before the residual sum:

    y = F(x) + s·P(x)      parallel adapter (He et al. 2022, arXiv 2110.04366, "scaled parallel adapter")
    z = y + S(y)           serial adapter (Houlsby et al. 2019, arXiv 1902.00751; placed as in Pfeiffer et al. 2021)

where P and S are x → W_up·relu(W_down·x + b_down) + b_up with W_up = 0 at the start, so that z = F(x).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from workers.models.architectures import Anatomy

PARALLEL_SCALE = 4.0


class Bottleneck(nn.Module):
    """[…, hidden] → […, hidden] through `size` units."""

    def __init__(self, hidden: int, size: int, scale: float, generator: torch.Generator) -> None:
        super().__init__()
        self.scale = scale
        self.down = nn.Linear(hidden, size)
        self.up = nn.Linear(size, hidden)
        bound = 1 / math.sqrt(hidden)
        with torch.no_grad():
            self.down.weight.uniform_(-bound, bound, generator=generator)
            for zero in (self.down.bias, self.up.weight, self.up.bias):
                zero.zero_()

    def forward(self, hidden: Tensor) -> Tensor:
        return self.scale * self.up(torch.relu(self.down(hidden)))


def bottleneck_parameters(hidden: int, size: int) -> int:
    """Parameters of one adapter: two matrices and two biases; none when its size is 0."""
    return 2 * hidden * size + size + hidden if size else 0


class AdaptedFeedForward(nn.Module):
    """A feed-forward module x → F(x) with adapters around it; the residual sum is outside."""

    def __init__(self, original: nn.Module, serial: nn.Module | None, parallel: nn.Module | None) -> None:
        super().__init__()
        self.original, self.serial, self.parallel = original, serial, parallel

    def forward(self, hidden: Tensor) -> Tensor:
        return _adapt(self.original(hidden), hidden, self.serial, self.parallel)


class AdaptedBertOutput(nn.Module):
    """BERT's output module, which ends the feed-forward part and adds the residual: LayerNorm(dense(h) + x)."""

    def __init__(self, original: nn.Module, serial: nn.Module | None, parallel: nn.Module | None) -> None:
        super().__init__()
        self.original, self.serial, self.parallel = original, serial, parallel

    def forward(self, hidden_states: Tensor, input_tensor: Tensor) -> Tensor:
        output = self.original.dense(hidden_states)
        output = _adapt(output, input_tensor, self.serial, self.parallel)
        return self.original.LayerNorm(self.original.dropout(output) + input_tensor)


def adapt_feed_forward(
    anatomy: Anatomy, layer: nn.Module, serial: nn.Module | None, parallel: nn.Module | None
) -> None:
    """Put adapters around the feed-forward part of an encoder layer of any supported model class."""
    kind = AdaptedBertOutput if anatomy.feed_forward == "output" else AdaptedFeedForward
    original = layer.get_submodule(anatomy.feed_forward)
    layer._modules[anatomy.feed_forward] = kind(original, serial, parallel)


def _adapt(output: Tensor, hidden: Tensor, serial: nn.Module | None, parallel: nn.Module | None) -> Tensor:
    if parallel is not None:
        output = output + parallel(hidden)
    if serial is not None:
        output = output + serial(output)
    return output
