"""How a pack computes on a device: member by member or stacked, how much padding a pass may have, how it evaluates."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from workers.engines.batches import EVALUATION_TOKENS

# Tokens of a joint pass over the tokens of the same batches alone. On a CPU a padded token costs what a real one does.
_CPU_PADDING = 1.1
_GPU_EVALUATION_TOKENS = 32_768


@dataclass(frozen=True)
class Way:
    """How passes are made.

    Attributes:
        looped: each member's products by themselves, with its own ranks, in place of batched ones over padded factors.
        padding: tokens after padding over real ones that a joint pass may have; longer and shorter batches part there.
        evaluation_tokens: of a pass without training, of all members together.
        host_streams: dropout from each member's own generator, as alone, in place of counters on the device.
        narrowing: passes have no more members than the device gains from, found by timing steps.
        captured: passes are captured once for each shape and replayed, where the device can.
    """

    looped: bool
    padding: float
    evaluation_tokens: int
    host_streams: bool
    captured: bool = False
    narrowing: bool = False


LOOPED = Way(True, _CPU_PADDING, EVALUATION_TOKENS, host_streams=True)
STACKED = Way(False, math.inf, _GPU_EVALUATION_TOKENS, host_streams=True)
ON_GPU = Way(False, math.inf, _GPU_EVALUATION_TOKENS, host_streams=False, captured=True, narrowing=True)


def way_on(device: torch.device) -> Way:
    """The way that is faster on a device."""
    return LOOPED if device.type == "cpu" else ON_GPU
