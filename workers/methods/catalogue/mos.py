"""`mos`: mixture of shards. Low-rank factors of all layers are put together from two pools, so that rank costs nothing.

Certain: global pools, shards, separate indices for A and B (pair dissociation), private ranks. A choice: the indices
are random and frozen, and there is a pair of pools for each pair of sides (in, out) that layers have.
"""

from __future__ import annotations

from math import sqrt
from typing import TYPE_CHECKING

from search_spaces.parameters import Int
from workers.methods.declaration.knob_kinds import alpha, divisors, placed, placement, rank
from workers.methods.declaration.method import Knobs, KnobValues, LearningRates
from workers.methods.declaration.own_method import own_method
from workers.methods.declaration.peft_method import per_layer
from workers.models.anatomy import Linear
from workers.models.description import ModelDescription

if TYPE_CHECKING:
    import torch
    from torch import nn

    from workers.models.loading import Base


def _knobs(model: ModelDescription) -> Knobs:
    own = (Int("pool", 1, 8, scale="log"), Int("private", 0, 4), divisors("shards", model, 1, 8))
    return Knobs((rank(model, mode=16), *own, alpha(), *placement(model)), defaults={"pool": 2, "private": 0})


def _install(base: Base, knobs: KnobValues, generator: torch.Generator) -> dict[str, nn.Parameter]:
    import torch
    from torch import nn

    from workers.methods.forms.reweighted import reweight, uniform
    from workers.methods.forms.weights import ShardedLora

    places = placed(base.description, knobs)
    shards, pools = knobs["shards"], {}
    for sides in dict.fromkeys((linear.in_features, linear.out_features) for _, linear in places):
        members = sum((linear.in_features, linear.out_features) == sides for _, linear in places)
        count = knobs["pool"] * members * shards
        first = uniform((count, sides[0] // shards), 1 / sqrt(sides[0]), generator)
        pools[sides] = (nn.Parameter(first), nn.Parameter(torch.zeros(count, sides[1] // shards)))

    def make(module: nn.Module, linear: Linear) -> ShardedLora:
        pair = pools[linear.in_features, linear.out_features]
        rank, private, scale = knobs["rank"], knobs["private"], knobs["alpha"]
        return ShardedLora(module, linear.transposed, pair, rank, private, scale, generator)

    return reweight(base, places, make)


def _parameters(linear: Linear, knobs: KnobValues) -> int:
    return int(knobs["pool"] + knobs["private"]) * (linear.in_features + linear.out_features)


METHODS = (
    own_method(
        "mos",
        family="shared",
        summary="low-rank factors put together from shared pools of shards",
        source="Wang et al. 2024, MoS, arXiv 2410.00938",
        learning_rates=LearningRates(1e-4, 3e-2, 2e-3),
        knobs=_knobs,
        install=_install,
        trainable_parameters=per_layer(_parameters),
    ),
)
