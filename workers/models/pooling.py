"""One vector for a text from the hidden states of its tokens. Needs torch."""

from __future__ import annotations

import torch
from torch import Tensor

from workers.tasks.criterion import Pooling


def pooled(hidden: Tensor, mask: Tensor, kind: Pooling) -> Tensor:
    """Vectors `[rows, hidden]` of texts, by their own tokens alone.

    Args:
        hidden: `[rows, positions, hidden]`; vectors that a method puts in front of the texts come first.
        mask: 1 for tokens of the texts `[rows, tokens]`, which padding follows.
        kind: the mean of the tokens, the first or the last of them.
    """
    own = hidden[:, -mask.shape[1] :]
    if kind == "cls":
        return own[:, 0]
    if kind == "last":
        return own[torch.arange(len(own), device=own.device), mask.sum(-1) - 1]
    weights = mask[..., None].to(own.dtype)
    return (own * weights).sum(1) / weights.sum(1).clamp(min=1)
