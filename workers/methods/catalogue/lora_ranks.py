"""`lora_ranks`: LoRA with a rank for each encoder layer; 0 leaves a layer out. peft's rank and alpha patterns.

With `same_scale` every layer's update is scaled alike, by alpha over the largest rank; without it by alpha over the
layer's own rank, as plain LoRA would.
"""

from __future__ import annotations

import re
from typing import Any

from search_spaces.constraints import SumAtLeast
from search_spaces.parameters import Categorical, Ordinal
from workers.methods.declaration.knob_kinds import alpha, dropout
from workers.methods.declaration.method import Knobs, KnobValues, LearningRates
from workers.methods.declaration.peft_method import peft_method, target_pattern
from workers.models.description import ModelDescription


def _names(model: ModelDescription) -> tuple[str, ...]:
    return tuple(f"rank_{layer}" for layer in model.layer_range())


def _knobs(model: ModelDescription) -> Knobs:
    highest = max(1, min(64, model.shape.hidden_size // 4))
    ranks = tuple(value for value in (0, 1, 2, 4, 8, 16, 32, 64) if value <= highest)
    names = _names(model)
    own = (alpha(), dropout(), Categorical("targets", model.shape.targets), Categorical("same_scale", (False, True)))
    defaults = {**dict.fromkeys(names, min(8, ranks[-1])), "dropout": 0.0, "targets": "qv", "same_scale": False}
    return Knobs(
        (*(Ordinal(name, ranks) for name in names), *own),
        constraints=(SumAtLeast(names, 1),),
        defaults=defaults,
    )


def _ranks(model: ModelDescription, knobs: KnobValues) -> dict[int, int]:
    """Rank by layer, those with one only, lowest layer first."""
    ranks = {layer: knobs[name] for layer, name in enumerate(_names(model))}
    return {layer: rank for layer, rank in ranks.items() if rank > 0}


def _arguments(model: ModelDescription, knobs: KnobValues) -> dict[str, Any]:
    ranks = _ranks(model, knobs)
    highest = max(ranks.values())
    layers = {layer: rf"{re.escape(model.anatomy.layers_path)}\.{layer}\..*" for layer in ranks}
    alphas = {layer: knobs["alpha"] * rank / highest for layer, rank in ranks.items()} if knobs["same_scale"] else {}
    places = ((layer, linear.name) for layer, linear in model.linears(knobs["targets"], ranks))
    return {
        "r": highest,
        "lora_alpha": knobs["alpha"],
        "lora_dropout": knobs["dropout"],
        "rank_pattern": {layers[layer]: rank for layer, rank in ranks.items()},
        "alpha_pattern": {layers[layer]: value for layer, value in alphas.items()},
        "target_modules": target_pattern(model, places),
    }


def _parameters(model: ModelDescription, knobs: KnobValues) -> int:
    ranks = _ranks(model, knobs)
    places = model.linears(knobs["targets"], ranks)
    return sum(int(ranks[layer]) * (linear.in_features + linear.out_features) for layer, linear in places)


METHODS = (
    peft_method(
        "lora_ranks",
        "LoraConfig",
        family="low-rank",
        summary="LoRA with a rank of its own for each layer",
        source="Hu et al. 2021, arXiv 2106.09685; peft 0.21, rank_pattern and alpha_pattern",
        learning_rates=LearningRates(5e-5, 1e-2, 7e-4),
        knobs=_knobs,
        arguments=_arguments,
        trainable_parameters=_parameters,
        lowest_layer=lambda model, knobs: min(_ranks(model, knobs)),
        variant_of="lora",
        forms=("low-rank",),
    ),
)
