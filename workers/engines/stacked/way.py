"""How a pack computes on a device: member by member or stacked, how much padding a pass may have, how it evaluates."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cache

import torch
from torch import nn

from workers.engines.batches import EVALUATION_TOKENS
from workers.engines.precision import fastest
from workers.engines.stacked.layout import Layout
from workers.engines.stacked.places import StackedLinear
from workers.engines.stacked.stack import Stack, Tenant
from workers.engines.stacked.update import Part, Update

# Tokens of a joint pass over the tokens of the same batches alone. On a CPU a padded token costs what a real one does.
_CPU_PADDING = 1.1
_GPU_EVALUATION_TOKENS = 32_768
# What leaving padding out must save: on the way tokens are moved twice in all, and for attention in each layer where no
# kernel takes rows of unequal lengths.
_UNPADDING = 1.25

# What is measured on a CPU: members of these ranks, with so many rows of so many tokens each, on a layer so wide.
_RANKS, _ROWS, _TOKENS, _HIDDEN = (1, 4, 8, 16), 8, 16, 384
_WORTH = 1.1  # how much faster all at once must be


@dataclass(frozen=True)
class Way:
    """How passes are made.

    Attributes:
        looped: each member's products by themselves, with its own ranks, in place of batched ones over padded factors.
        padding: tokens after padding over real ones that a joint pass may have; longer and shorter batches part there.
        evaluation_tokens: of a pass without training, of all members together.
        host_streams: dropout from each member's own generator, as alone, in place of counters on the device.
        narrowing: passes have no more members than the device gains from, found by timing steps.
        unpadding: positions of a padded pass over those of one without padding inside the layers from which the latter
            is made, where the model's layers take it.
        captured: passes are captured once for each shape and replayed, where the device can.
        updated_by_rows: a call of PyTorch's fused AdamW for each member, in place of a dozen for all.
    """

    looped: bool
    padding: float
    evaluation_tokens: int
    host_streams: bool
    captured: bool = False
    narrowing: bool = False
    unpadding: float = math.inf
    updated_by_rows: bool = False


LOOPED = Way(True, _CPU_PADDING, EVALUATION_TOKENS, host_streams=True, updated_by_rows=True)
STACKED = replace(LOOPED, looped=False)
ON_GPU = Way(
    False, math.inf, _GPU_EVALUATION_TOKENS, host_streams=False, captured=True, narrowing=True, unpadding=_UNPADDING
)

IN_PARTS = replace(ON_GPU, captured=False)
"""On every rank of a base in parts, on any device: exchanges cannot be captured, and dropout by counters is the same on
any number of ranks."""


def way_on(device: torch.device) -> Way:
    """The way that is faster on a device: on a CPU by a measurement, made once per process."""
    if device.type != "cpu":  # a call for each member and place would cost more than what it does
        return ON_GPU
    return STACKED if stacked_gain() >= _WORTH else LOOPED


@cache
def stacked_gain() -> float:
    """How many times faster the updates of members of several ranks are together than one by one, on this CPU now."""
    with torch.random.fork_rng(devices=[]):
        stack, original = Stack(len(_RANKS), torch.device("cpu")), nn.Linear(_HIDDEN, _HIDDEN).requires_grad_(False)
        for rank in _RANKS:
            factors = {"a": torch.randn(rank, _HIDDEN), "b": torch.randn(_HIDDEN, rank)}
            parts = {role: Part(value, role, tuple(value.shape)) for role, value in factors.items()}
            update = Update("layer", "low-rank", parts, {"scale": 1.0, "dropout": 0.0})
            stack.add(Tenant((update,), 0.0, {}, 0.0))
        x = torch.randn(len(_RANKS) * _ROWS, _TOKENS, _HIDDEN, requires_grad=True)
    seconds = []
    for looped in (True, False):
        layout = Layout(stack.slots, stack.device, looped)
        layout.arrange([(slot, _ROWS, _TOKENS) for slot in range(stack.slots)])
        layer = StackedLinear(original, "layer", stack, layout)
        seconds.append(fastest(lambda layer=layer: layer(x).sum().backward()))  # type: ignore[misc]
    return seconds[0] / seconds[1]
