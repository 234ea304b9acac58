"""`ia3`: scale keys, values and the inner activations of the feed-forward part by learned vectors, one at the start."""

from __future__ import annotations

from typing import Any

from search_spaces.parameters import Categorical
from workers.methods.declaration.knob_kinds import top_layers
from workers.methods.declaration.method import Knobs, KnobValues, LearningRates
from workers.methods.declaration.needs import KNOWN_PARTS
from workers.methods.declaration.peft_method import peft_method, target_pattern
from workers.models.anatomy import Linear
from workers.models.description import ModelDescription


def _knobs(model: ModelDescription) -> Knobs:
    return Knobs((Categorical("scaled", ("attention+mlp", "attention", "mlp")), *top_layers(model)))


def _scaled(model: ModelDescription, knobs: KnobValues) -> list[tuple[int, Linear]]:
    """Key and value projections scale their outputs, the down projection its input."""
    groups = {"attention": {"key", "value"}, "mlp": {"down"}, "attention+mlp": {"key", "value", "down"}}[
        knobs["scaled"]
    ]
    layers = model.layer_range(knobs["top_layers"])
    return [(layer, linear) for layer, linear in model.linears("all", layers) if linear.groups & groups]


def _arguments(model: ModelDescription, knobs: KnobValues) -> dict[str, Any]:
    scaled = _scaled(model, knobs)
    inputs = [(layer, linear.name) for layer, linear in scaled if "down" in linear.groups]
    pattern = target_pattern(model, ((layer, linear.name) for layer, linear in scaled))
    return {"target_modules": pattern, "feedforward_modules": target_pattern(model, inputs) if inputs else []}


def _parameters(model: ModelDescription, knobs: KnobValues) -> int:
    return sum(
        linear.in_features if "down" in linear.groups else linear.out_features for _, linear in _scaled(model, knobs)
    )


METHODS = (
    peft_method(
        "ia3",
        "IA3Config",
        family="scaling",
        summary="learned scales on keys, values and feed-forward activations",
        source="Liu et al. 2022, arXiv 2205.05638",
        learning_rates=LearningRates(5e-4, 1e-1, 1e-2),
        knobs=_knobs,
        arguments=_arguments,
        trainable_parameters=_parameters,
        needs=(KNOWN_PARTS,),
        forms=("scale",),
    ),
)
