"""`miss` and `bone`: one small block, shared by all blocks of a weight matrix.

MiSS: the input is summed in groups and multiplied by a matrix [rank, out]. Bone ("block affine transformation"):
ΔW_i = W_i·B_i + B_i for blocks of rank × rank.
"""

from __future__ import annotations

from typing import Any

from search_spaces.parameters import Ordinal
from workers.methods.declaration.knob_kinds import divisors, even_rank, placement
from workers.methods.declaration.method import Knobs, KnobValues, LearningRates
from workers.methods.declaration.needs import PLAIN_LINEARS
from workers.methods.declaration.peft_method import peft_method, per_layer, target_modules
from workers.models.anatomy import Linear
from workers.models.description import ModelDescription


def _bone_knobs(model: ModelDescription) -> Knobs:
    even = tuple(value for value in divisors("rank", model, 2, 128).values if value % 2 == 0)
    return Knobs((Ordinal("rank", even), *placement(model)))


def _miss_arguments(model: ModelDescription, knobs: KnobValues) -> dict[str, Any]:
    return {"r": knobs["rank"], "target_modules": target_modules(model, knobs)}


def _bone_arguments(model: ModelDescription, knobs: KnobValues) -> dict[str, Any]:
    return {**_miss_arguments(model, knobs), "init_weights": "bat"}


def _parameters(linear: Linear, knobs: KnobValues) -> int:
    return int(knobs["rank"]) * linear.out_features


METHODS = (
    peft_method(
        "miss",
        "MissConfig",
        family="low-rank",
        summary="one shared shard of the weight matrix",
        source="Kang & Yin 2024, MiSS, arXiv 2409.15371",
        learning_rates=LearningRates(5e-5, 1e-2, 5e-4),
        knobs=lambda model: Knobs((even_rank(model, high=128, mode=16), *placement(model))),
        arguments=_miss_arguments,
        trainable_parameters=per_layer(_parameters),
        needs=(PLAIN_LINEARS,),
    ),
    peft_method(
        "bone",
        "MissConfig",
        family="low-rank",
        summary="block affine update W·B + B",
        source="Kang 2024, Bone, arXiv 2409.15371 (first version)",
        learning_rates=LearningRates(1e-5, 1e-2, 3e-4),
        knobs=_bone_knobs,
        arguments=_bone_arguments,
        trainable_parameters=per_layer(_parameters),
        variant_of="miss",
        needs=(PLAIN_LINEARS,),
    ),
)
