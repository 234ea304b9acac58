"""`velora`, `bdlora`: LoRA that saves memory in training or communication in serving; options of peft's `LoraConfig`.

VeLoRA: the backward pass of A sees its inputs through one frozen direction in each group of features, so one number
for each group is kept instead of the group. The forward pass is LoRA's, and so is the gradient of B. BD-LoRA: B is
block-diagonal, each block reading its own part of the rank, so that tensor-parallel servers need not exchange it.
Certain: both, as peft has them. Choices: VeLoRA's direction is random, because one that follows the batch would read
its padding too; BD-LoRA takes B on every layer, where servers take A for those that close a sublayer.
"""

from __future__ import annotations

from typing import Any

from search_spaces.constraints import Divides
from search_spaces.parameters import Ordinal
from workers.methods.catalogue.lora import lora_arguments
from workers.methods.catalogue.lora_variants import PLAIN, lora_variant
from workers.methods.declaration.knob_kinds import alpha, divisors, dropout, placement, rank
from workers.methods.declaration.method import Knobs, KnobValues
from workers.methods.declaration.needs import PLAIN_LINEARS
from workers.methods.declaration.peft_method import per_layer
from workers.models.anatomy import Linear
from workers.models.description import ModelDescription


def _velora_knobs(model: ModelDescription) -> Knobs:
    own = (rank(model), divisors("groups", model, 2, 128), alpha(), dropout(), *placement(model))
    return Knobs(own, defaults={"dropout": 0.0, "targets": "qv"})


def _velora_arguments(model: ModelDescription, knobs: KnobValues) -> dict[str, Any]:
    options = {"num_groups": knobs["groups"], "init_type": "random"}
    return {**lora_arguments(model, {**PLAIN, **knobs}), "velora_config": options}


def _bd_knobs(model: ModelDescription) -> Knobs:
    """Blocks divide the rank and the outputs of every layer."""
    limit = max(4, model.shape.hidden_size // 4)
    ranks = tuple(value for value in (4, 6, 8, 12, 16, 24, 32, 48, 64) if value <= limit)
    own = (Ordinal("rank", ranks), divisors("blocks", model, 2, 8), alpha(), dropout(), *placement(model))
    defaults = {"dropout": 0.0, "targets": "qv", "rank": min(8, ranks[-1]), "blocks": 2}
    return Knobs(own, constraints=(Divides("blocks", "rank"),), defaults=defaults)


def _bd_arguments(model: ModelDescription, knobs: KnobValues) -> dict[str, Any]:
    names = sorted({linear.name.rpartition(".")[2] for linear in model.anatomy.linears})
    blocks = {"target_modules_bd_b": names, "nblocks": knobs["blocks"]}
    return {**lora_arguments(model, {**PLAIN, **knobs}), "use_bdlora": blocks}


def _bd_parameters(linear: Linear, knobs: KnobValues) -> int:
    return int(knobs["rank"]) * (linear.in_features + linear.out_features // int(knobs["blocks"]))


METHODS = (
    lora_variant(
        "velora",
        "LoRA that keeps one number for each group of a layer's inputs until the backward pass",
        "Miles et al. 2024, VeLoRA, arXiv 2405.17991",
        _velora_arguments,
        knobs=_velora_knobs,
        needs=(PLAIN_LINEARS,),
    ),
    lora_variant(
        "bdlora",
        "LoRA whose second factor is block-diagonal",
        "peft 0.21, BdLoraConfig (made for tensor-parallel serving)",
        _bd_arguments,
        knobs=_bd_knobs,
        trainable_parameters=per_layer(_bd_parameters),
        needs=(PLAIN_LINEARS,),
    ),
)
