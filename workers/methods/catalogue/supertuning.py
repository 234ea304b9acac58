"""`supertuning`: train the entries of the weights of largest or smallest magnitude."""

from __future__ import annotations

from typing import Any

from search_spaces.parameters import Categorical, Float
from workers.methods.declaration.knob_kinds import placement
from workers.methods.declaration.method import Knobs, KnobValues, LearningRates
from workers.methods.declaration.needs import PLAIN_LINEARS
from workers.methods.declaration.peft_method import peft_method, per_layer, target_modules
from workers.models.anatomy import Linear
from workers.models.description import ModelDescription


def _super_knobs(model: ModelDescription) -> Knobs:
    smallest = min(linear.in_features * linear.out_features for linear in model.anatomy.linears)
    own = (Float("density", max(1e-3, 2 / smallest), 0.1, scale="log"), Categorical("select", ("largest", "smallest")))
    return Knobs((*own, *placement(model)))


def _super_arguments(model: ModelDescription, knobs: KnobValues) -> dict[str, Any]:
    return {
        "sparsity": 1 - knobs["density"],
        "select_top": knobs["select"] == "largest",
        "target_modules": target_modules(model, knobs),
    }


def _super_parameters(linear: Linear, knobs: KnobValues) -> int:
    return int(linear.in_features * linear.out_features * (1 - (1 - knobs["density"])))


METHODS = (
    peft_method(
        "supertuning",
        "SupertuningConfig",
        family="sparse",
        summary="entries of the largest or smallest magnitude",
        source="peft 0.21 SupertuningConfig",
        learning_rates=LearningRates(1e-5, 1e-2, 3e-4),
        knobs=_super_knobs,
        arguments=_super_arguments,
        trainable_parameters=per_layer(_super_parameters),
        needs=(PLAIN_LINEARS,),
    ),
)
