"""Dropout for adapters with masks that cost a third of PyTorch's. Needs torch.

On CPU, `torch.nn.functional.dropout` draws a double for every number, which takes longer than the bfloat16 product
behind it. Sixteen random bits say the same: each number is dropped with a probability of p rounded to 1/65536, and what
stays is scaled by exactly the inverse of the share that stays.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn

_LEVELS = 1 << 16


class QuickDropout(nn.Dropout):
    """`nn.Dropout` with the masks of `dropout_mask` on CPU."""

    def forward(self, input: Tensor) -> Tensor:
        """Same shape as `input`."""
        if not self.training or self.p == 0 or input.device.type != "cpu":
            return super().forward(input)
        return input * dropout_mask(input.shape, self.p, input.dtype)


def dropout_mask(shape: Iterable[int], probability: float, dtype: torch.dtype = torch.float32) -> Tensor:
    """Zeros with `probability` (below 1), else the scale that keeps the mean; from torch's global CPU generator."""
    shape = tuple(shape)
    numbers, dropped = math.prod(shape), min(round(probability * _LEVELS), _LEVELS - 1)
    words = torch.empty(math.ceil(numbers / 4), dtype=torch.int64).random_(-(2**63), None)
    kept = words.view(torch.int16)[:numbers].view(shape) >= dropped - _LEVELS // 2
    return kept.to(dtype).mul_(_LEVELS / (_LEVELS - dropped))


def quicken(modules: Iterable[nn.Module]) -> None:
    """Turn every plain `nn.Dropout` among the modules of an adapter into `QuickDropout`."""
    for module in modules:
        if type(module) is nn.Dropout:
            module.__class__ = QuickDropout
