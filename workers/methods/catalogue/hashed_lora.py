"""`hashed_lora`: the low-rank factors of all layers are read from a memory that is smaller than they are.

STABLE-RPS (Desai & Shrivastava 2024, "In defense of parameter sharing for model compression", ICLR 2024) on what is
trained, a LoRA. Certain: entries of all layers stand in one row, in pieces as long as the memory, and a hash says where
a piece begins in it and with which sign each entry is read; so nothing collides inside of a piece, and at a compression
of 1 the LoRA itself is left. Choices: first and second factors have memories of their own, as the ones begin with noise
and the others with zeros, and so have inputs of different lengths, whose noise is of different size (the published form
has one memory and a scale for each layer); gradients are not divided by how often an entry is read, which is nearly
the same for all and without effect under AdamW.
"""

from __future__ import annotations

from collections import Counter
from math import ceil, sqrt
from typing import TYPE_CHECKING

from search_spaces.parameters import Float
from search_spaces.priors import Bell
from workers.methods.declaration.knob_kinds import alpha, placed, placement, rank
from workers.methods.declaration.method import Knobs, KnobValues, LearningRates
from workers.methods.declaration.own_method import own_method
from workers.models.anatomy import Linear
from workers.models.description import ModelDescription

if TYPE_CHECKING:
    import torch
    from torch import nn

    from workers.models.loading import Base

_SECOND = 0  # the memory of the second factors stands under this length, which no input has


def _knobs(model: ModelDescription) -> Knobs:
    compression = Float("compression", 1.0, 1000.0, scale="log", prior=Bell(10.0, spread=0.4))
    return Knobs((rank(model), compression, alpha(), *placement(model)))


def _memories(model: ModelDescription, knobs: KnobValues) -> dict[int, int]:
    """Entries of each memory, by the length of the inputs whose first factors read it."""
    read: Counter[int] = Counter()
    for _, linear in placed(model, knobs):
        read[linear.in_features] += int(knobs["rank"]) * linear.in_features
        read[_SECOND] += int(knobs["rank"]) * linear.out_features
    return {side: ceil(entries / float(knobs["compression"])) for side, entries in read.items()}


def _install(base: Base, knobs: KnobValues, generator: torch.Generator) -> dict[str, nn.Parameter]:
    import torch

    from workers.methods.forms.hashed import HashedLora, SharedMemory
    from workers.methods.forms.reweighted import reweight, uniform

    memories = {
        side: SharedMemory(torch.zeros(size) if side == _SECOND else uniform((size,), 1 / sqrt(side), generator))
        for side, size in _memories(base.description, knobs).items()
    }
    scale = knobs["alpha"] / knobs["rank"]

    def make(module: nn.Module, linear: Linear) -> HashedLora:
        pair = memories[linear.in_features], memories[_SECOND]
        return HashedLora(module, linear.transposed, pair, knobs["rank"], scale, generator)

    return reweight(base, placed(base.description, knobs), make)


METHODS = (
    own_method(
        "hashed_lora",
        family="shared",
        summary="low-rank factors of all layers read from a smaller memory, by a hash",
        source="Desai & Shrivastava 2024, STABLE-RPS, ICLR 2024",
        learning_rates=LearningRates(1e-4, 3e-2, 2e-3),
        knobs=_knobs,
        install=_install,
        trainable_parameters=lambda model, knobs: sum(_memories(model, knobs).values()),
    ),
)
