"""`lora`: low-rank adapters, with rank-stabilised scaling and weight decomposition as knobs."""

from __future__ import annotations

from typing import Any

from search_spaces.presets.lora import lora_knobs
from workers.methods.declaration.method import Knobs, KnobValues, LearningRates
from workers.methods.declaration.peft_method import peft_method, per_layer, target_modules
from workers.models.anatomy import Linear
from workers.models.description import ModelDescription


def lora_arguments(model: ModelDescription, knobs: KnobValues) -> dict[str, Any]:
    """Arguments of `LoraConfig`. ΔW = s·B·A with A [rank, in], B [out, rank] zero at the start."""
    return {
        "r": knobs["rank"],
        "lora_alpha": knobs["alpha"],
        "lora_dropout": knobs["dropout"],
        "target_modules": target_modules(model, knobs),
        "use_rslora": knobs["use_rslora"],
        "use_dora": knobs["use_dora"],
    }


def lora_parameters(linear: Linear, knobs: KnobValues) -> int:
    """A and B, and with DoRA one magnitude for each output."""
    magnitude = linear.out_features if knobs["use_dora"] else 0
    return int(knobs["rank"]) * (linear.in_features + linear.out_features) + magnitude


DEFAULTS = {"dropout": 0.0, "targets": "qv", "use_rslora": False, "use_dora": False}

METHODS = (
    peft_method(
        "lora",
        "LoraConfig",
        family="low-rank",
        summary="low-rank update of linear layers, with rsLoRA and DoRA",
        source="Hu et al. 2021, arXiv 2106.09685; rsLoRA arXiv 2312.03732; DoRA arXiv 2402.09353",
        learning_rates=LearningRates(5e-5, 1e-2, 7e-4),
        knobs=lambda model: Knobs(lora_knobs(model.shape), defaults=DEFAULTS),
        arguments=lora_arguments,
        trainable_parameters=per_layer(lora_parameters),
        forms=("low-rank",),
    ),
)
