"""`ln_tuning` and `beft`: train the norms, or a new bias on the value projections."""

from __future__ import annotations

from typing import Any

from workers.methods.declaration.knob_kinds import top_layers
from workers.methods.declaration.method import Knobs, KnobValues, LearningRates
from workers.methods.declaration.needs import VALUE_BIAS
from workers.methods.declaration.peft_method import peft_method, target_pattern
from workers.models.anatomy import Linear
from workers.models.description import ModelDescription


def _norm_arguments(model: ModelDescription, knobs: KnobValues) -> dict[str, Any]:
    norms = model.norms(model.layer_range(knobs["top_layers"]))
    return {"target_modules": target_pattern(model, ((layer, norm.name) for layer, norm in norms))}


def _norm_parameters(model: ModelDescription, knobs: KnobValues) -> int:
    norms = model.norms(model.layer_range(knobs["top_layers"]))
    return sum(norm.size * (2 if norm.bias else 1) for _, norm in norms)


def _values(model: ModelDescription, knobs: KnobValues) -> list[tuple[int, Linear]]:
    layers = model.layer_range(knobs["top_layers"])
    return [(layer, linear) for layer, linear in model.linears("qv", layers) if "value" in linear.groups]


def _value_arguments(model: ModelDescription, knobs: KnobValues) -> dict[str, Any]:
    return {"target_modules": target_pattern(model, ((layer, linear.name) for layer, linear in _values(model, knobs)))}


def _value_parameters(model: ModelDescription, knobs: KnobValues) -> int:
    return sum(linear.out_features for _, linear in _values(model, knobs))


METHODS = (
    peft_method(
        "ln_tuning",
        "LNTuningConfig",
        family="selective",
        summary="the norms inside the encoder layers",
        source="Zhao et al. 2023, arXiv 2312.11420",
        learning_rates=LearningRates(1e-4, 3e-2, 2e-3),
        knobs=lambda model: Knobs(top_layers(model)),
        arguments=_norm_arguments,
        trainable_parameters=_norm_parameters,
        forms=("norm",),
    ),
    peft_method(
        "beft",
        "BeftConfig",
        family="selective",
        summary="a bias on the value projections",
        source="BEFT, arXiv 2509.15974, as implemented in peft 0.21",
        learning_rates=LearningRates(1e-3, 1e-1, 1e-2),
        knobs=lambda model: Knobs(top_layers(model)),
        arguments=_value_arguments,
        trainable_parameters=_value_parameters,
        needs=(VALUE_BIAS,),
        forms=("bias",),
    ),
)
