"""`apet` and `supertuning`: train a few entries of the weights themselves.

`apet` ("arbitrary few parameters") trains random positions: the baseline every structured method must beat; peft has
it as SHiRA with a random mask. Super-tuning trains the entries of largest or smallest magnitude.
"""

from __future__ import annotations

from typing import Any

from search_spaces.parameters import Categorical, Float
from workers.methods.knob_kinds import WITH_LINEAR, placement, rank
from workers.methods.method import Knobs, KnobValues, LearningRates
from workers.methods.peft_method import peft_method, per_layer, target_modules, two_factors
from workers.models.architectures import Linear
from workers.models.description import ModelDescription


def _shira_arguments(model: ModelDescription, knobs: KnobValues) -> dict[str, Any]:
    return {
        "r": knobs["rank"],
        "mask_type": "random",
        "random_seed": 0,
        "target_modules": target_modules(model, knobs),
    }


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
        "apet",
        "ShiraConfig",
        family="sparse",
        summary="entries at random positions; `rank` sets their number to that of a LoRA of this rank",
        source="Su et al. 2023, arXiv 2306.02320; SHiRA, arXiv 2406.13175",
        learning_rates=LearningRates(1e-4, 1e-2, 1e-3),
        knobs=lambda model: Knobs((rank(model), *placement(model))),
        arguments=_shira_arguments,
        trainable_parameters=per_layer(two_factors),
        model_types=WITH_LINEAR,
    ),
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
        model_types=WITH_LINEAR,
    ),
)
